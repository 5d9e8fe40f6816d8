//! What callers learn when the server's answer was lost and the call repeated.

use std::time::Duration;

use redeliver::{
    Cancelled, Delivery, Error, Message, MessageId, Policy, Pushed, Queue, Raw, Retried, Settled,
};

use crate::fixture::{Fixture, SECOND, TestServer};
use crate::proxy::Proxy;

/// A server whose scripts are all loaded, so that each call is one question and one answer.
struct Scene {
    proxy: Proxy,
    far: Queue<Raw>,
    fixture: Fixture,
    _server: TestServer,
}

impl Scene {
    async fn new() -> Self {
        let server = TestServer::start(&[]);
        let policy = Policy::default().max_attempts(3);
        let fixture = Fixture::on(&server, policy.clone()).await;
        for (verb, argv) in crate::verbs::calls(&fixture.every_state().await) {
            let text = crate::fixture::script_text(verb);
            fixture.redis::<()>(&["SCRIPT", "LOAD", &text]);
            drop(argv);
        }
        fixture.queue.destroy().await.unwrap();
        let proxy = Proxy::of(&server);
        let far = Queue::connect(proxy.url(), fixture.queue.name().as_str()).await.unwrap();
        let far = far.with_policy(policy).unwrap();
        // The first push also enters the queue in the registry.
        far.push(Raw::from("first")).await.unwrap();
        let _settled = far.claim(1).await.unwrap().remove(0).ack().await.unwrap();
        Self { proxy, far, fixture, _server: server }
    }

    /// A message that is held through the proxy; the next answer will be lost.
    async fn held(&self) -> Delivery<Raw> {
        self.fixture.push("a").await;
        let delivery = self.far.claim(1).await.unwrap().remove(0);
        self.proxy.arm();
        delivery
    }

    async fn ends_with(&self, states: [u64; 4]) {
        assert!(!self.proxy.is_armed(), "no answer was lost");
        assert_eq!(self.fixture.states().await, states);
        self.fixture.assert_law().await;
    }
}

#[tokio::test]
async fn ack_is_unknown_when_its_answer_was_lost() {
    let scene = Scene::new().await;
    let delivery = scene.held().await;
    assert_eq!(delivery.ack().await.unwrap(), Settled::Unknown);
    scene.ends_with([0, 0, 0, 0]).await;
    assert_eq!(scene.fixture.counts().await.acked, 2);
}

#[tokio::test]
async fn retry_is_unknown_when_its_answer_was_lost() {
    let scene = Scene::new().await;
    let delivery = scene.held().await;
    let retried = delivery.retry_after(Duration::ZERO, "no").await.unwrap();
    assert_eq!(retried, Retried::Unknown);
    assert_eq!(retried.settled(), Settled::Unknown);
    scene.ends_with([1, 0, 0, 0]).await;
    assert_eq!(scene.fixture.counts().await.retried, 1);
}

#[tokio::test]
async fn bury_is_unknown_when_its_answer_was_lost() {
    let scene = Scene::new().await;
    let delivery = scene.held().await;
    assert_eq!(delivery.bury("hopeless").await.unwrap(), Settled::Unknown);
    scene.ends_with([0, 0, 0, 1]).await;
    assert_eq!(scene.fixture.counts().await.buried, 1);
}

#[tokio::test]
async fn release_is_unknown_when_its_answer_was_lost() {
    let scene = Scene::new().await;
    let delivery = scene.held().await;
    assert_eq!(delivery.release(60 * SECOND).await.unwrap(), Settled::Unknown);
    scene.ends_with([0, 1, 0, 0]).await;
    assert_eq!(scene.fixture.counts().await.released, 1);
}

#[tokio::test]
async fn extend_is_done_when_its_answer_was_lost() {
    let scene = Scene::new().await;
    let delivery = scene.held().await;
    assert_eq!(delivery.extend(60 * SECOND).await.unwrap(), Settled::Done);
    scene.ends_with([0, 0, 1, 0]).await;
    assert_eq!(delivery.ack().await.unwrap(), Settled::Done);
}

#[tokio::test]
async fn ack_is_lost_when_the_answer_was_not() {
    let scene = Scene::new().await;
    let delivery = scene.held().await;
    // The answer that is lost is that of another call.
    assert!(!scene.far.counts().await.unwrap().paused);
    scene.fixture.queue.cancel(&[delivery.id()]).await.unwrap();
    assert_eq!(delivery.ack().await.unwrap(), Settled::Lost);
    scene.ends_with([0; 4]).await;
}

#[tokio::test]
async fn push_is_told_as_pushed_once_when_its_answer_was_lost() {
    let scene = Scene::new().await;
    let id = MessageId::generate();
    scene.proxy.arm();
    let pushed = scene.far.push(Message::new(Raw::from("a")).id(id)).await.unwrap();
    assert_eq!(pushed, Pushed::Ready(id));
    scene.ends_with([1, 0, 0, 0]).await;
    assert_eq!(scene.fixture.counts().await.pushed, 2);

    scene.proxy.arm();
    let later = Message::new(Raw::from("a")).key("k").delay(60 * SECOND);
    let pushed = scene.far.push(later).await.unwrap();
    assert!(matches!(pushed, Pushed::Scheduled(_)), "{pushed:?}");
    scene.ends_with([1, 1, 0, 0]).await;

    // What lived before is a duplicate all the same.
    scene.proxy.arm();
    let pushed = scene.far.push(Message::new(Raw::from("b")).key("k")).await.unwrap();
    assert!(matches!(pushed, Pushed::Duplicate { .. }), "{pushed:?}");
    scene.ends_with([1, 1, 0, 0]).await;
}

#[tokio::test]
async fn push_all_is_told_as_pushed_once_when_an_answer_was_lost() {
    let scene = Scene::new().await;
    scene.proxy.arm();
    let payloads = (0..600).map(|_| Raw::from("a"));
    let pushed = scene.far.push_all(payloads).await.unwrap();
    assert!(pushed.iter().all(|pushed| matches!(pushed, Pushed::Ready(_))));
    scene.ends_with([600, 0, 0, 0]).await;
    assert_eq!(scene.fixture.counts().await.pushed, 601);
}

#[tokio::test]
async fn cancel_is_unknown_of_what_is_gone_when_its_answer_was_lost() {
    let scene = Scene::new().await;
    let id = scene.fixture.push("a").await;
    scene.proxy.arm();
    assert_eq!(scene.far.cancel(&[id]).await.unwrap(), [Cancelled::Unknown]);
    assert_eq!(scene.far.cancel(&[id]).await.unwrap(), [Cancelled::Missing]);
    scene.ends_with([0; 4]).await;
}

#[tokio::test]
async fn claim_leaves_messages_to_the_redelivery_when_its_answer_was_lost() {
    let scene = Scene::new().await;
    let first = scene.fixture.push("a").await;
    scene.proxy.arm();
    assert!(scene.far.claim(1).await.unwrap().is_empty());
    scene.ends_with([0, 0, 1, 0]).await;
    scene.fixture.age("pending", first, 3600 * SECOND);
    assert_eq!(scene.far.redeliver(10).await.unwrap().reclaimed, 1);
    let delivery = scene.far.claim(1).await.unwrap().remove(0);
    assert_eq!((delivery.id(), delivery.failures()), (first, 1));
    scene.ends_with([0, 0, 1, 0]).await;
}

/// The first try may have pushed, whatever the server says to the second.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn push_is_ambiguous_when_its_answer_was_lost_and_the_repeated_call_was_refused() {
    let scene = Scene::new().await;
    let mut ambiguous = 0;
    for _ in 0..20 {
        let id = MessageId::generate();
        scene.proxy.arm();
        let far = scene.far.clone();
        let pushing =
            tokio::spawn(async move { far.push(Message::new(Raw::from("a")).id(id)).await });
        while scene.proxy.is_armed() {
            tokio::task::yield_now().await;
        }
        // The repeated call waits for up to 10 ms; mostly it comes after this.
        scene.fixture.redis::<()>(&["CONFIG", "SET", "maxmemory", "1"]);
        let pushed = pushing.await.unwrap();
        scene.fixture.redis::<()>(&["CONFIG", "SET", "maxmemory", "0"]);
        assert!(scene.fixture.queue.find(&[id]).await.unwrap()[0].is_some());
        match pushed {
            Ok(pushed) => assert_eq!(pushed, Pushed::Ready(id)),
            Err(error) => {
                assert!(matches!(error, Error::Ambiguous { .. }), "{error}");
                ambiguous += 1;
            }
        }
    }
    assert!(ambiguous > 0, "the server was never full in time");
}

#[tokio::test]
async fn no_more_than_were_asked_for_go_or_come_back_when_an_answer_was_lost() {
    const ALWAYS: u64 = 9_000_000_000_000;
    let scene = Scene::new().await;
    scene.fixture.fill_dead(4).await;
    scene.proxy.arm();
    let purged = scene.far.dead().purge_oldest(1, ALWAYS).await;
    assert!(matches!(purged, Err(Error::Ambiguous { .. })), "{purged:?}");
    scene.ends_with([0, 0, 0, 3]).await;
    // Over a new connection, whose greeting is not to be lost.
    assert_eq!(scene.far.counts().await.unwrap().dead, 3);
    scene.proxy.arm();
    let redriven = scene.far.dead().redrive_oldest(1, ALWAYS).await;
    assert!(matches!(redriven, Err(Error::Ambiguous { .. })), "{redriven:?}");
    scene.ends_with([1, 0, 0, 2]).await;
}
