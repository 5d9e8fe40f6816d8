//! The server under test: private, append-only, and gone with us.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Result, bail};
use redis::aio::MultiplexedConnection;
use tokio::time::{Instant, sleep, timeout};

/// Reading a long append-only file takes its time.
const PATIENCE: Duration = Duration::from_secs(120);
const COMMAND_PATIENCE: Duration = Duration::from_secs(10);
const RECHECK: Duration = Duration::from_millis(5);

/// `sh` reads our pipe, and kills the server at a line or at the pipe's end, which comes with our
/// own death.
const GUARD: &str = r#""$@" >>"$0/server.log" 2>&1 & p=$!
read -r _; kill -9 $p; wait $p"#;

pub(crate) struct PrivateServer {
    dir: PathBuf,
    fsync: String,
    guard: Child,
}

impl PrivateServer {
    pub(crate) async fn start(dir: &Path, fsync: &str) -> Result<Self> {
        let guard = spawn(dir, fsync)?;
        let server = Self { dir: dir.to_owned(), fsync: fsync.to_owned(), guard };
        server.wait().await?;
        Ok(server)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.join("s")
    }

    pub(crate) fn url(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// SIGKILL, and after a while a restart on what the server had written.
    pub(crate) async fn kill_and_restart(&mut self, down: Duration) -> Result<()> {
        self.kill();
        sleep(down).await;
        self.guard = spawn(&self.dir, &self.fsync)?;
        self.wait().await
    }

    fn kill(&mut self) {
        if let Some(mut stdin) = self.guard.stdin.take() {
            stdin.write_all(b"\n").ok();
        }
        self.guard.wait().ok();
        fs::remove_file(self.socket()).ok();
    }

    async fn wait(&self) -> Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if command(&self.url(), &["PING"]).await.is_ok() {
                return Ok(());
            }
            sleep(RECHECK).await;
        }
        bail!("the server does not start; its log is in {}", self.dir.display())
    }
}

impl Drop for PrivateServer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn(dir: &Path, fsync: &str) -> io::Result<Child> {
    Command::new("sh")
        .args(["-c", GUARD])
        .arg(dir)
        .arg(std::env::var("REDELIVER_TEST_SERVER").unwrap_or_else(|_| "redis-server".to_owned()))
        .args(["--port", "0", "--save", "", "--appendonly", "yes", "--appendfsync", fsync])
        .arg("--dir")
        .arg(dir)
        .arg("--unixsocket")
        .arg(dir.join("s"))
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
}

async fn connect(url: &str) -> redis::RedisResult<MultiplexedConnection> {
    redis::Client::open(url)?.get_multiplexed_async_connection().await
}

/// Any command, over a connection of its own that no fault of the network reaches.
pub(crate) async fn command(url: &str, words: &[&str]) -> Result<()> {
    let Some((name, arguments)) = words.split_first() else { return Ok(()) };
    let mut command = redis::cmd(name);
    for argument in arguments {
        command.arg(*argument);
    }
    let answered = timeout(COMMAND_PATIENCE, async {
        command.query_async::<redis::Value>(&mut connect(url).await?).await
    });
    answered.await??;
    Ok(())
}

/// The same until it has been done: a server that is down just now comes back.
pub(crate) async fn insist(url: &str, words: &[&str]) -> Result<()> {
    let given_up = Instant::now() + PATIENCE;
    loop {
        match command(url, words).await {
            Err(_) if Instant::now() < given_up => sleep(10 * RECHECK).await,
            done => return done,
        }
    }
}
