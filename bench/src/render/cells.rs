//! Parts of all tables.

use comfy_table::{CellAlignment, Table, presets::ASCII_MARKDOWN};

/// A Markdown table with words in the first column and figures in the others.
pub(super) fn table<'a>(header: impl IntoIterator<Item = &'a str>) -> Table {
    let mut table = Table::new();
    table.load_preset(ASCII_MARKDOWN).set_header(header);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// Stands for a figure that was not measured.
pub(super) fn absent() -> String {
    "-".to_owned()
}

/// A figure with so many digits after the point.
pub(super) fn figure(figure: Option<f64>, digits: usize) -> String {
    figure.map_or_else(absent, |figure| format!("{figure:.digits$}"))
}

/// A count that has to be exact.
pub(super) fn count(count: Option<u64>) -> String {
    count.map_or_else(absent, |count| count.to_string())
}

/// A confidence interval, with enough digits for the differences that matter.
pub(super) fn interval(interval: Option<(f64, f64)>) -> String {
    interval.map_or_else(absent, |(from, to)| format!("{from:.3} {to:.3}"))
}

/// The smallest and the largest figure.
pub(super) fn range(range: Option<(f64, f64)>) -> String {
    range.map_or_else(absent, |(least, most)| format!("{least:.2} {most:.2}"))
}
