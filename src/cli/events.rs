//! `ekiden events`

use clap::Args;
use http_body_util::BodyExt;
use serde_json::Value;

use super::client::{Client, encoded};
use super::get::text;
use super::terminal::{Terminal, Tone};
use super::{Ended, Global, Output};
use crate::runtime::tasks::Cause;

/// Print what happens, as it happens, until interrupted.
#[derive(Debug, Args)]
#[command(after_help = "With `--output json`, one event a line, as Marathon's clients get them.")]
pub(super) struct EventsArgs {
    /// Only events of this type, as in `deployment_success`; may be given again
    #[arg(long = "type", short, value_name = "TYPE")]
    types: Vec<String>,
}

/// Prints events until the stream ends.
pub(super) async fn run(args: &EventsArgs, global: &Global, terminal: &mut Terminal) -> Result<Ended, Cause> {
    let types: Vec<String> = args.types.iter().map(|kind| format!("event_type={}", encoded(kind))).collect();
    let query = if types.is_empty() { String::new() } else { format!("?{}", types.join("&")) };
    let mut stream = Client::new(global)?.stream(&format!("/v2/events{query}")).await?;
    let mut rest = Vec::new();
    while let Some(frame) = stream.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        rest.extend_from_slice(&data);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            if let Some(data) = line.trim_end().strip_prefix("data: ") {
                show(data, global, terminal)?;
            }
        }
    }
    terminal.note("the server has ended the stream");
    Ok(Ended::Well)
}

fn show(data: &str, global: &Global, terminal: &mut Terminal) -> std::io::Result<()> {
    if global.output == Output::Json {
        return terminal.line(data);
    }
    let event: Value = serde_json::from_str(data).unwrap_or_default();
    let about = ["appId", "runSpecId", "id", "instanceId", "groupId", "callbackUrl"]
        .iter()
        .find_map(|name| event[*name].as_str())
        .or_else(|| event["plan"]["id"].as_str())
        .unwrap_or_default();
    let said = ["taskStatus", "condition", "reason", "message", "alive", "healthy"];
    let said: Vec<String> = said
        .iter()
        .filter(|name| !event[**name].is_null())
        .map(|name| event[*name].as_str().map_or_else(|| event[*name].to_string(), str::to_owned))
        .filter(|said| !said.is_empty())
        .collect();
    let kind = text(&event["eventType"]);
    let line = format!(
        "{} {kind:<32} {about} {}",
        terminal.toned(Tone::Faint, &text(&event["timestamp"])),
        said.join(" ")
    );
    terminal.line(line.trim_end())
}
