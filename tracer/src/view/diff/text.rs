//! Writes a comparison as text.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style as Look};
use jiff::{Timestamp, tz::TimeZone};

use crate::{
    aggregate::diff::{
        measure::Measure,
        name::GroupName,
        report::{ChangeKind, DiffReport, DiffRow, SideReport},
        words::{self, chance, counts, figures, ratio},
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
    tables.ends(&report.ends());
    tables.states(&report.of_all(|measure| matches!(measure, Measure::Stay(_))));
    tables.transitions(&report.of_all(|measure| matches!(measure, Measure::Next(..))));
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
        let _ = writeln!(self.text, "{}; {} tests", counts(&report.changes), grouped(report.tests as u64));
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
            let mut groups = report.groups(kind).peekable();
            if groups.peek().is_none() {
                continue;
            }
            self.head(&format!("{title:WHO$}   {}", group_columns(words::OF_GROUP.map(str::to_owned))));
            groups.for_each(|group| self.group(group));
        }
        if report.more_groups > 0 {
            let _ = writeln!(self.text, "and {} more (--rows)", grouped(report.more_groups as u64));
        }
    }

    fn group(&mut self, rows: &[DiffRow]) {
        for side in [0, 1] {
            let first = rows.first().filter(|_| side == 0);
            let mut name = first.map_or_else(String::new, |row| row.name.to_string());
            shorten_front(&mut name, WHO);
            let columns = group_columns(words::of_group(rows, side));
            let _ = write!(self.text, "{} {} {columns}", left(&name, WHO), SIDES[side]);
            self.end_line();
        }
    }

    fn ends(&mut self, rows: &[&DiffRow]) {
        if rows.is_empty() {
            return;
        }
        self.head(&format!(
            "{:<28} {:>COUNT$} {:>7} {:>8} {:>COUNT$} {:>7} {:>8} {:>6}",
            "ENDED", "A", "SHARE", "/S", "B", "SHARE", "/S", "RATIO"
        ));
        for row in rows {
            let Measure::End(reason) = row.measure else { continue };
            self.put(colour::end(reason.is_orderly()), &format!("{:<28}", reason.name()));
            for figures in [&row.a, &row.b] {
                let [count, share, per_second] = words::of_share(figures);
                let _ = write!(self.text, " {count:>COUNT$} {share:>7} {per_second:>8}");
            }
            let _ = writeln!(self.text, " {:>6}", ratio(row.ratio));
        }
    }

    fn states(&mut self, rows: &[&DiffRow]) {
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
                let [count, p50, p90, p99] = words::of_times(figures);
                let _ = write!(self.text, " {count:>COUNT$} {p50:>8} {p90:>8} {p99:>8}");
            }
            let _ = writeln!(self.text, " {:>6}", ratio(row.ratio));
        }
    }

    fn transitions(&mut self, rows: &[&DiffRow]) {
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
                let [count, share, per_second] = words::of_share(figures);
                let _ = write!(self.text, " {count:>COUNT$} {share:>7} {per_second:>8}");
            }
            let _ = writeln!(self.text, " {:>6}", ratio(row.ratio));
        }
    }
}

/// What matters most about a group, in columns.
fn group_columns(
    [begun, ended, per_second, failed, quantiles @ ..]: [String; words::OF_GROUP.len()],
) -> String {
    let quantiles = quantiles.map(|quantile| format!(" {quantile:>9}")).concat();
    format!("{begun:>COUNT$} {ended:>COUNT$} {per_second:>8} {failed:>8}{quantiles}")
}
