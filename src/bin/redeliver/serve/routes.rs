//! Which path is answered by what, and what every request passes first.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::Method;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use super::app::App;
use super::reply::{Failed, harden};
use super::{act, assets, exporter, health, login, look, redrives};

/// No request carries more than a few words.
const MAX_BODY: usize = 16 * 1024;

pub(super) fn router(app: Arc<App>) -> Router {
    let api = Router::new()
        .route("/overview", get(look::overview))
        .route("/sparks", get(look::sparks))
        .route("/events", get(look::events))
        .route("/queues/{queue}/history", get(look::history))
        .route("/queues/{queue}/forecast", get(look::forecast))
        .route("/queues/{queue}/messages", get(look::list))
        .route("/queues/{queue}/messages/{id}", get(look::message).post(act::message))
        .route("/queues/{queue}/dead/groups", get(look::dead_groups))
        .route("/queues/{queue}/dead/export", get(look::export))
        .route("/queues/{queue}/dead/redrive", post(redrives::start))
        .route("/queues/{queue}/redrive/pause", post(redrives::pause))
        .route("/queues/{queue}/redrive/resume", post(redrives::resume))
        .route("/queues/{queue}/redrive/cancel", post(redrives::cancel))
        .route("/queues/{queue}/dead/purge", post(act::purge))
        .route("/queues/{queue}/pause", post(act::pause))
        .route("/queues/{queue}/resume", post(act::resume))
        .route("/purges/{task}/cancel", post(act::cancel_purge));
    Router::new()
        .merge(assets::routes())
        .nest("/api", api)
        .route("/healthz", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(exporter::metrics))
        .route("/login", post(login::log_in))
        .route("/logout", post(login::log_out))
        .fallback(|| async { Failed::not_found("page") })
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), guard))
        .with_state(app)
}

async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let mut response = match check(&app, &request) {
        Ok(()) => next.run(request).await,
        Err(failed) => failed.into_response(),
    };
    harden(&mut response);
    response
}

fn check(app: &App, request: &Request) -> Result<(), Failed> {
    let (headers, path) = (request.headers(), request.uri().path());
    app.gate.check_host(headers)?;
    // The page itself holds no data; probes carry no token.
    let is_open = matches!(path, "/login" | "/healthz" | "/readyz") || assets::is_asset(path);
    if !is_open {
        app.gate.check_token(headers)?;
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        app.gate.check_mutation(headers)?;
        if !matches!(path, "/login" | "/logout") {
            app.gate.check_writable()?;
        }
    }
    Ok(())
}
