//! `cargo xtask quiet`: a healthy busy host for minutes, on which nothing may be found.

use std::{process::ExitCode, time::Duration};

use anyhow::Result;

use crate::test;

/// Arguments of `quiet`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How long
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=12))]
    minutes: u32,
}

/// Runs the test of a healthy host for so long.
pub(crate) fn quiet(args: &Args) -> Result<ExitCode> {
    let time = Duration::from_secs(u64::from(args.minutes) * 60);
    test::one_for("a_healthy_busy_host_is_quiet", "QUIET_SECONDS", time)
}
