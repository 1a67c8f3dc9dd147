//! A capture from beginning to end: load, give up privileges, let events flow, print the receipt.

pub mod check;
pub mod console;
pub mod error;
pub mod in_kernel;
pub mod pipeline;
pub mod receipt;
pub mod stages;
pub mod stop;

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use caps::Capability;
use tokio::runtime::{self, Runtime};
use tracer_common::state;

use crate::{
    config::{Config, ReceiptFile, Wanted},
    output::stderr::{self, say},
    run::{
        console::Console,
        error::Error,
        pipeline::Pipeline,
        receipt::Receipt,
        stop::{Signals, Stop},
    },
    source::kernel::{
        load::{self, Attached},
        optional::{REQUESTS, Report},
        preflight::{self, Version},
        privileges,
        survey::Survey,
    },
    tcp::state::State,
    view::{Ending, log::Incidents},
};

/// Events were lost, or the kernel counted something else, and `--strict` was given.
pub(crate) const INCOMPLETE: u8 = 3;

/// A connection was stuck, and `--exit-on-stuck` was given.
const STUCK: u8 = 4;

/// From this version on a program's maps can be read without any capability.
const READS_MAPS_UNPRIVILEGED: Version = Version { major: 5, minor: 19 };

/// Captures until something ends it, and prints the receipt.
pub fn run(mut config: Config) -> Result<ExitCode, Error> {
    if matches!(config.wanted, Wanted::Top(_)) {
        Console::check()?;
    }
    let (runtime, signals) = listening()?;
    let mut attached = load::load(&config.kernel)?;
    log::info!("attached on Linux {}, with a buffer of {}", preflight::release(), config.kernel.buffer);
    log::info!("other hooks: {}", attached.hooks);
    tell_missing(&config, &attached.hooks);
    let survey = start_survey(&mut attached)?;
    privileges::drop_all_but(kept())?;
    // Only now: threads inherit capabilities.
    stderr::start();
    let receipt_file = config.receipt.take();
    let strict = config.strict;
    let (receipt, ending, result) = drive(runtime, capture(attached, survey, config, signals))?;
    say(&receipt);
    stderr::finish();
    if let Some(ReceiptFile { name, mut file }) = receipt_file {
        let json = serde_json::to_string_pretty(&receipt).unwrap_or_default();
        writeln!(file, "{json}").map_err(|cause| Error::Receipt { name, cause })?;
    }
    result?;
    if ending == Some(Ending::Stuck) {
        return Ok(STUCK.into());
    }
    let incomplete = strict && !receipt.is_complete();
    Ok(if incomplete { INCOMPLETE.into() } else { ExitCode::SUCCESS })
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

/// Capabilities that this thread keeps: none, but on old kernels.
pub(crate) fn kept() -> &'static [Capability] {
    match Version::running() {
        Some(version) if version >= READS_MAPS_UNPRIVILEGED => &[],
        _ => &[Capability::CAP_BPF],
    }
}

/// Going into namespaces takes CAP_SYS_ADMIN; seeing those of other users' processes CAP_SYS_PTRACE.
const FOR_NAMESPACES: &[Capability] =
    &[Capability::CAP_SYS_ADMIN, Capability::CAP_SYS_PTRACE, Capability::CAP_BPF, Capability::CAP_PERFMON];

/// What was asked for and will not come.
fn tell_missing(config: &Config, hooks: &Report) {
    let (incidents, limits) = match &config.wanted {
        Wanted::Log(_, incidents, watch) => (*incidents, watch.as_ref().map(|watch| &watch.limits)),
        _ => (Incidents::default(), None),
    };
    let half_open = State::from_kernel(state::NEW_SYN_RECV);
    let is_limited = limits.is_some_and(|limits| limits.of(state::NEW_SYN_RECV).is_some());
    let asked: [(_, _, &[&str]); 4] = [
        ("--resets", incidents.resets, &["tcp_send_reset", "tcp_receive_reset"]),
        ("--retransmits", incidents.retransmits, &["tcp_retransmit_skb", "tcp_retransmit_synack"]),
        ("--state NEW_SYN_RECV", config.story.states.contains(&half_open), &[REQUESTS]),
        ("--stuck NEW_SYN_RECV", is_limited, &[REQUESTS]),
    ];
    for (hook, why) in &hooks.left_out {
        for (option, ..) in asked.iter().filter(|(_, is_asked, of)| *is_asked && of.contains(hook)) {
            say(format_args!("{option} without the hook {hook}: {why}"));
        }
    }
}

fn start_survey(attached: &mut Attached) -> Result<Option<Survey>, Error> {
    let sockets = attached.sockets.take();
    sockets
        .map(|sockets| Survey::start(sockets, FOR_NAMESPACES))
        .transpose()
        .map_err(Error::system("starting a thread"))
}

async fn capture(
    attached: Attached,
    survey: Option<Survey>,
    config: Config,
    signals: Signals,
) -> Result<(Receipt, Option<Ending>, Result<(), Error>), Error> {
    let duration = config.duration;
    let takes_screen = matches!(config.wanted, Wanted::Top(_));
    let mut stop = Stop::new(signals);
    let mut pipeline = Pipeline::new(attached, survey, config)?;
    let is_begun = tokio::select! {
        () = pipeline.begin() => true,
        () = stop.wait() => false,
    };
    let result = if is_begun {
        say("ready");
        if takes_screen {
            pipeline.open_console()?;
        }
        stop.after(duration);
        pipeline.flow(&mut stop).await
    } else {
        Ok(())
    };
    let result = pipeline.finish(result, &mut stop).await;
    Ok((pipeline.receipt(), pipeline.ending(), tolerate_closed_pipe(result)))
}

/// A reader that has seen enough is no failure.
pub(crate) fn tolerate_closed_pipe(result: Result<(), Error>) -> Result<(), Error> {
    match result {
        Err(Error::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}
