//! The head of the screen: time and rate, states with counts and trends, and the typed filter.

use ratatui::{
    style::Modifier,
    text::{Line, Span},
};
use tracer_common::state as number;

use super::{DrawContext, bold, dim, plain, style_of};
use crate::{
    facts::playback::Playback,
    tcp::{colour, state::State},
    text::{
        duration::duration,
        escape::escaped,
        width::{bars_within, grouped, left, right, short},
    },
    view::top::model::Model,
};

/// Number of lines of the strip.
pub(super) const STRIP: u16 = 3;

/// The states in the strip. The rows are: connections that begin or are open; those that the peer, or both
/// sides, have closed; those that this host has closed first.
const CELLS: [[u8; 4]; STRIP as usize] = [
    [number::LISTEN, number::SYN_SENT, number::SYN_RECV, number::ESTABLISHED],
    [number::CLOSE_WAIT, number::LAST_ACK, number::CLOSING, 0],
    [number::FIN_WAIT1, number::FIN_WAIT2, number::TIME_WAIT, 0],
];

/// The title line: time, rate, connections and losses.
pub(super) fn title<'a>(model: &Model, around: &DrawContext<'_>) -> Line<'a> {
    let now = around.context.clock.wall(model.now_ns).to_zoned(around.zone.clone());
    let since = around.context.clock.since_start_ns(model.now_ns);
    let mut spans = vec![
        bold("tracer"),
        plain(format!(" {} ", now.strftime("%H:%M:%S"))),
        dim(format!("for {}  ", duration(u64::try_from(since).unwrap_or_default()))),
        bold(grouped(model.series.rate)),
        plain(" transitions/s  "),
        bold(grouped(model.list.cursor.total as u64)),
        plain(" connections  "),
    ];
    spans.push(match around.lost {
        Some(0) => dim("lost 0"),
        Some(lost) => Span::styled(format!("LOST {}", grouped(lost)), style_of(colour::STUCK)),
        None => Span::styled("lost: unknown", style_of(colour::STUCK)),
    });
    let told = match model.playback {
        Some(Playback::Ended) => Some(" END ".to_owned()),
        Some(Playback::Paused) => Some(" PAUSED ".to_owned()),
        Some(Playback::Playing(speed)) => Some(format!(" {speed}x ")),
        None => model.is_paused().then(|| " PAUSED ".to_owned()),
    };
    spans.extend(told.map(|told| Span::styled(told, Modifier::REVERSED)));
    Line::from(spans)
}

/// The counts of states, each with its trend over as many seconds as fit.
pub(super) fn strip<'a>(model: &Model, width: u16) -> Vec<Line<'a>> {
    let cell = usize::from(width) / CELLS[0].len();
    let trend = cell.saturating_sub(11 + 1 + 4 + 2).min(60);
    CELLS
        .iter()
        .map(|states| {
            let cells = states.iter().filter(|state| **state != 0).flat_map(|state| {
                let index = usize::from(*state);
                let state = State::from_kernel(*state);
                let count = model.now[index];
                let style = if count == 0 { Modifier::DIM.into() } else { style_of(colour::of(state)) };
                let trend_bars = bars_within(model.series.trend.of(index), trend);
                [
                    Span::styled(left(&state.to_string(), 11), style),
                    Span::styled(right(&short(count), 5), style.add_modifier(Modifier::BOLD)),
                    plain(" "),
                    Span::styled(right(&trend_bars, trend), style_of(colour::of(state))),
                    plain(" "),
                ]
            });
            Line::from(cells.collect::<Vec<_>>())
        })
        .collect()
}

/// The typed filter, if there is one.
pub(super) fn notes<'a>(model: &Model, width: u16) -> Option<Line<'a>> {
    has_filter(model).then(|| filter(model, usize::from(width)))
}

/// Whether there is a typed filter, or one is being typed.
pub(super) fn has_filter(model: &Model) -> bool {
    model.line.is_open() || !model.line.text.is_empty()
}

fn filter<'a>(model: &Model, width: usize) -> Line<'a> {
    let line = &model.line;
    let mut text = escaped(line.text.as_bytes());
    crate::text::width::shorten_front(&mut text, width / 2);
    let mut spans = vec![bold("filter: "), plain(text)];
    if line.is_open() {
        spans.push(Span::styled(" ", Modifier::REVERSED));
    }
    match &line.error {
        Some(error) => {
            spans.push(Span::styled(format!("  {}", escaped(error.as_bytes())), style_of(colour::STUCK)));
        }
        None if line.is_open() => {
            spans.push(dim("  such as port=443 comm=nginx state=CLOSE_WAIT addr=10.0.0.0/8"));
        }
        None => spans.push(dim("  (Esc shows all)")),
    }
    Line::from(spans)
}
