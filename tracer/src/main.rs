//! `tracer`: parse, run, report.

mod closed;

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use clap::Parser as _;
use tracer::{
    check,
    cli::{Cli, Command, LogArgs},
    config::{self, Request},
    fields::FIELDS,
    run,
    say::say,
};

/// The exit status of wrong usage: as clap's own.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    if closed::standard_output() {
        return fail(&"standard output is closed: give it a file or a pipe", ExitCode::FAILURE);
    }
    match cli.command.unwrap_or_else(|| Command::Log(Box::new(cli.log))) {
        Command::Log(args) => log(*args),
        Command::Check(args) => check::check(&args),
    }
}

fn log(args: LogArgs) -> ExitCode {
    start_logger(args.capture.verbose);
    match config::resolve(args) {
        Ok(Request::ListColumns) => list_columns(),
        Ok(Request::Capture(config)) => {
            run::log(config).unwrap_or_else(|error| fail(&error, ExitCode::FAILURE))
        }
        Err(error) => fail(&error, ExitCode::from(USAGE)),
    }
}

fn fail(error: &dyn std::fmt::Display, code: ExitCode) -> ExitCode {
    say(error);
    code
}

fn list_columns() -> ExitCode {
    let mut out = io::stdout().lock();
    for field in FIELDS {
        if let Err(error) = writeln!(out, "{:<12} {}", field.key, field.help) {
            let closed_pipe = error.kind() == io::ErrorKind::BrokenPipe;
            return if closed_pipe { ExitCode::SUCCESS } else { fail(&error, ExitCode::FAILURE) };
        }
    }
    ExitCode::SUCCESS
}

/// What the user asks for with `-v`. Twice is for the kernel program's diagnostics; the libraries'
/// own come with the third.
fn start_logger(verbose: u8) {
    let mut builder = env_logger::Builder::new();
    builder.filter_level(log::LevelFilter::Warn);
    match verbose {
        0 => {}
        1 => _ = builder.filter_module("tracer", log::LevelFilter::Info),
        2 => _ = builder.filter_module("tracer", log::LevelFilter::Debug),
        _ => _ = builder.filter_level(log::LevelFilter::Trace),
    }
    builder.init();
}
