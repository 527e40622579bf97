//! All credentials that are good: read from their sources, and what was found to be right since.

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::CredentialSources;
use super::credential::{self, Credential, CredentialError, Scope, Secret, digest, is_password, is_same};

/// The largest file: some ten thousand lines.
const FILE_MAX_BYTES: u64 = 1 << 20;

/// Most passwords remembered as right. When there are more, all are forgotten and hashed once more.
const REMEMBERED: usize = 1024;

/// Why credentials cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// There is no file, or it is not for us to read.
    #[error("the credentials in {} cannot be read", .0.display())]
    Unreadable(PathBuf, #[source] std::io::Error),
    /// A file that holds something else.
    #[error("{} is larger than {} KiB: that is no file of credentials", .0.display(), FILE_MAX_BYTES >> 10)]
    Large(PathBuf),
    /// A line that is none.
    #[error("{}:{line}", path.display())]
    Line {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong.
        source: CredentialError,
    },
    /// Two credentials of one name.
    #[error("{}:{line}: there is a credential `{name}` already: remove one, or give it another name", path.display())]
    Twice {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// Whose.
        name: String,
    },
    /// Nobody could do anything.
    #[error("{} names nobody: add a line made with `ekiden credential NAME --scope write`", .0.display())]
    Empty(PathBuf),
    /// The system has no randomness.
    #[error(transparent)]
    Random(CredentialError),
}

/// What can be said of a name and password without the slow hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// It is right.
    Right(Scope),
    /// It is wrong.
    Wrong,
    /// The slow hash will tell.
    NotYet,
}

/// All that are good.
pub(super) struct Credentials {
    by_name: HashMap<String, Credential>,
    by_token: HashMap<[u8; 32], (Arc<str>, Scope)>,
    /// A hash to be checked for names that there are not, so that the time taken does not tell which there are.
    any_password: Option<String>,
    key: [u8; 32],
    right: Mutex<HashSet<[u8; 32]>>,
}

impl Credentials {
    /// Reads them.
    pub(super) fn read(sources: &CredentialSources) -> Result<Self, CredentialsError> {
        let key = credential::random().map_err(CredentialsError::Random)?;
        let mut all = Self {
            by_name: HashMap::new(),
            by_token: HashMap::new(),
            any_password: None,
            key,
            right: Mutex::default(),
        };
        if let Some(single) = &sources.single {
            all.by_name.insert(single.name.clone(), single.clone());
        }
        if let Some(path) = &sources.file {
            all.add_file(path)?;
        }
        Ok(all)
    }

    fn add_file(&mut self, path: &Path) -> Result<(), CredentialsError> {
        let text = text_of(path)?;
        let mut lines = 0;
        for (index, line) in text.lines().enumerate() {
            let (line, number) = (line.trim(), index + 1);
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let credential: Credential = line.parse().map_err(|source| CredentialsError::Line {
                path: path.to_owned(),
                line: number,
                source,
            })?;
            lines += 1;
            match &credential.secret {
                Secret::Password(hash) => self.any_password = Some(hash.clone()),
                Secret::Token(digest) => {
                    let name = credential.name.as_str().into();
                    self.by_token.insert(*digest, (name, credential.scope));
                }
                Secret::Given(..) => {}
            }
            let name = credential.name.clone();
            if self.by_name.insert(name.clone(), credential).is_some() {
                return Err(CredentialsError::Twice { path: path.to_owned(), line: number, name });
            }
        }
        if lines == 0 { Err(CredentialsError::Empty(path.to_owned())) } else { Ok(()) }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Who has this token, and may do what.
    pub(super) fn of_token(&self, token: &str) -> Option<(Arc<str>, Scope)> {
        // Found by its digest, of which nobody can choose a part: the time of the look-up tells nothing.
        self.by_token.get(&digest(&[token.as_bytes()])).cloned()
    }

    /// What can be said at once.
    pub(super) fn known(&self, name: &str, password: &str) -> Known {
        let Some(credential) = self.by_name.get(name) else {
            return if self.any_password.is_some() { Known::NotYet } else { Known::Wrong };
        };
        let is_right = match &credential.secret {
            Secret::Token(token) => is_same(token, &digest(&[password.as_bytes()])),
            Secret::Given(salt, given) => is_same(given, &digest(&[salt, password.as_bytes()])),
            Secret::Password(_) => {
                let right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
                if !right.contains(&self.trace(name, password)) {
                    return Known::NotYet;
                }
                true
            }
        };
        if is_right { Known::Right(credential.scope) } else { Known::Wrong }
    }

    /// Hashes the password, slowly, and says what it allows. One that is right is remembered.
    pub(super) fn verify(&self, name: &str, password: &str) -> Option<Scope> {
        let credential = self.by_name.get(name);
        let hash = match credential.map(|credential| &credential.secret) {
            Some(Secret::Password(hash)) => Some(hash),
            Some(Secret::Token(_) | Secret::Given(..)) | None => self.any_password.as_ref(),
        };
        let is_right = hash.is_some_and(|hash| is_password(hash, password));
        let credential =
            credential.filter(|credential| matches!(credential.secret, Secret::Password(_)) && is_right)?;
        let mut right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        if right.len() >= REMEMBERED {
            right.clear();
        }
        right.insert(self.trace(name, password));
        Some(credential.scope)
    }

    /// What is remembered of a name and password: nothing that is of use without our key, which ends with the process.
    fn trace(&self, name: &str, password: &str) -> [u8; 32] {
        digest(&[&self.key, &name.len().to_be_bytes(), name.as_bytes(), password.as_bytes()])
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("names", &self.by_name.keys()).finish_non_exhaustive()
    }
}

/// An error with its causes, on one line.
pub(super) fn told(error: &CredentialsError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

fn text_of(path: &Path) -> Result<String, CredentialsError> {
    let unreadable = |error| CredentialsError::Unreadable(path.to_owned(), error);
    let metadata = fs::metadata(path).map_err(unreadable)?;
    if metadata.len() > FILE_MAX_BYTES {
        return Err(CredentialsError::Large(path.to_owned()));
    }
    if metadata.permissions().mode() & 0o007 != 0 {
        tracing::warn!(
            file = %path.display(),
            "everybody on this machine can reach the credentials: `chmod o= {}`",
            path.display()
        );
    }
    fs::read_to_string(path).map_err(unreadable)
}
