//! The flags that say where and on which terms the HTTP API is offered.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use clap::{ArgAction, ArgMatches, Args};

use super::UsageError;
use super::callbacks::CallbackArgs;
use super::marathon::Warning;
use crate::api::access::{Credential, CredentialSources};
use crate::api::{CertificateFiles, Exposure, HttpOptions};

/// Its port in clear text when nobody says, as in Marathon.
const HTTP_PORT: u16 = 8080;

/// Its port under TLS when nobody says, as in Marathon.
const HTTPS_PORT: u16 = 8443;

/// Where it is, in clear text or under TLS, when nobody says: others than this machine reach it when they are to.
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Marathon's variable for its one credential.
const MARATHONS_VARIABLE: &str = "MESOSPHERE_HTTP_CREDENTIALS";

/// The flag whose value must never be printed.
pub(super) const SECRET: &str = "http_credentials";

/// Where and on which terms.
#[derive(Debug, Args)]
#[command(next_help_heading = "HTTP")]
pub(super) struct HttpArgs {
    /// Where the HTTP API is offered in clear text; port 0 takes a free one, `none` offers it nowhere. At 127.0.0.1:8080
    /// when not given
    #[arg(long, value_name = "ADDRESS|none")]
    http: Option<Clear>,
    /// The port alone
    #[arg(long, value_name = "PORT")]
    http_port: Option<u16>,
    /// The address alone
    #[arg(long, value_name = "IP")]
    http_address: Option<IpAddr>,
    /// The same as `--http none`
    #[arg(
        long, value_name = "BOOL", default_value_t = false, action = ArgAction::Set,
        num_args = 0..=1, require_equals = true, default_missing_value = "true"
    )]
    disable_http: bool,
    /// Where it is offered under TLS; port 0 takes a free one. At 127.0.0.1:8443 when only the certificate is given
    #[arg(long, value_name = "ADDRESS")]
    https: Option<SocketAddr>,
    /// The port alone
    #[arg(long, value_name = "PORT")]
    https_port: Option<u16>,
    /// The address alone
    #[arg(long, value_name = "IP")]
    https_address: Option<IpAddr>,
    /// The certificate for it, with those between it and its authority (PEM); read again when it changes
    #[arg(long, value_name = "FILE")]
    tls_cert: Option<PathBuf>,
    /// The certificate's key (PEM); read again when it changes
    #[arg(long, value_name = "FILE")]
    tls_key: Option<PathBuf>,
    /// Who may use the API: a line made with `ekiden credential` for each; read again when it changes
    #[arg(long, value_name = "FILE")]
    http_credentials_file: Option<PathBuf>,
    /// One who may do everything. Everybody on this machine can read it in the list of processes: better use the file
    #[arg(long, value_name = "USER:PASSWORD")]
    http_credentials: Option<String>,
    /// What a browser says it wants a password for
    #[arg(long, value_name = "TEXT", default_value = "Ekiden", value_parser = realm)]
    http_realm: String,
    /// Let others than this machine reach the API without credentials: whoever reaches it may stop every app
    #[arg(
        long, value_name = "BOOL", default_value_t = false, action = ArgAction::Set,
        num_args = 0..=1, require_equals = true, default_missing_value = "true"
    )]
    allow_unauthenticated_http: bool,
    /// Sites whose pages may read, with commas: `https://dash.example`; `*` for all
    #[arg(long, value_name = "ORIGINS", value_delimiter = ',', value_parser = origin)]
    access_control_allow_origin: Vec<String>,
    /// Most requests answered at once; further ones are told to come again. Any number when not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    http_max_concurrent_requests: Option<u32>,
    #[command(flatten)]
    callbacks: CallbackArgs,
    /// Compress large answers for clients that ask for it
    #[arg(
        long, value_name = "BOOL", default_value_t = true, action = ArgAction::Set,
        num_args = 0..=1, require_equals = true, default_missing_value = "true"
    )]
    http_compression: bool,
}

/// Where the API is offered in clear text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Clear {
    /// There.
    At(SocketAddr),
    /// Nowhere.
    Nowhere,
}

impl FromStr for Clear {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let refused = "write an address with its port, as in `127.0.0.1:8080`, or `none`";
        if text == "none" { Ok(Self::Nowhere) } else { text.parse().map(Self::At).map_err(|_| refused) }
    }
}

impl HttpArgs {
    /// What the API is told, and what should be said about it.
    pub(super) fn options(&self, matches: &ArgMatches) -> Result<(HttpOptions, Vec<Warning>), UsageError> {
        let mut warnings = Vec::new();
        let options = HttpOptions {
            http: self.clear()?,
            https: self.under_tls(&mut warnings)?,
            exposure: if self.allow_unauthenticated_http { Exposure::Allowed } else { Exposure::Refused },
            credentials: self.credentials(matches, &mut warnings)?,
            realm: self.http_realm.clone(),
            origins: self.access_control_allow_origin.clone(),
            at_once: self.http_max_concurrent_requests.map(|at_once| at_once as usize),
            compresses: self.http_compression,
        };
        Ok((options, warnings))
    }

    /// Addresses that events are sent to from the start; nothing where events are sent nowhere.
    pub(super) fn callbacks(&self) -> Option<BTreeSet<Arc<str>>> {
        self.callbacks.fixed()
    }

    /// What `/v2/info` says about it.
    pub(super) fn shown(&self) -> [(&'static str, serde_json::Value); 1] {
        let origins = &self.access_control_allow_origin;
        let origins = if origins.is_empty() { serde_json::Value::Null } else { origins.clone().into() };
        [("access_control_allow_origin", origins)]
    }

    fn clear(&self) -> Result<Option<SocketAddr>, UsageError> {
        let parts = self.http_port.is_some() || self.http_address.is_some();
        match self.http {
            Some(_) if parts => Err(UsageError::TwoAddresses { whole: "http" }),
            Some(Clear::At(_)) if self.disable_http => Err(UsageError::TwoAddresses { whole: "http" }),
            _ if self.disable_http => Ok(None),
            Some(Clear::Nowhere) => Ok(None),
            Some(Clear::At(address)) => Ok(Some(address)),
            None => {
                let address = self.http_address.unwrap_or(HERE);
                Ok(Some(SocketAddr::new(address, self.http_port.unwrap_or(HTTP_PORT))))
            }
        }
    }

    fn under_tls(
        &self,
        warnings: &mut Vec<Warning>,
    ) -> Result<Option<(SocketAddr, CertificateFiles)>, UsageError> {
        let parts = self.https_port.is_some() || self.https_address.is_some();
        if self.https.is_some() && parts {
            return Err(UsageError::TwoAddresses { whole: "https" });
        }
        let files = match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => {
                CertificateFiles { certificate: certificate.clone(), key: key.clone() }
            }
            (Some(_), None) => return Err(UsageError::Unset { flag: "tls_key", example: "/etc/ekiden/key.pem" }),
            (None, Some(_)) => {
                return Err(UsageError::Unset { flag: "tls_cert", example: "/etc/ekiden/cert.pem" });
            }
            (None, None) if self.https.is_some() => {
                return Err(UsageError::Unset { flag: "tls_cert", example: "/etc/ekiden/cert.pem" });
            }
            (None, None) => {
                // Marathon, too, listens there only when it has a keystore; its own port is in many a start script.
                if parts && self.https_port != Some(HTTPS_PORT) {
                    let text = "--https_port and --https_address do nothing without --tls_cert and --tls_key";
                    warnings.push(Warning(text.to_owned()));
                }
                return Ok(None);
            }
        };
        let address = self.https.unwrap_or_else(|| {
            let address = self.https_address.unwrap_or(HERE);
            SocketAddr::new(address, self.https_port.unwrap_or(HTTPS_PORT))
        });
        Ok(Some((address, files)))
    }

    fn credentials(
        &self,
        matches: &ArgMatches,
        warnings: &mut Vec<Warning>,
    ) -> Result<CredentialSources, UsageError> {
        if matches.value_source(SECRET) == Some(clap::parser::ValueSource::CommandLine) {
            let text = "--http_credentials can be read by everybody on this machine in the list of processes: use \
                        --http_credentials_file";
            warnings.push(Warning(text.to_owned()));
        }
        let pair = self.http_credentials.clone().or_else(|| std::env::var(MARATHONS_VARIABLE).ok());
        let single = pair.as_deref().map(Credential::given).transpose().map_err(UsageError::Credentials)?;
        Ok(CredentialSources { file: self.http_credentials_file.clone(), single })
    }
}

fn realm(text: &str) -> Result<String, &'static str> {
    let fits = text.chars().all(|c| (' '..='~').contains(&c) && c != '"' && c != '\\');
    fits.then(|| text.to_owned()).ok_or("write it without quotation marks, and with plain letters only")
}

fn origin(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    let is_site = text.split_once("://").is_some_and(|(_, host)| !host.is_empty() && !host.contains('/'));
    let is_plain = text.chars().all(|c| c.is_ascii_graphic());
    let fits = text == "*" || is_site && is_plain;
    fits.then(|| text.to_owned()).ok_or("write a site as browsers do, `https://dash.example`, or `*` for all")
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches;

    use super::*;

    /// Where the API is, in clear text and under TLS.
    fn offered(given: &[&str]) -> (Option<String>, Option<String>) {
        let arguments = ["ekiden", "serve"].iter().chain(given).map(std::ffi::OsString::from);
        let line = super::super::Line::parse(arguments).unwrap_or_else(|_| panic!("{given:?} is a command line"));
        let args = HttpArgs::from_arg_matches(line.given().matches).expect("flags");
        let (options, _) = args.options(line.given().matches).expect("they agree");
        let https = options.https.map(|(address, _)| address.to_string());
        (options.http.map(|address| address.to_string()), https)
    }

    #[test]
    fn others_reach_it_only_where_somebody_says_so() {
        let some = |text: &str| Some(text.to_owned());
        let tls = ["--tls_cert", "cert.pem", "--tls_key", "key.pem"];
        assert_eq!(offered(&[]), (some("127.0.0.1:8080"), None));
        assert_eq!(offered(&tls), (some("127.0.0.1:8080"), some("127.0.0.1:8443")));
        let ports = [&tls[..], &["--http_port", "80", "--https_port", "443"]].concat();
        assert_eq!(offered(&ports), (some("127.0.0.1:80"), some("127.0.0.1:443")));
        let everywhere = [&tls[..], &["--disable_http", "--https_address", "0.0.0.0"]].concat();
        assert_eq!(offered(&everywhere), (None, some("0.0.0.0:8443")));
    }
}
