//! A server of our own for each test binary, and a queue of its own for each test.

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Once, OnceLock};
use std::time::{Duration, Instant};

use redeliver::{
    Counts, Damage, Delivery, Message, MessageId, Policy, Pushed, Queue, Raw, Settled,
};
use redis::{FromRedisValue, RedisResult, Value};
use tempfile::TempDir;

#[path = "sources.rs"]
pub(crate) mod sources;
#[path = "under_test.rs"]
pub(crate) mod under_test;

/// Each test binary proves once that the server is the one it was told to test.
static PROVEN: Once = Once::new();

/// A private server that ends when this process does, however it ends.
pub(crate) struct TestServer {
    guard: Child,
    dir: TempDir,
    args: Vec<String>,
    env: Vec<(String, String)>,
}

impl TestServer {
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::start_in(&[], args)
    }

    /// With these variables in the server's environment.
    pub(crate) fn start_in(env: &[(&str, &str)], args: &[&str]) -> Self {
        let dir = TempDir::with_prefix("rd-test-").unwrap();
        let args: Vec<_> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let env: Vec<_> =
            env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let guard = Self::spawn(dir.path(), &args, &env);
        let server = Self { guard, dir, args, env };
        server.wait();
        PROVEN.call_once(|| under_test::prove(&mut server.client().get_connection().unwrap()));
        server
    }

    /// `sh` reads our pipe and kills the server at its end, which comes with our own death; what
    /// the server wrote goes with it, unless a line told that it is wanted again.
    fn spawn(dir: &Path, args: &[String], env: &[(String, String)]) -> Child {
        let socket = dir.join("s");
        let script = r#""$@" >"$0/log" 2>&1 & p=$!
            read -r _; told=$?; kill -9 $p; wait $p; [ $told = 0 ] || rm -rf "$0""#;
        Command::new("sh")
            .args(["-c", script])
            .arg(dir)
            .args(under_test::program())
            .args(["--port", "0", "--save", "", "--unixsocket"])
            .arg(socket)
            .arg("--dir")
            .arg(dir)
            .args(args)
            .envs(env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server is on PATH")
    }

    fn wait(&self) {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(20) {
            let ready = self.client().get_connection().and_then(|mut connection| {
                redis::cmd("EVAL").arg("return 1").arg(0).query::<i64>(&mut connection)
            });
            if ready.is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
        panic!("the server did not start:\n{log}");
    }

    pub(crate) fn url(&self) -> String {
        format!("unix://{}", self.dir.path().join("s").display())
    }

    pub(crate) fn client(&self) -> redis::Client {
        redis::Client::open(self.url()).unwrap()
    }

    /// Kills the server without warning.
    pub(crate) fn kill(&mut self) {
        let mut stdin = self.guard.stdin.take().unwrap();
        stdin.write_all(b"\n").ok();
        drop(stdin);
        self.guard.wait().unwrap();
    }

    /// Starts it again on what it has written.
    pub(crate) fn restart(&mut self) {
        std::fs::remove_file(self.dir.path().join("s")).ok();
        self.guard = Self::spawn(self.dir.path(), &self.args, &self.env);
        self.wait();
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }
}

/// The server that all tests of this binary share.
pub(crate) fn shared() -> &'static TestServer {
    static SERVER: OnceLock<TestServer> = OnceLock::new();
    SERVER.get_or_init(|| TestServer::start(&[]))
}

/// A fresh queue, its keys, and a connection for looking and meddling.
pub(crate) struct Fixture {
    pub(crate) queue: Queue<Raw>,
    redis: std::sync::Mutex<redis::Connection>,
    url: String,
}

pub(crate) const KEYS: [&str; 10] = [
    "ready",
    "scheduled",
    "pending",
    "dead",
    "messages",
    "attempts",
    "keyed",
    "bell",
    "alarm",
    "meta",
];

/// One message in each state, and the delivery of the pending one.
pub(crate) struct Placed {
    pub(crate) ready: MessageId,
    pub(crate) scheduled: MessageId,
    pub(crate) pending: MessageId,
    pub(crate) dead: MessageId,
    pub(crate) held: Delivery<Raw>,
}

impl Placed {
    pub(crate) fn ids(&self) -> [(&'static str, MessageId); 4] {
        [
            ("ready", self.ready),
            ("scheduled", self.scheduled),
            ("pending", self.pending),
            ("dead", self.dead),
        ]
    }
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        // A lease that outlives the test on any machine: what has to end is aged.
        let policy = Policy::default().max_attempts(3).lease(600 * SECOND);
        Self::on(shared(), policy).await
    }

    pub(crate) async fn on(server: &TestServer, policy: Policy) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("q{}", NEXT.fetch_add(1, Ordering::Relaxed));
        Self::named(&name, server, policy).await
    }

    pub(crate) async fn named(name: &str, server: &TestServer, policy: Policy) -> Self {
        let queue = Queue::connect(&server.url(), name).await.unwrap().with_policy(policy).unwrap();
        let redis = server.client().get_connection().unwrap();
        Self { queue, redis: redis.into(), url: server.url() }
    }

    /// Goes on looking after the server came back.
    pub(crate) fn reconnect(&self, server: &TestServer) {
        *self.redis.lock().unwrap() = server.client().get_connection().unwrap();
    }

    /// Another client of the same queue, with a connection of its own.
    pub(crate) async fn other(&self) -> Queue<Raw> {
        let queue = Queue::connect(&self.url, self.queue.name().as_str()).await.unwrap();
        queue.with_policy(self.queue.policy().clone()).unwrap()
    }

    pub(crate) fn key(&self, name: &str) -> String {
        assert!(KEYS.contains(&name), "{name}");
        format!("rd:{{{}.0}}:{name}", self.queue.name())
    }

    /// Any command, as an operator would type it.
    pub(crate) fn redis<R: FromRedisValue>(&self, command: &[&str]) -> R {
        self.try_redis(command).unwrap()
    }

    pub(crate) fn try_redis<R: FromRedisValue>(&self, command: &[&str]) -> RedisResult<R> {
        let mut parts = command.iter();
        let mut built = redis::cmd(parts.next().unwrap());
        for part in parts {
            built.arg(*part);
        }
        built.query(&mut *self.redis.lock().unwrap())
    }

    /// Calls a script with any ARGV, as a client in another language would.
    pub(crate) fn script(&self, name: &str, argv: &[&str]) -> RedisResult<Value> {
        let text = script_text(name);
        let mut call = redis::cmd("EVAL");
        call.arg(text).arg(KEYS.len());
        for key in KEYS {
            call.arg(self.key(key));
        }
        for arg in argv {
            call.arg(*arg);
        }
        call.query(&mut *self.redis.lock().unwrap())
    }

    /// A script that has to answer, read as whatever its RETURNS says.
    pub(crate) fn call<R: FromRedisValue>(&self, name: &str, argv: &[&str]) -> R {
        let reply = self.script(name, argv);
        let reply = reply.unwrap_or_else(|error| panic!("{name} {argv:?}: {error}"));
        redis::from_redis_value(reply).unwrap()
    }

    /// A script that has to refuse with this code, and to change nothing.
    pub(crate) fn refused(&self, name: &str, argv: &[&str], code: &str) {
        let before = self.dump();
        let told = self.script(name, argv).map_err(|error| error.code().map(str::to_owned));
        let shown = &argv[..argv.len().min(8)];
        assert_eq!(told, Err(Some(code.to_owned())), "{name} {shown:?}");
        assert!(self.dump() == before, "{name} {shown:?} wrote something");
    }

    pub(crate) async fn push(&self, payload: &str) -> MessageId {
        let pushed = self.queue.push(Raw::from(payload)).await.unwrap();
        assert!(matches!(pushed, Pushed::Ready(_)), "{pushed:?}");
        pushed.id()
    }

    pub(crate) async fn push_many(&self, count: usize) -> Vec<MessageId> {
        let payloads = (0..count).map(|number| Raw(number.to_string().into()));
        let pushed = self.queue.push_all(payloads).await.unwrap();
        pushed.into_iter().map(Pushed::id).collect()
    }

    /// The oldest ready message, in our hands.
    pub(crate) async fn claim(&self) -> Delivery<Raw> {
        let mut claimed = self.queue.claim(1).await.unwrap();
        claimed.pop().expect("something is ready")
    }

    /// One message in each state.
    pub(crate) async fn every_state(&self) -> Placed {
        let dead = self.push("dead").await;
        self.bury(dead).await;
        let pending = self.push("pending").await;
        let held = self.claim().await;
        assert_eq!(held.id(), pending);
        let later = Message::new(Raw::from("scheduled")).delay(3600 * SECOND);
        let scheduled = self.queue.push(later).await.unwrap().id();
        let ready = self.push("ready").await;
        assert_eq!(self.states().await, [1, 1, 1, 1]);
        Placed { ready, scheduled, pending, dead, held }
    }

    /// Claims the oldest ready message, which has to be this one, and buries it.
    pub(crate) async fn bury(&self, id: MessageId) {
        let delivery = self.claim().await;
        assert_eq!(delivery.id(), id);
        assert_eq!(delivery.bury("hopeless").await.unwrap(), Settled::Done);
    }

    /// Many dead letters, oldest first: equal times of death fall in the order of the ids.
    pub(crate) async fn fill_dead(&self, count: usize) -> Vec<MessageId> {
        let ids = self.push_many(count).await;
        for start in (0..count).step_by(1000) {
            let claimed = self.queue.claim(1000).await.unwrap();
            let held = claimed.iter().map(|delivery| delivery.id().to_string());
            let held: Vec<_> = held.collect();
            assert_eq!(held.len(), (count - start).min(1000));
            let items = held.iter().flat_map(|id| [id.as_str(), "1", "1 1 3"]);
            let buried: Vec<String> = self.call("bury", &items.collect::<Vec<_>>());
            assert!(buried.iter().all(|outcome| outcome == "dead"));
        }
        ids
    }

    /// The ids of a state, in its order.
    pub(crate) fn ids(&self, state: &str) -> Vec<String> {
        let read = if state == "ready" { "LRANGE" } else { "ZRANGE" };
        self.redis(&[read, &self.key(state), "0", "-1"])
    }

    /// The time of a message in one of the sorted states, in ms.
    pub(crate) fn time_of(&self, state: &str, id: MessageId) -> Option<u64> {
        self.redis(&["ZSCORE", &self.key(state), &id.to_string()])
    }

    pub(crate) fn line_of(&self, id: MessageId) -> Option<String> {
        self.redis(&["HGET", &self.key("attempts"), &id.to_string()])
    }

    pub(crate) fn len(&self, key: &str) -> u64 {
        let read = match key {
            "ready" | "bell" | "alarm" => "LLEN",
            "scheduled" | "pending" | "dead" => "ZCARD",
            _ => "HLEN",
        };
        self.redis(&[read, &self.key(key)])
    }

    /// Stops what rings, so that the next ring is seen.
    pub(crate) fn silence(&self) {
        self.redis::<()>(&["DEL", &self.key("bell"), &self.key("alarm")]);
    }

    /// The server's clock in microseconds.
    pub(crate) fn now_us(&self) -> u64 {
        let (seconds, micros): (u64, u64) = self.redis(&["TIME"]);
        seconds * 1_000_000 + micros
    }

    /// Makes a waiting message older: its due time, retry deadline or time of death moves back.
    pub(crate) fn age(&self, state: &str, id: MessageId, by: Duration) {
        let score: Option<f64> = self.redis(&["ZSCORE", &self.key(state), &id.to_string()]);
        let score = score.unwrap_or_else(|| panic!("{id} is not in {state}"));
        let earlier = (score - by.as_secs_f64() * 1e3).max(0.0).to_string();
        self.redis::<()>(&["ZADD", &self.key(state), "XX", &earlier, &id.to_string()]);
    }

    /// Makes the driver of the redrive one that has not been heard of for a minute.
    pub(crate) async fn orphan_redrive(&self) {
        let beat = self.queue.dead().redrive_task().await.unwrap().unwrap().beat_ms;
        let meta = self.key("meta");
        let text: String = self.redis(&["HGET", &meta, "redrive_task"]);
        let [beaten, older] = [beat, beat - 60_000].map(|at| format!("\"beat_ms\":{at}"));
        let aged = text.replace(&beaten, &older);
        assert_ne!(text, aged);
        self.redis::<()>(&["HSET", &meta, "redrive_task", &aged]);
    }

    pub(crate) async fn counts(&self) -> Counts {
        self.queue.counts().await.unwrap()
    }

    /// The law, and each id in exactly one place; a test may have silenced the bell.
    pub(crate) async fn assert_law(&self) {
        let report = self.queue.check(|_| {}).await.unwrap();
        let silent = report.kinds.get(&Damage::LostBell).copied().unwrap_or(0);
        assert!(report.counts.law_holds() && report.damaged == silent, "{report:?}");
    }

    /// Ready, scheduled, pending, dead.
    pub(crate) async fn states(&self) -> [u64; 4] {
        let counts = self.counts().await;
        assert!(counts.law_holds(), "{counts:?}");
        [counts.ready, counts.scheduled, counts.pending, counts.dead]
    }

    /// Every key of the queue with its whole content, for "nothing changed".
    pub(crate) fn dump(&self) -> Vec<Option<Vec<u8>>> {
        KEYS.iter().map(|key| self.redis(&["DUMP", &self.key(key)])).collect()
    }
}

/// A script as it is sent.
pub(crate) fn script_text(name: &str) -> String {
    sources::joined(sources::source("prelude"), sources::source(name))
}

pub(crate) const SECOND: Duration = Duration::from_secs(1);

#[test]
fn the_server_that_answers_is_the_one_that_was_named() {
    let mut connection = shared().client().get_connection().unwrap();
    assert_eq!(under_test::answering(&mut connection), under_test::named());
}
