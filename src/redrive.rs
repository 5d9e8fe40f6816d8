//! The redrive of a queue: start it, see it, pause, resume and cancel it, from anywhere.

use crate::dead_letters::DeadLetters;
use crate::drive::Redrive;
use crate::error::Result;
use crate::name::State;
use crate::op::steer::Steer;
use crate::plan::{RedriveFilter, RedrivePlan};
use crate::script::MAX_ITEMS;
use crate::snapshot;
use crate::store::Store;
use crate::task::{RedriveState, RedriveTask, STALE_MS, Seen, change, look, refused};

impl DeadLetters<'_> {
    /// Starts to bring dead letters back by a plan: those that are dead by now, and not what dies
    /// while it runs. A queue has one such task at a time; it is refused while another one runs or
    /// is paused.
    ///
    /// The task moves while somebody drives it: [`Redrive::run`], or, from 10 s after the last sign of
    /// life, any [`Redriver`](crate::Redriver).
    ///
    /// ```no_run
    /// # use redeliver::{Queue, RedrivePlan};
    /// # async fn run(queue: Queue<String>) -> redeliver::Result<()> {
    /// let plan = RedrivePlan { canary: 10, rate: 500, ..RedrivePlan::default() };
    /// let redrive = queue.dead().start_redrive(plan).await?;
    /// let task = redrive.run(std::future::pending::<()>(), |_| {}).await?;
    /// println!("{} redriven, {}", task.redriven, task.state.as_str());
    /// # Ok(()) }
    /// ```
    pub async fn start_redrive(&self, plan: RedrivePlan) -> Result<Redrive> {
        plan.validate()?;
        let driver = driver_name();
        self.drive("start", |seen| {
            let live =
                |task: &&RedriveTask| task.state.is_running() || task.state == RedriveState::Paused;
            if let Some(task) = seen.task.as_ref().filter(live) {
                return Err(refused("start", format!("another one is {}", standing(task, seen))));
            }
            let mut task = RedriveTask::new(plan.clone(), seen);
            task.driven_by(&driver, seen.now_ms);
            Ok(Some(task))
        })
        .await
    }

    /// The queue's last redrive, if there was one.
    pub async fn redrive_task(&self) -> Result<Option<RedriveTask>> {
        Ok(look(&self.shared.store).await?.task)
    }

    /// Pauses the redrive; its driver moves nothing more.
    pub async fn pause_redrive(&self) -> Result<RedriveTask> {
        self.end("pause", RedriveState::Paused, RedriveState::is_running).await
    }

    /// Gives the redrive up: what it brought back stays, the rest stays dead.
    pub async fn cancel_redrive(&self) -> Result<RedriveTask> {
        let can = |state: RedriveState| {
            let rests = matches!(state, RedriveState::Paused | RedriveState::Stopped);
            rests || state.is_running()
        };
        self.end("cancel", RedriveState::Cancelled, can).await
    }

    /// Takes up the redrive that was paused, has stopped itself, or whose driver has not been heard
    /// of for 10 s, and drives it from here. After a stop its watch begins anew.
    pub async fn resume_redrive(&self) -> Result<Redrive> {
        let driver = driver_name();
        self.drive("resume", |seen| take_up(seen, &driver).map(Some)).await
    }

    /// How many dead letters a redrive by this filter would take if it started now.
    pub async fn count_matching(&self, filter: &RedriveFilter) -> Result<u64> {
        filter.validate()?;
        let store = &self.shared.store;
        let before_ms = filter.before_ms(look(store).await?.now_ms);
        if !filter.is_selective() {
            let call = Steer { before_ms, ..Steer::default() };
            return Ok(store.run(&call).await?.reply.left);
        }
        let (mut matching, mut next) = (0, Some(0));
        while let Some(start) = next {
            let most = u32::try_from(MAX_ITEMS).unwrap_or(u32::MAX);
            let page = snapshot::page(store, State::Dead, start, most).await?;
            let young = page.messages.iter().filter(|message| message.at_ms > Some(before_ms));
            next = page.next.filter(|_| young.count() == 0);
            let old = page.messages.iter().filter(|message| message.at_ms <= Some(before_ms));
            matching += old.filter(|message| filter.matches(message)).count() as u64;
        }
        Ok(matching)
    }

    async fn end(
        &self,
        action: &'static str,
        state: RedriveState,
        can: impl Fn(RedriveState) -> bool,
    ) -> Result<RedriveTask> {
        let decide = |seen: &Seen| match &seen.task {
            Some(task) if can(task.state) => Ok(Some(RedriveTask { state, ..task.clone() })),
            Some(task) => Err(refused(action, format!("it is {}", task.state.as_str()))),
            None => Err(refused(action, "there is none")),
        };
        let changed = change(&self.shared.store, action, decide).await?;
        changed.map(|(task, _)| task).ok_or_else(|| refused(action, "there is none"))
    }

    async fn drive(
        &self,
        action: &'static str,
        decide: impl Fn(&Seen) -> Result<Option<RedriveTask>>,
    ) -> Result<Redrive> {
        let store = self.shared.store.clone();
        let changed = change(&store, action, decide).await?;
        changed
            .map(|task| Redrive::new(store, task))
            .ok_or_else(|| refused(action, "there is none"))
    }
}

/// Takes over the task if its driver is gone.
pub(crate) async fn adopt(store: &Store) -> Result<Option<Redrive>> {
    let driver = driver_name();
    let decide = |seen: &Seen| {
        let orphan = seen.task.as_ref().filter(|task| task.is_orphan(seen.now_ms));
        orphan.map(|_| take_up(seen, &driver)).transpose()
    };
    let adopted = change(store, "resume", decide).await?;
    Ok(adopted.map(|task| Redrive::new(store.clone(), task)))
}

fn take_up(seen: &Seen, driver: &str) -> Result<RedriveTask> {
    let Some(mut task) = seen.task.clone() else {
        return Err(refused("resume", "there is none"));
    };
    match task.state {
        RedriveState::Stopped => task.begin_anew(),
        RedriveState::Paused => {}
        _ if task.is_orphan(seen.now_ms) => {}
        _ => return Err(refused("resume", format!("it is {}", standing(&task, seen)))),
    }
    task.go_on();
    task.driven_by(driver, seen.now_ms);
    Ok(task)
}

/// How a task stands, for whoever is refused.
fn standing(task: &RedriveTask, seen: &Seen) -> String {
    let state = task.state.as_str();
    if !task.state.is_running() {
        return format!("{state} since it redrove {}", task.redriven);
    }
    let quiet = seen.now_ms.saturating_sub(task.beat_ms) / 1000;
    let patience = STALE_MS / 1000;
    format!("{state}, its driver was heard of {quiet} s ago; after {patience} s it can be resumed")
}

/// Tells this driver from all others, and people whose it is.
fn driver_name() -> String {
    format!("{}-{:08x}", std::process::id(), fastrand::u32(..))
}
