//! The append-only file: what changed the keys, in the form of commands, so that they can be made
//! again. What one call changed stands there whole or, where the file was cut, not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use bytes::BytesMut;

use super::db::{Caller, Db};
use super::keyspace::{Keyspace, Value};
use super::options::Fsync;
use super::reply::{command, shown};
use super::request::Request;

const NAME: &str = "redeliver.aof";
/// A smaller file is not worth writing anew.
const SMALL: u64 = 64 * 1024 * 1024;
/// Items of one command of a file that is written anew.
const CHUNK: usize = 512;

#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    path: PathBuf,
    pub(super) length: u64,
    /// Its length after it was last written anew.
    base: u64,
    /// What the running call has changed so far, and in how many commands.
    unit: Vec<u8>,
    commands: usize,
    /// What no write has taken yet.
    buffer: Vec<u8>,
    unsynced: bool,
    /// Why the last write failed: nothing more is taken until one succeeds.
    pub(super) failed: Option<String>,
    pub(super) rewrites: u64,
    /// Somebody has asked for a rewrite.
    pub(super) wanted: bool,
    /// While the file is written anew: what came since.
    pub(super) tail: Option<Vec<u8>>,
}

impl Journal {
    /// Makes again what the file says, cuts off what is left of its last call, and goes on behind it.
    pub(super) fn open(dir: &Path, db: &mut Db) -> io::Result<Self> {
        let path = dir.join(NAME);
        let file = OpenOptions::new().read(true).append(true).create(true).open(&path)?;
        lock(&file)?;
        let whole = fs::read(&path)?;
        let length = replay(&whole, db)?;
        if length < whole.len() as u64 {
            let cut = whole.len() as u64 - length;
            tracing::warn!(cut, "the append-only file ended within a call, which is gone");
            file.set_len(length)?;
            file.sync_all()?;
        }
        let mut journal = Self {
            file,
            path,
            length,
            base: 0,
            unit: Vec::new(),
            commands: 0,
            buffer: Vec::new(),
            unsynced: false,
            failed: None,
            rewrites: 0,
            wanted: false,
            tail: None,
        };
        if length > SMALL {
            let made = journal.rewrite(&db.keyspace)();
            journal.swap(made)?;
        }
        Ok(journal)
    }

    pub(super) fn note(&mut self, words: &[&[u8]]) {
        command(&mut self.unit, words);
        self.commands += 1;
    }

    /// Ends a call.
    pub(super) fn commit(&mut self) {
        if self.commands > 1 {
            command(&mut self.buffer, &[b"MULTI"]);
        }
        self.buffer.append(&mut self.unit);
        if self.commands > 1 {
            command(&mut self.buffer, &[b"EXEC"]);
        }
        self.commands = 0;
    }

    /// Hands everything to the system. After a failure the file is as it was, and the next call
    /// tries again.
    pub(super) fn flush(&mut self, fsync: Fsync) {
        if self.buffer.is_empty() {
            return;
        }
        let sync = |file: &File| if fsync == Fsync::Always { file.sync_data() } else { Ok(()) };
        match self.file.write_all(&self.buffer).and_then(|()| sync(&self.file)) {
            Ok(()) => {
                self.length += self.buffer.len() as u64;
                if let Some(tail) = &mut self.tail {
                    tail.extend_from_slice(&self.buffer);
                }
                self.buffer.clear();
                self.unsynced = fsync != Fsync::Always;
                self.failed = None;
            }
            Err(error) => {
                tracing::error!(%error, "the append-only file takes nothing");
                self.file.set_len(self.length).ok();
                self.failed = Some(error.to_string());
            }
        }
    }

    /// The file, if it holds what is not synced; it then counts as synced.
    pub(super) fn take_unsynced(&mut self) -> Option<io::Result<File>> {
        std::mem::take(&mut self.unsynced).then(|| self.file.try_clone())
    }

    /// Whether the file should be written anew, and is not yet on its way.
    pub(super) fn wants_rewrite(&self) -> bool {
        let bloated = self.length > SMALL && self.length > 2 * self.base;
        self.tail.is_none() && (bloated || self.wanted)
    }

    /// Copies what there is, and returns what writes it beside the file, on any thread. Until
    /// [`Self::swap`] everything goes to the old file, and is kept for the new one.
    pub(super) fn rewrite(
        &mut self,
        keyspace: &Keyspace,
    ) -> impl FnOnce() -> io::Result<File> + use<> {
        let mut copy = Vec::new();
        for (key, value) in &keyspace.keys {
            write(&mut copy, key, value);
        }
        self.wanted = false;
        self.tail = Some(Vec::new());
        let beside = self.beside();
        move || {
            fs::write(&beside, &copy)?;
            let file = OpenOptions::new().read(true).append(true).open(&beside)?;
            lock(&file)?;
            file.sync_all()?;
            Ok(file)
        }
    }

    /// Goes on with the file that was written anew.
    pub(super) fn swap(&mut self, file: io::Result<File>) -> io::Result<()> {
        let tail = self.tail.take().unwrap_or_default();
        // It is tried again only when the file has doubled once more.
        self.base = self.length;
        let mut file = file?;
        file.write_all(&tail)?;
        // All of it was synced where it stood before.
        file.sync_data()?;
        fs::rename(self.beside(), &self.path)?;
        if let Some(dir) = self.path.parent() {
            File::open(dir)?.sync_all()?;
        }
        self.length = file.metadata()?.len();
        self.base = self.length;
        self.file = file;
        self.unsynced = false;
        self.rewrites += 1;
        Ok(())
    }

    fn beside(&self) -> PathBuf {
        self.path.with_extension("new")
    }
}

/// Two engines on one file would ruin it.
fn lock(file: &File) -> io::Result<()> {
    #[cfg(unix)]
    rustix::fs::flock(file, rustix::fs::FlockOperation::NonBlockingLockExclusive)?;
    #[cfg(not(unix))]
    let _ = file;
    Ok(())
}

/// How much of the file is whole calls, all of which are made again.
fn replay(whole: &[u8], db: &mut Db) -> io::Result<u64> {
    let damaged = |at: usize, why: &str| {
        let told = format!("the append-only file is damaged at byte {at}: {why}");
        io::Error::new(io::ErrorKind::InvalidData, told)
    };
    // After a power loss a file may end in zeros; no command does.
    let end = whole.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let mut rest = BytesMut::from(&whole[..end]);
    let (mut read, mut good) = (0, 0);
    let mut open: Option<Vec<Request>> = None;
    while let Some(byte) = rest.first() {
        if *byte != b'*' {
            return Err(damaged(read, "no command begins here"));
        }
        let taken = Request::take(&mut rest).map_err(|why| damaged(read, why))?;
        let Some(request) = taken else { break };
        read += request.len();
        let ends = match (request.words()[..] == [b"MULTI"], &mut open) {
            (true, _) => {
                open = Some(Vec::new());
                continue;
            }
            (false, Some(unit)) if request.words()[..] != [b"EXEC"] => {
                unit.push(request);
                continue;
            }
            (false, Some(unit)) => std::mem::take(unit),
            (false, None) => vec![request],
        };
        open = None;
        for request in ends {
            db.call(&request.words(), Caller::Replay).map_err(|why| damaged(read, &why))?;
        }
        good = read as u64;
    }
    Ok(good)
}

fn write(out: &mut Vec<u8>, key: &[u8], value: &Value) {
    let mut put = |name: &[u8], parts: &[&[u8]]| command(out, &[&[name, key], parts].concat());
    match value {
        Value::Text(text) => put(b"SET", &[text.text.as_deref().unwrap_or_default()]),
        Value::List(list) => {
            let items: Vec<&[u8]> = list.items.iter().map(|item| &**item).collect();
            items.chunks(CHUNK).for_each(|items| put(b"RPUSH", items));
        }
        Value::Hash(hash) => {
            let pairs = hash.fields.iter().flat_map(|(field, value)| [&**field, &**value]);
            let pairs: Vec<&[u8]> = pairs.collect();
            pairs.chunks(2 * CHUNK).for_each(|pairs| put(b"HSET", pairs));
        }
        Value::Zset(zset) => {
            let scores: Vec<_> =
                zset.scores.iter().map(|(member, score)| (shown(*score), member)).collect();
            for scores in scores.chunks(CHUNK) {
                let pairs = scores.iter().flat_map(|(score, member)| [score.as_bytes(), &**member]);
                put(b"ZADD", &pairs.collect::<Vec<_>>());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded::options::Options;
    use crate::embedded::reply::Reply;

    fn run(db: &mut Db, command: &str) {
        let words: Vec<&[u8]> = command.split(' ').map(str::as_bytes).collect();
        db.call(&words, Caller::Client).unwrap();
    }

    /// Everything, as it would be shown.
    fn shown(db: &mut Db) -> Vec<String> {
        let keys: Vec<_> = db.keyspace.keys.keys().cloned().collect();
        let mut told: Vec<_> = keys
            .iter()
            .map(|key| format!("{key:?} {:?}", db.call(&[b"DUMP", key], Caller::Client).unwrap()))
            .collect();
        told.sort();
        told
    }

    fn journaled(dir: &Path) -> io::Result<Db> {
        let mut db = Db::new(Options::default());
        db.journal = Some(Journal::open(dir, &mut db)?);
        Ok(db)
    }

    /// Calls of one command and of several; some change nothing.
    const CALLS: [&[&str]; 7] = [
        &["SET text hello"],
        &["RPUSH list a b", "HSET hash f 1 g 2", "ZADD zset 1.5 m"],
        &["LREM list 0 zz", "HDEL hash nothing"],
        &["LPOP list", "HDEL hash f"],
        &["ZADD zset inf n", "ZREM zset m", "LPUSH list c"],
        &["DEL text"],
        &["RENAME list moved"],
    ];

    #[test]
    fn a_file_that_is_cut_anywhere_holds_whole_calls() {
        let dir = tempfile::tempdir().unwrap();
        let mut db = journaled(dir.path()).unwrap();
        let mut states = vec![(0, shown(&mut db))];
        for call in CALLS {
            for command in call {
                run(&mut db, command);
            }
            let journal = db.journal.as_mut().unwrap();
            journal.commit();
            journal.flush(Fsync::No);
            let length = journal.length;
            states.push((length, shown(&mut db)));
        }
        assert_eq!(states[3].0, states[2].0, "what changes nothing is not noted");
        drop(db);
        let whole = fs::read(dir.path().join(NAME)).unwrap();
        for cut in 0..=whole.len() {
            for zeros in [0, 100] {
                let mut torn = whole[..cut].to_vec();
                torn.resize(cut + zeros, 0);
                fs::write(dir.path().join(NAME), torn).unwrap();
                let mut db = journaled(dir.path()).unwrap();
                let kept = states.iter().rfind(|(length, _)| *length <= cut as u64).unwrap();
                assert_eq!(shown(&mut db), kept.1, "cut at {cut}");
                // What comes next stands behind whole calls.
                run(&mut db, "SET next 1");
                let journal = db.journal.as_mut().unwrap();
                journal.commit();
                journal.flush(Fsync::Always);
                let told = shown(&mut db);
                drop(db);
                assert_eq!(shown(&mut journaled(dir.path()).unwrap()), told, "cut at {cut}");
            }
        }
    }

    #[test]
    fn a_long_file_is_written_anew_at_the_start_and_a_short_one_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let start = |value: &[u8], times: u64| {
            let mut calls = Vec::new();
            for _ in 0..times {
                command(&mut calls, &[b"SET", b"text", value]);
            }
            fs::write(dir.path().join(NAME), &calls).unwrap();
            let db = journaled(dir.path()).unwrap();
            assert_eq!(db.keyspace.keys.len(), 1);
            let left = fs::read(dir.path().join(NAME)).unwrap();
            (left == calls, left.len())
        };
        assert!(start(b"short", 3).0);
        let value = vec![b'x'; 1024 * 1024];
        let (same, left) = start(&value, SMALL / value.len() as u64 + 1);
        assert!(!same && left < 2 * value.len(), "{left}");
    }

    #[test]
    fn a_rewritten_file_is_short_and_holds_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let mut db = journaled(dir.path()).unwrap();
        for number in 0..2_000 {
            run(&mut db, &format!("RPUSH list {number}"));
            run(&mut db, &format!("HSET hash {} {number}", number % 700));
            run(&mut db, &format!("ZADD zset {number} {}", number % 600));
        }
        let Db { journal, keyspace, .. } = &mut db;
        let journal = journal.as_mut().unwrap();
        journal.commit();
        journal.flush(Fsync::No);
        let before = journal.length;
        let mut job = Some(journal.rewrite(keyspace));
        let told = shown(&mut db);
        for at in [1, 2] {
            // Once while the new file is written, once behind it.
            run(&mut db, &format!("SET next{at} 1"));
            let journal = db.journal.as_mut().unwrap();
            journal.commit();
            journal.flush(Fsync::No);
            if at == 1 {
                journal.swap(job.take().unwrap()()).unwrap();
                assert!(journal.length < before / 2);
            }
        }
        assert!(journaled(dir.path()).is_err(), "two engines have the same file");
        drop(db);
        let mut again = journaled(dir.path()).unwrap();
        let removed = again.call(&[b"DEL", b"next1", b"next2"], Caller::Client);
        assert!(matches!(removed, Ok(Reply::Int(2))), "{removed:?}");
        assert_eq!(shown(&mut again), told);
    }

    #[test]
    fn damage_before_the_end_is_told_and_not_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(NAME), "*1\r\n$8\r\nFLUSHALL\r\n+x\r\n").unwrap();
        assert!(journaled(dir.path()).unwrap_err().to_string().contains("byte 18"));
    }
}
