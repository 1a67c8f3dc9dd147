//! TLS for those who connect.

use std::{
    fmt, fs, io,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    version::{TLS12, TLS13},
};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::{
    output::tls::{Channel, Error},
    text::escape::escaped,
};

/// A certificate and its key, in two files. They are read again when they have changed: certificates are renewed
/// while servers run.
pub struct ServerTls {
    files: [PathBuf; 2],
    loaded: Mutex<LoadedPair>,
}

/// What was read, and when the files had been written then.
struct LoadedPair {
    written: [Option<SystemTime>; 2],
    config: Arc<ServerConfig>,
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ServerTls").field(&self.files).finish()
    }
}

impl ServerTls {
    /// Reads both files: certificates with the server's first, and a key, in PEM (RFC 7468).
    ///
    /// # Errors
    /// One of them is no such file, or the key is not the certificate's.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, Error> {
        let files = [certificate.to_owned(), key.to_owned()];
        let written = written(&files);
        let config = load(&files)?;
        Ok(Self { files, loaded: Mutex::new(LoadedPair { written, config }) })
    }

    /// Agrees with a client on keys.
    ///
    /// # Errors
    /// The client speaks no TLS, or refuses the certificate.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<Box<dyn Channel>> {
        let stream = TlsAcceptor::from(self.config()).accept(stream).await?;
        Ok(Box::new(stream))
    }

    fn config(&self) -> Arc<ServerConfig> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let written = written(&self.files);
        if written != loaded.written {
            // One of them may be written before the other: that is no pair, and the old one is good meanwhile.
            match load(&self.files) {
                Ok(config) => loaded.config = config,
                Err(error) => log::warn!("the certificate stays what it was: {error}"),
            }
            loaded.written = written;
        }
        Arc::clone(&loaded.config)
    }
}

fn written(files: &[PathBuf; 2]) -> [Option<SystemTime>; 2] {
    files.each_ref().map(|file| fs::metadata(file).and_then(|file| file.modified()).ok())
}

fn load([certificate, key]: &[PathBuf; 2]) -> Result<Arc<ServerConfig>, Error> {
    let wrong = |file: &Path, cause: &dyn fmt::Display| {
        Error::File(escaped(file.as_os_str().as_bytes()), cause.to_string())
    };
    let chain: Vec<_> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|cause| wrong(certificate, &cause))?;
    if chain.is_empty() {
        return Err(wrong(certificate, &"no certificate in PEM is there"));
    }
    let key = PrivateKeyDer::from_pem_file(key).map_err(|cause| wrong(key, &cause))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(|cause| Error::Pair(cause.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|cause| Error::Pair(cause.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
