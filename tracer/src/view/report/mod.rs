//! The `report` view: one page about all of a recording, for people.
//!
//! # Layout
//! - here: what is counted, and when
//! - `counts`: the counts; `rows`: connections in tables; `told`: findings in words; `explained`: what
//!   `explain` says about them; `changed`: what has changed, in words
//! - `html`: the page; `data`: what its script draws; `page/`: its template, style and script

mod changed;
mod counts;
mod data;
mod explained;
mod html;
mod rows;
mod told;

use std::sync::mpsc::Receiver;

use crate::{
    aggregate::{
        Rank,
        diff::report::DiffReport,
        findings::{Findings, Moment, Thresholds, episodes::Episodes},
        report::{Period, PeriodKind, Report},
        totals::{STATES, state_index},
    },
    facts::{context::Context, kernel::KernelInfo},
    tcp::limits::Limits,
    track::Transition,
    view::{
        ClosingReceipt, Needs, Scene, View,
        report::{
            changed::ChangedWords,
            counts::{PageCounts, counts},
            data::PageData,
            html::PageParts,
            told::FindingWords,
        },
    },
};

/// Rows of each ranking.
const RANKING_ROWS: usize = 50;

/// Options of a report.
#[derive(Clone, Debug)]
pub struct ReportOptions {
    /// How long connections may stay in a state.
    pub limits: Limits,
    /// When something is a finding.
    pub thresholds: Thresholds,
    /// The recordings, as words of a command line.
    pub from: String,
    /// The command line that makes this report.
    pub command: String,
}

/// The `report` view.
#[derive(Debug)]
pub struct ReportPage {
    options: ReportOptions,
    findings: Findings,
    episodes: Episodes,
    counts: Box<PageCounts>,
    receipt: ClosingReceipt,
    /// What has changed, if that was asked for.
    compared: Option<Receiver<DiffReport>>,
}

impl ReportPage {
    /// Creates the view with these options.
    #[must_use]
    pub fn new(options: ReportOptions) -> Self {
        Self {
            findings: Findings::new(options.limits.clone(), options.thresholds.clone()),
            episodes: Episodes::default(),
            counts: Box::new(PageCounts::new(options.limits.clone())),
            receipt: ClosingReceipt::default(),
            compared: None,
            options,
        }
    }

    /// Also tells what has changed, which comes this way before the end.
    #[must_use]
    pub fn compared(self, compared: Receiver<DiffReport>) -> Self {
        Self { compared: Some(compared), ..self }
    }

    fn survey(&mut self, scene: &Scene<'_>) {
        let sockets = scene.tracker.iter().filter(|connection| scene.select.holds(connection));
        let netns = scene.select.netns();
        let moment = Moment::of(scene.tracker, scene.context, netns, scene.lost, scene.now_ns);
        self.findings.survey(sockets, &moment);
        self.episodes.note(self.findings.found(), scene.now_ns);
        self.counts.note_losses(scene.lost, scene.now_ns);
    }
}

impl View for ReportPage {
    fn needs(&self) -> Needs {
        Needs { stories: true, names: true, receipt: true, ..Needs::default() }
    }

    fn begin(&mut self, _: &KernelInfo, at_ns: u64, _: &mut Vec<u8>) {
        self.counts.begin(at_ns);
    }

    fn shows(&self, transition: &Transition) -> bool {
        counts(transition)
    }

    fn show(&mut self, transition: &Transition, context: &Context, _: &mut Vec<u8>) {
        self.counts.add(transition, &context.names);
        if transition.is_transition() {
            self.findings.note(transition);
        }
    }

    fn has_lines(&self) -> bool {
        false
    }

    fn due(&self) -> Option<u64> {
        Some(self.findings.due_ns())
    }

    fn act(&mut self, scene: Scene<'_>, _: &mut Vec<u8>) -> u64 {
        self.survey(&scene);
        0
    }

    fn receipt(&mut self, receipt: ClosingReceipt) {
        self.receipt = receipt;
    }

    fn end(&mut self, scene: Scene<'_>, out: &mut Vec<u8>) {
        self.findings.hurry();
        self.survey(&scene);
        self.counts.end(&scene);
        let (now_ns, context) = (scene.now_ns, scene.context);
        let begin_ns = self.counts.timeline.begin_ns();
        let talks = self.counts.talks.all();
        let told = FindingWords {
            episodes: &self.episodes,
            talks: &talks,
            context,
            span_ns: (begin_ns, now_ns),
            from: &self.options.from,
            is_complete: self.receipt.is_complete,
        };
        let (findings, more) = told.findings();
        let period = Period {
            kind: PeriodKind::Total,
            from: context.clock.wall(begin_ns),
            to: context.clock.wall(now_ns),
            duration_ns: now_ns.saturating_sub(begin_ns),
        };
        let mut now = [0; STATES];
        for connection in scene.tracker.iter().filter(|connection| scene.select.holds(connection)) {
            now[state_index(connection.state)] += 1;
        }
        let rows = (RANKING_ROWS, Rank::Count);
        let total = Report::new(period, &self.counts.totals, &now, scene.lost, rows, scene.names);
        let changed = self.compared.as_ref().and_then(|compared| compared.try_recv().ok());
        let changed = changed.as_ref();
        let told = (&total, &findings[..], changed);
        let data = PageData::new(&self.counts, told, context, now_ns, scene.names);
        let page = PageParts {
            host: &context.host,
            options: &self.options,
            total: &total,
            findings: &findings,
            more,
            changed: changed.map(ChangedWords::new),
            losses: &self.counts.losses,
            receipt: &self.receipt,
            context,
            begin_ns,
            data: &data,
        };
        page.write(out);
    }
}
