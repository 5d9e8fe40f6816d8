//! Connections with time-outs that end.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{Client, IntoConnectionInfo, ProtocolVersion};

use crate::error::{Error, Result};
use crate::fault::Fault;
use crate::metrics;

/// A busy server answers late; the client's default of 500 ms would break healthy calls.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);
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
) -> Result<MultiplexedConnection, redis::RedisError> {
    let settings = redis::RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP3);
    let opened = MultiplexedConnection::new_with_config(&settings, engine.pipe()?, config).await;
    let (connection, driver) = opened?;
    tokio::spawn(driver);
    Ok(connection)
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
}
