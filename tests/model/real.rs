//! The scripts on a server, told the time by the walk: their one reading of the clock is replaced
//! by a last argument, so that everything they store and answer is known to the microsecond.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};

use redis::{Connection, ConnectionLike as _, Value, cmd, from_redis_value, pipe};

use crate::fixture::{KEYS, TestServer, script_text};
use crate::reference::Snapshot;
use crate::reply::Reply;

pub(crate) const VERBS: [&str; 23] = [
    "ack",
    "bury",
    "cancel",
    "check",
    "claim",
    "counts",
    "destroy",
    "extend",
    "find",
    "limit",
    "pause",
    "peek",
    "purge",
    "push",
    "redeliver",
    "redrive",
    "release",
    "repair",
    "reschedule",
    "resume",
    "retry",
    "steer",
    "trim",
];
const CLOCK: [(&str, &str); 2] = [
    ("\n-- prelude:", "\nlocal CLOCK_US = table.remove(ARGV)\n-- prelude:"),
    ("call('TIME')", "{ math.floor(CLOCK_US / 1000000), CLOCK_US % 1000000 }"),
];

/// Each of the ten keys as one text: a reply of few parts is read faster.
const DUMP: &str = r"#!lua flags=no-writes
local told = {}
for i, key in ipairs(KEYS) do
  local read = { 'LRANGE', key, 0, -1 }
  if i > 1 and i < 5 then read = { 'ZRANGE', key, 0, -1, 'WITHSCORES' } end
  if i > 4 and i < 8 or i == 10 then read = { 'HGETALL', key } end
  local parts = redis.call(unpack(read))
  told[i] = table.concat(parts, '\31') .. (#parts > 0 and '\31' or '')
end
return told";

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
            let setup = setup.as_mut().expect("set_up comes first");
            let (text, sha) = &setup.scripts[verb];
            let text = text.clone();
            let mut call = cmd("EVALSHA");
            call.arg(sha).arg(KEYS.len()).arg(&*self.keys).arg(argv).arg(now_us);
            let (mut reply, mut after) = self.send(setup, &call);
            if Reply::from(reply.clone()) == Reply::Fault("NOSCRIPT".to_owned()) {
                cmd("SCRIPT").arg("LOAD").arg(text).exec(&mut setup.connection).unwrap();
                (reply, after) = self.send(setup, &call);
            }
            (Reply::from(reply), after)
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
            self.send(setup, &command).1
        })
    }

    /// One command, and all that there is after it.
    fn send(&self, setup: &mut Setup, first: &redis::Cmd) -> (Value, Snapshot) {
        let mut pipeline = pipe();
        pipeline.add_command(first.clone());
        pipeline.cmd("EVAL").arg(DUMP).arg(KEYS.len()).arg(&*self.keys);
        let packed = pipeline.get_packed_pipeline();
        let mut replies = setup.connection.req_packed_commands(&packed, 0, 2).unwrap();
        let dump: Vec<String> = from_redis_value(replies.pop().unwrap()).unwrap();
        (replies.pop().unwrap(), snapshot(&dump))
    }

    pub(crate) fn forget(&self) {
        SETUP.with_borrow_mut(|setup| {
            let setup = setup.as_mut().expect("set_up comes first");
            cmd("UNLINK").arg(&*self.keys).exec(&mut setup.connection).unwrap();
        });
    }
}

fn snapshot(dump: &[String]) -> Snapshot {
    let parts = |at: usize| dump[at].split_terminator('\x1f').map(str::to_owned);
    let pairs = |at: usize| {
        let parts: Vec<_> = parts(at).collect();
        parts.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect::<Vec<_>>()
    };
    let timed = [1, 2, 3].map(|at| {
        let scored = pairs(at).into_iter();
        scored.map(|(id, score)| (score.parse().expect("a time in whole ms"), id)).collect()
    });
    let [messages, attempts, keyed, meta] = [4, 5, 6, 9].map(|at| pairs(at).into_iter().collect());
    let [bell, alarm] = [7, 8].map(|at| parts(at).count());
    Snapshot { ready: parts(0).collect(), timed, messages, attempts, keyed, bell, alarm, meta }
}
