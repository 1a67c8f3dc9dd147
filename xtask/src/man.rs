//! `cargo xtask man`: generates the man pages.

use std::{
    fs,
    path::PathBuf,
    process::{Command, ExitCode},
};

use anyhow::{Context as _, Result};

use crate::{
    command::{cargo, run},
    root, target,
};

/// Arguments of `man`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Folder for the man pages [default: target/man]
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

/// Runs the example that generates them from the definition of the command line.
pub(crate) fn man(args: &Args) -> Result<ExitCode> {
    let folder = args.out.clone().unwrap_or_else(|| root().join("target/man"));
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let folder = folder.canonicalize()?;
    // The same selection of packages as for the unit tests, so that nothing is built twice.
    let example = ["build", "--quiet", "--locked", "--workspace", "--exclude", "tests", "--example", "man"];
    run(cargo().current_dir(root()).args(example))?;
    run(Command::new(target().join("debug/examples/man")).arg(&folder))?;
    println!(
        "man: wrote the pages into {}; `man -l {}` shows one",
        folder.display(),
        folder.join("tracer.1").display()
    );
    Ok(ExitCode::SUCCESS)
}
