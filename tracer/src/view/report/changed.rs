//! What has changed since other recordings, in words.

use jiff::Timestamp;

use crate::{
    aggregate::diff::{
        measure::Measure,
        name::GroupName,
        report::{DiffReport, DiffRow, DiffWarning, SideReport},
        words::{OF_GROUP, chance, counts, figures, of_group, of_share, of_times, ratio},
    },
    text::{duration::duration, width::grouped},
};

/// Changes for the worse that stand on the first screen.
const FIRST: usize = 5;

/// The sides, as the page calls them.
const WHEN: [&str; 2] = ["Before", "After"];

/// The class of cells with figures.
const NUMBER: &str = "number";

/// The titles of what matters most about a group.
const GROUP_TITLES: [&str; OF_GROUP.len()] = [
    "Begun",
    "Ended",
    "Ended a second",
    "Failed",
    "Handshake p50",
    "Handshake p99",
    "Lived p50",
    "Lived p99",
];

/// A comparison as the page has it.
pub(super) struct ChangedWords<'a> {
    /// The recordings that it is about.
    pub(super) before: String,
    /// What has become worse, the most important first, and how much more there is.
    pub(super) worse: Vec<String>,
    pub(super) more_worse: usize,
    /// Whether there was enough for any test.
    pub(super) is_tested: bool,
    /// How many changes and tests there are.
    pub(super) counts: String,
    pub(super) significance: f64,
    pub(super) sides: [SideWords; 2],
    pub(super) warnings: &'a [DiffWarning],
    /// What has changed; `None` if nothing has.
    pub(super) changes: Option<WordTable>,
    /// Figures of both sides.
    pub(super) figures: Vec<WordTable>,
    /// Groups whose figures are not there.
    pub(super) more_groups: usize,
}

/// A side in words.
pub(super) struct SideWords {
    pub(super) when: &'static str,
    pub(super) files: String,
    pub(super) hosts: String,
    pub(super) span: String,
    pub(super) counts: String,
    pub(super) missing: Vec<String>,
}

/// A table of words.
pub(super) struct WordTable {
    pub(super) caption: String,
    /// Titles, and the classes of their cells.
    pub(super) columns: Vec<(String, &'static str)>,
    pub(super) rows: Vec<Vec<String>>,
}

impl<'a> ChangedWords<'a> {
    pub(super) fn new(report: &'a DiffReport) -> Self {
        let regressions: Vec<_> = report.regressions().collect();
        let kinds = GroupName::KINDS.iter().enumerate();
        let mut figures: Vec<_> = kinds.map(|(kind, title)| groups(report, kind, title)).collect();
        figures.extend([
            shares("ends of connections", "Ended", &report.ends()),
            times(&report.of_all(|measure| matches!(measure, Measure::Stay(_)))),
            shares(
                "transitions",
                "Transition",
                &report.of_all(|measure| matches!(measure, Measure::Next(..))),
            ),
        ]);
        figures.retain(|table| !table.rows.is_empty());
        let tests = format!("{} tests", grouped(report.tests as u64));
        Self {
            before: report.a.files.join(", "),
            worse: regressions.iter().take(FIRST).map(|row| sentence(row)).collect(),
            more_worse: regressions.len().saturating_sub(FIRST),
            is_tested: report.tests > 0,
            counts: match &report.changes[..] {
                [] => tests,
                changes => format!("{}; {tests}", counts(changes)),
            },
            significance: report.significance,
            sides: [SideWords::new(WHEN[0], &report.a), SideWords::new(WHEN[1], &report.b)],
            warnings: &report.warnings,
            changes: (!report.changes.is_empty()).then(|| changes(&report.changes)),
            figures,
            more_groups: report.more_groups,
        }
    }
}

impl SideWords {
    fn new(when: &'static str, side: &SideReport) -> Self {
        let at = |time: Timestamp| time.strftime("%Y-%m-%d %H:%M:%S");
        let mut missing = Vec::new();
        match side.lost {
            Some(0) => {}
            Some(lost) => missing.push(format!("{} transitions were lost", grouped(lost))),
            None => missing.push("how many transitions were lost is not known".to_owned()),
        }
        if !side.complete && side.lost == Some(0) {
            missing.push("something is missing".to_owned());
        }
        if side.missing_at_most > 0 {
            let most = grouped(side.missing_at_most);
            missing.push(format!("too many groups: up to {most} connections may be missing from one"));
        }
        Self {
            when,
            files: side.files.join(", "),
            hosts: side.hosts.join(", "),
            span: format!("{} to {} UTC ({})", at(side.from), at(side.to), duration(side.duration_ns)),
            counts: format!(
                "{} connections ended, {} of these out of order",
                grouped(side.ended),
                grouped(side.failed)
            ),
            missing,
        }
    }
}

impl WordTable {
    /// `columns`: those that begin with `#` are figures.
    fn new(
        caption: impl Into<String>,
        columns: impl IntoIterator<Item = String>,
        rows: Vec<Vec<String>>,
    ) -> Self {
        let column = |title: String| match title.strip_prefix('#') {
            Some(title) => (title.to_owned(), NUMBER),
            None => (title, ""),
        };
        Self { caption: caption.into(), columns: columns.into_iter().map(column).collect(), rows }
    }

    /// The cells of a row, with their classes.
    pub(super) fn cells<'r>(&'r self, row: &'r [String]) -> impl Iterator<Item = (&'r String, &'static str)> {
        row.iter().zip(self.columns.iter().map(|(_, kind)| *kind))
    }
}

/// A change for the first screen.
fn sentence(row: &DiffRow) -> String {
    let [before, after] = [&row.a, &row.b].map(|side| figures(row.measure, side));
    let chance = chance(row.p_corrected);
    format!("{}, {}: {before} before, {after} after (chance {chance})", row.measure, row.name)
}

fn changes(changes: &[DiffRow]) -> WordTable {
    let columns =
        ["Change", "Whose", "What", "#Before", "#After", "#Ratio", "#Chance", "Test", "The same of"];
    let row = |row: &DiffRow| {
        let also: Vec<_> = row.also.iter().map(GroupName::to_string).collect();
        vec![
            row.change.map_or("", |change| change.word()).to_owned(),
            row.name.to_string(),
            row.measure.to_string(),
            figures(row.measure, &row.a),
            figures(row.measure, &row.b),
            ratio(row.ratio),
            chance(row.p_corrected),
            row.measure.test().to_owned(),
            also.join(", "),
        ]
    };
    let rows = changes.iter().map(row).collect();
    WordTable::new("what has changed by more than chance", columns.map(str::to_owned), rows)
}

/// What matters most about each group of a kind.
fn groups(report: &DiffReport, kind: usize, title: &str) -> WordTable {
    let title = title.to_lowercase();
    let row = |rows: &[DiffRow], side: usize| {
        let name = rows.first().map(|row| row.name.to_string());
        name.into_iter().chain([WHEN[side].to_lowercase()]).chain(of_group(rows, side)).collect()
    };
    let rows = report.groups(kind).flat_map(|rows| [row(rows, 0), row(rows, 1)]).collect();
    let names = ["Name", "When"].map(str::to_owned);
    let columns = names.into_iter().chain(GROUP_TITLES.map(|title| format!("#{title}")));
    WordTable::new(format!("by {title}, before and after"), columns, rows)
}

/// Numbers and shares of all connections.
fn shares(caption: &str, title: &str, rows: &[&DiffRow]) -> WordTable {
    let figures = |row: &&DiffRow| [of_share(&row.a), of_share(&row.b)].concat();
    pairs(caption, title, &["", " share", " a second"], rows, figures)
}

/// Times in states of all connections.
fn times(rows: &[&DiffRow]) -> WordTable {
    let figures = |row: &&DiffRow| [of_times(&row.a), of_times(&row.b)].concat();
    pairs("times in states", "What", &["", " p50", " p90", " p99"], rows, figures)
}

fn pairs(
    caption: &str,
    title: &str,
    figures: &[&str],
    rows: &[&DiffRow],
    of: impl Fn(&&DiffRow) -> Vec<String>,
) -> WordTable {
    let columns = WHEN.iter().flat_map(|when| figures.iter().map(move |figure| format!("#{when}{figure}")));
    let columns = [title.to_owned()].into_iter().chain(columns).chain(["#Ratio".to_owned()]);
    let row = |row: &&DiffRow| {
        [row.measure.to_string()].into_iter().chain(of(row)).chain([ratio(row.ratio)]).collect()
    };
    WordTable::new(caption, columns, rows.iter().map(row).collect())
}
