//! A build without TLS.

use std::{convert::Infallible, io, path::Path};

use tokio::net::TcpStream;

use crate::output::tls::{Channel, Error};

/// TLS for those who connect.
#[derive(Debug)]
pub struct NoServerTls(Infallible);

impl NoServerTls {
    /// There is none.
    ///
    /// # Errors
    /// Always.
    pub const fn read(_certificate: &Path, _key: &Path) -> Result<Self, Error> {
        Err(Error::NotBuilt)
    }

    /// Nothing is ever accepted.
    ///
    /// # Errors
    /// Never.
    #[allow(clippy::unused_async)]
    pub async fn accept(&self, _stream: TcpStream) -> io::Result<Box<dyn Channel>> {
        match self.0 {}
    }
}

/// TLS for those that are connected to.
#[derive(Clone, Debug)]
pub struct NoClientTls(Infallible);

impl NoClientTls {
    /// There is none.
    ///
    /// # Errors
    /// Always.
    pub const fn new(_host: &str) -> Result<Self, Error> {
        Err(Error::NotBuilt)
    }

    /// Nothing is ever connected.
    ///
    /// # Errors
    /// Never.
    #[allow(clippy::unused_async)]
    pub async fn connect(&self, _stream: TcpStream) -> io::Result<Box<dyn Channel>> {
        match self.0 {}
    }
}
