//! nginx in a namespace, with a configuration of its own.

use std::fs;

use tempfile::TempDir;

use crate::{
    patience::until,
    place::Place,
    program::{Program, run},
};

/// A running nginx, which answers `hello`.
pub struct Nginx {
    /// Its first process: the master, or the only one.
    pub process: Program,
    _folder: TempDir,
}

impl Nginx {
    /// Starts it at this address and port; with `workers` as a master with so many processes.
    pub fn start(place: &Place, at: &str, workers: Option<u32>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().display();
        let processes = match workers {
            None => "master_process off;".to_owned(),
            Some(count) => format!("worker_processes {count};"),
        };
        let config = format!(
            "daemon off; {processes} user root; error_log stderr; pid {path}/pid; events {{}} http {{ access_log off;
             client_body_temp_path {path}/a; proxy_temp_path {path}/b; fastcgi_temp_path {path}/c;
             uwsgi_temp_path {path}/d; scgi_temp_path {path}/e;
             server {{ listen {at}; location / {{ return 200 hello; }} }} }}"
        );
        fs::write(folder.path().join("nginx.conf"), config).unwrap();
        let mut command = place.command("nginx");
        let process =
            Program::collect(command.args(["-e", "stderr", "-c"]).arg(folder.path().join("nginx.conf")));
        until("nginx to listen", || run(place.command("ss").arg("-ltn")).contains(at).then_some(()));
        Self { process, _folder: folder }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Killed, a master would leave its workers behind.
        self.process.terminate();
    }
}
