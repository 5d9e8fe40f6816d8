//! Connections with time-outs that end, and what each of the server's errors means.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{Client, Cmd, ErrorKind, IntoConnectionInfo, ProtocolVersion, RedisError, Value};

use crate::error::{Error, Result};
use crate::metrics;

/// A busy server answers late; the client's default of 500 ms would break healthy calls.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);
/// Name resolution, TCP and the handshake together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Unacknowledged data this old means that the peer is gone (the system's default is 15 minutes).
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(5);
/// An idle link is probed after 5 s, then every 2 s, three times.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(5), Duration::from_secs(2), 3);
/// A link that answers nothing this often in a row is made anew.
const MAX_TIMEOUTS: u32 = 3;
/// The longest pause before a repeated call or a new connection: after a restart of the server
/// there is then time for another try within 2 s. A thousand clients that wait for a server make
/// some two thousand tries a second, which no server notices.
const MAX_BACKOFF: Duration = Duration::from_secs(1);
const FIRST_BACKOFF: Duration = Duration::from_millis(10);

/// What a failed call means for whoever sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The server does not have the script: load it and call again.
    NoScript,
    /// Not executed; `resolve` says that this server is the wrong one to ask.
    Unavailable {
        reason: String,
        resolve: bool,
    },
    /// Maybe executed; `timeout` says that the link may still be good.
    Ambiguous {
        reason: String,
        timeout: bool,
    },
    /// Nothing was executed for want of memory.
    Full,
    Layout,
    /// The user has no right to the command or to a key.
    Forbidden {
        reason: String,
    },
    /// Repeating cannot help.
    Refused {
        reason: String,
    },
}

impl Fault {
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self, Self::NoScript | Self::Unavailable { .. } | Self::Ambiguous { .. })
    }

    pub(crate) fn is_ambiguous(&self) -> bool {
        matches!(self, Self::Ambiguous { .. })
    }

    /// The same after an earlier try of the call that may have been executed: what the server says
    /// of the later try does not undo the earlier one.
    pub(crate) fn after_ambiguity(self) -> Self {
        let reason = match self {
            Self::NoScript => "NOSCRIPT after loading".to_owned(),
            Self::Unavailable { reason, .. } => reason,
            Self::Full => "the server is out of memory for the repeated call".to_owned(),
            fault => return fault,
        };
        Self::Ambiguous { reason, timeout: false }
    }

    pub(crate) fn of(error: &RedisError) -> Self {
        let reason = error.to_string();
        if let Some(code) = error.code() {
            return Self::of_code(code, reason);
        }
        match error.kind() {
            ErrorKind::Io if error.is_connection_refusal() => {
                Self::Unavailable { reason, resolve: true }
            }
            ErrorKind::Io => Self::Ambiguous { reason, timeout: error.is_timeout() },
            ErrorKind::Parse => Self::Ambiguous { reason, timeout: false },
            _ => Self::Refused { reason },
        }
    }

    fn of_code(code: &str, reason: String) -> Self {
        match code {
            "NOSCRIPT" => Self::NoScript,
            "OOM" => Self::Full,
            "LAYOUT" => Self::Layout,
            "NOPERM" => Self::Forbidden { reason },
            "READONLY" | "MASTERDOWN" | "NOAUTH" => Self::Unavailable { reason, resolve: true },
            "LOADING" | "CLUSTERDOWN" | "TRYAGAIN" | "MOVED" | "ASK" | "BUSY" | "NOREPLICAS"
            | "MISCONF" | "UNBLOCKED" => Self::Unavailable { reason, resolve: false },
            "ERR" if reason.contains("max number of clients") => {
                Self::Unavailable { reason, resolve: true }
            }
            _ => Self::Refused { reason },
        }
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::NoScript => Self::Unavailable { reason: "NOSCRIPT after loading".into() },
            Fault::Unavailable { reason, .. } => Self::Unavailable { reason },
            Fault::Ambiguous { reason, .. } => Self::Ambiguous { reason },
            Fault::Full => Self::Full,
            Fault::Layout => Self::Layout { known: crate::keys::LAYOUT },
            Fault::Forbidden { reason } | Fault::Refused { reason } => Self::Refused { reason },
        }
    }
}

/// Full jitter up to 1 s: how long to wait before try number `tries` (from 0) is repeated.
pub(crate) fn pause(tries: u32) -> Duration {
    let longest = FIRST_BACKOFF.saturating_mul(1 << tries.min(16)).min(MAX_BACKOFF);
    longest.mul_f64(fastrand::f64())
}

/// Knows where the server is, and makes connections to it.
#[derive(Debug, Clone)]
pub(crate) struct Connector {
    target: Target,
}

#[derive(Debug, Clone)]
enum Target {
    Server(Client),
    #[cfg(feature = "embedded")]
    Engine(crate::embedded::Engine),
}

impl Connector {
    pub(crate) fn new(url: &str) -> Result<Self> {
        // The URL may hold a password, so neither it nor the parser's words on it are shown.
        let refused = || {
            let limit = "it takes redis://[user:password@]host[:port][/db] or unix:///path";
            Error::invalid("server URL", &redacted(url), limit)
        };
        let info = url.into_connection_info().map_err(|_| refused())?;
        let (idle, interval, probes) = KEEPALIVE;
        let keepalive =
            TcpKeepalive::new().with_time(idle).with_interval(interval).with_retries(probes);
        let tcp = TcpSettings::default().set_nodelay(true).set_keepalive(keepalive);
        #[cfg(target_os = "linux")]
        let tcp = tcp.set_user_timeout(TCP_USER_TIMEOUT);
        let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let info = info.set_tcp_settings(tcp).set_redis_settings(settings);
        Ok(Self { target: Target::Server(Client::open(info).map_err(|_| refused())?) })
    }

    #[cfg(feature = "embedded")]
    pub(crate) fn embedded(engine: crate::embedded::Engine) -> Self {
        Self { target: Target::Engine(engine) }
    }

    /// Host and port, or the socket's path; never the password.
    pub(crate) fn address(&self) -> String {
        match &self.target {
            Target::Server(client) => client.get_connection_info().addr().to_string(),
            #[cfg(feature = "embedded")]
            Target::Engine(_) => "embedded".into(),
        }
    }

    #[cfg(test)]
    pub(crate) fn password(&self) -> Option<&str> {
        match &self.target {
            Target::Server(client) => client.get_connection_info().redis_settings().password(),
            #[cfg(feature = "embedded")]
            Target::Engine(_) => None,
        }
    }

    /// A connection for short commands.
    pub(crate) async fn connect(&self) -> Result<MultiplexedConnection, Fault> {
        self.open(Some(RESPONSE_TIMEOUT)).await
    }

    /// A connection whose commands may block for as long as the caller waits.
    pub(crate) async fn connect_blocking(&self) -> Result<MultiplexedConnection, Fault> {
        self.open(None).await
    }

    async fn open(&self, response: Option<Duration>) -> Result<MultiplexedConnection, Fault> {
        let config = redis::AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(response);
        let opened = match &self.target {
            Target::Server(client) => {
                client.get_multiplexed_async_connection_with_config(&config).await
            }
            #[cfg(feature = "embedded")]
            Target::Engine(engine) => piped(engine, config).await,
        };
        metrics::connected(if opened.is_ok() { "made" } else { "failed" });
        // Nothing was sent yet, so no failure to connect is ambiguous.
        opened.map_err(|error| match Fault::of(&error) {
            Fault::Ambiguous { reason, .. } => Fault::Unavailable { reason, resolve: true },
            fault => fault,
        })
    }
}

/// A connection through a pipe within the process.
#[cfg(feature = "embedded")]
async fn piped(
    engine: &crate::embedded::Engine,
    config: redis::AsyncConnectionConfig,
) -> Result<MultiplexedConnection, RedisError> {
    let settings = redis::RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP3);
    let opened = MultiplexedConnection::new_with_config(&settings, engine.pipe()?, config).await;
    let (connection, driver) = opened?;
    tokio::spawn(driver);
    Ok(connection)
}

/// One shared connection that is made anew when it is of no more use.
#[derive(Debug)]
pub(crate) struct Link {
    connector: Connector,
    live: RwLock<Option<Live>>,
    /// Held while a connection is made; remembers when that failed last, and how.
    opening: tokio::sync::Mutex<Option<(Instant, Fault)>>,
    epochs: AtomicU64,
    timeouts: AtomicU32,
}

#[derive(Debug, Clone)]
struct Live {
    connection: MultiplexedConnection,
    epoch: u64,
}

impl Link {
    pub(crate) fn new(connector: Connector) -> Self {
        Self {
            connector,
            live: RwLock::default(),
            opening: tokio::sync::Mutex::default(),
            epochs: AtomicU64::new(0),
            timeouts: AtomicU32::new(0),
        }
    }

    pub(crate) fn connector(&self) -> &Connector {
        &self.connector
    }

    pub(crate) async fn send(&self, command: &Cmd) -> Result<Value, Fault> {
        let mut live = self.live().await?;
        let answer = live.connection.send_packed_command(command).await;
        match answer.and_then(top_level) {
            Ok(value) => {
                self.timeouts.store(0, Ordering::Relaxed);
                Ok(value)
            }
            Err(error) => {
                let fault = Fault::of(&error);
                if self.is_spoilt_by(&fault) {
                    self.drop_epoch(live.epoch);
                }
                Err(fault)
            }
        }
    }

    fn is_spoilt_by(&self, fault: &Fault) -> bool {
        match fault {
            Fault::Unavailable { resolve, .. } => *resolve,
            Fault::Ambiguous { timeout: true, .. } => {
                self.timeouts.fetch_add(1, Ordering::Relaxed) + 1 >= MAX_TIMEOUTS
            }
            Fault::Ambiguous { .. } => true,
            _ => false,
        }
    }

    /// Only the connection that failed is dropped, not one that another caller has made since.
    fn drop_epoch(&self, epoch: u64) {
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
        if live.as_ref().is_some_and(|live| live.epoch == epoch) {
            *live = None;
        }
    }

    /// Whatever connection there is, its caller has lost faith in it.
    pub(crate) fn drop_live(&self) {
        *self.live.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn current(&self) -> Option<Live> {
        self.live.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn live(&self) -> Result<Live, Fault> {
        if let Some(live) = self.current() {
            return Ok(live);
        }
        let asked = Instant::now();
        let mut failed = self.opening.lock().await;
        if let Some(live) = self.current() {
            return Ok(live);
        }
        // Whoever waited for an attempt that failed shares its failure: one after the other, many
        // callers would each wait for a time-out of their own.
        if let Some((at, fault)) = &*failed
            && *at >= asked
        {
            return Err(fault.clone());
        }
        let connection = match self.connector.connect().await {
            Ok(connection) => connection,
            Err(fault) => {
                *failed = Some((Instant::now(), fault.clone()));
                return Err(fault);
            }
        };
        let epoch = self.epochs.fetch_add(1, Ordering::Relaxed);
        self.timeouts.store(0, Ordering::Relaxed);
        let live = Live { connection, epoch };
        *self.live.write().unwrap_or_else(PoisonError::into_inner) = Some(live.clone());
        Ok(live)
    }
}

/// Scripts never nest errors, so only the top of a reply is looked at.
fn top_level(value: Value) -> Result<Value, RedisError> {
    match value {
        Value::ServerError(error) => Err(error.into()),
        value => Ok(value),
    }
}

/// What a URL may begin with and be shown to; in place of anything else a password may stand.
const SCHEMES: [&str; 6] = ["redis", "rediss", "valkey", "unix", "http", "https"];

/// No more than the scheme.
fn redacted(url: &str) -> String {
    let scheme = SCHEMES
        .into_iter()
        .find(|scheme| url.strip_prefix(scheme).is_some_and(|rest| rest.starts_with("://")));
    scheme.map_or("…".to_owned(), |scheme| format!("{scheme}://…"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_url_never_shows_its_password() {
        for url in
            ["redis://u:canary@host:port", "canary@x", "http://u:canary@host", "u:canary://x"]
        {
            let error = Connector::new(url).unwrap_err();
            assert!(!format!("{error:?} {error}").contains("canary"), "{error}");
        }
    }

    #[test]
    fn each_code_has_its_class() {
        let class = |code: &str| Fault::of_code(code, String::new());
        assert_eq!(class("NOSCRIPT"), Fault::NoScript);
        assert_eq!(class("OOM"), Fault::Full);
        assert!(matches!(class("READONLY"), Fault::Unavailable { resolve: true, .. }));
        assert!(matches!(class("LOADING"), Fault::Unavailable { resolve: false, .. }));
        assert!(matches!(class("WRONGTYPE"), Fault::Refused { .. }));
        assert!(matches!(class("NOPERM"), Fault::Forbidden { .. }));
        assert!(matches!(class("CROSSSLOT"), Fault::Refused { .. }));
    }

    #[test]
    fn pauses_grow_up_to_their_bound() {
        for tries in [0, 5, 40, u32::MAX] {
            assert!(pause(tries) <= MAX_BACKOFF);
        }
    }
}
