//! An append-only file taken apart, and servers that load parts of it.

use std::collections::{BTreeMap, HashSet};
use std::fs::{metadata, read, remove_file, write};
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use fastrand::Rng;

use crate::fixture::{Fixture, TestServer};
use crate::history;
use crate::syncs::{append_only_files, incremental};

/// A server with an append-only file, which it writes before it answers.
pub(crate) fn recorder() -> TestServer {
    TestServer::start(&["--appendonly", "yes", "--appendfsync", "no"])
}

/// The file of an eventful life, and where in it what begins.
pub(crate) struct Aof {
    pub(crate) bytes: Vec<u8>,
    /// Where the server is between two transactions: the ends of commands outside of any, and of
    /// each `EXEC`.
    pub(crate) seams: Vec<usize>,
    commands: Vec<(std::ops::Range<usize>, String)>,
}

impl Aof {
    /// Lives through a history.
    pub(crate) async fn live(random: &mut Rng) -> Self {
        let server = recorder();
        history::live(&history::fixture(&server).await, random).await;
        Self::parse(read(incremental(server.dir())).unwrap())
    }

    pub(crate) fn parse(bytes: Vec<u8>) -> Self {
        let (mut commands, mut seams) = (Vec::new(), vec![0]);
        let (mut at, mut open) = (0, false);
        while at < bytes.len() {
            let begin = at;
            let words = header(&bytes, &mut at, b'*');
            let mut name = String::new();
            for word in 0..words {
                let length = header(&bytes, &mut at, b'$');
                if word == 0 {
                    name = String::from_utf8(bytes[at..at + length].to_ascii_uppercase()).unwrap();
                }
                at += length + 2;
            }
            open = name == "MULTI" || (open && name != "EXEC");
            if !open {
                seams.push(at);
            }
            commands.push((begin..at, name));
        }
        assert!(!open, "the file ends within a transaction");
        Self { bytes, seams, commands }
    }

    /// The last seam at or before a byte.
    pub(crate) fn seam(&self, at: usize) -> usize {
        self.seams[self.seams.partition_point(|seam| *seam <= at) - 1]
    }

    /// The same commands, but no longer in transactions.
    pub(crate) fn torn(&self) -> Self {
        let bound = |name: &String| name == "MULTI" || name == "EXEC";
        let kept = self.commands.iter().filter(|(_, name)| !bound(name));
        Self::parse(kept.flat_map(|(range, _)| &self.bytes[range.clone()]).copied().collect())
    }
}

fn header(bytes: &[u8], at: &mut usize, kind: u8) -> usize {
    assert_eq!(bytes[*at], kind, "at {at}");
    let length = bytes[*at..].iter().position(|byte| *byte == b'\r').unwrap();
    let number = std::str::from_utf8(&bytes[*at + 1..*at + length]).unwrap();
    *at += length + 2;
    number.parse().unwrap()
}

/// A server that is started on one file after the other.
pub(crate) struct Loader {
    server: TestServer,
    pub(crate) fixture: Fixture,
    /// The incremental file that it begins with.
    file: PathBuf,
    /// What lies beside that file.
    beside: Vec<(PathBuf, Vec<u8>)>,
}

impl Loader {
    pub(crate) async fn new() -> Self {
        let server = recorder();
        let fixture = history::fixture(&server).await;
        let file = incremental(server.dir());
        let files = append_only_files(server.dir()).into_iter();
        let beside = files.map(|path| (path.clone(), read(path).unwrap())).collect();
        Self { server, fixture, file, beside }
    }

    /// Starts on these bytes, and says how many of them the server kept.
    pub(crate) fn load(&mut self, bytes: &[u8]) -> usize {
        self.server.kill();
        for path in append_only_files(self.server.dir()) {
            remove_file(path).unwrap();
        }
        for (path, bytes) in &self.beside {
            write(path, bytes).unwrap();
        }
        write(&self.file, bytes).unwrap();
        self.server.restart();
        self.fixture.reconnect(&self.server);
        metadata(&self.file).unwrap().len().try_into().unwrap()
    }

    /// Lets the server write a new file from what it has in memory.
    pub(crate) fn rewrite(&self) {
        self.fixture.redis::<()>(&["BGREWRITEAOF"]);
        let told = || self.fixture.redis::<String>(&["INFO", "persistence"]);
        while !told().contains("aof_rewrite_in_progress:0") {
            sleep(Duration::from_millis(5));
        }
        assert!(told().contains("aof_last_bgrewrite_status:ok"));
    }

    pub(crate) fn restart(&mut self) {
        self.server.kill();
        self.server.restart();
        self.fixture.reconnect(&self.server);
    }

    /// Attempt lines and deduplication keys live with a record.
    pub(crate) fn assert_no_remains(&self) {
        let all = |key: &str| self.fixture.redis::<BTreeMap<String, String>>(&["HGETALL", key]);
        let records: Vec<String> = self.fixture.redis(&["HKEYS", &self.fixture.key("messages")]);
        let records: HashSet<_> = records.iter().collect();
        for id in all(&self.fixture.key("attempts")).keys() {
            assert!(records.contains(id), "the attempt line of {id} has no record");
        }
        let keyed = all(&self.fixture.key("keyed"));
        for (field, value) in &keyed {
            let (id, back) = match field.strip_prefix('=') {
                Some(key) => (value, (value.clone(), key.to_owned())),
                None => (field, (format!("={value}"), field.clone())),
            };
            assert!(records.contains(id), "the key {field} has no record");
            assert_eq!(keyed.get(&back.0), Some(&back.1), "half of a key");
        }
    }
}
