//! Where a receiver of OTLP is.

use hyper::{
    Uri,
    header::{HeaderName, HeaderValue},
};

use crate::output::tls::{self, ClientTls};

/// The ports of URLs that have none: http and https.
const PORTS: [u16; 2] = [80, 443];

/// The path of metrics, which a receiver's address may end with.
const METRICS: &str = "/v1/metrics";

/// Why there can be no receiver at an address.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is no address.
    #[error("give a URL such as http://127.0.0.1:4318")]
    NoUrl,
    /// There can be no https.
    #[error(transparent)]
    Tls(#[from] tls::Error),
    /// A password, or a query.
    #[error(
        "a URL of host, port and path only: tokens belong into a file (--otlp-header), as arguments are no secret"
    )]
    OnlyAddress,
}

/// A receiver.
#[derive(Clone, Debug)]
pub struct ExportTarget {
    /// Its host.
    pub(super) host: String,
    /// Its port.
    pub(super) port: u16,
    /// Host and port, as in the URL.
    pub(super) authority: String,
    /// The path before `/v1/metrics`.
    pub(super) path: String,
    /// Headers of all requests.
    headers: Vec<(HeaderName, HeaderValue)>,
    /// With https.
    tls: Option<ClientTls>,
}

impl ExportTarget {
    /// The receiver at this URL.
    ///
    /// # Errors
    /// There can be none.
    pub fn new(url: &str) -> Result<Self, Error> {
        let uri: Uri = url.parse().map_err(|_| Error::NoUrl)?;
        let authority = uri.authority().ok_or(Error::NoUrl)?;
        let is_encrypted = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(Error::NoUrl),
        };
        if authority.as_str().contains('@') || uri.query().is_some() || url.contains('#') {
            return Err(Error::OnlyAddress);
        }
        let path = uri.path().trim_end_matches('/');
        let path = path.strip_suffix(METRICS).unwrap_or(path).to_owned();
        // Square brackets are of the URL, not of the address.
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = authority.port_u16().unwrap_or(PORTS[usize::from(is_encrypted)]);
        if host.is_empty() || (authority.port_u16().is_none() && authority.as_str() != authority.host()) {
            return Err(Error::NoUrl);
        }
        let tls = is_encrypted.then(|| ClientTls::new(&host)).transpose()?;
        Ok(Self { host, port, authority: authority.to_string(), path, headers: Vec::new(), tls })
    }

    /// Adds a header as a line of a file has it: `name: value`. Returns whether it is one.
    #[must_use]
    pub fn add_header(&mut self, line: &str) -> bool {
        let header = line.split_once(':').and_then(|(name, value)| {
            let mut value = HeaderValue::try_from(value.trim()).ok()?;
            value.set_sensitive(true);
            Some((HeaderName::try_from(name.trim()).ok()?, value))
        });
        let is_header = header.is_some();
        self.headers.extend(header);
        is_header
    }

    /// The headers.
    pub(super) fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.headers
    }

    /// What it takes to talk to it with https.
    pub(super) const fn tls(&self) -> Option<&ClientTls> {
        self.tls.as_ref()
    }

    /// Its URL.
    pub(super) fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}{}", self.authority, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_receivers() {
        let of = |url| {
            let target = ExportTarget::new(url).ok()?;
            Some((target.host.clone(), target.port, target.path.clone()))
        };
        let is = |host: &str, port, path: &str| Some((host.to_owned(), port, path.to_owned()));
        assert_eq!(of("http://collector"), is("collector", 80, ""));
        assert_eq!(of("http://127.0.0.1:4318/"), is("127.0.0.1", 4318, ""));
        assert_eq!(of("http://[::1]:9090/api/v1/otlp"), is("::1", 9090, "/api/v1/otlp"));
        assert_eq!(of("http://c:1/v1/metrics"), is("c", 1, ""));
        for url in ["", "c", "c:4318", "/v1", "ftp://c", "http://", "http://c:99999", "http://:1"] {
            assert!(matches!(ExportTarget::new(url), Err(Error::NoUrl)), "{url}");
        }
        for url in ["http://user:secret@c", "http://c/?token=1"] {
            assert!(matches!(ExportTarget::new(url), Err(Error::OnlyAddress)), "{url}");
        }
    }

    #[test]
    fn lines_with_headers() {
        let mut target = ExportTarget::new("http://c").unwrap();
        assert!(target.add_header("Authorization: Bearer a:b") && target.add_header("x-scope-orgid:1"));
        assert!(!target.add_header("no header") && !target.add_header("a b: c"));
        let values: Vec<_> = target.headers().iter().map(|(_, value)| value.to_str().unwrap()).collect();
        assert_eq!(values, ["Bearer a:b", "1"]);
        assert!(!format!("{target:?}").contains("Bearer"));
    }
}
