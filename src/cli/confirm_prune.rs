//! `ekiden confirm-prune`

use super::client::Client;
use super::terminal::Terminal;
use super::validate::counted;
use super::{Ended, Global, Output};
use crate::runtime::tasks::Cause;

/// Confirms that the apps whose files have vanished shall stop.
pub(super) async fn run(global: &Global, terminal: &mut Terminal) -> Result<Ended, Cause> {
    let answer = Client::new(global)?.post("/v1/directory/confirm-prune").await?;
    if global.output == Output::Json {
        terminal.json(&answer)?;
        return Ok(Ended::Well);
    }
    match answer["stopping"].as_u64().and_then(|count| usize::try_from(count).ok()) {
        None | Some(0) => terminal.line("nothing waits for this: all apps that run have their files")?,
        Some(count) => terminal.line(&format!("{} will stop", counted(count, "app")))?,
    }
    Ok(Ended::Well)
}
