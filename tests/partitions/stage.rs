//! What the tests of partitions share.

use std::time::Duration;

use redeliver::{Counts, Handler, IntoOutcome, MessageId, Policy, Queue, Raw, State, Worker};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::fixture::{Fixture, SECOND, script_text, shared};

/// A fresh queue with so many partitions.
pub(crate) async fn partitioned(count: u32) -> Fixture {
    let policy = Policy::default().max_attempts(3).lease(600 * SECOND);
    let fixture = Fixture::on(shared(), policy).await;
    assert_eq!(fixture.queue.set_partitions(count).await.unwrap().count, count);
    fixture
}

/// The key of one partition.
pub(crate) fn key(fixture: &Fixture, partition: u32, name: &str) -> String {
    format!("rd:{{{}.{partition}}}:{name}", fixture.queue.name())
}

/// Calls a script in one partition, as a client in another language would.
pub(crate) fn script(fixture: &Fixture, partition: u32, name: &str, argv: &[&str]) -> redis::Value {
    let text = script_text(name);
    let keys = crate::fixture::KEYS.map(|name| key(fixture, partition, name));
    let mut command = vec!["EVAL", &text, "10"];
    command.extend(keys.iter().map(String::as_str));
    command.extend(argv);
    fixture.redis(&command)
}

/// Pushes so many messages into one partition, by the routing that it has.
pub(crate) fn fill(fixture: &Fixture, partition: u32, count: usize) -> Vec<MessageId> {
    let ids: Vec<_> = (0..count).map(|_| MessageId::generate()).collect();
    let routing: Option<String> =
        fixture.redis(&["HGET", &key(fixture, partition, "meta"), "routing"]);
    let record = format!("3\n\n{partition}");
    let texts: Vec<_> = ids.iter().map(ToString::to_string).collect();
    let items = texts.iter().flat_map(|id| [id.as_str(), &record, "", "0"]);
    let argv: Vec<_> = routing.as_deref().into_iter().chain(items).collect();
    script(fixture, partition, "push", &argv);
    ids
}

/// The counts of each partition, whose law holds in each and in all.
pub(crate) async fn laws(queue: &Queue<Raw>) -> Vec<Counts> {
    let parts: Vec<_> =
        queue.counts_by_partition().await.into_iter().collect::<Result<_, _>>().unwrap();
    assert!(parts.iter().all(Counts::law_holds), "{parts:?}");
    let counts = queue.counts().await.unwrap();
    assert!(counts.law_holds(), "{counts:?}");
    parts
}

/// The law, and each id of each partition in exactly one place.
pub(crate) async fn assert_sound(fixture: &Fixture) {
    laws(&fixture.queue).await;
    fixture.assert_law().await;
}

/// Every message that lives, as (id, partition).
pub(crate) async fn living(queue: &Queue<Raw>) -> Vec<(MessageId, u32)> {
    let mut living = Vec::new();
    for state in State::ALL {
        let mut next = Some(0);
        while let Some(start) = next {
            let page = queue.peek(state, start, 1000).await.unwrap();
            living.extend(page.messages.iter().map(|it| (it.id, it.partition)));
            next = page.next;
        }
    }
    living.sort_unstable();
    living
}

/// Waits for something; a slow machine only makes it wait longer.
pub(crate) async fn until(mut holds: impl AsyncFnMut() -> bool) {
    while !holds().await {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What has to come long before an idle reader of the bell looks by itself, which is after 30 s.
pub(crate) async fn soon<T>(coming: impl Future<Output = T>) -> T {
    tokio::time::timeout(20 * SECOND, coming).await.expect("somebody was woken")
}

/// A worker in a task, and how to end it.
pub(crate) struct Running {
    stop: CancellationToken,
    task: JoinHandle<redeliver::Result<()>>,
}

impl Running {
    pub(crate) fn start<H: Handler<Raw>>(worker: Worker<Raw, H>) -> Self {
        let stop = CancellationToken::new();
        let task = tokio::spawn(worker.run(stop.clone().cancelled_owned()));
        Self { stop, task }
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }
}

/// A worker that tells what it handles.
pub(crate) fn telling<Fut: Future<Output: IntoOutcome> + Send + 'static>(
    queue: &Queue<Raw>,
    tell: impl Fn(MessageId, Raw) -> Fut + Send + Sync + 'static,
) -> Worker<Raw, impl Handler<Raw>> {
    Worker::new(queue.clone(), move |payload: Raw, context: redeliver::Context| {
        tell(context.id(), payload)
    })
}
