use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use redeliver::{
    Backoff, Cancelled, Context, Counts, Handler, IntoOutcome, Message, Outcome, Policy, Poller,
    Queue, Raw, State, Worker,
};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::fixture::{Fixture, SECOND, TestServer, shared};

async fn fixture() -> Fixture {
    Fixture::on(shared(), Policy::default().max_attempts(3).backoff(Backoff::None)).await
}

/// A worker in a task, and how to end it.
struct Running {
    stop: CancellationToken,
    task: JoinHandle<redeliver::Result<()>>,
}

impl Running {
    fn start<H: Handler<Raw>>(worker: Worker<Raw, H>) -> Self {
        let stop = CancellationToken::new();
        let task = tokio::spawn(worker.run(stop.clone().cancelled_owned()));
        Self { stop, task }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }
}

/// Waits for the counts to show something; a slow machine only makes it wait longer.
async fn until(fixture: &Fixture, what: impl Fn(&Counts) -> bool) -> Counts {
    loop {
        let counts = fixture.counts().await;
        assert!(counts.law_holds(), "{counts:?}");
        if what(&counts) {
            return counts;
        }
        sleep(Duration::from_millis(5)).await;
    }
}

fn worker<F, Fut>(fixture: &Fixture, handler: F) -> Worker<Raw, impl Handler<Raw>>
where
    F: Fn(Raw, Context) -> Fut + Send + Sync + 'static,
    Fut: Future<Output: IntoOutcome> + Send + 'static,
{
    Worker::new(fixture.queue.clone(), handler)
}

#[tokio::test]
async fn worker_acks_what_its_handler_accepts_and_retries_what_it_refuses() {
    let fixture = fixture().await;
    for payload in ["good", "bad", "good"] {
        fixture.push(payload).await;
    }
    let running = Running::start(worker(&fixture, |payload: Raw, cx: Context| async move {
        if payload.0 == b"bad" {
            Err(format!("refused up to {}", cx.max_attempts()))
        } else {
            Ok(())
        }
    }));
    let counts = until(&fixture, |counts| counts.outstanding() == 0).await;
    assert_eq!((counts.acked, counts.dead, counts.retried, counts.died), (2, 1, 2, 1));
    let dead = fixture.queue.dead().peek(0, 10).await.unwrap().messages.remove(0);
    assert_eq!((dead.failures, dead.attempt), (3, 4));
    assert!(dead.history.iter().all(|failure| failure.error == "refused up to 3"));
    assert_eq!(dead.history.iter().map(|failure| failure.attempt).collect::<Vec<_>>(), [3, 2, 1]);
    running.stop().await;
    fixture.assert_law().await;
}

#[tokio::test]
async fn worker_follows_every_explicit_outcome() {
    let fixture = fixture().await;
    for payload in ["later", "bury", "release"] {
        fixture.push(payload).await;
    }
    let running = Running::start(worker(&fixture, |payload: Raw, cx: Context| async move {
        match (&payload.0[..], cx.attempt()) {
            (b"later", 1) => Outcome::retry_after(3600 * SECOND, "not today"),
            (b"bury", 1) => Outcome::bury("hopeless"),
            (b"release", 1) => Outcome::release_after(Duration::ZERO),
            _ => Outcome::Ack,
        }
    }));
    let counts = until(&fixture, |counts| counts.acked == 1 && counts.pending == 0).await;
    assert_eq!((counts.scheduled, counts.dead, counts.released, counts.buried), (1, 1, 1, 1));
    let later = fixture.queue.peek(State::Scheduled, 0, 1).await.unwrap().messages.remove(0);
    let wait = later.at_ms.unwrap() - fixture.counts().await.now_ms;
    assert!((3_500_000..=3_600_000).contains(&wait), "{wait} ms");
    running.stop().await;
    fixture.assert_law().await;
}

#[tokio::test]
async fn worker_counts_a_panic_as_a_failure_and_goes_on() {
    let fixture = fixture().await;
    fixture.push("panic").await;
    fixture.push("fine").await;
    let running = Running::start(worker(&fixture, |payload: Raw, _: Context| async move {
        assert_ne!(payload.0, b"panic", "told to");
    }));
    let counts = until(&fixture, |counts| counts.outstanding() == 0).await;
    assert_eq!((counts.acked, counts.dead), (1, 1));
    let dead = fixture.queue.dead().peek(0, 1).await.unwrap().messages.remove(0);
    assert!(dead.history[0].error.starts_with("panic: "), "{:?}", dead.history);
    running.stop().await;
}

#[tokio::test]
async fn worker_buries_what_no_handler_can_read_and_keeps_its_bytes() {
    let fixture = fixture().await;
    fixture.push("not json").await;
    let typed: Queue<Vec<u32>> =
        fixture.queue.server().queue(fixture.queue.name().as_str()).unwrap();
    let stop = CancellationToken::new();
    let worker = Worker::new(typed, async |_: Vec<u32>, _: Context| {});
    let task = tokio::spawn(worker.run(stop.clone().cancelled_owned()));
    let running = Running { stop, task };
    until(&fixture, |counts| counts.dead == 1).await;
    let dead = fixture.queue.dead().peek(0, 1).await.unwrap().messages.remove(0);
    assert_eq!(dead.payload, b"not json");
    assert!(dead.history[0].error.contains("decoded"), "{:?}", dead.history);
    running.stop().await;
}

#[tokio::test]
async fn worker_never_runs_more_handlers_than_it_has_room_for() {
    let fixture = fixture().await;
    for _ in 0..50 {
        fixture.push("x").await;
    }
    let running = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let (now, peak) = (Arc::clone(&running), Arc::clone(&most));
    let handler = move |_: Raw, _: Context| {
        let (now, peak) = (Arc::clone(&now), Arc::clone(&peak));
        async move {
            peak.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            now.fetch_sub(1, Ordering::SeqCst);
        }
    };
    let running = Running::start(worker(&fixture, handler).concurrency(4));
    until(&fixture, |counts| counts.acked == 50).await;
    assert!(most.load(Ordering::SeqCst) <= 4);
    running.stop().await;
}

/// The test's runtime has one thread, and each handler blocks it for longer than a lease, which is
/// long enough for the extender to be late on a busy machine. The second message waits for the first
/// one's handler, and the first one's ack for the second one's.
#[tokio::test]
async fn leases_outlive_handlers_that_block_the_runtime() {
    let fixture = fixture().await;
    fixture.push("x").await;
    fixture.push("y").await;
    let worker = worker(&fixture, |_: Raw, _: Context| async {
        std::thread::sleep(7 * SECOND);
    });
    let running = Running::start(worker.lease(5 * SECOND));
    let counts = until(&fixture, |counts| counts.outstanding() == 0).await;
    assert_eq!((counts.acked, counts.reclaimed), (2, 0));
    running.stop().await;
}

/// The server refuses its claim for longer than a lease and than the handler may run, and then grants it.
#[tokio::test]
async fn a_handler_has_all_of_its_time_and_its_lease_after_a_claim_that_was_repeated() {
    let server = TestServer::start(&[]);
    let fixture = Fixture::on(&server, Policy::default().max_attempts(1)).await;
    fixture.push("x").await;
    fixture.redis::<()>(&["REPLICAOF", "127.0.0.1", "1"]);
    let worker = worker(&fixture, |_: Raw, context: Context| async move {
        let lost = timeout(SECOND * 3 / 2, context.lost()).await;
        assert!(lost.is_err(), "told of a lease that has just begun");
    });
    let running = Running::start(worker.max_runtime(4 * SECOND).lease(3 * SECOND));
    sleep(5 * SECOND).await;
    fixture.redis::<()>(&["REPLICAOF", "NO", "ONE"]);
    let counts = until(&fixture, |counts| counts.outstanding() == 0).await;
    let dead = fixture.queue.dead().peek(0, 1).await.unwrap().messages;
    assert_eq!((counts.acked, counts.dead), (1, 0), "{dead:?}");
    running.stop().await;
}

#[tokio::test]
async fn a_handler_that_hangs_ends_at_its_cap_and_has_failed() {
    let fixture = Fixture::on(shared(), Policy::default().max_attempts(1)).await;
    fixture.push("x").await;
    let worker = worker(&fixture, |_: Raw, _: Context| std::future::pending::<()>());
    let running = Running::start(worker.max_runtime(SECOND));
    until(&fixture, |counts| counts.dead == 1).await;
    let dead = fixture.queue.dead().peek(0, 1).await.unwrap().messages.remove(0);
    assert_eq!(dead.history[0].error, "the handler ran for more than 1s");
    running.stop().await;
}

#[tokio::test]
async fn a_handler_is_told_when_its_message_is_cancelled_under_it() {
    let fixture = fixture().await;
    let id = fixture.push("x").await;
    let (started, mut handlers) = mpsc::unbounded_channel();
    let worker = worker(&fixture, move |_: Raw, cx: Context| {
        let started = started.clone();
        async move {
            started.send("started").unwrap();
            cx.lost().await;
            started.send("told").unwrap();
        }
    });
    let running = Running::start(worker.lease(10 * SECOND));
    assert_eq!(handlers.recv().await, Some("started"));
    assert_eq!(fixture.queue.cancel(&[id]).await.unwrap(), [Cancelled::Done]);
    assert_eq!(handlers.recv().await, Some("told"));
    running.stop().await;
    let counts = fixture.counts().await;
    assert_eq!((counts.acked, counts.cancelled, counts.messages), (0, 1, 0));
}

#[tokio::test]
async fn shutdown_releases_what_outlasts_its_grace_without_spending_a_failure() {
    let fixture = fixture().await;
    let slow = fixture.push("slow").await;
    fixture.push("quick").await;
    let (started, mut handlers) = mpsc::unbounded_channel();
    let worker = worker(&fixture, move |payload: Raw, _: Context| {
        let started = started.clone();
        async move {
            started.send(()).unwrap();
            if payload.0 == b"slow" {
                std::future::pending::<()>().await;
            }
        }
    });
    let running = Running::start(worker.grace(Duration::from_millis(50)));
    handlers.recv().await.unwrap();
    handlers.recv().await.unwrap();
    running.stop().await;
    assert_eq!(fixture.states().await, [1, 0, 0, 0]);
    let released = fixture.queue.find(&[slow]).await.unwrap().remove(0).unwrap();
    assert_eq!((released.attempt, released.failures), (2, 0));
    fixture.assert_law().await;
}

#[tokio::test]
async fn an_idle_worker_starts_a_message_that_is_pushed_elsewhere() {
    let fixture = fixture().await;
    let running = Running::start(worker(&fixture, |_: Raw, _: Context| async {}));
    let other = fixture.other().await;
    for round in 1..=20 {
        other.push(Raw::from("now")).await.unwrap();
        other.push(Message::new(Raw::from("soon")).delay(Duration::from_millis(20))).await.unwrap();
        until(&fixture, |counts| counts.acked == 2 * round).await;
    }
    running.stop().await;
}

#[tokio::test]
async fn a_paused_queue_hands_out_nothing_until_it_is_resumed() {
    let fixture = fixture().await;
    fixture.queue.pause().await.unwrap();
    let running = Running::start(worker(&fixture, |_: Raw, _: Context| async {}));
    fixture.push("x").await;
    assert!(fixture.queue.claim(1).await.unwrap().is_empty());
    assert_eq!(fixture.states().await, [1, 0, 0, 0]);
    fixture.queue.resume().await.unwrap();
    until(&fixture, |counts| counts.acked == 1).await;
    running.stop().await;
}

#[tokio::test]
async fn a_full_worker_leaves_the_bell_to_an_idle_one() {
    let fixture = fixture().await;
    let (started, mut handlers) = mpsc::unbounded_channel();
    let full = worker(&fixture, move |_: Raw, _: Context| {
        let started = started.clone();
        async move {
            started.send(()).unwrap();
            std::future::pending::<()>().await;
        }
    });
    let full = Running::start(full.concurrency(1).without_poller().grace(Duration::ZERO));
    fixture.push("held").await;
    handlers.recv().await.unwrap();
    let idle = worker(&fixture, |_: Raw, _: Context| async {}).without_poller();
    let idle = Running::start(idle);
    for round in 1..=20 {
        fixture.push("next").await;
        until(&fixture, |counts| counts.acked == round).await;
    }
    idle.stop().await;
    full.stop().await;
    assert_eq!(fixture.states().await, [1, 0, 0, 0]);
}

/// A type whose values cannot even be read without a panic.
struct Hostile;

impl serde::Serialize for Hostile {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

impl<'de> serde::Deserialize<'de> for Hostile {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        panic!("while decoding")
    }
}

#[tokio::test]
async fn worker_counts_a_panic_outside_the_handlers_future_as_a_failure() {
    let fixture = fixture().await;
    fixture.push("x").await;
    let handler = |payload: Raw, _: Context| {
        assert!(payload.0.is_empty(), "before the future");
        async {}
    };
    let running = Running::start(worker(&fixture, handler));
    until(&fixture, |counts| counts.dead == 1).await;
    running.stop().await;

    fixture.push("null").await;
    let typed: Queue<Hostile> =
        fixture.queue.server().queue(fixture.queue.name().as_str()).unwrap();
    let stop = CancellationToken::new();
    let policy = Policy::default().backoff(Backoff::None);
    let worker = Worker::new(typed.with_policy(policy).unwrap(), async |_: Hostile, _: Context| {});
    let task = tokio::spawn(worker.run(stop.clone().cancelled_owned()));
    until(&fixture, |counts| counts.dead == 2).await;
    Running { stop, task }.stop().await;
    let dead = fixture.queue.dead().peek(0, 10).await.unwrap().messages;
    assert!(dead.iter().all(|dead| dead.history[0].error.starts_with("panic: ")), "{dead:?}");
}

#[tokio::test]
async fn worker_takes_a_delay_beyond_all_bounds_as_the_longest() {
    let fixture = fixture().await;
    fixture.push("x").await;
    let handler = |_: Raw, _: Context| async { Outcome::release_after(Duration::MAX) };
    let running = Running::start(worker(&fixture, handler));
    until(&fixture, |counts| counts.scheduled == 1).await;
    running.stop().await;
    assert_eq!(fixture.counts().await.released, 1);
}

#[tokio::test]
async fn a_poller_tells_how_late_it_came_for_an_ended_lease() {
    let policy = Policy::default().max_attempts(0).lease(Duration::from_millis(200));
    let fixture = Fixture::on(shared(), policy).await;
    let (tell, mut told) = mpsc::unbounded_channel();
    let poller = Poller::new(fixture.queue.clone()).observed(move |pass| {
        let done = pass.as_ref().unwrap();
        tell.send((done.reclaimed, done.late)).unwrap();
    });
    let poller = tokio::spawn(poller.run(std::future::pending::<()>()));
    fixture.push("a").await;
    // On a slow machine a lease may end before the poller has heard of it.
    for _ in 0..50 {
        let _held = fixture.claim().await;
        let late = loop {
            if let (1, late) = told.recv().await.unwrap() {
                break late;
            }
        };
        if late.is_some() {
            poller.abort();
            return;
        }
    }
    panic!("it never told");
}

#[tokio::test]
async fn a_worker_without_room_or_with_more_than_there_may_be_is_refused() {
    let fixture = fixture().await;
    for concurrency in [0, 100_001] {
        let worker = worker(&fixture, |_: Raw, _: Context| async {}).concurrency(concurrency);
        let refused = worker.run(std::future::ready(())).await.unwrap_err();
        assert!(refused.is_invalid(), "{refused}");
    }
}
