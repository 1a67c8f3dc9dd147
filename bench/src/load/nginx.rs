//! nginx as a service to measure: one worker, a response of a few bytes, no files, no log.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

use crate::child::Child;

/// The program.
pub(crate) const PROGRAM: &str = "nginx";

const TIMEOUT: Duration = Duration::from_secs(10);

/// How many ports are tried: another program may take a free port before nginx does.
const PORTS: u32 = 3;

/// A running nginx. It ends when this is dropped.
pub(crate) struct Nginx {
    /// The address on which it answers.
    pub address: SocketAddr,
    _child: Child,
}

impl Nginx {
    /// Starts it, with all its files in `scratch`, and waits until it answers.
    pub(crate) fn start(scratch: &Path) -> Result<Self> {
        let folder = scratch.join(PROGRAM);
        fs::create_dir_all(&folder)?;
        let mut tried = 1;
        loop {
            match Self::on(free_port()?, &folder) {
                Err(error) if tried == PORTS => return Err(error),
                Err(_) => tried += 1,
                nginx => return nginx,
            }
        }
    }

    fn on(address: SocketAddr, folder: &Path) -> Result<Self> {
        let file = folder.join("nginx.conf");
        fs::write(&file, configuration(address, &folder.display().to_string()))?;
        let mut command = Command::new(PROGRAM);
        command.args(["-e", "stderr", "-c"]).arg(&file).stdin(Stdio::null()).stdout(Stdio::null());
        let mut child = Child::start(&mut command)?;
        let answers = |_: &Child| TcpStream::connect(address).ok().map(|_| Instant::now());
        child.wait_until_ready(TIMEOUT, answers).context("starting nginx")?;
        Ok(Self { address, _child: child })
    }
}

/// A free port on the loopback. nginx cannot choose one by itself.
fn free_port() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// The configuration. Clients may keep a connection forever; by default nginx closes it after 1,000 requests.
fn configuration(address: SocketAddr, folder: &str) -> String {
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("  {name}_temp_path {folder}/{name};\n"))
        .concat();
    format!(
        "daemon off;
master_process off;
pid {folder}/pid;
error_log stderr;
events {{ worker_connections 1024; }}
http {{
{temporary}  access_log off;
  keepalive_requests 1000000000;
  server {{
    listen {address};
    location / {{ return 200 \"ok\\n\"; }}
  }}
}}
"
    )
}
