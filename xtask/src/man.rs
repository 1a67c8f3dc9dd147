//! `cargo xtask man`: generates the man pages.

use std::{
    fs,
    path::{Path, PathBuf},
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
    pages(&root(), &folder)?;
    println!(
        "man: wrote the pages into {}; `man -l {}` shows one",
        folder.display(),
        folder.join("tracer.1").display()
    );
    Ok(ExitCode::SUCCESS)
}

/// Writes the pages of the tracer with these sources into a folder.
pub(crate) fn pages(source: &Path, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    // The same selection of packages as for the unit tests, so that nothing is built twice.
    let example = ["build", "--quiet", "--locked", "--workspace", "--exclude", "tests", "--example", "man"];
    run(cargo().current_dir(source).args(example).arg("--target-dir").arg(target()))?;
    run(Command::new(target().join("debug/examples/man")).arg(folder.canonicalize()?))
}
