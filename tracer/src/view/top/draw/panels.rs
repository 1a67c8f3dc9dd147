//! The panels below the list: listeners with their accept queues, and ends of connections.

use std::fmt::Write as _;

use ratatui::{
    layout::Rect,
    style::Modifier,
    text::{Line, Span},
};
use unicode_width::UnicodeWidthStr as _;

use super::{dim, heading, plain, style_of};
use crate::{
    facts::context::Context,
    tcp::colour,
    text::width::{left, right, short, shorten_front},
    track::connection::Connection,
    view::top::{
        counts::{Gauge, fullness},
        draw::list::{comm, ends},
        model::Model,
    },
};

/// Width of the bar that shows how full an accept queue is.
const BAR: usize = 5;
/// Width of a listener's owner.
const OWNER: usize = 8;
/// Width of an accept queue and its limit.
const QUEUE: usize = 9;
/// From this width on there are columns of new connections and of drops, and from the second on one of accepts.
const WIDE: [usize; 2] = [54, 61];
/// Widths of a reason, the longest being `reset-remote-after-fin`, and of its count.
const REASON: usize = 22;
const COUNT: usize = 6;

/// The listeners with the fullest accept queues.
pub(super) fn listeners<'a>(model: &Model, context: &Context, area: Rect) -> Vec<Line<'a>> {
    let width = usize::from(area.width);
    let rows = usize::from(area.height.saturating_sub(1));
    let more = WIDE.iter().filter(|least| width >= **least).count();
    let columns = if more > 0 { more + 1 } else { 0 };
    let taken = columns * (COUNT + 1);
    let mut title = left(&format!("LISTENERS {}", model.listening), width.saturating_sub(taken));
    let titles: &[&str] = match columns {
        0 => &[],
        2 => &["NEW/S", "DROPS"],
        _ => &["NEW/S", "ACC/S", "DROPS"],
    };
    for column in titles {
        let _ = write!(title, " {}", right(column, COUNT));
    }
    let mut lines = vec![heading(title, area.width)];
    let address = width.saturating_sub(OWNER + QUEUE + BAR + 3 + taken);
    for gauge in model.listeners.iter().take(rows) {
        let listener = &gauge.listener;
        let owner = comm(listener);
        let queue = format!(
            "{}/{}",
            short(u64::from(listener.counters.recv_queue)),
            short(u64::from(listener.counters.send_queue))
        );
        let mut end = anywhere(listener, ends(listener, context).0);
        shorten_front(&mut end, address);
        let mut spans = vec![
            plain(left(&end, address)),
            plain(" "),
            plain(left(&owner, OWNER)),
            plain(" "),
            plain(right(&queue, QUEUE)),
            plain(" "),
            bar(gauge, more > 0, model.now_ns),
        ];
        if columns > 0 {
            let (new, drops) = (model.arrivals.of(listener), u64::from(listener.drops));
            spans.push(plain(format!(" {} ", right(&short(new), COUNT))));
            if columns > 2 {
                let accepted = model.arrivals.accepted_at(listener);
                spans.push(plain(format!("{} ", right(&short(accepted), COUNT))));
            }
            let style = if drops > 0 { style_of(colour::STUCK) } else { Modifier::DIM.into() };
            spans.push(Span::styled(right(&short(drops), COUNT), style));
        }
        lines.push(Line::from(spans));
    }
    lines
}

/// As in `ss`: `*` is the wildcard of both IPv6 and IPv4, and `[::]` is that of IPv6 alone.
fn anywhere(listener: &Connection, end: String) -> String {
    let port = end.strip_prefix("[::]:").filter(|_| !listener.is_v6_only());
    port.map(|port| format!("*:{port}")).unwrap_or(end)
}

/// How full the accept queue is. In its place how old the reading is, if it is not fresh; and unless drops have a
/// column, how many connections the listener has dropped.
fn bar<'a>(gauge: &Gauge, has_drops: bool, now_ns: u64) -> Span<'a> {
    if let Some(age_ns) = gauge.stale_ns(now_ns) {
        let seconds = (age_ns / 1_000_000_000).min(999);
        return dim(right(&format!("{seconds}s?"), BAR));
    }
    let full = fullness(&gauge.listener).min(1000);
    if gauge.listener.drops > 0 && !has_drops {
        let drops = format!("!{}", short(gauge.listener.drops.into()));
        return Span::styled(left(&drops, BAR), style_of(colour::STUCK));
    }
    let filled = usize::try_from((full * BAR as u64).div_ceil(1000)).unwrap_or_default();
    let style = if full >= 900 { style_of(colour::STUCK) } else { ratatui::style::Color::Cyan.into() };
    Span::styled(format!("{}{}", "█".repeat(filled), "·".repeat(BAR - filled)), style)
}

/// Ends of connections in the last minute by reason, each with the latest as an example.
pub(super) fn reasons<'a>(model: &Model, context: &Context, area: Rect) -> Vec<Line<'a>> {
    let width = usize::from(area.width);
    let rows = usize::from(area.height.saturating_sub(1));
    let mut lines =
        vec![heading(format!("{} LATEST", left("ENDED IN THE LAST MINUTE", REASON + COUNT)), area.width)];
    let most = model.series.ends.most();
    for (reason, count, end) in most.iter().take(rows) {
        let owner = comm(&end.connection);
        let style = style_of(colour::end(reason.is_orderly()));
        // If a peer is too long, its end is more useful than its beginning.
        let mut peer = ends(&end.connection, context).1;
        shorten_front(&mut peer, width.saturating_sub(REASON + COUNT + 2 + owner.width()));
        let example = format!(" {owner} {peer}");
        lines.push(Line::from(vec![
            Span::styled(left(reason.name(), REASON), style),
            plain(right(&short(*count), COUNT)),
            dim(left(&example, width.saturating_sub(REASON + COUNT))),
        ]));
    }
    if most.is_empty() {
        lines.push(Line::from(dim("none")));
    }
    lines
}
