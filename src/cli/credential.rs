//! `ekiden credential NAME --scope read|write`

use std::io::{self, IsTerminal, Read};

use clap::{Args, ValueEnum};
use serde_json::json;

use super::terminal::Terminal;
use super::{Ended, Global, Output, UsageError};
use crate::api::access::{Credential, Scope};
use crate::runtime::signals::Signals;
use crate::runtime::tasks::Cause;

/// The longest password read: a line of it.
const PASSWORD_MAX_BYTES: u64 = 4096;

/// What `ekiden credential` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    ekiden credential ann --scope write >> /etc/ekiden/credentials     asks for the password\n  \
    ekiden credential ci --scope read --token >> /etc/ekiden/credentials\n                                                            \
    makes a token, and shows it once\n\n\
    The password is read from the terminal, or from stdin where there is none. Only its hash is in the line. A running\n\
    `ekiden serve --http-credentials-file /etc/ekiden/credentials` takes the line up by itself.")]
pub(super) struct CredentialArgs {
    /// Whose it is: letters, digits and `-_.@`
    name: String,
    /// What it may do
    #[arg(long, value_enum)]
    scope: Allowed,
    /// Make a token for a program, in place of a password
    #[arg(long)]
    token: bool,
}

/// What a credential may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Allowed {
    /// Read everything
    Read,
    /// Read and change everything
    Write,
}

/// Prints the line for the file; beside it the token, which nobody can be told again.
pub(super) async fn run(args: &CredentialArgs, global: &Global, terminal: &mut Terminal) -> Result<Ended, Cause> {
    let scope = match args.scope {
        Allowed::Read => Scope::Read,
        Allowed::Write => Scope::Write,
    };
    let minted = if args.token {
        Credential::with_token(&args.name, scope)
    } else {
        Credential::with_password(&args.name, scope, &password(terminal).await?)
    };
    let minted = minted.map_err(UsageError::Credentials)?;
    let line = minted.credential.line();
    if global.output == Output::Json {
        terminal.json(&json!({ "line": line, "token": minted.token }))?;
        return Ok(Ended::Well);
    }
    terminal.line(&line)?;
    if let Some(token) = minted.token {
        terminal.note(&format!("the token, which is not shown again: {token}"));
    }
    Ok(Ended::Well)
}

async fn password(terminal: &Terminal) -> Result<String, Cause> {
    if io::stdin().is_terminal() {
        // From now on no signal ends the process before the terminal is as it was.
        let mut signals = Signals::new()?;
        let password = terminal.ask_secretly("password: ", &mut signals).await?;
        let again = terminal.ask_secretly("again: ", &mut signals).await?;
        return if password == again { Ok(password) } else { Err(UsageError::Differ.into()) };
    }
    let mut text = String::new();
    io::stdin().take(PASSWORD_MAX_BYTES).read_to_string(&mut text)?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
