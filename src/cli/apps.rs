//! `ekiden delete`, `scale`, `restart`, `rollback` and `keep`: changes of apps by their ids.

use clap::Args;
use http::Method;
use serde_json::{Value, json};

use super::client::{Client, encoded};
use super::rollout::ChangeArgs;
use super::terminal::Terminal;
use super::{Ended, Global};
use crate::runtime::tasks::Cause;

/// Remove apps, and stop all of their instances.
#[derive(Debug, Args)]
pub(super) struct DeleteArgs {
    /// The apps
    #[arg(value_name = "APP", required = true)]
    apps: Vec<String>,
    #[command(flatten)]
    change: ChangeArgs,
}

/// Change how many instances an app has.
#[derive(Debug, Args)]
pub(super) struct ScaleArgs {
    /// The app
    #[arg(value_name = "APP")]
    app: String,
    /// How many instances; `+2` and `-2` are so many more or fewer than declared
    #[arg(value_name = "COUNT", allow_hyphen_values = true)]
    count: String,
    #[command(flatten)]
    change: ChangeArgs,
}

/// Replace all instances of an app, within the limits of its upgrade strategy.
#[derive(Debug, Args)]
pub(super) struct RestartArgs {
    /// The app
    #[arg(value_name = "APP")]
    app: String,
    #[command(flatten)]
    change: ChangeArgs,
}

/// Go back to an earlier version of an app.
#[derive(Debug, Args)]
#[command(after_help = "`ekiden history APP` lists the versions.")]
pub(super) struct RollbackArgs {
    /// The app
    #[arg(value_name = "APP")]
    app: String,
    /// The version; the one before the present one when not given
    #[arg(long, value_name = "VERSION")]
    to: Option<String>,
    #[command(flatten)]
    change: ChangeArgs,
}

/// Let an app stay when its file goes: from then on the API declares it. Nothing restarts.
#[derive(Debug, Args)]
pub(super) struct KeepArgs {
    /// The app
    #[arg(value_name = "APP")]
    app: String,
}

/// What cannot be meant.
#[derive(Debug, thiserror::Error)]
enum AppsError {
    #[error("`{0}` is no number of instances: write `5`, `+2` or `-2`")]
    Count(String),
    #[error("{0} has no earlier version that is remembered")]
    NothingEarlier(String),
}

/// The id as the server writes it.
pub(super) fn absolute(app: &str) -> String {
    format!("/{}", app.trim_matches('/'))
}

/// Removes apps, one after the other.
pub(super) async fn delete(args: &DeleteArgs, global: &Global, terminal: &mut Terminal) -> Result<Ended, Cause> {
    let client = Client::new(global)?;
    let mut ended = Ended::Well;
    for app in &args.apps {
        let app = absolute(app);
        let path = format!("/v2/apps{}{}", encoded(&app), args.change.query(&[]));
        let answer = client.delete(&path).await?;
        let one = args.change.follow(&client, &answer, &[app], (global, terminal)).await?;
        if one != Ended::Well {
            ended = one;
        }
    }
    Ok(ended)
}

/// Scales an app.
pub(super) async fn scale(args: &ScaleArgs, global: &Global, terminal: &mut Terminal) -> Result<Ended, Cause> {
    let client = Client::new(global)?;
    let app = absolute(&args.app);
    let wrong = || AppsError::Count(args.count.clone());
    let instances = match args
        .count
        .strip_prefix('+')
        .map(|more| (1, more))
        .or(args.count.strip_prefix('-').map(|fewer| (-1, fewer)))
    {
        None => args.count.parse::<i64>().map_err(|_| wrong())?,
        Some((sign, by)) => {
            let now = client.json(&format!("/v2/apps{}", encoded(&app))).await?;
            let by = by.parse::<i64>().map_err(|_| wrong())?;
            (now["app"]["instances"].as_i64().unwrap_or(0) + sign * by).max(0)
        }
    };
    change(&client, &app, &json!({ "instances": instances }), &args.change, (global, terminal)).await
}

/// Restarts an app.
pub(super) async fn restart(args: &RestartArgs, global: &Global, terminal: &mut Terminal) -> Result<Ended, Cause> {
    let client = Client::new(global)?;
    let app = absolute(&args.app);
    let path = format!("/v2/apps{}/restart{}", encoded(&app), args.change.query(&[]));
    let answer = client.post(&path).await?;
    args.change.follow(&client, &answer, &[app], (global, terminal)).await
}

/// Goes back.
pub(super) async fn rollback(
    args: &RollbackArgs,
    global: &Global,
    terminal: &mut Terminal,
) -> Result<Ended, Cause> {
    let client = Client::new(global)?;
    let app = absolute(&args.app);
    let version = if let Some(version) = &args.to {
        version.clone()
    } else {
        let versions = client.json(&format!("/v2/apps{}/versions", encoded(&app))).await?;
        let before = versions["versions"][1].as_str().map(str::to_owned);
        before.ok_or_else(|| AppsError::NothingEarlier(app.clone()))?
    };
    change(&client, &app, &json!({ "version": version }), &args.change, (global, terminal)).await
}

/// Lets an app outlive its file.
pub(super) async fn keep(args: &KeepArgs, global: &Global, terminal: &mut Terminal) -> Result<Ended, Cause> {
    let app = absolute(&args.app);
    Client::new(global)?.post(&format!("/v1/apps{}/keep", encoded(&app))).await?;
    terminal.note(&format!("{app} stays when its file goes: remove it from the file now"));
    Ok(Ended::Well)
}

async fn change(
    client: &Client,
    app: &str,
    update: &Value,
    args: &ChangeArgs,
    out: (&Global, &mut Terminal),
) -> Result<Ended, Cause> {
    let path = format!("/v2/apps{}{}", encoded(app), args.query(&[]));
    // Only an app that there is can be meant: PUT would make one.
    let answer = client.write(Method::PATCH, &path, Some(update)).await?;
    args.follow(client, &answer, &[app.to_owned()], out).await
}
