//! The panels below the list: listeners with their accept queues, and ends of connections.

use ratatui::{
    layout::Rect,
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
        counts::fullness,
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
/// Widths of a reason, the longest being `reset-remote-after-fin`, and of its count.
const REASON: usize = 22;
const COUNT: usize = 6;

/// The listeners with the fullest accept queues.
pub(super) fn listeners<'a>(model: &Model, context: &Context, area: Rect) -> Vec<Line<'a>> {
    let width = usize::from(area.width);
    let rows = usize::from(area.height.saturating_sub(1));
    let mut lines = vec![heading(format!("LISTENERS {}", model.listening), area.width)];
    let address = width.saturating_sub(OWNER + QUEUE + BAR + 3);
    for listener in model.listeners.iter().take(rows) {
        let owner = comm(listener);
        let queue = format!(
            "{}/{}",
            short(u64::from(listener.counters.recv_queue)),
            short(u64::from(listener.counters.send_queue))
        );
        let mut end = anywhere(ends(listener, context).0);
        shorten_front(&mut end, address);
        lines.push(Line::from(vec![
            plain(left(&end, address)),
            plain(" "),
            plain(left(&owner, OWNER)),
            plain(" "),
            plain(right(&queue, QUEUE)),
            plain(" "),
            bar(listener),
        ]));
    }
    lines
}

/// `ss` also writes `*` for an unbound address.
fn anywhere(end: String) -> String {
    let port = end.strip_prefix("0.0.0.0:").or_else(|| end.strip_prefix("[::]:"));
    port.map(|port| format!("*:{port}")).unwrap_or(end)
}

fn bar<'a>(listener: &Connection) -> Span<'a> {
    let full = fullness(listener).min(1000);
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
