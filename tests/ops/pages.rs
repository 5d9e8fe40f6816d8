//! How many records a call reads at a time: no more than its budget may have room for.

use futures_util::StreamExt as _;
use redeliver::Policy;

use crate::fixture::{Fixture, shared};

/// Three and a half fit into the budget of 2 MiB.
pub(crate) const LONG: usize = 600_000;

/// Records that the scripts of a call read, read by read, as `MONITOR` tells.
pub(crate) async fn pages_of(fixture: &Fixture, call: impl Future) -> Vec<usize> {
    let monitor = shared().client().get_async_monitor().await.unwrap();
    let mut told = monitor.into_on_message::<String>();
    call.await;
    let end = format!("the-end-of-{}", fixture.queue.name());
    fixture.redis::<Option<String>>(&["GET", &end]);
    let read = format!("\"HMGET\" \"{}\"", fixture.key("messages"));
    let mut pages = Vec::new();
    loop {
        let line = told.next().await.unwrap();
        if line.contains(&end) {
            return pages;
        }
        if line.contains(" lua] ") && line.contains(&read) {
            pages.push(line.split("\" \"").count() - 2);
        }
    }
}

/// A queue that takes long ones.
pub(crate) async fn queue() -> Fixture {
    Fixture::on(shared(), Policy::default().payload_limit(LONG)).await
}

/// As many messages of that length.
pub(crate) async fn push(fixture: &Fixture, count: usize, length: usize) {
    let payloads = (0..count).map(|_| redeliver::Raw(vec![b'x'; length]));
    fixture.queue.push_all(payloads).await.unwrap();
}
