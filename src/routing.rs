//! Which partition a message belongs to, now and under earlier counts.

use std::fmt;

use crate::error::{Error, Result};

/// A worker keeps a waiting connection for each partition, and whoever looks asks all of them. Four for
/// each of 16 masters; and a set of them fits one word.
pub const MAX_PARTITIONS: u32 = 64;

/// Scripts count epochs as Lua numbers, which are exact below 2^53; one more has room there.
const MAX_EPOCH: u64 = (1 << 53) - 2;

/// How a queue is partitioned. The one with the highest epoch holds, wherever it is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Routing {
    /// Rises by each change, and never means two things.
    pub(crate) epoch: u64,
    /// Partitions that take pushes: those below it.
    pub(crate) count: u32,
    /// The counts of before; bit `n - 1` stands for `n`.
    earlier: u64,
}

impl Default for Routing {
    /// What holds for a queue that was never partitioned.
    fn default() -> Self {
        Self { epoch: 0, count: 1, earlier: 0 }
    }
}

impl Routing {
    /// The next one. Messages that were pushed by this one may live wherever it put them.
    pub(crate) fn changed_to(self, count: u32) -> Self {
        let earlier = (self.earlier | bit(self.count)) & !bit(count);
        // No partition takes on what is no later, so at the end of all epochs the change is refused.
        Self { epoch: (self.epoch + 1).min(MAX_EPOCH), count, earlier }
    }

    /// Reads `EPOCH COUNT EARLIER…`.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let (epoch, counts) = text.split_once(' ')?;
        Self::of(epoch, counts.split(' '))
    }

    fn of<'a>(epoch: &str, counts: impl Iterator<Item = &'a str>) -> Option<Self> {
        let epoch = digits(epoch).filter(|epoch| *epoch <= MAX_EPOCH)?;
        let mut counts = counts.map(|count| {
            let count = u32::try_from(digits(count)?).ok()?;
            (1..=MAX_PARTITIONS).contains(&count).then_some(count)
        });
        let count = counts.next()??;
        let earlier = counts.try_fold(0, |earlier, count| Some(earlier | bit(count?)))?;
        Some(Self { epoch, count, earlier: earlier & !bit(count) })
    }

    /// Reads what the registry has: `COUNT LAYOUT`, and `EPOCH EARLIER…` once it was partitioned.
    pub(crate) fn read_entry(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let (count, _layout) = (words.next()?, words.next()?);
        let epoch = words.next().unwrap_or("0");
        Self::of(epoch, std::iter::once(count).chain(words))
    }

    /// What the registry is to have.
    pub(crate) fn entry(&self, layout: u32) -> String {
        if self.epoch == 0 {
            return format!("{} {layout}", self.count);
        }
        self.with_earlier(format!("{} {layout} {}", self.count, self.epoch))
    }

    fn with_earlier(&self, mut text: String) -> String {
        for count in self.earlier() {
            text.push(' ');
            text.push_str(&count.to_string());
        }
        text
    }

    fn earlier(&self) -> impl Iterator<Item = u32> + use<> {
        let earlier = self.earlier;
        (1..=MAX_PARTITIONS).filter(move |count| earlier & bit(*count) > 0)
    }

    /// Partitions that may hold anything: those below it.
    pub(crate) fn ever(&self) -> u32 {
        self.earlier().chain([self.count]).max().unwrap_or(1)
    }

    /// The partition of a deduplication key, or of the id of a message without one.
    pub(crate) fn home(&self, name: &[u8]) -> u32 {
        home(name, self.count)
    }

    /// Where a message of this name may live still, because it was pushed under an earlier count.
    pub(crate) fn earlier_homes(&self, name: &[u8]) -> u64 {
        let homes = self.earlier().fold(0, |homes, count| homes | bit(home(name, count) + 1));
        homes & !bit(self.home(name) + 1)
    }
}

impl fmt::Display for Routing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.with_earlier(format!("{} {}", self.epoch, self.count)))
    }
}

/// Checks how many partitions a queue is to have.
pub(crate) fn validate(count: u32) -> Result<u32> {
    if count == 0 || count > MAX_PARTITIONS {
        let limit = format!("it takes 1 to {MAX_PARTITIONS}");
        return Err(Error::invalid("number of partitions", &count.to_string(), limit));
    }
    Ok(count)
}

/// Reads a number as scripts do: digits, and no sign.
fn digits(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

const fn bit(count: u32) -> u64 {
    1 << (count - 1)
}

/// The members of a set of partitions.
pub(crate) fn members(set: u64) -> impl Iterator<Item = u32> {
    (0..MAX_PARTITIONS).filter(move |number| set & bit(number + 1) > 0)
}

/// FNV-1a with its halves joined, as `docs/protocol.md` has it: clients in other languages have to
/// find the same partition.
fn home(name: &[u8], count: u32) -> u32 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in name {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    let within = (hash ^ (hash >> 32)) % u64::from(count);
    u32::try_from(within).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_survive_and_damage_is_no_routing() {
        let twice = Routing::default().changed_to(4).changed_to(64);
        assert_eq!((twice.to_string(), twice.entry(2)), ("2 64 1 4".into(), "64 2 2 1 4".into()));
        assert_eq!(Routing::read(&twice.to_string()), Some(twice));
        assert_eq!(Routing::read_entry(&twice.entry(2)), Some(twice));
        assert_eq!(Routing::read_entry("1 1"), Some(Routing::default()));
        assert_eq!(Routing::default().entry(1), "1 1");
        for damage in ["", "1", "x 1", "1 x", "1 0", "1 65", "1 4 0", "1 4  1", "-1 4", "1 4 x"] {
            assert_eq!(Routing::read(damage), None, "{damage}");
        }
        for damage in ["", "1", "0 1", "65 1", "4 2 x", "4 2 1 65", "x 1"] {
            assert_eq!(Routing::read_entry(damage), None, "{damage}");
        }
    }

    #[test]
    fn an_epoch_that_no_script_could_hold_is_damage() {
        for damage in ["18446744073709551615", "9007199254740991", "+1", "-1", "1e3", ""] {
            assert_eq!(Routing::read(&format!("{damage} 2 1")), None, "{damage}");
            assert_eq!(Routing::read_entry(&format!("2 2 {damage} 1")), None, "{damage}");
        }
        for damage in ["1 +2 1", "1 2 +1"] {
            assert_eq!(Routing::read(damage), None, "{damage}");
        }
        let last = Routing::read(&format!("{MAX_EPOCH} 2 1")).unwrap();
        assert_eq!(Routing::read_entry(&last.entry(2)), Some(last));
        assert_eq!(last.changed_to(4).epoch, MAX_EPOCH);
    }

    #[test]
    fn a_count_that_comes_back_is_no_earlier_one_any_more() {
        let back = Routing::default().changed_to(4).changed_to(2).changed_to(4);
        assert_eq!(back.to_string(), "3 4 1 2");
        assert_eq!((back.ever(), back.changed_to(1).ever()), (4, 4));
        assert_eq!(Routing::default().ever(), 1);
    }

    #[test]
    fn names_spread_and_keep_their_partition() {
        assert_eq!(home(b"order-42", 1), 0);
        let known = ["order-1", "order-2", "order-3", "order-4"].map(|key| home(key.as_bytes(), 7));
        assert_eq!(known, [0, 3, 5, 3]);
        let mut sizes = [0; 7];
        for key in 0..7_000 {
            sizes[home(format!("user-{key}").as_bytes(), 7) as usize] += 1;
        }
        assert!(sizes.iter().all(|size| (800..1200).contains(size)), "{sizes:?}");
    }

    #[test]
    fn earlier_homes_are_those_that_differ_from_the_present_one() {
        let routing = Routing::default().changed_to(2).changed_to(8);
        for key in (0..100).map(|key: u32| key.to_string()) {
            let (now, two) = (routing.home(key.as_bytes()), home(key.as_bytes(), 2));
            let expected: u64 = [0, two].iter().filter(|it| **it != now).fold(0, |s, p| s | 1 << p);
            assert_eq!(routing.earlier_homes(key.as_bytes()), expected);
        }
    }
}
