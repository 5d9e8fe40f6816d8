//! The metrics, as a Prometheus exporter in the same process shows them.

use std::fmt::Debug;
use std::str::FromStr;
use std::sync::OnceLock;
use std::time::Duration;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use redeliver::{Backoff, Context, Error, Limits, Message, Outcome, Policy, Raw, Worker};
use tokio_util::sync::CancellationToken;

use crate::fixture::{Fixture, SECOND, TestServer, shared};

/// What this process has told so far; queues of other tests have other names.
fn told() -> String {
    static EXPORTER: OnceLock<PrometheusHandle> = OnceLock::new();
    let exporter = EXPORTER.get_or_init(|| {
        let exporter = PrometheusBuilder::new().install_recorder().unwrap();
        redeliver::metrics::describe();
        exporter
    });
    exporter.render()
}

/// A queue whose handles go to the exporter.
async fn metered(policy: Policy) -> Fixture {
    told();
    Fixture::on(shared(), policy).await
}

/// The value of the line that begins so.
fn value<T: FromStr<Err: Debug>>(text: &str, line: &str) -> Option<T> {
    let rest = text.lines().find_map(|told| told.strip_prefix(line))?;
    Some(rest.trim().parse().unwrap())
}

fn count(queue: &Fixture, metric: &str, outcome: &str) -> u64 {
    let queue = queue.queue.name();
    let line = format!("{metric}{{queue=\"{queue}\",outcome=\"{outcome}\"}}");
    value(&told(), &line).unwrap_or_else(|| panic!("no {line} in\n{}", told()))
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let begun = std::time::Instant::now();
    while !holds() {
        assert!(begun.elapsed() < 60 * SECOND, "{what}: waited in vain:\n{}", told());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn each_outcome_of_a_push_is_counted_once() {
    let fixture = metered(Policy::default()).await;
    let queue = &fixture.queue;
    let outcomes = || {
        ["ready", "scheduled", "duplicate", "limited"]
            .map(|outcome| count(&fixture, redeliver::metrics::PUSHES, outcome))
    };
    assert_eq!(outcomes(), [0; 4]);
    let keyed = || Message::new(Raw::from("x")).key("k");
    queue.push(keyed()).await.unwrap();
    queue.push(keyed()).await.unwrap();
    queue.push_all(vec![Message::new(Raw::from("x")).delay(SECOND); 3]).await.unwrap();
    queue.limit(Limits { max_ready: Some(1), max_bytes: None }).await.unwrap();
    assert!(matches!(queue.push(Raw::from("x")).await, Err(Error::Limited { .. })));
    assert_eq!(outcomes(), [1, 3, 1, 1]);
}

#[tokio::test]
async fn each_outcome_of_a_settling_is_counted_once() {
    let fixture = metered(Policy::default().max_attempts(2).backoff(Backoff::None)).await;
    fixture.push_many(5).await;
    let _settled = fixture.claim().await.ack().await.unwrap();
    let _settled = fixture.claim().await.bury("r").await.unwrap();
    let gone = fixture.claim().await;
    fixture.queue.cancel(&[gone.id()]).await.unwrap();
    let _lost = gone.ack().await.unwrap();
    let _settled = fixture.claim().await.release(60 * SECOND).await.unwrap();
    for _ in 0..2 {
        let _settled = fixture.claim().await.retry("e").await.unwrap();
    }
    let outcomes = ["acked", "buried", "lost", "released", "retried", "died", "unknown"]
        .map(|outcome| count(&fixture, redeliver::metrics::SETTLES, outcome));
    assert_eq!(outcomes, [1, 1, 1, 1, 1, 1, 0]);
    let claimed = value::<f64>(&told(), "redeliver_batch_messages_sum{verb=\"claim\"}");
    assert!(claimed.unwrap() >= 6.0);
}

#[tokio::test]
async fn a_worker_tells_how_long_its_handlers_ran_and_its_poller_what_it_moved_and_how_late() {
    let fixture = metered(Policy::default().backoff(Backoff::None)).await;
    let name = fixture.queue.name().clone();
    let line = |metric: &str| format!("{metric}{{queue=\"{name}\"}}");
    let of = |metric: &str| value::<f64>(&told(), &line(metric));
    let whole = |metric: &str| value::<u64>(&told(), &line(metric));
    let acked = || count(&fixture, redeliver::metrics::SETTLES, "acked");
    let stop = CancellationToken::new();
    let worker = Worker::new(fixture.queue.clone(), async |_: Raw, _: Context| Outcome::Ack);
    let worker = tokio::spawn(worker.run(stop.clone().cancelled_owned()));
    until("a pass", || of(redeliver::metrics::LAST_PASS).is_some()).await;
    // On a slow machine a message may be due before the poller has heard of it.
    let mut pushed = 0;
    while whole("redeliver_lateness_seconds_count") < Some(1) {
        let later = Message::new(Raw::from("x")).delay(Duration::from_millis(200));
        fixture.queue.push(later).await.unwrap();
        pushed += 1;
        until("an ack", || acked() >= pushed).await;
    }
    stop.cancel();
    worker.await.unwrap().unwrap();
    assert_eq!(count(&fixture, redeliver::metrics::MOVED, "promoted"), pushed);
    assert_eq!(whole("redeliver_handler_seconds_count"), Some(pushed));
    assert!(of("redeliver_lateness_seconds_sum").unwrap() < 60.0);
    // By two clocks of one host.
    let now = f64::from(u32::try_from(fixture.now_us() / 1_000_000).unwrap());
    assert!((of(redeliver::metrics::LAST_PASS).unwrap() - now).abs() < 60.0);
    let text = told();
    for line in ["batch_messages_count{verb=\"ack\"}", "call_seconds_count{verb=\"claim\"}"] {
        assert!(value::<u64>(&text, &format!("redeliver_{line}")).unwrap() >= 1, "{text}");
    }
}

#[tokio::test]
async fn a_server_that_goes_away_shows_in_connections_and_repeated_calls() {
    told();
    let mut server = TestServer::start(&[]);
    let fixture = Fixture::on(&server, Policy::default()).await;
    fixture.push("x").await;
    let all = |metric: &str| {
        let text = told();
        let lines = text.lines().filter(|line| line.starts_with(&format!("{metric}{{")));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum::<f64>()
    };
    let (connects, faults) = (all("redeliver_connects_total"), all("redeliver_call_faults_total"));
    server.kill();
    let queue = fixture.queue.clone();
    let pushed = tokio::spawn(async move { queue.push(Raw::from("y")).await });
    until("a fault", || all("redeliver_call_faults_total") > faults).await;
    server.restart();
    // Without a file the server comes back empty; what counts here is that it comes back.
    pushed.await.unwrap().unwrap();
    assert!(all("redeliver_connects_total") > connects);
}
