//! PostgreSQL in a namespace, with data of its own.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::{
    place::Place,
    program::{Program, run},
};

/// A running server.
pub struct Postgres {
    /// Its first process, which starts one for each session.
    pub process: Program,
    _folder: TempDir,
}

impl Postgres {
    /// Starts it at this address and its usual port, 5432, with these settings, such as `max_connections=10`.
    pub fn start(place: &Place, address: &str, settings: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // It refuses to run as root.
        run(Command::new("chown").arg("postgres").arg(folder.path()));
        let data = folder.path().join("data");
        let mut init = as_postgres(Command::new("setpriv"), "initdb");
        init.args(["--auth=trust", "--no-sync", "--locale=C", "--username=postgres", "-D"]);
        run(init.arg(&data).stdout(Stdio::null()));
        let mut command = as_postgres(place.command("setpriv"), "postgres");
        command.arg("-D").arg(&data);
        let ours =
            [format!("listen_addresses={address}"), "unix_socket_directories=".into(), "fsync=off".into()];
        for setting in ours.iter().map(String::as_str).chain(settings.iter().copied()) {
            command.args(["-c", setting]);
        }
        let mut process = Program::collect(&mut command);
        process.wait_for_err("PostgreSQL", |err| err.contains("ready to accept connections"));
        Self { process, _folder: folder }
    }
}

/// One of its programs, run as the user that Debian's package makes. They are not on the path.
fn as_postgres(mut setpriv: Command, program: &str) -> Command {
    setpriv.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(newest().join(program));
    // Where it is started may be closed to that user.
    setpriv.current_dir("/");
    setpriv
}

/// The folder of the newest version that is installed.
fn newest() -> PathBuf {
    let entries = fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL").flatten();
    let version = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    entries.map(|entry| entry.path()).max_by_key(version).expect("a version of it").join("bin")
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // It ends its sessions, and frees its shared memory.
        self.process.end_with(Signal::INT);
    }
}
