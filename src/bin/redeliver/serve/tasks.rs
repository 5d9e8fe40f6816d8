//! Redrives and purges that go on by themselves, step by step, until they are done or cancelled.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use redeliver::{MessageId, Queue, Raw, State};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::groups::group_of;

/// What one call of the library moves at most.
const STEP: u32 = 1_000;
/// Dead letters that are read at a time to see whether they belong to a group.
const PAGE: u32 = 200;
/// Each of them keeps the server busy for part of the time.
const MAX_RUNNING: usize = 4;
/// Ended tasks that are still shown.
const MAX_ENDED: usize = 8;
/// How long an ended task is shown.
const SHOWN: Duration = Duration::from_secs(120);

/// Where dead letters go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Sweep {
    Redrive,
    Purge,
}

impl Sweep {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Redrive => "redrive",
            Self::Purge => "purge",
        }
    }

    pub(super) async fn these(
        self,
        queue: &Queue<Raw>,
        ids: &[MessageId],
    ) -> redeliver::Result<u64> {
        match self {
            Self::Redrive => queue.dead().redrive(ids).await,
            Self::Purge => queue.dead().purge(ids).await,
        }
    }

    async fn oldest(self, queue: &Queue<Raw>, before_ms: u64) -> redeliver::Result<u64> {
        let swept = match self {
            Self::Redrive => queue.dead().redrive_oldest(STEP, before_ms).await?,
            Self::Purge => queue.dead().purge_oldest(STEP, before_ms).await?,
        };
        Ok(swept.done)
    }
}

/// How a task stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Stand {
    Running,
    Done,
    Cancelled,
    Failed(String),
}

/// A task as viewers see it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct TaskView {
    pub(super) id: u64,
    queue: String,
    sweep: Sweep,
    /// Only dead letters of this group; all without one.
    group: Option<String>,
    /// Moved or removed so far.
    done: u64,
    /// Looked at so far.
    looked: u64,
    /// Dead letters when it started.
    total: u64,
    stand: Stand,
}

#[derive(Debug)]
struct Task {
    view: TaskView,
    cancel: CancellationToken,
    ended: Option<Instant>,
}

/// All tasks that run, and the last ones that ended.
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

    /// Takes a task on; `Err` says why not.
    pub(super) fn begin(
        &self,
        queue: &Queue<Raw>,
        sweep: Sweep,
        group: Option<String>,
        stop: &CancellationToken,
    ) -> Result<Running, &'static str> {
        let mut board = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let running = board.tasks.iter().filter(|task| task.ended.is_none());
        let name = queue.name().to_string();
        if running.clone().any(|task| task.view.queue == name) {
            return Err("a task is already running for this queue");
        }
        if running.count() >= MAX_RUNNING {
            return Err("too many tasks are running; wait for one to end");
        }
        let ended = board.tasks.iter().filter(|task| task.ended.is_some()).count();
        if ended >= MAX_ENDED
            && let Some(oldest) = board.tasks.iter().position(|task| task.ended.is_some())
        {
            board.tasks.remove(oldest);
        }
        board.next += 1;
        let cancel = stop.child_token();
        let view = TaskView {
            id: board.next,
            queue: name,
            sweep,
            group: group.clone(),
            done: 0,
            looked: 0,
            total: 0,
            stand: Stand::Running,
        };
        board.tasks.push_back(Task { view, cancel: cancel.clone(), ended: None });
        let tasks = self.clone();
        Ok(Running { id: board.next, queue: queue.clone(), sweep, group, cancel, tasks })
    }

    /// Whether there was a running task with this id.
    pub(super) fn cancel(&self, id: u64) -> Option<TaskView> {
        let board = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let task = board.tasks.iter().find(|task| task.view.id == id && task.ended.is_none())?;
        task.cancel.cancel();
        Some(task.view.clone())
    }

    fn update(&self, id: u64, change: impl FnOnce(&mut Task)) {
        let mut board = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = board.tasks.iter_mut().find(|task| task.view.id == id) {
            change(task);
        }
    }
}

/// A task to be run.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) id: u64,
    queue: Queue<Raw>,
    sweep: Sweep,
    group: Option<String>,
    cancel: CancellationToken,
    tasks: Tasks,
}

impl Running {
    /// Runs to its end, and says how it ended, in a word and with a number.
    pub(super) async fn run(self) -> (&'static str, u64) {
        let ended = self.cancel.clone().run_until_cancelled_owned(self.sweep()).await;
        let (stand, word) = match ended {
            None => (Stand::Cancelled, "cancelled"),
            Some(Ok(())) => (Stand::Done, "done"),
            Some(Err(error)) => (Stand::Failed(error.to_string()), "failed"),
        };
        let mut done = 0;
        self.tasks.update(self.id, |task| {
            task.view.stand = stand;
            task.ended = Some(Instant::now());
            done = task.view.done;
        });
        (word, done)
    }

    /// Takes what is dead by now, and not what dies while it runs.
    async fn sweep(&self) -> redeliver::Result<()> {
        let counts = self.queue.counts().await?;
        self.tasks.update(self.id, |task| task.view.total = counts.dead);
        match &self.group {
            None => self.sweep_all(counts.now_ms).await,
            Some(group) => self.sweep_group(group, counts.now_ms).await,
        }
    }

    async fn sweep_all(&self, before_ms: u64) -> redeliver::Result<()> {
        loop {
            let done = self.sweep.oldest(&self.queue, before_ms).await?;
            self.note(done, done);
            if done == 0 {
                return Ok(());
            }
        }
    }

    /// Reads all dead letters page by page, and takes those of the group.
    async fn sweep_group(&self, group: &str, before_ms: u64) -> redeliver::Result<()> {
        let mut start = 0;
        loop {
            let page = self.queue.peek(State::Dead, start, PAGE).await?;
            let old = page.messages.iter().filter(|it| it.at_ms.is_some_and(|at| at <= before_ms));
            let looked = old.clone().count() as u64;
            let ids: Vec<_> = old.filter(|it| group_of(it) == group).map(|it| it.id).collect();
            let done = self.sweep.these(&self.queue, &ids).await?;
            self.note(done, looked);
            match page.next {
                // What was taken out lets the rest move up.
                Some(next) if looked > 0 => start = next.saturating_sub(done),
                _ => return Ok(()),
            }
        }
    }

    fn note(&self, done: u64, looked: u64) {
        self.tasks.update(self.id, |task| {
            task.view.done += done;
            task.view.looked += looked;
        });
    }
}
