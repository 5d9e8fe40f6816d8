//! What does one call of each verb cost at each batch size? A bad answer grows faster than the batch.
//!
//! Every group works through the scripts as clients send them, on a server of its own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a bench that cannot go on stops"
)]

#[path = "../tests/ops/fixture.rs"]
#[expect(dead_code, reason = "the tests use the rest of it")]
mod fixture;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fixture::{Fixture, TestServer};
use redeliver::{MessageId, Policy};

const BATCHES: [usize; 3] = [1, 100, 500];
const PAYLOAD: usize = 100;

/// Prepares a queue of `n` messages for a verb and gives the verb's ARGV.
type Prepare = fn(&Fixture, usize) -> Vec<String>;

const FAR_LEASE: &str = "60000";
const ALWAYS: &str = "9000000000000";

fn items(n: usize, due: &str) -> Vec<String> {
    let record = format!("3\n\n{}", "x".repeat(PAYLOAD));
    let item = |_| [MessageId::generate().to_string(), record.clone(), String::new(), due.into()];
    (0..n).flat_map(item).collect()
}

fn call(fixture: &Fixture, verb: &str, argv: &[String]) {
    let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
    fixture.script(verb, &argv).unwrap();
}

fn ids(items: &[String]) -> impl Iterator<Item = String> {
    items.iter().step_by(4).cloned()
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn ready(fixture: &Fixture, n: usize) -> Vec<String> {
    let items = items(n, "0");
    call(fixture, "push", &items);
    ids(&items).collect()
}

fn scheduled(fixture: &Fixture, n: usize) -> Vec<String> {
    let items = items(n, "3600000");
    call(fixture, "push", &items);
    ids(&items).collect()
}

fn pending(fixture: &Fixture, n: usize, lease: &str) -> Vec<String> {
    let ids = ready(fixture, n);
    call(fixture, "claim", &words(&[&n.to_string(), "100000000", lease]));
    ids
}

/// The receipts of `n` first deliveries, each followed by what the verb wants to know.
fn receipts(fixture: &Fixture, n: usize, rest: &[&str]) -> Vec<String> {
    let one = |id| [id, "1".into()].into_iter().chain(words(rest)).collect::<Vec<_>>();
    pending(fixture, n, FAR_LEASE).into_iter().flat_map(one).collect()
}

fn dead(fixture: &Fixture, n: usize) -> Vec<String> {
    let receipts = receipts(fixture, n, &["1 1 3"]);
    call(fixture, "bury", &receipts);
    words(&[&n.to_string(), ALWAYS])
}

/// As many messages fell due as leases ended.
fn overdue(fixture: &Fixture, n: usize) -> Vec<String> {
    pending(fixture, n, "1");
    call(fixture, "push", &items(n, "1"));
    std::thread::sleep(std::time::Duration::from_millis(3));
    words(&[&n.to_string(), "bench"])
}

const VERBS: [(&str, Prepare); 25] = [
    ("push", |_, n| items(n, "0")),
    ("claim", |fixture, n| {
        ready(fixture, n);
        words(&[&n.to_string(), "100000000", FAR_LEASE])
    }),
    ("ack", |fixture, n| receipts(fixture, n, &[])),
    ("retry", |fixture, n| receipts(fixture, n, &["1 1 3", "1000"])),
    ("bury", |fixture, n| receipts(fixture, n, &["1 1 3"])),
    ("release", |fixture, n| receipts(fixture, n, &["1 0 3", "0"])),
    ("extend", |fixture, n| receipts(fixture, n, &[FAR_LEASE])),
    ("redeliver", overdue),
    ("cancel", scheduled),
    ("reschedule", |fixture, n| {
        scheduled(fixture, n).into_iter().flat_map(|id| [id, "7200000".into()]).collect()
    }),
    ("redrive", dead),
    ("steer", |fixture, n| {
        let named = dead(fixture, n).split_off(2);
        words(&["", "", &n.to_string(), ALWAYS]).into_iter().chain(named).collect()
    }),
    ("fence", |fixture, n| {
        let names = ready(fixture, n);
        words(&["1 2 1"]).into_iter().chain(names).collect()
    }),
    ("purge", dead),
    ("trim", |fixture, n| {
        dead(fixture, n);
        words(&[&n.to_string(), ALWAYS, "0"])
    }),
    ("limit", |_, _| words(&["1000000", "0"])),
    ("pause", |_, _| Vec::new()),
    ("resume", |_, _| Vec::new()),
    ("peek", |fixture, n| {
        ready(fixture, n);
        words(&["ready", "0", &n.to_string(), "100000000"])
    }),
    ("find", |fixture, n| ready(fixture, n.min(16))),
    ("forecast", |fixture, n| {
        scheduled(fixture, n);
        (0..n.min(128)).map(|second| (second * 1000).to_string()).collect()
    }),
    ("counts", |_, _| Vec::new()),
    ("check", |fixture, n| {
        ready(fixture, n);
        words(&["ready", "0", &n.to_string()])
    }),
    // Eight orphans at most, each of them looked for in a list of this length.
    ("repair", |fixture, n| {
        let ids = ready(fixture, n);
        let lost: Vec<_> = ids.into_iter().rev().take(8).collect();
        for id in &lost {
            fixture.redis::<()>(&["LREM", &fixture.key("ready"), "-1", id]);
        }
        lost
    }),
    ("destroy", |fixture, n| {
        ready(fixture, n);
        Vec::new()
    }),
];

fn verbs(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = TestServer::start(&[]);
    let fixture = runtime.block_on(Fixture::on(&server, Policy::default()));
    for (verb, prepare) in VERBS {
        let mut group = criterion.benchmark_group(verb);
        for batch in BATCHES {
            group.throughput(Throughput::Elements(batch as u64));
            group.bench_with_input(
                BenchmarkId::from_parameter(format!("batch={batch}")),
                &batch,
                |bencher, batch| {
                    let setup = || {
                        call(&fixture, "destroy", &[]);
                        prepare(&fixture, *batch)
                    };
                    bencher.iter_batched(
                        setup,
                        |argv| call(&fixture, verb, &argv),
                        BatchSize::PerIteration,
                    );
                },
            );
        }
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).warm_up_time(std::time::Duration::from_millis(200))
        .measurement_time(std::time::Duration::from_millis(800));
    targets = verbs
}
criterion_main!(benches);
