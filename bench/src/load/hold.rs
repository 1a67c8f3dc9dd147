//! Runs the load of connections that stay open.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Result, bail};
use bench::READY;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{child::Child, interrupt, places::built};

const TIMEOUT: Duration = Duration::from_secs(20);

/// Open connections. They are closed when this is dropped.
pub(crate) struct Held(Vec<Child>);

/// Opens connections in several processes.
pub(crate) fn hold(processes: usize, connections_each: usize) -> Result<Held> {
    // Three pipes for each.
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    let mut held = Held(Vec::with_capacity(processes));
    for _ in 0..processes {
        let mut command = Command::new(built("load")?);
        command.args(["hold", "--connections", &connections_each.to_string()]);
        held.0.push(Child::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()))?);
        interrupt::check()?;
    }
    for child in &mut held.0 {
        let mut line = String::new();
        BufReader::new(child.stdout()?).read_line(&mut line)?;
        if line.trim_end() != READY {
            bail!("the load does not hold its connections: {}", child.stderr());
        }
    }
    Ok(held)
}

impl Drop for Held {
    fn drop(&mut self) {
        for child in &mut self.0 {
            child.close_stdin();
        }
        for child in &mut self.0 {
            let _ = child.wait(TIMEOUT);
        }
    }
}
