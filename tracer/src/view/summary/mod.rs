//! The `summary` view: counts, durations and rankings of transitions, as reports at every interval and at the
//! end.
//!
//! # Layout
//! - here: what is counted, and when a report is due
//! - [`text`]: a report as tables

pub mod text;

use std::time::Duration;

use crate::{
    aggregate::{
        By, Rank,
        findings::{Findings, Moment},
        report::Report,
        schedule::Schedule,
        totals::{STATES, Totals, state_index},
    },
    facts::{context::Context, kernel::KernelInfo},
    track::Transition,
    view::{Ending, Needs, Scene, View, summary::text::ReportStyle},
};

/// Options of a summary.
#[derive(Clone, Debug)]
pub struct SummaryOptions {
    /// Time between reports.
    pub interval: Duration,
    /// What connections are ranked by.
    pub by: Vec<By>,
    /// Number of rows in a ranking.
    pub rows: usize,
    /// What rankings are sorted by.
    pub rank: Rank,
    /// Maximum number of intervals.
    pub count: Option<u64>,
    /// The style of text; `None` for JSON.
    pub text: Option<ReportStyle>,
    /// Finds trouble, unless all is counted in the kernel.
    pub findings: Option<Findings>,
    /// Reports say which host they are about.
    pub names_host: bool,
}

/// Writes reports.
#[derive(Debug)]
pub struct Reporter {
    text: Option<ReportStyle>,
}

impl Reporter {
    /// Writes text in this style, or JSON if there is none.
    #[must_use]
    pub fn new(text: Option<ReportStyle>) -> Self {
        Self { text }
    }

    /// Appends a report.
    pub fn write(&self, report: &Report, out: &mut Vec<u8>) {
        if let Some(style) = &self.text {
            return text::write(report, style, out);
        }
        // Writing into memory cannot fail, and a report always serializes.
        let _ = serde_json::to_writer(&mut *out, report);
        out.push(b'\n');
    }
}

/// The `summary` view.
#[derive(Debug)]
pub struct Summary {
    rows: (usize, Rank),
    reporter: Reporter,
    schedule: Schedule,
    interval: Totals,
    all: Totals,
    findings: Option<Findings>,
    names_host: bool,
    /// Transitions lost up to the last report.
    lost: Option<u64>,
}

impl Summary {
    /// Creates the view with these options.
    #[must_use]
    pub fn new(options: &SummaryOptions) -> Self {
        Self {
            rows: (options.rows, options.rank),
            reporter: Reporter::new(options.text.clone()),
            schedule: Schedule::new(options.interval, options.count),
            interval: Totals::new(&options.by),
            all: Totals::new(&options.by),
            findings: options.findings.clone(),
            names_host: options.names_host,
            lost: Some(0),
        }
    }

    fn survey(&mut self, scene: &Scene<'_>) {
        if let Some(findings) = &mut self.findings {
            let sockets = scene.tracker.iter().filter(|connection| scene.select.holds(connection));
            let netns = scene.select.netns();
            findings
                .survey(sockets, &Moment::of(scene.tracker, scene.context, netns, scene.lost, scene.now_ns));
        }
    }

    /// With what else a report has here.
    fn completed(&self, report: Report, context: &Context) -> Report {
        Report {
            findings: self.findings.as_ref().map(|findings| findings.found().to_vec()),
            host: self.names_host.then(|| context.host.clone()),
            ..report
        }
    }

    fn end_interval(&mut self, scene: &mut Scene<'_>, out: &mut Vec<u8>) {
        let period = self.schedule.next(scene.now_ns, &scene.context.clock);
        if self.schedule.tells_intervals() {
            let lost = scene.lost.zip(self.lost).map(|(now, before)| now.saturating_sub(before));
            let now = sockets_now(scene);
            let report = Report::new(period, &self.interval, &now, lost, self.rows, scene.names);
            self.reporter.write(&self.completed(report, scene.context), out);
        }
        self.all.absorb(&self.interval);
        self.interval.clear();
        self.lost = scene.lost;
    }
}

impl View for Summary {
    fn needs(&self) -> Needs {
        let names = self.all.rankings.iter().any(|ranking| ranking.by == By::Container);
        Needs { stories: true, refreshes: true, gauges: true, names, ..Needs::default() }
    }

    fn begin(&mut self, _: &KernelInfo, at_ns: u64, _: &mut Vec<u8>) {
        self.schedule.begin(at_ns);
    }

    /// Silent transitions count, too, because they end connections.
    fn shows(&self, transition: &Transition) -> bool {
        transition.is_transition()
    }

    fn show(&mut self, transition: &Transition, context: &Context, _: &mut Vec<u8>) {
        self.schedule.reach_back(transition.time_ns);
        self.interval.add(transition, &context.names);
        if let Some(findings) = &mut self.findings {
            findings.note(transition);
        }
    }

    fn has_lines(&self) -> bool {
        false
    }

    fn due(&self) -> Option<u64> {
        let survey_ns = self.findings.as_ref().map(Findings::due_ns);
        Some(self.schedule.due()?.min(survey_ns.unwrap_or(u64::MAX)))
    }

    fn act(&mut self, mut scene: Scene<'_>, out: &mut Vec<u8>) -> u64 {
        self.survey(&scene);
        if self.schedule.due().is_some_and(|due_ns| due_ns <= scene.now_ns) {
            self.end_interval(&mut scene, out);
        }
        0
    }

    fn end(&mut self, mut scene: Scene<'_>, out: &mut Vec<u8>) {
        self.survey(&scene);
        if self.schedule.has_rest(scene.now_ns) {
            self.end_interval(&mut scene, out);
        }
        self.all.absorb(&self.interval);
        let period = self.schedule.all(scene.now_ns, &scene.context.clock);
        let now = sockets_now(&scene);
        let report = Report::new(period, &self.all, &now, scene.lost, self.rows, scene.names);
        self.reporter.write(&self.completed(report, scene.context), out);
    }

    fn ending(&self) -> Option<Ending> {
        self.schedule.is_over().then_some(Ending::Enough)
    }
}

/// Sockets that pass the filters, by state.
fn sockets_now(scene: &Scene<'_>) -> [u64; STATES] {
    let mut now = [0; STATES];
    for connection in scene.tracker.iter().filter(|connection| scene.select.holds(connection)) {
        now[state_index(connection.state)] += 1;
    }
    now
}
