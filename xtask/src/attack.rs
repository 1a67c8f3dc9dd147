//! `cargo xtask attack`: builds tracer and the program that attacks it, and runs that.

use std::{
    ffi::OsString,
    os::unix::process::CommandExt as _,
    path::PathBuf,
    process::{Command, ExitCode},
};

use anyhow::{Context as _, Result};

use crate::{
    command::{as_root, cargo, run},
    package, root, setup, target,
    vm::arch::Arch,
};

/// Arguments of `attack`.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    /// Attack the program in the package for Debian that `cargo xtask package` has made, and not one that is built now
    #[arg(long)]
    packaged: bool,
    /// Arguments for the attack; --help shows them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// Builds everything, and replaces this process with the attack.
pub(crate) fn attack(args: &Args) -> Result<ExitCode> {
    let runs = !args.arguments.iter().any(|it| it == "-h" || it == "--help" || it == "--list");
    let debug = target().join("debug");
    let mut build = cargo();
    build.current_dir(root()).args(["build", "--quiet", "--locked", "--package", "tests", "--bins"]);
    run(&mut build)?;
    let mut command = Command::new(debug.join("attack"));
    if runs {
        setup::kernel()?;
        setup::packages(setup::TESTS)?;
        let tracer = if args.packaged { package::unpacked(Arch::Amd64, "attacked")? } else { built()? };
        command = as_root("env");
        let variable = |name: &str, path| {
            [OsString::from(name), "=".into(), OsString::from(path)].into_iter().collect::<OsString>()
        };
        command.arg(variable("ACTOR", debug.join("actor")));
        command.arg(variable("TRACER", tracer)).arg(debug.join("attack"));
    }
    Err(command.args(&args.arguments).exec()).context("cannot start the attack")
}

/// The program, built now.
fn built() -> Result<PathBuf> {
    let build = ["build", "--quiet", "--release", "--locked", "--package", "tcp-tracer"];
    run(cargo().current_dir(root()).args(build))?;
    Ok(target().join("release/tracer"))
}
