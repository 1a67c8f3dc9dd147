//! Builds the options for reports from the arguments.

use std::{io, time::Duration};

use rustix::termios::tcgetwinsize;

use crate::{
    aggregate::By,
    cli::{ReportArgs, ReportKind},
    config::{time_zone, use_colour},
    view::summary::{
        SummaryOptions,
        text::{ReportStyle, WITH_BARS},
    },
};

/// The rankings unless others are asked for.
const RANKINGS: [By; 5] = [By::Service, By::Peer, By::Process, By::Cgroup, By::Netns];

/// Whether standard output is a terminal that is too narrow for tables with bars.
fn is_narrow() -> bool {
    tcgetwinsize(io::stdout()).is_ok_and(|size| (1..WITH_BARS).contains(&size.ws_col))
}

/// The time between reports, unless the user gives one.
const INTERVAL: Duration = Duration::from_secs(10);

/// A duration and a number of reports without an interval: the reports share the duration.
fn interval(args: &ReportArgs, duration: Option<Duration>) -> Duration {
    let shared = || {
        let parts = u32::try_from(args.count?).unwrap_or(u32::MAX);
        Some(duration? / parts).filter(|part| !part.is_zero())
    };
    args.interval.or_else(shared).unwrap_or(INTERVAL)
}

/// `duration`: how long the capture takes.
pub(super) fn reports(args: &ReportArgs, duration: Option<Duration>) -> SummaryOptions {
    let text = ReportStyle {
        zone: time_zone(args.time),
        colour: use_colour(args.color),
        has_bars: !is_narrow(),
        quantiles_are_bounds: args.in_kernel,
    };
    SummaryOptions {
        interval: interval(args, duration),
        by: if args.by.is_empty() { RANKINGS.to_vec() } else { args.by.clone() },
        rank: args.rank,
        rows: usize::from(args.rows),
        count: args.count,
        findings: None,
        names_host: false,
        text: (args.output == ReportKind::Text).then_some(text),
    }
}
