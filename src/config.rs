//! The config file (`--config FILE`): flags, written down. TOML, flat, with the flags' names; underscores and hyphens are
//! the same. Which names there are and what their values mean is the command line's business, not this module's.
//!
//! ```toml
//! master = "zk://10.0.0.1:2181,10.0.0.2:2181/mesos"
//! manifests = "/srv/apps"
//! state = "/var/lib/ekiden"
//! failover_timeout = "7d"
//! ```

use std::path::{Path, PathBuf};

use toml::{Table, Value};

/// A config file that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigFile {
    /// Where it is.
    pub path: PathBuf,
    /// What it sets, by name, in the order of the names.
    pub entries: Vec<Entry>,
}

/// One line of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The flag's name, with hyphens.
    pub flag: String,
    /// Its value, as one would write it on the command line.
    pub text: String,
}

/// Why a config file cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// There is none, or it is not for us to read.
    #[error("the config file {} cannot be read", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is no TOML.
    #[error("the config file {} is no TOML: {problem}", path.display())]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// Where, and what.
        problem: String,
    },
    /// A value that no flag has.
    #[error("{}: `{key}` is {found}: write a text, a number, true or false, or a list of them", path.display())]
    Kind {
        /// Which file.
        path: PathBuf,
        /// Which key.
        key: String,
        /// What it is.
        found: &'static str,
    },
    /// No flag is called so.
    #[error("{}: there is no setting `{key}`{}; `ekiden serve --help` lists them", path.display(), meant(nearest.as_deref()))]
    Unknown {
        /// Which file.
        path: PathBuf,
        /// Which key.
        key: String,
        /// What it was probably meant to be.
        nearest: Option<String>,
    },
    /// A value that its flag does not take.
    #[error("{}: {problem}", path.display())]
    Value {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
}

fn meant(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |nearest| format!(", did you mean `{nearest}`?"))
}

impl ConfigFile {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        Self::parse(path, &text)
    }

    fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let table: Table = text.parse().map_err(|error: toml::de::Error| ConfigError::Syntax {
            path: path.to_owned(),
            problem: error.to_string(),
        })?;
        let entries = table.iter().map(|(key, value)| {
            let text = text_of(value).map_err(|found| ConfigError::Kind {
                path: path.to_owned(),
                key: key.clone(),
                found,
            })?;
            Ok(Entry { flag: key.replace('_', "-"), text })
        });
        Ok(Self { path: path.to_owned(), entries: entries.collect::<Result<_, _>>()? })
    }
}

/// A value as one would write it on the command line: lists with commas.
fn text_of(value: &Value) -> Result<String, &'static str> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Integer(number) => Ok(number.to_string()),
        Value::Float(number) => Ok(number.to_string()),
        Value::Boolean(yes) => Ok(yes.to_string()),
        Value::Array(values) => {
            let texts: Result<Vec<String>, _> = values.iter().map(text_of).collect();
            texts.map(|texts| texts.join(","))
        }
        Value::Datetime(_) => Err("a date"),
        Value::Table(_) => Err("a table"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Vec<(String, String)>, String> {
        let file = ConfigFile::parse(Path::new("ekiden.toml"), text).map_err(|error| error.to_string())?;
        Ok(file.entries.into_iter().map(|entry| (entry.flag, entry.text)).collect())
    }

    #[test]
    fn values_are_what_one_would_write_on_the_command_line() {
        let text =
            "master = [\"a:5050\", \"b:5050\"]\nhttp_port = 8081\ncheckpoint = false\nfailover-timeout = \"7d\"";
        let expected = [
            ("checkpoint", "false"),
            ("failover-timeout", "7d"),
            ("http-port", "8081"),
            ("master", "a:5050,b:5050"),
        ];
        let mut parsed = parse(text).expect("well-formed");
        parsed.sort();
        assert_eq!(parsed, expected.map(|(flag, text)| (flag.to_owned(), text.to_owned())));
    }

    #[test]
    fn what_cannot_be_a_flag_is_refused_with_its_place() {
        assert!(parse("[mesos]\nmaster = 1").expect_err("a table").starts_with("ekiden.toml: `mesos` is a table"));
        let error = parse("master = zk://x").expect_err("no TOML");
        assert!(error.contains("line 1"), "{error}");
    }
}
