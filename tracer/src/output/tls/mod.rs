//! TLS (RFC 8446) for pages that are served, and for what is sent to a receiver of OTLP.
//!
//! # Layout
//! - here: what both need
//! - [`ServerTls`]: for those who connect; [`ClientTls`]: for those that are connected to
//! - `none`: the same in a build without the feature `tls`

#[cfg(feature = "tls")]
mod client;
#[cfg(not(feature = "tls"))]
mod none;
#[cfg(feature = "tls")]
mod server;

use tokio::io::{AsyncRead, AsyncWrite};

#[cfg(feature = "tls")]
pub use self::{client::ClientTls, server::ServerTls};
#[cfg(not(feature = "tls"))]
pub use none::{NoClientTls as ClientTls, NoServerTls as ServerTls};

/// Bytes to and from the other side, encrypted or not.
pub trait Channel: AsyncRead + AsyncWrite + Send + Unpin {}

impl<C: AsyncRead + AsyncWrite + Send + Unpin> Channel for C {}

/// Why there can be no TLS.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read as what it should be.
    #[error("{0}: {1}")]
    File(String, String),
    /// Certificate and key are no pair.
    #[error("the certificate and its key: {0}")]
    Pair(String),
    /// The host has no certificates that it trusts.
    #[error(
        "no certificates of authorities are there: install ca-certificates, or name a file with SSL_CERT_FILE"
    )]
    NoAuthorities,
    /// It is no name of a host.
    #[error("{0} is no name that a certificate can be for")]
    NoName(String),
    /// The build lacks it.
    #[error("this tracer was built without TLS: build it with the feature `tls`")]
    NotBuilt,
}
