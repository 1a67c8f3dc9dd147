//! Exports with OTLP: what is sent, and how often.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use tokio::sync::mpsc;

use crate::{
    config::OtlpConfig,
    output::{
        http::{PageRequest, PageRequests},
        otlp::{ExportSignal, Exporter, SignalCounters},
    },
    run::error::Error,
    source::kernel::privileges,
    view::page::{Exports, ServedPage, SignalExports},
};

/// How often is asked for log records.
const LOGS_INTERVAL: Duration = Duration::from_secs(1);

/// The pages that are sent.
const PAGES: [ServedPage; 2] = [ServedPage::OtlpMetrics, ServedPage::OtlpLogs];

/// The page at this place among them.
pub(super) fn page(place: usize) -> Option<ServedPage> {
    PAGES.get(place).copied()
}

/// Starts to export. `first_route` is the route of the first of these pages.
pub(super) fn start(
    config: &OtlpConfig,
    pages: &mpsc::Sender<PageRequest>,
    first_route: usize,
) -> Result<Exporter, Error> {
    let OtlpConfig { target, interval, has_logs } = config;
    let metrics = ExportSignal {
        name: "metrics",
        path: "/v1/metrics",
        route: first_route,
        interval: *interval,
        is_queue: false,
    };
    let logs = ExportSignal {
        name: "log records",
        path: "/v1/logs",
        route: first_route + 1,
        interval: LOGS_INTERVAL.min(*interval),
        is_queue: true,
    };
    let signals = if *has_logs { &[metrics, logs][..] } else { &[metrics] };
    let first = || {
        if let Err(error) = privileges::drop_all_but(&[]) {
            log::warn!("{error}");
        }
    };
    Exporter::start(target, signals, pages, first).map_err(Error::system("starting to export"))
}

/// What has been exported so far, if something is.
pub(super) fn exports(requests: &PageRequests) -> Option<Exports> {
    let counters = requests.exporter.as_ref()?.counters();
    let [metrics, logs @ ..] = counters else { return None };
    Some(Exports { metrics: of_signal(metrics), logs: logs.first().map(|logs| of_signal(logs)) })
}

fn of_signal(counters: &SignalCounters) -> SignalExports {
    let count = |counter: &AtomicU64| counter.load(Relaxed);
    SignalExports {
        accepted: count(&counters.accepted),
        failed: count(&counters.failed),
        refused: count(&counters.refused),
        items: count(&counters.items),
        rejected_items: count(&counters.rejected_items),
    }
}
