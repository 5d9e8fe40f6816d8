//! What changes something. Each action is written to the audit log.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::StatusCode;
use redeliver::{Cancelled, Due, MessageId};
use serde::Deserialize;
use serde_json::{Value, json};

use super::app::App;
use super::audit::Action;
use super::look::{refresh, watched};
use super::reply::Failed;

type Answer = Result<Json<Value>, Failed>;
pub(super) type Peer = ConnectInfo<SocketAddr>;

/// Writes to the audit log, and passes the outcome on.
pub(super) fn audited(
    app: &App,
    peer: SocketAddr,
    (verb, queue, subject): (&'static str, &str, &str),
    outcome: Result<String, Failed>,
) -> Answer {
    let told = match &outcome {
        Ok(told) => told.clone(),
        Err(failed) => failed.why().to_owned(),
    };
    app.audit.note(Action { peer, verb, queue, subject, outcome: &told });
    refresh(app);
    outcome.map(|outcome| Json(json!({ "outcome": outcome })))
}

pub(super) async fn pause(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): Peer,
    Path(name): Path<String>,
) -> Answer {
    let watched = watched(&app, &name)?;
    let done = watched.queue.pause().await.map(|()| "paused".to_owned());
    audited(&app, peer, ("pause", &name, ""), done.map_err(Failed::from))
}

pub(super) async fn resume(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): Peer,
    Path(name): Path<String>,
) -> Answer {
    let watched = watched(&app, &name)?;
    let done = watched.queue.resume().await.map(|()| "resumed".to_owned());
    audited(&app, peer, ("resume", &name, ""), done.map_err(Failed::from))
}

/// What is done to one message.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase", tag = "action")]
pub(super) enum Act {
    Cancel,
    Reschedule {
        /// How long from now, by the server's clock; 0 = now.
        after_ms: u64,
    },
    Redrive,
    Purge,
}

impl Act {
    fn word(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Reschedule { .. } => "reschedule",
            Self::Redrive => "redrive",
            Self::Purge => "purge",
        }
    }
}

pub(super) async fn message(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): Peer,
    Path((name, id)): Path<(String, String)>,
    Json(act): Json<Act>,
) -> Answer {
    let watched = watched(&app, &name)?;
    let parsed: MessageId = id.parse()?;
    let (queue, ids) = (&watched.queue, [parsed]);
    let gone = |done: bool, word: &str| {
        let why = "the message is not there any more";
        if done { Ok(word.to_owned()) } else { Err(Failed::new(StatusCode::CONFLICT, why)) }
    };
    let done = match act {
        Act::Cancel => {
            let told = queue.cancel(&ids).await;
            told.map(|outcomes| gone(outcomes == [Cancelled::Done], "cancelled"))
        }
        Act::Redrive => queue.dead().redrive(&ids).await.map(|done| gone(done == 1, "redriven")),
        Act::Purge => queue.dead().purge(&ids).await.map(|done| gone(done == 1, "purged")),
        Act::Reschedule { after_ms } => {
            let due = Due::After(Duration::from_millis(after_ms));
            queue.reschedule(&ids, due).await.map(|outcomes| rescheduled(&outcomes))
        }
    };
    let done = done.map_err(Failed::from).and_then(|done| done);
    audited(&app, peer, (act.word(), &name, &id), done)
}

fn rescheduled(outcomes: &[redeliver::Rescheduled]) -> Result<String, Failed> {
    use redeliver::Rescheduled::{Dead, Pending, Ready, Scheduled};
    let conflict = |why| Err(Failed::new(StatusCode::CONFLICT, why));
    match outcomes {
        [Scheduled] => Ok("scheduled".to_owned()),
        [Ready] => Ok("ready".to_owned()),
        [Pending] => conflict("somebody holds the message; it stays as it is"),
        [Dead] => conflict("the message is a dead letter; redrive it"),
        _ => conflict("the message is not there any more"),
    }
}

/// Which dead letters: those of a group, or, said in so many words, all.
#[derive(Debug, Deserialize)]
pub(super) struct Which {
    group: Option<String>,
    #[serde(default)]
    all: bool,
}

/// Which dead letters an action is about, for the log.
pub(super) fn named(group: Option<&str>, all: bool) -> Result<String, Failed> {
    match group {
        Some(group) if !all => Ok(format!("group {group}")),
        None if all => Ok("all".to_owned()),
        _ => Err(Failed::invalid("name a group, or say \"all\": true")),
    }
}

/// Begins a purge that goes on by itself.
pub(super) async fn purge(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): Peer,
    Path(name): Path<String>,
    Json(Which { group, all }): Json<Which>,
) -> Answer {
    let watched = watched(&app, &name)?;
    let subject = named(group.as_deref(), all)?;
    let purge = app
        .tasks
        .begin(&watched.queue, group, &app.stop)
        .map_err(|why| Failed::new(StatusCode::CONFLICT, why))?;
    let (id, verb) = (purge.id, "purge");
    let began = format!("task {id} began");
    app.audit.note(Action { peer, verb, queue: &name, subject: &subject, outcome: &began });
    refresh(&app);
    app.pollers.clone().spawn(async move {
        let (word, done) = purge.run().await;
        let outcome = format!("task {id} {word}, {done} messages");
        app.audit.note(Action { peer, verb, queue: &name, subject: &subject, outcome: &outcome });
        refresh(&app);
    });
    Ok(Json(json!({ "task": id.to_string() })))
}

pub(super) async fn cancel_purge(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): Peer,
    Path(id): Path<u64>,
) -> Answer {
    if !app.tasks.cancel(id) {
        return Err(Failed::not_found("running purge"));
    }
    audited(&app, peer, ("cancel", "", &format!("task {id}")), Ok("cancelling".to_owned()))
}
