//! `ekiden deployments`

use clap::Args;
use serde_json::Value;

use super::client::{Client, encoded};
use super::get::text;
use super::rollout::ChangeArgs;
use super::table::{Cell, table};
use super::terminal::Terminal;
use super::{Ended, Global, Output};
use crate::runtime::tasks::Cause;

/// List what is under way, or turn it round.
#[derive(Debug, Args)]
pub(super) struct DeploymentsArgs {
    /// Go back to what was declared before this deployment
    #[arg(long, value_name = "ID", conflicts_with = "abandon")]
    cancel: Option<String>,
    /// Follow this deployment no longer; what is declared stays
    #[arg(long, value_name = "ID")]
    abandon: Option<String>,
    #[command(flatten)]
    change: ChangeArgs,
}

/// Lists them, or ends one.
pub(super) async fn run(args: &DeploymentsArgs, global: &Global, terminal: &mut Terminal) -> Result<Ended, Cause> {
    let client = Client::new(global)?;
    if let Some(id) = &args.cancel {
        let answer = client.delete(&format!("/v2/deployments/{}{}", encoded(id), args.change.query(&[]))).await?;
        return args.change.follow(&client, &answer, &[], (global, terminal)).await;
    }
    if let Some(id) = &args.abandon {
        client.delete(&format!("/v2/deployments/{}?force=true", encoded(id))).await?;
        terminal.note(&format!("deployment {id} is not followed any longer"));
        return Ok(Ended::Well);
    }
    let all = client.json("/v2/deployments").await?;
    if global.output == Output::Json {
        terminal.json(&all)?;
        return Ok(Ended::Well);
    }
    let rows: Vec<Vec<Cell>> = all.as_array().map_or(&[][..], Vec::as_slice).iter().map(row).collect();
    if rows.is_empty() {
        terminal.line("nothing is under way")?;
    } else {
        terminal.print(table(terminal, &["DEPLOYMENT", "SINCE", "STEP", "DOES"], &rows))?;
    }
    Ok(Ended::Well)
}

fn row(deployment: &Value) -> Vec<Cell> {
    let actions = deployment["currentActions"].as_array().map_or(&[][..], Vec::as_slice);
    let mut does: Vec<String> = actions
        .iter()
        .take(3)
        .map(|action| format!("{} {}", text(&action["action"]), text(&action["app"])))
        .collect();
    if actions.len() > does.len() {
        does.push(format!("and {} more", actions.len() - does.len()));
    }
    vec![
        text(&deployment["id"]).into(),
        text(&deployment["version"]).into(),
        format!("{}/{}", deployment["currentStep"], deployment["totalSteps"]).into(),
        does.join(", ").into(),
    ]
}
