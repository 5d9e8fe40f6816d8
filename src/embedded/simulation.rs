//! What a simulation of whole clusters needs: an engine within its thread and its time, and pipes
//! that it carries itself. No part of the public API; it may change with any version.

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;
use std::{fmt, io};

use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::db::{Clock, Db, micros};
use super::journal::Journal;
use super::options::{Fsync, Options};
use super::reply::{Reply, shown};
use super::script::Scripts;
use super::serve::serve;
use super::session::{Answer, Core, Session};
use super::{Engine, Shared};
use crate::simulated;

/// Many short-lived connections, and little is said on each.
const PIPE: usize = 32 * 1024;

/// What takes the place of a script's text, under the hash of that text.
pub type Rewrite = super::script::Rewrite;

/// From now on workers of this thread keep their agents on it, and all sleep by its runtime's clock.
pub fn begin() {
    simulated::begin();
}

/// An engine that stands for a network: whoever connects to it is handed to the receiver, who carries
/// what is said to a [`Host`].
pub fn network() -> (Engine, mpsc::UnboundedReceiver<DuplexStream>) {
    let (pipes, arriving) = mpsc::unbounded_channel();
    let stop = CancellationToken::new();
    let shared = Shared {
        pipes,
        width: PIPE,
        ended: stop.clone(),
        _stopped_when_dropped: stop.clone().drop_guard(),
        stop,
    };
    (Engine { shared: shared.into() }, arriving)
}

/// An engine with an append-only file, as a part of its caller's thread and runtime. It tells the time
/// by the runtime's clock, and hands its file to the system before each reply, without syncing it.
pub struct Host {
    core: Rc<Core>,
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").finish_non_exhaustive()
    }
}

impl Host {
    /// Reads the file in this folder. The server's clock showed `at`, since 1970, at the moment `since`.
    pub fn start(
        dir: &Path,
        at: Duration,
        since: Instant,
        rewrite: Option<Rewrite>,
    ) -> io::Result<Self> {
        let options = Options { fsync: Fsync::No, appendonly: true, ..Options::default() };
        let mut db = Db::new(options.with_clock(Clock::Runtime(micros(at), since)));
        db.journal = Some(Journal::open(dir, &mut db)?);
        let db = Rc::new(RefCell::new(db));
        let scripts = Scripts::new(Rc::clone(&db), rewrite)
            .map_err(|error| io::Error::other(error.to_string()))?;
        let (sessions, stop) = (Cell::new(0), CancellationToken::new());
        Ok(Self { core: Rc::new(Core { db, scripts, sessions, stop }) })
    }

    /// Serves a client until either side ends.
    pub fn serve(&self, stream: DuplexStream) -> impl Future<Output = ()> + use<> {
        serve(stream, Rc::clone(&self.core))
    }

    /// Runs one command at once, as a client would, and tells all strings and numbers of its reply in
    /// their order; what a script answers, as the wire has it.
    pub fn ask(&self, words: &[&str]) -> Vec<String> {
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        let mut told = Vec::new();
        if let Answer::Now(reply) = Session::new(Rc::clone(&self.core)).call(&words) {
            flatten(reply, &mut told);
        }
        told
    }

    /// The length of the append-only file, which holds all that was ever answered.
    pub fn written(&self) -> u64 {
        self.core.db.borrow().journal.as_ref().map_or(0, |journal| journal.length)
    }

    /// Ends it on the spot. What was written is in the file, which is free for the next one.
    pub fn kill(self) {
        self.core.stop.cancel();
        self.core.db.borrow_mut().journal = None;
    }
}

fn flatten(reply: Reply, told: &mut Vec<String>) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match reply {
        Reply::Nil => told.push(String::new()),
        Reply::Int(number) => told.push(number.to_string()),
        Reply::Double(score) => told.push(shown(score)),
        Reply::Status(word) | Reply::Error(word) => told.push(word.into_owned()),
        Reply::Bulk(bytes) => told.push(text(&bytes)),
        Reply::Text(text) => told.push(text),
        Reply::Encoded(bytes) => told.push(text(&bytes)),
        Reply::Array(replies) | Reply::Map(replies) => {
            for reply in replies {
                flatten(reply, told);
            }
        }
        Reply::Scored(members) => {
            told.extend(members.iter().flat_map(|(member, score)| [text(member), shown(*score)]));
        }
    }
}
