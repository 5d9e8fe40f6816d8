//! The redrive of a queue: start it, see it, pause, resume and cancel it, from anywhere.

use crate::dead_letters::DeadLetters;
use crate::drive::Redrive;
use crate::error::Result;
use crate::name::State;
use crate::plan::{RedriveFilter, RedrivePlan};
use crate::script::MAX_ITEMS;
use crate::shared::Shared;
use crate::snapshot;
use crate::store::Store;
use crate::task::{RedriveState, RedriveTask, STALE_MS, Seen, change, left, look, refused};

impl DeadLetters<'_> {
    /// Starts to bring dead letters back by a plan: those that are dead by now, and not what dies
    /// while it runs. It goes through the partitions one after the other, and their times of death are
    /// compared with the clock of the first one's server. A queue has one such task at a time; it is refused while another one runs or
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
        let stores = self.shared.stores().await;
        let mut task = look(&stores[0]).await?.task;
        if let Some(task) = task.as_mut().filter(|_| stores.len() > 1) {
            task.left = left(&stores, task.before_ms).await?.into_iter().sum();
        }
        Ok(task)
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
        let stores = self.shared.stores().await;
        let before_ms = filter.before_ms(look(&stores[0]).await?.now_ms);
        if !filter.is_selective() {
            return Ok(left(&stores, before_ms).await?.into_iter().sum());
        }
        let mut matching = 0;
        for store in &stores {
            matching += count_in(store, filter, before_ms).await?;
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
        let changed = change(&self.shared.partition(0).store, action, decide).await?;
        changed.map(|(task, _)| task).ok_or_else(|| refused(action, "there is none"))
    }

    async fn drive(
        &self,
        action: &'static str,
        decide: impl Fn(&Seen) -> Result<Option<RedriveTask>>,
    ) -> Result<Redrive> {
        let stores = self.shared.stores().await;
        let changed = change(&stores[0], action, decide).await?;
        changed
            .map(|task| Redrive::new(stores, task))
            .ok_or_else(|| refused(action, "there is none"))
    }
}

async fn count_in(store: &Store, filter: &RedriveFilter, before_ms: u64) -> Result<u64> {
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

/// Takes over the task if its driver is gone.
pub(crate) async fn adopt(shared: &Shared) -> Result<Option<Redrive>> {
    let stores = shared.stores().await;
    let driver = driver_name();
    let decide = |seen: &Seen| {
        let orphan = seen.task.as_ref().filter(|task| task.is_orphan(seen.now_ms));
        orphan.map(|_| take_up(seen, &driver)).transpose()
    };
    let adopted = change(&stores[0], "resume", decide).await?;
    Ok(adopted.map(|task| Redrive::new(stores, task)))
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
