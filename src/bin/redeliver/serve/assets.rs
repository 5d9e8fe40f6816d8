//! The page: a few files that are part of the program.

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

macro_rules! asset {
    ($path:literal, $type:ident, $file:literal) => {
        ($path, $type, include_str!(concat!("../web/", $file)))
    };
}

/// Path, type and text of each file.
const ASSETS: [(&str, &str, &str); 16] = [
    asset!("/", HTML, "index.html"),
    asset!("/icon.svg", SVG, "icon.svg"),
    asset!("/style.css", CSS, "style.css"),
    asset!("/main.js", JS, "main.js"),
    asset!("/dom.js", JS, "dom.js"),
    asset!("/format.js", JS, "format.js"),
    asset!("/server.js", JS, "server.js"),
    asset!("/overview.js", JS, "overview.js"),
    asset!("/queue.js", JS, "queue.js"),
    asset!("/plots.js", JS, "plots.js"),
    asset!("/list.js", JS, "list.js"),
    asset!("/message.js", JS, "message.js"),
    asset!("/dead.js", JS, "dead.js"),
    asset!("/tasks.js", JS, "tasks.js"),
    asset!("/uplot.js", JS, "vendor/uPlot.iife.min.js"),
    asset!("/uplot.css", CSS, "vendor/uPlot.min.css"),
];

pub(super) fn is_asset(path: &str) -> bool {
    ASSETS.iter().any(|(known, ..)| *known == path)
}

pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    ASSETS.into_iter().fold(Router::new(), |router, (path, kind, text)| {
        router.route(path, get(move || async move { ([(CONTENT_TYPE, kind)], text) }))
    })
}
