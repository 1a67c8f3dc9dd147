//! `cargo xtask quiet`: a healthy busy host for minutes, on which nothing may be found.

use std::process::ExitCode;

use anyhow::Result;

use crate::test;

/// Arguments of `quiet`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How long
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=12))]
    minutes: u32,
}

/// Runs the test of a healthy host for so long. It has a limit, as all tests have.
pub(crate) fn quiet(args: &Args) -> Result<ExitCode> {
    let seconds = (args.minutes * 60).to_string();
    test::one_with("a_healthy_busy_host_is_quiet", ("QUIET_SECONDS", &seconds))
}
