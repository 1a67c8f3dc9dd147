//! A capture from beginning to end.
//!
//! # Layout
//! - here: [`run`] opens the source, and ends with the receipt and the exit status
//! - [`capture`]: the loop: facts in, bytes out; [`stages`]: from facts to bytes
//! - [`stop`]: signals and the end of the time asked for; [`receipt`]: what it amounted to; [`error`]
//! - [`console`]: the terminal of a view that has the whole screen
//! - [`in_kernel`]: a summary that no event leaves the kernel for
//! - [`check`]: `tracer check`

pub mod capture;
pub mod check;
pub mod console;
pub mod error;
pub mod in_kernel;
pub mod receipt;
pub mod stages;
pub mod stop;

use std::{io::Write as _, process::ExitCode};

use tokio::runtime::{self, Runtime};

use crate::{
    config::{LiveConfig, ReceiptFile},
    facts::hooks::HookReport,
    output::{
        stderr::{self, message},
        stdout::Output,
    },
    run::{
        capture::{Outcome, capture},
        console::Console,
        error::Error,
        receipt::Receipt,
        stop::{Signals, Stop},
    },
    source::{self, Source as _},
    view::Ending,
};

/// Events were lost, or the kernel counted something else, and `--strict` was given.
pub(crate) const INCOMPLETE: u8 = 3;

/// A connection was stuck, and `--exit-on-stuck` was given.
const STUCK: u8 = 4;

/// Captures what the running kernel tells until something ends it, and prints the receipt.
pub fn run(config: LiveConfig) -> Result<ExitCode, Error> {
    let LiveConfig { capture: mut config, kernel, hooks } = config;
    if config.view.needs().screen {
        Console::check()?;
    }
    let (runtime, signals) = listening()?;
    let source = {
        let _inside = runtime.enter();
        source::open(&kernel)?
    };
    tell_missing(&hooks, &source.kernel().hooks);
    // Only now: threads inherit capabilities.
    stderr::start();
    let (receipt_file, strict) = (config.receipt.take(), config.strict);
    let Outcome { receipt, ending, result } = drive(runtime, async {
        let output = Output::new().map_err(Error::system("taking standard output"))?;
        Ok(capture(source, config, output, &mut Stop::new(signals)).await)
    })?;
    message(&receipt);
    stderr::finish();
    if let Some(file) = receipt_file {
        write_receipt(file, &receipt)?;
    }
    tolerate_closed_pipe(result)?;
    if ending == Some(Ending::Stuck) {
        return Ok(STUCK.into());
    }
    let is_incomplete = strict && !receipt.is_complete();
    Ok(if is_incomplete { INCOMPLETE.into() } else { ExitCode::SUCCESS })
}

/// Runs a capture to its end.
pub(crate) fn drive<T>(
    runtime: Runtime,
    capture: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let result = runtime.block_on(capture);
    // A write that nobody reads may still be under way: do not wait for it.
    runtime.shutdown_background();
    result.inspect_err(|_| stderr::finish())
}

/// A runtime that hears signals. Before anything else: who is interrupted while loading ends as
/// well as later.
pub(crate) fn listening() -> Result<(Runtime, Signals), Error> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::system("starting the runtime"))?;
    let signals = {
        let _inside = runtime.enter();
        Signals::new().map_err(Error::system("listening for signals"))?
    };
    Ok((runtime, signals))
}

/// Says which of the hooks that options ask for are not there.
fn tell_missing(asked: &[(&str, &[&str])], hooks: &HookReport) {
    for (hook, why) in &hooks.left_out {
        for (option, _) in asked.iter().filter(|(_, needed)| needed.contains(hook)) {
            message(format_args!("{option} without the hook {hook}: {why}"));
        }
    }
}

fn write_receipt(ReceiptFile { name, mut file }: ReceiptFile, receipt: &Receipt) -> Result<(), Error> {
    let json = serde_json::to_string_pretty(receipt).unwrap_or_default();
    writeln!(file, "{json}").map_err(|cause| Error::Receipt { name, cause })
}

/// A reader that has seen enough is no failure.
pub(crate) fn tolerate_closed_pipe(result: Result<(), Error>) -> Result<(), Error> {
    match result {
        Err(error) if error.is_closed_pipe() => Ok(()),
        result => result,
    }
}
