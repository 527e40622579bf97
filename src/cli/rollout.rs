//! What all commands that change apps share: by what right, and following the deployment that comes of it.

use std::time::Duration;

use clap::Args;
use serde_json::Value;
use tokio::time::Instant;

use super::client::{Client, encoded};
use super::terminal::{Terminal, Tone};
use super::{Ended, Global, Output};
use crate::runtime::tasks::Cause;
use crate::span;

/// How often `--wait` looks.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// How a change is made, and whether it is followed to its end.
#[derive(Debug, Args)]
pub(super) struct ChangeArgs {
    /// Wait until what was asked for is there: exit code 1 if that fails, 3 if it is not there before `--timeout`
    #[arg(long, short)]
    wait: bool,
    /// How long to wait
    #[arg(long, value_name = "SPAN", default_value = "10m", value_parser = span::seconds)]
    timeout: Duration,
    /// Change what a file declares all the same, for a while: why
    #[arg(long = "override", value_name = "REASON", requires = "expires")]
    over: Option<String>,
    /// When an override ends, as a span or a time: `2h`, `2026-11-20T18:00:00Z`
    #[arg(long, value_name = "WHEN", requires = "over")]
    expires: Option<String>,
    /// Change what is under deployment, too, where the server locks deployments
    #[arg(long)]
    force: bool,
}

impl ChangeArgs {
    /// The query of a request that is made so.
    pub(super) fn query(&self, more: &[(&str, &str)]) -> String {
        let mut pairs: Vec<String> =
            more.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        if self.force {
            pairs.push("force=true".to_owned());
        }
        if let (Some(reason), Some(expires)) = (&self.over, &self.expires) {
            pairs.push(format!("override=true&reason={}&expires={}", encoded(reason), encoded(expires)));
        }
        if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
    }

    /// Says what was begun, and follows it where that is wanted. `answer` has the deployment; `apps` are what it changes.
    pub(super) async fn follow(
        &self,
        client: &Client,
        answer: &Value,
        apps: &[String],
        (global, terminal): (&Global, &mut Terminal),
    ) -> Result<Ended, Cause> {
        let id = answer["deploymentId"].as_str().or_else(|| answer["deployments"][0]["id"].as_str());
        let Some(id) = id else {
            terminal.json(answer)?;
            return Ok(Ended::Well);
        };
        let (ended, outcome) = if self.wait {
            wait(client, id, apps, self.timeout, terminal).await?
        } else {
            (Ended::Well, Value::Null)
        };
        if global.output == Output::Json {
            let mut shown = answer.clone();
            if self.wait {
                shown["outcome"] = outcome;
            }
            terminal.json(&shown)?;
        } else if !self.wait {
            terminal.line(&format!("deployment {id} is on its way; `ekiden deployments` shows how far"))?;
        }
        Ok(ended)
    }
}

/// Follows a deployment until it is over.
async fn wait(
    client: &Client,
    id: &str,
    apps: &[String],
    within: Duration,
    terminal: &mut Terminal,
) -> Result<(Ended, Value), Cause> {
    let deadline = Instant::now() + within;
    let mut told = String::new();
    loop {
        let all = client.json("/v2/deployments").await?;
        let Some(deployment) = all.as_array().and_then(|all| all.iter().find(|one| one["id"] == id)) else {
            break;
        };
        let now = progress(client, deployment).await?;
        if now != told {
            terminal.note(&now);
            told = now;
        }
        if Instant::now() >= deadline {
            let text = format!(
                "deployment {id} is not done within {within:?}; it goes on, and `ekiden explain` says why"
            );
            terminal.note(&terminal.toned(Tone::Bad, &text));
            return Ok((Ended::Unfinished, Value::String("unfinished".to_owned())));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let mut ended = Ended::Well;
    for app in apps {
        let history = client.json(&format!("/v1/apps{}/history", encoded(app))).await?;
        let version = history["versions"].as_array().into_iter().flatten().find(|one| one["deployment"] == id);
        let Some(outcome) = version.map(|version| &version["outcome"]) else { continue };
        match outcome["state"].as_str() {
            Some("failed") => {
                let reason = outcome["reason"].as_str().unwrap_or_default();
                terminal.note(&terminal.toned(Tone::Bad, &format!("{app}: failed: {reason}")));
                ended = Ended::Wrong;
            }
            Some("superseded") => {
                terminal.note(&terminal.toned(Tone::Pending, &format!("{app}: changed again meanwhile")));
                ended = Ended::Wrong;
            }
            _ => {}
        }
    }
    if ended == Ended::Well {
        terminal.note(&terminal.toned(Tone::Good, &format!("deployment {id} is done")));
    }
    let outcome = if ended == Ended::Well { "complete" } else { "failed" };
    Ok((ended, Value::String(outcome.to_owned())))
}

/// One line: the step, and how far each of its apps is.
async fn progress(client: &Client, deployment: &Value) -> Result<String, Cause> {
    let mut parts = Vec::new();
    let actions = deployment["currentActions"].as_array().map_or(&[][..], Vec::as_slice);
    for action in actions.iter().take(APPS_SHOWN) {
        let app = action["app"].as_str().unwrap_or_default();
        let doing = match action["action"].as_str() {
            Some("RestartApplication") => "replacing",
            Some("ScaleApplication") => "scaling",
            Some("StopApplication") => "stopping",
            _ => "starting",
        };
        let counts = match client.json(&format!("/v2/apps{}", encoded(app))).await {
            Ok(shown) => {
                let count = |name: &str| shown["app"][name].as_u64().unwrap_or(0);
                format!(
                    " ({} of {} running, {} healthy)",
                    count("tasksRunning"),
                    count("instances"),
                    count("tasksHealthy")
                )
            }
            // An app that stops is soon not there any more.
            Err(_) => String::new(),
        };
        parts.push(format!("{doing} {app}{counts}"));
    }
    if actions.len() > APPS_SHOWN {
        parts.push(format!("and {} more", actions.len() - APPS_SHOWN));
    }
    Ok(format!("step {} of {}: {}", deployment["currentStep"], deployment["totalSteps"], parts.join(", ")))
}

/// Most apps of a step that are told of one by one.
const APPS_SHOWN: usize = 5;
