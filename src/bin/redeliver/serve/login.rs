//! The token for a cookie, and back.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::{ConnectInfo, State};
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::json;

use super::app::App;
use super::audit::Action;
use super::reply::Failed;

#[derive(Deserialize)]
pub(super) struct Given {
    token: String,
}

pub(super) async fn log_in(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Json(Given { token }): Json<Given>,
) -> Result<impl IntoResponse, Failed> {
    let cookie = app.gate.log_in(&token);
    let outcome = if cookie.is_some() { "welcome" } else { "refused" };
    app.audit.note(Action { peer, verb: "login", queue: "", subject: "", outcome });
    match cookie {
        Some(cookie) => Ok(([(SET_COOKIE, cookie)], Json(json!({ "outcome": outcome })))),
        None => Err(Failed::new(StatusCode::UNAUTHORIZED, "this is not the token")),
    }
}

pub(super) async fn log_out(State(app): State<Arc<App>>, headers: HeaderMap) -> impl IntoResponse {
    let cookie = app.gate.log_out(&headers);
    ([(SET_COOKIE, cookie)], Json(json!({ "outcome": "bye" })))
}
