//! `ekiden explain APP|CODE`

use std::fmt::Write as _;

use clap::Args;
use ekiden_model::Timestamp;
use serde_json::Value;

use super::client::{Client, encoded};
use super::get::{declared_in, instance_cells, text};
use super::table::{Cell, age, table};
use super::terminal::{Terminal, Tone};
use super::validate::counted;
use super::{Ended, Global, Output};
use crate::runtime::clock::wall;
use crate::runtime::tasks::Cause;

/// Say why an app is not as declared, or what an error code means.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  ekiden explain /prod/web\n  ekiden explain E0102")]
pub(super) struct ExplainArgs {
    /// An app's id, or the code of a diagnostic
    #[arg(value_name = "APP|CODE")]
    subject: String,
}

/// There is no such code.
#[derive(Debug, thiserror::Error)]
#[error("there is no code {0}; codes are printed with each diagnostic, as in `error[E0102]`")]
struct NoSuchCode(String);

/// Explains.
pub(super) async fn run(args: &ExplainArgs, global: &Global, terminal: &mut Terminal) -> Result<Ended, Cause> {
    if is_code(&args.subject) {
        let page = page_of(&args.subject).ok_or_else(|| NoSuchCode(args.subject.to_uppercase()))?;
        terminal.print(page)?;
        return Ok(Ended::Well);
    }
    let client = Client::new(global)?;
    let status = client.json(&format!("/v1/apps/{}/status", encoded(args.subject.trim_matches('/')))).await?;
    if global.output == Output::Json {
        terminal.json(&status)?;
    } else {
        let text = explanation(&status, terminal);
        terminal.print(text)?;
    }
    Ok(Ended::Well)
}

/// App ids are lower-case, so the two never meet.
fn is_code(subject: &str) -> bool {
    let digits = subject.strip_prefix(['E', 'e']);
    digits.is_some_and(|digits| digits.len() == 4 && digits.bytes().all(|digit| digit.is_ascii_digit()))
}

fn explanation(status: &Value, terminal: &Terminal) -> String {
    let now = wall();
    let ago = |at: &Value| {
        let at: Option<Timestamp> = at.as_str().and_then(|at| at.parse().ok());
        at.map_or_else(|| "some time".to_owned(), |at| age(now.since(at).as_secs()))
    };
    let target = &status["target"];
    let counts = &status["observed"]["counts"];
    let spec = &status["spec"];
    let mut text = format!("{}\n", terminal.toned(Tone::Strong, &text(&status["id"])));
    let mut line = |name: &str, value: &str| _ = writeln!(text, "  {name:<9} {value}");

    if spec.is_null() {
        line("declared", "no longer: it is being stopped");
    } else {
        let (source, since) = (declared_in(&spec["source"]), ago(&spec["version"]));
        line("declared", &format!("{}, in {source}, changed {since} ago", instances(&target["instances"])));
    }
    for revision in target["revisions"].as_array().map_or(&[][..], Vec::as_slice) {
        let standing = revision["standing"]["kind"].as_str().unwrap_or_default();
        let number = &revision["revision"];
        line("target", &format!("r{number}: {} ({standing})", instances(&revision["instances"])));
    }
    if let Some(phase) = target["rollout"]["phase"].as_str() {
        let since = ago(&target["rollout"]["since"]);
        line("rollout", &format!("to r{}: {phase}, began {since} ago", target["rollout"]["to"]));
    }
    let observed = format!(
        "{} running, {} healthy, {} unhealthy, {} starting",
        counts["running"], counts["healthy"], counts["unhealthy"], counts["staged"]
    );
    line("observed", &observed);
    let failure = &status["observed"]["lastFailure"];
    if !failure.is_null() {
        let (state, host, message) = (&failure["state"], &failure["host"], &failure["message"]);
        let what = format!("{} on {} ({})", plain(state), plain(host), plain(message));
        line("failure", &format!("{what}, {} ago", ago(&failure["at"])));
    }

    let waiting = status["waitingFor"].as_array().map_or(&[][..], Vec::as_slice);
    if waiting.is_empty() {
        let _ = writeln!(text, "\n{}", terminal.toned(Tone::Good, "everything is as declared"));
    } else {
        let _ = writeln!(text, "\n{}", terminal.toned(Tone::Pending, "waits for"));
        for reason in waiting {
            let _ = writeln!(text, "  - {}{}", plain(&reason["text"]), when(&reason["details"], now));
        }
    }
    let placed = status["observed"]["instances"].as_array().map_or(&[][..], Vec::as_slice);
    if !placed.is_empty() {
        let rows: Vec<Vec<Cell>> = placed.iter().map(instance_cells).collect();
        let header = ["INSTANCE", "STATE", "HEALTH", "REVISION", "HOST", "PORTS", "SINCE"];
        text.push('\n');
        text.push_str(&table(terminal, &header, &rows));
    }
    text
}

/// How long a reason still lasts, or has lasted: ages are reckoned here, so that a report need not change with time.
fn when(details: &Value, now: Timestamp) -> String {
    let at = |name: &str| details[name].as_str().and_then(|at| at.parse::<Timestamp>().ok());
    let left = at("until").map(|until| until.since(now)).filter(|left| !left.is_zero());
    match (left, at("since")) {
        (Some(left), _) => format!(" (in {})", age(left.as_secs() + 1)),
        (None, Some(since)) => format!(" (for {})", age(now.since(since).as_secs())),
        (None, None) => String::new(),
    }
}

fn instances(count: &Value) -> String {
    counted(count.as_u64().and_then(|count| usize::try_from(count).ok()).unwrap_or(0), "instance")
}

fn plain(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The page of a code.
fn page_of(code: &str) -> Option<&'static str> {
    crate::manifest::explain_code(&code.to_uppercase())
}
