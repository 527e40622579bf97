//! One credential: a name, what it may do, and a secret of which only a hash is kept.
//!
//! A line of the file is `NAME SCOPE HASH`. The hash of a password is argon2's in its usual form (`$argon2id$…`); that of
//! a token is `sha256:` and 64 hexadecimal digits, which is enough for 256 random bits and cheap to check.

use std::fmt;
use std::fmt::Write as _;
use std::str::FromStr;

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Argon2, Params};
use base64::Engine;
use sha2::{Digest, Sha256};

/// How tokens begin, so that whoever finds one in a log knows whose it is.
const TOKEN_PREFIX: &str = "ekiden_";

/// How a token's hash begins.
const TOKEN_HASH: &str = "sha256:";

/// The longest name.
const NAME_MAX: usize = 64;

/// The dearest hash that is checked: memory in KiB, passes, lanes. Dearer ones would let every caller stop us.
const DEAREST: (u32, u32, u32) = (256 << 10, 16, 16);

/// What a credential may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Read everything.
    Read,
    /// Read and change everything.
    Write,
}

/// One credential. It is shown without its secret.
#[derive(Clone)]
pub struct Credential {
    /// Whose it is.
    pub name: String,
    /// What it may do.
    pub scope: Scope,
    pub(super) secret: Secret,
}

/// The hash of a secret.
#[derive(Clone)]
pub(super) enum Secret {
    /// Of a password, in argon2's form.
    Password(String),
    /// Of a token.
    Token([u8; 32]),
    /// Of a password that was given to the process itself, and so needs no slow hash: salt and digest.
    Given([u8; 32], [u8; 32]),
}

/// A new credential, and its token if it has one: nobody can be told it again.
pub struct Minted {
    /// The credential.
    pub credential: Credential,
    /// The token.
    pub token: Option<String>,
}

/// Why a text is no credential. No part of a secret is told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// Not three words.
    #[error("a line is `NAME SCOPE HASH`: make one with `ekiden credential NAME --scope read`")]
    Form,
    /// A name that no client could send.
    #[error("a name has 1 to {NAME_MAX} letters, digits or `-_.@`")]
    Name,
    /// A scope that there is not.
    #[error("the scope is `read` or `write`, not `{0}`")]
    Scope(String),
    /// A hash that is none.
    #[error(
        "the hash is neither argon2's (`$argon2id$…`) nor a token's (`sha256:` and 64 digits): make the line with `ekiden credential`"
    )]
    Hash,
    /// A hash that takes too long.
    #[error("the password's hash is too dear to check at every request: make the line with `ekiden credential`")]
    Dear,
    /// `user:password` without the colon, or without one of them.
    #[error("write it as `user:password`")]
    Pair,
    /// An empty password.
    #[error("the password is empty")]
    Empty,
    /// The system has no randomness.
    #[error("the system gives no random numbers: {0}")]
    Random(String),
}

impl Scope {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

impl FromStr for Scope {
    type Err = CredentialError;

    fn from_str(text: &str) -> Result<Self, CredentialError> {
        match text {
            "read" => Ok(Self::Read),
            "write" => Ok(Self::Write),
            other => Err(CredentialError::Scope(other.chars().take(20).collect())),
        }
    }
}

impl Credential {
    /// A credential with a password, hashed slowly.
    pub fn with_password(name: &str, scope: Scope, password: &str) -> Result<Minted, CredentialError> {
        let name = checked(name)?;
        if password.is_empty() {
            return Err(CredentialError::Empty);
        }
        let salt = SaltString::encode_b64(&random::<16>()?).map_err(|_| CredentialError::Hash)?;
        let hash = Argon2::default().hash_password(password.as_bytes(), &salt);
        let secret = Secret::Password(hash.map_err(|_| CredentialError::Hash)?.to_string());
        Ok(Minted { credential: Self { name, scope, secret }, token: None })
    }

    /// A credential with a new token.
    pub fn with_token(name: &str, scope: Scope) -> Result<Minted, CredentialError> {
        let name = checked(name)?;
        let bits = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(random::<32>()?);
        let token = format!("{TOKEN_PREFIX}{bits}");
        let secret = Secret::Token(digest(&[token.as_bytes()]));
        Ok(Minted { credential: Self { name, scope, secret }, token: Some(token) })
    }

    /// Marathon's one credential, `user:password`, who may do everything.
    pub fn given(pair: &str) -> Result<Self, CredentialError> {
        let (name, password) = pair.split_once(':').ok_or(CredentialError::Pair)?;
        if name.is_empty() || password.is_empty() {
            return Err(CredentialError::Pair);
        }
        let salt = random::<32>()?;
        let secret = Secret::Given(salt, digest(&[&salt, password.as_bytes()]));
        Ok(Self { name: name.to_owned(), scope: Scope::Write, secret })
    }

    /// The line for the file.
    pub fn line(&self) -> String {
        let hash = match &self.secret {
            Secret::Password(hash) => hash.clone(),
            Secret::Token(digest) | Secret::Given(_, digest) => format!("{TOKEN_HASH}{}", hex(digest)),
        };
        format!("{} {} {hash}", self.name, self.scope.word())
    }
}

impl FromStr for Credential {
    type Err = CredentialError;

    fn from_str(line: &str) -> Result<Self, CredentialError> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, scope, hash] = words.as_slice() else { return Err(CredentialError::Form) };
        Ok(Self { name: checked(name)?, scope: scope.parse()?, secret: hash.parse()? })
    }
}

impl FromStr for Secret {
    type Err = CredentialError;

    fn from_str(text: &str) -> Result<Self, CredentialError> {
        if let Some(digits) = text.strip_prefix(TOKEN_HASH) {
            return unhex(digits).map(Self::Token).ok_or(CredentialError::Hash);
        }
        let hash = PasswordHash::new(text).map_err(|_| CredentialError::Hash)?;
        if !hash.algorithm.as_str().starts_with("argon2") || hash.hash.is_none() {
            return Err(CredentialError::Hash);
        }
        let params = Params::try_from(&hash).map_err(|_| CredentialError::Hash)?;
        let (memory, passes, lanes) = DEAREST;
        if params.m_cost() > memory || params.t_cost() > passes || params.p_cost() > lanes {
            return Err(CredentialError::Dear);
        }
        Ok(Self::Password(text.to_owned()))
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("name", &self.name).field("scope", &self.scope).finish_non_exhaustive()
    }
}

/// Whether the password is the one that was hashed. Takes as long for a wrong one.
pub(super) fn is_password(hash: &str, password: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

/// The digest of some texts, one after the other.
pub(super) fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// Whether two digests are the same, in a time that does not tell where they differ.
pub(super) fn is_same(a: &[u8; 32], b: &[u8; 32]) -> bool {
    std::hint::black_box(a.iter().zip(b).fold(0, |differ, (a, b)| differ | (a ^ b))) == 0
}

/// Bytes that nobody can guess.
pub(super) fn random<const N: usize>() -> Result<[u8; N], CredentialError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| CredentialError::Random(error.to_string()))?;
    Ok(bytes)
}

fn checked(name: &str) -> Result<String, CredentialError> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.@".contains(c);
    let fits = (1..=NAME_MAX).contains(&name.len()) && name.chars().all(is_plain);
    fits.then(|| name.to_owned()).ok_or(CredentialError::Name)
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(index * 2..index * 2 + 2)?, 16).ok()?;
    }
    Some(bytes)
}
