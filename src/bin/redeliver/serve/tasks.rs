//! Purges that go on by themselves, step by step, until they are done or cancelled; and how they and
//! the redrives stand, for viewers.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use redeliver::{MessageId, PARTITION_STRIDE, Queue, Raw, State};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::bulk::purge_some;

/// Dead letters that are read at a time to see whether they belong to a group.
const PAGE: u32 = 200;
/// Each of them keeps the server busy for part of the time.
const MAX_RUNNING: usize = 4;
/// Ended purges that are still shown.
const MAX_ENDED: usize = 8;
/// How long a task is shown that has ended.
pub(super) const SHOWN: Duration = Duration::from_secs(120);

/// A task as viewers see it: a purge of this process, or the redrive of a queue, whoever drives it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct TaskView {
    pub(super) id: String,
    pub(super) queue: String,
    pub(super) verb: &'static str,
    /// Which dead letters it takes, in words; all without any.
    pub(super) which: Option<String>,
    /// Redriven or removed so far.
    pub(super) done: u64,
    /// Of so many that it has to look at, so many are looked at.
    pub(super) looked: u64,
    pub(super) total: u64,
    /// `running`, `done`, `cancelled`, `failed`; of a redrive also `canary`, `paused`, `stopped`.
    pub(super) stand: &'static str,
    /// Why it has failed, or stopped itself.
    pub(super) reason: Option<String>,
    /// Of the redriven ones that are watched: done, dead again, and not settled yet.
    pub(super) watched: Option<[u64; 3]>,
}

#[derive(Debug)]
struct Task {
    id: u64,
    view: TaskView,
    cancel: CancellationToken,
    ended: Option<Instant>,
}

/// All purges that run, and the last ones that ended.
#[derive(Debug, Clone, Default)]
pub(super) struct Tasks(Arc<Mutex<Board>>);

#[derive(Debug, Default)]
struct Board {
    next: u64,
    tasks: VecDeque<Task>,
}

impl Tasks {
    pub(super) fn views(&self) -> Vec<TaskView> {
        let mut board = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        board.tasks.retain(|task| task.ended.is_none_or(|ended| ended.elapsed() < SHOWN));
        board.tasks.iter().map(|task| task.view.clone()).collect()
    }

    /// Takes a purge on; `Err` says why not.
    pub(super) fn begin(
        &self,
        queue: &Queue<Raw>,
        group: Option<String>,
        stop: &CancellationToken,
    ) -> Result<Purge, &'static str> {
        let mut board = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let running = board.tasks.iter().filter(|task| task.ended.is_none());
        let name = queue.name().to_string();
        if running.clone().any(|task| task.view.queue == name) {
            return Err("a purge is already running for this queue");
        }
        if running.count() >= MAX_RUNNING {
            return Err("too many purges are running; wait for one to end");
        }
        let ended = board.tasks.iter().filter(|task| task.ended.is_some()).count();
        if ended >= MAX_ENDED
            && let Some(oldest) = board.tasks.iter().position(|task| task.ended.is_some())
        {
            board.tasks.remove(oldest);
        }
        board.next += 1;
        let (id, cancel) = (board.next, stop.child_token());
        let view = TaskView {
            id: id.to_string(),
            queue: name,
            verb: "purge",
            which: group.clone(),
            done: 0,
            looked: 0,
            total: 0,
            stand: "running",
            reason: None,
            watched: None,
        };
        board.tasks.push_back(Task { id, view, cancel: cancel.clone(), ended: None });
        let tasks = self.clone();
        Ok(Purge { id, queue: queue.clone(), group, cancel, tasks })
    }

    /// Whether there was a running purge with this id.
    pub(super) fn cancel(&self, id: u64) -> bool {
        let board = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let task = board.tasks.iter().find(|task| task.id == id && task.ended.is_none());
        task.is_some_and(|task| {
            task.cancel.cancel();
            true
        })
    }

    fn update(&self, id: u64, change: impl FnOnce(&mut Task)) {
        let mut board = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = board.tasks.iter_mut().find(|task| task.id == id) {
            change(task);
        }
    }
}

/// A purge to be run.
#[derive(Debug)]
pub(super) struct Purge {
    pub(super) id: u64,
    queue: Queue<Raw>,
    group: Option<String>,
    cancel: CancellationToken,
    tasks: Tasks,
}

impl Purge {
    /// Runs to its end, and says how it ended, in a word and with a number.
    pub(super) async fn run(self) -> (&'static str, u64) {
        let ended = self.cancel.clone().run_until_cancelled_owned(self.sweep()).await;
        let (stand, reason) = match ended {
            None => ("cancelled", None),
            Some(Ok(())) => ("done", None),
            Some(Err(error)) => ("failed", Some(error.to_string())),
        };
        let mut done = 0;
        self.tasks.update(self.id, |task| {
            (task.view.stand, task.view.reason) = (stand, reason);
            task.ended = Some(Instant::now());
            done = task.view.done;
        });
        (stand, done)
    }

    /// Takes what is dead by now, and not what dies while it runs.
    async fn sweep(&self) -> redeliver::Result<()> {
        let counts = self.queue.counts().await?;
        self.tasks.update(self.id, |task| task.view.total = counts.dead);
        match &self.group {
            None => self.purge_all(counts.now_ms).await,
            Some(group) => self.purge_group(group, counts.now_ms).await,
        }
    }

    async fn purge_all(&self, before_ms: u64) -> redeliver::Result<()> {
        loop {
            let swept = purge_some(&self.queue, before_ms).await?;
            self.note(swept.done, swept.done);
            if swept.done == 0 {
                return Ok(());
            }
        }
    }

    /// Reads all dead letters page by page, and takes those of the group.
    async fn purge_group(&self, group: &str, before_ms: u64) -> redeliver::Result<()> {
        let mut start = 0;
        loop {
            let page = self.queue.peek(State::Dead, start, PAGE).await?;
            let old = page.messages.iter().filter(|it| it.at_ms.is_some_and(|at| at <= before_ms));
            let looked = old.clone().count() as u64;
            let theirs = old.filter(|it| it.error_group() == group);
            let ids: Vec<MessageId> = theirs.map(|it| it.id).collect();
            let done = self.queue.dead().purge(&ids).await?;
            self.note(done, looked);
            start = match page.next {
                None => return Ok(()),
                // The next partition; the rest of this one has died too late.
                Some(next) if looked == 0 => next.next_multiple_of(PARTITION_STRIDE),
                Some(next) if next.is_multiple_of(PARTITION_STRIDE) => next,
                // What was taken out lets the rest move up.
                Some(next) => next.saturating_sub(done),
            };
        }
    }

    fn note(&self, done: u64, looked: u64) {
        self.tasks.update(self.id, |task| {
            task.view.done += done;
            task.view.looked += looked;
        });
    }
}
