//! What a URL names: one server, sentinels that know the master, or nodes of a Cluster.

use std::fmt;

use crate::access::Access;
use crate::connect::{Connector, refused};
use crate::error::Result;
use crate::slots::Node;

const SENTINEL: &str = "+sentinel";
const CLUSTER: &str = "+cluster";
/// Where sentinels listen when the URL does not say.
const SENTINEL_PORT: u16 = 26_379;

/// A URL that was understood.
#[derive(Debug)]
pub(crate) enum Address {
    Server(Connector, PlainUrl),
    Sentinel {
        sentinels: Vec<Connector>,
        /// Under which name they watch the master.
        service: String,
        /// For the masters that they name.
        server: Connector,
        plain: PlainUrl,
    },
    Cluster {
        seeds: Vec<Node>,
        server: Connector,
        plain: PlainUrl,
    },
}

/// The text of a URL of one server, but for its host and port. It may hold a password.
#[derive(Clone)]
pub(crate) struct PlainUrl {
    before: String,
    after: String,
}

impl fmt::Debug for PlainUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlainUrl")
    }
}

impl PlainUrl {
    pub(crate) fn at(&self, node: impl fmt::Display) -> String {
        format!("{}{node}{}", self.before, self.after)
    }

    /// The URL of the one server that it names already.
    pub(crate) fn whole(&self) -> String {
        self.at("")
    }
}

impl Address {
    pub(crate) fn parse(url: &str, access: &Access) -> Result<Self> {
        let (scheme, rest) = url.split_once("://").unwrap_or((url, ""));
        if let Some(scheme) = scheme.strip_suffix(SENTINEL) {
            let parts = Parts::of(scheme, rest).ok_or_else(|| refused(url))?;
            parts.sentinel(access)?.ok_or_else(|| refused(url))
        } else if let Some(scheme) = scheme.strip_suffix(CLUSTER) {
            let parts = Parts::of(scheme, rest).ok_or_else(|| refused(url))?;
            parts.cluster(access)?.ok_or_else(|| refused(url))
        } else {
            let plain = PlainUrl { before: url.to_owned(), after: String::new() };
            Ok(Self::Server(Connector::new(url, access.clone())?, plain))
        }
    }
}

#[cfg(test)]
impl Address {
    pub(crate) fn passwords(&self) -> Vec<&str> {
        let (server, sentinels): (_, &[Connector]) = match self {
            Self::Server(server, _) | Self::Cluster { server, .. } => (server, &[]),
            Self::Sentinel { server, sentinels, .. } => (server, sentinels),
        };
        std::iter::once(server).chain(sentinels).filter_map(Connector::password).collect()
    }
}

/// A URL of several hosts. Nothing in it is decoded, so that its parts can be put together anew.
struct Parts<'a> {
    /// Of each of the servers: `redis` or `rediss`.
    scheme: &'a str,
    /// With its `@`, or nothing.
    user: &'a str,
    hosts: Vec<&'a str>,
    path: &'a str,
    /// Each `name=value`.
    query: Vec<&'a str>,
}

impl<'a> Parts<'a> {
    fn of(scheme: &'a str, rest: &'a str) -> Option<Self> {
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let split = authority.rfind('@').map_or(0, |at| at + 1);
        let (user, hosts) = authority.split_at(split);
        let hosts: Vec<_> = hosts.split(',').collect();
        if !["redis", "rediss"].contains(&scheme) || hosts.iter().any(|host| host.is_empty()) {
            return None;
        }
        let query = query.split('&').filter(|pair| !pair.is_empty()).collect();
        Some(Self { scheme, user, hosts, path, query })
    }

    /// Takes a setting out of the query.
    fn take(&mut self, name: &str) -> &'a str {
        let value = |pair: &&'a str| pair.strip_prefix(name)?.strip_prefix('=');
        let found = self.query.iter().position(|pair| value(pair).is_some());
        found.and_then(|at| value(&self.query.remove(at))).unwrap_or_default()
    }

    fn plain(&self, user: &str, db: &str) -> PlainUrl {
        let query = self.query.join("&");
        let mark = if query.is_empty() { "" } else { "?" };
        let before = format!("{}://{user}", self.scheme);
        PlainUrl { before, after: format!("/{db}{mark}{query}") }
    }

    /// `HOSTS/SERVICE[/DB][?sentinel_username=USER&sentinel_password=PASSWORD]`.
    fn sentinel(mut self, access: &Access) -> Result<Option<Address>> {
        let (service, db) = self.path.split_once('/').unwrap_or((self.path, ""));
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let Some(first) = self.hosts.first().copied() else { return Ok(None) };
        if service.is_empty() || !service.chars().all(allowed) {
            return Ok(None);
        }
        let (user, password) = (self.take("sentinel_username"), self.take("sentinel_password"));
        let user = if password.is_empty() { String::new() } else { format!("{user}:{password}@") };
        let watcher = self.plain(&user, "");
        let sentinel =
            |host: &&str| Connector::new(&watcher.at(ported(host)), access.without_password());
        let sentinels = self.hosts.iter().map(sentinel).collect::<Result<Vec<_>>>()?;
        let plain = self.plain(self.user, db);
        let server = Connector::new(&plain.at(first), access.clone())?.masters_only();
        Ok(Some(Address::Sentinel { sentinels, service: service.to_owned(), server, plain }))
    }

    /// `HOSTS[/DB]`.
    fn cluster(self, access: &Access) -> Result<Option<Address>> {
        let plain = self.plain(self.user, self.path);
        let connector = |host: &&str| Connector::new(&plain.at(host), access.clone());
        let servers = self.hosts.iter().map(connector).collect::<Result<Vec<_>>>()?;
        let seeds = servers.iter().map(Connector::node).collect::<Option<Vec<_>>>();
        let (Some(seeds), Some(server)) = (seeds, servers.into_iter().next()) else {
            return Ok(None);
        };
        Ok(Some(Address::Cluster { seeds, server, plain }))
    }
}

/// A sentinel's host, with the port that it means.
fn ported(host: &str) -> String {
    let after = host.rsplit_once(']').map_or(host, |(_, after)| after);
    if after.contains(':') { host.to_owned() } else { format!("{host}:{SENTINEL_PORT}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    fn parse(url: &str) -> Result<Address> {
        Address::parse(url, &Access::default())
    }

    fn addresses(connectors: &[Connector]) -> Vec<String> {
        connectors.iter().map(Connector::address).collect()
    }

    #[test]
    fn a_sentinel_url_names_sentinels_service_user_and_database() {
        let url = "redis+sentinel://u:p%40q@a,b:5,[::1]/main-1/3?sentinel_password=x%2Fy";
        let Ok(Address::Sentinel { sentinels, service, server, plain }) = parse(url) else {
            panic!("{url} is not understood");
        };
        assert_eq!(addresses(&sentinels), ["a:26379", "b:5", "::1:26379"]);
        assert_eq!(sentinels[0].password(), Some("x/y"));
        assert_eq!((service.as_str(), server.password()), ("main-1", Some("p@q")));
        let node = Node::new("master", 7);
        assert_eq!(plain.at(&node), "redis://u:p%40q@master:7/3");
        assert_eq!(server.at(&node).address(), "master:7");
    }

    #[test]
    fn a_cluster_url_names_nodes_and_user() {
        let url = "redis+cluster://:p@a:7000,b,[::1]:7002?protocol=resp3";
        let Ok(Address::Cluster { seeds, server, plain }) = parse(url) else {
            panic!("{url} is not understood");
        };
        let shown: Vec<_> = seeds.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["a:7000", "b:6379", "[::1]:7002"]);
        assert_eq!(server.password(), Some("p"));
        assert_eq!(plain.at(&seeds[2]), "redis://:p@[::1]:7002/?protocol=resp3");
    }

    #[test]
    fn what_names_nothing_is_refused_without_its_password() {
        for url in [
            "redis+sentinel://canary@a:1",
            "redis+sentinel://canary@a:1/",
            "redis+sentinel://canary@a:1/na me",
            "redis+sentinel://u:canary@/main",
            "redis+sentinel://a:1/main/0?sentinel_password=canary%",
            "redis+cluster://u:canary@",
            "redis+cluster://u:canary@a:1,,b:2",
            "redis+cluster://u:canary@a:port",
            "http+cluster://u:canary@a:1",
            "redis+canary://a:1",
        ] {
            match parse(url) {
                Err(Error::Invalid { value, .. }) => assert!(!value.contains("canary"), "{value}"),
                Ok(parsed) => assert!(!format!("{parsed:?}").contains("canary"), "{parsed:?}"),
                Err(error) => panic!("{error}"),
            }
        }
        assert!(parse("redis+sentinel://a:1").is_err());
        assert!(parse("redis+cluster://a:1,,b:2").is_err());
    }
}
