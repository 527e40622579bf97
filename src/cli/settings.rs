//! Every setting of a command that runs ekiden, with its value and where that comes from: for `--print-config`, and for
//! `GET /config`. Secrets are not shown.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::mesos::redacted;
use super::{Given, http, mesos, spelling};

/// A setting as it is in use.
struct Setting<'a> {
    name: &'a str,
    /// None, where nothing is set and nothing stands for that.
    value: Option<String>,
    from: &'static str,
}

/// By name: `{"http_port": {"value": "8080", "from": "default"}}`.
pub(super) fn as_json(given: &Given<'_>) -> Map<String, Value> {
    let all =
        all(given).map(|Setting { name, value, from }| (name.to_owned(), json!({ "value": value, "from": from })));
    all.collect()
}

/// As a config file that says the same.
pub(super) fn as_file(given: &Given<'_>) -> String {
    let mut lines = String::new();
    for Setting { name, value, from } in all(given) {
        let _ = match value {
            Some(value) => writeln!(lines, "{name} = {} # {from}", Value::String(value)),
            None => writeln!(lines, "# {name} is not set"),
        };
    }
    lines
}

fn all<'a>(given: &'a Given<'_>) -> impl Iterator<Item = Setting<'a>> {
    let arguments = given.command.get_arguments().filter(|argument| !argument.is_hide_set());
    let kept = arguments
        .filter(|argument| !spelling::is_of_one_start(argument.get_long().unwrap_or(argument.get_id().as_str())));
    kept.map(|argument| {
        let name = argument.get_id().as_str();
        let raw = given.matches.get_raw(name).and_then(Iterator::last);
        let value = raw.map(|value| shown(name, &value.to_string_lossy()));
        Setting { name, value, from: spelling::origin(given.matches, name, given.file) }
    })
}

fn shown(name: &str, value: &str) -> String {
    if [mesos::SECRET, http::SECRET].contains(&name) { "***".to_owned() } else { redacted(value) }
}
