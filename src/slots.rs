//! Which node serves which slot of the key space.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use redis::Value;

/// Keys are spread over so many slots, by the specification of Redis Cluster.
const SLOTS: u16 = 16_384;
const CRC: crc::Crc<u16> = crc::Crc::<u16>::new(&crc::CRC_16_XMODEM);

/// The slot of a key: that of its hash tag, when it has one.
pub(crate) fn slot_of(key: &str) -> u16 {
    let tagged = key.split_once('{').and_then(|(_, rest)| rest.split_once('}'));
    let hashed = tagged.map(|(tag, _)| tag).filter(|tag| !tag.is_empty()).unwrap_or(key);
    CRC.checksum(hashed.as_bytes()) % SLOTS
}

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Node {
    pub(crate) host: Arc<str>,
    pub(crate) port: u16,
}

impl Node {
    pub(crate) fn new(host: &str, port: u16) -> Self {
        Self { host: host.into(), port }
    }

    /// `host:port`, where IPv6 addresses may stand with and without brackets.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        Some(Self::new(host, port.parse().ok()?))
    }

    /// A node that does not know its own host, or may not tell it, is where it was asked.
    pub(crate) fn beside(self, asked: &Self) -> Self {
        let unknown = self.host.is_empty() || &*self.host == "?";
        if unknown { Self { host: Arc::clone(&asked.host), ..self } } else { self }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Who serves what, as far as is known. Under a Sentinel one master serves every slot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Map {
    /// By their last slot.
    ranges: BTreeMap<u16, (u16, Node)>,
    /// What was told of single slots since.
    moved: BTreeMap<u16, Node>,
    /// Nodes that failed, so that it is to be asked who serves their slots now.
    doubted: BTreeSet<Node>,
}

impl Map {
    pub(crate) fn of_one(node: Node) -> Self {
        Self { ranges: BTreeMap::from([(SLOTS - 1, (0, node))]), ..Self::default() }
    }

    /// The answer to `CLUSTER SLOTS`, which `asked` gave.
    pub(crate) fn read(answer: Value, asked: &Node) -> Option<Self> {
        let Value::Array(ranges) = answer else { return None };
        let mut map = Self::default();
        for range in ranges {
            let Value::Array(range) = range else { return None };
            let [Value::Int(first), Value::Int(last), Value::Array(master), ..] = &range[..] else {
                return None;
            };
            let [host, Value::Int(port), ..] = &master[..] else { return None };
            let host = match host {
                Value::BulkString(host) => std::str::from_utf8(host).ok()?,
                Value::SimpleString(host) => host,
                Value::Nil => "",
                _ => return None,
            };
            let node = Node::new(host, u16::try_from(*port).ok()?).beside(asked);
            let last = u16::try_from(*last).ok().filter(|last| *last < SLOTS)?;
            map.ranges.insert(last, (u16::try_from(*first).ok()?, node));
        }
        Some(map)
    }

    pub(crate) fn owner(&self, slot: u16) -> Option<&Node> {
        self.moved.get(&slot).or_else(|| {
            let (_, (first, node)) = self.ranges.range(slot..).next()?;
            (*first <= slot).then_some(node)
        })
    }

    pub(crate) fn is_doubted(&self, node: &Node) -> bool {
        self.doubted.contains(node)
    }

    pub(crate) fn moved(&mut self, slot: u16, node: Node) {
        self.moved.insert(slot, node);
    }

    pub(crate) fn doubt(&mut self, node: &Node) {
        self.doubted.insert(node.clone());
    }

    pub(crate) fn trust_all(&mut self) {
        self.doubted.clear();
    }

    /// All who serve something.
    pub(crate) fn nodes(&self) -> BTreeSet<Node> {
        let whole = self.ranges.values().map(|(_, node)| node);
        whole.chain(self.moved.values()).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    fn range(first: i64, last: i64, host: Value, port: i64) -> Value {
        let node = |host, port| Value::Array(vec![host, Value::Int(port), bulk("id")]);
        let replica = node(bulk("replica"), 1);
        Value::Array(vec![Value::Int(first), Value::Int(last), node(host, port), replica])
    }

    #[test]
    fn the_slot_of_a_key_is_that_of_its_tag() {
        // From the specification, and from CLUSTER KEYSLOT.
        assert_eq!(slot_of("123456789"), 0x31C3 % SLOTS);
        assert_eq!(slot_of("x{foo}y"), slot_of("foo"));
        assert_eq!(slot_of("foo"), 12_182);
        assert_eq!(slot_of("foo{}{bar}"), 8_363);
        assert_eq!(slot_of("foo{{bar}}zap"), slot_of("{bar"));
    }

    #[test]
    fn each_slot_has_the_owner_that_the_answer_names() {
        let asked = Node::new("asked", 7000);
        let answer = Value::Array(vec![
            range(0, 99, bulk("one"), 1),
            range(100, 100, bulk(""), 2),
            range(200, 16_383, Value::Nil, 3),
        ]);
        let mut map = Map::read(answer, &asked).unwrap();
        let owner = |map: &Map, slot| map.owner(slot).map(ToString::to_string);
        assert_eq!(owner(&map, 0).unwrap(), "one:1");
        assert_eq!(owner(&map, 99).unwrap(), "one:1");
        assert_eq!(owner(&map, 100).unwrap(), "asked:2");
        assert_eq!(owner(&map, 101), None);
        assert_eq!(owner(&map, 16_383).unwrap(), "asked:3");
        map.moved(99, Node::new("two", 4));
        assert_eq!(owner(&map, 99).unwrap(), "two:4");
        assert_eq!(map.nodes().len(), 4);
    }

    #[test]
    fn what_is_no_answer_is_not_taken_for_one() {
        let asked = Node::new("asked", 7000);
        for answer in [
            Value::Nil,
            Value::Array(vec![Value::Int(1)]),
            Value::Array(vec![range(0, 16_384, bulk("x"), 1)]),
            Value::Array(vec![range(0, 5, Value::Int(0), 1)]),
            Value::Array(vec![range(0, 5, bulk("x"), 70_000)]),
        ] {
            assert_eq!(Map::read(answer, &asked), None);
        }
    }

    #[test]
    fn nodes_are_read_with_and_without_brackets() {
        assert_eq!(Node::parse("::1:6379"), Some(Node::new("::1", 6379)));
        assert_eq!(Node::parse("[::1]:6379").unwrap().to_string(), "[::1]:6379");
        let asked = Node::new("asked", 1);
        assert_eq!(Node::parse(":6381").unwrap().beside(&asked).to_string(), "asked:6381");
        assert_eq!(Node::parse("?:6381").unwrap().beside(&asked).to_string(), "asked:6381");
        assert_eq!(Node::parse("host"), None);
    }
}
