//! The network: what one side says reaches the other late, in another order than what others say, or
//! not at all.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, ReadHalf, WriteHalf, split};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::{spawn_local, yield_now};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::World;
use super::life::Life;

/// What is on its way when its sender dies is on its way for so long.
const LAST_WORDS_MS: u64 = 40;
const READ: usize = 16 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    ToServer,
    ToClient,
}

/// What happens to something that is said.
#[derive(Debug, Clone, Copy)]
enum Fate {
    /// It arrives after so many turns of other tasks, and then after so long.
    Arrives { turns: u8, late: Duration },
    /// The connection ends, and it does not arrive.
    Lost,
    /// The connection ends for the client, and it arrives all the same.
    Late,
    /// Nobody notices anything, and nothing arrives any more.
    Swallowed,
}

/// What is wrong with the network of a process.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Weather {
    Fine,
    /// So many of what is said end their connections.
    Cuts(f64),
    Slow(Duration),
    /// One way or both of the connections up to this number are dead.
    Silent {
        to_server: bool,
        to_client: bool,
        until_link: u64,
    },
    /// Nothing passes until this time, in ms of the server's clock.
    Split {
        until: u64,
    },
}

impl Weather {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::Cuts(_) => "net_cuts",
            Self::Slow(_) => "net_slow",
            Self::Silent { .. } => "net_silent",
            Self::Split { .. } => "net_split",
        }
    }

    fn fate(self, world: &World, way: Way, link: u64) -> Fate {
        let rng = &mut *world.rng.borrow_mut();
        let (turns, late) = (rng.u8(..3), calm(rng));
        let arrives = Fate::Arrives { turns, late: Duration::from_millis(late) };
        match self {
            Self::Cuts(share) if rng.f64() < share => {
                if way == Way::ToServer && rng.bool() {
                    Fate::Late
                } else {
                    Fate::Lost
                }
            }
            Self::Fine | Self::Cuts(_) => arrives,
            Self::Slow(longest) => Fate::Arrives { turns, late: longest.mul_f64(rng.f64()) },
            Self::Silent { to_server, to_client, until_link } => {
                let dead = if way == Way::ToServer { to_server } else { to_client };
                if dead && link <= until_link { Fate::Swallowed } else { arrives }
            }
            Self::Split { until } => {
                let held = until.saturating_sub(world.notes.now_ms());
                Fate::Arrives { turns, late: Duration::from_millis(held + late) }
            }
        }
    }
}

/// Mostly at once, sometimes a few milliseconds later.
fn calm(rng: &mut fastrand::Rng) -> u64 {
    match rng.u8(..) {
        ..180 => 0,
        180..245 => 1,
        _ => rng.u64(1..8),
    }
}

/// Whose connections they are, and whether any weather reaches them.
#[derive(Debug, Clone)]
pub(crate) enum Owner {
    Process(usize, Arc<Life>),
    /// Of the simulation itself: at once, and never harmed.
    Nobody,
}

/// Carries what is said on all connections of a process, until it ends.
pub(crate) async fn carry(
    world: Rc<World>,
    owner: Owner,
    mut arriving: UnboundedReceiver<DuplexStream>,
) {
    while let Some(client) = arriving.recv().await {
        if let Owner::Process(_, life) = &owner
            && !life.is_alive()
        {
            return;
        }
        // Nobody listens: the client is hung up on.
        let Some((server, cut)) = world.server.connect() else { continue };
        let number = world.links.get() + 1;
        world.links.set(number);
        let link = Link { world: Rc::clone(&world), owner: owner.clone(), number, cut };
        spawn_local(link.run(client, server));
    }
}

struct Link {
    world: Rc<World>,
    owner: Owner,
    number: u64,
    cut: CancellationToken,
}

impl Link {
    async fn run(self, client: DuplexStream, server: DuplexStream) {
        let (mut from_client, mut to_client) = split(client);
        let (mut from_server, mut to_server) = split(server);
        let (mut asked, mut answered) = (Vec::new(), Vec::new());
        tokio::select! {
            biased;
            () = self.ended() => {}
            () = self.pump(Way::ToClient, &mut from_server, &mut to_client, &mut answered) => {}
            () = self.pump(Way::ToServer, &mut from_client, &mut to_server, &mut asked) => {}
        }
        drop((from_client, to_client));
        // The client is gone; what it said last may still be heard.
        if !asked.is_empty() && !self.cut.is_cancelled() {
            let late = self.world.rng.borrow_mut().u64(..=LAST_WORDS_MS);
            sleep(Duration::from_millis(late)).await;
            self.arrives(&asked);
            to_server.write_all(&asked).await.ok();
            self.world.look();
        }
    }

    async fn ended(&self) {
        match &self.owner {
            Owner::Nobody => self.cut.cancelled().await,
            Owner::Process(_, life) => {
                tokio::select! {
                    biased;
                    () = self.cut.cancelled() => {}
                    () = life.end.cancelled() => {}
                }
            }
        }
    }

    /// What was read and has not yet arrived stays in `said`.
    async fn pump(
        &self,
        way: Way,
        from: &mut ReadHalf<DuplexStream>,
        to: &mut WriteHalf<DuplexStream>,
        said: &mut Vec<u8>,
    ) {
        loop {
            said.clear();
            said.reserve(READ);
            if !matches!(from.read_buf(said).await, Ok(1..)) {
                return;
            }
            match self.fate(way, said) {
                Fate::Arrives { turns, late } => {
                    for _ in 0..turns {
                        yield_now().await;
                    }
                    if way == Way::ToServer {
                        self.world.unpaused().await;
                    }
                    if !late.is_zero() {
                        sleep(late).await;
                    }
                }
                Fate::Late => return,
                Fate::Lost => return said.clear(),
                Fate::Swallowed => {
                    said.clear();
                    std::future::pending::<()>().await;
                }
            }
            if way == Way::ToServer {
                self.arrives(said);
            }
            if to.write_all(said).await.is_err() {
                return said.clear();
            }
        }
    }

    fn arrives(&self, said: &[u8]) {
        if let Owner::Process(place, _) = &self.owner {
            self.world.arrives(*place, said);
        }
    }

    fn fate(&self, way: Way, said: &[u8]) -> Fate {
        let Owner::Process(place, life) = &self.owner else {
            return Fate::Arrives { turns: 0, late: Duration::ZERO };
        };
        self.world.step(&life.name, self.number, way, said);
        life.step();
        let weather = self.world.weather.borrow()[*place];
        weather.fate(&self.world, way, self.number)
    }
}
