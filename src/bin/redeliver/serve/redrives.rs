//! The redrive of each queue: what is known of it, whoever drives it, and those driven from here.

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use axum::Json;
use axum::extract::{ConnectInfo, Path, State};
use redeliver::{Counts, Redrive, RedriveFilter, RedrivePlan, RedriveState, RedriveTask};
use serde::Deserialize;
use serde_json::{Value, json};

use super::act::{Peer, audited, named};
use super::app::{App, Watched};
use super::audit::Action;
use super::look::{refresh, watched};
use super::reply::Failed;
use super::tasks::{SHOWN, TaskView};

/// What was seen of a queue's redrive.
#[derive(Debug, Default)]
pub(super) struct Known {
    task: Option<RedriveTask>,
    /// Since when it is known to have ended; nothing if it had before anybody looked.
    ended: Option<Instant>,
    /// How many the queue had redriven when it was last looked for a task.
    looked_at: Option<u64>,
    /// How often something was noted.
    notes: u64,
}

impl Known {
    fn is_live(task: &RedriveTask) -> bool {
        task.state.is_running()
            || matches!(task.state, RedriveState::Paused | RedriveState::Stopped)
    }

    fn note(&mut self, task: Option<RedriveTask>) {
        let was_live = self.task.as_ref().is_some_and(Self::is_live);
        let same = self.task.as_ref().map(|task| task.id) == task.as_ref().map(|task| task.id);
        if task.as_ref().is_some_and(Self::is_live) {
            self.ended = None;
        } else if was_live || !same && self.looked_at.is_some() {
            self.ended = Some(Instant::now());
        }
        self.task = task;
        self.notes += 1;
    }

    /// Takes the word of a driver, unless something later is known. A driver also tells of steps that
    /// asked the server nothing, and so may not know yet who steered its task, or took it over.
    fn told(&mut self, task: &RedriveTask) {
        let is_stale = self.task.as_ref().is_some_and(|known| {
            let another = known.id > task.id || known.id == task.id && known.driver != task.driver;
            let steered = !known.state.is_running() && task.state.is_running();
            another || known.id == task.id && steered
        });
        if !is_stale {
            self.note(Some(task.clone()));
        }
    }

    /// Takes what a look has found that began after so many notes, unless there was another since:
    /// the look may have read before it.
    fn found(&mut self, task: Option<RedriveTask>, notes: u64, redriven: u64) {
        if self.notes == notes {
            self.note(task);
            self.looked_at = Some(redriven);
        }
    }

    fn view(&self, queue: &str) -> Option<TaskView> {
        let shown = self.ended.is_some_and(|ended| ended.elapsed() < SHOWN);
        let task = self.task.as_ref().filter(|task| shown || Self::is_live(task))?;
        let open = task.watch.len() as u64;
        let watched = [task.good, task.failed, open];
        Some(TaskView {
            id: task.id.to_string(),
            queue: queue.to_owned(),
            verb: "redrive",
            which: words(&task.plan.filter),
            done: task.redriven,
            looked: task.redriven,
            total: task.redriven + task.left,
            stand: task.state.as_str(),
            reason: task.reason.clone(),
            watched: Some(watched).filter(|watched| watched.iter().any(|it| *it > 0)),
        })
    }
}

/// What a filter takes, for people.
fn words(filter: &RedriveFilter) -> Option<String> {
    let text = |what: &str, text: &Option<String>| Some(format!("{what} {:?}", text.as_ref()?));
    let number = |what: &str, number: Option<u64>| Some(format!("{what} {}", number?));
    let parts = [
        text("group", &filter.group),
        text("error", &filter.error),
        text("class", &filter.class),
        text("kind", &filter.kind),
        number("attempts from", filter.min_attempts),
        number("attempts up to", filter.max_attempts),
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    Some(parts.join(", ")).filter(|words| !words.is_empty())
}

impl Watched {
    pub(super) fn redrive_view(&self) -> Option<TaskView> {
        let known = self.redrive.lock().unwrap_or_else(PoisonError::into_inner);
        known.view(self.name.as_str())
    }

    fn note_redrive(&self, task: &RedriveTask) {
        let mut known = self.redrive.lock().unwrap_or_else(PoisonError::into_inner);
        known.note(Some(task.clone()));
    }

    /// Takes note of what a driver in this process says.
    fn note_driver(&self, task: &RedriveTask) {
        self.redrive.lock().unwrap_or_else(PoisonError::into_inner).told(task);
    }

    /// Looks how the redrive stands, where there may be news: one that goes on, or messages that
    /// were redriven since.
    pub(super) async fn look_for_redrive(&self, counts: &Counts) -> redeliver::Result<()> {
        let notes = {
            let known = self.redrive.lock().unwrap_or_else(PoisonError::into_inner);
            let live = known.task.as_ref().is_some_and(Known::is_live);
            if !live && known.looked_at == Some(counts.redriven) {
                return Ok(());
            }
            known.notes
        };
        let task = self.queue.dead().redrive_task().await?;
        let mut known = self.redrive.lock().unwrap_or_else(PoisonError::into_inner);
        known.found(task, notes, counts.redriven);
        Ok(())
    }
}

/// Which dead letters are brought back, and how.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    group: Option<String>,
    #[serde(default)]
    all: bool,
    #[serde(default)]
    canary: u32,
    #[serde(default)]
    rate: u32,
    max_failure_ratio: Option<f64>,
}

type Answer = Result<Json<Value>, Failed>;

pub(super) async fn start(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): Peer,
    Path(name): Path<String>,
    Json(wanted): Json<Wanted>,
) -> Answer {
    let watched = watched(&app, &name)?;
    let Wanted { group, all, canary, rate, max_failure_ratio } = wanted;
    let subject = named(group.as_deref(), all)?;
    let filter = RedriveFilter { group, ..RedriveFilter::default() };
    let plan = RedrivePlan { filter, canary, rate, max_failure_ratio, ..RedrivePlan::default() };
    let begun = watched.queue.dead().start_redrive(plan).await;
    drive(&app, peer, watched, ("redrive", subject), begun)
}

pub(super) async fn pause(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): Peer,
    Path(name): Path<String>,
) -> Answer {
    let watched = watched(&app, &name)?;
    let task = watched.queue.dead().pause_redrive().await;
    left(&app, peer, &watched, "pause-redrive", task)
}

pub(super) async fn cancel(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): Peer,
    Path(name): Path<String>,
) -> Answer {
    let watched = watched(&app, &name)?;
    let task = watched.queue.dead().cancel_redrive().await;
    left(&app, peer, &watched, "cancel-redrive", task)
}

pub(super) async fn resume(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): Peer,
    Path(name): Path<String>,
) -> Answer {
    let watched = watched(&app, &name)?;
    let begun = watched.queue.dead().resume_redrive().await;
    drive(&app, peer, watched, ("resume-redrive", String::new()), begun)
}

fn left(
    app: &App,
    peer: SocketAddr,
    watched: &Watched,
    verb: &'static str,
    task: redeliver::Result<RedriveTask>,
) -> Answer {
    let done = task.map(|task| {
        watched.note_redrive(&task);
        format!("{} after {} redriven", task.state.as_str(), task.redriven)
    });
    audited(app, peer, (verb, watched.name.as_str(), ""), done.map_err(Failed::from))
}

/// Drives it from here. When this process ends, another one takes it over.
fn drive(
    app: &Arc<App>,
    peer: SocketAddr,
    watched: Arc<Watched>,
    (verb, subject): (&'static str, String),
    begun: redeliver::Result<Redrive>,
) -> Answer {
    let name = watched.name.to_string();
    let redrive = match begun {
        Ok(redrive) => redrive,
        Err(error) => {
            return audited(app, peer, (verb, &name, &subject), Err(error.into()));
        }
    };
    let id = redrive.task().id;
    watched.note_redrive(redrive.task());
    let outcome = format!("task {id} began");
    app.audit.note(Action { peer, verb, queue: &name, subject: &subject, outcome: &outcome });
    refresh(app);
    let app = Arc::clone(app);
    app.pollers.clone().spawn(async move {
        let driven = redrive.run(std::future::pending::<()>(), |task| watched.note_driver(task));
        let outcome = match app.stop.run_until_cancelled(driven).await {
            None => format!("task {id} left to others"),
            Some(Err(error)) => format!("task {id} has no driver any more: {error}"),
            Some(Ok(task)) => {
                watched.note_driver(&task);
                format!("task {id} {}, {} messages", task.state.as_str(), task.redriven)
            }
        };
        app.audit.note(Action { peer, verb, queue: &name, subject: &subject, outcome: &outcome });
        refresh(&app);
    });
    Ok(Json(json!({ "task": id })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(last: &str, state: &str) -> RedriveTask {
        driven(last, state, "")
    }

    fn driven(last: &str, state: &str, driver: &str) -> RedriveTask {
        let id = format!("{last:0>26}");
        let task = json!({
            "id": id, "state": state, "reason": null, "plan": RedrivePlan::default(),
            "before_ms": 0, "started_ms": 0, "driver": driver, "beat_ms": 0, "good": 0, "failed": 0,
            "watch": [], "canary_left": 0, "proven": true, "base": 0,
        });
        serde_json::from_value(task).unwrap()
    }

    #[test]
    fn a_look_that_began_before_a_task_does_not_hide_it() {
        let mut known = Known::default();
        known.note(Some(task("1", "done")));
        let notes = known.notes;
        known.note(Some(task("2", "running")));
        known.found(Some(task("1", "done")), notes, 1000);
        assert_eq!(known.view("q").unwrap().id, task("2", "running").id.to_string());
        assert_eq!(known.looked_at, None, "the next tick looks again");
        known.found(Some(task("2", "done")), known.notes, 1000);
        assert_eq!(known.view("q").unwrap().stand, "done");
        assert_eq!(known.looked_at, Some(1000));
    }

    fn stand(known: &Known) -> (String, &'static str) {
        let view = known.view("q").unwrap();
        (view.id, view.stand)
    }

    #[test]
    fn a_driver_that_has_not_heard_of_it_yet_does_not_undo_a_pause_or_a_cancel() {
        for steered in ["paused", "cancelled"] {
            let mut known = Known::default();
            known.note(Some(task("1", "running")));
            known.note(Some(task("1", steered)));
            let notes = known.notes;
            known.told(&task("1", "running"));
            known.told(&task("1", "canary"));
            assert_eq!((stand(&known).1, known.notes), (steered, notes));
        }
    }

    #[test]
    fn a_driver_tells_how_its_own_task_goes_and_ends() {
        let mut known = Known::default();
        known.told(&task("1", "canary"));
        known.told(&task("1", "running"));
        assert_eq!(stand(&known).1, "running");
        known.told(&task("1", "done"));
        assert_eq!(stand(&known).1, "done");
    }

    #[test]
    fn a_driver_does_not_cover_a_later_task_nor_whoever_took_its_task_over() {
        let mut known = Known::default();
        known.note(Some(driven("1", "running", "a")));
        known.note(Some(driven("1", "paused", "a")));
        known.note(Some(driven("1", "running", "b")));
        known.told(&driven("1", "paused", "a"));
        assert_eq!(stand(&known).1, "running", "it was resumed, and has another driver");
        known.told(&driven("1", "done", "b"));
        assert_eq!(stand(&known).1, "done");
        known.note(Some(driven("2", "running", "c")));
        known.told(&driven("1", "done", "b"));
        assert_eq!(stand(&known), (task("2", "running").id.to_string(), "running"));
    }
}
