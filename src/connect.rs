//! Connections with time-outs that end.

use std::pin::Pin;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, Value};
use tokio::time::timeout;

use crate::access::Access;
use crate::error::{Error, Result};
use crate::fault::Fault;
use crate::metrics;
use crate::slots::Node;

/// A busy server answers late; the client's default of 500 ms would break healthy calls.
pub(crate) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);
/// Name resolution, TCP and the handshake together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Unacknowledged data this old means that the peer is gone (the system's default is 15 minutes).
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(5);
/// An idle link is probed after 5 s, then every 2 s, three times.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(5), Duration::from_secs(2), 3);

/// Knows where the server is, and makes connections to it.
#[derive(Debug, Clone)]
pub(crate) struct Connector {
    target: Target,
    /// Whoever is no master is refused.
    masters_only: bool,
}

#[derive(Debug, Clone)]
enum Target {
    Server(Box<ConnectionInfo>, Access),
    #[cfg(feature = "embedded")]
    Engine(crate::embedded::Engine),
}

impl Connector {
    pub(crate) fn new(url: &str, access: Access) -> Result<Self> {
        let info = url.into_connection_info().map_err(|_| refused(url))?;
        let (idle, interval, probes) = KEEPALIVE;
        let keepalive =
            TcpKeepalive::new().with_time(idle).with_interval(interval).with_retries(probes);
        let tcp = TcpSettings::default().set_nodelay(true).set_keepalive(keepalive);
        #[cfg(target_os = "linux")]
        let tcp = tcp.set_user_timeout(TCP_USER_TIMEOUT);
        let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let info = info.set_tcp_settings(tcp).set_redis_settings(settings);
        access.check(&info)?;
        Ok(Self { target: Target::Server(Box::new(info), access), masters_only: false })
    }

    #[cfg(feature = "embedded")]
    pub(crate) fn embedded(engine: crate::embedded::Engine) -> Self {
        Self { target: Target::Engine(engine), masters_only: false }
    }

    /// The same user and settings at another server.
    pub(crate) fn at(&self, node: &Node) -> Self {
        let target = match &self.target {
            Target::Server(info, access) => {
                Target::Server(Box::new(moved(info, node)), access.clone())
            }
            #[cfg(feature = "embedded")]
            engine @ Target::Engine(_) => engine.clone(),
        };
        Self { target, ..self.clone() }
    }

    pub(crate) fn masters_only(self) -> Self {
        Self { masters_only: true, ..self }
    }

    /// Host and port, where it is reached by them.
    pub(crate) fn node(&self) -> Option<Node> {
        let info = match &self.target {
            Target::Server(info, _) => info,
            #[cfg(feature = "embedded")]
            Target::Engine(_) => return None,
        };
        match info.addr() {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
                Some(Node::new(host, *port))
            }
            _ => None,
        }
    }

    /// Host and port, or the socket's path; never the password.
    pub(crate) fn address(&self) -> String {
        match &self.target {
            Target::Server(info, _) => info.addr().to_string(),
            #[cfg(feature = "embedded")]
            Target::Engine(_) => "embedded".into(),
        }
    }

    #[cfg(test)]
    pub(crate) fn password(&self) -> Option<&str> {
        match &self.target {
            Target::Server(info, _) => info.redis_settings().password(),
            #[cfg(feature = "embedded")]
            Target::Engine(_) => None,
        }
    }

    /// A connection for short commands.
    pub(crate) async fn connect(&self) -> Result<MultiplexedConnection, Fault> {
        self.open(CONNECT_TIMEOUT, Some(RESPONSE_TIMEOUT)).await
    }

    /// A connection whose commands may block for as long as the caller waits.
    pub(crate) async fn connect_blocking(&self) -> Result<MultiplexedConnection, Fault> {
        self.open(CONNECT_TIMEOUT, None).await
    }

    /// A connection to one of several that may be asked the same: none is waited for for long.
    pub(crate) async fn connect_within(
        &self,
        limit: Duration,
    ) -> Result<MultiplexedConnection, Fault> {
        self.open(limit, Some(limit)).await
    }

    async fn open(
        &self,
        connect: Duration,
        response: Option<Duration>,
    ) -> Result<MultiplexedConnection, Fault> {
        let config = redis::AsyncConnectionConfig::new()
            .set_connection_timeout(Some(connect))
            .set_response_timeout(response);
        let opened = match &self.target {
            Target::Server(info, access) => reached(info, access, &config).await,
            #[cfg(feature = "embedded")]
            Target::Engine(engine) => {
                piped(engine, config).await.map_err(|error| Fault::of(&error).before_any_call())
            }
        };
        metrics::connected(match &opened {
            Ok(_) => "made",
            Err(Fault::Denied { .. }) => "denied",
            Err(_) => "failed",
        });
        if let Err(Fault::Denied { reason }) = &opened {
            tracing::error!(address = self.address(), reason, "the server does not let us in");
        }
        let mut connection = opened?;
        if self.masters_only {
            prove_master(&mut connection).await?;
        }
        Ok(connection)
    }
}

fn moved(info: &ConnectionInfo, node: &Node) -> ConnectionInfo {
    let (host, port) = (node.host.to_string(), node.port);
    let address = match info.addr().clone() {
        ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
            ConnectionAddr::TcpTls { host, port, insecure, tls_params }
        }
        _ => ConnectionAddr::Tcp(host, port),
    };
    info.clone().set_addr(address)
}

/// It is large with TLS, and part of whatever waits for the server; without its type, which is so deep
/// that users' own futures around it would overflow the compiler.
fn reached<'a>(
    info: &'a ConnectionInfo,
    access: &'a Access,
    config: &'a redis::AsyncConnectionConfig,
) -> Pin<Box<dyn Future<Output = Result<MultiplexedConnection, Fault>> + Send + 'a>> {
    Box::pin(reach(info, access, config))
}

async fn reach(
    info: &ConnectionInfo,
    access: &Access,
    config: &redis::AsyncConnectionConfig,
) -> Result<MultiplexedConnection, Fault> {
    // A password may be read from where nobody answers.
    let late = || Error::Unavailable { reason: "the password or a certificate is not read".into() };
    let client = timeout(CONNECT_TIMEOUT, client(info, access)).await;
    let client = client.unwrap_or_else(|_| Err(late())).map_err(|error| match error {
        Error::Denied { reason } => Fault::Denied { reason },
        error => Fault::Unavailable { reason: error.to_string(), resolve: true },
    })?;
    let opened = client.get_multiplexed_async_connection_with_config(config).await;
    opened.map_err(|error| match Fault::of(&error).before_any_call() {
        Fault::Unavailable { reason, resolve }
            if matches!(info.addr(), ConnectionAddr::TcpTls { .. }) =>
        {
            let reason = format!("TLS to {}, {}: {reason}", info.addr(), access.trusted());
            Fault::Unavailable { reason, resolve }
        }
        fault => fault,
    })
}

async fn client(info: &ConnectionInfo, access: &Access) -> Result<Client> {
    if access.is_plain() {
        return access.client(info.clone());
    }
    let (info, access) = (info.clone(), access.clone());
    let made = tokio::task::spawn_blocking(move || access.client(info)).await;
    made.unwrap_or_else(|error| Err(Error::Unavailable { reason: error.to_string() }))
}

/// Sentinels may name a master that has been replaced and follows another one now.
async fn prove_master(connection: &mut MultiplexedConnection) -> Result<(), Fault> {
    let asked =
        timeout(RESPONSE_TIMEOUT, connection.send_packed_command(&redis::cmd("ROLE"))).await;
    let reason = match asked {
        Ok(Ok(Value::Array(role))) => match role.first() {
            Some(Value::BulkString(role)) if role == b"master" => return Ok(()),
            role => format!("the server is no master: {role:?}"),
        },
        // A user that may not ask has to trust the sentinels.
        Ok(Ok(Value::ServerError(error))) if error.code() == "NOPERM" => return Ok(()),
        Ok(Ok(answer)) => format!("unknown reply to ROLE: {answer:?}"),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "ROLE was not answered".into(),
    };
    Err(Fault::Unavailable { reason, resolve: true })
}

/// A connection through a pipe within the process.
#[cfg(feature = "embedded")]
async fn piped(
    engine: &crate::embedded::Engine,
    config: redis::AsyncConnectionConfig,
) -> Result<MultiplexedConnection, redis::RedisError> {
    let settings = redis::RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP3);
    let opened = MultiplexedConnection::new_with_config(&settings, engine.pipe()?, config);
    let Ok(opened) = timeout(CONNECT_TIMEOUT, opened).await else {
        return Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into());
    };
    let (connection, driver) = opened?;
    tokio::spawn(driver);
    Ok(connection)
}

/// The URL may hold a password, so neither it nor the parser's words on it are shown.
pub(crate) fn refused(url: &str) -> Error {
    let tls = if cfg!(feature = "tls") { "rediss… for TLS" } else { "no TLS without `tls`" };
    let limit = format!(
        "it takes redis://[user:password@]host[:port][/db], unix:///path, \
         redis+sentinel://host,host/service or redis+cluster://host,host; {tls}"
    );
    Error::invalid("server URL", &redacted(url), limit)
}

/// What a URL may begin with and be shown to; in place of anything else a password may stand.
const SCHEMES: [&str; 10] = [
    "redis",
    "rediss",
    "valkey",
    "unix",
    "http",
    "https",
    "redis+sentinel",
    "rediss+sentinel",
    "redis+cluster",
    "rediss+cluster",
];

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
            let error = Connector::new(url, Access::default()).unwrap_err();
            assert!(!format!("{error:?} {error}").contains("canary"), "{error}");
        }
    }
}
