//! Runs the load of connections that are opened and closed, as fast as possible.

use std::{
    io::Read as _,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use bench::ChurnResult;

use crate::{child::Child, load::time_wait, places::built};

/// How much longer than asked for the load may take.
const TIMEOUT: Duration = Duration::from_secs(20);

/// How long the load runs before it is checked again whether TIME_WAIT is full.
const TOP_UP_S: f64 = 0.5;
const TOP_UPS: u32 = 60;
/// TIME_WAIT counts as full at this percentage of what the kernel allows.
const FULL: u64 = 97;

/// The kind of connections.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Churn {
    /// Threads of the load, each of which is client and server [default: one per CPU]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// Bytes that clients send and servers send back
    #[arg(long, value_name = "BYTES", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=1 << 30))]
    payload: u32,
    /// Requests and responses on a connection, if there is payload
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    keep_alive: u32,
    /// Reset connections instead of closing them: 6 events each instead of 10
    #[arg(long)]
    reset: bool,
}

impl Churn {
    /// What is measured unless something else is asked for.
    pub(crate) const USUAL: Self = Self { threads: None, payload: 0, keep_alive: 1, reset: false };

    /// The arguments of the load's program, which the report shows, too.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let mut arguments: Vec<_> =
            self.threads.iter().flat_map(|n| ["--threads".into(), n.to_string()]).collect();
        arguments.extend(["--payload".into(), self.payload.to_string()]);
        arguments.extend(["--keep-alive".into(), self.keep_alive.to_string()]);
        arguments.extend(self.reset.then(|| "--reset".into()));
        arguments
    }

    /// Runs the load for so many seconds.
    pub(crate) fn run(&self, seconds: f64) -> Result<ChurnResult> {
        let mut command = Command::new(built("load")?);
        command.arg("churn").args(["--seconds", &seconds.to_string()]).args(self.arguments());
        let mut load = Child::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()))?;
        let mut stdout = load.stdout()?;
        let status = load.wait(TIMEOUT + Duration::from_secs_f64(seconds))?;
        let mut result = String::new();
        stdout.read_to_string(&mut result)?;
        if !status.success() {
            bail!("the load failed: {}", load.stderr());
        }
        serde_json::from_str(&result).context("what the load reports")
    }

    /// Runs the load until TIME_WAIT is full, so that all contestants find the same. Resets leave no
    /// TIME_WAIT.
    pub(crate) fn fill_time_wait(&self) -> Result<()> {
        let limit = time_wait::limit()?;
        for _ in 0..TOP_UPS {
            if self.reset || time_wait::sockets()? * 100 >= FULL * limit {
                return Ok(());
            }
            self.run(TOP_UP_S)?;
        }
        // The load is too slow to reach the limit. By now as many sockets leave TIME_WAIT as enter it.
        Ok(())
    }
}
