//! Writes a report as text, with tables and bars.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style as Look};
use jiff::tz::TimeZone;

use crate::{
    aggregate::{
        findings::Tendency,
        report::{Bucket, Established, PeriodKind, RankingRow, RankingTable, Report, StateTimes},
    },
    tcp::colour,
    text::{
        duration::duration,
        painted::painted,
        width::{self, grouped, left, shorten_front},
    },
};

/// The style of a text report.
#[derive(Clone, Debug)]
pub struct ReportStyle {
    /// The time zone of times of day.
    pub zone: TimeZone,
    /// Use colours.
    pub colour: bool,
    /// The terminal is wide enough for bars beside the times in states.
    pub has_bars: bool,
    /// Quantiles are not exact: they are the upper bounds of buckets.
    pub quantiles_are_bounds: bool,
}

/// The range of durations that the bars tell apart, as powers of two of nanoseconds: from about a microsecond
/// to about a day and a half.
const SCALE: std::ops::Range<u32> = 10..47;

/// The marks above the bars: a power of two of nanoseconds, and its approximate duration.
const MARKS: [(u32, &str); 5] = [(10, "1us"), (20, "1ms"), (30, "1s"), (36, "1min"), (42, "1h")];

/// Width of the column of ranked names.
const NAME: usize = 36;

/// Width of the table of states with its bars, in columns.
pub const WITH_BARS: u16 = 103;

/// Width of the longest bar of a share.
const BAR: u64 = 30;

/// Appends the report.
pub fn write(report: &Report, style: &ReportStyle, out: &mut Vec<u8>) {
    let mut page = Page { text: String::new(), style };
    page.title(report);
    page.transitions(report);
    page.states(report);
    page.reasons(report);
    for top in &report.top {
        page.top(top);
    }
    page.findings(report);
    page.text.push('\n');
    out.extend_from_slice(page.text.as_bytes());
}

struct Page<'a> {
    text: String,
    style: &'a ReportStyle,
}

impl Page<'_> {
    /// Appends `text`, styled if colours are on.
    fn put(&mut self, look: Look, text: &str) {
        // Writing into a String cannot fail.
        let _ = write!(self.text, "{}", painted(text, look, self.style.colour));
    }

    fn head(&mut self, text: &str) {
        self.text.push('\n');
        self.put(Look::new().bold(), text);
        self.text.push('\n');
    }

    fn title(&mut self, report: &Report) {
        let period = &report.period;
        let at =
            |time: jiff::Timestamp| time.to_zoned(self.style.zone.clone()).strftime("%H:%M:%S").to_string();
        let all: u64 = report.transitions.iter().map(|transition| transition.count).sum();
        let what = match period.kind {
            PeriodKind::Interval => "",
            PeriodKind::Total => "TOTAL  ",
        };
        let host = report.host.as_ref().map_or(String::new(), |host| format!("{host}  "));
        let title = format!(
            "{host}{what}{} to {}  {}  {} transitions",
            at(period.from),
            at(period.to),
            duration(period.duration_ns),
            grouped(all)
        );
        self.put(Look::new().bold().underline(), &title);
        self.text.push('\n');
        match report.lost {
            Some(0) => {}
            Some(lost) => {
                let lost = format!("{} more were lost, and are missing below\n", grouped(lost));
                self.put(colour::STUCK, &lost);
            }
            None => self.put(colour::STUCK, "how many were lost cannot be read\n"),
        }
        if let Some(forgotten @ 1..) = report.forgotten {
            let forgotten = grouped(forgotten);
            let _ =
                writeln!(self.text, "{forgotten} sockets found no room: how long they stayed is not known");
        }
    }

    fn transitions(&mut self, report: &Report) {
        if report.transitions.is_empty() {
            return;
        }
        self.head(&format!("{:<28} {:>12} {:>10}", "TRANSITION", "COUNT", "/S"));
        for transition in &report.transitions {
            let (old, new) = (transition.old_state.to_string(), transition.new_state.to_string());
            self.put(colour::of(transition.old_state), &format!("{old:<12}"));
            self.text.push_str(" -> ");
            self.put(colour::of(transition.new_state), &format!("{new:<12}"));
            let _ =
                writeln!(self.text, " {:>12} {:>10}", grouped(transition.count), rate(transition.per_second));
        }
    }

    fn states(&mut self, report: &Report) {
        if report.states.is_empty() {
            return;
        }
        let scale = if self.style.has_bars { format!("  {}", marks()) } else { String::new() };
        self.head(&format!(
            "{:<12} {:>7} {:>10} {:>8} {:>8} {:>8} {:>8}{scale}",
            "STATE", "NOW", "STAYS", "P50", "P90", "P99", "MAX"
        ));
        for state in &report.states {
            self.state(state);
        }
    }

    fn state(&mut self, times: &StateTimes) {
        let bound = if self.style.quantiles_are_bounds { "<" } else { "" };
        let quantile =
            |ns: Option<u64>| ns.map_or_else(|| "-".to_owned(), |ns| format!("{bound}{}", duration(ns)));
        let maximum = times.quantiles.max_ns.map_or_else(|| "-".to_owned(), duration);
        let now = times.now.map_or_else(|| "-".to_owned(), grouped);
        self.put(colour::of(times.state), &format!("{:<12}", times.state.to_string()));
        let _ = write!(
            self.text,
            " {now:>7} {:>10} {:>8} {:>8} {:>8} {maximum:>8}  ",
            grouped(times.stays),
            quantile(times.quantiles.p50_ns),
            quantile(times.quantiles.p90_ns),
            quantile(times.quantiles.p99_ns),
        );
        let mut notes = Vec::new();
        if times.unknown > 0 {
            notes.push(format!("{} of unknown length", grouped(times.unknown)));
        }
        if let Some(error_ns) = times.sampled_error_ns {
            notes.push(format!("{} within {}", grouped(times.sampled), duration(error_ns)));
        }
        let bars = if self.style.has_bars { bars(&times.distribution) } else { String::new() };
        let bars = if notes.is_empty() { bars.trim_end() } else { &bars };
        self.put(AnsiColor::Blue.on_default(), bars);
        if !notes.is_empty() {
            let _ = write!(self.text, " ({})", notes.join(", "));
        }
        while self.text.ends_with(' ') {
            self.text.pop();
        }
        self.text.push('\n');
    }

    fn reasons(&mut self, report: &Report) {
        let Some(reasons) = report.reasons.as_ref().filter(|reasons| !reasons.is_empty()) else {
            return;
        };
        let all: u64 = reasons.iter().map(|reason| reason.count).sum();
        self.head(&format!("{:<28} {:>12} {:>10}", "ENDED", "COUNT", "SHARE"));
        for reason in reasons {
            let look = colour::end(reason.is_orderly);
            self.put(look, &format!("{:<28}", reason.reason));
            let _ = write!(self.text, " {:>12} {:>9}% ", grouped(reason.count), percent(reason.count, all));
            let bar = (reason.count * BAR).div_ceil(all.max(1));
            self.put(AnsiColor::Blue.on_default(), &"█".repeat(usize::try_from(bar).unwrap_or_default()));
            self.text.push('\n');
        }
    }

    fn findings(&mut self, report: &Report) {
        let Some(findings) = &report.findings else {
            return;
        };
        if findings.is_empty() {
            self.text.push_str(match report.lost {
                Some(_) => "\nnothing is wrong\n",
                None => "\nnothing is wrong in what was seen; how many events were lost is not known\n",
            });
            return;
        }
        self.head(&format!("{:<16} {:>9}  {}", "FINDING", "COUNT", "WHOSE, SINCE WHEN, AND WHAT SHOWS MORE"));
        for finding in findings {
            self.put(colour::STUCK, &format!("{:<16}", finding.kind.name()));
            let whom = [finding.whom.place(), finding.whom.process()].into_iter().flatten();
            let trend = match finding.trend {
                Tendency::Growing => Some("growing".to_owned()),
                Tendency::Steady => None,
                Tendency::Falling => Some("falling".to_owned()),
            };
            let words = whom.chain(Some(finding.evidence.clone())).chain(trend);
            let words: Vec<String> = words.filter(|word| !word.is_empty()).collect();
            let _ = writeln!(self.text, " {:>9}  {}", grouped(finding.count), words.join("  "));
            let _ = write!(self.text, "{:<28}", "");
            self.put(Look::new().dimmed(), &finding.command);
            self.text.push('\n');
        }
    }

    fn top(&mut self, top: &RankingTable) {
        if top.rows.is_empty() {
            return;
        }
        let title = top.by.title();
        self.head(&format!(
            "{title:<NAME$} {:>12} {:>9} {:>9} {}",
            "TRANSITIONS",
            "BEGUN",
            "ENDED",
            if top.rows.iter().any(|row| row.established.is_some()) {
                " ESTAB P50 ESTAB P99"
            } else {
                "   FAILED"
            }
        ));
        for row in &top.rows {
            self.row(row);
        }
        let shown = top.rows.len();
        match top.keys {
            Some(keys) if keys > shown => {
                _ = writeln!(self.text, "and {} more", grouped((keys - shown) as u64));
            }
            Some(_) => {}
            None => {
                let missing = grouped(top.missing_at_most);
                let _ = writeln!(
                    self.text,
                    "too many to count each: up to {missing} transitions may be missing from each count, and of any key not shown"
                );
            }
        }
    }

    fn row(&mut self, row: &RankingRow) {
        let mut name = row.key.to_string();
        shorten_front(&mut name, NAME);
        let name = left(&name, NAME);
        let maybe = |count: Option<u64>| count.map_or_else(|| "-".to_owned(), grouped);
        let _ = write!(
            self.text,
            "{name} {:>12} {:>9} {:>9} ",
            grouped(row.transitions),
            grouped(row.begun),
            maybe(row.ended)
        );
        if let Some(Established { p50_ns, p99_ns }) = row.established {
            let bound =
                |ns: Option<u64>| ns.map_or_else(|| "-".to_owned(), |ns| format!("<{}", duration(ns)));
            let _ = write!(self.text, "{:>9} {:>9}", bound(p50_ns), bound(p99_ns));
        }
        if let Some(failed) = row.failed {
            let look = colour::end(failed == 0);
            self.put(look, &format!("{:>9}", grouped(failed)));
        }
        self.text.push('\n');
    }
}

fn rate(per_second: f64) -> String {
    match per_second {
        // The cast is safe, because no rate is that high.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        rate if rate >= 100.0 => grouped(rate.round() as u64),
        rate => format!("{rate:.1}"),
    }
}

fn percent(part: u64, all: u64) -> String {
    let thousandths = part * 1000 / all.max(1);
    format!("{}.{}", thousandths / 10, thousandths % 10)
}

/// The line of marks above the bars.
fn marks() -> String {
    let mut line = String::new();
    for (power, mark) in MARKS {
        let column = (power - SCALE.start) as usize;
        line.push_str(&" ".repeat(column.saturating_sub(line.len())));
        line.push_str(mark);
    }
    line
}

/// One bar for each power of two. The highest count has the full height.
fn bars(distribution: &[Bucket]) -> String {
    let mut counts = [0_u64; (SCALE.end - SCALE.start) as usize];
    for bucket in distribution {
        let power = bucket.from_ns.max(1).ilog2().clamp(SCALE.start, SCALE.end - 1);
        counts[(power - SCALE.start) as usize] += bucket.count;
    }
    let highest = counts.iter().copied().max().unwrap_or_default();
    width::bars(counts.into_iter(), highest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bucket_has_its_bar() {
        let bucket = |power: u32, count| Bucket { from_ns: 1 << power, count };
        let drawn = bars(&[bucket(0, 1), bucket(20, 4000), bucket(30, 2000), bucket(60, 1)]);
        assert_eq!(drawn.chars().count(), SCALE.len());
        let at = |power: u32| drawn.chars().nth((power - SCALE.start) as usize).unwrap();
        assert_eq!((at(10), at(20), at(30), at(46), at(11)), ('▁', '█', '▄', '▁', ' '));
        assert_eq!(marks().find("1ms"), Some(10));
    }
}
