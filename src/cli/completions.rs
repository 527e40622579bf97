//! `ekiden completions SHELL`

use clap::Args;
use clap_complete::Shell;

use super::Ended;
use super::terminal::Terminal;
use crate::runtime::tasks::Cause;

/// Print a script that completes ekiden's command line in a shell.
#[derive(Debug, Args)]
#[command(after_help = "For bash: ekiden completions bash > /etc/bash_completion.d/ekiden\n\
    For zsh:  ekiden completions zsh > ~/.zfunc/_ekiden\n\
    For fish: ekiden completions fish > ~/.config/fish/completions/ekiden.fish")]
pub(super) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

/// Prints it.
pub(super) fn run(args: &CompletionsArgs, terminal: &mut Terminal) -> Result<Ended, Cause> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::command(), "ekiden", &mut script);
    terminal.print(script)?;
    Ok(Ended::Well)
}
