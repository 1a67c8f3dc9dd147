//! `cargo xtask soak`: `serve` with all that it can do, for hours, while everything comes and goes.

use std::{process::ExitCode, time::Duration};

use anyhow::Result;

use crate::test;

/// Arguments of `soak`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How long
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u32).range(1..))]
    minutes: u32,
}

/// Runs the test in which nothing may grow for so long.
pub(crate) fn soak(args: &Args) -> Result<ExitCode> {
    let time = Duration::from_secs(u64::from(args.minutes) * 60);
    test::one_for("nothing_grows_while_everything_comes_and_goes", "SOAK_SECONDS", time)
}
