//! `docs/flags.md`, written from the flags themselves, so that it cannot say anything else.

use std::fmt::Write as _;

use clap::Arg;

use super::exit::Exit;
use super::marathon::{FLAGS, Fate};

const HEAD: &str = "\
# Flags of `ekiden serve`

This page is written from the program's own tables by a test; edit `src/cli/serve.rs`, the modules beside it
whose flags it takes in, and `src/cli/marathon.rs` instead.

Each flag may be spelled with hyphens or with underscores (`--framework-name`, `--framework_name`), set by a variable
(`EKIDEN_FRAMEWORK_NAME=…`), or written into the config file (`framework_name = \"…\"` in the TOML file given with
`--config`). A flag wins over a variable, a variable over the file, the file over the default. What is on or off is
`--checkpoint`, `--checkpoint=false` or `--disable_checkpoint`. Spans of time are plain numbers in the unit shown, or say
their own: `500ms`, `30s`, `5m`, `12h`, `7d`. In the file, an unknown name is an error; `ekiden serve --print-config` shows
what would be used, and where each value comes from. Variables called `MARATHON_*` are not read; those that Marathon
would have read are named in a warning.

";

const MARATHON: &str = "
## Marathon's flags

All flags of Marathon 1.11, and some that earlier ones had. *Kept* means the same here. *Needless* ones are taken with a
warning: what they tune does not exist here. *Missing* ones are refused, unless their value asks for nothing.

| flag of Marathon | here | |
|---|---|---|
";

fn page() -> String {
    let mut text = HEAD.to_owned();
    text.push_str("| flag | default | what it says |\n|---|---|---|\n");
    let command = super::command();
    let serve = command.find_subcommand("serve").expect("a command");
    for argument in serve.get_arguments().filter(|argument| !argument.is_hide_set()) {
        text.push_str(&row(argument));
    }
    text.push_str(MARATHON);
    for flag in FLAGS {
        let (fate, why) = match flag.fate {
            Fate::Kept => ("kept", String::new()),
            Fate::Needless(why) => ("needless", why.to_owned()),
            Fate::Missing(harmless, instead) => ("missing", missing(harmless, instead)),
        };
        let _ = writeln!(text, "| `{}` | {fate} | {} |", flag.name, escaped(&why));
    }
    text.push_str("\n## Exit codes\n\n| code | meaning |\n|---|---|\n");
    for exit in Exit::ALL {
        let _ = writeln!(text, "| {} | {} |", exit.code(), exit.meaning());
    }
    text
}

fn row(argument: &Arg) -> String {
    let name = argument.get_long().unwrap_or_default().replace('-', "_");
    let value = argument.get_value_names().filter(|_| argument.get_action().takes_values());
    let value = value.and_then(|names| names.first()).map_or_else(String::new, |value| format!(" {value}"));
    let default = argument.get_default_values().first().map(|value| format!("`{}`", value.to_string_lossy()));
    let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
    format!("| `--{name}{value}` | {} | {} |\n", default.unwrap_or_default(), escaped(&help))
}

/// What is said of a flag that is refused.
pub(super) fn missing(harmless: &[&str], instead: &str) -> String {
    let harmless: Vec<String> =
        harmless.iter().filter(|value| !value.is_empty()).map(|value| format!("`{value}`")).collect();
    if harmless.is_empty() { instead.to_owned() } else { format!("{instead} ({} is taken)", harmless.join(", ")) }
}

/// A cell of a table ends at a bar.
fn escaped(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

#[test]
fn the_page_of_flags_says_what_the_flags_are() {
    expectorate::assert_contents("docs/flags.md", &page());
}
