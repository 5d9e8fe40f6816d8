//! The redrive task of a queue: one text in the queue's own keys, changed only by whoever knows it.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::fault::pause;
use crate::name::MessageId;
use crate::op::steer::{Steer, Steered};
use crate::plan::RedrivePlan;
use crate::store::Store;
use crate::together;

/// A driver that was not heard of for this long is taken for dead: five beats.
pub(crate) const STALE_MS: u64 = 10_000;
/// A driver changes the text twice a second at most, so the second try is as good as sure.
const TRIES: u32 = 20;
/// JavaScript and Lua hold no greater number exactly, so nobody has counted that far.
const MAX_EXACT: u64 = (1 << 53) - 1;

/// Where a redrive stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum RedriveState {
    /// The first few were redriven, and the rest waits for what becomes of them.
    Canary,
    /// Under way.
    Running,
    /// Waits to be resumed.
    Paused,
    /// Stopped itself: too many of the redriven died again.
    Stopped,
    /// Given up on demand.
    Cancelled,
    /// Nothing is left that it would take.
    Done,
}

impl RedriveState {
    /// The word for it in outputs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Canary => "canary",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
            Self::Cancelled => "cancelled",
            Self::Done => "done",
        }
    }

    /// Whether somebody should be driving it.
    pub fn is_running(self) -> bool {
        matches!(self, Self::Canary | Self::Running)
    }
}

/// A redrive at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RedriveTask {
    /// Its id.
    pub id: MessageId,
    /// Where it stands.
    pub state: RedriveState,
    /// Why it stopped, if it did.
    pub reason: Option<String>,
    /// What was asked for.
    pub plan: RedrivePlan,
    /// It takes only what died up to then, in ms by the server's clock.
    pub before_ms: u64,
    /// When it was started, in ms by the server's clock.
    pub started_ms: u64,
    /// Who drives it.
    pub driver: String,
    /// When the driver was heard of last, in ms by the server's clock.
    pub beat_ms: u64,
    /// Of the redriven ones that it watched most recently, so many are done.
    pub good: u64,
    /// And so many died again.
    pub failed: u64,
    /// Redriven messages of which it is not known yet what becomes of them.
    pub watch: Vec<MessageId>,
    /// Messages of the canary that are still to be redriven.
    pub(crate) canary_left: u32,
    /// Whether the canary was passed.
    pub(crate) proven: bool,
    /// What tasks had redriven before this one.
    pub(crate) base: u64,
    /// The partition that it is at: it goes through one after the other.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) partition: u32,
    /// How many it has redriven in all partitions but the first, as its driver noted.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) moved: u64,
    /// How many it has redriven so far, counted by the server.
    #[serde(skip)]
    pub redriven: u64,
    /// Dead letters that died up to its bound and are dead still, matching or not.
    #[serde(skip)]
    pub left: u64,
}

impl RedriveTask {
    pub(crate) fn new(plan: RedrivePlan, seen: &Seen) -> Self {
        let mut task = Self {
            id: MessageId::generate(),
            state: RedriveState::Running,
            reason: None,
            before_ms: plan.filter.before_ms(seen.now_ms),
            started_ms: seen.now_ms,
            driver: String::new(),
            beat_ms: seen.now_ms,
            good: 0,
            failed: 0,
            watch: Vec::new(),
            canary_left: plan.canary,
            proven: plan.canary == 0,
            base: seen.driven,
            partition: 0,
            moved: 0,
            redriven: 0,
            left: 0,
            plan,
        };
        task.go_on();
        task
    }

    /// Whether it should be driven and nobody does.
    pub(crate) fn is_orphan(&self, now_ms: u64) -> bool {
        self.state.is_running() && now_ms.saturating_sub(self.beat_ms) > STALE_MS
    }

    pub(crate) fn go_on(&mut self) {
        self.state = if self.proven { RedriveState::Running } else { RedriveState::Canary };
    }

    /// After a stop, what was seen before no longer counts, and a canary flies again.
    pub(crate) fn begin_anew(&mut self) {
        (self.good, self.failed, self.reason) = (0, 0, None);
        self.watch.clear();
        self.canary_left = if self.proven { 0 } else { self.plan.canary };
    }

    pub(crate) fn driven_by(&mut self, driver: &str, now_ms: u64) {
        driver.clone_into(&mut self.driver);
        self.beat_ms = now_ms;
    }

    pub(crate) fn read(text: &str, driven: u64) -> Option<Self> {
        let mut task: Self = serde_json::from_str(text).ok()?;
        let Self { before_ms, started_ms, beat_ms, good, failed, base, moved, .. } = task;
        let numbers = [before_ms, started_ms, beat_ms, good, failed, base, moved];
        if numbers.iter().any(|number| *number > MAX_EXACT) {
            return None;
        }
        task.redriven = task.redriven_by(driven);
        Some(task)
    }

    fn redriven_by(&self, driven: u64) -> u64 {
        driven.saturating_sub(self.base).saturating_add(self.moved)
    }

    pub(crate) fn told(&mut self, driven: u64, left: u64) {
        self.redriven = self.redriven_by(driven);
        self.left = left;
    }

    pub(crate) fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

fn is_zero<T: Default + PartialEq>(number: &T) -> bool {
    *number == T::default()
}

/// A task as it was found, and the server's time then. A text that nobody can read is no task.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) text: String,
    pub(crate) task: Option<RedriveTask>,
    pub(crate) now_ms: u64,
    pub(crate) driven: u64,
}

pub(crate) async fn look(store: &Store) -> Result<Seen> {
    let Steered { now_ms, driven, lost, .. } = store.run(&Steer::default()).await?.reply;
    let text = lost.unwrap_or_default();
    let mut task = RedriveTask::read(&text, driven);
    if let Some(task) = &mut task {
        let count = Steer { before_ms: task.before_ms, ..Steer::default() };
        task.left = store.run(&count).await?.reply.left;
    }
    Ok(Seen { text, task, now_ms, driven })
}

/// Dead letters of each partition that died up to a time.
pub(crate) async fn left(stores: &[Store], before_ms: u64) -> Result<Vec<u64>> {
    let count = Steer { before_ms, ..Steer::default() };
    let counted = stores.iter().map(async |store| Ok(store.run(&count).await?.reply.left));
    together::all(counted).await
}

/// Swaps the text; a repeated call may find what its own first try has written.
pub(crate) async fn steer(store: &Store, call: &Steer<'_>) -> Result<Steered> {
    let mut steered = store.run(call).await?.reply;
    if steered.lost.as_deref() == Some(call.text) {
        steered.lost = None;
    }
    Ok(steered)
}

/// Changes the task as it is, however often somebody else changes it meanwhile; or, if so decided,
/// leaves it.
pub(crate) async fn change(
    store: &Store,
    action: &'static str,
    decide: impl Fn(&Seen) -> Result<Option<RedriveTask>>,
) -> Result<Option<(RedriveTask, String)>> {
    for tries in 0..TRIES {
        let seen = look(store).await?;
        let Some(mut task) = decide(&seen)? else { return Ok(None) };
        let text = task.text();
        let call = Steer {
            expected: &seen.text,
            text: &text,
            before_ms: task.before_ms,
            ..Steer::default()
        };
        let steered = steer(store, &call).await?;
        if steered.lost.is_none() {
            task.told(steered.driven, steered.left);
            return Ok(Some((task, text)));
        }
        tokio::time::sleep(pause(tries.min(2))).await;
    }
    Err(refused(action, "others keep changing it"))
}

pub(crate) fn refused(action: &'static str, reason: impl Into<String>) -> Error {
    Error::Redrive { action, reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_nobody_counted_make_no_task() {
        let seen = Seen { text: String::new(), task: None, now_ms: 1_000, driven: 5 };
        let mut task = RedriveTask::new(RedrivePlan::default(), &seen);
        task.moved = 7;
        let read = RedriveTask::read(&task.text(), 8).unwrap();
        assert_eq!(read.redriven, 10);
        let counted = [("\"moved\":7", "moved"), ("\"base\":5", "base"), ("\"good\":0", "good")];
        for (was, name) in counted.into_iter().chain([("\"beat_ms\":1000", "beat_ms")]) {
            let text = task.text();
            assert!(text.contains(was), "{text}");
            for number in [u64::MAX, MAX_EXACT + 1] {
                let damaged = text.replace(was, &format!("\"{name}\":{number}"));
                assert!(RedriveTask::read(&damaged, 8).is_none(), "{damaged}");
            }
        }
        task.told(u64::MAX, 0);
        assert_eq!(task.redriven, u64::MAX);
    }
}
