//! A Lua script, a call of it, and the reading of its reply.

use std::num::NonZeroU32;
use std::sync::OnceLock;

use redis::{Cmd, Value};

use crate::error::{Error, Result};
use crate::metrics::Meter;

/// Joins the flags, the prelude and one file of `lua/` at compile time.
///
/// The server reports errors with line numbers that are shifted by the prelude.
macro_rules! lua {
    ($name:literal) => {
        $crate::script::lua!(@join $name, "#!lua\n")
    };
    ($name:literal, allow_oom) => {
        $crate::script::lua!(@join $name, "#!lua flags=allow-oom\n")
    };
    ($name:literal, no_writes) => {
        $crate::script::lua!(@join $name, "#!lua flags=no-writes\n")
    };
    (@join $name:literal, $shebang:literal) => {
        $crate::script::Script::new(
            $name,
            concat!(
                $shebang,
                include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/lua/prelude.lua")),
                include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/lua/", $name, ".lua")),
            ),
        )
    };
}
pub(crate) use lua;

/// The most items of one call: `unpack` fails near 8,000 values, and a script must stay short.
pub(crate) const MAX_ITEMS: usize = 1000;
/// Ids of one `find`: their records may all be of the largest size.
pub(crate) const MAX_FOUND: usize = 16;
/// Times of one `forecast`: enough for a picture, and 256 counts a call.
pub(crate) const MAX_TIMES: usize = 128;

/// Checks how many items a call is to take.
pub(crate) fn within(what: &'static str, limit: u32) -> Result<NonZeroU32> {
    let most = u32::try_from(MAX_ITEMS).unwrap_or(u32::MAX);
    NonZeroU32::new(limit)
        .filter(|limit| limit.get() <= most)
        .ok_or_else(|| Error::invalid(what, &limit.to_string(), format!("it takes 1 to {most}")))
}

/// The text of a script, and the hash that names it.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) name: &'static str,
    pub(crate) text: &'static str,
    sha: OnceLock<String>,
}

impl Script {
    pub(crate) const fn new(name: &'static str, text: &'static str) -> Self {
        Self { name, text, sha: OnceLock::new() }
    }

    pub(crate) fn sha(&self) -> &str {
        self.sha.get_or_init(|| sha1_smol::Sha1::from(self.text).digest().to_string())
    }
}

/// One call of a script: what goes in, and how to read what comes out.
pub(crate) trait Call: Send + Sync {
    type Reply: Send;
    fn script(&self) -> &'static Script;
    fn write(&self, args: &mut Args<'_>);
    fn read(&self, reply: Reply) -> Result<Self::Reply>;

    /// Whether a call that may have been executed does nothing more when it is executed again.
    fn is_repeatable(&self) -> bool {
        true
    }

    /// Counts what happened; a repeated call may have been executed before.
    fn count(&self, _reply: &Self::Reply, _repeated: bool, _meter: &Meter) {}
}

/// A lost receipt of a repeated call was most likely used up by its first try.
pub(crate) fn lost(repeated: bool) -> &'static str {
    if repeated { "unknown" } else { "lost" }
}

/// ARGV, in the order of the script's header.
#[derive(Debug)]
pub(crate) struct Args<'a>(pub(crate) &'a mut Cmd);

impl Args<'_> {
    pub(crate) fn add(&mut self, argument: impl AsRef<[u8]>) {
        self.0.arg(argument.as_ref());
    }

    pub(crate) fn show(&mut self, argument: impl std::fmt::Display) {
        self.0.arg(argument.to_string());
    }
}

/// A reply that has not been read yet; whatever it should not be is an error, never a default.
#[derive(Debug)]
pub(crate) struct Reply {
    script: &'static str,
    value: Value,
}

impl Reply {
    pub(crate) fn new(script: &'static str, value: Value) -> Self {
        Self { script, value }
    }

    fn unknown<T>(&self) -> Result<T> {
        Err(Error::reply(self.script, &self.value))
    }

    pub(crate) fn list(self) -> Result<impl Iterator<Item = Self> + Send> {
        let script = self.script;
        match self.value {
            Value::Array(values) => Ok(values.into_iter().map(move |value| Self { script, value })),
            value => Self { script, value }.unknown(),
        }
    }

    /// A list of exactly `N`.
    pub(crate) fn fixed<const N: usize>(self) -> Result<[Self; N]> {
        let script = self.script;
        let items: Vec<_> = self.list()?.collect();
        items.try_into().map_err(|items| Error::reply(script, items))
    }

    pub(crate) fn is_list(&self) -> bool {
        matches!(self.value, Value::Array(_))
    }

    pub(crate) fn bytes(self) -> Result<Vec<u8>> {
        match self.value {
            Value::BulkString(bytes) => Ok(bytes),
            _ => self.unknown(),
        }
    }

    /// The same where null stands for nothing.
    pub(crate) fn optional_bytes(self) -> Result<Option<Vec<u8>>> {
        if matches!(self.value, Value::Nil) { Ok(None) } else { self.bytes().map(Some) }
    }

    pub(crate) fn text(self) -> Result<String> {
        let script = self.script;
        String::from_utf8(self.bytes()?).map_err(|error| Error::reply(script, error))
    }

    /// A whole number of the wanted range, sent as an integer or as digits.
    pub(crate) fn number<T: TryFrom<i64>>(self) -> Result<T> {
        let number = match &self.value {
            Value::Int(number) => Some(*number),
            Value::BulkString(digits) => {
                std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok())
            }
            _ => None,
        };
        match number.and_then(|number| T::try_from(number).ok()) {
            Some(number) => Ok(number),
            None => self.unknown(),
        }
    }

    /// One of the script's outcome words.
    pub(crate) fn word<T: Copy>(self, words: &[(&str, T)]) -> Result<T> {
        let known = match &self.value {
            Value::BulkString(word) => words.iter().find(|(name, _)| name.as_bytes() == word),
            _ => None,
        };
        known.map_or_else(|| self.unknown(), |(_, outcome)| Ok(*outcome))
    }
}

/// Takes the next item of a reply that is a flat list of groups.
pub(crate) fn next(script: &Script, items: &mut impl Iterator<Item = Reply>) -> Result<Reply> {
    items.next().ok_or_else(|| Error::reply(script.name, "a list that is cut short"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_word_or_a_number_out_of_range_is_an_error() {
        let reply = |value| Reply::new("test", value);
        let words = [("acked", 1)];
        assert_eq!(reply(Value::BulkString(b"acked".to_vec())).word(&words).unwrap(), 1);
        assert!(reply(Value::BulkString(b"other".to_vec())).word(&words).is_err());
        assert!(reply(Value::Nil).word(&words).is_err());
        assert!(reply(Value::Int(-1)).number::<u64>().is_err());
        assert_eq!(reply(Value::BulkString(b"12".to_vec())).number::<u64>().unwrap(), 12);
        assert!(reply(Value::Array(vec![])).fixed::<1>().is_err());
    }
}
