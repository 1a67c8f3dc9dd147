//! `tracer`: parse, run, report.

mod closed;
mod name_services;

use std::{
    fmt::Display,
    io::{self, Write as _},
    process::ExitCode,
};

use clap::Parser as _;
use tracer::{
    cli::{
        Cli, Command, ExplainArgs, OutputArgs, completions, list::with_formats, usage::tamed,
        wrong_turns::advised,
    },
    config::{self, RunConfig},
    explain::explain as explanation,
    format::{
        columns::Views,
        links::Links,
        routes::Routes,
        subject::{Story, Subject},
    },
    output::{refusal, stderr, stderr::message, stdout::write_whole},
    run::{self, check, confined::Sandbox, error::Error, in_kernel, list, recording},
    source::kernel::limits,
    text::charset::recoding,
};

/// The exit status of wrong usage: as clap's own.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    name_services::without_modules();
    match completions::asked() {
        Ok(false) => {}
        Ok(true) => return ExitCode::SUCCESS,
        Err(error) => return fail(&format_args!("completions: {error}"), ExitCode::from(USAGE)),
    }
    if let Err(error) = limits::first() {
        return fail(&error, ExitCode::FAILURE);
    }
    refusal::take_size_limits_as_errors();
    let cli = match Cli::try_parse_from(with_formats(std::env::args_os())) {
        Err(error) if error.use_stderr() => return usage(error),
        _ if closed::standard_output() => {
            return fail(&"standard output is closed: give it a file or a pipe", ExitCode::FAILURE);
        }
        // What is left is the help or the version.
        Err(text) => return run::printed(text.print().and_then(|()| io::stdout().flush())),
        Ok(cli) => cli,
    };
    let code = dispatch(cli);
    // Nothing else may be said after this.
    stderr::finish();
    code
}

fn dispatch(cli: Cli) -> ExitCode {
    let sandbox = if cli.no_sandbox { Sandbox::Off } else { Sandbox::On };
    match cli.command.unwrap_or_else(|| Command::Log(Box::new(cli.log))) {
        Command::Log(args) if asks_for_columns(&args.output) => list_columns::<Story>(Views::EVENTS),
        Command::Life(args) if asks_for_columns(&args.output) => list_columns::<Story>(Views::EVENTS),
        Command::Log(args) => capture(args.capture.verbose, sandbox, || config::log(*args)),
        Command::Life(args) => capture(args.capture.verbose, sandbox, || config::life(*args)),
        Command::Summary(args) if args.report.in_kernel => {
            start_logger(args.capture.verbose);
            ended(config::in_kernel(*args).map(|config| in_kernel::run(&config, sandbox)))
        }
        Command::Summary(args) => capture(args.capture.verbose, sandbox, || config::summary(*args)),
        Command::Top(args) => capture(args.capture.verbose, sandbox, || config::top(*args)),
        Command::Serve(args) => capture(args.capture.verbose, sandbox, || config::serve(*args)),
        Command::Record(args) => capture(args.capture.verbose, sandbox, || config::record(*args)),
        Command::Recording(command) => {
            start_logger(0);
            ended(config::recording(command).map(|config| recording::recording(&config, sandbox)))
        }
        Command::Export(args) if args.columns.as_deref() == Some("help") => {
            list_columns::<Story>(Views::EVENTS)
        }
        Command::Export(args) => capture(args.capture.verbose, sandbox, || config::export(*args)),
        Command::Diff(args) => {
            start_logger(args.verbose);
            ended(config::diff(&args).map(|config| run::diff::diff(config, sandbox)))
        }
        Command::Report(args) => capture(args.verbose, sandbox, || config::report(*args)),
        Command::List(args) if asks_for_columns(&args.output) => {
            match (args.routes, args.asks_for_interfaces()) {
                (true, _) => list_columns::<Routes>(Views::ROUTES),
                (_, true) => list_columns::<Links>(Views::LINKS),
                _ => list_columns::<Story>(Views::LIST),
            }
        }
        Command::List(args) => {
            start_logger(args.verbose);
            ended(config::list(*args).map(list::list))
        }
        Command::Explain(args) => explain(&args),
        Command::Check(args) => check::check(&config::check(args)),
        Command::Completions(args) => run::printed(write_whole(&completions::completions(args.shell))),
    }
}

fn capture(
    verbose: u8,
    sandbox: Sandbox,
    config: impl FnOnce() -> Result<RunConfig, config::Error>,
) -> ExitCode {
    start_logger(verbose);
    ended(config().map(|config| run::run(config, sandbox)))
}

fn ended(result: Result<Result<ExitCode, Error>, config::Error>) -> ExitCode {
    match result {
        Ok(Err(error)) if error.is_usage() => fail(&error, ExitCode::from(USAGE)),
        Ok(result) => result.unwrap_or_else(|error| fail(&error, ExitCode::FAILURE)),
        Err(error) => fail(&error, ExitCode::from(USAGE)),
    }
}

fn asks_for_columns(output: &OutputArgs) -> bool {
    output.columns.as_deref() == Some("help")
}

fn usage(error: clap::Error) -> ExitCode {
    let arguments = std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned());
    let error = tamed(advised(error, &arguments.collect::<Vec<_>>()));
    // There is nowhere to report that standard error takes nothing.
    let _ = error.print();
    ExitCode::from(USAGE)
}

fn fail(error: &dyn Display, code: ExitCode) -> ExitCode {
    message(error);
    code
}

fn explain(args: &ExplainArgs) -> ExitCode {
    let (language, look) = config::explain(args);
    match explanation(args.word.as_deref(), language, look, list::here) {
        Ok(text) => {
            let mut text = text.into_bytes();
            if let Some(recode) = recoding() {
                recode(&mut text);
            }
            run::printed(write_whole(&text))
        }
        Err(error) => fail(&error, ExitCode::from(USAGE)),
    }
}

fn list_columns<S: Subject>(of: Views) -> ExitCode {
    let mut lines = Vec::new();
    for column in S::columns().iter().filter(|column| column.views.includes(of)) {
        // Writing into memory cannot fail.
        let _ = writeln!(lines, "{:<18} {:<14} {}", column.key, column.views, column.help);
    }
    run::printed(write_whole(&lines))
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
    builder.format(|_, record| {
        message(format_args!("{}: {}", record.level().as_str().to_lowercase(), record.args()));
        Ok(())
    });
    builder.init();
}
