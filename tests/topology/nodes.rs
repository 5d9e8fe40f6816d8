//! Server processes on free ports of loopback, which end when this process does.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use redeliver::Role;
use redis::{FromRedisValue, RedisResult};

use crate::under_test;

/// Elections on a busy machine take their time: a sentinel that did not run for 2 s trusts nobody for
/// 30 s. A test that is stuck has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);
const PAUSE: Duration = Duration::from_millis(10);
const ANSWER: Duration = Duration::from_secs(2);

/// `sh` reads our pipe and kills the server at its end, which comes with our own death; what it wrote
/// goes with it, unless a line told that it is wanted again. What libfaketime shares under the number
/// of a killed server would keep the next one of that number from starting.
const GUARD: &str = r#""$@" >>"$0/log" 2>&1 & p=$!; echo $p >"$0/pid"
    read -r _; told=$?; kill -9 $p; wait $p; rm -f /dev/shm/*faketime_*_$p
    [ $told = 0 ] || { rm -rf "$0" "$0.conf"; rmdir "${0%/*}" 2>&-; }"#;

/// How the user that `Node::grant` makes stands in a URL.
pub(crate) const GRANTED: &str = "granted:secret@";

/// Waits until it is so.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "in vain: {what}");
        std::thread::sleep(PAUSE);
    }
    begun.elapsed()
}

/// A port of its own: one that another stage was told may not be in use yet.
pub(crate) fn door() -> TcpListener {
    static TOLD: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    loop {
        let door = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        if TOLD.lock().unwrap().insert(door.local_addr().unwrap().port()) {
            return door;
        }
    }
}

/// Ports that were free just now.
pub(crate) fn ports<const N: usize>() -> [u16; N] {
    let doors = [(); N].map(|()| door());
    doors.map(|door| door.local_addr().unwrap().port())
}

/// Settings, a line each, as arguments.
pub(crate) fn as_args(settings: &str) -> impl Iterator<Item = String> {
    let pairs = settings.lines().filter_map(|line| line.split_once(' '));
    pairs.flat_map(|(name, value)| [format!("--{name}"), value.to_owned()])
}

/// Waits until the replicas have all that their master had just now.
pub(crate) fn caught_up(nodes: &[Node], master: usize, replicas: impl IntoIterator<Item = usize>) {
    let offset = |node: usize, name: &str| {
        let told = nodes[node].info("replication", name);
        told.and_then(|told| told.parse::<u64>().ok()).unwrap_or(0)
    };
    let written = offset(master, "master_repl_offset");
    for replica in replicas {
        until("a replica catches up", || offset(replica, "slave_repl_offset") >= written);
    }
}

/// One server of several.
pub(crate) struct Node {
    guard: Child,
    dir: PathBuf,
    /// What it is started by, and with.
    before: Vec<String>,
    args: Vec<String>,
    pub(crate) port: u16,
    /// Under which others know it: that of TLS where they meet by TLS.
    pub(crate) announced: u16,
    /// `user:password@`, or nothing.
    user: &'static str,
}

impl Node {
    /// Starts in a new folder below this one.
    pub(crate) fn start(below: &Path, port: u16, user: &'static str, args: &[String]) -> Self {
        let dir = below.join(port.to_string());
        std::fs::create_dir(&dir).unwrap();
        let (before, args) = (Vec::new(), args.to_vec());
        let guard = spawn(&dir, &before, &args);
        Self { guard, dir, before, args, port, announced: port, user }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://{}127.0.0.1:{}", self.user, self.port)
    }

    /// Of a node that may hang.
    pub(crate) fn try_ask<R: FromRedisValue>(&self, command: &[&str]) -> RedisResult<R> {
        self.ask_within(ANSWER, command)
    }

    fn ask_within<R: FromRedisValue>(&self, time: Duration, command: &[&str]) -> RedisResult<R> {
        let client = redis::Client::open(self.url()).unwrap();
        let mut connection = client.get_connection_with_timeout(time)?;
        connection.set_read_timeout(Some(time))?;
        let mut built = redis::cmd(command[0]);
        built.arg(&command[1..]);
        built.query(&mut connection)
    }

    /// Any command, as an operator would type it.
    pub(crate) fn ask<R: FromRedisValue>(&self, command: &[&str]) -> R {
        let answer = self.ask_within(PATIENCE, command);
        answer.unwrap_or_else(|error| panic!("{command:?} at {}: {error}", self.port))
    }

    /// A user with just the rights of an operator.
    pub(crate) fn grant(&self) {
        let rules = format!("granted on >secret {}", Role::Operator.rules("rd").unwrap());
        let rules: Vec<_> = rules.split(' ').collect();
        self.ask::<()>(&[&["ACL", "SETUSER"], &rules[..]].concat());
    }

    pub(crate) fn answers(&self) -> bool {
        self.try_ask::<String>(&["PING"]).is_ok()
    }

    pub(crate) fn wait(&self) {
        until(&format!("{} starts, see {}", self.port, self.dir.display()), || self.answers());
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        if let Some(mut stdin) = self.guard.stdin.take() {
            stdin.write_all(b"\n").ok();
        }
        self.guard.wait().unwrap();
    }

    pub(crate) fn is_dead(&mut self) -> bool {
        self.guard.try_wait().unwrap().is_some()
    }

    /// Starts it again where it was.
    pub(crate) fn restart(&mut self) {
        self.guard = spawn(&self.dir, &self.before, &self.args);
        self.wait();
    }

    /// Kills it, and starts it again by these words, such as `env NAME=VALUE`.
    pub(crate) fn restart_by(&mut self, before: Vec<String>) {
        self.kill();
        self.before = before;
        self.restart();
    }

    /// SIGSTOP: connections stay open, and nothing is answered.
    pub(crate) fn freeze(&self) {
        self.signal("-STOP");
    }

    pub(crate) fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let pid = std::fs::read_to_string(self.dir.join("pid")).unwrap();
        let sent = Command::new("kill").args([signal, pid.trim()]).status().unwrap();
        assert!(sent.success());
    }

    /// Ends the connections of all clients.
    pub(crate) fn cut(&self) {
        self.ask::<()>(&["CLIENT", "KILL", "TYPE", "normal"]);
    }

    /// A field of INFO.
    pub(crate) fn info(&self, section: &str, field: &str) -> Option<String> {
        let info: String = self.try_ask(&["INFO", section]).ok()?;
        let told = info.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        told.map(|told| told.trim().to_owned())
    }

    /// Waits until this old master follows a new one.
    pub(crate) fn demoted(&self) {
        let follows = || self.info("replication", "role").as_deref() == Some("slave");
        until("the old master follows the new one", follows);
    }

    /// How many clients of the library are connected.
    pub(crate) fn clients(&self) -> usize {
        let list: String = self.try_ask(&["CLIENT", "LIST", "TYPE", "normal"]).unwrap_or_default();
        let ours = |line: &&str| line.contains("user=app") && !line.contains("cmd=client");
        list.lines().filter(ours).count()
    }
}

fn spawn(dir: &Path, before: &[String], args: &[String]) -> Child {
    Command::new("sh")
        .args(["-c", GUARD])
        .arg(dir)
        .args(before)
        .args(under_test::program())
        .args(args)
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("a server is on PATH")
}
