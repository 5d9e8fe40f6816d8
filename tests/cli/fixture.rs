//! The program in a data directory of its own.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::under_test;
use serde_json::Value;
use tempfile::TempDir;

/// Far longer than anything takes; a test never waits for it unless it fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a run of the program gave.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    /// The one line of ndjson that was written.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(self.stdout.trim()).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn lines(&self) -> Vec<Value> {
        let lines = self.stdout.lines();
        lines.map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }
}

/// A data directory, and with it a private server that lives while a process holds it.
pub(crate) struct Site {
    dir: TempDir,
}

impl Site {
    pub(crate) fn new() -> Self {
        let dir = TempDir::with_prefix("rd-cli-").unwrap();
        // The name that the program looks for first; what a server is called says nothing of it.
        let bin = dir.path().join("bin");
        std::fs::create_dir(&bin).unwrap();
        symlink(server_under_test(), bin.join("valkey-server")).unwrap();
        Self { dir }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Where the private server's directory is made.
    pub(crate) fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_redeliver"));
        command
            .args(args)
            .env("PATH", self.search_path())
            .env("REDELIVER_DATA_DIR", self.data())
            .env("XDG_CONFIG_HOME", self.path().join("config"))
            .env_remove("REDELIVER_URL")
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// The PATH of this process, with the server under test in front.
    fn search_path(&self) -> OsString {
        let mut path = self.path().join("bin").into_os_string();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap());
        path
    }

    pub(crate) fn run(&self, args: &[&str]) -> Run {
        finish(self.command(args).spawn().unwrap())
    }

    pub(crate) fn run_with(&self, args: &[&str], stdin: &str) -> Run {
        let mut child = self.command(args).stdin(Stdio::piped()).spawn().unwrap();
        let mut pipe = child.stdin.take().unwrap();
        pipe.write_all(stdin.as_bytes()).unwrap();
        drop(pipe);
        finish(child)
    }

    pub(crate) fn counts(&self, queue: &str) -> Value {
        self.run(&["counts", queue]).ok().json()
    }

    /// A process that holds the private server until it is told to end; it returns when it is up.
    pub(crate) fn holder(&self, queue: &str) -> Holder {
        self.held(&mut self.command(&["poll", queue]))
    }

    /// The same for any command that polls.
    pub(crate) fn held(&self, command: &mut Command) -> Holder {
        let mut child = command.spawn().unwrap();
        let mut told = BufReader::new(child.stderr.take().unwrap()).lines();
        assert!(told.any(|line| line.unwrap().contains("polling")));
        assert!(self.is_up());
        Holder(child)
    }

    /// Whether somebody answers at the private server's socket.
    pub(crate) fn is_up(&self) -> bool {
        let socket = self.server_file("s");
        socket.is_some_and(|path| std::os::unix::net::UnixStream::connect(path).is_ok())
    }

    /// Makes the private server end, as a crash would.
    pub(crate) fn crash_server(&self) {
        let socket = self.server_file("s").unwrap();
        let mut server = std::os::unix::net::UnixStream::connect(socket).unwrap();
        server.write_all(b"*2\r\n$8\r\nSHUTDOWN\r\n$6\r\nNOSAVE\r\n").unwrap();
        wait_for("the end of the server", || !self.is_up());
    }

    /// Where the private server appends its commands.
    pub(crate) fn append_only_file(&self) -> PathBuf {
        let files = std::fs::read_dir(self.server_file("appendonlydir").unwrap()).unwrap();
        let mut paths = files.map(|file| file.unwrap().path());
        paths.find(|path| path.to_str().unwrap().ends_with(".incr.aof")).unwrap()
    }

    /// A connection to the private server.
    pub(crate) fn connection(&self) -> redis::Connection {
        let socket = self.server_file("s").unwrap();
        let client = redis::Client::open(format!("unix://{}", socket.display())).unwrap();
        client.get_connection().unwrap()
    }

    /// A file of the private server's directory.
    pub(crate) fn server_file(&self, name: &str) -> Option<PathBuf> {
        let mut dirs = std::fs::read_dir(self.data()).ok()?;
        Some(dirs.next()?.ok()?.path().join(name))
    }
}

impl Drop for Site {
    /// The server must have ended before its directory goes.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            wait_for("the end of the server", || !self.is_up());
        }
    }
}

/// A running process that is killed at the end of its test.
pub(crate) struct Holder(pub(crate) Child);

impl Holder {
    pub(crate) fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.0.id().to_string();
        let script = "kill -\"$0\" \"$1\"";
        let status = Command::new("sh").args(["-c", script, signal, &pid]).status();
        assert!(status.unwrap().success());
    }

    /// Waits for its end.
    pub(crate) fn run(mut self) -> Run {
        let (mut out, mut err) = (self.0.stdout.take().unwrap(), self.0.stderr.take().unwrap());
        let (mut stdout, mut stderr) = (String::new(), String::new());
        out.read_to_string(&mut stdout).unwrap();
        err.read_to_string(&mut stderr).unwrap();
        Run { code: self.exit_code().unwrap_or(-1), stdout, stderr }
    }

    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        self.0.wait().unwrap().code()
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn server_under_test() -> PathBuf {
    let program = &under_test::program()[0];
    let found = Command::new("sh").args(["-c", "command -v \"$0\"", program]).output().unwrap();
    assert!(found.status.success(), "there is no {program}");
    std::path::absolute(String::from_utf8(found.stdout).unwrap().trim_end()).unwrap()
}

pub(crate) fn finish(child: Child) -> Run {
    let output = child.wait_with_output().unwrap();
    Run {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

pub(crate) fn wait_for(what: &str, mut reached: impl FnMut() -> bool) {
    let given_up = Instant::now() + PATIENCE;
    while !reached() {
        assert!(Instant::now() < given_up, "{what} does not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}
