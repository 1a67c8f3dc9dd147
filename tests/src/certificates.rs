//! Certificates for this host, made with openssl.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::program::run;

/// An authority, with certificates for 127.0.0.1.
pub struct Authority {
    folder: TempDir,
}

impl Authority {
    /// A new one.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        let authority = Self { folder: tempfile::tempdir().unwrap() };
        authority.openssl(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=authority -days 2 \
             -keyout authority.key -out authority.pem",
        );
        authority
    }

    /// Its own certificate.
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    /// Makes a certificate for 127.0.0.1, with its key, in the place of an earlier one. Returns their paths.
    pub fn certify(&self, subject: &str) -> [PathBuf; 2] {
        self.openssl(&format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN={subject} \
             -addext subjectAltName=IP:127.0.0.1 -keyout new.key -out new.request"
        ));
        self.openssl(
            "x509 -req -in new.request -CA authority.pem -CAkey authority.key -CAcreateserial -days 1 \
             -copy_extensions copy -out new.pem",
        );
        let of = |name: &str| self.folder.path().join(name);
        std::fs::rename(of("new.key"), of("host.key")).unwrap();
        std::fs::rename(of("new.pem"), of("host.pem")).unwrap();
        [of("host.pem"), of("host.key")]
    }

    /// The options of `serve` for a certificate of it.
    pub fn options([certificate, key]: &[PathBuf; 2]) -> String {
        format!("--tls-cert {} --tls-key {}", certificate.display(), key.display())
    }

    /// A folder for other files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn openssl(&self, arguments: &str) {
        let mut command = Command::new("openssl");
        run(command.args(arguments.split_whitespace()).current_dir(self.folder.path()));
    }
}
