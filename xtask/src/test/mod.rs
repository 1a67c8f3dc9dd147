//! `cargo xtask test`: installs what is missing, then runs all tests or some of them.
//!
//! # Layout
//! - `steps`: the steps, and chains of steps that do not depend on each other
//! - `at_once`: runs such chains at the same time
//! - `kernel`: the tests on the real kernel
//! - `noise`: other traffic on the host, for these tests

mod at_once;
mod kernel;
mod noise;
mod steps;

use std::{process::ExitCode, time::Duration};

use anyhow::{Result, bail};

use crate::test::{kernel::Wanted, steps::Chain};

/// Arguments of `test`.
#[derive(clap::Args)]
#[allow(clippy::struct_excessive_bools)]
pub(crate) struct Args {
    /// Run only tests on the real kernel whose name, or whose file's name, contains this
    filter: Option<String>,
    /// After an edit: run formatting, clippy, the check of kernel objects, unit tests, and one test on the real
    /// kernel
    #[arg(long, conflicts_with_all = ["filter", "noise", "long"])]
    fast: bool,
    /// Run only tests on the real kernel, with other traffic on the host, as in a full run
    #[arg(long)]
    noise: bool,
    /// Run everything, and what takes longer: more storms, and the tests on the real kernel three times
    #[arg(long, conflicts_with_all = ["filter", "noise"])]
    long: bool,
    /// Run one chain of steps; a full run starts all of them at the same time
    #[arg(long, hide = true, conflicts_with_all = ["filter", "noise", "long", "fast"])]
    chain: Option<Chain>,
}

/// Runs the tests that are asked for. A test that cannot run fails.
pub(crate) fn test(args: &Args) -> Result<ExitCode> {
    match args {
        // The process that started this one prints the result of all chains.
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

/// Runs a test on the real kernel that takes so long, as this variable in its environment says to it in seconds.
pub(crate) fn one_for(name: &str, variable: &'static str, time: Duration) -> Result<ExitCode> {
    steps::run(steps::BEFORE_KERNEL)?;
    let seconds = time.as_secs().to_string();
    kernel::test(&Wanted::named(name, false).with((variable, &seconds)).within(time))?;
    Ok(ExitCode::SUCCESS)
}

fn everything(is_long: bool) -> Result<()> {
    steps::run(&[steps::SET_UP_ALL])?;
    if is_long {
        steps::run(&[steps::SET_UP_ENGINES])?;
    }
    // A step that fails does not hide what the next ones find: a whole run takes long.
    let mut failed = Vec::new();
    let mut run = |name: &'static str, work: &dyn Fn() -> Result<()>| {
        if let Err(error) = steps::timed(name, work) {
            println!("=== FAILED: {name}: {error:#}");
            failed.push(name);
        }
    };
    run("builds and checks", &|| at_once::run(&Chain::ALL));
    // These measure, so nothing else runs meanwhile.
    for step in steps::ALONE {
        run(step.name, &step.run);
    }
    let wanted = if is_long { Wanted::more() } else { Wanted::all() };
    run("tests on the real kernel", &|| kernel::test(&wanted));
    run("other kernels", &crate::vm::test);
    if failed.is_empty() { Ok(()) } else { bail!("failed, see above: {}", failed.join(", ")) }
}
