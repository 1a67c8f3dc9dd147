//! Groups of connections, a row for each.

use ratatui::{
    style::{Modifier, Style},
    text::{Line, Span},
};

use super::{DrawContext, dim, style_of};
use crate::{
    aggregate::{By, report::RankedName, totals::RankingKey},
    tcp::colour,
    text::{
        duration::duration,
        escape::{escaped, name},
        width::{left, right, short},
    },
    view::top::{groups::GroupRow, model::Model},
};

/// The columns behind the name, with their widths.
const COLUMNS: [(&str, usize); 7] =
    [("CONNS", 6), ("STUCK", 6), ("OLDEST", 7), ("NEW/S", 7), ("FAIL/S", 7), ("RETR", 5), ("BYTES/S", 7)];

/// The title line and the rows.
pub(super) fn lines<'a>(model: &Model, around: &mut DrawContext<'_>, width: u16) -> Vec<Line<'a>> {
    let taken: usize = COLUMNS.iter().map(|(_, width)| width + 1).sum();
    let room = usize::from(width).saturating_sub(taken);
    let mut lines = vec![titles(model, room)];
    let cursor = model.groups.cursor;
    for index in cursor.visible() {
        if let Some(group) = model.groups.rows.get(index) {
            lines.push(line(group, model, around, room, index == cursor.at));
        }
    }
    if model.groups.rows.is_empty() {
        lines.push(Line::from(dim("no connections")));
    }
    lines
}

fn titles<'a>(model: &Model, room: usize) -> Line<'a> {
    let by = model.groups.shown().map_or("", By::title);
    let mut text = left(&format!("{by} ({})", model.groups.rows.len()), room);
    for (title, width) in COLUMNS {
        text.push(' ');
        text.push_str(&right(title, width));
    }
    Line::from(Span::styled(text, Modifier::BOLD | Modifier::UNDERLINED))
}

fn line<'a>(
    group: &GroupRow,
    model: &Model,
    around: &mut DrawContext<'_>,
    room: usize,
    is_chosen: bool,
) -> Line<'a> {
    let base = if group.stuck > 0 { style_of(colour::STUCK) } else { Style::new() };
    let base = if is_chosen { base.add_modifier(Modifier::REVERSED) } else { base };
    let failing = if group.failed > 0 { base.patch(style_of(colour::end(false))) } else { base };
    let bound = if group.is_bound { ">" } else { "" };
    let some = |count: u64| if count == 0 { "-".to_owned() } else { short(count) };
    let cells = [
        (short(group.count), base),
        (some(group.stuck), base),
        (format!("{bound}{}", duration(group.oldest_ns)), base),
        (rate(group.begun), base),
        (rate(group.failed), failing),
        (some(group.retransmitting), base),
        (group.bytes_per_second.map_or_else(|| "-".to_owned(), short), base),
    ];
    let mut spans = vec![Span::styled(left(&title(group, model, around), room), base)];
    for ((_, width), (text, style)) in COLUMNS.iter().zip(cells) {
        spans.push(Span::styled(format!(" {}", right(&text, *width)), style));
    }
    Line::from(spans)
}

/// What the connections of a group have in common.
fn title(group: &GroupRow, model: &Model, around: &mut DrawContext<'_>) -> String {
    let comm = group.comm.unwrap_or_default();
    if let RankingKey::Pid(Some(pid)) = group.key {
        let line = if model.shows_command_lines { around.names.command_line(pid) } else { None };
        return format!("{pid:>7} {}", line.unwrap_or_else(|| escaped(name(&comm))));
    }
    RankedName::new(&group.key, comm, None, around.names).to_string()
}

/// Thousandths per second, with a digit behind the point while there is room.
fn rate(thousandths: u64) -> String {
    match thousandths {
        0..50 => "-".to_owned(),
        50..100_000 => format!("{}.{}", thousandths / 1000, thousandths % 1000 / 100),
        _ => short(thousandths / 1000),
    }
}
