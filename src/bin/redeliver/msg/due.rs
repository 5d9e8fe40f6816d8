//! `msg reschedule`, `msg retry`: another due time, or now.

use std::time::{Duration, SystemTime};

use anyhow::Result;
use clap::{ArgGroup, Args};
use jiff::Timestamp;
use redeliver::{Due, MessageId, Queue, QueueName, Raw, Rescheduled};
use serde_json::json;

use crate::args::Global;
use crate::backoff;
use crate::exit_code::Exit;
use crate::output::note;
use crate::server::Session;

/// How it is used, for the end of its help.
pub(crate) const EXAMPLES: &str = "\
Examples:
  redeliver msg reschedule emails 01JD0Z3N9Q6V2G7T8K4M5R1XYZ --delay 30s
  redeliver msg reschedule emails 01JD0Z3N9Q6V2G7T8K4M5R1XYZ --at 2030-01-31T08:00:00Z";

/// `msg reschedule`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("when").required(true))]
pub(crate) struct RescheduleArgs {
    /// The queue's name.
    queue: QueueName,
    /// The messages' ids.
    #[arg(value_name = "ID", required = true)]
    ids: Vec<MessageId>,
    /// Delivers them this long from now.
    #[arg(long, value_name = "DURATION", value_parser = backoff::duration, group = "when")]
    delay: Option<Duration>,
    /// Delivers them at this time, such as 2030-01-31T08:00:00Z; a past one means now.
    #[arg(long, value_name = "RFC3339", group = "when")]
    at: Option<Timestamp>,
}

/// `msg retry`.
#[derive(Debug, Args)]
pub(crate) struct RetryArgs {
    /// The queue's name.
    queue: QueueName,
    /// The messages' ids.
    #[arg(value_name = "ID", required = true)]
    ids: Vec<MessageId>,
}

/// Where the messages are now.
#[derive(Debug, Default)]
pub(crate) struct Places {
    ready: Vec<MessageId>,
    scheduled: Vec<MessageId>,
    pending: Vec<MessageId>,
    dead: Vec<MessageId>,
    missing: Vec<MessageId>,
}

impl Places {
    fn of(ids: &[MessageId], outcomes: Vec<Rescheduled>) -> Self {
        let mut places = Self::default();
        for (id, outcome) in ids.iter().zip(outcomes) {
            let place = match outcome {
                Rescheduled::Ready => &mut places.ready,
                Rescheduled::Scheduled => &mut places.scheduled,
                Rescheduled::Pending => &mut places.pending,
                Rescheduled::Dead => &mut places.dead,
                _ => &mut places.missing,
            };
            place.push(*id);
        }
        places
    }

    pub(crate) fn in_words(&self) -> String {
        let Self { ready, scheduled, pending, dead, missing } = self;
        let all = [
            ("ready", ready),
            ("scheduled", scheduled),
            ("held, unchanged", pending),
            ("dead, unchanged", dead),
            ("not found", missing),
        ];
        let some = all.into_iter().filter(|(_, ids)| !ids.is_empty());
        let words = some.map(|(word, ids)| format!("{} {word}", ids.len()));
        words.collect::<Vec<_>>().join(", ")
    }

    /// Exits with 4 when one is missing, and with 1 when one had to stay as it is.
    fn tell(&self, session: &Session, queue: &QueueName) -> Result<Exit> {
        let Self { ready, scheduled, pending, dead, missing } = self;
        let json = json!({
            "queue": queue.as_str(), "ready": ready, "scheduled": scheduled,
            "pending": pending, "dead": dead, "missing": missing,
        });
        session.out.one(&json, || self.in_words())?;
        if !pending.is_empty() {
            note(
                "a held message stays with its holder; `msg release` takes it from one that is gone",
            );
        }
        if !dead.is_empty() {
            note("a dead letter has no due time; `msg retry` brings it back");
        }
        let stayed = !pending.is_empty() || !dead.is_empty();
        Ok(match (missing.is_empty(), stayed) {
            (false, _) => Exit::NotFound,
            (true, true) => Exit::Failure,
            (true, false) => Exit::Ok,
        })
    }
}

pub(crate) async fn reschedule(global: &Global, args: &RescheduleArgs) -> Result<Exit> {
    let due = match (args.delay, args.at) {
        (Some(delay), _) => Due::After(delay),
        (None, Some(at)) => Due::At(SystemTime::from(at)),
        (None, None) => Due::After(Duration::ZERO),
    };
    let session = Session::open(global).await?;
    let outcomes = session.queue(&args.queue)?.reschedule(&args.ids, due).await?;
    Places::of(&args.ids, outcomes).tell(&session, &args.queue)
}

pub(crate) async fn retry(global: &Global, args: &RetryArgs) -> Result<Exit> {
    let session = Session::open(global).await?;
    let queue = session.queue(&args.queue)?;
    due_now(&queue, &args.ids).await?.tell(&session, &args.queue)
}

/// Makes them due now, dead letters too; those that are held stay with their holders.
pub(crate) async fn due_now(queue: &Queue<Raw>, ids: &[MessageId]) -> redeliver::Result<Places> {
    let outcomes = queue.reschedule(ids, Due::After(Duration::ZERO)).await?;
    let mut places = Places::of(ids, outcomes);
    for id in std::mem::take(&mut places.dead) {
        let back = queue.dead().redrive(&[id]).await?;
        if back == 1 { &mut places.ready } else { &mut places.missing }.push(id);
    }
    Ok(places)
}
