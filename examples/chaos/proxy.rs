//! The network between the processes and the server, and what can happen to it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::Notify;
use tokio::time::sleep;

const CHUNK: usize = 64 * 1024;
/// While bytes come one by one, so many of a chunk do; the rest follows in one piece.
const SPLIT: usize = 64;
const MAX_DELAY_MS: u64 = 120;
/// Far beyond every time-out of a client on a short command; a server drops such a peer as well.
const HALF_OPEN_LIFE: Duration = Duration::from_secs(20);

/// What happens to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Net {
    Whole,
    /// The next request is lost, and the connection with it.
    CutRequest,
    /// The next reply is lost, after the request was carried out, and the connection with it.
    CutReply,
    /// Nothing arrives any more, and nobody is told.
    HalfOpen,
    /// Everything is late.
    Delay,
    /// Everything comes in tiny pieces.
    Split,
}

impl Net {
    pub(crate) const FAULTS: [(Self, &str); 5] = [
        (Self::CutRequest, "net_cut_request"),
        (Self::CutReply, "net_cut_reply"),
        (Self::HalfOpen, "net_half_open"),
        (Self::Delay, "net_delay"),
        (Self::Split, "net_split"),
    ];

    fn of(number: u8) -> Self {
        let known = Self::FAULTS.iter().find(|(net, _)| *net as u8 == number);
        known.map_or(Self::Whole, |(net, _)| *net)
    }
}

/// One connection, as both of its directions see it.
#[derive(Debug)]
struct Wire {
    net: AtomicU8,
    closed: Notify,
}

impl Wire {
    fn net(&self) -> Net {
        Net::of(self.net.load(Ordering::Relaxed))
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Proxy {
    url: String,
    wires: Arc<Mutex<Vec<Arc<Wire>>>>,
}

impl Proxy {
    pub(crate) async fn start(socket: PathBuf) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("redis://{}", listener.local_addr()?);
        let wires = Arc::default();
        let proxy = Self { url, wires };
        let accepting = proxy.clone();
        tokio::spawn(async move {
            loop {
                let Ok((client, _)) = listener.accept().await else { continue };
                // A server that is down refuses by closing at once.
                if let Ok(server) = UnixStream::connect(&socket).await {
                    client.set_nodelay(true).ok();
                    tokio::spawn(carry(client, server, accepting.wire()));
                }
            }
        });
        Ok(proxy)
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    fn wires(&self) -> MutexGuard<'_, Vec<Arc<Wire>>> {
        self.wires.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wire(&self) -> Arc<Wire> {
        let wire = Arc::new(Wire { net: AtomicU8::new(Net::Whole as u8), closed: Notify::new() });
        let mut wires = self.wires();
        wires.retain(|wire| Arc::strong_count(wire) > 1);
        wires.push(Arc::clone(&wire));
        wire
    }

    /// Puts a share of the connections under a fault. Delays and splits end with `heal`; what is cut
    /// or half open is never whole again.
    pub(crate) fn harm(&self, net: Net, share: f64, rng: &mut fastrand::Rng) {
        for wire in self.wires().iter() {
            if rng.f64() < share && wire.net() != Net::HalfOpen {
                wire.net.store(net as u8, Ordering::Relaxed);
                if net == Net::HalfOpen {
                    let wire = Arc::clone(wire);
                    tokio::spawn(async move {
                        sleep(HALF_OPEN_LIFE).await;
                        wire.closed.notify_waiters();
                    });
                }
            }
        }
    }

    /// Ends delays and splits.
    pub(crate) fn heal(&self) {
        for wire in self.wires().iter().filter(|it| matches!(it.net(), Net::Delay | Net::Split)) {
            wire.net.store(Net::Whole as u8, Ordering::Relaxed);
        }
    }

    /// Ends everything: half-open connections break at last.
    pub(crate) fn mend(&self) {
        for wire in self.wires().iter() {
            if wire.net() != Net::Whole {
                wire.closed.notify_waiters();
                wire.net.store(Net::Whole as u8, Ordering::Relaxed);
            }
        }
    }
}

async fn carry(client: TcpStream, server: UnixStream, wire: Arc<Wire>) {
    let (mut requests, mut replies_out) = client.into_split();
    let (mut replies, mut requests_out) = server.into_split();
    tokio::select! {
        () = pump(&mut requests, &mut requests_out, &wire, Net::CutRequest) => {}
        () = pump(&mut replies, &mut replies_out, &wire, Net::CutReply) => {}
        () = wire.closed.notified() => {}
    }
}

/// Carries bytes one way until the connection ends or is cut.
async fn pump(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    wire: &Wire,
    cut: Net,
) {
    let mut chunk = vec![0; CHUNK];
    loop {
        let size = match from.read(&mut chunk).await {
            // The far end of a half-open connection does not learn that the near one is gone.
            Ok(0) | Err(_) if wire.net() == Net::HalfOpen => std::future::pending().await,
            Ok(0) | Err(_) => return,
            Ok(size) => size,
        };
        let sent = match wire.net() {
            Net::HalfOpen => continue,
            net if net == cut => return,
            Net::Delay => {
                sleep(Duration::from_millis(fastrand::u64(..MAX_DELAY_MS))).await;
                to.write_all(&chunk[..size]).await
            }
            Net::Split => split(to, &chunk[..size]).await,
            _ => to.write_all(&chunk[..size]).await,
        };
        if sent.is_err() {
            return;
        }
    }
}

async fn split(to: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> std::io::Result<()> {
    let (pieces, rest) = bytes.split_at(bytes.len().min(SPLIT));
    for byte in pieces {
        to.write_all(std::slice::from_ref(byte)).await?;
        tokio::task::yield_now().await;
    }
    to.write_all(rest).await
}
