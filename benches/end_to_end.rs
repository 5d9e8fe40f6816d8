//! How many messages a second go through push, claim, handler and ack, by workers × concurrency ×
//! payload? A bad answer is a worker that gains nothing from a second one's room, or a payload that
//! costs more than its bytes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a bench that cannot go on stops"
)]

#[path = "../tests/ops/fixture.rs"]
#[expect(dead_code, reason = "the tests use the rest of it")]
mod fixture;

use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fixture::{Fixture, TestServer};
use redeliver::{Context, Policy, Raw, Worker};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const MESSAGES: usize = 5_000;
const WORKERS: [usize; 2] = [1, 4];
const CONCURRENCY: [usize; 2] = [16, 256];
const BODIES: [usize; 2] = [100, 10_000];

async fn round(fixture: &Fixture, workers: usize, concurrency: usize, body: usize) -> Duration {
    let stop = CancellationToken::new();
    let mut running = JoinSet::new();
    for _ in 0..workers {
        let worker = Worker::new(fixture.queue.clone(), async |_: Raw, _: Context| {});
        running.spawn(worker.concurrency(concurrency).run(stop.clone().cancelled_owned()));
    }
    let started = Instant::now();
    fixture.queue.push_all((0..MESSAGES).map(|_| Raw(vec![b'x'; body]))).await.unwrap();
    while fixture.counts().await.messages > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let took = started.elapsed();
    stop.cancel();
    running.join_all().await;
    took
}

fn end_to_end(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = TestServer::start(&[]);
    let fixture = runtime.block_on(Fixture::on(&server, Policy::default()));
    let mut group = criterion.benchmark_group("end_to_end");
    group.throughput(Throughput::Elements(MESSAGES as u64)).sample_size(10);
    for workers in WORKERS {
        for concurrency in CONCURRENCY {
            for body in BODIES {
                let id = format!("workers={workers}/concurrency={concurrency}/body={body}B");
                group.bench_function(id, |bencher| {
                    bencher.iter_custom(|rounds| {
                        let one = || runtime.block_on(round(&fixture, workers, concurrency, body));
                        (0..rounds).map(|_| one()).sum()
                    });
                });
            }
        }
    }
    group.finish();
}

criterion_group!(benches, end_to_end);
criterion_main!(benches);
