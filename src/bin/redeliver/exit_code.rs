//! The exit codes of the program: scripts depend on them, so they stand in this one place.

use std::fmt;
use std::io;
use std::process::ExitCode;

/// How the program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything asked for was done.
    Ok = 0,
    /// It failed, or a check found damage.
    Failure = 1,
    /// The command line or a value on it is wrong; nothing was sent.
    Usage = 2,
    /// The server cannot be reached, started or used.
    Unreachable = 3,
    /// The message asked for does not exist.
    NotFound = 4,
    /// It would hit everything or somebody else's work, and nothing says that this is meant.
    Refused = 5,
    /// The server took what was pushed, and did not confirm in time that it is as safe as was asked.
    Unproven = 6,
}

/// The same for the end of `--help`.
pub(crate) const HELP: &str = "\
Exit codes:
  0  Everything asked for was done.
  1  It failed, or a check found damage.
  2  The command line or a value on it is wrong; nothing was sent.
  3  The server cannot be reached, started or used.
  4  The message asked for does not exist.
  5  Refused: it would hit everything or somebody else's work, and neither --all, --yes nor
     --attempt was given.
  6  Accepted, not proven: what was pushed will be delivered, and is not known to be as safe as
     --durability asked. Do not push it anew.

Without --url a private server is started from valkey-server or redis-server on the PATH, or else
the embedded engine. Processes with the same data directory share it, and it ends with the last of
them. In production name a Redis or Valkey server with --url.";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error that knows its exit code.
#[derive(Debug)]
struct Stop {
    exit: Exit,
    message: String,
}

/// An error with this exit code.
pub(crate) fn fail(exit: Exit, message: impl Into<String>) -> anyhow::Error {
    let message = message.into();
    Stop { exit, message }.into()
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Stop {}

/// The exit code for an error: its own, if it or one of its causes has one.
pub(crate) fn of(error: &anyhow::Error) -> Exit {
    if let Some(stop) = error.downcast_ref::<Stop>() {
        return stop.exit;
    }
    let mut causes = error.chain();
    match causes.find_map(|cause| cause.downcast_ref::<redeliver::Error>()) {
        Some(refused) if refused.is_invalid() => Exit::Usage,
        Some(
            redeliver::Error::Unavailable { .. }
            | redeliver::Error::Denied { .. }
            | redeliver::Error::Server { .. },
        ) => Exit::Unreachable,
        _ => Exit::Failure,
    }
}

/// Whether the reader of our output has gone, as in `redeliver … | head`: no failure of ours.
pub(crate) fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let mut causes = error.chain();
    causes.any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    })
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn an_error_keeps_its_exit_code_under_any_context() {
        let stop: anyhow::Result<()> = Err(fail(Exit::NotFound, "gone"));
        assert_eq!(of(&stop.context("while looking").unwrap_err()), Exit::NotFound);
        let refused = redeliver::QueueName::new("no name").context("queue");
        assert_eq!(of(&refused.unwrap_err()), Exit::Usage);
        assert_eq!(of(&anyhow::anyhow!("any")), Exit::Failure);
    }
}
