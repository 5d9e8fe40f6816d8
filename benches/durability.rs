//! What does a proof cost, a batch of one and a full one? A bad answer is a proof that takes longer than
//! the replica or the disk behind it. The fastest of many says most on a busy machine.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a bench that cannot go on stops"
)]

#[path = "../tests/ops/fixture.rs"]
#[expect(dead_code, reason = "the tests use the rest of it")]
mod fixture;
#[path = "../tests/durable/pair.rs"]
#[expect(dead_code, reason = "the tests use the rest of it")]
mod pair;

use std::io::Write as _;
use std::time::{Duration, Instant};

use fixture::SECOND;
use pair::{Pair, info};
use redeliver::{Durability, Policy, Raw};

const BATCHES: u32 = 200;

#[tokio::main(worker_threads = 2)]
async fn main() -> std::io::Result<()> {
    // `cargo test --benches` and criterion's own flags only want to see that it builds.
    if std::env::args().any(|arg| arg == "--test" || arg == "--list") {
        return Ok(());
    }
    let mut out = std::io::stdout().lock();
    for (name, durability, settings) in [
        ("memory", Durability::Memory, ["no", "everysec"]),
        ("replicated", Durability::Replicated(1), ["no", "everysec"]),
        ("memory, under always", Durability::Memory, ["yes", "always"]),
        ("synced, under always", Durability::Synced, ["yes", "always"]),
    ] {
        let pair = Pair::start();
        let fixture =
            pair.queue(Policy::default().durability(durability).proof_timeout(5 * SECOND)).await;
        fixture.redis::<()>(&["CONFIG", "SET", "appendfsync", settings[1]]);
        fixture.redis::<()>(&["CONFIG", "SET", "appendonly", settings[0]]);
        while info(&pair.master, "persistence").contains("aof_rewrite_in_progress:1") {
            tokio::time::sleep(SECOND / 100).await;
        }
        for size in [1, 512] {
            let mut fastest = Duration::MAX;
            for _ in 0..BATCHES {
                let payloads: Vec<_> = (0..size).map(|_| Raw(vec![b'x'; 100])).collect();
                let begun = Instant::now();
                fixture.queue.push_all(payloads).await.unwrap();
                fastest = fastest.min(begun.elapsed());
            }
            writeln!(out, "{name}: {size} a batch, {fastest:?} the fastest")?;
        }
    }
    Ok(())
}
