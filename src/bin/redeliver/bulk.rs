//! What is done to many messages: step by step, with a bar, until it is done or interrupted.

use anyhow::Result;
use redeliver::{Error, MessageId, Queue, QueueName, Raw, Swept};
use serde_json::json;

use crate::exit_code::Exit;
use crate::output::{many, note, progress};
use crate::server::Session;
use crate::signals::Signals;

/// Few enough that Ctrl-C is heard soon, enough for full calls.
const STEP: usize = 200;
/// What one call of the library purges at most.
const PURGED: u32 = 1_000;
/// A server that answers nothing so often in a row is away.
const TRIES: u32 = 5;

/// How a command on many messages is told: `purged`, `dead letter`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Words {
    pub(crate) done: &'static str,
    pub(crate) noun: &'static str,
}

/// What was done when it ended.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Done {
    pub(crate) count: u64,
    pub(crate) left: u64,
    pub(crate) interrupted: bool,
}

impl Done {
    pub(crate) const INTERRUPTED: Self = Self { count: 0, left: 0, interrupted: true };

    /// Tells what was done, and how the command ends: an interrupted one has not done everything.
    pub(crate) fn tell(self, session: &Session, queue: &QueueName, words: Words) -> Result<Exit> {
        let mut json = json!({"queue": queue.as_str()});
        json[words.done] = self.count.into();
        if self.interrupted {
            json["interrupted"] = true.into();
            note(&match self {
                Self { count: 0, left: 0, .. } => "interrupted, nothing was done".to_owned(),
                Self { left, .. } => format!("interrupted, {left} more stay"),
            });
        }
        session.out.one(&json, || format!("{} {}", many(self.count, words.noun), words.done))?;
        Ok(if self.interrupted { Exit::Failure } else { Exit::Ok })
    }
}

/// Tells what a command would do.
pub(crate) fn tell_dry(
    session: &Session,
    queue: &QueueName,
    words: Words,
    matching: u64,
) -> Result<Exit> {
    let json = json!({"queue": queue.as_str(), "matching": matching});
    let told = || format!("{} would be {}", many(matching, words.noun), words.done);
    session.out.one(&json, told)?;
    Ok(Exit::Ok)
}

/// Does it to all of these, a step at a time; a step that has begun is ended.
pub(crate) async fn each_step(
    ids: &[MessageId],
    words: Words,
    signals: &mut Signals,
    mut act: impl AsyncFnMut(&[MessageId]) -> redeliver::Result<u64>,
) -> Result<Done> {
    let bar = progress(words.done);
    bar.set_length(ids.len() as u64);
    let mut done = Done::default();
    for step in ids.chunks(STEP) {
        if signals.came() {
            done.interrupted = true;
            done.left = ids.len() as u64 - bar.position();
            break;
        }
        done.count += act(step).await?;
        bar.inc(step.len() as u64);
    }
    bar.finish_and_clear();
    Ok(done)
}

/// Purges some of the oldest that died up to then, for whoever goes on until none is left: what a
/// try removes whose answer is lost is gone all the same, and not counted.
pub(crate) async fn purge_some(queue: &Queue<Raw>, before_ms: u64) -> redeliver::Result<Swept> {
    let mut tries = 1;
    loop {
        match queue.dead().purge_oldest(PURGED, before_ms).await {
            Err(Error::Ambiguous { .. }) if tries < TRIES => tries += 1,
            done => return done,
        }
    }
}
