//! What an engine is told at its start, under the names that the servers use.

use std::path::PathBuf;

use super::db::Clock;
use crate::error::{Error, Result};

/// How often the append-only file is synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Fsync {
    /// Before each reply.
    Always,
    #[default]
    EverySecond,
    /// Whenever the system likes to.
    No,
}

const FSYNCS: &[(&str, Fsync)] =
    &[("always", Fsync::Always), ("everysec", Fsync::EverySecond), ("no", Fsync::No)];
const SWITCH: &[(&str, bool)] = &[("yes", true), ("no", false)];
/// What these settings are here, and stay.
const FIXED: &[(&str, &str)] = &[
    ("daemonize", "no"),
    ("maxmemory-policy", "noeviction"),
    ("min-replicas-to-write", "0"),
    ("save", ""),
];

/// Settings, of the same names and meanings as the servers'. By default there is no socket, no file,
/// and no limit.
#[derive(Debug, Clone)]
pub struct Options {
    pub(super) socket: Option<PathBuf>,
    pub(super) socket_mode: u32,
    pub(super) port: u16,
    pub(super) dir: PathBuf,
    pub(super) appendonly: bool,
    pub(super) fsync: Fsync,
    pub(super) maxmemory: usize,
    /// Up to so many entries come in one page of a scan.
    pub(super) whole_hash: usize,
    pub(super) whole_zset: usize,
    pub(super) clock: Clock,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            socket: None,
            socket_mode: 0o700,
            port: 0,
            dir: PathBuf::from("."),
            appendonly: false,
            fsync: Fsync::default(),
            maxmemory: 0,
            whole_hash: 128,
            whole_zset: 128,
            clock: Clock::default(),
        }
    }
}

/// What can be asked for by `CONFIG GET`.
pub(super) const NAMES: &str = "appendfsync appendonly daemonize dir hash-max-listpack-entries maxmemory \
    maxmemory-policy min-replicas-to-write port save unixsocket unixsocketperm zset-max-listpack-entries";
/// What can be changed while the engine runs.
pub(super) const CHANGEABLE: &str = "appendfsync hash-max-listpack-entries maxmemory maxmemory-policy \
    min-replicas-to-write save zset-max-listpack-entries";

impl Options {
    /// Settings as the servers take them on their command line: `--unixsocket PATH --dir DIR
    /// --appendonly yes`, and so on.
    ///
    /// ```
    /// let options = redeliver::embedded::Options::from_args(["--maxmemory", "100mb"]);
    /// assert!(options.is_ok());
    /// assert!(redeliver::embedded::Options::from_args(["--cluster-enabled", "yes"]).is_err());
    /// ```
    pub fn from_args<S: AsRef<str>>(args: impl IntoIterator<Item = S>) -> Result<Self> {
        let mut options = Self::default();
        let mut args = args.into_iter();
        while let Some(name) = args.next() {
            let value = args.next();
            let value = value.as_ref().map_or("", AsRef::as_ref);
            options.set(name.as_ref().trim_start_matches('-'), value)?;
        }
        Ok(options)
    }

    /// The same under another clock.
    pub(crate) fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    pub(super) fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let name = name.to_ascii_lowercase();
        let limit = || format!("it is not what {name} takes here");
        let refused = || Error::invalid("engine setting", value, limit());
        let number = || value.parse().map_err(|_| refused());
        match name.as_str() {
            "unixsocket" => self.socket = (!value.is_empty()).then(|| value.into()),
            "unixsocketperm" => {
                self.socket_mode = u32::from_str_radix(value, 8).map_err(|_| refused())?;
            }
            "port" => self.port = value.parse().map_err(|_| refused())?,
            "dir" => self.dir = value.into(),
            "appendonly" => self.appendonly = meant(SWITCH, value).ok_or_else(refused)?,
            "appendfsync" => self.fsync = meant(FSYNCS, value).ok_or_else(refused)?,
            "maxmemory" => self.maxmemory = bytes(value).ok_or_else(refused)?,
            "hash-max-listpack-entries" => self.whole_hash = number()?,
            "zset-max-listpack-entries" => self.whole_zset = number()?,
            name => match meant(FIXED, name) {
                Some(only) if only.eq_ignore_ascii_case(value) => {}
                Some(_) => return Err(refused()),
                None => return Err(Error::invalid("engine setting", name, "the engine has none")),
            },
        }
        Ok(())
    }

    pub(super) fn get(&self, name: &str) -> Option<String> {
        Some(match name {
            "unixsocket" => {
                self.socket.as_ref().map_or(String::new(), |path| path.display().to_string())
            }
            "unixsocketperm" => format!("{:o}", self.socket_mode),
            "port" => self.port.to_string(),
            "dir" => self.dir.display().to_string(),
            "appendonly" => word(SWITCH, self.appendonly)?.into(),
            "appendfsync" => word(FSYNCS, self.fsync)?.into(),
            "maxmemory" => self.maxmemory.to_string(),
            "hash-max-listpack-entries" => self.whole_hash.to_string(),
            "zset-max-listpack-entries" => self.whole_zset.to_string(),
            name => meant(FIXED, name)?.to_owned(),
        })
    }
}

fn meant<T: Copy>(words: &[(&str, T)], word: &str) -> Option<T> {
    words.iter().find(|(known, _)| *known == word).map(|(_, meaning)| *meaning)
}

fn word<T: PartialEq + Copy>(words: &[(&'static str, T)], meaning: T) -> Option<&'static str> {
    words.iter().find(|(_, known)| *known == meaning).map(|(word, _)| *word)
}

/// A number of bytes, with a unit or without.
fn bytes(value: &str) -> Option<usize> {
    let lower = value.to_ascii_lowercase();
    let (rest, base) = lower.strip_suffix('b').map_or((&*lower, 1_000_usize), |rest| (rest, 1_024));
    let (digits, unit) = rest.split_at(rest.find(['k', 'm', 'g']).unwrap_or(rest.len()));
    let (power, _) = (0..).zip(["", "k", "m", "g"]).find(|(_, known)| *known == unit)?;
    digits.parse::<usize>().ok()?.checked_mul(base.pow(power))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_what_is_set() {
        let mut options = Options::default();
        for name in NAMES.split(' ') {
            let told = options.get(name).unwrap();
            options.set(name, &told).unwrap();
            assert_eq!(options.get(name).unwrap(), told, "{name}");
        }
        assert!(CHANGEABLE.split(' ').all(|name| NAMES.contains(name)));
        options.set("MaxMemory", "2kb").unwrap();
        assert_eq!(options.maxmemory, 2048);
        for (text, bytes) in
            [("7", 7), ("7b", 7), ("2K", 2_000), ("3mb", 3 << 20), ("1g", 1_000_000_000)]
        {
            options.set("maxmemory", text).unwrap();
            assert_eq!(options.maxmemory, bytes, "{text}");
        }
        for (name, value) in [
            ("maxmemory", "2x"),
            ("maxmemory", "2km"),
            ("maxmemory", "99999999999g"),
            ("save", "60 1"),
            ("daemonize", "yes"),
            ("x", "y"),
        ] {
            assert!(options.set(name, value).is_err(), "{name} {value}");
        }
    }
}
