//! Runs a shell command for one delivery, and says what its end means.

use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use redeliver::{Context, Outcome, QueueName};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;

/// `EX_TEMPFAIL` of sysexits.h.
const RELEASE: i32 = 75;
/// `EX_DATAERR` of sysexits.h.
const BURY: i32 = 65;
/// The end of stderr that is kept; with the exit status it fits the kilobyte of a history.
const TAIL: usize = 960;
/// What a command left running in the background may keep its pipes open.
const PIPE_PATIENCE: Duration = Duration::from_millis(200);

/// What is run, and how.
#[derive(Debug)]
pub(crate) struct Exec {
    pub(crate) command: String,
    pub(crate) queue: QueueName,
    pub(crate) release_delay: Duration,
    pub(crate) show_output: bool,
}

impl Exec {
    /// Runs the command. It is killed when the lease is lost, or when this future is dropped.
    pub(crate) async fn run(&self, payload: Vec<u8>, context: &Context) -> Outcome {
        let ended = tokio::select! {
            ended = self.status(payload, context) => ended,
            // What is answered now no longer counts.
            () = context.lost() => return Outcome::release(),
        };
        match ended {
            Ok((status, stderr)) => self.outcome(status, &stderr),
            // This host is out of something, which is no fault of the message.
            Err(error) => {
                tracing::warn!(id = %context.id(), %error, "the command could not be run");
                Outcome::release_after(self.release_delay)
            }
        }
    }

    async fn status(
        &self,
        payload: Vec<u8>,
        context: &Context,
    ) -> std::io::Result<(ExitStatus, String)> {
        let mut child = self.spawn(context)?;
        let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
        let mut group = Group::of(&child);
        let mut tail = Vec::new();
        let status = {
            let mut pipes =
                pin!(async { tokio::join!(feed(stdin, &payload), keep(stderr, &mut tail)) });
            tokio::select! {
                status = child.wait() => {
                    drop(timeout(PIPE_PATIENCE, pipes).await);
                    status?
                }
                _ = &mut pipes => child.wait().await?,
            }
        };
        group.has_ended();
        Ok((status, String::from_utf8_lossy(&tail).trim().to_owned()))
    }

    /// In a process group of its own, so that Ctrl-C at a terminal does not fail what is in hand.
    fn spawn(&self, context: &Context) -> std::io::Result<Child> {
        let stdout = if self.show_output { Stdio::inherit() } else { Stdio::null() };
        Command::new("sh")
            .args(["-c", &self.command])
            // It may hold a password, and what a command prints may end in a dead letter.
            .env_remove("REDELIVER_URL")
            .env("REDELIVER_ID", context.id().to_string())
            .env("REDELIVER_ATTEMPT", context.attempt().to_string())
            .env("REDELIVER_MAX_ATTEMPTS", context.max_attempts().to_string())
            .env("REDELIVER_QUEUE", self.queue.as_str())
            .stdin(Stdio::piped())
            .stdout(stdout)
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
    }

    fn outcome(&self, status: ExitStatus, stderr: &str) -> Outcome {
        let error =
            if stderr.is_empty() { status.to_string() } else { format!("{status}: {stderr}") };
        match status.code() {
            Some(0) => Outcome::Ack,
            Some(RELEASE) => Outcome::release_after(self.release_delay),
            Some(BURY) => Outcome::bury(error),
            _ => Outcome::retry(error),
        }
    }
}

/// The command with all that it started, as long as it has not ended by itself.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self(id.and_then(Pid::from_raw))
    }

    fn has_ended(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It may have ended at this very moment.
            let _gone = kill_process_group(group, Signal::KILL);
        }
    }
}

/// A command need not read its payload; its exit status alone decides.
async fn feed(stdin: Option<ChildStdin>, payload: &[u8]) {
    if let Some(mut stdin) = stdin {
        let _ignored = stdin.write_all(payload).await;
    }
}

/// Reads to the end, and keeps the last part.
async fn keep(input: Option<impl AsyncRead + Unpin>, tail: &mut Vec<u8>) {
    let Some(mut input) = input else { return };
    let mut chunk = [0; 4096];
    while let Ok(read @ 1..) = input.read(&mut chunk).await {
        tail.extend_from_slice(&chunk[..read]);
        tail.drain(..tail.len().saturating_sub(TAIL));
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    #[test]
    fn each_exit_status_has_its_outcome() {
        let exec = Exec {
            command: String::new(),
            queue: QueueName::new("q").unwrap(),
            release_delay: Duration::from_secs(7),
            show_output: false,
        };
        let outcome = |wait_status| exec.outcome(ExitStatus::from_raw(wait_status), "why");
        let exit = |code: i32| outcome(code << 8);
        assert_eq!(exit(0), Outcome::Ack);
        assert_eq!(exit(75), Outcome::release_after(Duration::from_secs(7)));
        assert_eq!(exit(65), Outcome::bury("exit status: 65: why"));
        assert_eq!(exit(1), Outcome::retry("exit status: 1: why"));
        assert!(matches!(outcome(9), Outcome::Retry { error, .. } if error.contains("signal: 9")));
    }

    #[tokio::test]
    async fn only_the_end_of_stderr_is_kept() {
        let mut tail = Vec::new();
        let long = format!("{}the end", "x".repeat(100_000));
        keep(Some(long.as_bytes()), &mut tail).await;
        assert_eq!(tail.len(), TAIL);
        assert!(tail.ends_with(b"the end"));
    }
}
