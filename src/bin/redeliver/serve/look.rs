//! What can be asked without changing anything.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::sse::{Event, KeepAlive};
use axum::response::{IntoResponse, Response, Sse};
use futures_util::stream::{self, Stream};
use redeliver::{MessageId, Queue, Raw, State as In};
use serde::Deserialize;
use serde_json::{Value, json};

use super::app::{App, Watched};
use super::groups::{self, Groups};
use super::history::Columns;
use super::reply::Failed;
use super::ticker;
use super::view::{Line, Whole, contains};
use crate::dead::letter::Letter;

/// Messages of one page of a list.
const MAX_PAGE: u32 = 200;
const DEFAULT_PAGE: u32 = 50;
/// Calls that one search makes; their records are at most 2 MiB each.
const MAX_SEARCH_CALLS: u32 = 10;
/// Messages that one of these calls reads.
const SEARCH_PAGE: u32 = 200;
/// A search for more text than that is a mistake.
const MAX_WANTED: usize = 200;
/// Letters of one step of an export.
const EXPORT_PAGE: u32 = 200;
/// Points of a line the size of a word.
const SPARK: usize = 48;
/// Pages that may be open at a time.
const MAX_VIEWERS: usize = 128;

type Answer<T> = Result<Json<T>, Failed>;

pub(super) fn watched(app: &App, name: &str) -> Result<Arc<Watched>, Failed> {
    app.watched(name).ok_or_else(|| Failed::not_found("queue here"))
}

/// The latest tick.
pub(super) async fn overview(State(app): State<Arc<App>>) -> impl IntoResponse {
    let tick = app.ticks.borrow().to_string();
    ([(CONTENT_TYPE, "application/json")], tick)
}

/// A short line of what was outstanding, for each queue.
pub(super) async fn sparks(State(app): State<Arc<App>>) -> Json<Value> {
    let spark = |watched: Arc<Watched>| {
        let seen = watched.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        (watched.name.to_string(), json!(seen.history.spark(SPARK)))
    };
    Json(Value::Object(app.all().into_iter().map(spark).collect()))
}

/// Each tick as it comes, the latest one at once.
pub(super) async fn events(
    State(app): State<Arc<App>>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Failed> {
    if app.ticks.receiver_count() >= MAX_VIEWERS {
        return Err(Failed::new(StatusCode::SERVICE_UNAVAILABLE, "too many pages are open"));
    }
    let mut ticks = app.ticks.subscribe();
    ticks.mark_changed();
    app.wake.notify_one();
    let stop = app.stop.clone();
    let events = stream::unfold(ticks, move |mut ticks| {
        let stop = stop.clone();
        async move {
            stop.run_until_cancelled(ticks.changed()).await?.ok()?;
            let tick = ticks.borrow_and_update().to_string();
            Some((Ok(Event::default().event("tick").data(tick)), ticks))
        }
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

pub(super) async fn history(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Answer<Columns> {
    let watched = watched(&app, &name)?;
    let seen = watched.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    Ok(Json(seen.history.columns()))
}

#[derive(Debug, Deserialize)]
pub(super) struct Span {
    span: String,
}

/// How much falls due in each slice of the time to come.
pub(super) async fn forecast(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Query(Span { span }): Query<Span>,
) -> Answer<Value> {
    let (slice, slices) = match span.as_str() {
        "minute" => (Duration::from_secs(1), 60),
        "hour" => (Duration::from_secs(60), 60),
        "day" => (Duration::from_secs(1800), 48),
        _ => return Err(Failed::invalid("span takes minute, hour or day")),
    };
    let times: Vec<_> = (0..=slices).map(|number| slice * number).collect();
    let told = watched(&app, &name)?.queue.forecast(&times).await?;
    let slices = |upto: &[u64]| {
        let slices = upto.windows(2).map(|pair| pair[1].saturating_sub(pair[0]));
        json!({"overdue": upto.first(), "slices": slices.collect::<Vec<_>>(), "upto": upto.last()})
    };
    Ok(Json(json!({
        "now_ms": told.now_ms,
        "slice_ms": slice.as_secs() * 1000,
        "scheduled": slices(&told.scheduled),
        "pending": slices(&told.pending),
    })))
}

#[derive(Debug, Deserialize)]
pub(super) struct ListQuery {
    state: String,
    #[serde(default)]
    start: u64,
    limit: Option<u32>,
    #[serde(default)]
    contains: String,
}

/// A page of one state, or those of some pages that contain a text.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Query(query): Query<ListQuery>,
) -> Answer<Value> {
    let queue = &watched(&app, &name)?.queue;
    let state: In = query.state.parse()?;
    let limit = query.limit.unwrap_or(DEFAULT_PAGE).clamp(1, MAX_PAGE);
    let wanted = query.contains.trim().to_lowercase();
    if wanted.len() > MAX_WANTED {
        return Err(Failed::invalid(format!("contains takes at most {MAX_WANTED} bytes")));
    }
    if wanted.is_empty() {
        let page = queue.peek(state, query.start, limit).await?;
        let lines: Vec<_> = page.messages.iter().map(Line::of).collect();
        let looked = lines.len();
        return Ok(Json(json!({"messages": lines, "next": page.next, "looked": looked})));
    }
    search(queue, state, query.start, &wanted).await
}

async fn search(queue: &Queue<Raw>, state: In, start: u64, wanted: &str) -> Answer<Value> {
    let (mut lines, mut looked, mut next) = (Vec::new(), 0, Some(start));
    for _ in 0..MAX_SEARCH_CALLS {
        let Some(start) = next else { break };
        let page = queue.peek(state, start, SEARCH_PAGE).await?;
        looked += page.messages.len();
        let found = page.messages.iter().filter(|message| contains(message, wanted));
        lines.extend(found.map(Line::of));
        next = page.next;
        if lines.len() >= DEFAULT_PAGE as usize {
            break;
        }
    }
    Ok(Json(json!({"messages": lines, "next": next, "looked": looked})))
}

pub(super) async fn message(
    State(app): State<Arc<App>>,
    Path((name, id)): Path<(String, String)>,
) -> Answer<Whole> {
    let queue = &watched(&app, &name)?.queue;
    let id: MessageId = id.parse()?;
    let now_ms = queue.counts().await?.now_ms;
    let found = queue.find(&[id]).await?.into_iter().flatten().next();
    found.map(|it| Json(Whole::of(it, now_ms))).ok_or_else(|| Failed::not_found("message"))
}

pub(super) async fn dead_groups(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Answer<Groups> {
    Ok(Json(groups::look(&watched(&app, &name)?.queue).await?))
}

#[derive(Debug, Deserialize)]
pub(super) struct ExportQuery {
    group: Option<String>,
}

/// All dead letters, or those of a group, one JSON object on each line, read page by page as the
/// receiver takes them.
pub(super) async fn export(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Query(ExportQuery { group }): Query<ExportQuery>,
) -> Result<Response, Failed> {
    let queue = watched(&app, &name)?.queue.clone();
    let pages = stream::try_unfold(Some(0), move |start| {
        let (queue, group) = (queue.clone(), group.clone());
        async move { export_page(&queue, start, group.as_deref()).await }
    });
    let file = format!("attachment; filename=\"{}-dead.ndjson\"", name.replace(':', "_"));
    let headers = [(CONTENT_TYPE, "application/x-ndjson".to_owned()), (CONTENT_DISPOSITION, file)];
    Ok((headers, Body::from_stream(pages)).into_response())
}

/// The lines of one page, and where the next one starts; nothing after the last.
async fn export_page(
    queue: &Queue<Raw>,
    start: Option<u64>,
    group: Option<&str>,
) -> redeliver::Result<Option<(Bytes, Option<u64>)>> {
    let Some(start) = start else { return Ok(None) };
    let page = queue.peek(In::Dead, start, EXPORT_PAGE).await?;
    let mut lines = Vec::new();
    for message in page.messages {
        if group.is_none_or(|group| message.error_group() == group) {
            lines.extend(serde_json::to_vec(&Letter::of(&message)).unwrap_or_default());
            lines.push(b'\n');
        }
    }
    Ok(Some((lines.into(), page.next)))
}

/// The tick of this very moment, for those who have just changed something.
pub(super) fn refresh(app: &App) {
    ticker::publish(app);
    app.wake.notify_one();
}
