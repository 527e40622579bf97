//! `ekiden adopt`: ends safe mode. Shows first what would become of which task, and asks.

use std::collections::BTreeMap;
use std::io::{self, BufRead, IsTerminal};

use clap::Args;
use serde_json::Value;

use super::client::Client;
use super::get::text;
use super::table::{Cell, table};
use super::terminal::Terminal;
use super::validate::counted;
use super::{Ended, Global, Output, UsageError};
use crate::runtime::tasks::Cause;

/// What `ekiden adopt` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    ekiden adopt                    show what would become of the tasks found, and ask\n  \
    ekiden adopt --yes              adopt them without asking\n  \
    ekiden adopt --none             leave them alone for ever, and begin beside them\n  \
    ekiden adopt --output json      what would become of them, for programs; with --yes it is done\n\n\
    Adopt when all agents are there: a task on an agent that the master has not heard of yet cannot be found.")]
pub(super) struct AdoptArgs {
    /// Leave the tasks alone for ever, and begin beside them
    #[arg(long)]
    none: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

/// Shows, asks, and says it.
pub(super) async fn run(args: &AdoptArgs, global: &Global, terminal: &mut Terminal) -> Result<Ended, Cause> {
    let client = Client::new(global)?;
    let shown = client.json("/v1/adoption").await?;
    let json = global.output == Output::Json;
    if json && !args.yes {
        terminal.json(&shown)?;
        return Ok(Ended::Well);
    }
    if shown["safeMode"].as_bool() != Some(true) {
        if json {
            terminal.json(&shown)?;
        } else {
            terminal.line("nothing to adopt: ekiden knows whose every task is")?;
        }
        return Ok(Ended::Well);
    }
    if !json {
        let plan = described(&shown, args.none, terminal);
        terminal.print(plan)?;
    }
    if !args.yes && !agreed(terminal)? {
        return Err(UsageError::NotConfirmed.into());
    }
    let answer =
        if args.none { client.delete("/v1/adoption").await? } else { client.post("/v1/adoption").await? };
    if json {
        terminal.json(&answer)?;
    } else if args.none {
        terminal.line("they are left alone; ekiden begins beside them")?;
    } else {
        terminal.line("they are taken over as soon as the cluster has told once more what runs")?;
    }
    Ok(Ended::Well)
}

fn agreed(terminal: &Terminal) -> io::Result<bool> {
    terminal.note("Go on? Type yes:");
    if !io::stdin().is_terminal() {
        terminal.note("nobody is there to be asked: say it with --yes");
        return Ok(false);
    }
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(answer.trim() == "yes")
}

/// The plan, app by app.
fn described(shown: &Value, none: bool, terminal: &Terminal) -> String {
    let plan = &shown["plan"];
    let tasks = plan["tasks"].as_array().map_or(&[][..], Vec::as_slice);
    let framework = plan["framework"].as_str().unwrap_or("that the cluster has not told of yet");
    let mut said = format!("{} of framework {framework}", counted(tasks.len(), "task"));
    if none {
        said.push_str(" will be left alone for ever. What is declared is launched beside them.\n");
        return said;
    }
    said.push_str(":\n\n");
    let mut apps: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
    for task in tasks {
        let app = task["app"].as_str().map_or_else(|| text(&task["id"]), str::to_owned);
        *apps.entry(app).or_default().entry(text(&task["fate"])).or_default() += 1;
    }
    let header = ["APP", "TAKEN OVER", "TAKEN OVER, THEN REPLACED", "STOPPED", "LEFT ALONE"];
    let rows: Vec<Vec<Cell>> = apps
        .iter()
        .map(|(app, fates)| {
            let count = |fate: &str| fates.get(fate).map_or_else(|| "-".to_owned(), usize::to_string);
            let cells = [count("kept"), count("replaced"), count("ended"), count("leftAlone")];
            std::iter::once(Cell::from(app.as_str())).chain(cells.into_iter().map(Cell::from)).collect()
        })
        .collect();
    said.push_str(&table(terminal, &header, &rows));
    if let Some(awaiting) = plan["awaiting"].as_str() {
        said.push_str("\nnot yet: ");
        said.push_str(awaiting);
        said.push('\n');
    }
    said
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_plan_counts_by_app_what_becomes_of_its_tasks() {
        let task = |app: Option<&str>, fate: &str| json!({ "id": "cassandra-7", "app": app, "fate": fate });
        let tasks = [
            task(Some("/web"), "kept"),
            task(Some("/web"), "kept"),
            task(Some("/web"), "replaced"),
            task(Some("/old"), "ended"),
            task(None, "leftAlone"),
        ];
        let shown = json!({ "plan": {
            "framework": "f-1", "tasks": tasks, "awaiting": "the manifests have not been read yet"
        } });
        let said = described(&shown, false, &Terminal::piped());
        let lines: Vec<Vec<&str>> = said.lines().map(|line| line.split_whitespace().collect()).collect();
        assert!(said.starts_with("5 tasks of framework f-1:\n"), "{said}");
        assert!(lines.contains(&vec!["/web", "2", "1", "-", "-"]), "{said}");
        assert!(lines.contains(&vec!["/old", "-", "-", "1", "-"]), "{said}");
        assert!(lines.contains(&vec!["cassandra-7", "-", "-", "-", "1"]), "{said}");
        assert!(said.ends_with("\nnot yet: the manifests have not been read yet\n"), "{said}");
        let none = described(&shown, true, &Terminal::piped());
        assert!(none.contains("left alone for ever"), "{none}");
    }
}
