//! What is done to the run, at random times that one seed decides.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::agent::LEASE;
use crate::crew::Crew;
use crate::proxy::{Net, Proxy};
use crate::server::{PrivateServer, command, insist};

/// How soon a process that ended by itself is replaced.
const LOOK_AFTER: Duration = Duration::from_millis(50);
const LONGEST_DOWN_MS: u64 = 800;
const LONGEST_HARM_MS: u64 = 2_000;
const NO_MEMORY: &[&str] = &["CONFIG", "SET", "maxmemory", "1"];
const MEMORY: &[&str] = &["CONFIG", "SET", "maxmemory", "0"];
/// A server that follows a dead one keeps its data, and refuses writes.
const FOLLOW: &[&str] = &["REPLICAOF", "127.0.0.1", "1"];
const LEAD: &[&str] = &["REPLICAOF", "NO", "ONE"];
const UNPAUSE: &[&str] = &["CLIENT", "UNPAUSE"];
/// What ends every fault of the server that lasts.
pub(crate) const HEAL: [&[&str]; 3] = [MEMORY, LEAD, UNPAUSE];

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Fault {
    /// SIGKILL for a process; some end themselves at named points.
    Kill,
    /// SIGSTOP for longer than a lease.
    Stop,
    /// SIGKILL for the server, and a restart on its append-only file.
    Server,
    /// SCRIPT FLUSH.
    Flush,
    /// CLIENT KILL TYPE normal.
    Clients,
    /// CLIENT PAUSE.
    Pause,
    /// No memory for pushes.
    Memory,
    /// A server that takes no writes.
    Readonly,
    /// Connections that are cut, half open, slow, or come in pieces.
    Net,
}

/// Everything that faults are done to.
pub(crate) struct Targets {
    pub(crate) crew: Mutex<Crew>,
    pub(crate) server: Mutex<PrivateServer>,
    /// Of the server itself, past the proxy.
    pub(crate) url: String,
    pub(crate) proxy: Proxy,
    counts: StdMutex<BTreeMap<&'static str, u64>>,
}

impl Targets {
    pub(crate) fn new(crew: Crew, server: PrivateServer, proxy: Proxy) -> Self {
        let url = server.url();
        let (crew, server) = (Mutex::new(crew), Mutex::new(server));
        Self { crew, server, url, proxy, counts: StdMutex::default() }
    }

    fn count(&self, fault: &'static str, by: u64) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(fault).or_default() += by;
    }

    pub(crate) fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn inject(&self, fault: Fault, mut rng: fastrand::Rng) -> Result<()> {
        let harm = Duration::from_millis(rng.u64(50..LONGEST_HARM_MS));
        let struck = match fault {
            Fault::Kill => {
                self.crew.lock().await.kill(rng.usize(..)).await?;
                true
            }
            Fault::Stop => {
                self.stop(rng.usize(..), LEASE.mul_f64(1.1 + rng.f64())).await;
                true
            }
            Fault::Server => {
                let down = Duration::from_millis(rng.u64(..LONGEST_DOWN_MS));
                self.server.lock().await.kill_and_restart(down).await?;
                true
            }
            Fault::Flush => self.tell(&["SCRIPT", "FLUSH"]).await,
            Fault::Clients => self.tell(&["CLIENT", "KILL", "TYPE", "normal"]).await,
            Fault::Pause => self.tell(&["CLIENT", "PAUSE", &harm.as_millis().to_string()]).await,
            Fault::Memory => self.between(NO_MEMORY, MEMORY, harm).await?,
            Fault::Readonly => self.between(FOLLOW, LEAD, harm).await?,
            Fault::Net => {
                let done = self.net(&mut rng, harm).await;
                self.count(done, 1);
                return Ok(());
            }
        };
        self.count(if struck { name(fault) } else { "unreached" }, 1);
        Ok(())
    }

    async fn stop(&self, chosen: usize, harm: Duration) {
        let member = self.crew.lock().await.stop(chosen);
        sleep(harm).await;
        self.crew.lock().await.resume(member);
    }

    async fn between(&self, begin: &[&str], end: &[&str], harm: Duration) -> Result<bool> {
        let struck = self.tell(begin).await;
        sleep(harm).await;
        insist(&self.url, end).await?;
        Ok(struck)
    }

    async fn net(&self, rng: &mut fastrand::Rng, harm: Duration) -> &'static str {
        let (net, name) = Net::FAULTS[rng.usize(..Net::FAULTS.len())];
        let share = if rng.bool() { 1.0 } else { rng.f64() };
        self.proxy.harm(net, share, rng);
        sleep(harm).await;
        self.proxy.heal();
        name
    }

    /// A server that is down at the moment needs no further fault.
    async fn tell(&self, words: &[&str]) -> bool {
        command(&self.url, words).await.is_ok()
    }
}

fn name(fault: Fault) -> &'static str {
    match fault {
        Fault::Kill => "kill",
        Fault::Stop => "stop",
        Fault::Server => "server",
        Fault::Flush => "flush",
        Fault::Clients => "clients",
        Fault::Pause => "pause",
        Fault::Memory => "memory",
        Fault::Readonly => "readonly",
        Fault::Net => "net",
    }
}

/// Injects faults for so long, several at a time where they take their time, and waits until all
/// of them have healed.
pub(crate) async fn storm(
    targets: &Arc<Targets>,
    faults: &[Fault],
    (length, every): (Duration, Duration),
    seed: u64,
) -> Result<()> {
    let end = Instant::now() + length;
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut under_way = JoinSet::new();
    let mut next = Instant::now() + every;
    while Instant::now() < end {
        sleep(LOOK_AFTER).await;
        let ended = targets.crew.lock().await.look_after().await?;
        if ended > 0 {
            targets.count("kill_at_point", ended);
        }
        while let Some(done) = under_way.try_join_next() {
            done??;
        }
        if !faults.is_empty() && Instant::now() >= next {
            next = Instant::now() + every.mul_f64(2.0 * rng.f64());
            let (fault, rng, targets) =
                (faults[rng.usize(..faults.len())], rng.fork(), Arc::clone(targets));
            under_way.spawn(async move { targets.inject(fault, rng).await });
        }
    }
    while let Some(done) = under_way.join_next().await {
        done??;
    }
    targets.proxy.mend();
    Ok(())
}
