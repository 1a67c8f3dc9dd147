//! The list of connections.

use ratatui::{
    style::{Modifier, Style},
    text::{Line, Span},
};

use super::style_of;
use crate::{
    facts::context::Context,
    format::{
        columns,
        row::{self, Row},
        text::{cell, doubtful},
        value::Value,
    },
    tcp::colour,
    text::{
        duration::duration,
        escape::escaped,
        width::{left, right, short, shorten_front},
    },
    track::connection::Connection,
    view::top::{model::Model, sort::Sort},
};

/// A column of the list: its row in the table of columns, and its layout here.
struct ListColumn {
    /// Its key in the table of columns.
    key: &'static str,
    /// The key of the value that is shown while the column is too narrow for an IPv4 address.
    narrow: Option<&'static str>,
    title: &'static str,
    /// Width on a screen of 80 columns; 0 if only wide screens have it.
    width: usize,
    /// Numbers are aligned to the right.
    is_right: bool,
    /// A value that is too long loses its beginning, not its end.
    keeps_end: bool,
    /// The sort order that belongs to it.
    sort: Option<Sort>,
    /// Formats a value.
    text: fn(&Value<'_>) -> String,
}

#[rustfmt::skip]
const COLUMNS: [ListColumn; 15] = [
    ListColumn { title: "AGE", width: 7, sort: Some(Sort::Age), ..right_column("age_us") },
    ListColumn { title: "STATE", width: 11, sort: Some(Sort::State), ..left_column("state") },
    ListColumn { title: "PID", width: 7, ..right_column("pid") },
    ListColumn { title: "COMM", width: 7, sort: Some(Sort::Owner), ..left_column("comm") },
    ListColumn { title: "LOCAL", width: 5, sort: Some(Sort::Port), narrow: Some("local_port"), ..right_column("local") },
    ListColumn { title: "PEER", width: 18, sort: Some(Sort::Peer), keeps_end: true, ..left_column("remote") },
    ListColumn { title: "RECV", width: 4, sort: Some(Sort::RecvQueue), text: count, ..right_column("recv_queue") },
    ListColumn { title: "SEND", width: 4, sort: Some(Sort::SendQueue), text: count, ..right_column("send_queue") },
    ListColumn { title: "RTT", width: 6, sort: Some(Sort::Rtt), text: micros, ..right_column("srtt_us") },
    ListColumn { title: "RE", width: 2, sort: Some(Sort::Retransmits), text: count, ..right_column("retransmits") },
    ListColumn { title: "TX", text: count, ..right_column("tx_bytes") },
    ListColumn { title: "RX", text: count, ..right_column("rx_bytes") },
    ListColumn { title: "IDLE", text: idle, ..right_column("idle_us") },
    ListColumn { title: "NETNS", ..left_column("netns_name") },
    ListColumn { title: "CGROUP", keeps_end: true, ..left_column("cgroup_path") },
];

const fn left_column(key: &'static str) -> ListColumn {
    let text = cell;
    ListColumn { key, narrow: None, title: "", width: 0, is_right: false, keeps_end: false, sort: None, text }
}

const fn right_column(key: &'static str) -> ListColumn {
    ListColumn { is_right: true, ..left_column(key) }
}

/// How far a column grows on a wide screen.
enum Growth {
    /// Up to this width, as far as space allows.
    To(usize),
    /// Up to its longest value, as far as space allows.
    ToLongest,
    /// To the width of its longest value, or not at all: a local address that is cut off is useless.
    ToLongestOrNot,
    /// From nothing to this width, or not at all.
    ToOrNot(usize),
    /// From nothing to its longest value, within these widths, as far as space allows; or not at all if no row has a
    /// value.
    ToLongestWithin(usize, usize),
}

/// The extra width of a wide screen goes first to short addresses and names, then to long addresses, then to columns
/// that a narrow one has not.
const GROWTH: [(&str, Growth); 10] = [
    ("remote", Growth::To(IPV4)),
    ("comm", Growth::To(15)),
    ("local", Growth::ToLongestOrNot),
    ("remote", Growth::ToLongest),
    ("retransmits", Growth::To(4)),
    ("tx_bytes", Growth::ToOrNot(4)),
    ("rx_bytes", Growth::ToOrNot(4)),
    ("idle_us", Growth::ToOrNot(6)),
    ("netns_name", Growth::ToLongestWithin(8, 16)),
    ("cgroup_path", Growth::ToLongestWithin(12, 60)),
];

/// Maximum width of an IPv4 address with its port.
const IPV4: usize = 21;

/// Maximum width of an IPv6 address with its port.
const IPV6: usize = 47;

/// The title line and the rows.
pub(super) fn lines<'a>(model: &Model, context: &Context, width: u16) -> Vec<Line<'a>> {
    let connections = &model.list.rows;
    let rows: Vec<_> =
        connections.iter().map(|connection| Row::of(connection, model.now_ns, context)).collect();
    let widths = widths(usize::from(width), &rows);
    let mut lines = vec![titles(model, &widths)];
    for (index, (row, connection)) in rows.iter().zip(connections).enumerate() {
        let is_chosen = model.list.cursor.first + index == model.list.cursor.at;
        lines.push(spans(row, connection, model, &widths, is_chosen));
    }
    if model.list.rows.is_empty() {
        let why = if model.line.text.is_empty() {
            "no connections"
        } else {
            "no connections that the filter lets pass"
        };
        lines.push(Line::from(super::dim(why)));
        let command = model.opened_finding.as_ref().map(|opened| &opened.command);
        // What is there now is shown here.
        if let Some(command) = command.filter(|command| !command.starts_with("tracer top")) {
            lines.push(Line::from(super::dim("what has ended, or has no socket, is told by:")));
            lines.push(Line::from(super::plain(command.clone())));
        }
    }
    lines
}

/// The widths of the columns on a screen of this width.
fn widths(width: usize, rows: &[Row<'_>]) -> [usize; COLUMNS.len()] {
    let mut widths = COLUMNS.each_ref().map(|column| column.width);
    let taken: usize = widths.iter().filter(|width| **width > 0).map(|width| width + 1).sum::<usize>() - 1;
    let mut room = width.saturating_sub(taken);
    for (key, growth) in &GROWTH {
        let grown = COLUMNS.iter().zip(&mut widths).filter(|(column, _)| column.key == *key);
        for (column, width) in grown {
            let longest =
                |most| rows.iter().map(|row| column.text(row, most).len()).max().unwrap_or_default();
            let gap = usize::from(*width == 0);
            let left = room.saturating_sub(gap);
            let to = match growth {
                Growth::To(to) => (*to).min(*width + left),
                Growth::ToLongest => longest(IPV6).clamp(IPV4, IPV6).min(*width + left),
                Growth::ToLongestOrNot => or_not(longest(IPV6).clamp(IPV4, IPV6), *width + left),
                Growth::ToOrNot(to) => or_not(*to, left),
                Growth::ToLongestWithin(least, most) => {
                    let is_empty = rows.iter().all(|row| matches!(value_of(column.key, row), Value::Null));
                    if is_empty || left < *least { 0 } else { longest(*most).clamp(*least, left.min(*most)) }
                }
            };
            if to > *width {
                room -= to - *width + gap;
                *width = to;
            }
        }
    }
    widths
}

/// A width, if there is so much room.
fn or_not(width: usize, room: usize) -> usize {
    if width > room { 0 } else { width }
}

/// The value for a connection that a row of the table of columns gives.
fn value_of<'a>(key: &str, row: &Row<'a>) -> Value<'a> {
    columns::column(key).map_or(Value::Null, |column| column.value.of(row))
}

impl ListColumn {
    /// The text for a connection in a column of this width.
    fn text(&self, row: &Row<'_>, width: usize) -> String {
        let mut text = match self.narrow {
            Some(narrow) if width < IPV4 => match value_of(narrow, row) {
                // `ss` also writes `*` for an unknown port.
                Value::Null => "*".to_owned(),
                known => (self.text)(&known),
            },
            _ => match value_of(self.key, row) {
                // The mark of doubt stays.
                Value::DoubtfulName(name) => doubtful(cell(&Value::Name(name)), width),
                value => (self.text)(&value),
            },
        };
        if self.keeps_end {
            shorten_front(&mut text, width);
        }
        text
    }

    /// Numbers are aligned to the right. A local endpoint is a number while only its port is shown.
    fn is_right(&self, width: usize) -> bool {
        self.is_right && width < IPV4
    }

    /// Aligns text in the column, and cuts it if it is too wide.
    fn fitted(&self, text: &str, width: usize) -> String {
        if self.is_right(width) { right(text, width) } else { left(text, width) }
    }
}

/// A number in at most four characters.
fn count(value: &Value<'_>) -> String {
    if let Value::Uint(number) = value { short(*number) } else { cell(value) }
}

/// Formats a time.
fn idle(value: &Value<'_>) -> String {
    if let Value::Duration(ns) = value { duration(*ns) } else { cell(value) }
}

/// Formats microseconds as a duration.
fn micros(value: &Value<'_>) -> String {
    if let Value::Uint(us) = value { duration(us.saturating_mul(1000)) } else { cell(value) }
}

fn titles<'a>(model: &Model, widths: &[usize]) -> Line<'a> {
    let mut spans = Vec::new();
    for (column, width) in COLUMNS.iter().zip(widths).filter(|(_, width)| **width > 0) {
        let is_sorted = column.sort == Some(model.sort);
        let mark = match (is_sorted, model.is_reversed) {
            (false, _) => "",
            (true, false) => "▾",
            (true, true) => "▴",
        };
        let text = format!("{}{mark}", column.title);
        let text = column.fitted(&text, *width);
        spans.push(Span::styled(format!("{text} "), Modifier::BOLD | Modifier::UNDERLINED));
    }
    Line::from(spans)
}

fn spans<'a>(
    row: &Row<'_>,
    connection: &Connection,
    model: &Model,
    widths: &[usize],
    is_chosen: bool,
) -> Line<'a> {
    let is_stuck = model.stuck_ns(connection).is_some();
    let base = if is_stuck { style_of(colour::STUCK) } else { Style::new() };
    let base = if is_chosen { base.add_modifier(Modifier::REVERSED) } else { base };
    let mut spans = Vec::new();
    for (column, width) in COLUMNS.iter().zip(widths).filter(|(_, width)| **width > 0) {
        let text = column.fitted(&column.text(row, *width), *width);
        let style = if column.key == "state" { base.patch(style_of(colour::of(row.new))) } else { base };
        spans.push(Span::styled(text, style));
        spans.push(Span::styled(" ", base));
    }
    Line::from(spans)
}

/// The owner's name, marked if it may not be the right one.
pub(super) fn comm(connection: &Connection) -> String {
    let owner = &connection.owner;
    if !owner.is_known() {
        return "-".to_owned();
    }
    let name = escaped(owner.comm());
    if connection.has_doubtful_owner() { doubtful(name, usize::MAX) } else { name }
}

/// The local and the remote end.
pub(super) fn ends(connection: &Connection, context: &Context) -> (String, String) {
    let (local, remote) = row::ends(&connection.tuple, context);
    (local.to_string(), remote.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key that is not in the table would show nothing, for ever.
    #[test]
    fn each_column_is_in_the_table() {
        let keys = COLUMNS.iter().flat_map(|column| [Some(column.key), column.narrow]).flatten();
        for key in keys.chain(GROWTH.iter().map(|(key, _)| *key)) {
            assert!(columns::column(key).is_some(), "{key}");
        }
        assert!(GROWTH.iter().all(|(key, _)| COLUMNS.iter().any(|column| column.key == *key)));
    }
}
