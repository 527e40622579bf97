//! One flag, many spellings: `--framework-name` and `--framework_name`, `--checkpoint=false` and `--disable_checkpoint`,
//! the variable `EKIDEN_FRAMEWORK_NAME`, a line in the config file.
//!
//! The order of precedence (flag, variable, file, default) is not written down anywhere: variables are the command
//! line parser's own, and what a file sets are the flags' defaults.

use std::ffi::OsString;

use clap::parser::ValueSource;
use clap::{ArgMatches, Command};

use super::marathon;
use crate::config::{ConfigError, ConfigFile};
use crate::manifest::nearest;

/// Flags of a command that a file cannot set: they are about this one start of it.
const NOT_IN_FILES: &[&str] = &["config", "print-config", "yes", "help"];

/// Rewrites Marathon's spellings to ours, up to `--`.
pub(super) fn as_ours(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut flags_end = false;
    let one = |argument: OsString| {
        flags_end |= argument == "--";
        match argument.to_str() {
            Some(text) if !flags_end && text.starts_with("--") => flag(text).into(),
            _ => argument,
        }
    };
    arguments.into_iter().map(one).collect()
}

fn flag(text: &str) -> String {
    let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
    let name = name.replace('_', "-");
    let toggle = name.strip_prefix("--disable-").filter(|toggle| is_toggle(toggle));
    match (toggle, value) {
        (Some(toggle), None) => format!("--{toggle}=false"),
        (_, Some(value)) => format!("{name}={value}"),
        (_, None) => name,
    }
}

fn is_toggle(name: &str) -> bool {
    marathon::FLAGS.iter().any(|flag| flag.toggle && flag.name.replace('_', "-") == name)
}

/// Gives every flag of a command its variable.
pub(super) fn with_variables(command: Command) -> Command {
    command.mut_args(|argument| match argument.get_long() {
        // A help page that shows values of variables shows secrets.
        Some(name) if !argument.is_hide_set() => {
            let variable = format!("EKIDEN_{}", name.replace('-', "_").to_uppercase());
            argument.env(variable).hide_env(true).hide_env_values(true)
        }
        _ => argument,
    })
}

/// Makes what a file sets the defaults of a command's flags. Settings of `all`, the command that has every flag, do no
/// harm where there is no such flag.
pub(super) fn with_file(mut command: Command, all: &Command, file: &ConfigFile) -> Result<Command, ConfigError> {
    let path = &file.path;
    for entry in &file.entries {
        let name = entry.flag.as_str();
        let is = |argument: &&clap::Arg| argument.get_long() == Some(name);
        if is_of_one_start(name) || !all.get_arguments().any(|argument| is(&argument)) {
            let known = all.get_arguments().filter(|argument| !argument.is_hide_set());
            let known = known.filter_map(clap::Arg::get_long).filter(|name| !is_of_one_start(name));
            let nearest = nearest(name, known).map(|name| name.replace('-', "_"));
            return Err(ConfigError::Unknown { path: path.clone(), key: name.replace('-', "_"), nearest });
        }
        let Some(id) = command.get_arguments().find(is).map(|argument| argument.get_id().clone()) else {
            continue;
        };
        // Alone first, so that a mistake is told with the place where it was made.
        let alone =
            command.clone().try_get_matches_from([command.get_name(), &format!("--{name}={}", entry.text)]);
        if let Err(error) = alone {
            let text = error.to_string();
            let problem = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
            return Err(ConfigError::Value { path: path.clone(), problem });
        }
        command = command.mut_arg(id, |argument| argument.default_value(entry.text.clone()));
    }
    Ok(command)
}

/// Whether a flag is about one start of the program, and so in no file.
pub(super) fn is_of_one_start(name: &str) -> bool {
    NOT_IN_FILES.contains(&name)
}

/// Where a value comes from, for people.
pub(super) fn origin(matches: &ArgMatches, id: &str, file: Option<&ConfigFile>) -> &'static str {
    let in_file = file.is_some_and(|file| file.entries.iter().any(|entry| entry.flag.replace('-', "_") == id));
    match matches.value_source(id) {
        Some(ValueSource::CommandLine) => "flag",
        Some(ValueSource::EnvVariable) => "variable",
        Some(_) if in_file => "file",
        Some(_) => "default",
        None => "not set",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marathons_spellings_are_ours() {
        let cases = [
            ("--framework_name", "--framework-name"),
            ("--framework_name=my_name", "--framework-name=my_name"),
            ("--disable_checkpoint", "--checkpoint=false"),
            ("--disable_ha", "--ha=false"),
            ("--disable_http", "--disable-http"),
            ("my_value", "my_value"),
            ("-v", "-v"),
        ];
        for (given, expected) in cases {
            assert_eq!(as_ours([OsString::from(given)]), [OsString::from(expected)]);
        }
        let after = ["--", "--a_b"].map(OsString::from);
        assert_eq!(as_ours(after.clone()), after);
    }
}
