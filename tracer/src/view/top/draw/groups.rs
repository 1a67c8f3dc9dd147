//! Groups of connections, a row for each.

use ratatui::{
    style::{Modifier, Style},
    text::{Line, Span},
};

use super::{DrawContext, dim, style_of};
use crate::{
    aggregate::{By, report::RankedName, totals::RankingKey},
    tcp::{colour, reason::Reason},
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

/// A further column of screens that are at least so wide: how the last connection ended. Its width holds each reason.
const LAST_END: (&str, usize) = ("LAST END", 22);
const WIDE: u16 = 110;

/// The title line and the rows.
pub(super) fn lines<'a>(model: &Model, around: &mut DrawContext<'_>, width: u16) -> Vec<Line<'a>> {
    let is_wide = width >= WIDE;
    let last_end = if is_wide { LAST_END.1 + 1 } else { 0 };
    let taken: usize = COLUMNS.iter().map(|(_, width)| width + 1).sum::<usize>() + last_end;
    let room = usize::from(width).saturating_sub(taken);
    let mut lines = vec![titles(model, room, is_wide)];
    let cursor = model.groups.cursor;
    for index in cursor.visible() {
        if let Some(group) = model.groups.rows.get(index) {
            let mut line = line(group, model, around, room, index == cursor.at);
            if is_wide {
                line.push_span(end(group, index == cursor.at));
            }
            lines.push(line);
        }
    }
    if model.groups.rows.is_empty() {
        lines.push(Line::from(dim("no connections")));
    }
    lines
}

/// How the last connection of a group ended.
fn end<'a>(group: &GroupRow, is_chosen: bool) -> Span<'a> {
    let style = group.last_end.map_or_else(Style::new, |end| style_of(colour::end(end.is_orderly())));
    let style = if is_chosen { style.add_modifier(Modifier::REVERSED) } else { style };
    let text = group.last_end.map_or("-", Reason::name);
    Span::styled(format!(" {}", left(text, LAST_END.1)), style)
}

fn titles<'a>(model: &Model, room: usize, is_wide: bool) -> Line<'a> {
    let by = model.groups.shown().map_or("", By::title);
    let mut text = left(&format!("{by} ({})", model.groups.rows.len()), room);
    for (title, width) in COLUMNS {
        text.push(' ');
        text.push_str(&right(title, width));
    }
    if is_wide {
        text.push(' ');
        text.push_str(&left(LAST_END.0, LAST_END.1));
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
