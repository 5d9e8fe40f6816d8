//! The worker processes of the demo.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Result;
use redeliver::QueueName;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use super::STALL_AFTER;
use super::log::{self, Line};
use super::worker::CONCURRENCY;
use crate::access::AccessArgs;
use crate::args::Global;
use crate::exit_code::{Exit, fail};
use crate::server::Session;

const LOOK_EVERY: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(30);

/// All workers hired so far, each known by its number.
pub(super) struct Crew {
    workers: Vec<Child>,
    dir: PathBuf,
    /// Not on the workers' command line, because it may hold a password.
    url: String,
    access: AccessArgs,
    arguments: Vec<OsString>,
    seed: u64,
}

fn started(lines: &[Line]) -> usize {
    lines.iter().filter(|line| line.outcome == log::Outcome::Started).count()
}

impl Crew {
    pub(super) fn new(
        session: &Session,
        global: &Global,
        queue: &QueueName,
        dir: &Path,
        seed: u64,
    ) -> Self {
        // Slow enough to be watched, or as quick as it gets.
        let pace = if io::stderr().is_terminal() { 10 } else { 1 };
        let arguments = [
            "demo-worker".into(),
            queue.as_str().into(),
            "--pace".into(),
            pace.to_string().into(),
            "--prefix".into(),
            global.prefix.clone().into(),
            "--mended".into(),
            dir.join("mended").into(),
        ];
        Self {
            workers: Vec::new(),
            dir: dir.to_owned(),
            url: session.url.clone(),
            access: session.access.clone(),
            arguments: arguments.into(),
            seed,
        }
    }

    /// Starts another worker process.
    pub(super) fn hire(&mut self, stall_after: Option<u64>) -> Result<usize> {
        let number = self.workers.len();
        let mut command = Command::new(std::env::current_exe()?);
        command.args(&self.arguments).arg("--log").arg(self.log(number));
        command.arg("--seed").arg((self.seed + number as u64).to_string());
        if let Some(after) = stall_after {
            command.arg("--stall-after").arg(after.to_string());
        }
        self.access.hand_to(&mut command);
        command.env("REDELIVER_URL", &self.url).stdin(Stdio::piped());
        self.workers.push(command.process_group(0).kill_on_drop(true).spawn()?);
        Ok(number)
    }

    fn log(&self, number: usize) -> PathBuf {
        self.dir.join(format!("worker-{number}.ndjson"))
    }

    /// Waits until a worker has begun so many, so that it gets its share.
    pub(super) async fn begun(&self, number: usize, deliveries: u64) -> Result<()> {
        let deliveries = usize::try_from(deliveries)?;
        self.seen(number, |lines| started(lines) >= deliveries).await?;
        Ok(())
    }

    /// Waits until all handlers of a worker hang, and says how many there are.
    pub(super) async fn hung(&self, number: usize) -> Result<usize> {
        let begun = usize::try_from(STALL_AFTER)? + CONCURRENCY;
        let all_hang =
            |lines: &[Line]| started(lines) >= begun && log::open_attempts(lines) == CONCURRENCY;
        let lines = self.seen(number, all_hang).await?;
        Ok(log::open_attempts(&lines))
    }

    async fn seen(&self, number: usize, enough: impl Fn(&[Line]) -> bool) -> Result<Vec<Line>> {
        let look = async {
            loop {
                let lines = log::read(&self.log(number));
                if enough(&lines) {
                    return lines;
                }
                sleep(LOOK_EVERY).await;
            }
        };
        timeout(PATIENCE, look).await.map_err(|_| {
            fail(Exit::Failure, format!("worker {number} of the demo does not get on"))
        })
    }

    /// SIGKILL: no handler of it says another word.
    pub(super) async fn kill(&mut self, number: usize) -> io::Result<()> {
        match self.workers.get_mut(number) {
            Some(worker) => worker.kill().await,
            None => Ok(()),
        }
    }

    /// From now on every receiver takes its webhooks.
    pub(super) fn mend(&self) -> io::Result<()> {
        File::create(self.dir.join("mended")).map(drop)
    }

    /// Ends all workers by ending their stdin, and waits for them.
    pub(super) async fn dismiss(&mut self) {
        for worker in &mut self.workers {
            drop(worker.stdin.take());
        }
        for worker in &mut self.workers {
            if !matches!(timeout(PATIENCE, worker.wait()).await, Ok(Ok(_))) {
                // It is killed when it is dropped.
                tracing::warn!("a worker of the demo does not end");
            }
        }
    }

    /// What all handlers noted.
    pub(super) fn logs(&self) -> Vec<Line> {
        let logs = (0..self.workers.len()).map(|number| log::read(&self.log(number)));
        logs.flatten().collect()
    }
}
