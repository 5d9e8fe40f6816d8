//! The keys with what they hold, and how much memory that takes.

use std::collections::VecDeque;

use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;

use super::reply::{Blob, Fault, WRONG_TYPE};
use super::zset::Zset;

/// Its order lets a scan go on where it was: see [`scan`].
pub(super) type Dict<V> = IndexMap<Blob, V, FxBuildHasher>;

/// What an item takes beside its bytes: pointers, counts, its part of a table.
pub(super) const ITEM: usize = 48;

/// What an engine without keys takes, roughly.
const EMPTY: usize = 1024 * 1024;

#[derive(Debug, Default)]
pub(super) struct List {
    pub(super) items: VecDeque<Blob>,
    bytes: usize,
}

#[derive(Debug, Default)]
pub(super) struct Hash {
    pub(super) fields: Dict<Blob>,
    bytes: usize,
}

#[derive(Debug, Default)]
pub(super) struct Text {
    pub(super) text: Option<Blob>,
}

#[derive(Debug)]
pub(super) enum Value {
    Text(Text),
    List(List),
    Hash(Hash),
    Zset(Zset),
}

impl List {
    pub(super) fn push(&mut self, item: &[u8], front: bool) {
        self.bytes += item.len() + ITEM;
        if front { self.items.push_front(item.into()) } else { self.items.push_back(item.into()) }
    }

    pub(super) fn pop(&mut self) -> Option<Blob> {
        let item = self.items.pop_front()?;
        self.bytes -= item.len() + ITEM;
        Some(item)
    }

    /// Keeps what the range covers.
    pub(super) fn trim(&mut self, kept: std::ops::Range<usize>) {
        self.items.truncate(kept.end);
        self.items.drain(..kept.start.min(self.items.len()));
        self.weigh();
    }

    /// Removes items that equal this one, at most `limit` of them.
    pub(super) fn remove(&mut self, wanted: &[u8], limit: usize, from_tail: bool) -> usize {
        let equal = |items: &VecDeque<Blob>| items.iter().filter(|item| ***item == *wanted).count();
        let all = equal(&self.items);
        let skipped = if from_tail { all.saturating_sub(limit) } else { 0 };
        let (mut seen, mut removed) = (0, 0);
        self.items.retain(|item| {
            if **item != *wanted {
                return true;
            }
            seen += 1;
            let goes = seen > skipped && removed < limit;
            removed += usize::from(goes);
            !goes
        });
        self.weigh();
        removed
    }

    fn weigh(&mut self) {
        self.bytes = self.items.iter().map(|item| item.len() + ITEM).sum();
    }
}

impl Hash {
    /// Says whether the field is new.
    pub(super) fn set(&mut self, field: &[u8], value: &[u8]) -> bool {
        self.bytes += value.len();
        if let Some(known) = self.fields.get_mut(field) {
            self.bytes -= known.len();
            *known = value.into();
            return false;
        }
        self.bytes += field.len() + 2 * ITEM;
        self.fields.insert(field.into(), value.into());
        true
    }

    pub(super) fn remove(&mut self, field: &[u8]) -> bool {
        let Some(value) = self.fields.swap_remove(field) else { return false };
        self.bytes -= field.len() + value.len() + 2 * ITEM;
        true
    }
}

/// One of the kinds that a key can hold.
pub(super) trait Kind: Default {
    fn of(value: &Value) -> Option<&Self>;
    fn of_mut(value: &mut Value) -> Option<&mut Self>;
    fn value(self) -> Value;
    fn bytes(&self) -> usize;
    fn is_empty(&self) -> bool;
}

macro_rules! kind {
    ($kind:ident, $own:ident, $bytes:expr, $empty:expr) => {
        impl Kind for $kind {
            fn of(value: &Value) -> Option<&Self> {
                if let Value::$kind(own) = value { Some(own) } else { None }
            }

            fn of_mut(value: &mut Value) -> Option<&mut Self> {
                if let Value::$kind(own) = value { Some(own) } else { None }
            }

            fn value(self) -> Value {
                Value::$kind(self)
            }

            fn bytes(&self) -> usize {
                let $own = self;
                $bytes
            }

            fn is_empty(&self) -> bool {
                let $own = self;
                $empty
            }
        }
    };
}

kind!(Text, own, own.text.as_ref().map_or(0, |text| text.len()), own.text.is_none());
kind!(List, own, own.bytes, own.items.is_empty());
kind!(Hash, own, own.bytes, own.fields.is_empty());
kind!(Zset, own, own.bytes, own.scores.is_empty());

impl Value {
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Text(own) => Kind::bytes(own),
            Self::List(own) => Kind::bytes(own),
            Self::Hash(own) => Kind::bytes(own),
            Self::Zset(own) => Kind::bytes(own),
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Text(_) => "string",
            Self::List(_) => "list",
            Self::Hash(_) => "hash",
            Self::Zset(_) => "zset",
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Keyspace {
    pub(super) keys: Dict<Value>,
    bytes: usize,
}

impl Keyspace {
    /// Bytes of all keys, as far as they are counted, and of what stands around them.
    pub(super) fn used(&self) -> usize {
        self.bytes + EMPTY
    }

    /// What the key holds; an error when it is of another kind.
    pub(super) fn read<K: Kind>(&self, key: &[u8]) -> Result<Option<&K>, Fault> {
        self.keys.get(key).map(|value| K::of(value).ok_or(WRONG_TYPE)).transpose()
    }

    /// Changes what the key holds. A key comes with its first item and goes with its last.
    pub(super) fn edit<K: Kind, R>(
        &mut self,
        key: &[u8],
        change: impl FnOnce(&mut K) -> R,
    ) -> Result<R, Fault> {
        let Some(value) = self.keys.get_mut(key) else {
            let mut made = K::default();
            let result = change(&mut made);
            if !made.is_empty() {
                self.put(key, made.value());
            }
            return Ok(result);
        };
        let own = K::of_mut(value).ok_or(WRONG_TYPE)?;
        self.bytes -= own.bytes();
        let result = change(own);
        self.bytes += own.bytes();
        if own.is_empty() {
            self.remove(key);
        }
        Ok(result)
    }

    pub(super) fn put(&mut self, key: &[u8], value: Value) {
        self.bytes += value.bytes() + key.len() + ITEM;
        if let Some(old) = self.keys.insert(key.into(), value) {
            self.bytes -= old.bytes() + key.len() + ITEM;
        }
    }

    pub(super) fn remove(&mut self, key: &[u8]) -> Option<Value> {
        let value = self.keys.swap_remove(key)?;
        self.bytes -= value.bytes() + key.len() + ITEM;
        Some(value)
    }
}

/// A page of a scan: from the last entry to the first. An entry that leaves is replaced by the last
/// one, so what moves goes where the scan has yet to come, or stays there: nothing is missed.
/// Up to `whole` entries come at once. The next cursor is 0 at the end.
pub(super) fn scan<V>(
    entries: &Dict<V>,
    cursor: usize,
    count: usize,
    whole: usize,
) -> (usize, impl Iterator<Item = (&Blob, &V)>) {
    let length = entries.len();
    let all = length <= whole;
    let end = if all || cursor == 0 { length } else { cursor.min(length) };
    let start = if all { 0 } else { end.saturating_sub(count) };
    (start, entries[start..end].iter())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scan_meets_whatever_stays_while_others_come_and_go() {
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..200 {
            let mut entries: Dict<()> = Dict::default();
            let key = |number: u32| Blob::from(number.to_string().into_bytes());
            entries.extend((0..100).map(|number| (key(number), ())));
            let (mut cursor, mut seen) = (0, Vec::new());
            loop {
                let (next, page) = scan(&entries, cursor, 7, 0);
                seen.extend(page.map(|(key, ())| key.clone()));
                cursor = next;
                if cursor == 0 {
                    break;
                }
                for _ in 0..random.u32(..9) {
                    entries.swap_remove(&key(random.u32(50..150)));
                    entries.insert(key(random.u32(50..150)), ());
                }
            }
            assert!((0..50).all(|number| seen.contains(&key(number))));
        }
    }

    #[test]
    fn as_many_equal_items_go_as_are_wanted_from_either_end_and_the_rest_is_counted() {
        let list = |items: &[&str]| {
            let mut list = List::default();
            for item in items {
                list.push(item.as_bytes(), false);
            }
            list
        };
        let whole = || list(&["long", "b", "long", "b", "long"]);
        for (limit, from_tail, left) in [
            (2, false, &["b", "b", "long"][..]),
            (2, true, &["long", "b", "b"]),
            (1, true, &["long", "b", "long", "b"]),
            (9, false, &["b", "b"]),
        ] {
            let (mut given, left) = (whole(), list(left));
            let gone = given.remove(b"long", limit, from_tail);
            assert_eq!(gone, whole().items.len() - left.items.len());
            assert_eq!((given.items, given.bytes), (left.items, left.bytes));
        }
        let (mut given, left) = (whole(), list(&["b", "long"]));
        given.trim(1..3);
        assert_eq!((given.items, given.bytes), (left.items, left.bytes));
    }

    #[test]
    fn what_is_counted_comes_back_to_nothing() {
        let mut keyspace = Keyspace::default();
        let set = |hash: &mut Hash| [hash.set(b"f", b"value"), hash.set(b"f", b"v")];
        assert_eq!(keyspace.edit(b"h", set).unwrap(), [true, false]);
        keyspace.edit(b"l", |list: &mut List| list.push(b"abc", true)).unwrap();
        keyspace.edit(b"l", |list: &mut List| list.push(b"d", false)).unwrap();
        assert!(keyspace.used() > EMPTY);
        assert_eq!(keyspace.read::<Zset>(b"h").unwrap_err(), WRONG_TYPE);
        assert!(keyspace.edit(b"h", |hash: &mut Hash| hash.remove(b"f")).unwrap());
        keyspace.edit(b"l", |list: &mut List| list.remove(b"d", 9, true)).unwrap();
        keyspace.edit(b"l", |list: &mut List| list.pop()).unwrap();
        assert_eq!((keyspace.used(), keyspace.keys.len()), (EMPTY, 0));
    }
}
