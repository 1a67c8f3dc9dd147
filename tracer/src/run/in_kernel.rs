//! A summary that the kernel counts, without sending events to user space: load the program, drop privileges,
//! read the counts at intervals.

use std::process::ExitCode;

use crate::{
    aggregate::{report::Report, schedule::Schedule},
    config::InKernelConfig,
    facts::in_kernel::KernelAggregate,
    output::{stderr::message, stdout::Output},
    run::{
        self, INCOMPLETE,
        confined::Sandbox,
        error::Error,
        receipt::{known, push_notes},
        stop::Stop,
    },
    source::{
        self,
        kernel::{aggregate::AggregateProgram, privileges},
    },
    text::charset,
    time::{clock::Clock, duration::after},
    view::summary::Reporter,
};

/// Counts until the capture ends, and reports the counts.
pub fn run(config: &InKernelConfig, sandbox: Sandbox) -> Result<ExitCode, Error> {
    let (runtime, signals) = run::listening()?;
    let program = AggregateProgram::load(&config.kernel)?;
    privileges::drop_after_loading().map_err(source::Error::from)?;
    sandbox.give_up_calls();
    let strict = config.strict;
    let (counted, result) = run::drive(runtime, async {
        let mut stop = Stop::new(signals);
        InKernelSummary::new(program, config)?.count(&mut stop, config).await
    })?;
    message(receipt(&counted));
    run::tolerate_closed_pipe(result)?;
    let is_whole = [counted.missed, counted.evicted, counted.no_room].iter().all(|count| *count == Some(0));
    let is_incomplete = strict && !is_whole;
    Ok(if is_incomplete { INCOMPLETE.into() } else { ExitCode::SUCCESS })
}

struct InKernelSummary {
    program: AggregateProgram,
    clock: Clock,
    schedule: Schedule,
    reporter: Reporter,
    by_port: bool,
    rows: usize,
    /// The counts at the last report.
    before: Box<KernelAggregate>,
    output: Output,
    out: Vec<u8>,
}

impl InKernelSummary {
    fn new(program: AggregateProgram, config: &InKernelConfig) -> Result<Self, Error> {
        let now = program.now();
        let mut schedule = Schedule::new(config.reports.interval, config.reports.count);
        schedule.begin(now.monotonic_ns);
        Ok(Self {
            program,
            clock: Clock::new(now),
            schedule,
            reporter: Reporter::new(config.reports.text.clone()),
            by_port: config.kernel.by_port,
            rows: config.reports.rows,
            before: Box::new(KernelAggregate::nothing()),
            output: Output::new()?.recoding(config.reports.text.as_ref().and_then(|_| charset::recoding())),
            out: Vec::new(),
        })
    }

    /// Counts and reports until the capture ends. Returns the counts, and the result of writing.
    async fn count(
        mut self,
        stop: &mut Stop,
        config: &InKernelConfig,
    ) -> Result<(Box<KernelAggregate>, Result<(), Error>), Error> {
        message("ready");
        let begin_ns = self.program.now().monotonic_ns;
        let end_ns = config.duration.and_then(|duration| after(begin_ns, duration));
        let result = self.report_at_intervals(stop, end_ns).await;
        self.program.detach();
        let all = self.program.read().map_err(source::Error::from)?;
        let result = match result {
            Ok(()) => self.last_report(&all, stop).await,
            error => error,
        };
        if result.is_err() {
            self.output.abandon();
        }
        Ok((all, result))
    }

    async fn report_at_intervals(&mut self, stop: &mut Stop, end_ns: Option<u64>) -> Result<(), Error> {
        while !self.schedule.is_over() {
            self.write();
            let due_ns = self.schedule.due();
            let is_busy = self.output.is_busy();
            tokio::select! {
                biased;
                () = stop.wait() => break,
                () = self.program.until(end_ns) => break,
                written = self.output.turn() => written?,
                () = self.program.until(due_ns), if !is_busy => self.report()?,
            }
        }
        Ok(())
    }

    fn report(&mut self) -> Result<(), Error> {
        let counted = self.program.read().map_err(source::Error::from)?;
        let now_ns = self.now();
        self.report_on(&counted, now_ns);
        self.before = counted;
        Ok(())
    }

    /// The kernel's time now, in nanoseconds. Follows changes of the wall clock.
    fn now(&mut self) -> u64 {
        let now = self.program.now();
        self.clock.set(now);
        now.monotonic_ns
    }

    /// Reports the counts since the last report.
    fn report_on(&mut self, counted: &KernelAggregate, now_ns: u64) {
        let period = self.schedule.next(now_ns, &self.clock);
        if self.schedule.tells_intervals() {
            let report = Report::of_kernel(period, counted, &self.before, self.by_port, self.rows);
            self.reporter.write(&report, &mut self.out);
        }
    }

    /// Reports the rest of the last interval, and then the whole capture.
    async fn last_report(&mut self, all: &KernelAggregate, stop: &mut Stop) -> Result<(), Error> {
        let now_ns = self.now();
        if self.schedule.has_rest(now_ns) {
            self.report_on(all, now_ns);
        }
        let period = self.schedule.all(now_ns, &self.clock);
        let report = Report::of_kernel(period, all, &KernelAggregate::nothing(), self.by_port, self.rows);
        self.reporter.write(&report, &mut self.out);
        let write = async {
            self.output.patience().await?;
            self.write();
            Ok(self.output.patience().await?)
        };
        stop.unless_impatient(write).await
    }

    fn write(&mut self) {
        if !self.output.is_busy() {
            self.output.start(&mut self.out, 0);
        }
    }
}

/// The receipt: what was counted, filtered and lost.
fn receipt(counted: &KernelAggregate) -> String {
    let transitions: u64 = counted.transitions.iter().flatten().sum();
    let (filtered, missed) = (known(counted.filtered), known(counted.missed));
    let mut receipt = format!("counted {transitions}, filtered {filtered}, lost {missed}");
    let notes = [
        (counted.evicted, "sockets were forgotten for want of room: their times are not known"),
        (counted.no_room, "counts by port found no room"),
    ];
    // Writing into a String cannot fail.
    let _ = push_notes(&mut receipt, &notes);
    receipt
}
