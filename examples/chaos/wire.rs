//! One connection through the proxy, and what happens to its bytes.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Notify;
use tokio::time::sleep;

const CHUNK: usize = 64 * 1024;
/// While bytes come one by one, so many of a chunk do; the rest follows in one piece.
const SPLIT: usize = 64;
const MAX_DELAY_MS: u64 = 120;
/// Every call of a verb has it; a blocking read and a handshake do not.
const CALL: &[u8] = b"EVALSHA";

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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Request,
    Reply,
}

/// What a connection has just carried for the first time, or again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carried {
    FirstCall,
    Answer,
}

/// One connection, as both of its directions see it.
#[derive(Debug)]
pub(crate) struct Wire {
    net: AtomicU8,
    closed: Notify,
    calls: AtomicBool,
    /// When something was swallowed for the first time: before that nobody can miss anything.
    missed: OnceLock<Instant>,
    pub(crate) since: Instant,
}

impl Wire {
    pub(crate) fn new() -> Self {
        let (net, calls) = (AtomicU8::new(Net::Whole as u8), AtomicBool::new(false));
        let (closed, missed) = (Notify::new(), OnceLock::new());
        Self { net, closed, calls, missed, since: Instant::now() }
    }

    pub(crate) fn net(&self) -> Net {
        Net::of(self.net.load(Ordering::Relaxed))
    }

    pub(crate) fn put(&self, net: Net) {
        self.net.store(net as u8, Ordering::Relaxed);
    }

    pub(crate) fn close(&self) {
        self.closed.notify_waiters();
    }

    /// Whether it ever carried a call.
    pub(crate) fn calls(&self) -> bool {
        self.calls.load(Ordering::Relaxed)
    }

    /// For how long somebody has waited for what this half-open connection swallowed.
    pub(crate) fn missed_for(&self) -> Option<Duration> {
        self.missed.get().map(Instant::elapsed)
    }

    fn carried(&self, way: Way, bytes: &[u8]) -> Option<Carried> {
        match way {
            Way::Request if !self.calls() && bytes.windows(CALL.len()).any(|it| it == CALL) => {
                self.calls.store(true, Ordering::Relaxed);
                Some(Carried::FirstCall)
            }
            Way::Reply if self.calls() && bytes.first() != Some(&b'-') => Some(Carried::Answer),
            _ => None,
        }
    }
}

/// Carries bytes both ways until the connection ends or is cut.
pub(crate) async fn carry(
    client: TcpStream,
    server: UnixStream,
    wire: &Wire,
    tell: impl Fn(Carried),
) {
    let (mut requests, mut replies_out) = client.into_split();
    let (mut replies, mut requests_out) = server.into_split();
    tokio::select! {
        () = pump(&mut requests, &mut requests_out, wire, Way::Request, &tell) => {}
        () = pump(&mut replies, &mut replies_out, wire, Way::Reply, &tell) => {}
        () = wire.closed.notified() => {}
    }
}

async fn pump(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    wire: &Wire,
    way: Way,
    tell: &impl Fn(Carried),
) {
    let cut = if way == Way::Request { Net::CutRequest } else { Net::CutReply };
    let mut chunk = vec![0; CHUNK];
    loop {
        let size = match from.read(&mut chunk).await {
            // The far end of a half-open connection does not learn that the near one is gone.
            Ok(0) | Err(_) if wire.net() == Net::HalfOpen => std::future::pending().await,
            Ok(0) | Err(_) => return,
            Ok(size) => size,
        };
        let sent = match wire.net() {
            Net::HalfOpen => {
                wire.missed.get_or_init(Instant::now);
                continue;
            }
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
        if let Some(carried) = wire.carried(way, &chunk[..size]) {
            tell(carried);
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
