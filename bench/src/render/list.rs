//! The table of lists of sockets.

use comfy_table::Table;

use super::cells::table;
use crate::report::list::{Sample, rows};

/// A row for each command and kind of sockets.
pub(super) fn lists(samples: &[Sample]) -> Table {
    let mut table = table(["list", "", "s", "from to", "peak MiB", "lines, from to"]);
    for row in rows(samples) {
        let (least, most) = row.seconds_range;
        table.add_row([
            row.sockets.name().to_owned(),
            row.command,
            format!("{:.3}", row.seconds),
            format!("{least:.3} {most:.3}"),
            format!("{:.1}", row.peak_mib),
            format!("{:.0} {:.0}", row.lines.0, row.lines.1),
        ]);
    }
    table
}
