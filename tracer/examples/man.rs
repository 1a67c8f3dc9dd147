//! Writes the man pages, one for each command, into the folder given: from the same definition as
//! `--help`. `cargo xtask man` runs it.

use std::{env, path::Path, process::ExitCode};

use clap::CommandFactory as _;
use tracer::cli::Cli;

fn main() -> ExitCode {
    let Some(folder) = env::args_os().nth(1) else {
        eprintln!("man: give a folder");
        return ExitCode::FAILURE;
    };
    match clap_mangen::generate_to(Cli::command().disable_help_subcommand(true), Path::new(&folder)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("man: writing into {}: {error}", folder.display());
            ExitCode::FAILURE
        }
    }
}
