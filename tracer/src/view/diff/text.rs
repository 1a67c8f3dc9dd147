//! Writes a comparison as text.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style as Look};
use jiff::{Timestamp, tz::TimeZone};

use crate::{
    aggregate::diff::{
        measure::Measure,
        name::GroupName,
        report::{ChangeKind, DiffReport, DiffRow, Figures, SideReport},
    },
    tcp::colour,
    text::{
        duration::duration,
        painted::painted,
        width::{grouped, left, right, shorten_front},
    },
};

/// The style of a comparison as text.
#[derive(Clone, Debug)]
pub struct DiffStyle {
    /// The time zone of times of day.
    pub zone: TimeZone,
    /// Use colours.
    pub colour: bool,
}

/// Widths of columns: what, who, the figures of a side, a count.
const WHAT: usize = 22;
const WHO: usize = 26;
const FIGURES: usize = 20;
const COUNT: usize = 11;

/// A side's letter.
const SIDES: [&str; 2] = ["A", "B"];

/// Appends the comparison.
pub fn write(report: &DiffReport, style: &DiffStyle, out: &mut Vec<u8>) {
    let mut tables = DiffTables { text: String::new(), style };
    tables.side("A", &report.a);
    tables.side("B", &report.b);
    tables.changes(report);
    tables.groups(report);
    tables.ends(&report.rows);
    tables.states(&report.rows);
    tables.transitions(&report.rows);
    out.extend_from_slice(tables.text.as_bytes());
}

struct DiffTables<'a> {
    text: String,
    style: &'a DiffStyle,
}

impl DiffTables<'_> {
    /// Appends `text`, styled if colours are on.
    fn put(&mut self, look: Look, text: &str) {
        // Writing into a String cannot fail.
        let _ = write!(self.text, "{}", painted(text, look, self.style.colour));
    }

    fn head(&mut self, text: &str) {
        self.text.push('\n');
        self.put(Look::new().bold(), text.trim_end());
        self.text.push('\n');
    }

    fn end_line(&mut self) {
        self.text.truncate(self.text.trim_end_matches(' ').len());
        self.text.push('\n');
    }

    fn side(&mut self, letter: &str, side: &SideReport) {
        let at = |time: Timestamp| {
            time.to_zoned(self.style.zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
        };
        let (from, to) = (at(side.from), at(side.to));
        let to = to.strip_prefix(&from[..11.min(from.len())]).unwrap_or(&to);
        let title = format!(
            "{letter}  {}  {from} to {to}  {}  {}  {} connections ended, {} out of order",
            side.hosts.join(", "),
            duration(side.duration_ns),
            side.files.join(" "),
            grouped(side.ended),
            grouped(side.failed),
        );
        self.put(Look::new().bold(), &title);
        self.text.push('\n');
        match side.lost {
            Some(0) => {}
            Some(lost) => {
                let lost =
                    format!("   {} transitions more were lost, and are missing below\n", grouped(lost));
                self.put(colour::STUCK, &lost);
            }
            None => self.put(colour::STUCK, "   how many transitions were lost is not known\n"),
        }
        if side.missing_at_most > 0 {
            let missing = grouped(side.missing_at_most);
            let _ = writeln!(
                self.text,
                "   too many groups to count each: up to {missing} connections may be missing from one"
            );
        }
    }

    fn changes(&mut self, report: &DiffReport) {
        let of = |kind: ChangeKind| report.changes.iter().filter(|row| row.change == Some(kind)).count();
        if report.changes.is_empty() {
            let _ = writeln!(
                self.text,
                "\nnothing has changed by more than chance, and enough to matter ({} tests)",
                grouped(report.tests as u64)
            );
            return;
        }
        self.head(&format!(
            "{:<11} {:WHAT$} {:WHO$} {:>FIGURES$} {:>FIGURES$} {:>6} {:>7}",
            "CHANGE", "WHAT", "WHOSE", "A", "B", "RATIO", "CHANCE"
        ));
        for row in &report.changes {
            self.change(row);
        }
        let counts =
            [ChangeKind::Regression, ChangeKind::Improvement, ChangeKind::Other].map(|kind| (kind, of(kind)));
        let counts = counts.iter().filter(|(_, count)| *count > 0).map(|(kind, count)| match kind {
            ChangeKind::Regression => format!("{count} for the worse"),
            ChangeKind::Improvement => format!("{count} for the better"),
            ChangeKind::Other => format!("{count} of another kind"),
        });
        let counts = counts.collect::<Vec<_>>().join(", ");
        let _ = writeln!(self.text, "{counts}; {} tests", grouped(report.tests as u64));
    }

    fn change(&mut self, row: &DiffRow) {
        let Some(change) = row.change else { return };
        let look = match change {
            ChangeKind::Regression => colour::STUCK,
            ChangeKind::Improvement => AnsiColor::Green.on_default(),
            ChangeKind::Other => Look::new(),
        };
        self.put(look, &format!("{:<11}", change.word()));
        let mut whose = row.name.to_string();
        shorten_front(&mut whose, WHO);
        let _ = write!(
            self.text,
            " {} {} {} {} {:>6} {:>7}",
            left(&row.measure.to_string(), WHAT),
            left(&whose, WHO),
            right(&figures(row.measure, &row.a), FIGURES),
            right(&figures(row.measure, &row.b), FIGURES),
            ratio(row.ratio),
            chance(row.p_corrected),
        );
        self.text.push('\n');
        if !row.also.is_empty() {
            let also: Vec<_> = row.also.iter().map(GroupName::to_string).collect();
            let _ = writeln!(self.text, "{:12}the same: {}", "", also.join(", "));
        }
    }

    fn groups(&mut self, report: &DiffReport) {
        for (kind, title) in GroupName::KINDS.into_iter().enumerate() {
            let rows: Vec<_> = report.rows.iter().filter(|row| row.name.kind() == Some(kind)).collect();
            if rows.is_empty() {
                continue;
            }
            self.head(&format!(
                "{title:WHO$}   {:>COUNT$} {:>COUNT$} {:>8} {:>8} {:>9} {:>9} {:>9} {:>9}",
                "BEGUN", "ENDED", "ENDED/S", "FAILED", "SHAKE P50", "SHAKE P99", "LIVED P50", "LIVED P99"
            ));
            for group in rows.chunk_by(|one, other| one.name == other.name) {
                self.group(group);
            }
        }
        if report.more_groups > 0 {
            let _ = writeln!(self.text, "and {} more (--rows)", grouped(report.more_groups as u64));
        }
    }

    fn group(&mut self, rows: &[&DiffRow]) {
        for side in [0, 1] {
            let of = |measure: Measure| {
                let row = rows.iter().find(|row| row.measure == measure)?;
                Some(if side == 0 { &row.a } else { &row.b })
            };
            // Each share of ends has the number of all.
            let figures = rows.iter().filter(|row| matches!(row.measure, Measure::End(_)));
            let mut figures = figures.map(|row| if side == 0 { &row.a } else { &row.b });
            let ends = figures.find(|figures| figures.count > 0);
            let ended = ends.and_then(|figures| figures.of).unwrap_or_default();
            let begun = of(Measure::Begun).map_or(0, |figures| figures.count);
            let failed = match of(Measure::Failed) {
                Some(figures) => figures.share,
                None => (ended > 0).then_some(0.0),
            };
            let first = rows.first().filter(|_| side == 0);
            let mut name = first.map_or_else(String::new, |row| row.name.to_string());
            shorten_front(&mut name, WHO);
            let quantile = |measure, of_figures: fn(&Figures) -> Option<u64>| {
                of(measure).and_then(of_figures).map_or_else(|| "-".to_owned(), duration)
            };
            let _ = write!(
                self.text,
                "{} {} {:>COUNT$} {:>COUNT$} {:>8} {:>8} {:>9} {:>9} {:>9} {:>9}",
                left(&name, WHO),
                SIDES[side],
                grouped(begun),
                grouped(ended),
                ends.and_then(ended_per_second).map_or_else(|| "-".to_owned(), rate),
                failed.map_or_else(|| "-".to_owned(), percent),
                quantile(Measure::Handshake, |figures| figures.quantiles.p50_ns),
                quantile(Measure::Handshake, |figures| figures.quantiles.p99_ns),
                quantile(Measure::Duration, |figures| figures.quantiles.p50_ns),
                quantile(Measure::Duration, |figures| figures.quantiles.p99_ns),
            );
            self.end_line();
        }
    }

    fn ends(&mut self, rows: &[DiffRow]) {
        let rows = rows.iter().filter(|row| row.name == GroupName::All);
        let mut rows: Vec<_> = rows.filter(|row| matches!(row.measure, Measure::End(_))).collect();
        if rows.is_empty() {
            return;
        }
        rows.sort_by_key(|row| std::cmp::Reverse(row.a.count + row.b.count));
        self.head(&format!(
            "{:<28} {:>COUNT$} {:>7} {:>8} {:>COUNT$} {:>7} {:>8} {:>6}",
            "ENDED", "A", "SHARE", "/S", "B", "SHARE", "/S", "RATIO"
        ));
        for row in rows {
            let Measure::End(reason) = row.measure else { continue };
            self.put(colour::end(reason.is_orderly()), &format!("{:<28}", reason.name()));
            for figures in [&row.a, &row.b] {
                let share = figures.share.map_or_else(|| "-".to_owned(), percent);
                let per_second = figures.per_second.map_or_else(|| "-".to_owned(), rate);
                let _ = write!(self.text, " {:>COUNT$} {share:>7} {per_second:>8}", grouped(figures.count));
            }
            let _ = writeln!(self.text, " {:>6}", ratio(row.ratio));
        }
    }

    fn states(&mut self, rows: &[DiffRow]) {
        let rows = rows.iter().filter(|row| row.name == GroupName::All);
        let rows: Vec<_> = rows.filter(|row| matches!(row.measure, Measure::Stay(_))).collect();
        if rows.is_empty() {
            return;
        }
        self.head(&format!(
            "{:<12} {:>COUNT$} {:>8} {:>8} {:>8} {:>COUNT$} {:>8} {:>8} {:>8} {:>6}",
            "TIME IN", "A", "P50", "P90", "P99", "B", "P50", "P90", "P99", "RATIO"
        ));
        for row in rows {
            let Measure::Stay(state) = row.measure else { continue };
            self.put(colour::of(state), &format!("{:<12}", state.to_string()));
            for figures in [&row.a, &row.b] {
                let _ = write!(self.text, " {:>COUNT$}", grouped(figures.count));
                for quantile in [figures.quantiles.p50_ns, figures.quantiles.p90_ns, figures.quantiles.p99_ns]
                {
                    let _ = write!(self.text, " {:>8}", quantile.map_or_else(|| "-".to_owned(), duration));
                }
            }
            let _ = writeln!(self.text, " {:>6}", ratio(row.ratio));
        }
    }

    fn transitions(&mut self, rows: &[DiffRow]) {
        let rows = rows.iter().filter(|row| row.name == GroupName::All);
        let rows: Vec<_> = rows.filter(|row| matches!(row.measure, Measure::Next(..))).collect();
        if rows.is_empty() {
            return;
        }
        self.head(&format!(
            "{:<28} {:>COUNT$} {:>7} {:>8} {:>COUNT$} {:>7} {:>8} {:>6}",
            "TRANSITION", "A", "SHARE", "/S", "B", "SHARE", "/S", "RATIO"
        ));
        for row in rows {
            let Measure::Next(old, new) = row.measure else { continue };
            self.put(colour::of(old), &format!("{:<12}", old.to_string()));
            self.text.push_str(" -> ");
            self.put(colour::of(new), &format!("{:<12}", new.to_string()));
            for figures in [&row.a, &row.b] {
                let share = figures.share.map_or_else(|| "-".to_owned(), percent);
                let per_second = figures.per_second.map_or_else(|| "-".to_owned(), rate);
                let _ = write!(self.text, " {:>COUNT$} {share:>7} {per_second:>8}", grouped(figures.count));
            }
            let _ = writeln!(self.text, " {:>6}", ratio(row.ratio));
        }
    }
}

/// Ends a second, of all reasons.
#[allow(clippy::cast_precision_loss)]
fn ended_per_second(figures: &Figures) -> Option<f64> {
    let of_reason = figures.per_second.filter(|_| figures.count > 0)?;
    Some(of_reason / figures.count as f64 * figures.of? as f64)
}

/// The figures of a side in a column.
fn figures(measure: Measure, figures: &Figures) -> String {
    let maybe = |ns: Option<u64>| ns.map_or_else(|| "-".to_owned(), duration);
    match (measure, figures.limit_ns, figures.of) {
        (Measure::Begun, ..) => {
            figures.per_second.map_or_else(|| grouped(figures.count), |per| rate(per) + "/s")
        }
        (_, Some(limit_ns), _) => {
            format!("{} over {}", figures.share.map_or_else(|| "-".to_owned(), percent), duration(limit_ns))
        }
        (_, None, Some(of)) => {
            format!("{} of {}", figures.share.map_or_else(|| "-".to_owned(), percent), grouped(of))
        }
        (_, None, None) => {
            format!("{}, p99 {}", maybe(figures.quantiles.p50_ns), maybe(figures.quantiles.p99_ns))
        }
    }
}

fn ratio(ratio: Option<f64>) -> String {
    match ratio {
        None => "-".to_owned(),
        Some(ratio) if ratio >= 9_999.5 => ">9999x".to_owned(),
        Some(ratio) if ratio >= 99.5 => format!("{ratio:.0}x"),
        Some(ratio) if ratio >= 9.95 => format!("{ratio:.1}x"),
        Some(ratio) => format!("{ratio:.2}x"),
    }
}

fn chance(p: Option<f64>) -> String {
    match p {
        None => "-".to_owned(),
        Some(p) if p < 1e-9 => "<1e-9".to_owned(),
        Some(p) if p < 0.001 => format!("{p:.0e}"),
        Some(p) => format!("{p:.3}"),
    }
}

fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent >= 99.95 || percent == 0.0 { format!("{percent:.0}%") } else { format!("{percent:.2}%") }
}

fn rate(per_second: f64) -> String {
    match per_second {
        // The cast is safe, because no rate is that high.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        rate if rate >= 100.0 => grouped(rate.round() as u64),
        rate if rate >= 1.0 => format!("{rate:.1}"),
        rate => format!("{rate:.3}"),
    }
}
