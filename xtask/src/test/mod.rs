//! `cargo xtask test`: set up, then everything, or as much of it as is asked for.

mod at_once;
mod kernel;
mod noise;
mod steps;

use std::process::ExitCode;

use anyhow::Result;

use crate::test::{
    kernel::Wanted,
    steps::{Chain, Step},
};

/// Arguments of `test`.
#[derive(clap::Args)]
#[allow(clippy::struct_excessive_bools)]
pub(crate) struct Args {
    /// Only tests on the real kernel whose name, or whose file's, contains this
    filter: Option<String>,
    /// What an edit wants: formatting, clippy, unit tests, and one test on the real kernel
    #[arg(long, conflicts_with_all = ["filter", "noise", "long"])]
    fast: bool,
    /// Only tests on the real kernel, beside other traffic on the host, as in the whole test
    #[arg(long)]
    noise: bool,
    /// Everything, and what takes longer: more storms, and the tests on the real kernel three times
    #[arg(long, conflicts_with_all = ["filter", "noise"])]
    long: bool,
    /// A part of the whole, which runs it beside others
    #[arg(long, hide = true, conflicts_with_all = ["filter", "noise", "long", "fast"])]
    chain: Option<Chain>,
}

/// Runs what is asked for. A test that cannot run fails.
pub(crate) fn test(args: &Args) -> Result<ExitCode> {
    match args {
        // Whoever runs it says how all of it ends.
        Args { chain: Some(chain), .. } => {
            steps::run(chain.steps())?;
            return Ok(ExitCode::SUCCESS);
        }
        Args { fast: true, .. } => steps::run(steps::FAST)?,
        Args { filter: Some(filter), noise, .. } => {
            steps::run(steps::BEFORE_KERNEL)?;
            kernel::test(&Wanted::named(filter, *noise))?;
        }
        Args { noise: true, .. } => {
            steps::run(steps::BEFORE_KERNEL)?;
            kernel::test(&Wanted::all())?;
        }
        Args { long, .. } => everything(*long)?,
    }
    println!("=== all passed");
    Ok(ExitCode::SUCCESS)
}

fn everything(is_long: bool) -> Result<()> {
    steps::run(&[steps::SET_UP_ALL])?;
    at_once::run(&Chain::ALL)?;
    // These measure: nothing else runs beside them.
    steps::run(steps::ALONE)?;
    let wanted = if is_long { Wanted::more() } else { Wanted::all() };
    steps::timed("tests on the real kernel", || kernel::test(&wanted))?;
    Step { name: "other kernels", run: crate::vm::test }.run()
}
