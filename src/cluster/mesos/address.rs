//! `--master`, understood: which masters, or where ZooKeeper says which one leads. Resolves nothing and connects to
//! nothing.

use std::fmt;
use std::sync::Arc;

use http::Uri;
use http::uri::Scheme;

/// ZooKeeper's own port, as Mesos takes it when none is given.
const ZOOKEEPER_PORT: u16 = 2181;

/// Where the leading master is to be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Masters {
    /// Masters, to be tried in turn; at least one.
    Listed(Vec<Endpoint>),
    /// The folder of ZooKeeper in which masters stand for election.
    Elected(Ensemble),
}

/// Where a master listens.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Endpoint {
    /// Whether it speaks TLS.
    pub(super) tls: bool,
    /// A name or an address; of IPv6 without brackets.
    pub(super) host: Arc<str>,
    pub(super) port: u16,
}

/// ZooKeeper's servers, and the folder in which masters stand for election.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Ensemble {
    /// `host:port,host:port`
    pub(super) servers: String,
    /// `user:password`. Never printed.
    pub(super) login: Option<String>,
    /// Begins with `/`, and does not end with it.
    pub(super) path: String,
}

impl Masters {
    /// Reads `--master`. The error says what is wrong, and never repeats a password.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if let Some(rest) = text.trim().strip_prefix("zk://") {
            return Ensemble::parse(rest).map(Self::Elected);
        }
        let mut masters: Vec<Endpoint> = Vec::new();
        for part in text.split(',').map(str::trim) {
            // Who says `https` once means it: no later master of the list is asked in the clear by omission.
            let tls = masters.last().is_some_and(|before| before.tls);
            masters.push(Endpoint::parse(part, tls)?);
        }
        Ok(Self::Listed(masters))
    }

    /// `text` with a password made unreadable, to be shown.
    pub(super) fn shown(text: &str) -> String {
        match (text.find("://"), text.rfind('@')) {
            (Some(scheme), Some(at)) if scheme < at => format!("{}://***{}", &text[..scheme], &text[at..]),
            _ => text.to_owned(),
        }
    }
}

impl Endpoint {
    fn parse(text: &str, tls: bool) -> Result<Self, String> {
        if text.is_empty() {
            return Err("an address is empty".to_owned());
        }
        if let Some(scheme) = text.split_once("://").map(|(scheme, _)| scheme)
            && !["http", "https"].contains(&scheme)
        {
            return Err(format!("`{scheme}://` is not known here"));
        }
        let uri = if text.contains("://") { text.to_owned() } else { format!("//{text}") };
        // A URI without scheme is a path for the parser; with one it is not, so the missing one is put before.
        let scheme = if tls { "https:" } else { "http:" };
        let full = if uri.starts_with("//") { format!("{scheme}{uri}") } else { uri.clone() };
        let parsed: Uri = full.parse().map_err(|error| format!("`{}`: {error}", Masters::shown(text)))?;
        if parsed.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err("a user and a password have no place in it; they are given on their own".to_owned());
        }
        if !matches!(parsed.path(), "" | "/") || parsed.query().is_some() {
            return Err(format!("`{text}` has a path; a master is a host and a port"));
        }
        if uri.starts_with("//") && parsed.port_u16().is_none() {
            return Err(format!("`{text}` has no port: Mesos' own is 5050"));
        }
        Self::of(&parsed).ok_or_else(|| format!("`{text}` has no host"))
    }

    /// Where `uri`, which has a scheme, points to.
    pub(super) fn of(uri: &Uri) -> Option<Self> {
        let tls = uri.scheme() == Some(&Scheme::HTTPS);
        let authority = uri.authority()?;
        // What follows the host must be a port that is one.
        if uri.port_u16().is_none() && !authority.as_str().ends_with(authority.host()) {
            return None;
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
        (!host.is_empty() && port != 0).then(|| Self { tls, host: host.into(), port })
    }

    /// `host:port`, as in the header `Host`.
    pub(super) fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.tls { "https" } else { "http" }, self.authority())
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Ensemble {
    /// What follows `zk://`.
    fn parse(text: &str) -> Result<Self, String> {
        // A password may contain `@`, a server's name cannot.
        let (login, rest) = match text.rsplit_once('@') {
            Some((login, rest)) => (Some(login), rest),
            None => (None, text),
        };
        if login.is_some_and(|login| !login.contains(':')) {
            return Err("before `@` belongs `user:password`".to_owned());
        }
        let (servers, path) = rest.split_once('/').unwrap_or((rest, ""));
        let path = path.trim_end_matches('/');
        if path.is_empty() {
            return Err("the path in which masters are elected is missing: it is `/mesos` as a rule".to_owned());
        }
        if path.split('/').any(|name| matches!(name, "" | "." | "..")) {
            return Err(format!("`/{path}` is no path of ZooKeeper"));
        }
        let mut named = Vec::new();
        for server in servers.split(',').map(str::trim) {
            let (host, port) = match server.rsplit_once(':') {
                Some((host, port)) => (host, port.parse::<u16>().ok().filter(|port| *port != 0)),
                None => (server, Some(ZOOKEEPER_PORT)),
            };
            let port = port.ok_or_else(|| format!("`{server}` has no port that is one"))?;
            if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c == '@') {
                return Err(format!("`{server}` is no server of ZooKeeper"));
            }
            named.push(format!("{host}:{port}"));
        }
        Ok(Self { servers: named.join(","), login: login.map(str::to_owned), path: format!("/{path}") })
    }
}

impl fmt::Display for Ensemble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "zk://{}{}", self.servers, self.path)
    }
}

impl fmt::Debug for Ensemble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(text: &str) -> Vec<String> {
        match Masters::parse(text).expect("masters") {
            Masters::Listed(masters) => masters.iter().map(ToString::to_string).collect(),
            Masters::Elected(ensemble) => panic!("{ensemble} is an election"),
        }
    }

    #[test]
    fn masters_are_addresses_lists_and_urls() {
        assert_eq!(listed("m1:5050"), ["http://m1:5050"]);
        assert_eq!(listed("10.0.0.1:5050, m2:5051"), ["http://10.0.0.1:5050", "http://m2:5051"]);
        assert_eq!(listed("http://m1:5050/"), ["http://m1:5050"]);
        assert_eq!(listed("https://m1"), ["https://m1:443"]);
        assert_eq!(listed("[::1]:5050"), ["http://[::1]:5050"]);
    }

    #[test]
    fn who_says_https_once_is_asked_in_the_clear_nowhere_later_in_the_list() {
        assert_eq!(listed("https://m1:5050,m2:5050"), ["https://m1:5050", "https://m2:5050"]);
    }

    #[test]
    fn an_election_has_servers_a_path_and_perhaps_a_login() {
        let Ok(Masters::Elected(found)) = Masters::parse("zk://user:p@ss@z1:2181,z2/mesos/") else {
            panic!("no election");
        };
        assert_eq!(found.servers, "z1:2181,z2:2181");
        assert_eq!(found.path, "/mesos");
        assert_eq!(found.login.as_deref(), Some("user:p@ss"));
        assert_eq!(format!("{found} {found:?}").matches("p@ss").count(), 0, "a password is not shown");
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, problem) in [
            ("", "empty"),
            ("m1", "no port"),
            ("m1:5050,", "empty"),
            ("m1:5050/state", "has a path"),
            ("ftp://m1:5050", "not known"),
            ("http://user:secret@m1:5050", "given on their own"),
            ("m1:99999", "m1:99999"),
            ("zk://z1:2181", "path"),
            ("zk://z1:2181/", "path"),
            ("zk://z1:2181/a//b", "no path of ZooKeeper"),
            ("zk://user@z1:2181/mesos", "user:password"),
            ("zk://z1:port/mesos", "no port"),
            ("zk://,/mesos", "no server"),
        ] {
            let told = Masters::parse(text).expect_err(text);
            assert!(told.contains(problem), "{text}: {told}");
            assert!(!told.contains("secret"), "{told}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        assert_eq!(Masters::shown("zk://user:secret@z1/mesos"), "zk://***@z1/mesos");
        assert_eq!(Masters::shown("m1:5050"), "m1:5050");
    }
}
