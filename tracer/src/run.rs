//! The way of an event, stage by stage.

use std::{
    io,
    process::ExitCode,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use caps::Capability;
use tokio::runtime;
use tracer_common::Event;

use crate::{
    clock::Clock,
    config::Config,
    receipt::Receipt,
    say::say,
    select::Select,
    source::kernel::{
        load::{self, Attached},
        preflight::Version,
        privileges,
        ring::Ring,
    },
    stop::Stop,
    view::log::Log,
    write::Output,
};

/// Why a capture failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It did not start.
    #[error(transparent)]
    Load(#[from] load::Error),
    /// A map of the kernel program.
    #[error("reading the kernel program's maps: {0}")]
    Map(#[from] aya::maps::MapError),
    /// Capabilities could not be given up.
    #[error(transparent)]
    Privileges(#[from] privileges::Error),
    /// The runtime, signals, or waiting for the ring buffer.
    #[error("{what}: {cause}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What came back.
        cause: io::Error,
    },
    /// Standard output.
    #[error("writing to standard output: {0}")]
    Output(io::Error),
}

/// Events were lost and `--strict` was given.
const INCOMPLETE: u8 = 3;

/// From this version on a program's maps can be read without any capability.
const READS_MAPS_UNPRIVILEGED: Version = Version { major: 5, minor: 19 };

/// Captures until something ends it, and prints the receipt.
pub fn log(config: Config) -> Result<ExitCode, Error> {
    let attached = load::load(&config.kernel)?;
    give_up_privileges()?;
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|cause| Error::System { what: "starting the runtime", cause })?;
    let strict = config.strict;
    let (receipt, result) = runtime.block_on(capture(attached, config))?;
    // A write that nobody reads may still be under way: do not wait for it.
    runtime.shutdown_background();
    say(receipt);
    result?;
    let is_incomplete = receipt.losses.total() > 0;
    Ok(if strict && is_incomplete { INCOMPLETE.into() } else { ExitCode::SUCCESS })
}

/// All that needs privileges is done once the program is attached.
fn give_up_privileges() -> Result<(), Error> {
    let kept = match Version::running() {
        Some(version) if version >= READS_MAPS_UNPRIVILEGED => &[][..],
        _ => &[Capability::CAP_BPF],
    };
    Ok(privileges::drop_all_but(kept)?)
}

async fn capture(attached: Attached, config: Config) -> Result<(Receipt, Result<(), Error>), Error> {
    let system = |what| move |cause| Error::System { what, cause };
    let mut stop = Stop::new(config.duration).map_err(system("listening for signals"))?;
    let mut pipeline = Pipeline {
        ring: Ring::new(attached)?,
        select: Select::new(config.kernel.filter, config.kernel.hold_open),
        view: Log::new(config.format, config.raw, config.count),
        output: Output::default(),
        clock: Clock::new(),
        batch: Vec::new(),
        lines: BytesMut::new(),
        read: 0,
        losses_told: 0,
        losses_looked_at: Instant::now(),
    };
    say("ready");
    pipeline.view.begin(&mut pipeline.lines);
    let mut result = pipeline.flow(&mut stop).await;
    pipeline.ring.detach().await;
    if result.is_ok() {
        result = pipeline.finish(&mut stop).await;
    }
    let receipt = pipeline.receipt(result.is_err());
    Ok((receipt, tolerate_closed_pipe(result)))
}

/// A reader that has seen enough is no failure.
fn tolerate_closed_pipe(result: Result<(), Error>) -> Result<(), Error> {
    match result {
        Err(Error::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// The stages, and the buffers between them.
struct Pipeline {
    ring: Ring,
    select: Select,
    view: Log,
    output: Output,
    clock: Clock,
    batch: Vec<Event>,
    lines: BytesMut,
    read: u64,
    losses_told: u64,
    losses_looked_at: Instant,
}

/// How often losses are looked for while events come.
const LOSS_INTERVAL: Duration = Duration::from_secs(1);

/// How long the last lines may take to be written once the capture has ended.
const LAST_WRITE: Duration = Duration::from_secs(5);

impl Pipeline {
    async fn flow(&mut self, stop: &mut Stop) -> Result<(), Error> {
        while !self.view.is_full() {
            if !self.output.is_busy() {
                self.output.start(&mut self.lines);
            }
            tokio::select! {
                biased;
                () = stop.wait() => break,
                written = self.output.idle(), if self.output.is_busy() => written.map_err(Error::Output)?,
                ready = self.ring.ready(), if !self.output.is_busy() => {
                    ready.map_err(|cause| Error::System { what: "waiting for events", cause })?;
                    self.ring.take(&mut self.batch);
                    self.show_batch();
                    self.tell_losses();
                }
            }
        }
        Ok(())
    }

    /// Shows what the kernel program had reported when it was detached. A second signal, or a
    /// reader that does not read, cuts it short.
    async fn finish(&mut self, stop: &mut Stop) -> Result<(), Error> {
        let write_all = async {
            loop {
                self.output.idle().await?;
                let more = self.ring.take_rest(&mut self.batch);
                self.show_batch();
                if !more && self.lines.is_empty() {
                    return Ok(());
                }
                self.output.start(&mut self.lines);
            }
        };
        let late = || Error::Output(io::Error::new(io::ErrorKind::TimedOut, "nobody reads it"));
        tokio::select! {
            written = write_all => written.map_err(Error::Output),
            () = tokio::time::sleep(LAST_WRITE) => Err(late()),
            () = stop.signal() => Err(late()),
        }
    }

    fn show_batch(&mut self) {
        self.clock.follow();
        self.read += self.batch.len() as u64;
        for event in self.batch.drain(..) {
            for passed in self.select.pass(&event) {
                self.view.show(&passed, &self.clock, &mut self.lines);
            }
        }
    }

    /// A loss is said when it happens, not only in the end.
    fn tell_losses(&mut self) {
        if self.losses_looked_at.elapsed() < LOSS_INTERVAL {
            return;
        }
        self.losses_looked_at = Instant::now();
        let lost = self.ring.losses().total();
        if lost > self.losses_told {
            say(format_args!("lost {} events, {lost} in all", lost - self.losses_told));
            self.losses_told = lost;
        }
    }

    fn receipt(&mut self, unwritten: bool) -> Receipt {
        let shown = self.view.shown();
        let filtered_here = self.select.filtered();
        let filtered_in_kernel = self.ring.filtered();
        Receipt {
            seen: self.read + filtered_in_kernel,
            shown,
            filtered: filtered_in_kernel + filtered_here,
            beyond: self.read - filtered_here - shown,
            losses: self.ring.losses(),
            unwritten,
        }
    }
}
