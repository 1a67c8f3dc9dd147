//! A capture from beginning to end.
//!
//! # Layout
//! - here: [`run`] opens the source, runs the capture, prints the receipt and returns the exit status
//! - [`capture`]: the loop that reads facts and writes bytes; [`stages`]: from facts to bytes
//! - [`confined`]: what a run gives up; [`stop`]: signals; [`receipt`]: the counts of a capture; `receipt_file`: their file; [`error`]
//! - [`console`]: the terminal of a full-screen view; `fault`: given back if the process dies
//! - [`recording`]: `tracer recording`; `serve`: the pages of `tracer serve`; `otlp`: which of them it sends;
//!   `service_manager`: systemd is told how it goes
//! - `hosts`: recordings of several hosts in one view; [`diff`]: two sides, compared; `against`: the same before a report
//! - `span`: the part of recordings that is shown; `record`: the file and the header of a recording; `export`: the files of an export
//! - [`in_kernel`]: a summary that the kernel counts, without sending events to user space
//! - [`list`]: `tracer list`; `asked`: what a running `serve` knows; `list_names`: names of services and hosts in it;
//!   `list_recorded`: of a recording; `known`: what is known at a moment of one; `network`: its interfaces and routes; [`check`]: `tracer check`

mod against;
mod asked;
pub mod capture;
pub mod check;
pub mod confined;
pub mod console;
pub mod diff;
pub mod error;
mod export;
mod fault;
mod hosts;
pub mod in_kernel;
mod known;
pub mod list;
mod list_names;
mod list_recorded;
mod network;
mod otlp;
pub mod receipt;
mod receipt_file;
mod record;
pub mod recording;
mod serve;
mod service_manager;
mod span;
pub mod stages;
pub mod stop;

use std::{io, process::ExitCode};

use tokio::runtime::{self, Runtime};

use crate::{
    config::{RunConfig, ShownSpan},
    facts::hooks::{HookReport, LeftOut},
    output::{
        stderr::{self, message},
        stdout::{self, Output},
    },
    run::{
        against::Against,
        capture::{Outcome, capture},
        confined::Sandbox,
        console::IdleConsole,
        error::Error,
        receipt_file::ReceiptFile,
        span::HostSpans,
        stop::{Signals, Stop},
    },
    source::{
        Source as _,
        kernel::{host, limits, privileges},
        open::{OpenSource, SourceOptions, open, open_all},
        recorded::Recorded,
        streamed::Streamed,
    },
    text::{STARTING_A_THREAD, charset::Recoding},
    view::Ending,
};

/// Exit status with `--strict` if events were lost or the kernel's own counters disagree.
pub(crate) const INCOMPLETE: u8 = 3;

/// Exit status with `--exit-on-stuck` if a connection was stuck.
const STUCK: u8 = 4;

/// Exit status with `--fail-on` if that was found.
pub(crate) const FAILED_ON: u8 = 5;

/// Captures until the capture ends, and prints the receipt.
pub fn run(config: RunConfig, sandbox: Sandbox) -> Result<ExitCode, Error> {
    // Before there are threads, which inherit it.
    sandbox.keep_files_of(&config);
    let RunConfig {
        capture: mut config,
        source: options,
        hooks,
        recoding,
        record,
        export,
        of_several,
        against,
        serve,
    } = config;
    let spans = host_spans(&config.span, &options)?;
    let against = against.map(Against::new).transpose()?;
    let console = config.view.needs().screen.then(IdleConsole::check).transpose()?;
    let (runtime, signals) = listening()?;
    let receipt_file = config.receipt.take().map(ReceiptFile::start).transpose()?;
    let files = record.as_ref().map(record::files).transpose()?;
    let (export, written) = export::files(export.as_ref())?.unzip();
    let alerts = serve.as_ref().is_some_and(|serve| serve.alerts);
    let requests = serve.as_ref().map(serve::start).transpose()?;
    let clients = serve.as_ref().map(serve::clients).transpose()?.flatten();
    let strict = config.strict;
    // What is compared with; the receipt says it of the rest.
    let mut is_whole = true;
    let outcome = drive(runtime, async {
        let mut stop = match &config.reload {
            None => Stop::new(signals),
            Some(_) => Stop::reloading(signals).map_err(Error::system("listening for SIGHUP"))?,
        };
        if record.as_ref().is_some_and(|record| record.heeds_signal) {
            stop = stop.with_mark().map_err(Error::system("listening for SIGUSR1"))?;
        }
        let (mut sources, sides) = tokio::select! {
            opened = opened(&options, of_several.is_some(), against.as_ref()) => opened?,
            // A recording may come from a pipe that says nothing.
            () = stop.wait() => return Ok(None),
        };
        sandbox.give_up_calls();
        if let Some((against, sides)) = sides {
            is_whole = against.compare(sides, &mut stop).await?;
        }
        if let (2.., Some(of_host)) = (sources.len(), &of_several) {
            let output = match export {
                None => Output::new()?.recoding(recoding),
                Some(file) => Output::to_files(file)?,
            };
            // What cannot be paused is being made, and what is played slowly says nothing for long.
            let is_live = matches!(&options, SourceOptions::Recording(recordings)
                if !recordings.can_pause || recordings.speed.is_some());
            let all =
                hosts::capture_all(sources, of_host, spans.as_ref(), output, is_live, &hooks, &mut stop);
            return Ok(Some(Box::pin(all).await?));
        }
        let Some(mut source) = sources.pop() else {
            return Ok(None);
        };
        if let Some(spans) = spans {
            config.span = ShownSpan::Known(spans.of(source.header()));
        }
        tell_missing(&hooks, &source.kernel().hooks, None);
        let (output, _progress) = match export {
            None => (standard_output(alerts, recoding)?.answering(requests), None),
            Some(files) => {
                let host = source.header().map_or_else(host::name, |header| header.host.clone());
                let output = Output::to_files(files.of_host(&host))?;
                let progress = export::progress(&options, &output);
                (output, progress)
            }
        };
        let Some(files) = files else {
            if clients.is_none() {
                return Ok(Some(capture(source, config, output, console, &mut stop).await?));
            }
            let header = record::header(&options, &mut source)?;
            let source = Streamed::new(source, header, clients);
            return Ok(Some(Box::pin(capture(source, config, output, console, &mut stop)).await?));
        };
        let header = record::header(&options, &mut source)?;
        let may_fail = record.is_some_and(|record| record.may_fail);
        let mut source = Recorded::start(source, header.clone(), files)?.that_may_fail(may_fail);
        let outcome = Box::pin(capture(
            Streamed::new(&mut source, header, clients),
            config,
            output,
            console,
            &mut stop,
        ))
        .await?;
        record::tell(source.recording_counts());
        Ok(Some(outcome))
    })?;
    if outcome.as_ref().is_some_and(|outcome| outcome.result.is_ok()) {
        written.into_iter().for_each(message);
    }
    let code = outcome.map_or(Ok(ExitCode::SUCCESS), |outcome| conclude(outcome, receipt_file, strict))?;
    Ok(if code == ExitCode::SUCCESS && strict && !is_whole { INCOMPLETE.into() } else { code })
}

/// The part of each host's recordings, if files tell it.
fn host_spans(span: &ShownSpan, options: &SourceOptions) -> Result<Option<HostSpans>, Error> {
    match (span, options) {
        (ShownSpan::OfFiles(spec), SourceOptions::Recording(options)) => {
            HostSpans::of_files(&options.paths, spec).map(Some)
        }
        _ => Ok(None),
    }
}

/// What is compared with, and the sources of both sides.
type OpenSides<'a> = (&'a Against, [Vec<OpenSource>; 2]);

/// Opens the source, or that of each of several hosts, and those of a comparison.
async fn opened<'a>(
    options: &SourceOptions,
    of_several: bool,
    against: Option<&'a Against>,
) -> Result<(Vec<OpenSource>, Option<OpenSides<'a>>), Error> {
    let sources = if of_several { open_all(options).await? } else { vec![open(options).await?] };
    let sides = match against {
        Some(against) => Some((against, against.open().await?)),
        None => None,
    };
    Ok((sources, sides))
}

/// Prints the receipt, and returns the exit status.
fn conclude(outcome: Outcome, receipt_file: Option<ReceiptFile>, strict: bool) -> Result<ExitCode, Error> {
    let Outcome { receipt, ending, result } = outcome;
    receipt.to_string().lines().for_each(message);
    let written = receipt_file.map_or(Ok(()), |file| file.write(&receipt));
    let result = tolerate_closed_pipe(result);
    if let (Err(_), Err(error)) = (&result, &written) {
        message(error);
    }
    result.and(written)?;
    if ending == Some(Ending::Stuck) {
        return Ok(STUCK.into());
    }
    let is_incomplete = strict && !receipt.is_complete();
    Ok(if is_incomplete { INCOMPLETE.into() } else { ExitCode::SUCCESS })
}

/// Where lines go. `alerts`: nobody waits for them.
fn standard_output(alerts: bool, recoding: Option<Recoding>) -> Result<Output, stdout::Error> {
    if alerts { Output::lossy() } else { Ok(Output::new()?.recoding(recoding)) }
}

/// Runs a capture to its end, and shuts the runtime down.
pub(crate) fn drive<T>(
    runtime: Runtime,
    capture: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let result = runtime.block_on(capture);
    // A write to a reader that has stopped reading may still be in progress: do not wait for it.
    runtime.shutdown_background();
    result
}

/// Sees to it that no message can block, creates the runtime and starts to listen for signals. Call this first,
/// so that a signal that arrives while the programs are loaded ends the process as cleanly as a later one.
pub(crate) fn listening() -> Result<(Runtime, Signals), Error> {
    limits::check()?;
    stderr::start(|| {
        // It also works with capabilities, so this is only a warning.
        if let Err(error) = privileges::drop_all_but(&[]) {
            log::warn!("{error}");
        }
    })
    .map_err(Error::system(STARTING_A_THREAD))?;
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

/// Reports the hooks that options need but that could not be attached, and those that other tools leave no room for.
fn tell_missing(asked: &[(&str, &[&str])], hooks: &HookReport, host: Option<&str>) {
    let host = host.map_or(String::new(), |host| format!("{host}: "));
    let crowded_out = hooks.crowded_out().map(|hook| format!("{} ({})", hook.tells, hook.hook));
    let crowded_out = crowded_out.collect::<Vec<_>>().join(", ");
    if !crowded_out.is_empty() {
        message(format_args!("{host}no room for another program, so not told: {crowded_out}"));
    }
    for LeftOut { hook, why, .. } in &hooks.left_out {
        for (option, _) in asked.iter().filter(|(_, needed)| needed.contains(&&**hook)) {
            message(format_args!("{host}{option} without the hook {hook}: {why}"));
        }
    }
}

/// The exit status after printing something short. Says why it could not be written; a closed pipe is no failure.
#[must_use]
pub fn printed(result: io::Result<()>) -> ExitCode {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            message(stdout::Error::Write(error));
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

/// Treats a closed pipe as success: the reader, such as `head`, has read enough.
pub(crate) fn tolerate_closed_pipe(result: Result<(), Error>) -> Result<(), Error> {
    match result {
        Err(error) if error.is_closed_pipe() => Ok(()),
        result => result,
    }
}
