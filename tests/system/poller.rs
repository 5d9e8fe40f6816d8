use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redeliver::{Message, Policy, Poller, Raw};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::fixture::{Fixture, SECOND, shared};

#[tokio::test]
async fn a_poller_outlives_an_observer_that_panics() {
    let fixture = Fixture::on(shared(), Policy::default()).await;
    let panicked = AtomicBool::new(false);
    let (tell, mut told) = mpsc::unbounded_channel();
    let poller = Poller::new(fixture.queue.clone()).observed(move |pass| {
        tell.send(pass.as_ref().map_or(0, |done| done.promoted)).unwrap();
        assert!(panicked.swap(true, Ordering::Relaxed), "the observer panics once");
    });
    let poller = tokio::spawn(poller.run(std::future::pending::<()>()));
    assert_eq!(told.recv().await, Some(0));
    let later = Message::new(Raw::from("x")).delay(Duration::from_millis(1));
    fixture.queue.push(later).await.unwrap();
    let promoted = async { while told.recv().await.unwrap() == 0 {} };
    timeout(60 * SECOND, promoted).await.unwrap();
    poller.abort();
}
