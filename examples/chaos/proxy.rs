//! The network between the processes and the server, and what can happen to it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, UnixStream};
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
struct Watch {
    since: Instant,
    expected: Carried,
    open: usize,
    taken_ms: Vec<u64>,
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
        let mut state = self.state();
        let Some(watch) = &mut state.watch else { return };
        let is_new = carried == Carried::Answer || wire.since > watch.since;
        if watch.expected == carried && watch.open > 0 && is_new {
            watch.open -= 1;
            watch.taken_ms.push(millis(watch.since.elapsed()));
        }
    }

    /// Puts a share of the connections under a fault, and says how many of these carry calls.
    fn harm(&self, net: Net, share: f64, rng: &mut fastrand::Rng) -> usize {
        let state = self.state();
        let chosen = state.wires.iter().filter(|wire| wire.net() != Net::HalfOpen);
        let chosen: Vec<_> = chosen.filter(|_| rng.f64() < share).map(Arc::clone).collect();
        for wire in &chosen {
            wire.put(net);
        }
        let carrying = chosen.iter().filter(|wire| wire.calls()).count();
        if net == Net::HalfOpen {
            tokio::spawn(async move {
                sleep(HALF_OPEN_LIFE).await;
                for wire in chosen {
                    wire.close();
                }
            });
        }
        carrying
    }

    fn expect(&self, expected: Carried, open: usize) {
        let watch = Watch { since: Instant::now(), expected, open, taken_ms: Vec::new() };
        self.state().watch = Some(watch);
    }
}

impl Proxy {
    pub(crate) fn new(socket: PathBuf) -> Self {
        Self { socket, sides: Arc::default() }
    }

    pub(crate) async fn open(&self) -> std::io::Result<Port> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("redis://{}", listener.local_addr()?);
        let (side, socket) = (Arc::new(Side::default()), self.socket.clone());
        let accepting = Arc::clone(&side);
        let accepting = tokio::spawn(async move {
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
            let carrying = side.harm(Net::HalfOpen, share, rng);
            side.expect(Carried::FirstCall, carrying);
        }
    }

    /// From now on an answer is expected for each process.
    pub(crate) fn await_answers(&self) {
        for side in self.all().iter() {
            side.expect(Carried::Answer, 1);
        }
    }

    /// How long it took, in ms, until each expectation was met, or has taken until now where it is
    /// still open. Processes that ended meanwhile are left out.
    pub(crate) fn waited_ms(&self) -> Vec<u64> {
        let mut waited = Vec::new();
        for watch in self.all().iter().filter_map(|side| side.state().watch.take()) {
            let open = std::iter::repeat_n(millis(watch.since.elapsed()), watch.open);
            waited.extend(watch.taken_ms.into_iter().chain(open));
        }
        waited
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
