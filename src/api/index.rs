//! `GET /` and `GET /help`: what there is, for people who look around. Marathon sends them to its user interface.
//!
//! The page is written from the table of routes, so it cannot name what is not there.

use std::fmt::Write as _;

use http::StatusCode;
use serde_json::json;

use super::Request;
use super::reply::{self, Response};
use super::route::{ROUTES, Verb};

/// The list: a page for browsers, JSON for everybody else.
pub(super) fn show(request: &Request) -> Response {
    if request.accepts("text/html") {
        return reply::with_body(StatusCode::OK, "text/html; charset=utf-8", page());
    }
    let routes: Vec<_> =
        ROUTES.iter().map(|route| json!({ "method": route.verb.methods()[0], "path": route.path })).collect();
    reply::json(&json!({ "name": "ekiden", "version": env!("CARGO_PKG_VERSION"), "routes": routes }))
}

fn page() -> String {
    let mut text = format!(
        "<!doctype html>\n<meta charset=\"utf-8\">\n<title>ekiden</title>\n<h1>ekiden {}</h1>\n\
         <p><code>{{id*}}</code> is an app's or group's id of any depth; a leading slash does not matter.</p>\n<ul>\n",
        env!("CARGO_PKG_VERSION")
    );
    for route in ROUTES {
        let (method, path) = (route.verb.methods()[0], route.path);
        // What takes nothing can be looked at right away.
        let shown = if route.verb == Verb::Get && !path.contains('{') {
            format!("<a href=\"{path}\">{path}</a>")
        } else {
            path.to_owned()
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "<li><code>{method} {shown}</code></li>");
    }
    text.push_str("</ul>\n");
    text
}
