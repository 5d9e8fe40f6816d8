//! The network between the processes and the server, and what can happen to it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, UnixStream};
use tokio::runtime::Handle;
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

use crate::producer::millis;
use crate::wire::{Carried, Net, Wire, carry};

/// Far beyond every time-out of a client on a short command; a server drops such a peer as well.
const HALF_OPEN_LIFE: Duration = Duration::from_secs(20);

/// Everything between all processes and the server.
#[derive(Debug, Clone)]
pub(crate) struct Proxy {
    socket: PathBuf,
    /// Where all its tasks run.
    runtime: Handle,
    sides: Arc<Mutex<Vec<Arc<Side>>>>,
}

/// Where one process reaches the server; closed when it is dropped.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) url: String,
    side: Arc<Side>,
    _accepting: AbortOnDropHandle<()>,
}

impl Drop for Port {
    fn drop(&mut self) {
        self.side.state().gone = true;
    }
}

/// One process's side of the proxy.
#[derive(Debug, Default)]
struct Side(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    wires: Vec<Arc<Wire>>,
    watch: Option<Watch>,
    gone: bool,
}

/// What a process is expected to do after a fault, and how long that took.
#[derive(Debug)]
enum Watch {
    /// To get an answer.
    Answer { since: Instant, taken_ms: Option<u64> },
    /// To make its calls over a new connection instead of each that is half open. An idle one is
    /// not missed, so the time begins with what it swallows first.
    Replacement { since: Instant, half_open: Vec<Arc<Wire>>, taken_ms: Vec<u64> },
}

impl Watch {
    fn note(&mut self, wire: &Wire, carried: Carried) {
        match self {
            Self::Answer { since, taken_ms } if carried == Carried::Answer => {
                taken_ms.get_or_insert_with(|| millis(since.elapsed()));
            }
            Self::Replacement { since, half_open, taken_ms }
                if carried == Carried::FirstCall && wire.since > *since =>
            {
                let missed = half_open.iter().enumerate();
                let missed = missed.filter_map(|(at, wire)| Some((wire.missed_for()?, at)));
                if let Some((missed_for, at)) = missed.max() {
                    half_open.swap_remove(at);
                    taken_ms.push(millis(missed_for));
                }
            }
            _ => {}
        }
    }

    /// What took so long, or takes longer than `bound_ms` already.
    fn waited_ms(self, bound_ms: u64) -> Vec<u64> {
        match self {
            Self::Answer { since, taken_ms } => {
                vec![taken_ms.unwrap_or_else(|| millis(since.elapsed()))]
            }
            Self::Replacement { half_open, mut taken_ms, .. } => {
                let open = half_open.iter().filter_map(|wire| wire.missed_for().map(millis));
                taken_ms.extend(open.filter(|missed_ms| *missed_ms > bound_ms));
                taken_ms
            }
        }
    }
}

impl Side {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wire(&self) -> Arc<Wire> {
        let wire = Arc::new(Wire::new());
        let mut state = self.state();
        state.wires.retain(|wire| Arc::strong_count(wire) > 1);
        state.wires.push(Arc::clone(&wire));
        wire
    }

    fn note(&self, wire: &Wire, carried: Carried) {
        if let Some(watch) = &mut self.state().watch {
            watch.note(wire, carried);
        }
    }

    /// Puts a share of the connections under a fault, and says which.
    fn harm(&self, net: Net, share: f64, rng: &mut fastrand::Rng) -> Vec<Arc<Wire>> {
        let state = self.state();
        let chosen = state.wires.iter().filter(|wire| wire.net() != Net::HalfOpen);
        let chosen: Vec<_> = chosen.filter(|_| rng.f64() < share).map(Arc::clone).collect();
        for wire in &chosen {
            wire.put(net);
        }
        let harmed = chosen.clone();
        if net == Net::HalfOpen {
            tokio::spawn(async move {
                sleep(HALF_OPEN_LIFE).await;
                for wire in chosen {
                    wire.close();
                }
            });
        }
        harmed
    }
}

impl Proxy {
    pub(crate) fn new(socket: PathBuf, runtime: Handle) -> Self {
        Self { socket, runtime, sides: Arc::default() }
    }

    pub(crate) async fn open(&self) -> std::io::Result<Port> {
        // A socket belongs to the runtime in which it was made.
        let bound = self.runtime.spawn(TcpListener::bind("127.0.0.1:0"));
        let listener = bound.await.map_err(std::io::Error::other)??;
        let url = format!("redis://{}", listener.local_addr()?);
        let (side, socket) = (Arc::new(Side::default()), self.socket.clone());
        let accepting = Arc::clone(&side);
        let accepting = self.runtime.spawn(async move {
            loop {
                let Ok((client, _)) = listener.accept().await else { continue };
                // A server that is down refuses by closing at once.
                if let Ok(server) = UnixStream::connect(&socket).await {
                    client.set_nodelay(true).ok();
                    let (side, wire) = (Arc::clone(&accepting), accepting.wire());
                    tokio::spawn(async move {
                        carry(client, server, &wire, |carried| side.note(&wire, carried)).await;
                    });
                }
            }
        });
        self.all().push(Arc::clone(&side));
        Ok(Port { url, side, _accepting: AbortOnDropHandle::new(accepting) })
    }

    fn all(&self) -> MutexGuard<'_, Vec<Arc<Side>>> {
        let mut sides = self.sides.lock().unwrap_or_else(PoisonError::into_inner);
        sides.retain(|side| !side.state().gone);
        sides
    }

    /// Puts a share of the connections under a fault. Delays and splits end with `heal`; what is cut
    /// or half open is never whole again.
    pub(crate) fn harm(&self, net: Net, share: f64, rng: &mut fastrand::Rng) {
        for side in self.all().iter() {
            side.harm(net, share, rng);
        }
    }

    /// From now on a share of the connections is half open; each one that carries calls is expected
    /// to be replaced.
    pub(crate) fn half_open(&self, share: f64, rng: &mut fastrand::Rng) {
        for side in self.all().iter() {
            let since = Instant::now();
            let mut half_open = side.harm(Net::HalfOpen, share, rng);
            half_open.retain(|wire| wire.calls());
            let watch = Watch::Replacement { since, half_open, taken_ms: Vec::new() };
            side.state().watch = Some(watch);
        }
    }

    /// From now on an answer is expected for each process.
    pub(crate) fn await_answers(&self) {
        for side in self.all().iter() {
            let watch = Watch::Answer { since: Instant::now(), taken_ms: None };
            side.state().watch = Some(watch);
        }
    }

    /// How long it took, in ms, until each expectation was met, or has taken until now where it is
    /// still open and beyond its bound. Processes that ended meanwhile are left out.
    pub(crate) fn waited_ms(&self, bound_ms: u64) -> Vec<u64> {
        let sides = self.all();
        let watches = sides.iter().filter_map(|side| side.state().watch.take());
        watches.flat_map(|watch| watch.waited_ms(bound_ms)).collect()
    }

    /// Ends delays and splits.
    pub(crate) fn heal(&self) {
        for side in self.all().iter() {
            for wire in &side.state().wires {
                if matches!(wire.net(), Net::Delay | Net::Split) {
                    wire.put(Net::Whole);
                }
            }
        }
    }

    /// Ends everything: half-open connections break at last.
    pub(crate) fn mend(&self) {
        for side in self.all().iter() {
            for wire in &side.state().wires {
                if wire.net() != Net::Whole {
                    wire.close();
                    wire.put(Net::Whole);
                }
            }
        }
    }
}
