//! The table of two builds of tracer.

use comfy_table::Table;

use super::cells::{interval, range, table};
use crate::report::pair::{Pair, rows};

/// A row for each view.
pub(super) fn pairs(pairs: &[Pair]) -> Table {
    let mut table = table([
        "new against old",
        "new/s",
        "old/s",
        "ratio",
        "95 %",
        "from to",
        "of CPU time",
        "95 %",
        "new lost",
        "old lost",
    ]);
    for row in rows(pairs) {
        table.add_row([
            row.view,
            format!("{:.0}", row.new_per_s),
            format!("{:.0}", row.old_per_s),
            format!("{:.3}", row.ratio),
            interval(row.ratio_interval),
            range(Some(row.ratio_range)),
            format!("{:.3}", row.cpu_ratio),
            interval(row.cpu_ratio_interval),
            row.new_lost.to_string(),
            row.old_lost.to_string(),
        ]);
    }
    table
}
