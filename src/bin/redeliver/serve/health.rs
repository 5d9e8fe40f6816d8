//! Whether the process serves, and whether messages move.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::app::App;

type Answer = (StatusCode, Json<Value>);

/// 503 when something is due and nothing moves, or when the server has been away for as long.
pub(super) async fn live(State(app): State<Arc<App>>, headers: HeaderMap) -> Answer {
    let stalls = app.stalls();
    let away = app.outage().filter(|(since, _)| *since >= app.stalled_after);
    if stalls.is_empty() && away.is_none() {
        return (StatusCode::OK, Json(json!({ "status": "ok" })));
    }
    let mut told = json!({ "status": "stalled" });
    // Names of queues are for those who may look.
    if app.gate.check_token(&headers).is_ok() {
        let stalled =
            stalls.into_iter().map(|(name, why)| json!({ "queue": name.as_str(), "why": why }));
        told["stalled"] = stalled.collect();
        told["outage"] = away.map(|(_, fault)| fault).into();
    }
    (StatusCode::SERVICE_UNAVAILABLE, Json(told))
}

/// 503 until the first look at the queues, and while the server does not answer.
pub(super) async fn ready(State(app): State<Arc<App>>) -> Answer {
    if app.outage().is_none() && !app.ticks.borrow().is_empty() {
        return (StatusCode::OK, Json(json!({ "status": "ready" })));
    }
    (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": "not ready" })))
}
