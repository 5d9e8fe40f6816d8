//! Which commands a user of a server needs, by what the user is for: the one table of them.

use std::fmt;

use crate::error::Result;
use crate::keys::validate_prefix;

/// What a server's user is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// Pushes, and nothing else.
    Producer,
    /// Claims, settles, extends, counts, and runs a poller. It may push too.
    Worker,
    /// Everything that the library and the program do.
    Operator,
    /// Looks: counts, forecast, peek, find, check, the list of queues.
    ReadOnly,
}

/// To choose a database, see the version and call scripts, all of which read the clock, `meta` and the
/// sizes of the other keys. `ROLE` tells a master from a replica, and the two after it find the node of a
/// Cluster. `HELLO` and `AUTH` need no right.
const CALL: &[&str] = &[
    "select",
    "info",
    "role",
    "cluster|slots",
    "asking",
    "evalsha",
    "script|load",
    "time",
    "hmget",
    "hlen",
    "llen",
    "zcard",
];
const PUSH: &[&str] = &[
    "hsetnx",
    "hget",
    "hexists",
    "hset",
    "hdel",
    "rpush",
    "zmscore",
    "zrange",
    "zadd",
    "memory|usage",
];
/// For pushes that wait for replicas. `synced` takes a right that not every server knows, see
/// `docs/operating.md`.
const PROVE: &[&str] = &["wait"];
const WORK: &[&str] = &["blpop", "lrange", "lindex", "ltrim", "lpush", "zrem", "zcount", "del"];
const LOOK: &[&str] = &[
    "hkeys", "hexists", "hscan", "type", "lrange", "lindex", "lpos", "zmscore", "zrange", "zscan",
    "zcount",
];
const OPERATE: &[&str] = &["lrem", "unlink", "script|exists"];

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Producer, Self::Worker, Self::Operator, Self::ReadOnly];

    /// The role's name, as the program takes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Producer => "producer",
            Self::Worker => "worker",
            Self::Operator => "operator",
            Self::ReadOnly => "read-only",
        }
    }

    /// The commands that a user of this role needs, each once, in the form of `ACL SETUSER` without
    /// its `+`.
    pub fn commands(self) -> Vec<&'static str> {
        let groups: &[&[&'static str]] = match self {
            Self::Producer => &[CALL, PUSH, PROVE],
            Self::Worker => &[CALL, PUSH, PROVE, WORK],
            Self::Operator => &[CALL, PUSH, PROVE, WORK, LOOK, OPERATE],
            Self::ReadOnly => &[CALL, LOOK],
        };
        let mut commands = Vec::new();
        for command in groups.iter().copied().flatten() {
            if !commands.contains(command) {
                commands.push(*command);
            }
        }
        commands
    }

    /// The rules for `ACL SETUSER` that grant a new user just these commands, on the keys under this
    /// prefix.
    ///
    /// ```
    /// let rules = redeliver::Role::Producer.rules("rd").unwrap();
    /// assert!(rules.starts_with("~rd:* -@all +select "));
    /// ```
    pub fn rules(self, prefix: &str) -> Result<String> {
        validate_prefix(prefix)?;
        let commands = self.commands();
        Ok(format!("~{prefix}:* -@all +{}", commands.join(" +")))
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_may_call_scripts_and_a_reader_may_write_nothing() {
        for role in Role::ALL {
            let commands = role.commands();
            let once: std::collections::BTreeSet<_> = commands.iter().collect();
            assert_eq!(once.len(), commands.len(), "{role}");
            let writes = commands.contains(&"hset");
            assert_eq!((commands.contains(&"evalsha"), writes), (true, role != Role::ReadOnly));
        }
    }
}
