//! Who may ask for what: credentials, and the answer to whoever lacks them.
//!
//! A caller gives a name and a password, or a token. Both are kept as hashes only. Passwords are hashed slowly
//! (argon2id), off the threads that answer, few at a time; one that was right is remembered by a keyed digest, so that a
//! client that asks a thousand times a second pays once. What a route needs is said by the table of routes; this
//! module reads no path.

mod attempts;
mod credential;
mod file;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use base64::Engine;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use tokio::sync::Semaphore;

use super::follow::Followed;
use super::reply::{self, Response};
use super::route::Need;
use attempts::Attempts;
pub use credential::{Credential, CredentialError, Minted, Scope};
pub use file::CredentialsError;
use file::{Credentials, Known};

/// Most passwords hashed at once: each takes some 20 MiB and some ten milliseconds of a core.
const HASHED_AT_ONCE: usize = 2;

/// Most callers that wait for their password to be hashed; further ones are told to come back.
const WAITING: usize = 64;

/// Where credentials come from.
#[derive(Debug, Clone, Default)]
pub struct CredentialSources {
    /// A file with one a line (`--http-credentials-file`).
    pub file: Option<PathBuf>,
    /// Marathon's one (`--http_credentials user:password`), who may do everything.
    pub single: Option<Credential>,
}

impl CredentialSources {
    /// Whether there are any.
    pub fn is_empty(&self) -> bool {
        self.file.is_none() && self.single.is_none()
    }
}

/// The door: the credentials that are good at present, and what was tried in vain.
#[derive(Debug)]
pub struct Access {
    sources: CredentialSources,
    followed: Followed,
    realm: String,
    good: RwLock<Arc<Credentials>>,
    attempts: Attempts,
    hashing: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

/// Why a caller is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    /// Nobody we know.
    Unknown,
    /// Somebody who may only read.
    ReadsOnly,
    /// Too many wrong passwords from there.
    TooMany(Duration),
    /// Too many wait already.
    Busy,
}

impl Access {
    /// Reads the credentials.
    pub fn new(sources: CredentialSources, realm: &str) -> Result<Self, CredentialsError> {
        let followed = Followed::now(sources.file.iter().cloned().collect());
        let good = RwLock::new(Arc::new(Credentials::read(&sources)?));
        Ok(Self {
            sources,
            followed,
            realm: realm.to_owned(),
            good,
            attempts: Attempts::default(),
            hashing: Arc::new(Semaphore::new(HASHED_AT_ONCE)),
            waiting: Arc::new(Semaphore::new(WAITING)),
        })
    }

    /// Reads the credentials again whenever their file changes. Never ends.
    pub(super) async fn follow(&self) {
        self.followed.clone().follow(|| self.reload()).await;
    }

    /// Reads the credentials again. What was good stays so when the file is wrong now: a slip must not lock everybody
    /// out, and it is told.
    fn reload(&self) {
        match Credentials::read(&self.sources) {
            Ok(credentials) => {
                tracing::info!(
                    credentials = credentials.len(),
                    "the credentials for the API have been read again"
                );
                *self.good.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(credentials);
            }
            Err(error) => {
                tracing::warn!(cause = %file::told(&error), "the credentials for the API stay as they were");
            }
        }
    }

    /// Lets a caller in and says who it is, or answers why not. Who needs nothing is not asked.
    pub(super) async fn check(
        &self,
        headers: &HeaderMap,
        remote: Option<IpAddr>,
        need: Need,
    ) -> Result<Option<Arc<str>>, Box<Response>> {
        let allowed = match need {
            Need::Nothing => return Ok(None),
            Need::Read | Need::Write => self.scope_of(headers, remote).await,
        };
        let refusal = match (allowed, need) {
            (Ok((_, Scope::Read)), Need::Write) => Refusal::ReadsOnly,
            (Ok((name, _)), _) => return Ok(Some(name)),
            (Err(refusal), _) => refusal,
        };
        Err(Box::new(self.answer(refusal)))
    }

    /// Who calls, and may do what.
    async fn scope_of(&self, headers: &HeaderMap, remote: Option<IpAddr>) -> Result<(Arc<str>, Scope), Refusal> {
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let (scheme, secret) = given.and_then(|given| given.split_once(' ')).ok_or(Refusal::Unknown)?;
        let good = Arc::clone(&self.good.read().unwrap_or_else(PoisonError::into_inner));
        if scheme.eq_ignore_ascii_case("bearer") {
            // Nobody guesses 256 bits, so wrong ones need not be slowed.
            return good.of_token(secret.trim()).ok_or(Refusal::Unknown);
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return Err(Refusal::Unknown);
        }
        let decoded = base64::engine::general_purpose::STANDARD.decode(secret.trim()).ok();
        let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
        let (name, password) = decoded.as_deref().and_then(|text| text.split_once(':')).ok_or(Refusal::Unknown)?;
        let scope = self.of_password(good, name, password, remote).await?;
        Ok((name.into(), scope))
    }

    async fn of_password(
        &self,
        good: Arc<Credentials>,
        name: &str,
        password: &str,
        remote: Option<IpAddr>,
    ) -> Result<Scope, Refusal> {
        // What is known at once is answered at once: whoever shares an address with one who guesses is not locked out.
        match good.known(name, password) {
            Known::Right(scope) => return Ok(scope),
            Known::Wrong => return Err(self.wrong(remote)),
            Known::NotYet => {}
        }
        if let Some(wait) = self.attempts.wait(remote, Instant::now()) {
            return Err(Refusal::TooMany(wait));
        }
        let _waits = self.waiting.try_acquire().map_err(|_| Refusal::Busy)?;
        let hashes = Arc::clone(&self.hashing).acquire_owned().await.map_err(|_| Refusal::Busy)?;
        // Many requests come at once with a password that is new to us: the first has had it hashed meanwhile.
        if let Known::Right(scope) = good.known(name, password) {
            return Ok(scope);
        }
        let (name, password) = (name.to_owned(), password.to_owned());
        let verified = tokio::task::spawn_blocking(move || {
            let _hashes = hashes;
            good.verify(&name, &password)
        });
        match verified.await {
            Ok(Some(scope)) => Ok(scope),
            Ok(None) => Err(self.wrong(remote)),
            Err(_) => Err(Refusal::Busy),
        }
    }

    fn wrong(&self, remote: Option<IpAddr>) -> Refusal {
        let now = Instant::now();
        let waits = self.attempts.wait(remote, now);
        self.attempts.failed(remote, now);
        waits.map_or(Refusal::Unknown, Refusal::TooMany)
    }

    fn answer(&self, refusal: Refusal) -> Response {
        match refusal {
            Refusal::Unknown => self.unknown(),
            Refusal::ReadsOnly => {
                let text = "these credentials may only read: use some with the scope `write`";
                reply::message(StatusCode::FORBIDDEN, text)
            }
            Refusal::TooMany(wait) => {
                let text = "too many wrong passwords from this address: wait, and check the password";
                later(reply::message(StatusCode::TOO_MANY_REQUESTS, text), wait)
            }
            Refusal::Busy => {
                let text = "too many passwords are being checked: send the request again";
                later(reply::message(StatusCode::SERVICE_UNAVAILABLE, text), Duration::from_secs(1))
            }
        }
    }

    fn unknown(&self) -> Response {
        let text = "credentials are needed: send a name and password (Basic) or a token (Bearer)";
        let mut response = reply::message(StatusCode::UNAUTHORIZED, text);
        for scheme in ["Basic", "Bearer"] {
            if let Ok(value) = HeaderValue::from_str(&format!("{scheme} realm=\"{}\"", self.realm)) {
                response.headers_mut().append(header::WWW_AUTHENTICATE, value);
            }
        }
        response
    }
}

/// Adds when to come back.
fn later(mut response: Response, wait: Duration) -> Response {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    response
}

#[cfg(test)]
mod tests;
