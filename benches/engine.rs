//! Is the embedded engine as fast as a server on the same machine? A bad answer is a ratio below 1.
//!
//! Both run the same calls of the library in turn, round by round, so that whatever else the machine
//! does meets both; the medians of the rounds are compared. The engine is reached through its pipe,
//! the server through its Unix socket, and neither writes a file.
//! CPU is of the whole of it, client and server: a busy machine disturbs it less than the rates.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_precision_loss,
    reason = "a bench that cannot go on stops"
)]

#[path = "../tests/ops/fixture.rs"]
#[expect(dead_code, reason = "the tests use the rest of it")]
mod fixture;

use std::io::Write as _;
use std::time::Instant;

use fixture::TestServer;
use futures_util::future::join_all;
use redeliver::embedded::{Engine, Options};
use redeliver::{Queue, Raw, Server};
use serde::Serialize;

const MESSAGES: usize = 10_000;
const CLAIMED: u32 = 500;
const BODIES: [usize; 2] = [100, 4_000];

/// Messages a second, one figure a round.
#[derive(Default)]
struct Rates {
    push: Vec<f64>,
    claim_and_ack: Vec<f64>,
    all: Vec<f64>,
    cpu_us: Vec<f64>,
}

#[derive(Serialize)]
struct Row {
    step: &'static str,
    body: usize,
    engine_per_s: f64,
    server_per_s: f64,
    ratio: f64,
}

#[derive(Serialize)]
struct Cpu {
    body: usize,
    engine_cpu_us: f64,
    server_cpu_us: f64,
    ratio: f64,
}

#[tokio::main(worker_threads = 2)]
async fn main() -> std::io::Result<()> {
    // `cargo test --benches` and criterion's own flags only want to see that it builds.
    if std::env::args().any(|arg| arg == "--test" || arg == "--list") {
        return Ok(());
    }
    let rounds = std::env::var("ENGINE_ROUNDS").map_or(21, |told| told.parse().unwrap());
    let process = TestServer::start(&[]);
    let mut info = process.client().get_connection().unwrap();
    let server = Server::connect(&process.url()).await.unwrap().queue("bench").unwrap();
    let engine = Engine::start(Options::default()).unwrap();
    let engine = Server::embedded(&engine).queue("bench").unwrap();
    let mut out = std::io::stdout().lock();
    for body in BODIES {
        let mut rates = [Rates::default(), Rates::default()];
        for round in 0..=rounds {
            let mut sides = [(&engine, 0), (&server, 1)];
            sides.rotate_left(round % 2);
            for (queue, side) in sides {
                let before = cpu_us(&mut info);
                let took = life(queue, body).await;
                // The first round fills caches.
                if round > 0 {
                    rates[side].note(took);
                    rates[side].cpu_us.push((cpu_us(&mut info) - before) / MESSAGES as f64);
                }
            }
        }
        let [engine, server] = rates;
        let steps = [
            ("push", engine.push, server.push),
            ("claim and ack", engine.claim_and_ack, server.claim_and_ack),
            ("push, claim and ack", engine.all, server.all),
        ];
        for (step, engine, server) in steps {
            let (engine_per_s, server_per_s) = (median(engine), median(server));
            let ratio = engine_per_s / server_per_s;
            let row = Row { step, body, engine_per_s, server_per_s, ratio };
            writeln!(out, "{}", serde_json::to_string(&row).unwrap())?;
        }
        let [engine_cpu_us, server_cpu_us] = [median(engine.cpu_us), median(server.cpu_us)];
        let ratio = server_cpu_us / engine_cpu_us;
        let row = Cpu { body, engine_cpu_us, server_cpu_us, ratio };
        writeln!(out, "{}", serde_json::to_string(&row).unwrap())?;
    }
    Ok(())
}

/// What this process and the server's have spent so far, in microseconds.
fn cpu_us(server: &mut redis::Connection) -> f64 {
    let told: String = redis::cmd("INFO").arg("cpu").query(server).unwrap();
    let spent = |name: &str| -> f64 {
        let line = told.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().trim().parse::<f64>().unwrap() * 1e6
    };
    let own = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let own = own.tv_sec as f64 * 1e6 + own.tv_nsec as f64 / 1e3;
    own + spent("used_cpu_user:") + spent("used_cpu_sys:")
}

/// Pushes, claims and acknowledges all messages: seconds for the push, and for the rest.
async fn life(queue: &Queue<Raw>, body: usize) -> [f64; 2] {
    let begun = Instant::now();
    queue.push_all((0..MESSAGES).map(|_| Raw(vec![b'x'; body]))).await.unwrap();
    let pushed = begun.elapsed().as_secs_f64();
    let mut left = MESSAGES;
    while left > 0 {
        let claimed = queue.claim(CLAIMED).await.unwrap();
        left -= claimed.len();
        let acks = claimed.into_iter().map(|delivery| async move { delivery.ack().await.unwrap() });
        join_all(acks).await;
    }
    [pushed, begun.elapsed().as_secs_f64() - pushed]
}

impl Rates {
    fn note(&mut self, [push, rest]: [f64; 2]) {
        let rate = |seconds: f64| MESSAGES as f64 / seconds;
        self.push.push(rate(push));
        self.claim_and_ack.push(rate(rest));
        self.all.push(rate(push + rest));
    }
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_unstable_by(f64::total_cmp);
    rates[rates.len() / 2]
}
