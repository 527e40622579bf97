//! The flags that say which Mesos, and as whom: of `serve`, and of `uninstall` when it goes there by itself.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{ArgAction, ArgMatches, Args};
use ekiden_model::Role;

use super::UsageError;
use super::marathon::Warning;
use crate::cluster::mesos::{Credentials, FrameworkOptions, MesosOptions};
use crate::span::seconds;
use crate::telemetry::Metrics;

/// Which Mesos, and as whom.
#[derive(Debug, Args)]
#[command(next_help_heading = "Mesos")]
pub(super) struct MesosArgs {
    /// Where masters are: `host:port`, several with commas, `http(s)://host:port`, or `zk://host:port,…/mesos`
    #[arg(long, value_name = "MASTER")]
    pub(super) master: Option<String>,
    /// What Mesos and its users call us. One name, one ekiden
    #[arg(long, value_name = "NAME", default_value = "ekiden")]
    pub(super) framework_name: String,
    /// The role of apps that name none
    #[arg(long, value_name = "ROLE", default_value = "*", value_parser = role)]
    mesos_role: Role,
    /// As whom tasks run that name nobody; whoever runs ekiden when not given
    #[arg(long, value_name = "USER")]
    mesos_user: Option<String>,
    /// After so long without ekiden Mesos ends all of its tasks: longer than you are ever away
    #[arg(long, value_name = "S", default_value = "604800", value_parser = seconds)]
    failover_timeout: Duration,
    /// Tasks outlive a restart of their agent's process
    #[arg(
        long, value_name = "BOOL", default_value_t = true, action = ArgAction::Set,
        num_args = 0..=1, require_equals = true, default_missing_value = "true"
    )]
    checkpoint: bool,
    /// What the names of HOST and PORT… in the environment of tasks begin with
    #[arg(long, value_name = "PREFIX", value_parser = prefix)]
    env_vars_prefix: Option<String>,
    /// The name of this machine, as others find it; the system's own when not given
    #[arg(long, value_name = "HOST")]
    hostname: Option<String>,
    /// What Mesos' page links to
    #[arg(long, value_name = "URL")]
    webui_url: Option<String>,
    /// Where people find Mesos' page; told to whoever asks `/v2/info`
    #[arg(long, value_name = "URL")]
    mesos_leader_ui_url: Option<String>,
    /// Authenticate to the master; so it is, too, when a principal is given
    #[arg(
        long, value_name = "BOOL", action = ArgAction::Set,
        num_args = 0..=1, require_equals = true, default_missing_value = "true"
    )]
    mesos_authentication: Option<bool>,
    /// As whom
    #[arg(long, value_name = "PRINCIPAL")]
    mesos_authentication_principal: Option<String>,
    /// The secret. Everybody on this machine can read it in the list of processes: better use the file
    #[arg(long, value_name = "SECRET")]
    mesos_authentication_secret: Option<String>,
    /// A file with the secret; a line break at its end does not count
    #[arg(long, value_name = "FILE")]
    mesos_authentication_secret_file: Option<PathBuf>,
    /// Certificates (PEM) to trust in place of the system's, for https://
    #[arg(long, value_name = "FILE")]
    mesos_certificate_authority: Option<PathBuf>,
}

/// The flag whose value must never be printed.
pub(super) const SECRET: &str = "mesos_authentication_secret";

impl MesosArgs {
    /// What the driver is told, and what should be said about it.
    pub(super) fn options(&self, matches: &ArgMatches) -> Result<(MesosOptions, Vec<Warning>), UsageError> {
        let mut warnings = Vec::new();
        let Some(master) = self.master.clone() else {
            return Err(UsageError::Unset { flag: "master", example: "zk://10.0.0.1:2181/mesos" });
        };
        if matches.value_source(SECRET) == Some(clap::parser::ValueSource::CommandLine) {
            let text = "--mesos_authentication_secret can be read by everybody on this machine in the list of \
                        processes: use --mesos_authentication_secret_file";
            warnings.push(Warning(text.to_owned()));
        }
        let credentials = self.credentials(&mut warnings)?;
        let framework = FrameworkOptions {
            name: self.framework_name.clone(),
            user: self.user(),
            hostname: self.hostname(),
            webui_url: self.webui_url.clone(),
            role: self.mesos_role.clone(),
            failover_timeout: self.failover_timeout,
            checkpoint: self.checkpoint,
            env_vars_prefix: self.env_vars_prefix.clone().unwrap_or_default(),
        };
        let certificate_authority = self.mesos_certificate_authority.clone();
        let metrics = Metrics::default();
        Ok((MesosOptions { master, framework, credentials, certificate_authority, metrics }, warnings))
    }

    fn credentials(&self, warnings: &mut Vec<Warning>) -> Result<Option<Credentials>, UsageError> {
        let secret = match (&self.mesos_authentication_secret, &self.mesos_authentication_secret_file) {
            (Some(_), Some(_)) => return Err(UsageError::TwoSecrets),
            (Some(secret), None) => Some(secret.clone()),
            (None, Some(file)) => Some(secret_in(file, warnings)?),
            (None, None) => None,
        };
        if self.mesos_authentication == Some(false) {
            return Ok(None);
        }
        match (&self.mesos_authentication_principal, secret) {
            (Some(principal), Some(secret)) => {
                Ok(Some(Credentials { principal: principal.clone(), secret: secret.into() }))
            }
            (Some(_), None) => {
                Err(UsageError::Unset { flag: "mesos_authentication_secret_file", example: "/etc/ekiden/secret" })
            }
            (None, None) if self.mesos_authentication.is_none() => Ok(None),
            (None, _) => Err(UsageError::Unset { flag: "mesos_authentication_principal", example: "ekiden" }),
        }
    }

    fn user(&self) -> String {
        self.mesos_user.clone().unwrap_or_else(own_user)
    }

    /// Where others find this machine.
    pub(super) fn hostname(&self) -> String {
        let own = || rustix::system::uname().nodename().to_string_lossy().into_owned();
        self.hostname.clone().unwrap_or_else(own)
    }

    /// What `/v2/info` says about it.
    pub(super) fn shown(&self) -> [(&'static str, serde_json::Value); 10] {
        [
            ("master", self.master.as_deref().map(redacted).into()),
            ("framework_name", self.framework_name.clone().into()),
            ("mesos_role", self.mesos_role.as_str().into()),
            ("mesos_user", self.user().into()),
            ("failover_timeout", self.failover_timeout.as_secs().into()),
            ("checkpoint", self.checkpoint.into()),
            ("env_vars_prefix", self.env_vars_prefix.clone().into()),
            ("hostname", self.hostname().into()),
            ("webui_url", self.webui_url.clone().into()),
            ("mesos_leader_ui_url", self.mesos_leader_ui_url.clone().into()),
        ]
    }
}

fn role(text: &str) -> Result<Role, &'static str> {
    let is_role = !text.is_empty() && !text.starts_with('-') && !text.contains(char::is_whitespace);
    is_role.then(|| Role::new(text)).ok_or("a role is a word, as in `--mesos_role prod`, or * for the default one")
}

fn prefix(text: &str) -> Result<String, &'static str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let begins_well = !text.starts_with(|c: char| c.is_ascii_digit());
    (begins_well && text.chars().all(is_name))
        .then(|| text.to_owned())
        .ok_or("a variable's name is made of letters, digits and _, as in `--env_vars_prefix MESOS_`")
}

/// An address without the password in it: `zk://user:***@host:2181/mesos`.
pub(super) fn redacted(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else { return address.to_owned() };
    match rest.rsplit_once('@') {
        Some((who, host)) => format!("{scheme}://{}:***@{host}", who.split(':').next().unwrap_or_default()),
        None => address.to_owned(),
    }
}

fn secret_in(file: &Path, warnings: &mut Vec<Warning>) -> Result<String, UsageError> {
    let unreadable = |source| UsageError::Secret { file: file.to_owned(), source };
    let mode = std::fs::metadata(file).map_err(unreadable)?.permissions().mode();
    if mode & 0o007 != 0 {
        let shown = file.display();
        warnings
            .push(Warning(format!("everybody on this machine may read the secret in {shown}: chmod 600 {shown}")));
    }
    let secret = std::fs::read_to_string(file).map_err(unreadable)?;
    let secret = secret.strip_suffix('\n').unwrap_or(&secret);
    Ok(secret.strip_suffix('\r').unwrap_or(secret).to_owned())
}

/// Who runs this process, as Mesos wants to know it: by name.
fn own_user() -> String {
    let id = rustix::process::geteuid().as_raw().to_string();
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let mut accounts = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let name = accounts.find_map(|fields| (fields.get(2) == Some(&id.as_str())).then(|| fields[0].to_owned()));
    name.or_else(|| std::env::var("USER").ok()).unwrap_or_else(|| "root".to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(redacted("zk://ann:p@ss@h:2181,i:2181/mesos"), "zk://ann:***@h:2181,i:2181/mesos");
        assert_eq!(redacted("zk://h:2181/mesos"), "zk://h:2181/mesos");
        assert_eq!(redacted("h:5050"), "h:5050");
    }

    #[test]
    fn a_prefix_makes_names_that_a_variable_can_have() {
        for (text, is_one) in
            [("", true), ("MESOS_", true), ("_2", true), ("2_", false), ("A-", false), ("A=", false)]
        {
            assert_eq!(prefix(text).is_ok(), is_one, "{text}");
        }
    }

    #[test]
    fn a_secret_that_everybody_may_read_is_taken_with_a_warning() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("secret");
        std::fs::write(&file, " hush \r\n").expect("written");
        for (mode, expected) in [(0o600, 0), (0o640, 0), (0o644, 1)] {
            std::fs::set_permissions(&file, Permissions::from_mode(mode)).expect("ours");
            let mut warnings = Vec::new();
            assert_eq!(secret_in(&file, &mut warnings).expect("readable"), " hush ");
            assert_eq!(warnings.len(), expected, "{mode:o}");
            assert!(!format!("{warnings:?}").contains("hush"));
        }
    }
}
