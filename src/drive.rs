//! The driver of a redrive: bounded steps, each fenced by the task's text.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::error::Result;
use crate::name::{MessageId, State};
use crate::op::steer::Steer;
use crate::plan::MAX_WATCHED;
use crate::reach::Reach;
use crate::snapshot;
use crate::store::Store;
use crate::task::{RedriveState, RedriveTask, Seen, change, look, steer};

/// A driver is heard of that often.
const BEAT_MS: u64 = 2_000;
/// What became of the watched is asked that often; the text changes no faster.
const JUDGE_EVERY: Duration = Duration::from_millis(500);
/// A canary is small, and everything waits for it.
const JUDGE_CANARY_EVERY: Duration = Duration::from_millis(100);
/// Fewer settled messages than this say nothing about a ratio.
const MIN_SETTLED: u64 = 20;
/// Beyond this the older half is forgotten, so that late failures still weigh.
const MAX_SETTLED: u64 = 256;
/// Messages that are looked at in one step: a script of about a millisecond.
const PAGE: u32 = 250;
/// A driver that was held up makes up for this long at most.
const BURST_US: u64 = 1_000_000;
/// Paced steps come no faster, so that each moves a few.
const PACE: Duration = Duration::from_millis(50);

/// When the next step is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Now,
    After(Duration),
    /// The task has ended, or somebody else has it.
    Ended,
}

/// What a step is to move.
enum Share {
    Oldest(u32),
    These(Vec<MessageId>),
    /// Looked and found none: look on.
    Scanned,
    Wait(Duration),
    Exhausted,
}

/// A redrive in our hands. Whoever drops it leaves the task as it stands: another driver may take
/// it over when nothing was heard of it for 10 s.
#[derive(Debug)]
pub struct Redrive {
    reach: Reach,
    task: RedriveTask,
    /// The task as the server has it.
    text: String,
    changed: bool,
    /// The server's clock in microseconds, and when it was told.
    clock: (u64, Instant),
    /// Up to then the rate is used up, by the server's clock.
    paced_us: u64,
    judged: Instant,
    /// Whether the next ones are watched: once after each look at the watched.
    samples: bool,
    /// Found by the filter, and not redriven yet.
    found: Vec<MessageId>,
    /// Where the pass through the dead letters goes on, and whether it found any.
    scan: (u64, bool),
}

impl Redrive {
    pub(crate) fn new(stores: Vec<Store>, (task, text): (RedriveTask, String)) -> Self {
        let now_us = task.beat_ms * 1000;
        Self {
            reach: Reach::new(stores, &task),
            task,
            text,
            changed: false,
            clock: (now_us, Instant::now()),
            paced_us: now_us,
            judged: Instant::now(),
            samples: true,
            found: Vec::new(),
            scan: (0, false),
        }
    }

    /// The task as it was at the last step.
    pub fn task(&self) -> &RedriveTask {
        &self.task
    }

    /// Drives the task to its end, telling of each step, and says how it ended. When `shutdown`
    /// resolves, the task is paused. It ends early when somebody else pauses, cancels or takes over
    /// the task. After an error the task stays as it is, to be resumed.
    pub async fn run(
        mut self,
        shutdown: impl Future,
        mut tell: impl FnMut(&RedriveTask),
    ) -> Result<RedriveTask> {
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            let wait = tokio::select! {
                _ = &mut shutdown => return self.pause().await,
                step = self.step() => match step? {
                    Step::Ended => return Ok(self.task),
                    Step::Now => Duration::ZERO,
                    Step::After(wait) => wait,
                },
            };
            tell(&self.task);
            if !wait.is_zero() {
                tokio::select! {
                    _ = &mut shutdown => return self.pause().await,
                    () = sleep(wait) => {}
                }
            }
        }
    }

    /// Pauses the task if it is still ours.
    async fn pause(self) -> Result<RedriveTask> {
        let is_ours = |task: &RedriveTask| {
            task.id == self.task.id && task.driver == self.task.driver && task.state.is_running()
        };
        let decide = |seen: &Seen| {
            let ours = seen.task.clone().filter(is_ours);
            let (state, moved) = (RedriveState::Paused, self.task.moved);
            Ok(ours.map(|task| RedriveTask { state, moved, ..task }))
        };
        if let Some((task, _)) = change(self.reach.keeper(), "pause", decide).await? {
            return Ok(task);
        }
        let theirs = look(self.reach.keeper()).await?.task;
        Ok(theirs.filter(|task| task.id == self.task.id).unwrap_or(self.task))
    }

    /// One bounded step.
    pub(crate) async fn step(&mut self) -> Result<Step> {
        self.reach.survey(&mut self.task).await?;
        self.judge().await?;
        if !self.task.state.is_running() {
            return self.steer(0, &[], Step::Ended).await;
        }
        match self.share().await? {
            Share::Oldest(limit) => self.steer(limit, &[], Step::Now).await,
            Share::These(ids) => {
                self.watch(&ids);
                self.steer(0, &ids, Step::Now).await
            }
            Share::Scanned => self.steer(0, &[], Step::Now).await,
            Share::Wait(wait) => self.steer(0, &[], Step::After(wait)).await,
            Share::Exhausted if self.reach.advance(&mut self.task) => {
                (self.scan, self.changed) = ((0, false), true);
                self.steer(0, &[], Step::Now).await
            }
            Share::Exhausted if self.task.state == RedriveState::Canary => {
                self.task.canary_left = 0;
                self.changed = true;
                self.steer(0, &[], Step::Now).await
            }
            Share::Exhausted => {
                self.task.state = RedriveState::Done;
                self.changed = true;
                self.steer(0, &[], Step::Ended).await
            }
        }
    }

    /// Redrives, and writes the task when it has changed or a beat is due.
    async fn steer(&mut self, limit: u32, ids: &[MessageId], then: Step) -> Result<Step> {
        let now_ms = self.now_us() / 1000;
        let elsewhere = self.task.partition > 0;
        let write = self.changed || now_ms >= self.task.beat_ms + BEAT_MS;
        if !write && limit == 0 && ids.is_empty() {
            return Ok(then);
        }
        if write {
            self.task.beat_ms = now_ms;
        }
        let text = if write { self.task.text() } else { self.text.clone() };
        let before_ms = self.task.before_ms;
        let (limit_there, ids_there) = if elsewhere { (0, [].as_slice()) } else { (limit, ids) };
        let call = Steer {
            expected: &self.text,
            text: &text,
            limit: limit_there,
            before_ms,
            ids: ids_there,
        };
        let steered = steer(self.reach.keeper(), &call).await?;
        self.clock = (steered.now_ms * 1000, Instant::now());
        if let Some(theirs) = steered.lost {
            if let Some(task) = RedriveTask::read(&theirs, steered.driven) {
                self.task = RedriveTask { left: steered.left, ..task };
            }
            return Ok(Step::Ended);
        }
        (self.text, self.changed) = (text, false);
        let mut here = steered.left;
        if elsewhere {
            let before = self.task.moved;
            here = self.reach.bring_back(&mut self.task, limit, ids).await?;
            self.changed |= self.task.moved > before;
        }
        let left = self.reach.note(here).unwrap_or(self.task.left);
        self.task.told(steered.driven, left);
        Ok(then)
    }

    fn now_us(&self) -> u64 {
        let since = u64::try_from(self.clock.1.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.clock.0.saturating_add(since)
    }

    /// Messages that the rate allows by now.
    fn allowance(&self) -> (u64, u64) {
        let now_us = self.now_us();
        let from = self.paced_us.max(now_us.saturating_sub(BURST_US));
        (from, now_us.saturating_sub(from) * u64::from(self.task.plan.rate) / 1_000_000)
    }

    fn pace(&mut self, taken: usize) {
        if let Some(each) = 1_000_000_u64.checked_div(u64::from(self.task.plan.rate)) {
            self.paced_us = self.allowance().0 + each * taken as u64;
        }
    }

    async fn share(&mut self) -> Result<Share> {
        let canary = self.task.state == RedriveState::Canary;
        if canary && self.task.canary_left == 0 {
            return Ok(Share::Wait(JUDGE_CANARY_EVERY));
        }
        let mut most = if canary { self.task.canary_left } else { self.task.plan.batch };
        if self.task.plan.rate > 0 {
            let allowed = u32::try_from(self.allowance().1).unwrap_or(u32::MAX);
            if allowed == 0 {
                let each = Duration::from_secs(1) / self.task.plan.rate;
                return Ok(Share::Wait(each.max(PACE).min(JUDGE_EVERY)));
            }
            most = most.min(allowed);
        }
        let share = self.choose(canary, most).await?;
        match &share {
            Share::Oldest(limit) => self.pace(*limit as usize),
            Share::These(ids) => self.pace(ids.len()),
            _ => {}
        }
        Ok(share)
    }

    async fn choose(&mut self, canary: bool, most: u32) -> Result<Share> {
        if self.task.plan.filter.is_selective() {
            return self.matching(most as usize).await;
        }
        if self.reach.is_exhausted() {
            return Ok(Share::Exhausted);
        }
        let room = MAX_WATCHED.saturating_sub(self.watched());
        if !canary && (!self.is_sampling() || room == 0) {
            return Ok(Share::Oldest(most));
        }
        let page =
            snapshot::page(self.reach.place(&self.task), State::Dead, 0, most.min(room).max(1))
                .await?;
        let ids: Vec<_> = self.old_enough(&page.messages).map(|message| message.id).collect();
        // Nothing but ghosts and foreign ids here: they go by the way that needs no look.
        Ok(if ids.is_empty() { Share::Oldest(most) } else { Share::These(ids) })
    }

    /// Ids that meet the filter. Trims and purges shift what is still to be read, so a pass is
    /// made again until one finds nothing.
    async fn matching(&mut self, most: usize) -> Result<Share> {
        if self.found.is_empty() {
            let start = self.scan.0;
            let page =
                snapshot::page(self.reach.place(&self.task), State::Dead, start, PAGE).await?;
            let messages = self.old_enough(&page.messages);
            let matching = messages.filter(|message| self.task.plan.filter.matches(message));
            let found: Vec<_> = matching.map(|message| message.id).collect();
            let within = self.old_enough(&page.messages).count() == page.messages.len();
            let found_some = self.scan.1 || !found.is_empty();
            self.scan = match page.next.filter(|_| within) {
                // What is redriven moves the rest up.
                Some(next) => (next.saturating_sub(found.len() as u64), found_some),
                None if found_some => (0, false),
                None => return Ok(Share::Exhausted),
            };
            self.found = found;
        }
        let now = self.found.len().min(most);
        let ids: Vec<_> = self.found.drain(..now).collect();
        Ok(if ids.is_empty() { Share::Scanned } else { Share::These(ids) })
    }

    fn old_enough<'a>(
        &self,
        messages: &'a [snapshot::Snapshot],
    ) -> impl Iterator<Item = &'a snapshot::Snapshot> + use<'a> {
        let before_ms = self.task.before_ms;
        messages.iter().filter(move |message| message.at_ms.is_some_and(|at| at <= before_ms))
    }

    fn watched(&self) -> u32 {
        u32::try_from(self.task.watch.len()).unwrap_or(u32::MAX)
    }

    /// Watches what is about to be redriven, as far as there is room.
    fn watch(&mut self, ids: &[MessageId]) {
        let canary = self.task.state == RedriveState::Canary;
        if !canary && !self.is_sampling() {
            return;
        }
        let room = MAX_WATCHED.saturating_sub(self.watched());
        if canary {
            let taken = u32::try_from(ids.len()).unwrap_or(u32::MAX);
            self.task.canary_left = self.task.canary_left.saturating_sub(taken);
        }
        self.task.watch.extend(ids.iter().take(room as usize));
        self.samples = false;
        self.changed = true;
    }

    /// The text changes only as often as the watched are judged, or nobody else could meet it.
    fn is_sampling(&self) -> bool {
        self.samples && self.task.plan.max_failure_ratio.is_some()
    }

    /// Asks what became of the watched, and decides what that means.
    async fn judge(&mut self) -> Result<()> {
        let canary = self.task.state == RedriveState::Canary;
        let every = if canary { JUDGE_CANARY_EVERY } else { JUDGE_EVERY };
        if self.judged.elapsed() < every {
            return Ok(());
        }
        (self.judged, self.samples) = (Instant::now(), true);
        if !self.task.watch.is_empty() {
            self.settle().await?;
        }
        let RedriveTask { good, failed, .. } = self.task;
        #[expect(clippy::cast_precision_loss, reason = "they are at most a few hundred")]
        let too_many = failed as f64 > self.task.plan.failure_ratio() * (good + failed) as f64;
        let flown = canary && self.task.canary_left == 0 && self.task.watch.is_empty();
        if too_many && (flown || !canary && good + failed >= MIN_SETTLED) {
            self.task.state = RedriveState::Stopped;
            let what = if canary { "the canary" } else { "the last watched" };
            let told = format!("{failed} of {} messages of {what} died again", good + failed);
            self.task.reason = Some(told);
            self.changed = true;
        } else if flown {
            self.task.proven = true;
            self.task.state = RedriveState::Running;
            self.changed = true;
        }
        Ok(())
    }

    async fn settle(&mut self) -> Result<()> {
        let found = snapshot::find_all(&self.reach.stores, &self.task.watch).await?;
        let mut waiting = Vec::new();
        for (id, found) in self.task.watch.iter().zip(found) {
            match found {
                None => self.task.good += 1,
                Some(message) if message.state != State::Dead => waiting.push(*id),
                Some(message) if message.at_ms > Some(self.task.before_ms) => self.task.failed += 1,
                // It was never redriven: somebody else had its place in the call, or the call was never
                // made. Of a canary another one flies for it.
                Some(_) if self.task.state == RedriveState::Canary => self.task.canary_left += 1,
                Some(_) => {}
            }
        }
        self.changed |= waiting.len() < self.task.watch.len();
        self.task.watch = waiting;
        if self.task.good + self.task.failed > MAX_SETTLED {
            self.task.good /= 2;
            self.task.failed /= 2;
        }
        Ok(())
    }
}
