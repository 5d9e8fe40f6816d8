//! `push --lines`: a message for each line, and what became of them when not all can be pushed.

use anyhow::Result;
use indicatif::ProgressBar;
use redeliver::{DEFAULT_PAYLOAD_LIMIT, Error, Pushed, Queue, Raw};
use serde_json::json;
use tokio::io::AsyncRead;

use super::{PushArgs, register};
use crate::exit_code::{Exit, fail};
use crate::lines::Lines;
use crate::output::{many, progress};
use crate::server::Session;

pub(super) async fn run(
    session: &Session,
    queue: &Queue<Raw>,
    args: &PushArgs,
    input: impl AsyncRead + Unpin,
) -> Result<Exit> {
    let done = push(queue, args, input).await?;
    let name = queue.name().as_str();
    let mut json = json!({"queue": name, "pushed": done.pushed, "duplicates": done.duplicates});
    if done.unproven > 0 {
        json["unproven"] = done.unproven.into();
    }
    session.out.one(&json, || {
        let pushed = many(done.pushed, "message");
        format!("{pushed} pushed to {name}, {}", many(done.duplicates, "duplicate"))
    })?;
    if done.pushed > 0 {
        register(queue).await;
    }
    if done.unproven > 0 {
        let told = format!(
            "{} of them accepted, not proven {}: they will be delivered; do not push them anew",
            done.unproven, args.durability
        );
        return Err(fail(Exit::Unproven, told));
    }
    Ok(Exit::Ok)
}

async fn push(queue: &Queue<Raw>, args: &PushArgs, input: impl AsyncRead + Unpin) -> Result<Done> {
    let mut lines = Lines::new(input, DEFAULT_PAYLOAD_LIMIT);
    let mut done = Done { bar: progress("messages pushed"), pushed: 0, duplicates: 0, unproven: 0 };
    loop {
        let first = lines.read + 1;
        let batch = lines.batch().await?;
        if batch.is_empty() {
            done.bar.finish_and_clear();
            return Ok(done);
        }
        if let Some(at) = batch.iter().position(|line| line.len() > DEFAULT_PAYLOAD_LIMIT) {
            return Err(done.too_long(first, first + at as u64));
        }
        let messages = batch.into_iter().zip(first..);
        let messages = messages.map(|(line, number)| args.message(line, number));
        let outcomes = queue.push_each(messages).await.map_err(|error| {
            let told = format!("lines {first} to {} ({} pushed before)", lines.read, done.pushed);
            done.failed(told, error)
        })?;
        let failed = outcomes.iter().position(Result::is_err);
        let mut errors = outcomes.into_iter().filter_map(|outcome| done.note(outcome));
        if let Some((at, error)) = failed.zip(errors.next()) {
            errors.for_each(drop);
            let line = first + at as u64;
            let told = format!("{} pushed; line {line} was the first that was not", done.pushed);
            return Err(done.failed(told, error));
        }
    }
}

/// What became of the lines so far.
struct Done {
    bar: ProgressBar,
    pushed: u64,
    duplicates: u64,
    unproven: u64,
}

impl Done {
    fn note(&mut self, outcome: redeliver::Result<Pushed>) -> Option<Error> {
        match outcome {
            Ok(Pushed::Ready(_) | Pushed::Scheduled(_)) => self.pushed += 1,
            Ok(Pushed::Duplicate { .. }) => self.duplicates += 1,
            Ok(Pushed::Unproven { .. }) => {
                self.pushed += 1;
                self.unproven += 1;
            }
            Err(error) => return Some(error),
        }
        self.bar.set_position(self.pushed + self.duplicates);
        None
    }

    /// Nothing of its batch is sent.
    fn too_long(&self, first: u64, line: u64) -> anyhow::Error {
        let told = format!("line {line} is too long: at most {DEFAULT_PAYLOAD_LIMIT} bytes");
        if first == 1 {
            return fail(Exit::Usage, format!("{told}; nothing was pushed"));
        }
        let pushed = self.pushed;
        fail(Exit::Failure, format!("{told}; {pushed} pushed, and none from line {first} on"))
    }

    /// The code for a wrong value says that nothing was sent.
    fn failed(&self, told: String, error: Error) -> anyhow::Error {
        if error.is_invalid() && self.pushed + self.duplicates > 0 {
            return fail(Exit::Failure, format!("{told}: {error}"));
        }
        anyhow::Error::new(error).context(told)
    }
}
