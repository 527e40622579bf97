//! `ekiden get apps|instances|status`

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use clap::{Args, ValueEnum};
use ekiden_model::Timestamp;
use serde_json::Value;

use super::client::{Client, ClientError, encoded};
use super::table::{Cell, age, table};
use super::terminal::{Terminal, Tone};
use super::validate::counted;
use super::{Ended, Global, Output};
use crate::runtime::clock::wall;
use crate::runtime::tasks::Cause;

/// How often `--watch` looks.
const WATCH_EVERY: Duration = Duration::from_secs(1);

/// What a terminal shows of a reason; `ekiden explain` shows all.
const REASON_SHOWN: usize = 90;

/// List what there is.
#[derive(Debug, Args)]
pub(super) struct GetArgs {
    /// What to list
    #[arg(value_enum)]
    what: What,
    /// Only the instances of this app
    #[arg(value_name = "APP")]
    app: Option<String>,
    /// Go on, and show every change
    #[arg(long, short)]
    watch: bool,
}

/// What can be listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// Apps
    Apps,
    /// Instances
    Instances,
    /// How ekiden itself is: whether it is connected, and what it waits for
    Status,
}

/// Lists once, or for ever.
pub(super) async fn run(args: &GetArgs, global: &Global, terminal: &mut Terminal) -> Result<Ended, Cause> {
    let client = Client::new(global)?;
    let mut shown = None;
    loop {
        let listed = fetch(&client, args).await?;
        if shown.as_ref() != Some(&listed) || (args.watch && terminal.is_watched()) {
            show(&listed, args, global, terminal)?;
        }
        if !args.watch {
            return Ok(Ended::Well);
        }
        shown = Some(listed);
        tokio::time::sleep(WATCH_EVERY).await;
    }
}

async fn fetch(client: &Client, args: &GetArgs) -> Result<Value, ClientError> {
    let (path, list) = match (args.what, &args.app) {
        (What::Apps, _) => ("/v1/apps".to_owned(), "apps"),
        (What::Instances, None) => ("/v1/instances".to_owned(), "instances"),
        (What::Status, _) => return client.json("/v1/status").await,
        (What::Instances, Some(app)) => (format!("/v1/instances?app={}", encoded(app)), "instances"),
    };
    let mut answer = client.json(&path).await?;
    let mut list = answer[list].take();
    if let (What::Apps, Some(app), Value::Array(apps)) = (args.what, &args.app, &mut list) {
        let wanted = format!("/{}", app.trim_matches('/'));
        apps.retain(|app| app["id"] == wanted.as_str());
    }
    Ok(list)
}

fn show(listed: &Value, args: &GetArgs, global: &Global, terminal: &mut Terminal) -> io::Result<()> {
    if global.output == Output::Json {
        return if args.watch { terminal.line(&listed.to_string()) } else { terminal.json(listed) };
    }
    let rows = listed.as_array().map_or(&[][..], Vec::as_slice);
    let text = match args.what {
        What::Apps if rows.is_empty() => "no apps\n".to_owned(),
        What::Apps => {
            let header = ["APP", "RUNNING", "HEALTHY", "STATE", "DECLARED IN", "WAITS FOR"];
            table(terminal, &header, &rows.iter().map(app_row).collect::<Vec<_>>())
        }
        What::Status => status(listed),
        What::Instances if rows.is_empty() => "no instances\n".to_owned(),
        What::Instances => {
            let header = ["APP", "INSTANCE", "STATE", "HEALTH", "REVISION", "HOST", "PORTS", "SINCE"];
            table(terminal, &header, &rows.iter().map(instance_row).collect::<Vec<_>>())
        }
    };
    if args.watch && terminal.is_watched() {
        terminal.clear()?;
    }
    terminal.print(text)
}

/// A few lines, the most important first.
fn status(status: &Value) -> String {
    let ago = |at: &Value| {
        let at = at.as_str().and_then(|at| at.parse::<Timestamp>().ok());
        at.map_or_else(String::new, |at| format!(" for {}", age(wall().since(at).as_secs())))
    };
    let (cluster, connection) = (&status["cluster"], &status["cluster"]["connection"]);
    let connected = match connection["state"].as_str() {
        Some("subscribed") => format!("to {}{}", text(&connection["master"]), ago(&connection["since"])),
        Some("trying") => format!("no{}: {}", ago(&connection["since"]), text(&connection["what"])),
        Some(_) => format!("not yet, to {}", text(&cluster["masters"])),
        None => "to this machine".to_owned(),
    };
    let mut lines = String::new();
    let mut line = |name: &str, value: &str| _ = writeln!(lines, "{name:<10} {value}");
    line("connected", &connected);
    if !cluster["name"].is_null() {
        let id = cluster["framework"].as_str().unwrap_or("not registered yet");
        line("framework", &format!("{} ({id})", text(&cluster["name"])));
    }
    let counted = |value: &Value, noun| counted(value.as_u64().map_or(0, |count| count as usize), noun);
    let (apps, tasks) = (counted(&status["apps"], "app"), counted(&status["tasks"], "task"));
    line("runs", &format!("{apps}, {tasks}, on {}", counted(&cluster["agents"], "agent")));
    let directory = &status["directory"];
    let files = counted(&directory["files"], "file");
    let errors = match directory["errors"].as_u64() {
        None | Some(0) => "nothing is wrong".to_owned(),
        Some(_) => format!("{}: `ekiden validate`", counted(&directory["errors"], "error")),
    };
    line("manifests", &format!("{files} in {}, {errors}", text(&directory["root"])));
    for waits in [&status["safeMode"]["text"], &status["waitsFor"], &directory["pendingPrune"]] {
        if let Some(waits) = waits.as_str() {
            line("waits", waits);
        }
    }
    lines
}

fn app_row(app: &Value) -> Vec<Cell> {
    let count = |name: &str| app["counts"][name].as_u64().unwrap_or(0);
    let wanted = app["instances"].as_u64().unwrap_or(0);
    let phase = app["phase"].as_str().unwrap_or_default();
    let tone = match phase {
        "running" => Tone::Good,
        "failed" => Tone::Bad,
        _ => Tone::Pending,
    };
    let waits = app["waitingFor"][0].as_str().unwrap_or_default();
    let short: String = waits.chars().take(REASON_SHOWN).collect();
    let waits = if short.len() < waits.len() { format!("{short}…") } else { short };
    vec![
        text(&app["id"]).into(),
        format!("{}/{wanted}", count("running")).into(),
        count("healthy").to_string().into(),
        Cell::toned(phase, tone),
        declared_in(&app["source"]).into(),
        waits.into(),
    ]
}

/// `web.yaml:3`, `the API`, or nothing.
pub(super) fn declared_in(source: &Value) -> String {
    match source["kind"].as_str() {
        Some("file") => format!("{}:{}", text(&source["path"]), source["line"]),
        Some(_) => "the API".to_owned(),
        None => "-".to_owned(),
    }
}

fn instance_row(instance: &Value) -> Vec<Cell> {
    let mut row = vec![text(&instance["app"]).into()];
    row.extend(instance_cells(instance));
    row
}

/// An instance without its app.
pub(super) fn instance_cells(instance: &Value) -> Vec<Cell> {
    let state = instance["state"].as_str().unwrap_or_default();
    let state = state.strip_prefix("TASK_").unwrap_or(state).to_lowercase();
    let tone = match state.as_str() {
        "running" => Tone::Good,
        "staging" | "starting" | "killing" => Tone::Pending,
        _ => Tone::Bad,
    };
    let health = instance["health"].as_str().unwrap_or_default();
    let health_tone = match health {
        "healthy" => Tone::Good,
        "unknown" => Tone::Faint,
        _ => Tone::Bad,
    };
    let ports: Vec<String> = instance["ports"]
        .as_array()
        .map_or(&[][..], Vec::as_slice)
        .iter()
        .map(|port| port.as_u64().map_or_else(|| "-".to_owned(), |port| port.to_string()))
        .collect();
    let since = instance["since"].as_str().and_then(|since| since.parse::<Timestamp>().ok());
    vec![
        format!("{}#{}", instance["slot"], instance["incarnation"]).into(),
        Cell::toned(state, tone),
        Cell::toned(health, health_tone),
        format!("r{}", instance["revision"]).into(),
        text(&instance["host"]).into(),
        if ports.is_empty() { "-".into() } else { ports.join(",").into() },
        since.map_or_else(|| "-".to_owned(), |since| age(wall().since(since).as_secs())).into(),
    ]
}

/// A text without its quotes.
pub(super) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
