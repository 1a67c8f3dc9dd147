//! Connections that come and go, as many as there can be.

use std::{
    io::Read as _,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use bench::ChurnResult;

use crate::{child::Child, load::time_wait, places::built};

/// Beyond the time that the load takes by itself.
const TIMEOUT: Duration = Duration::from_secs(20);

/// How long the load runs before it is asked whether TIME_WAIT is full.
const TOP_UP_S: f64 = 0.5;
const TOP_UPS: u32 = 60;
/// TIME_WAIT counts as full when this share, in hundredths, of what the kernel allows is there.
const FULL: u64 = 97;

/// What kind of connections.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Churn {
    /// Threads of the load, each a client and a server at once [default: one per CPU]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// Bytes that clients send and servers echo
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
    /// The arguments for the program that makes it, also for the report.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let mut arguments: Vec<_> =
            self.threads.iter().flat_map(|n| ["--threads".into(), n.to_string()]).collect();
        arguments.extend(["--payload".into(), self.payload.to_string()]);
        arguments.extend(["--keep-alive".into(), self.keep_alive.to_string()]);
        arguments.extend(self.reset.then(|| "--reset".into()));
        arguments
    }

    /// Runs it for a while.
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

    /// Runs it until TIME_WAIT is full, so that all contestants find the same; resets leave none.
    pub(crate) fn fill_time_wait(&self) -> Result<()> {
        let limit = time_wait::limit()?;
        for _ in 0..TOP_UPS {
            if self.reset || time_wait::sockets()? * 100 >= FULL * limit {
                return Ok(());
            }
            self.run(TOP_UP_S)?;
        }
        // A slow load on a machine that allows much: what comes goes at the same rate by now.
        Ok(())
    }
}
