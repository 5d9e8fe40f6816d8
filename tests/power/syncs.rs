//! What a server has synced, noted by a library that is preloaded into it, and what a power loss
//! leaves of its files at worst.

use std::collections::HashMap;
use std::fs::{File, metadata, read_to_string};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::fixture::TestServer;

/// The log of all syncs of the servers that it starts.
pub(crate) struct SyncLog {
    dir: TempDir,
}

impl SyncLog {
    pub(crate) fn new() -> Self {
        let log = Self { dir: TempDir::with_prefix("rd-syncs-").unwrap() };
        File::create(log.path()).unwrap();
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/power/fsync_log.c");
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-Wall", "-Werror", source, "-ldl", "-o"]).arg(log.library());
        assert!(cc.status().expect("cc is on PATH").success());
        log
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    fn library(&self) -> PathBuf {
        self.dir.path().join("fsync_log.so")
    }

    pub(crate) fn start(&self, args: &[&str]) -> TestServer {
        let (library, log) = (self.library(), self.path());
        let env = [("LD_PRELOAD", library.to_str().unwrap()), ("FSYNC_LOG", log.to_str().unwrap())];
        TestServer::start_in(&env, args)
    }

    /// The log's length: what is noted later is noted beyond it. So the order of an answer and a
    /// write is told without any clock.
    pub(crate) fn mark(&self) -> u64 {
        metadata(self.path()).unwrap().len()
    }

    pub(crate) fn synced(&self) -> Synced {
        let mut synced = Synced::default();
        let (mut wrote, mut begun) = (HashMap::new(), HashMap::new());
        let mut mark = 0;
        for line in read_to_string(self.path()).unwrap().split_inclusive('\n') {
            let mut words = line.trim_end().split(' ');
            let what = words.next().unwrap();
            let numbers: Vec<u64> = words.map(|number| number.parse().unwrap()).collect();
            match (what, &*numbers) {
                ("wrote", [inode]) => drop(wrote.insert(*inode, mark)),
                ("begin", [thread, inode]) => {
                    begun.insert(*thread, wrote.get(inode).copied().unwrap_or(0));
                }
                ("done", [thread, inode, size]) => {
                    synced.0.insert(*inode, Sync { size: *size, wrote: begun[thread] });
                }
                _ => panic!("{line:?}"),
            }
            mark += line.len() as u64;
        }
        synced
    }
}

/// The last successful sync of each file, by inode, since files are synced and then renamed.
#[derive(Debug, Default)]
pub(crate) struct Synced(HashMap<u64, Sync>);

#[derive(Debug, Clone, Copy)]
struct Sync {
    size: u64,
    wrote: u64,
}

impl Synced {
    fn of(&self, file: &Path) -> Option<Sync> {
        self.0.get(&metadata(file).unwrap().ino()).copied()
    }

    /// Where the last write is noted that the last successful sync of this file covers. The server
    /// writes before it answers, unless a sync is under way: then the next write comes later, and
    /// has everything that was answered before.
    pub(crate) fn covers(&self, file: &Path) -> u64 {
        self.of(file).map_or(0, |sync| sync.wrote)
    }

    /// Cuts the files of a dead server back to what was synced, and says how many bytes went.
    pub(crate) fn cut(&self, server: &TestServer) -> u64 {
        let mut gone = 0;
        for file in append_only_files(server.dir()) {
            let written = metadata(&file).unwrap().len();
            let kept = self.of(&file).map_or(0, |sync| sync.size.min(written));
            File::options().write(true).open(&file).unwrap().set_len(kept).unwrap();
            gone += written - kept;
        }
        gone
    }
}

/// Everything in the server's `appendonlydir`.
pub(crate) fn append_only_files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir.join("appendonlydir")).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// The newest file that commands are appended to.
pub(crate) fn incremental(dir: &Path) -> PathBuf {
    let files = append_only_files(dir).into_iter();
    let number = |path: &PathBuf| {
        let name = path.file_name()?.to_str()?.strip_suffix(".incr.aof")?;
        name.rsplit('.').next()?.parse::<u32>().ok()
    };
    files.filter_map(|path| Some((number(&path)?, path))).max().expect("there is one").1
}
