//! Set the caps from which on pushes are refused.

use crate::error::{Error, Result};
use crate::script::{Args, Call, Reply, Script, lua};

pub(crate) static SCRIPT: Script = lua!("limit", allow_oom);
/// Beyond this a Lua number is no longer exact.
const MAX_CAP: u64 = (1 << 53) - 1;

/// The caps of a queue, from which on it refuses pushes.
///
/// ```
/// # use redeliver::Limits;
/// // Caps ready, and leaves the other cap as it is.
/// let limits = Limits { max_ready: Some(100_000), ..Limits::default() };
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Messages in ready; `Some(0)` lifts the cap, `None` leaves it as it is.
    pub max_ready: Option<u64>,
    /// Memory of all records in bytes, as the server estimates it; `Some(0)` lifts the cap, `None`
    /// leaves it as it is.
    pub max_bytes: Option<u64>,
}

impl Limits {
    pub(crate) fn validated(self) -> Result<Self> {
        let mut caps = [self.max_ready, self.max_bytes].into_iter().flatten();
        match caps.find(|cap| *cap > MAX_CAP) {
            None => Ok(self),
            Some(cap) => {
                Err(Error::invalid("cap", &cap.to_string(), format!("it takes 0 to {MAX_CAP}")))
            }
        }
    }
}

impl Limits {
    /// What one of `count` partitions takes of these.
    pub(crate) fn share(self, number: u32, count: u32) -> Self {
        let share = |cap| share(cap, u64::from(number), u64::from(count));
        Self { max_ready: self.max_ready.map(share), max_bytes: self.max_bytes.map(share) }
    }

    /// The caps of which these are the shares; both are told.
    pub(crate) fn whole(shares: &[Self]) -> Self {
        let whole = |cap: fn(&Self) -> Option<u64>| {
            whole(&shares.iter().map(|it| cap(it).unwrap_or(0)).collect::<Vec<_>>())
        };
        Self {
            max_ready: Some(whole(|it| it.max_ready)),
            max_bytes: Some(whole(|it| it.max_bytes)),
        }
    }
}

/// A cap of 0 would be none, so each has 1 at least.
fn share(cap: u64, number: u64, count: u64) -> u64 {
    if cap == 0 { 0 } else { (cap / count + u64::from(number < cap % count)).max(1) }
}

/// The first partition has the whole cap while the others get their shares, and its own share last. So
/// what are no shares of their sum were left by a change that broke off, and the first one is the cap.
/// (Of the smallest numbers this cannot tell 2 and 1 from the shares of 3.)
fn whole(shares: &[u64]) -> u64 {
    let sum = shares.iter().fold(0_u64, |sum, cap| sum.saturating_add(*cap));
    let count = shares.len() as u64;
    let is_shared = (0..).zip(shares).all(|(number, cap)| *cap == share(sum, number, count));
    if is_shared { sum } else { shares[0] }
}

#[derive(Debug)]
pub(crate) struct Limit(pub(crate) Limits);

impl Call for Limit {
    type Reply = Limits;

    fn script(&self) -> &'static Script {
        &SCRIPT
    }

    fn write(&self, args: &mut Args<'_>) {
        for cap in [self.0.max_ready, self.0.max_bytes] {
            args.add(cap.map_or_else(String::new, |cap| cap.to_string()));
        }
    }

    fn read(&self, reply: Reply) -> Result<Self::Reply> {
        let [max_ready, max_bytes] = reply.fixed()?;
        Ok(Limits { max_ready: Some(max_ready.number()?), max_bytes: Some(max_bytes.number()?) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cap_is_known_by_its_shares_and_while_they_are_given() {
        for (cap, count) in [(1000, 4), (10, 4), (7, 3), (0, 5), (9, 1), (64, 64)] {
            let shares: Vec<_> = (0..count).map(|number| share(cap, number, count)).collect();
            assert_eq!(whole(&shares), cap);
        }
        for (given, cap) in [
            ([1000, 0, 0, 0], 1000),
            ([1000, 500, 0, 0], 1000),
            ([1000, 250, 250, 250], 1000),
            ([0, 250, 250, 250], 0),
            ([400, 250, 250, 100], 400),
            ([3, 1, 1, 1], 3),
            ([u64::MAX, 1, 1, 1], u64::MAX),
        ] {
            assert_eq!(whole(&given), cap, "{given:?}");
        }
    }
}
