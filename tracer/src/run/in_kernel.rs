//! A summary that no event leaves the kernel for: load, give up privileges, read at intervals.

use std::process::ExitCode;

use crate::{
    aggregate::{report::Report, schedule::Schedule},
    config::Folding,
    facts::in_kernel::Folded,
    output::{
        stderr::{self, say},
        stdout::Output,
    },
    run::{
        self, INCOMPLETE,
        error::Error,
        receipt::{known, push_notes},
        stop::Stop,
    },
    source::kernel::{aggregate::Fold, privileges},
    time::{
        clock::{Clock, monotonic_ns},
        wait::at,
    },
    view::summary::Reporter,
};

/// Counts until something ends it, and says what was counted.
pub fn run(config: &Folding) -> Result<ExitCode, Error> {
    let (runtime, signals) = run::listening()?;
    let fold = Fold::load(&config.kernel)?;
    privileges::drop_all_but(run::kept())?;
    stderr::start();
    let strict = config.strict;
    let (folded, result) = run::drive(runtime, async {
        let mut stop = Stop::new(signals);
        Folder::new(fold, config)?.count(&mut stop, config).await
    })?;
    say(receipt(&folded));
    stderr::finish();
    run::tolerate_closed_pipe(result)?;
    let is_whole = [folded.missed, folded.evicted, folded.no_room].iter().all(|count| *count == Some(0));
    let incomplete = strict && !is_whole;
    Ok(if incomplete { INCOMPLETE.into() } else { ExitCode::SUCCESS })
}

struct Folder {
    fold: Fold,
    clock: Clock,
    schedule: Schedule,
    reporter: Reporter,
    by_port: bool,
    rows: usize,
    /// What was read last.
    before: Box<Folded>,
    output: Output,
    out: Vec<u8>,
}

impl Folder {
    fn new(fold: Fold, config: &Folding) -> Result<Self, Error> {
        Ok(Self {
            fold,
            clock: Clock::new(),
            schedule: Schedule::new(config.reports.interval, config.reports.count),
            reporter: Reporter::new(config.reports.text.clone()),
            by_port: config.kernel.by_port,
            rows: config.reports.rows,
            before: Box::new(Folded::nothing()),
            output: Output::new().map_err(Error::system("taking standard output"))?,
            out: Vec::new(),
        })
    }

    /// Counts and reports until something ends it; gives what was counted, and how writing went.
    async fn count(
        mut self,
        stop: &mut Stop,
        config: &Folding,
    ) -> Result<(Box<Folded>, Result<(), Error>), Error> {
        say("ready");
        stop.after(config.duration);
        let result = self.report_at_intervals(stop).await;
        self.fold.detach();
        let all = self.fold.read()?;
        let result = match result {
            Ok(()) => self.last_report(&all, stop).await,
            error => error,
        };
        if result.is_err() {
            self.output.abandon();
        }
        Ok((all, result))
    }

    async fn report_at_intervals(&mut self, stop: &mut Stop) -> Result<(), Error> {
        while !self.schedule.is_over() {
            self.write();
            let due = self.schedule.due();
            let is_busy = self.output.is_busy();
            tokio::select! {
                biased;
                () = stop.wait() => break,
                written = self.output.turn() => written.map_err(Error::Output)?,
                () = at(due), if !is_busy => self.report()?,
            }
        }
        Ok(())
    }

    fn report(&mut self) -> Result<(), Error> {
        let now = self.fold.read()?;
        self.report_on(&now);
        self.before = now;
        Ok(())
    }

    /// On what was counted since the last report.
    fn report_on(&mut self, now: &Folded) {
        self.clock.follow();
        let period = self.schedule.next(monotonic_ns(), &self.clock);
        if self.schedule.tells_intervals() {
            let report = Report::folded(period, now, &self.before, self.by_port, self.rows);
            self.reporter.write(&report, &mut self.out);
        }
    }

    /// On all of it.
    async fn last_report(&mut self, all: &Folded, stop: &mut Stop) -> Result<(), Error> {
        if self.schedule.has_rest(monotonic_ns()) {
            self.report_on(all);
        }
        let period = self.schedule.all(monotonic_ns(), &self.clock);
        let report = Report::folded(period, all, &Folded::nothing(), self.by_port, self.rows);
        self.reporter.write(&report, &mut self.out);
        let write = async {
            self.output.patience().await?;
            self.write();
            self.output.patience().await
        };
        stop.unless_impatient(write).await
    }

    fn write(&mut self) {
        if !self.output.is_busy() {
            self.output.start(&mut self.out, 0);
        }
    }
}

/// What was counted, and what was not.
fn receipt(folded: &Folded) -> String {
    let counted: u64 = folded.transitions.iter().flatten().sum();
    let mut receipt =
        format!("counted {counted}, filtered {}, lost {}", known(folded.filtered), known(folded.missed));
    let notes = [
        (folded.evicted, "sockets were forgotten for want of room: their times are not known"),
        (folded.no_room, "counts by port found no room"),
    ];
    // Writing into a String cannot fail.
    let _ = push_notes(&mut receipt, &notes);
    receipt
}
