//! `push --lines`: a message for each line, and what is known when not all of them can be pushed.

use anyhow::{Context as _, Result};
use indicatif::ProgressBar;
use redeliver::{DEFAULT_PAYLOAD_LIMIT, Error, MessageId, Pushed, Queue, Raw};
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
    let bar = progress("messages pushed");
    let mut done = Done { bar, pushed: 0, duplicates: 0, unproven: 0 };
    let left = left(queue).await;
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
        // Ids of our own, to be looked for when only some of them are taken.
        let ids: Vec<_> = batch.iter().map(|_| MessageId::generate()).collect();
        let numbered = batch.into_iter().zip(&ids).zip(first..);
        let messages = numbered.map(|((payload, id), line)| args.message(payload, line).id(*id));
        match queue.push_all(messages).await {
            Ok(outcomes) => done.note(&outcomes),
            Err(Error::Limited { cap, limit }) => {
                let reason = format!("the queue is full, its {cap} is {limit}");
                let taken = Taken { before: done.pushed, first, found: found(queue, &ids).await };
                let is_exact = left.is_some() && left == self::left(queue).await;
                let told = taken.told(is_exact, args.key.is_some());
                return Err(fail(Exit::Failure, format!("{told}: {reason}")));
            }
            Err(error) => {
                let told =
                    format!("lines {first} to {} ({} pushed before)", lines.read, done.pushed);
                // The code for a wrong value says that nothing was sent.
                if error.is_invalid() && first > 1 {
                    return Err(fail(Exit::Failure, format!("{told}: {error}")));
                }
                return Err(error).context(told);
            }
        }
    }
}

/// How many messages have ever left the queue, if this user may know.
async fn left(queue: &Queue<Raw>) -> Option<u64> {
    let counts = queue.counts().await.ok()?;
    counts.pushed.checked_sub(counts.messages)
}

/// Which of these are there.
async fn found(queue: &Queue<Raw>, ids: &[MessageId]) -> Option<Vec<bool>> {
    let found = queue.find(ids).await.ok()?;
    Some(found.iter().map(Option::is_some).collect())
}

/// What became of the lines so far.
struct Done {
    bar: ProgressBar,
    pushed: u64,
    duplicates: u64,
    unproven: u64,
}

impl Done {
    fn note(&mut self, outcomes: &[Pushed]) {
        for outcome in outcomes {
            match outcome {
                Pushed::Ready(_) | Pushed::Scheduled(_) => self.pushed += 1,
                Pushed::Duplicate { .. } => self.duplicates += 1,
                Pushed::Unproven { .. } => {
                    self.pushed += 1;
                    self.unproven += 1;
                }
            }
        }
        self.bar.set_position(self.pushed + self.duplicates);
    }

    /// A batch is sent whole or not at all.
    fn too_long(&self, first: u64, line: u64) -> anyhow::Error {
        let told = format!("line {line} is too long: at most {DEFAULT_PAYLOAD_LIMIT} bytes");
        if first == 1 {
            return fail(Exit::Usage, format!("{told}; nothing was pushed"));
        }
        let pushed = self.pushed;
        fail(Exit::Failure, format!("{told}; {pushed} pushed, and none from line {first} on"))
    }
}

/// What is known of a batch that met a cap.
struct Taken {
    /// Pushed by the batches before it.
    before: u64,
    /// Its first line.
    first: u64,
    /// Which of its messages are there, if that could be seen.
    found: Option<Vec<bool>>,
}

impl Taken {
    /// Who finds all that was pushed knows everything: `is_exact` says that nothing has left the queue.
    /// Under a key of its own a line may be missing as a duplicate.
    fn told(&self, is_exact: bool, is_keyed: bool) -> String {
        let found = self.found.as_deref().unwrap_or_default();
        let pushed = self.before + found.iter().filter(|found| **found).count() as u64;
        if !is_exact || self.found.is_none() {
            let last = found.iter().rposition(|found| *found).map_or(0, |at| at as u64 + 1);
            return match self.first + last - 1 {
                0 => format!("at least {pushed} pushed"),
                last => {
                    format!("at least {pushed} pushed, line {last} the last that is known of")
                }
            };
        }
        let refused = found.iter().position(|found| !found).filter(|_| !is_keyed);
        let Some(refused) = refused else { return format!("{pushed} pushed") };
        let line = self.first + refused as u64;
        let after = found[refused..].iter().filter(|found| **found).count();
        match after {
            0 => format!("{pushed} pushed; line {line} was the first refused"),
            _ => format!("{pushed} pushed, {after} of them after line {line}, the first refused"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(found: Option<&[bool]>, is_exact: bool, is_keyed: bool) -> String {
        let found = found.map(<[bool]>::to_vec);
        Taken { before: 512, first: 513, found }.told(is_exact, is_keyed)
    }

    #[test]
    fn no_more_is_told_than_is_known() {
        let some = Some(&[true, true, false, false][..]);
        let gaps = Some(&[false, true, true, false][..]);
        assert_eq!(told(some, true, false), "514 pushed; line 515 was the first refused");
        assert_eq!(told(some, true, true), "514 pushed");
        let least = "at least 514 pushed, line 514 the last that is known of";
        assert_eq!(told(some, false, false), least);
        let some_after = "514 pushed, 2 of them after line 513, the first refused";
        assert_eq!(told(gaps, true, false), some_after);
        let least = "at least 514 pushed, line 515 the last that is known of";
        assert_eq!(told(gaps, false, false), least);
        let none = "at least 512 pushed, line 512 the last that is known of";
        assert_eq!((told(None, false, false), told(None, true, false)), (none.into(), none.into()));
        let nothing = Taken { before: 0, first: 1, found: None };
        assert_eq!(nothing.told(false, false), "at least 0 pushed");
    }
}
