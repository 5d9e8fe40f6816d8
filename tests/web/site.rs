//! `redeliver serve` in front of a server of its own, and a client that may send anything.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use redeliver::Policy;
use serde_json::Value;

use crate::fixture::{Fixture, Placed, SECOND, TestServer};

/// Far longer than anything takes; a test never waits for it unless it fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// A queue, and the page in front of it.
pub(crate) struct Site {
    pub(crate) queue: Fixture,
    pub(crate) address: SocketAddr,
    child: Child,
    stderr: Option<BufReader<ChildStderr>>,
    pub(crate) server: TestServer,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let start = format!("{name}: ");
        self.head.lines().find_map(|line| line.strip_prefix(start.as_str()))
    }
}

pub(crate) fn serve(url: &str, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_redeliver"));
    command
        .args(["serve", "--url", url])
        .args(args)
        .env_remove("REDELIVER_TOKEN")
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

impl Site {
    /// Serves a queue that is prepared first.
    pub(crate) async fn with(prepare: impl AsyncFnOnce(&Fixture), args: &[&str]) -> Self {
        let server = TestServer::start(&[]);
        // A lease that outlives the test on any machine.
        let policy = Policy::default().max_attempts(3).lease(600 * SECOND);
        let queue = Fixture::on(&server, policy).await;
        prepare(&queue).await;
        // A push writes the queue into the list only as far as there is time.
        queue.queue.register().await.unwrap();
        let listen = ["--listen", "127.0.0.1:0"];
        let mut child = serve(&server.url(), &[&listen, args].concat()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut told = String::new();
        while !told.contains("serving") {
            told.clear();
            assert!(stderr.read_line(&mut told).unwrap() > 0, "serve has ended");
        }
        let address = told.trim().rsplit_once("//").unwrap().1.parse().unwrap();
        let site = Self { queue, address, child, stderr: Some(stderr), server };
        wait_for("the first look", || site.get("/readyz").status == 200);
        site
    }

    /// Serves a queue with one message in each state.
    pub(crate) async fn new(args: &[&str]) -> (Self, Placed) {
        let mut placed = None;
        let site = Self::with(async |queue| placed = Some(queue.every_state().await), args).await;
        (site, placed.unwrap())
    }

    /// Sends a request as it is written, with a blank line and the body after it.
    pub(crate) fn send(&self, head: &str, body: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // 1.0: the answer is not cut into chunks, and ends with the connection.
        let length = body.len();
        write!(stream, "{head}\r\nContent-Length: {length}\r\n\r\n{body}").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }

    pub(crate) fn get_with(&self, path: &str, headers: &[&str]) -> Answer {
        let start = format!("GET {path} HTTP/1.0\r\nHost: {}", self.address);
        self.send(&[&[start.as_str()], headers].concat().join("\r\n"), "")
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.get_with(path, &[])
    }

    pub(crate) fn post_with(&self, path: &str, headers: &[&str], body: &str) -> Answer {
        let start = format!("POST {path} HTTP/1.0\r\nContent-Type: application/json");
        self.send(&[&[start.as_str()], headers].concat().join("\r\n"), body)
    }

    /// A post as the page sends it.
    pub(crate) fn post(&self, path: &str, body: &str) -> Answer {
        let [host, origin] = self.ours();
        self.post_with(path, &[&host, &origin, "X-Redeliver: 1"], body)
    }

    /// Host and Origin of the page itself.
    pub(crate) fn ours(&self) -> [String; 2] {
        let address = self.address;
        [format!("Host: {address}"), format!("Origin: http://{address}")]
    }

    /// A path below the fixture's queue.
    pub(crate) fn path(&self, rest: &str) -> String {
        format!("/api/queues/{}{rest}", self.queue.queue.name())
    }

    /// The fixture's queue in the latest tick.
    pub(crate) fn overview(&self) -> Value {
        let overview = self.get("/api/overview").json();
        let name = self.queue.queue.name().to_string();
        let queues = overview["queues"].as_array().unwrap();
        queues.iter().find(|queue| queue["name"] == name).cloned().unwrap_or_default()
    }

    /// How the task with this id stands by now.
    pub(crate) fn task(&self, id: &Value) -> Value {
        let overview = self.get("/api/overview").json();
        let tasks = overview["tasks"].as_array().unwrap();
        tasks.iter().find(|task| task["id"] == *id).cloned().unwrap()
    }

    /// Reads events until one is told by `is_it`.
    pub(crate) fn event(&self, is_it: impl Fn(&Value) -> bool) -> Value {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let address = self.address;
        write!(stream, "GET /api/events HTTP/1.0\r\nHost: {address}\r\n\r\n").unwrap();
        let lines = BufReader::new(stream).lines().map(Result::unwrap);
        let data = lines.filter_map(|line| line.strip_prefix("data: ").map(str::to_owned));
        let mut ticks = data.map(|data| serde_json::from_str(&data).unwrap());
        ticks.find(is_it).unwrap()
    }

    /// Ends the process as an operator would, and gives what it has logged.
    pub(crate) fn end(mut self) -> String {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let mut told = String::new();
        self.stderr.take().unwrap().read_to_string(&mut told).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(0), "{told}");
        told
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

pub(crate) fn wait_for(what: &str, holds: impl Fn() -> bool) {
    let given_up = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < given_up, "{what} does not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}
