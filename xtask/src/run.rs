//! `cargo xtask run`: builds tracer and runs it.

use std::process::{ExitCode, ExitStatus};

use anyhow::{Context as _, Result};

use crate::{
    command::{as_root, cargo, run as run_command},
    root, target,
};

/// Arguments of `run`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Arguments for tracer
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Builds tracer and runs it with the privileges that it needs.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    run_command(cargo().current_dir(root()).args(["build", "--release", "--package", "tcp-tracer"]))?;
    let mut tracer = as_root(target().join("release/tracer"));
    let status = tracer.args(&args.arguments).status().context("cannot start tracer")?;
    Ok(code(status))
}

fn code(status: ExitStatus) -> ExitCode {
    status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
}
