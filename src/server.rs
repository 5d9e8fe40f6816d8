//! A Redis or Valkey server, and the queues on it.

use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, Value};
use tokio::time::timeout;

use crate::access::Access;
use crate::error::{Error, Result};
use crate::fault::Fault;
use crate::keys::{DEFAULT_PREFIX, Keys, LAYOUT, PLAIN, registry, validate_prefix};
use crate::metrics::Meter;
use crate::name::QueueName;
use crate::route::{Links, Route};
use crate::routing::Routing;
use crate::scripts::scripts;
use crate::store::{Store, only};

/// The registry may be on another server than the queue, and that one may be down: nobody waits for
/// it any longer, nor for what is only looked up on the way.
pub(crate) const PATIENCE: Duration = Duration::from_millis(500);
/// Scripts with flags (`#!lua`) came with Redis 7.0; every Valkey has them.
const OLDEST_MAJOR: u32 = 7;

/// A connection that several queues share.
///
/// ```no_run
/// # async fn run() -> redeliver::Result<()> {
/// let server = redeliver::Server::connect("redis://127.0.0.1").await?;
/// let emails = server.queue::<String>("emails")?;
/// let orders = server.queue::<String>("orders")?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Server {
    links: Arc<Links>,
    prefix: Arc<str>,
}

impl Server {
    /// Connects, and checks that the server is new enough.
    ///
    /// The URL is one of
    ///
    /// - `redis://[user:password@]host[:port][/db]` or `unix:///path`: this server;
    /// - `redis+sentinel://[user:password@]host[:port],host[:port],…/service[/db]`: the master that the
    ///   sentinels on these hosts (port 26379 by default) name, with
    ///   `?sentinel_username=…&sentinel_password=…` where they want a password of their own;
    /// - `redis+cluster://[user:password@]host[:port],host[:port],…`: the Cluster that these nodes belong
    ///   to; some of them are enough.
    ///
    /// With `rediss` in place of `redis` it goes by TLS (feature `tls`). Connections are made anew by
    /// themselves for as long as somebody calls, to whoever serves the queue then.
    pub async fn connect(url: &str) -> Result<Self> {
        Self::connect_with(url, &Access::default()).await
    }

    /// The same with certificates, or a password that may change. Sentinels are shown the same
    /// certificates, and no password but that of the URL.
    pub async fn connect_with(url: &str, access: &Access) -> Result<Self> {
        let server = Self::open_with(url, access)?;
        let info = server.registry().send(redis::cmd("INFO").arg("server")).await;
        match info {
            Ok(Value::BulkString(info)) => check_version(&String::from_utf8_lossy(&info))?,
            Ok(Value::VerbatimString { text, .. }) => check_version(&text)?,
            // A user that may not ask is not kept from working.
            Ok(_) | Err(Fault::Forbidden { .. }) => {}
            Err(fault) => return Err(fault.into()),
        }
        Ok(server)
    }

    /// Takes the URL without connecting yet; the first call does.
    pub fn open(url: &str) -> Result<Self> {
        Self::open_with(url, &Access::default())
    }

    /// The same with certificates, or a password that may change. Their files are looked at now, and
    /// again for each connection.
    pub fn open_with(url: &str, access: &Access) -> Result<Self> {
        Ok(Self { links: Arc::new(Links::open(url, access)?), prefix: DEFAULT_PREFIX.into() })
    }

    /// An engine in this process instead of a server.
    #[cfg(feature = "embedded")]
    pub fn embedded(engine: &crate::embedded::Engine) -> Self {
        Self { links: Arc::new(Links::embedded(engine.clone())), prefix: DEFAULT_PREFIX.into() }
    }

    /// Puts all keys under another prefix than `rd`.
    pub fn with_prefix(mut self, prefix: &str) -> Result<Self> {
        validate_prefix(prefix)?;
        self.prefix = prefix.into();
        Ok(self)
    }

    /// The queues that were pushed to, by name. It is kept beside the queues, best effort: a queue
    /// works without standing in it.
    pub async fn queues(&self) -> Result<Vec<QueueName>> {
        let names = self.registry().send(redis::cmd("HKEYS").arg(registry(&self.prefix))).await?;
        let names: Vec<String> =
            redis::from_redis_value(names).map_err(|error| Error::reply("HKEYS", error))?;
        let mut names: Vec<_> =
            names.into_iter().filter_map(|name| QueueName::new(name).ok()).collect();
        names.sort();
        Ok(names)
    }

    /// Which of the [scripts](crate::scripts) the server has in its cache, in their order; of a Cluster,
    /// which every master has. A missing one is loaded by its first call.
    pub async fn cached_scripts(&self) -> Result<Vec<bool>> {
        let mut command = redis::cmd("SCRIPT");
        command.arg("EXISTS");
        for script in scripts() {
            command.arg(script.sha1());
        }
        let mut everywhere = vec![true; scripts().count()];
        for told in self.links.send_to_all(&command).await? {
            let here: Vec<bool> = redis::from_redis_value(told)
                .map_err(|error| Error::reply("SCRIPT EXISTS", error))?;
            everywhere.iter_mut().zip(here).for_each(|(everywhere, here)| *everywhere &= here);
        }
        Ok(everywhere)
    }

    /// Host and port, or the path of the socket; of several hosts, all that the URL names. Never a
    /// password.
    pub fn address(&self) -> String {
        self.links.address()
    }

    /// The servers that queues are on now, each by a URL that names it alone: the one that was given,
    /// the master that the sentinels name, or each master of the Cluster. None for an engine in this
    /// process. They hold the password.
    pub async fn urls(&self) -> Result<Vec<String>> {
        Ok(self.links.urls().await?)
    }

    /// The server that this queue, or its first partition, is on now, likewise.
    pub async fn url_of(&self, queue: &QueueName) -> Result<Option<String>> {
        Ok(self.store(queue, 0, Meter::new(queue)).route().url().await?)
    }

    /// The same server over connections of its own, for a thread with a runtime of its own.
    pub(crate) fn apart(&self) -> Self {
        Self { links: Arc::new(self.links.apart()), prefix: Arc::clone(&self.prefix) }
    }

    fn registry(&self) -> Route {
        self.links.route(&registry(&self.prefix))
    }

    pub(crate) fn store(&self, name: &QueueName, partition: u32, meter: Meter) -> Store {
        let keys = Keys::new(&self.prefix, name, partition);
        Store::new(self.links.route(keys.bell()), keys, meter)
    }

    /// What stands in the registry for a queue, if anything does.
    pub(crate) async fn entry(&self, name: &QueueName) -> Result<Option<String>, Fault> {
        let mut command = redis::cmd("HMGET");
        command.arg(registry(&self.prefix)).arg(name.as_str());
        Ok(only(self.ask_registry(&command).await?))
    }

    /// Writes the queue into the registry, unless it stands there.
    pub(crate) async fn register(&self, name: &QueueName, routing: Routing) -> Result<(), Fault> {
        self.write("HSETNX", name, routing).await
    }

    /// Replaces what the registry has.
    pub(crate) async fn enter(&self, name: &QueueName, routing: Routing) -> Result<(), Fault> {
        self.write("HSET", name, routing).await
    }

    async fn write(&self, command: &str, name: &QueueName, routing: Routing) -> Result<(), Fault> {
        let layout = if routing.epoch == 0 { PLAIN } else { LAYOUT };
        let mut command = redis::cmd(command);
        command.arg(registry(&self.prefix)).arg(name.as_str()).arg(routing.entry(layout));
        self.ask_registry(&command).await?;
        Ok(())
    }

    async fn ask_registry(&self, command: &Cmd) -> Result<Value, Fault> {
        let answer = timeout(PATIENCE, self.registry().send(command)).await.unwrap_or_else(|_| {
            let reason = format!("the registry did not answer within {PATIENCE:?}");
            Err(Fault::Ambiguous { reason, timeout: true })
        });
        answer.inspect_err(|fault| tracing::debug!(?fault, "the registry is not at hand"))
    }

    pub(crate) async fn unregister(&self, name: &QueueName) {
        let mut command = redis::cmd("HDEL");
        command.arg(registry(&self.prefix)).arg(name.as_str());
        if let Err(fault) = self.registry().send(&command).await {
            tracing::debug!(?fault, queue = %name, "queue is still in the registry");
        }
    }
}

fn check_version(info: &str) -> Result<()> {
    let field = |name| info.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let Some(version) = field("redis_version:") else {
        return Ok(());
    };
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_some_and(|major| major < OLDEST_MAJOR) {
        return Err(Error::Server { found: format!("Redis {version}") });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_tells_host_and_port_and_no_password() {
        let server = Server::open("redis://user:canary@127.0.0.1:7001/3").unwrap();
        assert_eq!(server.address(), "127.0.0.1:7001");
    }

    #[test]
    fn an_old_server_is_refused_and_an_unknown_one_is_not() {
        assert!(check_version("redis_version:6.2.14\r\n").is_err());
        assert!(check_version("a:b\r\nredis_version:7.0.15\r\n").is_ok());
        assert!(check_version("something_else:1").is_ok());
    }
}
