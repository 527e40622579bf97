//! On which terms requests are answered: where we are found, who is let in, which pages of other sites may read, how
//! many are answered at once. Set once at the start; nothing here looks at what is asked for.

use std::net::SocketAddr;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::access::Access;
use super::reply::{self, Response};

/// How long a browser may remember what it was told of other sites (Marathon §1.1).
const REMEMBERED_S: &str = "86400";

/// Where the API listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Addresses {
    /// In clear text.
    pub http: Option<SocketAddr>,
    /// Under TLS.
    pub https: Option<SocketAddr>,
}

/// The terms.
#[derive(Debug, Clone, Default)]
pub struct Terms {
    /// Where we are found.
    pub addresses: Addresses,
    /// Who is let in; everybody when nobody has credentials.
    pub access: Option<Arc<Access>>,
    /// Sites whose pages may read (`--access_control_allow_origin`); `*` for all.
    pub origins: Vec<String>,
    /// How many requests may be answered at once; event streams do not count (`--http_max_concurrent_requests`).
    pub at_once: Option<Arc<Semaphore>>,
    /// Whether large answers are compressed for clients that ask for it.
    pub compresses: bool,
    leader: Option<HeaderValue>,
}

impl Addresses {
    /// The address that others are told: clear text while there is one, as in Marathon.
    pub fn main(&self) -> Option<(&'static str, SocketAddr)> {
        self.http.map(|address| ("http", address)).or_else(|| Some(("https", self.https?)))
    }

    /// Where a person finds it.
    pub fn url(&self) -> String {
        self.main().map_or_else(String::new, |(scheme, address)| format!("{scheme}://{address}"))
    }

    /// `host:port`, by the name others know this machine by, if they can reach it at all.
    pub fn leader(&self, hostname: Option<&str>) -> String {
        match (self.main(), hostname) {
            (Some((_, address)), Some(name)) if !address.ip().is_loopback() => {
                format!("{name}:{}", address.port())
            }
            (Some((_, address)), _) => address.to_string(),
            (None, _) => String::new(),
        }
    }
}

impl Terms {
    /// Terms that ask nobody for anything.
    pub fn open(addresses: Addresses) -> Self {
        Self { addresses, compresses: true, ..Self::default() }
    }

    /// With the name others know this machine by.
    #[must_use]
    pub fn named(mut self, hostname: Option<&str>) -> Self {
        let scheme = self.addresses.main().map_or("http", |(scheme, _)| scheme);
        self.leader = HeaderValue::from_str(&format!("{scheme}://{}", self.addresses.leader(hostname))).ok();
        self
    }

    /// What `X-Marathon-Leader` says.
    pub(super) fn leader(&self) -> Option<&HeaderValue> {
        self.leader.as_ref()
    }

    /// A place among those that are answered at once, or the answer that there is none.
    pub(super) fn place(&self) -> Result<Option<OwnedSemaphorePermit>, Box<Response>> {
        let Some(places) = &self.at_once else { return Ok(None) };
        Arc::clone(places).try_acquire_owned().map(Some).map_err(|_| {
            let text = "too many requests are under way: send it again";
            let mut response = reply::message(StatusCode::SERVICE_UNAVAILABLE, text);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            Box::new(response)
        })
    }

    /// Refuses a change that a page of another site asks for: browsers say where it is from. Behind a proxy our name is
    /// the one in `X-Forwarded-Host`, which no page can set without asking us first.
    pub(super) fn check_origin(&self, headers: &HeaderMap) -> Result<(), Box<Response>> {
        let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let Some(origin) = text(header::ORIGIN) else { return Ok(()) };
        let host = origin.split_once("://").map_or("", |(_, host)| host);
        let ours = [text(header::HOST), text(header::HeaderName::from_static("x-forwarded-host"))];
        if !host.is_empty() && ours.contains(&Some(host)) || self.origins.iter().any(|allowed| allowed == origin) {
            return Ok(());
        }
        let text = "a page of another site may not change anything here";
        Err(Box::new(reply::message(StatusCode::FORBIDDEN, text)))
    }

    /// Tells a browser what pages of other sites may do: read, where the operator allows it.
    pub(super) fn add_cross_origin(&self, response: &mut Response, request: &HeaderMap) {
        if self.origins.is_empty() {
            return;
        }
        let origin = request.get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
        let headers = response.headers_mut();
        let allowed = if self.origins.iter().any(|allowed| allowed == "*") {
            Some("*")
        } else {
            headers.append(header::VARY, HeaderValue::from_static("origin"));
            origin.filter(|origin| self.origins.iter().any(|allowed| allowed == origin))
        };
        let Some(allowed) = allowed.and_then(|allowed| HeaderValue::from_str(allowed).ok()) else { return };
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        let methods = HeaderValue::from_static("GET, HEAD, OPTIONS");
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(REMEMBERED_S));
        if let Some(asked) = request.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(named: &[(&'static str, &'static str)]) -> HeaderMap {
        let one = |(name, value): &(&'static str, &'static str)| {
            (header::HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        named.iter().map(one).collect()
    }

    #[test]
    fn only_our_own_pages_and_those_the_operator_named_change_anything() {
        let terms = Terms { origins: vec!["https://ui.example".to_owned(), "*".to_owned()], ..Terms::default() };
        let may = |named: &[(&'static str, &'static str)]| terms.check_origin(&headers(named)).is_ok();
        assert!(may(&[("host", "a:1")]), "no browser");
        assert!(may(&[("host", "a:1"), ("origin", "http://a:1")]));
        assert!(may(&[("host", "a:1"), ("x-forwarded-host", "b"), ("origin", "https://b")]));
        assert!(may(&[("host", "a:1"), ("origin", "https://ui.example")]));
        assert!(!may(&[("host", "a:1"), ("origin", "http://evil.example")]));
        assert!(!may(&[("host", "a:1"), ("origin", "null")]));
    }

    #[test]
    fn pages_of_other_sites_read_where_the_operator_allows_it() {
        let allowed = |origins: &[&str]| {
            let origins = origins.iter().map(|origin| (*origin).to_owned()).collect();
            let terms = Terms { origins, ..Terms::default() };
            let mut response = reply::empty(StatusCode::OK);
            terms.add_cross_origin(&mut response, &headers(&[("origin", "https://a.example")]));
            let headers = response.headers();
            let text =
                |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).map(str::to_owned);
            (text(header::ACCESS_CONTROL_ALLOW_ORIGIN), text(header::VARY))
        };
        assert_eq!(allowed(&[]), (None, None));
        assert_eq!(allowed(&["*"]), (Some("*".to_owned()), None));
        let named = ["https://a.example", "https://b.example"];
        assert_eq!(allowed(&named), (Some("https://a.example".to_owned()), Some("origin".to_owned())));
        assert_eq!(allowed(&["https://b.example"]), (None, Some("origin".to_owned())));
    }

    #[test]
    fn others_are_told_an_address_that_they_can_use() {
        let (home, all) = (SocketAddr::from(([127, 0, 0, 1], 80)), SocketAddr::from(([0, 0, 0, 0], 443)));
        let both = Addresses { http: Some(home), https: Some(all) };
        assert_eq!(
            (both.url(), both.leader(Some("m"))),
            ("http://127.0.0.1:80".to_owned(), "127.0.0.1:80".to_owned())
        );
        let secure = Addresses { http: None, https: Some(all) };
        assert_eq!(
            (secure.url(), secure.leader(Some("m"))),
            ("https://0.0.0.0:443".to_owned(), "m:443".to_owned())
        );
        let leader = Terms::open(secure).named(Some("m")).leader().cloned();
        assert_eq!(leader, Some(HeaderValue::from_static("https://m:443")));
    }
}
