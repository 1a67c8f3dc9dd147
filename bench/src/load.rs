//! Running the load.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use bench::{Churned, READY};

use crate::{child::Child, interrupt, places::built};

/// Beyond the time that a program of the load takes by itself.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long the load runs before it is asked whether TIME_WAIT is full.
const TOP_UP_S: f64 = 0.5;
const TOP_UPS: u32 = 60;
/// TIME_WAIT counts as full when this share of what the kernel allows is there.
const FULL: f64 = 0.97;

/// What kind of connections.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Load {
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

impl Load {
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
    pub(crate) fn run(&self, seconds: f64) -> Result<Churned> {
        let mut command = Command::new(built("load")?);
        command.arg("churn").args(["--seconds", &seconds.to_string()]).args(self.arguments());
        let mut load = Child::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()))?;
        let mut stdout = load.stdout()?;
        let status = load.wait(PATIENCE + Duration::from_secs_f64(seconds))?;
        let mut result = String::new();
        stdout.read_to_string(&mut result)?;
        if !status.success() {
            bail!("the load failed: {}", load.said());
        }
        serde_json::from_str(&result).context("what the load reports")
    }

    /// Runs it until TIME_WAIT is full, so that all contestants find the same; resets leave none.
    pub(crate) fn fill_time_wait(&self) -> Result<()> {
        let most = fs::read_to_string("/proc/sys/net/ipv4/tcp_max_tw_buckets")?.trim().parse::<f64>()?;
        for _ in 0..TOP_UPS {
            if self.reset || time_wait()? >= FULL * most {
                return Ok(());
            }
            self.run(TOP_UP_S)?;
        }
        // A slow load on a machine that allows much: what comes goes at the same rate by now.
        Ok(())
    }
}

/// Sockets in TIME_WAIT.
pub(crate) fn time_wait() -> Result<f64> {
    let text = fs::read_to_string("/proc/net/sockstat")?;
    let mut words = text.split_whitespace().skip_while(|word| *word != "tw");
    words.nth(1).context("no tw in /proc/net/sockstat")?.parse().context("tw in /proc/net/sockstat")
}

/// Connections that stay as long as this does.
pub(crate) struct Held(Vec<Child>);

/// Opens connections in several processes.
pub(crate) fn hold(processes: usize, connections_each: usize) -> Result<Held> {
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
            bail!("the load does not hold its connections: {}", child.said());
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
            let _ = child.wait(PATIENCE);
        }
    }
}
