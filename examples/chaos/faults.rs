//! What is done to the run, at random times that one seed decides.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;
use redeliver::{Queue, Raw};
use tokio::sync::Mutex;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, sleep};

use crate::agent::{LEASE, Point, Role};
use crate::crew::{Crew, Ended};
use crate::heartbeat::now_ms;
use crate::history::trouble::TROUBLES;
use crate::history::{Log, Trouble};
use crate::producer::millis;
use crate::proxy::Proxy;
use crate::server::{PrivateServer, command, insist};
use crate::topology::{Blow, Servers, Topology};
use crate::wire::Net;
use crate::{law, orphans};

/// How soon a process that ended by itself is replaced.
pub(crate) const LOOK_AFTER: Duration = Duration::from_millis(50);
const LONGEST_DOWN_MS: u64 = 800;
const LONGEST_HARM_MS: u64 = 2_000;
/// After a fault leases that nobody could extend have to end, and pauses of up to 2 s to pass.
pub(crate) const AFTERMATH: Duration = Duration::from_secs(4);
/// So many pollers watch the next deadline; the others sleep for so long at most.
const WATCHERS: usize = 3;
const POLLERS_SLEEP: Duration = Duration::from_secs(5);
const NO_MEMORY: &[&str] = &["CONFIG", "SET", "maxmemory", "1"];
const MEMORY: &[&str] = &["CONFIG", "SET", "maxmemory", "0"];
/// A server that follows a dead one keeps its data, and refuses writes.
const FOLLOW: &[&str] = &["REPLICAOF", "127.0.0.1", "1"];
const LEAD: &[&str] = &["REPLICAOF", "NO", "ONE"];
const UNPAUSE: &[&str] = &["CLIENT", "UNPAUSE"];
/// What ends every fault of the server that lasts.
const HEAL: [&[&str]; 3] = [MEMORY, LEAD, UNPAUSE];

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
    /// Another server is made the master.
    Handover,
    /// SIGKILL for the master.
    Failover,
    /// SIGSTOP for the master, until another one is elected.
    Freeze,
    /// The slot of a partition moves to another node: as a whole where the server can, else key by key.
    Migrate,
    /// CLIENT KILL TYPE normal on all servers.
    Cut,
    /// The master is cut off from all other servers, and not from clients.
    Partition,
    /// A server whose clock is a minute ahead or behind is made the master, and then another one whose
    /// clock is right.
    Clock,
}

impl Fault {
    /// After these another server is the master.
    pub(crate) const CHANGE_MASTERS: [Self; 5] =
        [Self::Handover, Self::Failover, Self::Freeze, Self::Partition, Self::Clock];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Stop => "stop",
            Self::Server => "server",
            Self::Flush => "flush",
            Self::Clients => "clients",
            Self::Pause => "pause",
            Self::Memory => "memory",
            Self::Readonly => "readonly",
            Self::Net => "net",
            Self::Handover => "handover",
            Self::Failover => "failover",
            Self::Freeze => "freeze",
            Self::Migrate => "migrate",
            Self::Cut => "cut",
            Self::Partition => "partition",
            Self::Clock => "clock",
        }
    }

    pub(crate) fn fits(self, topology: Topology) -> bool {
        match self {
            Self::Kill | Self::Stop => true,
            Self::Cut => topology != Topology::One,
            _ if Self::CHANGE_MASTERS.contains(&self) => topology != Topology::One,
            Self::Migrate => topology == Topology::Cluster,
            _ => topology == Topology::One,
        }
    }
}

/// What is under the queue.
pub(crate) enum Ground {
    One(Mutex<PrivateServer>),
    Many(Arc<Mutex<Servers>>),
}

/// Everything that faults are done to.
pub(crate) struct Targets {
    pub(crate) crew: Mutex<Crew>,
    pub(crate) ground: Ground,
    /// Of the server itself, past the proxy.
    pub(crate) url: String,
    pub(crate) proxy: Proxy,
    pub(crate) queue: Queue<Raw>,
    partitions: u32,
    /// What the stage itself has to tell of messages, and of troubles.
    pub(crate) history: Log,
    troubles: Log,
    /// When processes that poll have died lately.
    deaths: StdMutex<Vec<u64>>,
    counts: StdMutex<BTreeMap<&'static str, u64>>,
}

impl Targets {
    pub(crate) fn new(
        crew: Crew,
        (ground, url, partitions): (Ground, String, u32),
        proxy: Proxy,
        histories: &Path,
    ) -> Result<Self> {
        let history = Log::open(&histories.join("stage.ndjson"))?;
        let troubles = Log::open(&histories.join("faults").with_extension(TROUBLES))?;
        let (crew, queue) = (Mutex::new(crew), law::queue(&url)?);
        let (deaths, counts) = (StdMutex::default(), StdMutex::default());
        Ok(Self { crew, ground, url, proxy, queue, partitions, history, troubles, deaths, counts })
    }

    pub(crate) fn count(&self, fault: &'static str) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(fault).or_default() += 1;
    }

    pub(crate) fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes a fault that was in force from then until now: for a while longer nothing is promised
    /// about time.
    pub(crate) fn note_fault(&self, name: &str, from: u64) -> Result<()> {
        let (name, until) = (name.to_owned(), now_ms() + millis(AFTERMATH));
        Ok(self.troubles.note(&Trouble::Fault { name, from, until })?)
    }

    /// Replaces whoever ended, and notes what they held.
    pub(crate) async fn look_after(self: &Arc<Self>) -> Result<()> {
        for ended in self.crew.lock().await.look_after().await? {
            self.count(ended.point.map_or("kill", Point::name));
            self.note_death(ended)?;
        }
        Ok(())
    }

    pub(crate) async fn kill(self: &Arc<Self>, rng: &mut fastrand::Rng) -> Result<()> {
        if let Some(ended) = self.crew.lock().await.kill(rng.usize(..)).await? {
            self.count("kill");
            self.note_death(ended)?;
        }
        Ok(())
    }

    /// Notes what the dead one held, and when it was one of too many. While the server is down nobody
    /// can tell; such orphans are not measured.
    fn note_death(self: &Arc<Self>, ended: Ended) -> Result<()> {
        let targets = Arc::clone(self);
        tokio::spawn(async move {
            orphans::note(&targets.queue, &ended.history, &targets.history).await.ok();
        });
        if matches!(ended.role, Role::Poller | Role::Worker) {
            let (now, sleep) = (now_ms(), millis(POLLERS_SLEEP));
            let mut deaths = self.deaths.lock().unwrap_or_else(PoisonError::into_inner);
            deaths.retain(|death| now - death <= sleep);
            deaths.push(now);
            if deaths.len() >= WATCHERS {
                let from = now - millis(2 * LOOK_AFTER);
                self.troubles.note(&Trouble::Unwatched { from, until: now + sleep })?;
            }
        }
        Ok(())
    }

    async fn inject(self: Arc<Self>, fault: Fault, mut rng: fastrand::Rng) -> Result<()> {
        let harm = Duration::from_millis(rng.u64(50..LONGEST_HARM_MS));
        let from = now_ms();
        let name = match fault {
            Fault::Kill => return self.kill(&mut rng).await,
            Fault::Net => self.net(&mut rng, harm).await,
            Fault::Stop => fault.name(),
            _ if matches!(self.ground, Ground::Many(_)) => {
                let (partition, ahead) = (rng.u32(..self.partitions), rng.bool());
                return self.upset(Blow { fault, partition, harm, ahead }).await;
            }
            _ => fault.name(),
        };
        let struck = match fault {
            Fault::Stop => {
                self.stop(rng.usize(..), LEASE.mul_f64(1.1 + rng.f64())).await;
                true
            }
            Fault::Server => {
                self.restart(&mut rng).await?;
                true
            }
            Fault::Flush => self.tell(&["SCRIPT", "FLUSH"]).await,
            Fault::Clients => self.tell(&["CLIENT", "KILL", "TYPE", "normal"]).await,
            Fault::Pause => {
                let struck = self.tell(&["CLIENT", "PAUSE", &millis(harm).to_string()]).await;
                sleep(harm).await;
                struck
            }
            Fault::Memory => self.between(NO_MEMORY, MEMORY, harm).await?,
            Fault::Readonly => self.between(FOLLOW, LEAD, harm).await?,
            _ => true,
        };
        self.count(if struck { name } else { "unreached" });
        self.note_fault(name, from)
    }

    pub(crate) async fn restart(&self, rng: &mut fastrand::Rng) -> Result<()> {
        let down = Duration::from_millis(rng.u64(..LONGEST_DOWN_MS));
        match &self.ground {
            Ground::One(server) => server.lock().await.kill_and_restart(down).await,
            Ground::Many(_) => Ok(()),
        }
    }

    /// Upsets the servers, one fault at a time: a master that dies before its replica has caught up
    /// would take everything along.
    async fn upset(&self, blow: Blow) -> Result<()> {
        let Ground::Many(servers) = &self.ground else { return Ok(()) };
        let Ok(mut servers) = Arc::clone(servers).try_lock_owned() else { return Ok(()) };
        let from = now_ms();
        let troubles = spawn_blocking(move || servers.upset(blow)).await??;
        self.count(blow.fault.name());
        for trouble in troubles {
            self.troubles.note(&trouble)?;
        }
        self.note_fault(blow.fault.name(), from)
    }

    /// Waits until all servers are there and take writes.
    pub(crate) async fn heal(&self) -> Result<()> {
        match &self.ground {
            Ground::One(_) => {
                for words in HEAL {
                    insist(&self.url, words).await?;
                }
            }
            Ground::Many(servers) => {
                let mut servers = Arc::clone(servers).lock_owned().await;
                spawn_blocking(move || servers.heal()).await?;
            }
        }
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

/// Injects faults until then, several at a time where they take their time, and waits until all of
/// them have healed.
pub(crate) async fn storm(
    targets: &Arc<Targets>,
    faults: &[Fault],
    (end, every): (Instant, Duration),
    rng: &mut fastrand::Rng,
) -> Result<()> {
    let (mut under_way, from) = (JoinSet::new(), now_ms());
    let mut next = Instant::now() + every;
    while Instant::now() < end {
        sleep(LOOK_AFTER).await;
        targets.look_after().await?;
        while let Some(done) = under_way.try_join_next() {
            done??;
        }
        if !faults.is_empty() && Instant::now() >= next {
            next = Instant::now() + every.mul_f64(2.0 * rng.f64());
            let fault = faults[rng.usize(..faults.len())];
            under_way.spawn(Arc::clone(targets).inject(fault, rng.fork()));
        }
    }
    while let Some(done) = under_way.join_next().await {
        done??;
    }
    targets.proxy.mend();
    if faults.contains(&Fault::Net) {
        // Connections that were cut or half open stayed so until now.
        targets.note_fault("net", from)?;
    }
    Ok(())
}
