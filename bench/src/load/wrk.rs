//! wrk: clients that send requests to a service, as fast as possible.

use std::{
    io::Read as _,
    net::SocketAddr,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::child::Child;

/// The program.
pub(crate) const PROGRAM: &str = "wrk";

/// Connections at the same time: enough to keep one worker of nginx busy.
const CONNECTIONS: &str = "32";

const TIMEOUT: Duration = Duration::from_secs(20);

/// Requests per second to `address`, with an additional header. wrk takes whole seconds only.
pub(crate) fn run(address: SocketAddr, header: &str, seconds: f64) -> Result<f64> {
    let seconds = seconds.ceil();
    let mut command = Command::new(PROGRAM);
    command.args(["--threads", "1", "--connections", CONNECTIONS, "--header", header]);
    command.args(["--duration", &format!("{seconds}s"), &format!("http://{address}/")]);
    let mut wrk = Child::start(command.stdin(Stdio::null()).stdout(Stdio::piped()))?;
    let mut stdout = wrk.stdout()?;
    let status = wrk.wait(TIMEOUT + Duration::from_secs_f64(seconds))?;
    let mut output = String::new();
    stdout.read_to_string(&mut output)?;
    ensure!(status.success(), "wrk failed: {}", wrk.stderr());
    requests_per_s(&output)
}

/// Reads the rate from wrk's output. Fails if a request did.
fn requests_per_s(output: &str) -> Result<f64> {
    let value = |key: &str| output.lines().find_map(|line| line.trim().strip_prefix(key)).map(str::trim);
    for errors in ["Socket errors:", "Non-2xx or 3xx responses:"] {
        if let Some(errors) = value(errors) {
            bail!("requests failed: {errors}");
        }
    }
    let rate = value("Requests/sec:").context("wrk printed no rate")?;
    rate.parse().with_context(|| format!("wrk's rate is {rate}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "Running 1s test @ http://127.0.0.1:1/\n  1 threads and 32 connections\n  \
                          16996 requests in 2.05s, 2.35MB read\n";

    #[test]
    fn the_rate() {
        let output = format!("{OUTPUT}Requests/sec:   8301.12\nTransfer/sec:      1.15MB\n");
        assert!((requests_per_s(&output).unwrap() - 8301.12).abs() < 1e-9);
    }

    #[test]
    fn a_rate_with_errors_is_none() {
        let errors = "  Socket errors: connect 0, read 12, write 0, timeout 0\n";
        assert!(requests_per_s(&format!("{OUTPUT}{errors}Requests/sec:   8301.12\n")).is_err());
        assert!(requests_per_s(OUTPUT).is_err());
    }
}
