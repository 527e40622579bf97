//! `ekiden plan DIR`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use ekiden_model::App;
use http::Method;
use serde_json::{Map, Value, json};

use super::client::{Client, ClientError, DEFAULT_SERVER};
use super::terminal::{Terminal, Tone};
use super::validate::counted;
use super::{Ended, Global, Output};
use crate::desired::{Bounds, ChangeKind, DirectoryReading, PlannedChange, Summary, plan, read_directory};
use crate::runtime::tasks::Cause;

/// Show what following a directory would change: per app what is done, the fields that differ, and where it would go.
#[derive(Debug, Args)]
#[command(after_help = "Without a server to ask, everything counts as new.\n\n\
    Exit codes: 0 nothing would change, 2 something would, 1 failed or the manifests are wrong.")]
pub(super) struct PlanArgs {
    /// The directory; with --lose and none, nothing is declared anew
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Ask no server: everything counts as new
    #[arg(long, conflicts_with = "lose")]
    from_nothing: bool,
    /// As if this agent, named by its host or id, were gone: what would be replaced where. May be repeated
    #[arg(long, value_name = "HOST")]
    lose: Vec<String>,
}

/// A manifest cannot be sent.
#[derive(Debug, thiserror::Error)]
#[error("{file} cannot be read once more")]
struct Unreadable {
    file: String,
    #[source]
    cause: std::io::Error,
}

/// Compares the directory with what runs.
pub(super) async fn run(args: &PlanArgs, global: &Global, terminal: &mut Terminal) -> Result<Ended, Cause> {
    let directory = match &args.directory {
        None if !args.lose.is_empty() => None,
        given => Some(given.clone().unwrap_or_else(|| ".".into())),
    };
    let reading = directory.as_deref().map(|directory| (directory, read_directory(directory, &Bounds::default())));
    if let Some((_, reading)) = reading.as_ref().filter(|(_, reading)| !reading.diagnostics.is_empty()) {
        for finding in &reading.diagnostics {
            terminal.note(&finding.render(false));
        }
        let wrong = counted(reading.diagnostics.len(), "error");
        terminal.note(&format!("{wrong}: a plan of manifests that are wrong would say little"));
        return Ok(Ended::Wrong);
    }
    if !args.from_nothing {
        let mut asked = json!({ "lost": args.lose });
        if let Some((directory, reading)) = &reading {
            asked["files"] = texts(directory, reading)?;
            asked["prune"] = json!(true);
        }
        if let Some(answer) = foreseen(&asked, global, terminal).await? {
            return show_foreseen(&answer, global, terminal);
        }
    }
    let next = reading.map(|(_, reading)| reading.apps).unwrap_or_default();
    let next: Vec<Arc<App>> = next.into_iter().map(|declared| declared.app).collect();
    let changes = plan(&BTreeMap::new(), &next);
    show(&changes, global, terminal)?;
    Ok(if changes.is_empty() { Ended::Well } else { Ended::Changes })
}

/// The manifests, as they are.
fn texts(directory: &Path, reading: &DirectoryReading) -> Result<Value, Unreadable> {
    let mut files = Map::new();
    for path in &reading.files {
        let text = std::fs::read_to_string(directory.join(&**path));
        let text = text.map_err(|cause| Unreadable { file: path.to_string(), cause })?;
        files.insert(path.to_string(), text.into());
    }
    Ok(files.into())
}

/// What the server foresees. Nobody at the usual place, which nobody asked for, is no error: then nothing runs.
async fn foreseen(asked: &Value, global: &Global, terminal: &Terminal) -> Result<Option<Value>, Cause> {
    match Client::new(global)?.write(Method::POST, "/v1/plan", Some(asked)).await {
        Err(ClientError::Unreachable { .. }) if global.server.is_none() => {
            terminal.note(&format!("nothing answers at {DEFAULT_SERVER}, so everything counts as new"));
            Ok(None)
        }
        answer => Ok(Some(answer?)),
    }
}

fn show_foreseen(answer: &Value, global: &Global, terminal: &mut Terminal) -> Result<Ended, Cause> {
    let changes = list(&answer["changes"]);
    // What goes on anyway is told only beside what would change.
    let is_asked = !(changes.is_empty() && list(&answer["lost"]).is_empty());
    let others = if is_asked { list(&answer["others"]) } else { &[] };
    let ended = if changes.is_empty() && others.is_empty() { Ended::Well } else { Ended::Changes };
    if global.output == Output::Json {
        terminal.json(answer)?;
        return Ok(ended);
    }
    for change in changes {
        let text = change["text"].as_str().unwrap_or_default();
        show_change(text, tone_of(text), terminal)?;
        for conflict in list(&change["conflicts"]) {
            terminal.line(&terminal.toned(Tone::Bad, &format!("    {}", said(conflict))))?;
        }
        show_placement(&change["placement"], terminal)?;
    }
    for other in others {
        let text = format!("= {}: is not changed, and", said(&other["app"]));
        terminal.line(&terminal.toned(Tone::Pending, &text))?;
        show_placement(&other["placement"], terminal)?;
    }
    terminal.line(answer["summary"].as_str().unwrap_or_default())?;
    if let Some(why) = answer["why"].as_str() {
        terminal.note(&format!("where instances would go is not known: {why}"));
    } else if answer["complete"] == false {
        terminal.note("this would go on for long: only its beginning was looked at");
    }
    let count = |what: &str| answer["resources"][what].as_u64().unwrap_or(0);
    let (agents, unknown) = (count("agents"), count("agents").saturating_sub(count("known")));
    let placements = changes.iter().chain(others).map(|app| &app["placement"]);
    if unknown > 0 && placements.into_iter().any(|placement| placement["missing"].as_u64() > Some(0)) {
        terminal.note(&format!(
            "what {unknown} of {agents} agents have to spare is not known, since they have offered nothing: there may \
             be more room than this"
        ));
    }
    Ok(ended)
}

/// Where instances would start and end, in which steps, and what finds no place.
fn show_placement(placement: &Value, terminal: &mut Terminal) -> Result<(), Cause> {
    let (steps, lost) = (list(&placement["steps"]), list(&placement["lost"]));
    if !lost.is_empty() {
        terminal.line(&format!("    loses {}: {}", lost.len(), hosts(lost)))?;
    }
    for (what, instances) in [("starts", list(&placement["starts"])), ("ends", list(&placement["stops"]))] {
        if !instances.is_empty() {
            terminal.line(&format!("    {what} {}: {}", instances.len(), hosts(instances)))?;
        }
    }
    if steps.len() > 1 {
        let healthy = steps.iter().filter_map(|step| step["healthy"].as_u64()).min().unwrap_or(0);
        let most = |what: &str| steps.iter().filter_map(|step| step[what].as_u64()).max().unwrap_or(0);
        terminal.line(&format!(
            "    in {} steps, at most {} started and {} ended at once; never fewer than {healthy} healthy",
            steps.len(),
            most("starts"),
            most("stops"),
        ))?;
    }
    for reason in list(&placement["waitingFor"]) {
        terminal.line(&terminal.toned(Tone::Bad, &format!("    then waits: {}", said(&reason["text"]))))?;
    }
    Ok(())
}

/// Most hosts that are named. `--output json` names all.
const HOSTS_SHOWN: usize = 8;

/// `node1 (2), node2`, the fullest first.
fn hosts(instances: &[Value]) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for instance in instances {
        *counts.entry(said(&instance["agent"]["host"])).or_default() += 1;
    }
    let mut counts: Vec<(String, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let more = counts.len().saturating_sub(HOSTS_SHOWN);
    let one =
        |(host, count): &(String, usize)| if *count == 1 { host.clone() } else { format!("{host} ({count})") };
    let mut shown: Vec<String> = counts.iter().take(HOSTS_SHOWN).map(one).collect();
    if more > 0 {
        shown.push(format!("{more} more"));
    }
    shown.join(", ")
}

/// A text of the answer, without control characters: names may come from somebody else's manifests.
fn said(text: &Value) -> String {
    let text = text.as_str().unwrap_or_default();
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn tone_of(text: &str) -> Tone {
    match text.as_bytes().first() {
        Some(b'+') => Tone::Good,
        Some(b'-') => Tone::Bad,
        _ => Tone::Pending,
    }
}

fn show_change(text: &str, tone: Tone, terminal: &mut Terminal) -> Result<(), Cause> {
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    terminal.line(&terminal.toned(tone, first))?;
    if !rest.is_empty() {
        terminal.line(rest)?;
    }
    Ok(())
}

fn show(changes: &[PlannedChange], global: &Global, terminal: &mut Terminal) -> Result<(), Cause> {
    if global.output == Output::Json {
        let changes: Value = serde_json::to_value(changes)?;
        terminal.json(&json!({ "changes": changes }))?;
        return Ok(());
    }
    for change in changes {
        let tone = match change.kind {
            ChangeKind::Create { .. } => Tone::Good,
            ChangeKind::Stop { .. } => Tone::Bad,
            ChangeKind::InPlace | ChangeKind::Scale | ChangeKind::Roll => Tone::Pending,
        };
        show_change(&change.to_string(), tone, terminal)?;
    }
    terminal.line(&Summary(changes).to_string())?;
    Ok(())
}
