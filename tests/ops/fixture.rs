//! A server of our own for each test binary, and a queue of its own for each test.

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use redeliver::{Counts, MessageId, Policy, Pushed, Queue, Raw};
use redis::{FromRedisValue, RedisResult, Value};
use tempfile::TempDir;

/// A private server that ends when this process does, however it ends.
pub struct TestServer {
    guard: Child,
    dir: TempDir,
    args: Vec<String>,
}

impl TestServer {
    pub fn start(args: &[&str]) -> Self {
        let dir = TempDir::with_prefix("rd-test-").unwrap();
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        let guard = Self::spawn(dir.path(), &args);
        let server = Self { guard, dir, args };
        server.wait();
        server
    }

    /// `sh` reads our pipe and kills the server at its end, which comes with our own death.
    fn spawn(dir: &Path, args: &Vec<String>) -> Child {
        let socket = dir.join("s");
        let script = r#""$@" >"$0/log" 2>&1 & p=$!; read -r _; kill -9 $p; wait $p"#;
        Command::new("sh")
            .args(["-c", script])
            .arg(dir)
            .arg(std::env::var("REDELIVER_TEST_SERVER").unwrap_or_else(|_| "redis-server".into()))
            .args(["--port", "0", "--save", "", "--unixsocket"])
            .arg(socket)
            .arg("--dir")
            .arg(dir)
            .args(args)
            .stdin(Stdio::piped())
            .spawn()
            .expect("redis-server is on PATH")
    }

    fn wait(&self) {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(20) {
            let ready = self.client().get_connection().and_then(|mut connection| {
                redis::cmd("EVAL")
                    .arg("return 1")
                    .arg(0)
                    .query::<i64>(&mut connection)
            });
            if ready.is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
        panic!("the server did not start:\n{log}");
    }

    pub fn url(&self) -> String {
        format!("unix://{}", self.dir.path().join("s").display())
    }

    pub fn client(&self) -> redis::Client {
        redis::Client::open(self.url()).unwrap()
    }

    /// Kills the server without warning.
    pub fn kill(&mut self) {
        let mut stdin = self.guard.stdin.take().unwrap();
        stdin.write_all(b"\n").ok();
        drop(stdin);
        self.guard.wait().unwrap();
    }

    /// Starts it again on what it has written.
    pub fn restart(&mut self) {
        std::fs::remove_file(self.dir.path().join("s")).ok();
        self.guard = Self::spawn(self.dir.path(), &self.args);
        self.wait();
    }
}

/// The server that all tests of this binary share.
pub fn shared() -> &'static TestServer {
    static SERVER: OnceLock<TestServer> = OnceLock::new();
    SERVER.get_or_init(|| TestServer::start(&[]))
}

/// A fresh queue, its keys, and a connection for looking and meddling.
pub struct Fixture {
    pub queue: Queue<Raw>,
    redis: std::sync::Mutex<redis::Connection>,
    url: String,
}

pub const KEYS: [&str; 10] = [
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

impl Fixture {
    pub async fn new() -> Self {
        Self::on(shared(), Policy::default().max_attempts(3)).await
    }

    pub async fn on(server: &TestServer, policy: Policy) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("q{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let queue = Queue::connect(&server.url(), &name)
            .await
            .unwrap()
            .with_policy(policy)
            .unwrap();
        let redis = server.client().get_connection().unwrap();
        Self {
            queue,
            redis: redis.into(),
            url: server.url(),
        }
    }

    /// Another client of the same queue, with a connection of its own.
    pub async fn other(&self) -> Queue<Raw> {
        let queue = Queue::connect(&self.url, self.queue.name().as_str())
            .await
            .unwrap();
        queue.with_policy(self.queue.policy().clone()).unwrap()
    }

    pub fn key(&self, name: &str) -> String {
        assert!(KEYS.contains(&name), "{name}");
        format!("rd:{{{}.0}}:{name}", self.queue.name())
    }

    /// Any command, as an operator would type it.
    pub fn redis<R: FromRedisValue>(&self, command: &[&str]) -> R {
        self.try_redis(command).unwrap()
    }

    pub fn try_redis<R: FromRedisValue>(&self, command: &[&str]) -> RedisResult<R> {
        let mut parts = command.iter();
        let mut built = redis::cmd(parts.next().unwrap());
        for part in parts {
            built.arg(*part);
        }
        built.query(&mut *self.redis.lock().unwrap())
    }

    /// Calls a script with any ARGV, as a client in another language would.
    pub fn script(&self, name: &str, argv: &[&str]) -> RedisResult<Value> {
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

    pub async fn push(&self, payload: &str) -> MessageId {
        let pushed = self.queue.push(Raw::from(payload)).await.unwrap();
        assert!(matches!(pushed, Pushed::Ready(_)), "{pushed:?}");
        pushed.id()
    }

    /// Makes a waiting message older: its due time, retry deadline or time of death moves back.
    pub fn age(&self, state: &str, id: MessageId, by: Duration) {
        let score: Option<f64> = self.redis(&["ZSCORE", &self.key(state), &id.to_string()]);
        let score = score.unwrap_or_else(|| panic!("{id} is not in {state}"));
        let earlier = (score - by.as_secs_f64() * 1e3).max(0.0).to_string();
        self.redis::<()>(&["ZADD", &self.key(state), "XX", &earlier, &id.to_string()]);
    }

    pub async fn counts(&self) -> Counts {
        self.queue.counts().await.unwrap()
    }

    /// The law, and each id in exactly one place.
    pub async fn assert_law(&self) {
        let report = self.queue.check(|_| {}).await.unwrap();
        assert!(report.is_clean(), "{report:?}");
    }

    /// Ready, scheduled, pending, dead.
    pub async fn states(&self) -> [u64; 4] {
        let counts = self.counts().await;
        assert!(counts.law_holds(), "{counts:?}");
        [counts.ready, counts.scheduled, counts.pending, counts.dead]
    }

    /// Every key of the queue with its whole content, for "nothing changed".
    pub fn dump(&self) -> Vec<Option<Vec<u8>>> {
        KEYS.iter()
            .map(|key| self.redis(&["DUMP", &self.key(key)]))
            .collect()
    }
}

/// A script as it is sent: flags of its header, prelude, body.
pub fn script_text(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("lua");
    let read = |file: &str| std::fs::read_to_string(folder.join(format!("{file}.lua"))).unwrap();
    let body = read(name);
    let flags = body
        .lines()
        .next()
        .unwrap()
        .trim_start_matches("-- FLAGS")
        .trim()
        .to_owned();
    let shebang = if flags == "none" {
        "#!lua".to_owned()
    } else {
        format!("#!lua flags={flags}")
    };
    format!("{shebang}\n{}{body}", read("prelude"))
}

pub const SECOND: Duration = Duration::from_secs(1);
