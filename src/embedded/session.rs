//! What belongs to one client: its protocol, its scripts, its waiting.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::commands::{Run, arity};
use super::db::{Caller, Db, is};
use super::info::LIKE;
use super::reply::{Blob, Fault, Outcome, Reply, SYNTAX};
use super::script::Scripts;

/// What all clients share, on one thread.
pub(super) struct Core {
    pub(super) db: Rc<RefCell<Db>>,
    pub(super) scripts: Scripts,
    /// How many there ever were.
    pub(super) sessions: Cell<i64>,
    /// Ends the engine.
    pub(super) stop: CancellationToken,
}

/// A list's key and its item, when they come.
pub(super) struct Wait {
    pub(super) item: oneshot::Receiver<(Blob, Blob)>,
    pub(super) timeout: Option<Duration>,
}

pub(super) enum Answer {
    Now(Reply),
    Later(Wait),
}

pub(super) struct Session {
    core: Rc<Core>,
    id: i64,
    name: Blob,
    pub(super) resp3: bool,
}

/// An item with its list, as `BLPOP` tells it.
pub(super) fn popped((key, item): (Blob, Blob)) -> Reply {
    Reply::Array(vec![Reply::Bulk(key), Reply::Bulk(item)])
}

impl Session {
    pub(super) fn new(core: Rc<Core>) -> Self {
        core.db.borrow_mut().clients += 1;
        let id = core.sessions.replace(core.sessions.get() + 1) + 1;
        Self { core, id, name: Blob::default(), resp3: false }
    }

    /// Runs one command; what it changed is one unit of the journal.
    pub(super) fn call(&mut self, words: &[&[u8]]) -> Answer {
        let answer = match self.answer(words) {
            Ok(answer) => answer,
            Err(fault) => Answer::Now(Reply::Error(fault)),
        };
        let mut db = self.core.db.borrow_mut();
        if !db.pushed.is_empty() {
            db.serve_waiting();
        }
        if let Some(journal) = &mut db.journal {
            journal.commit();
        }
        answer
    }

    fn answer(&mut self, words: &[&[u8]]) -> Result<Answer, Fault> {
        let mut db = self.core.db.borrow_mut();
        let command = db.admit(words, Caller::Client)?;
        match command.run {
            Run::Db(run) => db.run(run, command, words, Caller::Client).map(Answer::Now),
            Run::Session if command.name == "blpop" => block(&mut db, &words[1..]),
            Run::Session => {
                drop(db);
                self.own(command.name, &words[1..]).map(Answer::Now)
            }
        }
    }

    fn own(&mut self, name: &str, words: &[&[u8]]) -> Outcome {
        let scripts = &self.core.scripts;
        match name {
            "evalsha" => {
                let sha = String::from_utf8_lossy(words[0]).to_ascii_lowercase();
                scripts.eval(&sha, &words[1..], self.resp3)
            }
            "eval" => {
                let sha = scripts.load(words[0])?;
                scripts.eval(&sha, &words[1..], self.resp3)
            }
            "script" => self.script(words),
            "ping" => {
                Ok(words.first().map_or(Reply::Status("PONG".into()), |word| Reply::bulk(word)))
            }
            "echo" => Ok(Reply::bulk(words[0])),
            "select" if *words[0] == *b"0" => Ok(Reply::OK),
            "select" => Err("ERR DB index is out of range".into()),
            "hello" => self.hello(words),
            "client" => self.client(words),
            "shutdown" => {
                self.core.stop.cancel();
                Ok(Reply::OK)
            }
            _ => Err("ERR AUTH <password> called without any password configured for the default \
                      user. Are you sure your configuration is correct?"
                .into()),
        }
    }

    fn script(&self, words: &[&[u8]]) -> Outcome {
        let scripts = &self.core.scripts;
        match words {
            [what, text] if is(what, "load") => Ok(Reply::bulk(scripts.load(text)?.as_bytes())),
            [what, shas @ ..] if is(what, "exists") && !shas.is_empty() => Ok(Reply::Array(
                shas.iter().map(|sha| Reply::Int(i64::from(scripts.knows(sha)))).collect(),
            )),
            [what, ..] if is(what, "flush") => {
                scripts.flush();
                Ok(Reply::OK)
            }
            _ => Err(SYNTAX),
        }
    }

    fn hello(&mut self, words: &[&[u8]]) -> Outcome {
        let mut options = words.iter().skip(1);
        match words.first() {
            None => {}
            Some(version) if **version == *b"2" => self.resp3 = false,
            Some(version) if **version == *b"3" => self.resp3 = true,
            Some(_) => return Err("NOPROTO unsupported protocol version".into()),
        }
        while let Some(option) = options.next() {
            match options.next() {
                Some(name) if is(option, "setname") => self.name = (*name).into(),
                Some(_) if is(option, "auth") => return self.own("auth", &[]),
                _ => return Err(SYNTAX),
            }
        }
        let text = |text: &str| Reply::bulk(text.as_bytes());
        let told = [
            ("server", text("redis")),
            ("version", text(LIKE)),
            ("proto", Reply::Int(if self.resp3 { 3 } else { 2 })),
            ("id", Reply::Int(self.id)),
            ("mode", text("standalone")),
            ("role", text("master")),
            ("modules", Reply::Array(Vec::new())),
        ];
        Ok(Reply::Map(told.into_iter().flat_map(|(name, value)| [text(name), value]).collect()))
    }

    fn client(&mut self, words: &[&[u8]]) -> Outcome {
        match words {
            [what] if is(what, "id") => Ok(Reply::Int(self.id)),
            [what] if is(what, "getname") => {
                Ok(Reply::found(Some(&self.name).filter(|name| !name.is_empty())))
            }
            [what, name] if is(what, "setname") => {
                self.name = (*name).into();
                Ok(Reply::OK)
            }
            [what, _, _] if is(what, "setinfo") => Ok(Reply::OK),
            [what, ..] => {
                let what = String::from_utf8_lossy(what).into_owned();
                Err(format!("ERR unknown subcommand '{what}'. Try CLIENT HELP.").into())
            }
            [] => Err(arity("client")),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.core.db.borrow_mut().clients -= 1;
    }
}

fn block(db: &mut Db, words: &[&[u8]]) -> Result<Answer, Fault> {
    let [keys @ .., timeout] = words else { return Err(arity("blpop")) };
    let seconds = std::str::from_utf8(timeout).ok().and_then(|text| text.parse::<f64>().ok());
    let seconds = seconds.ok_or("ERR timeout is not a float or out of range")?;
    if seconds < 0.0 {
        return Err("ERR timeout is negative".into());
    }
    let timeout = Duration::try_from_secs_f64(seconds)
        .map_err(|_| Fault::from("ERR timeout is out of range"))?;
    if let Some(found) = db.pop_first(keys)? {
        return Ok(Answer::Now(popped(found)));
    }
    let [key] = keys else {
        return Err("ERR the embedded engine waits for one list at a time".into());
    };
    let (sender, item) = oneshot::channel();
    let waiting = db.waiting.entry((*key).into()).or_default();
    waiting.retain(|other| !other.is_closed());
    waiting.push_back(sender);
    let timeout = (!timeout.is_zero()).then_some(timeout);
    Ok(Answer::Later(Wait { item, timeout }))
}
