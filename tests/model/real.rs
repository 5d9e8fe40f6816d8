//! The scripts on a server, told the time by the walk: their one reading of the clock is replaced
//! by a last argument, so that everything they store and answer is known to the microsecond.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};

use redis::{Connection, ConnectionLike as _, Pipeline, Value, cmd, from_redis_value, pipe};

use crate::fixture::{KEYS, TestServer, script_text};
use crate::reference::Snapshot;
use crate::reply::Reply;

pub(crate) const VERBS: [&str; 20] = [
    "ack",
    "bury",
    "cancel",
    "check",
    "claim",
    "counts",
    "destroy",
    "extend",
    "find",
    "pause",
    "peek",
    "purge",
    "push",
    "redeliver",
    "redrive",
    "release",
    "reschedule",
    "resume",
    "retry",
    "trim",
];
const CLOCK: [(&str, &str); 2] = [
    ("\n-- prelude:", "\nlocal CLOCK_US = table.remove(ARGV)\n-- prelude:"),
    ("call('TIME')", "{ math.floor(CLOCK_US / 1000000), CLOCK_US % 1000000 }"),
];

/// Text that takes the place of other text; it has to be there, once.
pub(crate) fn replaced(text: &str, from: &str, to: &str) -> String {
    assert_eq!(text.matches(from).count(), 1, "{from:?} has to stand there once");
    text.replacen(from, to, 1)
}

/// A connection, and the scripts as they are to be tested on it.
struct Setup {
    connection: Connection,
    scripts: BTreeMap<&'static str, (String, String)>,
    budget: Option<usize>,
}

thread_local! {
    static SETUP: RefCell<Option<Setup>> = const { RefCell::new(None) };
}

/// What the walks of this thread run against: the scripts, each after a change of its text.
pub(crate) fn set_up(
    server: &TestServer,
    budget: Option<usize>,
    change: impl Fn(&str, String) -> String,
) {
    let mut connection = server.client().get_connection().unwrap();
    let mut scripts = BTreeMap::new();
    for verb in VERBS {
        let mut text = change(verb, script_text(verb));
        for (from, to) in CLOCK {
            text = replaced(&text, from, to);
        }
        let sha = cmd("SCRIPT").arg("LOAD").arg(&text).query(&mut connection).unwrap();
        scripts.insert(verb, (text, sha));
    }
    SETUP.set(Some(Setup { connection, scripts, budget }));
}

pub(crate) fn budget() -> Option<usize> {
    SETUP.with_borrow(|setup| setup.as_ref().and_then(|setup| setup.budget))
}

/// A queue of its own under the scripts of this thread.
#[derive(Clone, Debug)]
pub(crate) struct Real {
    keys: Rc<Vec<String>>,
}

impl Real {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let keys = KEYS.iter().map(|key| format!("rd:{{m{number}.0}}:{key}")).collect();
        Self { keys: Rc::new(keys) }
    }

    /// Calls a script and reads all that there is afterwards.
    pub(crate) fn call(&self, verb: &str, argv: &[String], now_us: u64) -> (Reply, Snapshot) {
        SETUP.with_borrow_mut(|setup| {
            let Setup { connection, scripts, .. } = setup.as_mut().expect("set_up comes first");
            let (text, sha) = &scripts[verb];
            let mut call = cmd("EVALSHA");
            call.arg(sha).arg(KEYS.len()).arg(&*self.keys).arg(argv).arg(now_us);
            let mut replies = self.send(connection, &call);
            if Reply::from(replies[0].clone()) == Reply::Fault("NOSCRIPT".to_owned()) {
                cmd("SCRIPT").arg("LOAD").arg(text).exec(connection).unwrap();
                replies = self.send(connection, &call);
            }
            let reply = Reply::from(replies.remove(0));
            (reply, self.snapshot(replies))
        })
    }

    /// Any other command about one key, and what there is afterwards.
    pub(crate) fn command(&self, name: &str, key: &str) -> Snapshot {
        let key = KEYS.iter().position(|name| *name == key).map(|at| &self.keys[at]);
        let mut words = name.split(' ');
        let mut command = cmd(words.next().unwrap());
        command.arg(words.collect::<Vec<_>>()).arg(key);
        SETUP.with_borrow_mut(|setup| {
            let setup = setup.as_mut().expect("set_up comes first");
            let mut replies = self.send(&mut setup.connection, &command);
            replies.remove(0);
            self.snapshot(replies)
        })
    }

    fn send(&self, connection: &mut Connection, first: &redis::Cmd) -> Vec<Value> {
        let mut pipeline: Pipeline = pipe();
        pipeline.add_command(first.clone());
        for (at, key) in self.keys.iter().enumerate() {
            match at {
                0 => pipeline.cmd("LRANGE").arg(key).arg(0).arg(-1),
                1..=3 => pipeline.cmd("ZRANGE").arg(key).arg(0).arg(-1).arg("WITHSCORES"),
                4..=6 | 9 => pipeline.cmd("HGETALL").arg(key),
                _ => pipeline.cmd("LLEN").arg(key),
            };
        }
        let packed = pipeline.get_packed_pipeline();
        connection.req_packed_commands(&packed, 0, self.keys.len() + 1).unwrap()
    }

    fn snapshot(&self, replies: Vec<Value>) -> Snapshot {
        fn next<T: redis::FromRedisValue>(replies: &mut impl Iterator<Item = Value>) -> T {
            from_redis_value(replies.next().unwrap()).unwrap()
        }
        let replies = &mut replies.into_iter();
        let ready = next(replies);
        let timed = [(); 3].map(|()| {
            let scored: Vec<(String, u64)> = next(replies);
            scored.into_iter().map(|(id, at)| (at, id)).collect()
        });
        let (messages, attempts, keyed) = (next(replies), next(replies), next(replies));
        let (bell, alarm, meta) = (next(replies), next(replies), next(replies));
        Snapshot { ready, timed, messages, attempts, keyed, bell, alarm, meta }
    }

    pub(crate) fn forget(&self) {
        SETUP.with_borrow_mut(|setup| {
            let setup = setup.as_mut().expect("set_up comes first");
            cmd("UNLINK").arg(&*self.keys).exec(&mut setup.connection).unwrap();
        });
    }
}
