//! The ten keys of a queue: the only place that spells them.

use crate::error::{Error, Result};
use crate::name::QueueName;

/// In the order that `lua/prelude.lua` names them.
pub(crate) const NAMES: [&str; 10] = [
    "ready",
    "scheduled",
    "pending",
    "dead",
    "messages",
    "attempts",
    "keyed",
    "bell",
    "alarm",
    "meta",
];
/// The newest layout of keys and formats that this version reads and writes: one with a routing.
pub(crate) const LAYOUT: u32 = 2;
/// What a queue has until it is partitioned, for clients that know no routing.
pub(crate) const PLAIN: u32 = 1;
pub(crate) const DEFAULT_PREFIX: &str = "rd";
/// The hash of queues that were pushed to: name → partitions, layout, and since when.
const REGISTRY: &str = "queues";
/// A prefix stands in front of every key of every message's queue.
const MAX_PREFIX: usize = 32;
const BELL: usize = 7;
const ALARM: usize = 8;
const META: usize = 9;

/// The keys of one partition, all under the hash tag `{NAME.P}`.
#[derive(Debug, Clone)]
pub(crate) struct Keys([String; 10]);

impl Keys {
    pub(crate) fn new(prefix: &str, queue: &QueueName, partition: u32) -> Self {
        Self(NAMES.map(|name| format!("{prefix}:{{{queue}.{partition}}}:{name}")))
    }

    pub(crate) fn all(&self) -> &[String; 10] {
        &self.0
    }

    pub(crate) fn bell(&self) -> &str {
        &self.0[BELL]
    }

    pub(crate) fn alarm(&self) -> &str {
        &self.0[ALARM]
    }

    pub(crate) fn meta(&self) -> &str {
        &self.0[META]
    }
}

pub(crate) fn registry(prefix: &str) -> String {
    format!("{prefix}:{REGISTRY}")
}

pub(crate) fn validate_prefix(prefix: &str) -> Result<()> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_.:-".contains(c);
    if prefix.is_empty() || prefix.len() > MAX_PREFIX || !prefix.chars().all(allowed) {
        let limit = "it takes 1 to 32 of A-Z a-z 0-9 _ . : -";
        return Err(Error::invalid("key prefix", prefix, limit));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prelude_names_the_same_keys_in_the_same_order() {
        let prelude = include_str!("../lua/prelude.lua");
        let mut named = Vec::new();
        for line in prelude.lines().filter(|line| line.contains("KEYS[")) {
            let (locals, keys) = line.trim_start_matches("local ").split_once(" = ").unwrap();
            for (name, key) in locals.split(", ").zip(keys.split(", ")) {
                named.push(name.to_lowercase());
                assert_eq!(key, format!("KEYS[{}]", named.len()));
            }
        }
        assert_eq!(named, NAMES);
    }

    #[test]
    fn keys_carry_the_hash_tag_of_queue_and_partition() {
        let keys = Keys::new("rd", &QueueName::new("a.b").unwrap(), 3);
        assert_eq!(keys.all()[0], "rd:{a.b.3}:ready");
        assert_eq!((keys.bell(), keys.alarm()), ("rd:{a.b.3}:bell", "rd:{a.b.3}:alarm"));
    }
}
