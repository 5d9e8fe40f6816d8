//! The server: an engine that is killed and starts again on what is left of its file.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::{self, OpenOptions};
use std::path::PathBuf;
use std::time::Duration;

use fastrand::Rng;
use redeliver::MessageId;
use redeliver::embedded::simulation::Host;
use tokio::io::DuplexStream;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::notes::Notes;
use crate::history::Event;
use crate::planted::{Bug, rewrite};

pub(crate) const QUEUE: &str = "simulated";
/// Calls are short; what does not fit waits.
const PIPE: usize = 32 * 1024;
/// With a sync each second this much is lost with the power at most.
const SYNC_MS: u64 = 1_000;
const FILE: &str = "redeliver.aof";

/// Where each message is, by id: the state with its score, the attempt line, whether there is a record.
type Places = BTreeMap<String, [Option<String>; 3]>;

pub(crate) struct Server {
    host: RefCell<Option<Host>>,
    sessions: RefCell<JoinSet<()>>,
    /// Cancelled with all connections.
    cut: RefCell<CancellationToken>,
    /// How long the file was, and since when, for a second back.
    written: RefCell<VecDeque<(u64, u64)>>,
    dir: PathBuf,
    bug: Option<&'static Bug>,
}

impl Server {
    pub(crate) fn new(dir: PathBuf, bug: Option<&'static Bug>) -> Self {
        Self {
            host: RefCell::default(),
            sessions: RefCell::default(),
            cut: RefCell::default(),
            written: RefCell::default(),
            dir,
            bug,
        }
    }

    pub(crate) fn start(&self, notes: &Notes) {
        let rewrite = self.bug.map(rewrite);
        match Host::start(&self.dir, notes.began, notes.since(), rewrite) {
            Ok(host) => {
                let mark = (notes.now_ms(), host.written());
                *self.host.borrow_mut() = Some(host);
                *self.written.borrow_mut() = VecDeque::from([mark]);
            }
            Err(error) => notes.fail(format!("the server does not start: {error}")),
        }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.host.borrow().is_some()
    }

    /// A connection, and what ends it; nothing while the server is down.
    pub(crate) fn connect(&self) -> Option<(DuplexStream, CancellationToken)> {
        let host = self.host.borrow();
        let (near, far) = tokio::io::duplex(PIPE);
        let mut sessions = self.sessions.borrow_mut();
        while sessions.try_join_next().is_some() {}
        sessions.spawn_local(host.as_ref()?.serve(far));
        Some((near, self.cut.borrow().child_token()))
    }

    /// Ends all connections.
    pub(crate) fn cut(&self) {
        self.cut.take().cancel();
    }

    /// One command past the network, at once.
    pub(crate) fn ask(&self, words: &[&str]) -> Vec<String> {
        self.host.borrow().as_ref().map(|host| host.ask(words)).unwrap_or_default()
    }

    pub(crate) fn key(name: &str) -> String {
        format!("rd:{{{QUEUE}.0}}:{name}")
    }

    /// Remembers how long the file is, and says whether it has grown.
    pub(crate) fn mark(&self, now_ms: u64) -> bool {
        let Some(length) = self.host.borrow().as_ref().map(Host::written) else { return false };
        let mut written = self.written.borrow_mut();
        let grown = written.back().is_none_or(|(_, last)| *last < length);
        if grown {
            written.push_back((now_ms, length));
        }
        while written.len() > 1 && written[1].0 + SYNC_MS < now_ms {
            written.pop_front();
        }
        grown
    }

    /// Ends the server and starts it again after a while. `loses` says whether what was not yet synced
    /// may be gone.
    pub(crate) async fn restart(&self, notes: &Notes, rng: &mut Rng, loses: bool, down: Duration) {
        self.mark(notes.now_ms());
        let before = self.places();
        self.cut();
        let Some(host) = self.host.take() else { return };
        host.kill();
        self.sessions.take().shutdown().await;
        sleep(down).await;
        let since = if loses { self.lose(notes, rng) } else { u64::MAX };
        self.start(notes);
        let after = self.places();
        let ids: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        for id in ids.into_iter().filter(|id| before.get(*id) != after.get(*id)) {
            if !loses {
                notes.fail(format!("the server forgot something of {id}"));
            }
            let gone = after.get(id).is_none_or(|place| place[2].is_none());
            let Ok(id) = id.parse::<MessageId>() else { continue };
            notes.event(Event::Undone { id, since, gone });
        }
    }

    /// Cuts the file at any byte of what was written in the last second, and tells when that was.
    fn lose(&self, notes: &Notes, rng: &mut Rng) -> u64 {
        let written = self.written.borrow();
        let (Some(first), Some(last)) = (written.front(), written.back()) else { return u64::MAX };
        let left = rng.u64(first.1..=last.1);
        let since = written.iter().rfind(|(_, length)| *length <= left).unwrap_or(first).0;
        let file = OpenOptions::new().write(true).open(self.dir.join(FILE));
        if let Err(error) = file.and_then(|file| file.set_len(left)) {
            notes.fail(format!("the file cannot be cut: {error}"));
        }
        if left < last.1 {
            notes.fault("writes_lost");
        }
        notes.line(format_args!("the file ends at {left} of {} bytes", last.1));
        since
    }

    /// All that was written, as far as it was not lost.
    pub(crate) fn file(&self) -> Vec<u8> {
        fs::read(self.dir.join(FILE)).unwrap_or_default()
    }

    fn places(&self) -> Places {
        let mut places = Places::new();
        for id in self.ask(&["LRANGE", &Self::key("ready"), "0", "-1"]) {
            places.entry(id).or_default()[0] = Some("ready".to_owned());
        }
        for state in ["scheduled", "pending", "dead"] {
            let told = self.ask(&["ZRANGE", &Self::key(state), "0", "-1", "WITHSCORES"]);
            for pair in told.chunks_exact(2) {
                let place = format!("{state} {}", pair[1]);
                places.entry(pair[0].clone()).or_default()[0] = Some(place);
            }
        }
        for (at, key) in [(1, "attempts"), (2, "messages")] {
            for pair in self.ask(&["HGETALL", &Self::key(key)]).chunks_exact(2) {
                places.entry(pair[0].clone()).or_default()[at] = Some(pair[1].clone());
            }
        }
        places
    }
}
