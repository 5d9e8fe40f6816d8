//! The phases of a run: storms with drills between them, recovery, judgement.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use redeliver::{Counts, Queue, Raw, State};
use tokio::runtime::{Builder, Handle};
use tokio::sync::{Mutex, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::agent::{LEASE, Role, hash};
use crate::crew::{Crew, Orders, Reach};
use crate::drills::{self, Drills};
use crate::faults::{Fault, Ground, Targets, storm};
use crate::history::check::check;
use crate::history::lateness::STEP_MS;
use crate::history::trouble::Troubles;
use crate::history::{Event, Log};
use crate::law::{self, Law};
use crate::proxy::Proxy;
use crate::report::Report;
use crate::server::PrivateServer;
use crate::topology::Servers;
use crate::{RunArgs, heartbeat, report};

const CREW: [(Role, usize); 4] =
    [(Role::Poller, 3), (Role::Worker, 3), (Role::Hand, 2), (Role::Producer, 2)];
/// Between two rounds of drills; a run of a minute has one of each.
const STORM: Duration = Duration::from_secs(15);
const STEP: Duration = Duration::from_millis(STEP_MS);
/// After the last lease has ended: a poller's longest sleep, and a claim whose answer gets lost.
const SPARE: Duration = Duration::from_secs(10);
/// What the slowest crew handles, with every message failing a few times.
const DRAINED_PER_SECOND: u64 = 200;
const LOOK_EVERY: Duration = Duration::from_millis(50);
const PAGE: u32 = 1_000;

pub(crate) async fn run(args: &RunArgs) -> Result<ExitCode> {
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
    let dir = tempfile::Builder::new().prefix("rd-chaos-").tempdir()?;
    report::announce(args, seed, dir.path());
    heartbeat::start(&histories(dir.path())?.join("stage"))?;
    let ran = play(args, seed, dir.path()).await;
    let passed = match &ran {
        Ok(report) => report.show(args, seed)?,
        Err(_) => false,
    };
    if args.keep || !passed {
        report::kept(&dir.keep(), seed);
    }
    ran.map(|_| if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn histories(dir: &Path) -> io::Result<PathBuf> {
    let histories = dir.join("history");
    fs::create_dir_all(&histories)?;
    Ok(histories)
}

async fn play(args: &RunArgs, seed: u64, dir: &Path) -> Result<Report> {
    let (faults, histories) = (args.faults()?, histories(dir)?);
    let store = tempfile::Builder::new().prefix("rd-chaos-").tempdir_in(args.store())?;
    let (network, handle) = network()?;
    let topology = args.topology;
    let servers = spawn_blocking(move || Servers::start(topology)).await?;
    let (ground, url, socket) = if let Some(servers) = servers {
        let url = servers.url();
        (Ground::Many(Arc::new(Mutex::new(servers))), url, PathBuf::new())
    } else {
        let server = PrivateServer::start(store.path(), &args.appendfsync).await?;
        let (url, socket) = (server.url(), server.socket());
        (Ground::One(Mutex::new(server)), url, socket)
    };
    let partitions = args.partitions();
    spread(&url, partitions).await?;
    let proxy = Proxy::new(socket, handle.clone());
    let reach = match &ground {
        Ground::One(_) => Reach::Through(proxy.clone()),
        Ground::Many(_) => Reach::Direct(url.clone()),
    };
    let beats = histories.join("proxy");
    handle.spawn(async move { heartbeat::of_tasks(&beats).await });
    let producers = CREW.iter().filter(|(role, _)| *role == Role::Producer);
    let orders = Orders {
        rate: args.rate / producers.map(|(_, count)| *count as u64).sum::<u64>(),
        replicas: topology.replicas(),
        mortal: faults.contains(&Fault::Kill),
    };
    let mut crew = Crew::new(reach, &histories, orders, seed);
    for (role, count) in CREW {
        crew.hire(role, count).await?;
    }
    let targets = Arc::new(Targets::new(crew, (ground, url, partitions), proxy, &histories)?);
    let stop = CancellationToken::new();
    let sampling = law::sample(targets.url.clone(), histories.clone(), stop.clone());
    let sampling = tokio::spawn(sampling);

    let mut drills = Drills::default();
    let (end, mut rng) = (Instant::now() + args.length(), fastrand::Rng::with_seed(seed));
    while Instant::now() < end {
        let until = end.min(Instant::now() + STORM);
        let every = Duration::from_millis(args.every);
        storm(&targets, &faults, (until, every), &mut rng).await?;
        if Instant::now() + drills::LENGTH < end {
            drills.run(&targets, &faults, &mut rng).await?;
        }
    }

    let recovery = recover(&targets, &faults).await?;
    stop.cancel();
    let law = sampling.await??;
    drop(network);
    judge(&histories, &targets, (law, recovery, drills)).await
}

/// A queue has one partition until it is told otherwise.
async fn spread(url: &str, partitions: u32) -> Result<()> {
    if partitions > 1 {
        law::queue(url)?.set_partitions(partitions).await?;
    }
    Ok(())
}

/// A runtime for the proxy alone, so that nothing that the stage does can hold it up. It ends when
/// the sender is dropped.
fn network() -> io::Result<(oneshot::Sender<()>, Handle)> {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let handle = runtime.handle().clone();
    let (stop, stopped) = oneshot::channel::<()>();
    thread::Builder::new().name("network".into()).spawn(move || {
        runtime.block_on(stopped).ok();
        runtime.shutdown_background();
    })?;
    Ok((stop, handle))
}

/// How long it took until nothing was outstanding, and what was there at the end.
pub(crate) struct Recovery {
    pub(crate) took: Duration,
    pub(crate) counts: Counts,
}

/// All is healed, nothing more is pushed: what is left has to be handled in a bounded time, longer by
/// what a clock that was off may have put it off.
async fn recover(targets: &Arc<Targets>, faults: &[Fault]) -> Result<Recovery> {
    let queue = &targets.queue;
    targets.heal().await?;
    targets.crew.lock().await.spare();
    targets.crew.lock().await.dismiss(&[Role::Producer]).await?;
    let begun = Instant::now();
    let mut counts = queue.counts().await?;
    let draining = Duration::from_secs(counts.outstanding() / DRAINED_PER_SECOND);
    let off = if faults.contains(&Fault::Clock) { STEP } else { Duration::ZERO };
    let patience = 2 * LEASE + SPARE + draining + off;
    while counts.outstanding() > 0 && begun.elapsed() < patience {
        targets.look_after().await?;
        sleep(LOOK_EVERY).await;
        counts = queue.counts().await?;
    }
    let took = begun.elapsed();
    targets.crew.lock().await.dismiss(&[Role::Worker, Role::Hand, Role::Poller]).await?;
    Ok(Recovery { took, counts: queue.counts().await? })
}

async fn judge(
    histories: &Path,
    targets: &Targets,
    (law, recovery, drills): (Law, Recovery, Drills),
) -> Result<Report> {
    let audit = targets.queue.check(|_| {}).await?;
    note_dead(&targets.queue, &targets.history).await?;
    let troubles = Troubles::read(histories)?;
    let summary = check(histories).context("the histories cannot be read")?;
    let (half_open, restarts) = drills.judge(&troubles);
    let faults = targets.counts();
    Ok(Report { summary, law, recovery, audit, faults, half_open, restarts })
}

/// What rests in the dead letters belongs to the history.
async fn note_dead(queue: &Queue<Raw>, log: &Log) -> Result<()> {
    let mut next = Some(0);
    while let Some(start) = next {
        let page = queue.peek(State::Dead, start, PAGE).await?;
        for dead in &page.messages {
            log.note(&Event::Dead {
                id: dead.id,
                deliveries: dead.attempt - 1,
                failures: dead.failures,
                max: dead.max_attempts,
                hash: hash(&dead.payload),
            })?;
        }
        next = page.next;
    }
    Ok(())
}
