//! All processes of a run: started, killed, stopped, replaced, and dismissed.

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::ValueEnum as _;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::agent::{Point, Role};
use crate::proxy::{Port, Proxy};

/// A producer may wait for its last answers.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a process passes its point before it ends itself there.
const LIFE: std::ops::Range<u64> = 20..8_000;

struct Place {
    role: Role,
    /// None once it is dismissed.
    child: Option<Child>,
    generation: u64,
    history: PathBuf,
    /// Where it ends itself, if it does.
    point: Option<Point>,
    _port: Option<Port>,
}

/// A process that was killed, by itself or from outside.
pub(crate) struct Ended {
    pub(crate) role: Role,
    /// Where it would have ended itself, or did.
    pub(crate) point: Option<Point>,
    pub(crate) history: PathBuf,
}

/// How processes reach the server.
pub(crate) enum Reach {
    /// Each by a port of its own.
    Through(Proxy),
    /// Servers of a topology are reached where they say that they are.
    Direct(String),
}

/// What holds for all of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Orders {
    /// Of each producer, messages a second.
    pub(crate) rate: u64,
    /// How many replicas half of the pushes ask for.
    pub(crate) replicas: u32,
    /// Whether processes end themselves at named points.
    pub(crate) mortal: bool,
}

pub(crate) struct Crew {
    places: Vec<Place>,
    reach: Reach,
    folder: PathBuf,
    orders: Orders,
    rng: fastrand::Rng,
}

/// A process at one time; its place may have another one later.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Member {
    place: usize,
    generation: u64,
}

impl Crew {
    pub(crate) fn new(reach: Reach, folder: &Path, orders: Orders, seed: u64) -> Self {
        let (rng, folder) = (fastrand::Rng::with_seed(seed), folder.to_owned());
        Self { places: Vec::new(), reach, folder, orders, rng }
    }

    pub(crate) async fn hire(&mut self, role: Role, count: usize) -> Result<()> {
        for _ in 0..count {
            let place = self.spawn(role, self.places.len(), 0).await?;
            self.places.push(place);
        }
        Ok(())
    }

    async fn spawn(&mut self, role: Role, place: usize, generation: u64) -> Result<Place> {
        let (url, port) = match &self.reach {
            Reach::Through(proxy) => {
                let port = proxy.open().await?;
                (port.url.clone(), Some(port))
            }
            Reach::Direct(url) => (url.clone(), None),
        };
        let history = self.folder.join(format!("{}-{place}-{generation}.ndjson", role.name()));
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["agent", "--role", role.name(), "--url", &url]);
        command.arg("--history").arg(&history);
        command.args(["--seed", &self.rng.u64(..).to_string()]);
        command.args(["--rate", &self.orders.rate.to_string()]);
        command.args(["--replicas", &self.orders.replicas.to_string()]);
        let points = Point::of(role);
        let drawn = self.rng.usize(..2 * points.len());
        let point = points.get(drawn).copied().filter(|_| self.orders.mortal);
        if let Some(name) = point.and_then(|point| point.to_possible_value()) {
            command.args(["--die-at", name.get_name()]);
            command.args(["--die-after", &self.rng.u64(LIFE).to_string()]);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::null());
        // What it warns of belongs to the run; a planned panic is not worth a line.
        command.stderr(Stdio::null()).kill_on_drop(true).process_group(0);
        let child = Some(command.spawn()?);
        Ok(Place { role, child, generation, history, point, _port: port })
    }

    /// Another process takes this place.
    async fn replace(&mut self, place: usize) -> Result<Ended> {
        let (role, generation) = (self.places[place].role, self.places[place].generation + 1);
        let next = self.spawn(role, place, generation).await?;
        let Place { point, history, .. } = std::mem::replace(&mut self.places[place], next);
        Ok(Ended { role, point, history })
    }

    /// From now on nobody new ends itself.
    pub(crate) fn spare(&mut self) {
        self.orders.mortal = false;
    }

    /// Replaces those that ended by themselves.
    pub(crate) async fn look_after(&mut self) -> Result<Vec<Ended>> {
        let mut ended = Vec::new();
        for place in 0..self.places.len() {
            let Some(child) = &mut self.places[place].child else { continue };
            if let Some(status) = child.try_wait()? {
                let (role, point) = (self.places[place].role.name(), self.places[place].point);
                // Whoever ends itself at a point does it by a signal; nobody gives up.
                ensure!(point.is_some() && status.signal().is_some(), "a {role} ended: {status}");
                ended.push(self.replace(place).await?);
            }
        }
        Ok(ended)
    }

    /// SIGKILL for one of them; another takes its place at once.
    pub(crate) async fn kill(&mut self, chosen: usize) -> Result<Option<Ended>> {
        let place = chosen % self.places.len();
        let Some(child) = &mut self.places[place].child else { return Ok(None) };
        child.kill().await?;
        self.replace(place).await.map(Some)
    }

    fn signal(&self, member: Member, signal: Signal) {
        let place = &self.places[member.place];
        // Until it is waited for, nobody else gets its number.
        let pid = place.child.as_ref().and_then(Child::id).and_then(|id| i32::try_from(id).ok());
        if place.generation == member.generation
            && let Some(pid) = pid.and_then(Pid::from_raw)
        {
            kill_process(pid, signal).ok();
        }
    }

    pub(crate) fn stop(&self, chosen: usize) -> Member {
        let place = chosen % self.places.len();
        let member = Member { place, generation: self.places[place].generation };
        self.signal(member, Signal::STOP);
        member
    }

    pub(crate) fn resume(&self, member: Member) {
        self.signal(member, Signal::CONT);
    }

    /// Ends all processes of some roles by ending their stdin, and waits for them.
    pub(crate) async fn dismiss(&mut self, roles: &[Role]) -> Result<()> {
        let mut leaving = Vec::new();
        for place in self.places.iter_mut().filter(|place| roles.contains(&place.role)) {
            if let Some(mut child) = place.child.take() {
                drop(child.stdin.take());
                leaving.push(child);
            }
        }
        for mut child in leaving {
            if timeout(PATIENCE, child.wait()).await.is_err() {
                child.kill().await?;
            }
        }
        Ok(())
    }
}
