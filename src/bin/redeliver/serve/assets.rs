//! The page: a few files that are part of the program.

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

macro_rules! web {
    ($file:literal) => {
        include_str!(concat!("../web/", $file))
    };
}

macro_rules! asset {
    ($path:literal, $type:ident, $file:literal) => {
        ($path, $type, web!($file))
    };
}

/// Path, type and text of each file.
const ASSETS: [(&str, &str, &str); 15] = [
    asset!("/", HTML, "index.html"),
    asset!("/icon.svg", SVG, "icon.svg"),
    // One request less before the first paint.
    ("/style.css", CSS, concat!(web!("style.css"), web!("vendor/uPlot.min.css"))),
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
    // The library is a script that defines a name; here it is a module that exports it.
    ("/uplot.js", JS, concat!(web!("vendor/uPlot.iife.min.js"), "\nexport default uPlot;\n")),
];

pub(super) fn is_asset(path: &str) -> bool {
    ASSETS.iter().any(|(known, ..)| *known == path)
}

pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    ASSETS.into_iter().fold(Router::new(), |router, (path, kind, text)| {
        router.route(path, get(move || async move { ([(CONTENT_TYPE, kind)], text) }))
    })
}
