//! TLS for those that are connected to.

use std::{fmt, io, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::ServerName,
    version::{TLS12, TLS13},
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::output::tls::{Channel, Error};

/// A host that must have a certificate for its name, from an authority that this host trusts.
#[derive(Clone)]
pub struct ClientTls {
    name: ServerName<'static>,
    config: Arc<ClientConfig>,
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ClientTls").field(&self.name).finish()
    }
}

impl ClientTls {
    /// For this host, a name or an address.
    ///
    /// # Errors
    /// It can have no certificate, or this host trusts nobody.
    pub fn new(host: &str) -> Result<Self, Error> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| Error::NoName(host.to_owned()))?;
        let mut authorities = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            log::warn!("certificates of authorities: {error}");
        }
        // Some that hosts have are older than the rules: others do.
        authorities.add_parsable_certificates(found.certs);
        if authorities.is_empty() {
            return Err(Error::NoAuthorities);
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(|cause| Error::Pair(cause.to_string()))?
            .with_root_certificates(authorities)
            .with_no_client_auth();
        Ok(Self { name, config: Arc::new(config) })
    }

    /// Agrees with the host on keys.
    ///
    /// # Errors
    /// It speaks no TLS, or its certificate is not to be trusted.
    pub async fn connect(&self, stream: TcpStream) -> io::Result<Box<dyn Channel>> {
        let connector = TlsConnector::from(Arc::clone(&self.config));
        Ok(Box::new(connector.connect(self.name.clone(), stream).await?))
    }
}
