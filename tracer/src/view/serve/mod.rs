//! The view of `serve`: counts for as long as it runs, which others ask for.
//!
//! # Layout
//! - here: what is counted, and when sockets are looked at
//! - `metrics`: the metrics, with their names and help; `by_label`: those of `--label`; `of_tracer`: those of tracer
//! - `families`: how a family of metrics is written
//! - `front`: a page for people; `alerts`: lines when something begins and ends
//! - `otlp`: the same metrics in OpenTelemetry's protocol; `starts`: since when each series is counted
//! - `ends`: log records that wait to be asked for

mod alerts;
mod by_label;
mod ends;
mod families;
mod front;
mod metrics;
mod of_tracer;
mod otlp;
mod starts;

use alerts::Alerts;
use ends::EndRecords;
use families::older_format;
use otlp::OtlpSeries;

use crate::{
    aggregate::{
        By,
        agreement::{Agreement, Told},
        findings::{Findings, Moment},
        growing::GrowingCounts,
        triggers::{TriggerWatch, Triggers},
    },
    facts::{context::Context, counts::TcpCounts, kernel::KernelInfo},
    format::row::Row,
    tcp::{limits::Limits, reasons::Rate, reset::ResetReasons},
    track::Transition,
    view::{
        Needs, Scene, View,
        page::{Itself, ServedPage},
        reload::ReloadedView,
    },
};

/// How often places of keys that are idle are given to others, in nanoseconds.
const EXPIRE_NS: u64 = 10_000_000_000;

/// Options of [`Serve`].
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// What connections are counted by, besides.
    pub labels: Vec<By>,
    /// How long a connection may stay in a state.
    pub limits: Limits,
    /// Finds trouble.
    pub findings: Findings,
    /// Each end of a connection is a log record.
    pub has_logs: bool,
    /// When the last parts of the recording must be kept.
    pub triggers: Triggers,
    /// Alerts are wanted, also about these rates.
    pub alerts: Option<Vec<Rate>>,
}

/// Counts.
pub struct Serve {
    counts: GrowingCounts,
    /// How the kernel's counters agree. They know no filters but those on namespaces.
    agreement: Agreement,
    /// The most that events have told of; what turns out never to have been is not taken back.
    told: TcpCounts,
    limits: Limits,
    findings: Findings,
    triggers: TriggerWatch,
    alerts: Option<Alerts>,
    reset_reasons: ResetReasons,
    expires_ns: u64,
    /// When it began, in nanoseconds of the kernel's monotonic clock.
    began_ns: u64,
    /// What is known since the first page with OTLP.
    otlp: Option<OtlpSeries>,
    /// Ends of connections, if they are asked for.
    ends: Option<EndRecords>,
}

impl Serve {
    /// Nothing is counted yet.
    #[must_use]
    pub fn new(options: ServeOptions) -> Self {
        let ServeOptions { labels, limits, findings, has_logs, triggers, alerts } = options;
        Self {
            counts: GrowingCounts::new(&labels),
            agreement: Agreement::default(),
            told: TcpCounts::default(),
            limits,
            findings,
            triggers: TriggerWatch::new(triggers),
            alerts: alerts.map(Alerts::new),
            reset_reasons: ResetReasons::default(),
            expires_ns: 0,
            began_ns: 0,
            otlp: None,
            ends: has_logs.then(EndRecords::default),
        }
    }

    fn survey(&mut self, scene: &Scene<'_>) {
        let sockets = scene.tracker.iter().filter(|connection| scene.select.holds(connection));
        let netns = scene.select.netns();
        let moment = Moment::of(scene.tracker, scene.context, netns, scene.lost, scene.now_ns);
        self.findings.survey(sockets, &moment);
    }
}

impl View for Serve {
    fn needs(&self) -> Needs {
        Needs {
            stories: true,
            refreshes: true,
            gauges: true,
            stray_resets: true,
            names: self.ends.is_some()
                || self.alerts.is_some()
                || self.counts.by.iter().any(|(by, _)| matches!(by, By::Container | By::Cgroup)),
            ..Needs::default()
        }
    }

    fn begin(&mut self, kernel: &KernelInfo, at_ns: u64, _: &mut Vec<u8>) {
        self.reset_reasons = kernel.reset_reasons.clone();
        self.expires_ns = at_ns.saturating_add(EXPIRE_NS);
        self.began_ns = at_ns;
        self.ends.iter_mut().for_each(|ends| ends.begin(&kernel.absent));
        self.triggers.begin(at_ns);
        if let Some(alerts) = &mut self.alerts {
            alerts.begin(kernel);
        }
    }

    /// Silent transitions count, too, because they end connections.
    fn shows(&self, _: &Transition) -> bool {
        true
    }

    fn show(&mut self, transition: &Transition, context: &Context, _: &mut Vec<u8>) {
        self.counts.add(transition, &context.names);
        if let Some(ends) = self.ends.as_mut().filter(|_| transition.reason.is_some()) {
            ends.add(&Row::transition(transition, context, &self.reset_reasons));
        }
        if transition.is_transition() {
            self.findings.note(transition);
            self.triggers.note(transition);
            if let Some(alerts) = &mut self.alerts {
                alerts.note(transition);
            }
        }
    }

    fn has_lines(&self) -> bool {
        false
    }

    fn due(&self) -> Option<u64> {
        let due = self.findings.due_ns().min(self.expires_ns);
        Some(self.triggers.due().map_or(due, |trigger| trigger.min(due)))
    }

    fn act(&mut self, mut scene: Scene<'_>, out: &mut Vec<u8>) -> u64 {
        let is_survey = self.findings.due_ns() <= scene.now_ns;
        self.survey(&scene);
        if let Some(alerts) = self.alerts.as_mut().filter(|_| is_survey) {
            alerts.look(&self.limits, self.findings.found(), &mut scene, out);
        }
        self.triggers.look(scene.tracker, scene.now_ns);
        let netns = scene.select.netns();
        self.counts.read(scene.context.gauges.by_netns.iter().filter(|(id, _)| netns.selects(**id)));
        if is_survey && scene.select.selects_namespaces() {
            let tally = scene.tracker.tally();
            self.told = self.told.max(&tally.total());
            let gauges = scene.context.gauges.by_netns.iter().filter(|(id, _)| netns.selects(**id));
            self.agreement.read(gauges, scene.now_ns, |id| {
                let (inum, cookie) = (id.inum, id.cookie.into());
                Told { start: tally.counted_at_start(inum, cookie), since: tally.bounds(inum, cookie) }
            });
        }
        if self.expires_ns <= scene.now_ns {
            self.counts.expire(scene.now_ns);
            self.expires_ns = scene.now_ns.saturating_add(EXPIRE_NS);
        }
        0
    }

    fn reload(&mut self, options: ReloadedView) {
        let ReloadedView { labels, limits, thresholds } = options;
        self.counts.relabel(&labels);
        self.findings.adjust(limits.clone(), thresholds);
        self.limits = limits;
    }

    fn trigger(&mut self) -> Option<(String, u64)> {
        self.triggers.take()
    }

    fn page(&mut self, page: ServedPage, itself: &Itself, mut scene: Scene<'_>, out: &mut Vec<u8>) {
        match page {
            ServedPage::OpenMetrics => out.extend_from_slice(self.metrics(itself, &mut scene).as_bytes()),
            ServedPage::Metrics => {
                out.extend_from_slice(older_format(&self.metrics(itself, &mut scene)).as_bytes());
            }
            ServedPage::Front => front::write(&self.findings, scene.context, out),
            ServedPage::OtlpMetrics => self.otlp_metrics(itself, &mut scene, out),
            ServedPage::OtlpLogs => {
                self.ends.iter_mut().for_each(|ends| ends.take(&scene.context.host, out));
            }
        }
    }
}
