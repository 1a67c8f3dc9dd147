//! The report as tables.

use comfy_table::{CellAlignment, Table, presets::ASCII_MARKDOWN};

use crate::report::{Report, churn::Row};

/// A column: its header, and what stands in it.
type Column = (&'static str, fn(&Row) -> String);

const COLUMNS: &[Column] = &[
    ("", |row| row.contestant.clone()),
    ("connections/s", |row| format!("{:.0}", row.connections_per_s)),
    ("ratio", |row| format!("{:.3}", row.ratio)),
    ("from to", range),
    ("events seen", |row| figure(row.seen, 0)),
    ("lost", |row| row.lost_most.map_or_else(absent, |lost| lost.to_string())),
    ("unaccounted", unaccounted),
    ("CPU s/million", |row| figure(row.cpu_s_per_million, 3)),
    ("kernel ns/event", |row| figure(row.kernel_ns, 0)),
    ("wakeups/s", |row| figure(row.wakeups_per_s, 0)),
    ("peak MiB", |row| figure(row.peak_mib, 1)),
    ("beside ring", |row| figure(row.peak_beside_ring_mib, 1)),
    ("ready ms", |row| figure(row.ready_ms, 0)),
];

fn absent() -> String {
    "-".to_owned()
}

fn figure(figure: Option<f64>, digits: usize) -> String {
    figure.map_or_else(absent, |figure| format!("{figure:.digits$}"))
}

fn range(row: &Row) -> String {
    row.ratio_range.map_or_else(absent, |(least, most)| format!("{least:.2} {most:.2}"))
}

/// What a contestant's counts miss of what the load made, or have too many.
fn unaccounted(row: &Row) -> String {
    match row.surplus {
        None => absent(),
        Some(0) => "0".to_owned(),
        Some(surplus @ 1..) => format!("{surplus} too many"),
        Some(surplus) => format!("{} missing", surplus.unsigned_abs()),
    }
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(ASCII_MARKDOWN).set_header(header.iter().copied());
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// Contestants, figures without that load, and targets.
pub(crate) fn tables(report: &Report) -> String {
    let headers: Vec<_> = COLUMNS.iter().map(|(header, _)| *header).collect();
    let mut contestants = table(&headers);
    for row in &report.rows {
        contestants.add_row(COLUMNS.iter().map(|(_, cell)| cell(row)));
    }
    let mut targets = table(&["target", "asked", "measured", ""]);
    for verdict in &report.verdicts {
        targets.add_row([
            verdict.what.clone(),
            verdict.asked.clone(),
            verdict.measured(),
            verdict.word().to_owned(),
        ]);
    }
    let host = &report.host;
    format!(
        "{contestants}\n\nMedians of {} rounds of {} s; lost and unaccounted of the worst round.\n\
         {} CPUs {}, Linux {}, {}, commit {}\n\n{targets}\n",
        report.rounds,
        report.seconds,
        host.cores,
        host.cpu,
        host.kernel,
        host.date,
        host.commit.as_deref().unwrap_or("unknown"),
    )
}
