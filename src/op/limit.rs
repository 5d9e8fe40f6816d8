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
    /// What one of `count` partitions takes of these. A cap of 0 would be none, so each has 1 at least.
    pub(crate) fn share(self, number: u32, count: u32) -> Self {
        let (number, count) = (u64::from(number), u64::from(count));
        let share = |cap: u64| match cap {
            0 => 0,
            cap => (cap / count + u64::from(number < cap % count)).max(1),
        };
        Self { max_ready: self.max_ready.map(share), max_bytes: self.max_bytes.map(share) }
    }

    /// Those of several partitions together.
    pub(crate) fn and(self, other: Self) -> Self {
        let add = |one: Option<u64>, other: Option<u64>| one.map(|one| one + other.unwrap_or(0));
        Self {
            max_ready: add(self.max_ready, other.max_ready),
            max_bytes: add(self.max_bytes, other.max_bytes),
        }
    }
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
