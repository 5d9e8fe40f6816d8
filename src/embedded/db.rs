//! What commands work on: the keys, the clock, the settings, and the journal of what they changed.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::commands::{self, Command, DENY_OOM, NO_SCRIPT, Run, TABLE, WRITE};
use super::journal::Journal;
use super::keyspace::{Keyspace, Kind, List};
use super::options::Options;
use super::reply::{Blob, Fault, Outcome, Reply, SYNTAX};

/// What the engine tells the time by.
#[derive(Debug, Clone, Default)]
pub(crate) enum Clock {
    #[default]
    System,
    /// It stands still until a test moves it.
    Moved(Arc<AtomicU64>),
    /// It was this time, in microseconds, at that moment of the runtime's clock.
    Runtime(u64, Instant),
}

impl Clock {
    /// A clock that stands still at this time since 1970.
    pub(crate) fn stopped(at: Duration) -> Self {
        Self::Moved(Arc::new(AtomicU64::new(micros(at))))
    }

    /// Moves a clock that stands still.
    pub(crate) fn advance(&self, by: Duration) {
        if let Self::Moved(moved) = self {
            moved.fetch_add(micros(by), Ordering::Relaxed);
        }
    }

    /// Microseconds since 1970.
    pub(super) fn micros(&self) -> u64 {
        match self {
            Self::System => system_micros(),
            Self::Moved(moved) => moved.load(Ordering::Relaxed),
            Self::Runtime(at, since) => at + micros(since.elapsed()),
        }
    }
}

pub(super) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[expect(clippy::disallowed_methods, reason = "this is a server, and its clock is what counts")]
pub(super) fn system_micros() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, micros)
}

pub(super) const FULL: Fault =
    Cow::Borrowed("OOM command not allowed when used memory > 'maxmemory'.");

/// Whom a command comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Caller {
    Client,
    /// A script that may or may not write, and take memory beyond the limit.
    Script {
        writes: bool,
        allow_oom: bool,
    },
    /// The append-only file.
    Replay,
}

/// A client that waits for an item of a list: it gets the list's key and the item.
pub(super) type Waiting = oneshot::Sender<(Blob, Blob)>;

#[derive(Debug)]
pub(super) struct Db {
    pub(super) keyspace: Keyspace,
    pub(super) options: Options,
    pub(super) journal: Option<Journal>,
    pub(super) started: u64,
    pub(super) clients: usize,
    /// Calls of each command of the table.
    pub(super) calls: Vec<u64>,
    pub(super) waiting: HashMap<Blob, VecDeque<Waiting>>,
    /// Lists that somebody waits for, and that were pushed to.
    pub(super) pushed: Vec<Blob>,
    /// A script sees one moment.
    frozen: Option<u64>,
    /// Whether the running command has changed anything.
    changed: bool,
}

impl Db {
    pub(super) fn new(options: Options) -> Self {
        Self {
            keyspace: Keyspace::default(),
            started: system_micros(),
            options,
            journal: None,
            clients: 0,
            calls: vec![0; TABLE.len()],
            waiting: HashMap::new(),
            pushed: Vec::new(),
            frozen: None,
            changed: false,
        }
    }

    pub(super) fn read<K: Kind>(&self, key: &[u8]) -> Result<Option<&K>, Fault> {
        self.keyspace.read(key)
    }

    pub(super) fn now(&self) -> u64 {
        self.frozen.unwrap_or_else(|| self.options.clock.micros())
    }

    pub(super) fn freeze(&mut self) {
        self.frozen = Some(self.options.clock.micros());
    }

    pub(super) fn thaw(&mut self) {
        self.frozen = None;
    }

    /// Notes whether the running command has changed anything.
    pub(super) fn touch(&mut self, changed: bool) {
        self.changed |= changed;
    }

    pub(super) fn is_full(&self) -> bool {
        self.options.maxmemory > 0 && self.keyspace.used() > self.options.maxmemory
    }

    /// Why no write is taken, if so.
    pub(super) fn refuses_writes(&self) -> Option<Fault> {
        let failed = self.journal.as_ref()?.failed.as_ref()?;
        Some(format!("MISCONF Errors writing to the AOF file: {failed}").into())
    }

    /// Finds the command and checks what can be checked before it runs.
    pub(super) fn admit(
        &mut self,
        words: &[&[u8]],
        caller: Caller,
    ) -> Result<&'static Command, Fault> {
        let (at, command) = commands::find(words)?;
        if caller != Caller::Replay {
            self.calls[at] += 1;
        }
        let has = |flag| command.flags & flag != 0;
        let refused = match caller {
            Caller::Script { .. } if has(NO_SCRIPT) => {
                Some("ERR This Redis command is not allowed from script".into())
            }
            Caller::Script { writes: false, .. } if has(WRITE) => {
                Some("ERR Write commands are not allowed from read-only scripts.".into())
            }
            Caller::Replay | Caller::Script { allow_oom: true, .. } => None,
            _ if has(DENY_OOM) && self.is_full() => Some(FULL),
            Caller::Client if has(WRITE) => self.refuses_writes(),
            _ => None,
        };
        refused.map_or(Ok(command), Err)
    }

    /// Runs a command that needs nothing but the database.
    pub(super) fn call(&mut self, words: &[&[u8]], caller: Caller) -> Outcome {
        let command = self.admit(words, caller)?;
        match command.run {
            Run::Db(run) => self.run(run, command, words, caller),
            Run::Session => Err("ERR This Redis command is not allowed from script".into()),
        }
    }

    pub(super) fn run(
        &mut self,
        run: fn(&mut Self, &[&[u8]]) -> Outcome,
        command: &Command,
        words: &[&[u8]],
        caller: Caller,
    ) -> Outcome {
        self.changed = false;
        let outcome = run(self, &words[1..]);
        if self.changed && command.flags & WRITE != 0 && caller != Caller::Replay {
            self.note(words);
        }
        outcome
    }

    /// Notes a change in the journal.
    pub(super) fn note(&mut self, words: &[&[u8]]) {
        if let Some(journal) = &mut self.journal {
            journal.note(words);
        }
    }

    /// Gives what was pushed to those that have waited longest for it.
    pub(super) fn serve_waiting(&mut self) {
        for key in std::mem::take(&mut self.pushed) {
            while let Some(waiting) = self.waiting.get_mut(&key) {
                let Some(first) = waiting.pop_front() else {
                    self.waiting.remove(&key);
                    break;
                };
                if first.is_closed() {
                    continue;
                }
                let Some(item) = self.pop(&key) else {
                    if let Some(waiting) = self.waiting.get_mut(&key) {
                        waiting.push_front(first);
                    }
                    break;
                };
                // One thread runs all clients: it was not closed since.
                first.send((key.clone(), item)).ok();
            }
        }
    }

    fn pop(&mut self, key: &[u8]) -> Option<Blob> {
        let item = self.keyspace.edit(key, |list: &mut List| list.pop()).ok().flatten()?;
        self.note(&[b"LPOP", key]);
        Some(item)
    }

    /// The first item of the first of these lists that has one.
    pub(super) fn pop_first(&mut self, keys: &[&[u8]]) -> Result<Option<(Blob, Blob)>, Fault> {
        for key in keys {
            self.keyspace.read::<List>(key)?;
            if let Some(item) = self.pop(key) {
                return Ok(Some(((*key).into(), item)));
            }
        }
        Ok(None)
    }
}

/// A whole number as the servers read it.
pub(super) fn int(word: &[u8]) -> Result<i64, Fault> {
    let text = std::str::from_utf8(word).ok();
    let plain =
        text.filter(|text| !text.starts_with('+') && (*text == "0" || !text.starts_with('0')));
    let number = plain.and_then(|text| text.parse().ok());
    number.ok_or("ERR value is not an integer or out of range".into())
}

/// A count that is not negative.
pub(super) fn size(word: &[u8]) -> Result<usize, Fault> {
    usize::try_from(int(word)?).map_err(|_| "ERR value is out of range, must be positive".into())
}

pub(super) fn is(word: &[u8], name: &str) -> bool {
    word.eq_ignore_ascii_case(name.as_bytes())
}

/// An index counted from either end, within a sequence of this length.
pub(super) fn range(start: i64, stop: i64, length: usize) -> std::ops::Range<usize> {
    let signed = i64::try_from(length).unwrap_or(i64::MAX);
    let from_end = |at: i64| if at < 0 { at.saturating_add(signed) } else { at };
    let start = from_end(start).max(0);
    let stop = from_end(stop).min(signed - 1);
    if start > stop {
        return 0..0;
    }
    let index = |at: i64| usize::try_from(at).unwrap_or(0);
    index(start)..index(stop) + 1
}

/// The answer to a scan: its next cursor and the page.
pub(super) fn page(cursor: usize, items: Vec<Reply>) -> Reply {
    Reply::Array(vec![Reply::bulk(cursor.to_string().as_bytes()), Reply::Array(items)])
}

pub(super) fn cursor(word: &[u8]) -> Result<usize, Fault> {
    let cursor = std::str::from_utf8(word).ok().and_then(|cursor| cursor.parse().ok());
    cursor.ok_or("ERR invalid cursor".into())
}

/// `[COUNT n]` of a scan.
pub(super) fn page_size(words: &[&[u8]]) -> Result<usize, Fault> {
    let count = match words {
        [] => 10,
        [name, count] if is(name, "count") => usize::try_from(int(count)?).unwrap_or(0),
        _ => 0,
    };
    if count == 0 { Err(SYNTAX) } else { Ok(count) }
}
