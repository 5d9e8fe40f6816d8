//! `redeliver bench`: what this server, this machine and this network give, beside a floor.

mod floor;
mod late;
mod load;
mod plot;
mod probe;

use std::path::PathBuf;

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use redeliver::{Queue, Raw};
use serde::Serialize;

use self::late::Lateness;
use self::probe::Probe;
use crate::args::Global;
use crate::exit_code::Exit;
use crate::output;
use crate::server::Session;

/// Messages for the memory figures: where the hash tables of the server are in their usual state.
const MEMORY_MESSAGES: u32 = 50_000;

/// `bench`: it works on a queue of its own, which it destroys at the end. Server CPU and memory are
/// read from INFO, so other traffic on the server is counted in; take a quiet one.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  redeliver bench                              on a private server
  redeliver --url redis://host bench -o json   on one of yours; it should be quiet
  redeliver bench --plot lateness.svg

Server CPU and memory are read from INFO: other traffic is counted in. The queue that it
works on is destroyed at the end.")]
pub(crate) struct BenchArgs {
    /// Messages pushed and worked in each throughput phase.
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u32).range(1000..))]
    messages: u32,
    /// Payload bytes.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(20..=200_000))]
    payload: u32,
    /// Tasks that push at the same time, each awaiting its own, and handlers that run at a time.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    concurrency: u32,
    /// Seconds over which 25 delayed messages a second fall due.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=600))]
    sparse_seconds: u32,
    /// Messages that fall due at the same moment.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    burst: u32,
    /// Draw the lateness of delayed messages into this SVG file.
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
}

/// What was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    push_per_s: f64,
    work_per_s: f64,
    floor_push_per_s: f64,
    floor_work_per_s: f64,
    push_of_floor: f64,
    work_of_floor: f64,
    lateness_ms: Quantiles,
    burst_drain_ms: f64,
    server_us_per_message: f64,
    server_us_per_message_batch_512: f64,
    retry_server_us_per_message: f64,
    bytes_ready: f64,
    bytes_scheduled: f64,
    idle_commands_per_s: f64,
    messages: u32,
    payload_bytes: u32,
    server: String,
}

impl Summary {
    fn in_words(&self) -> String {
        let row = |what: &str, value: String| vec![what.to_owned(), value];
        let late = &self.lateness_ms;
        let rows = [
            row("push, each task awaiting its own", format!("{:.0}/s", self.push_per_s)),
            row("  share of the floor", format!("{:.2}", self.push_of_floor)),
            row("claimed, handled, acked one by one", format!("{:.0}/s", self.work_per_s)),
            row("  share of the floor", format!("{:.2}", self.work_of_floor)),
            row("server CPU, push + claim + ack", format!("{:.1} us", self.server_us_per_message)),
            row("  three attempts", format!("{:.1} us", self.retry_server_us_per_message)),
            row("delayed, sparse: late p50", format!("{:.2} ms", late.p50)),
            row("  p99", format!("{:.2} ms", late.p99)),
            row("  max", format!("{:.2} ms", late.max)),
            row("burst: the last one handled", format!("{:.0} ms", self.burst_drain_ms)),
            row("bytes a message, ready", format!("{:.0}", self.bytes_ready)),
            row("  scheduled", format!("{:.0}", self.bytes_scheduled)),
            row("idle worker, commands", format!("{:.2}/s", self.idle_commands_per_s)),
        ];
        output::table(&[&self.server, "measured"], &rows)
    }
}

/// Milliseconds from the due time to the start of the handler.
#[derive(Debug, Serialize)]
pub(crate) struct Quantiles {
    p50: f64,
    p99: f64,
    max: f64,
}

/// What every phase needs.
struct Bench<'a> {
    args: &'a BenchArgs,
    queue: Queue<Raw>,
    probe: Probe,
    progress: ProgressBar,
}

impl Bench<'_> {
    fn phase(&self, name: &'static str) {
        self.progress.inc(1);
        self.progress.set_message(name);
    }
}

const PHASES: u64 = 8;

/// Runs all phases.
pub(crate) async fn run(global: &Global, args: &BenchArgs) -> Result<Exit> {
    let session = Session::open(global).await?;
    let name = format!("bench-{:08x}", fastrand::u32(..));
    let progress = ProgressBar::new(PHASES);
    progress.set_style(ProgressStyle::with_template("{bar:24} {pos}/{len} {msg} {elapsed}")?);
    let queue = session.server.queue(&name)?;
    let url = session.server.url_of(queue.name()).await?;
    let probe = Probe::connect(url.as_deref().unwrap_or(&session.url), &session.access).await?;
    let bench = Bench { args, queue, probe, progress };
    let measured = measure(&bench).await;
    bench.queue.destroy().await?;
    bench.progress.finish_and_clear();
    let (summary, sparse, burst) = measured?;
    if let Some(file) = &args.plot {
        plot::lateness(file, &sparse, &burst)?;
    }
    session.out.one(&summary, || summary.in_words())?;
    Ok(Exit::Ok)
}

async fn measure(bench: &Bench<'_>) -> Result<(Summary, Lateness, Lateness)> {
    let args = bench.args;
    bench.phase("floor: the same primitive commands, no scripts");
    let floor = floor::run(bench).await?;
    bench.phase("push: each task awaits its own");
    let push_per_s = load::push(bench).await?;
    bench.phase("work: claimed, handled, acked one by one");
    let work_per_s = load::work(bench).await?;
    bench.phase("server CPU: saturated");
    let server_us_per_message = load::server_us(bench, 100).await?;
    let server_us_per_message_batch_512 = load::server_us(bench, 512).await?;
    let retry_server_us_per_message = load::retry_server_us(bench).await?;
    bench.phase("memory");
    let bytes_ready = load::bytes(bench, std::time::Duration::ZERO).await?;
    let bytes_scheduled = load::bytes(bench, std::time::Duration::from_secs(3600)).await?;
    bench.phase("idle worker");
    let worker = late::Watched::start(bench).await?;
    let idle_commands_per_s = worker.idle_commands_per_s(bench).await?;
    bench.phase("sparse delayed messages");
    let sparse = worker.sparse(bench).await?;
    bench.phase("burst of delayed messages");
    let burst = worker.burst(bench).await?;
    worker.stop().await?;
    let summary = Summary {
        push_per_s,
        work_per_s,
        floor_push_per_s: floor.push_per_s,
        floor_work_per_s: floor.work_per_s,
        push_of_floor: push_per_s / floor.push_per_s,
        work_of_floor: work_per_s / floor.work_per_s,
        lateness_ms: Quantiles { p50: sparse.ms(0.5), p99: sparse.ms(0.99), max: sparse.ms(1.0) },
        burst_drain_ms: burst.ms(1.0),
        server_us_per_message,
        server_us_per_message_batch_512,
        retry_server_us_per_message,
        bytes_ready,
        bytes_scheduled,
        idle_commands_per_s,
        messages: args.messages,
        payload_bytes: args.payload,
        server: bench.probe.server().to_owned(),
    };
    Ok((summary, sparse, burst))
}
