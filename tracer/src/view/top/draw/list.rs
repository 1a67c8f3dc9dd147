//! The list of connections.

use ratatui::{
    style::{Modifier, Style},
    text::{Line, Span},
};

use super::look;
use crate::{
    tcp::{colour, endpoint::Endpoint, state::State},
    text::{
        duration::duration,
        escape::escaped,
        width::{left, right, short, shorten_front},
    },
    track::connection::Connection,
    view::top::{model::Model, sort::Sort},
};

/// A column.
struct Column {
    title: &'static str,
    /// On a screen of 80 columns.
    width: usize,
    /// What it may grow to on a wider one.
    most: usize,
    is_right: bool,
    /// The order that goes with it.
    sort: Option<Sort>,
    /// What it says of a connection at a time, in so many columns.
    text: fn(&Connection, u64, usize) -> String,
}

#[rustfmt::skip]
const COLUMNS: [Column; 10] = [
    Column { title: "AGE", width: 7, most: 7, is_right: true, sort: Some(Sort::Age), text: age },
    Column { title: "STATE", width: 11, most: 11, is_right: false, sort: Some(Sort::State),
        text: |c, _, _| State::from_kernel(c.state).to_string() },
    Column { title: "PID", width: 7, most: 7, is_right: true, sort: None,
        text: |c, _, _| if c.owner.is_known() { c.owner.pid.to_string() } else { "-".to_owned() } },
    Column { title: "COMM", width: 7, most: 15, is_right: false, sort: Some(Sort::Owner),
        text: |c, _, _| comm(c) },
    Column { title: "LOCAL", width: 5, most: 47, is_right: true, sort: Some(Sort::Port), text: local_in },
    Column { title: "PEER", width: 18, most: 47, is_right: false, sort: Some(Sort::Peer),
        text: remote_in },
    Column { title: "RECV", width: 4, most: 4, is_right: true, sort: Some(Sort::RecvQueue),
        text: |c, _, _| queue(c, c.counters.recv_queue) },
    Column { title: "SEND", width: 4, most: 4, is_right: true, sort: Some(Sort::SendQueue),
        text: |c, _, _| queue(c, c.counters.send_queue) },
    Column { title: "RTT", width: 6, most: 6, is_right: true, sort: Some(Sort::Rtt), text: rtt },
    Column { title: "RE", width: 2, most: 4, is_right: true, sort: Some(Sort::Retransmits),
        text: |c, _, _| short(u64::from(c.counters.retransmits)) },
];

/// The column of local ends: a port where there is room for no more.
const LOCAL: usize = 4;
/// The column of peers.
const PEER: usize = 5;
/// The column of states.
const STATE: usize = 1;
/// The column of names.
const COMM: usize = 3;
/// The column of retransmitted segments.
const RETRANSMITS: usize = 9;

/// The most that an IPv4 address takes, with its port.
const IPV4: usize = 21;

/// Title and rows.
pub(super) fn lines<'a>(model: &Model, width: u16) -> Vec<Line<'a>> {
    let widths = widths(usize::from(width), &model.list.rows);
    let mut lines = vec![titles(model, &widths)];
    for (index, connection) in model.list.rows.iter().enumerate() {
        let is_chosen = model.list.first + index == model.list.cursor;
        lines.push(row(connection, model, &widths, is_chosen));
    }
    if model.list.rows.is_empty() {
        let why = if model.line.text.is_empty() {
            "no connections"
        } else {
            "no connections that the filter lets pass"
        };
        lines.push(Line::from(super::dim(why)));
    }
    lines
}

/// What is left of a wide screen goes to names first, then to addresses.
fn widths(width: usize, rows: &[Connection]) -> [usize; COLUMNS.len()] {
    let mut widths = COLUMNS.map(|column| column.width);
    let taken: usize = widths.iter().sum::<usize>() + COLUMNS.len() - 1;
    let mut room = width.saturating_sub(taken);
    let longest = |text: fn(&Connection) -> String| {
        rows.iter().map(|connection| text(connection).len()).max().unwrap_or_default().max(IPV4)
    };
    for (index, most) in
        [(PEER, IPV4), (COMM, 15), (LOCAL, longest(local)), (PEER, longest(remote)), (RETRANSMITS, 4)]
    {
        let more = most.min(COLUMNS[index].most).saturating_sub(widths[index]);
        // A local address that does not fit is no address: then the port alone.
        if index == LOCAL && more > room {
            continue;
        }
        let more = more.min(room);
        widths[index] += more;
        room -= more;
    }
    widths
}

fn titles<'a>(model: &Model, widths: &[usize]) -> Line<'a> {
    let mut spans = Vec::new();
    for (column, width) in COLUMNS.iter().zip(widths) {
        let is_sorted = column.sort == Some(model.sort);
        let mark = match (is_sorted, model.is_reversed) {
            (false, _) => "",
            (true, false) => "▾",
            (true, true) => "▴",
        };
        let text = format!("{}{mark}", column.title);
        let text = if is_right(column, *width) { right(&text, *width) } else { left(&text, *width) };
        spans.push(Span::styled(format!("{text} "), Modifier::BOLD | Modifier::UNDERLINED));
    }
    Line::from(spans)
}

fn row<'a>(connection: &Connection, model: &Model, widths: &[usize], is_chosen: bool) -> Line<'a> {
    let is_stuck = model.stuck_ns(connection).is_some();
    let state = look(colour::of(State::from_kernel(connection.state)));
    let base = if is_stuck { look(colour::STUCK) } else { Style::new() };
    let base = if is_chosen { base.add_modifier(Modifier::REVERSED) } else { base };
    let mut spans = Vec::new();
    for (index, (column, width)) in COLUMNS.iter().zip(widths).enumerate() {
        let text = (column.text)(connection, model.now_ns, *width);
        let text = if is_right(column, *width) { right(&text, *width) } else { left(&text, *width) };
        let style = if index == STATE { base.patch(state) } else { base };
        spans.push(Span::styled(text, style));
        spans.push(Span::styled(" ", base));
    }
    Line::from(spans)
}

/// Numbers are to the right; a local end is one as long as it is a port alone.
fn is_right(column: &Column, width: usize) -> bool {
    column.is_right && width < IPV4
}

/// How long it has been in its state; at least, if that began unseen.
fn age(connection: &Connection, now_ns: u64, _: usize) -> String {
    let age = duration(now_ns.saturating_sub(connection.in_state_from_ns()));
    if connection.since_ns().is_some() { age } else { format!(">{age}") }
}

fn rtt(connection: &Connection, _: u64, _: usize) -> String {
    match connection.counters.srtt_us {
        0 => "-".to_owned(),
        us => duration(u64::from(us) * 1000),
    }
}

/// A timewait socket has none.
fn queue(connection: &Connection, bytes: u32) -> String {
    if connection.is_timewait { "-".to_owned() } else { short(u64::from(bytes)) }
}

/// The local end; where there is no room for an address the port alone.
fn local_in(connection: &Connection, _: u64, width: usize) -> String {
    match connection.tuple.local_port {
        _ if width >= IPV4 => local(connection),
        0 => "*".to_owned(),
        port => port.to_string(),
    }
}

/// The remote end; of one too long the port says more than the network.
fn remote_in(connection: &Connection, _: u64, width: usize) -> String {
    let mut peer = remote(connection);
    shorten_front(&mut peer, width);
    peer
}

/// The owner's name.
pub(super) fn comm(connection: &Connection) -> String {
    let owner = &connection.owner;
    if owner.is_known() { escaped(owner.comm()) } else { "-".to_owned() }
}

/// The local end.
pub(super) fn local(connection: &Connection) -> String {
    Endpoint::of(connection.tuple.local_addr, connection.tuple.local_port).to_string()
}

/// The remote end.
pub(super) fn remote(connection: &Connection) -> String {
    Endpoint::of(connection.tuple.remote_addr, connection.tuple.remote_port).to_string()
}
