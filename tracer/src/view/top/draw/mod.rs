//! The screen.
//!
//! # Layout
//! A file for each part, from top to bottom: `head`, `panels`, `list`, `foot`. In place of the list: `story` for
//! one connection, `help` for the keys.

mod foot;
mod head;
mod help;
mod list;
mod panels;
mod story;

use anstyle::{AnsiColor, Color as AnsiAny, Effects, Style as AnsiStyle};
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span},
};

use crate::{
    facts::names::Names,
    time::clock::Clock,
    view::top::model::{Middle, Model},
};

/// What is drawn beside the model.
pub struct DrawContext<'a> {
    /// To translate times with.
    pub clock: &'a Clock,
    /// Of the times of day.
    pub zone: &'a jiff::tz::TimeZone,
    /// Events lost so far; `None` if that cannot be read.
    pub lost: Option<u64>,
    /// What was said last, and could not be written to the screen.
    pub message: Option<&'a str>,
    /// To look names up.
    pub names: &'a mut dyn Names,
    /// With colours.
    pub colour: bool,
}

/// Lines of the panels below the list at most, their titles included.
const PANELS: usize = 7;

/// Draws everything. The model learns how many rows there is room for.
pub fn draw(frame: &mut Frame<'_>, model: &mut Model, around: &mut DrawContext<'_>) {
    let [title, strip, notes, middle, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(head::STRIP),
        Constraint::Length(1 + u16::from(head::has_filter(model))),
        Constraint::Min(0),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    put(frame, title, [head::title(model, around)]);
    put(frame, strip, head::strip(model, strip.width));
    put(frame, notes, head::notes(model, notes.width));
    match &model.middle {
        Middle::List => {
            // Whoever has few lines wants connections.
            let filled = model.listeners.len().max(model.series.ends.most().len()).max(1) + 1;
            let panels = filled.min(PANELS).min(usize::from(middle.height) / 2);
            let panels = u16::try_from(panels).unwrap_or_default();
            let [rows, below] =
                Layout::vertical([Constraint::Min(0), Constraint::Length(panels)]).areas(middle);
            model.list.height = usize::from(rows.height.saturating_sub(1));
            put(frame, rows, list::lines(model, around.clock, rows.width));
            let [listeners, ends] =
                Layout::horizontal([Constraint::Percentage(48), Constraint::Percentage(52)])
                    .spacing(1)
                    .areas(below);
            put(frame, listeners, panels::listeners(model, listeners));
            put(frame, ends, panels::ends(model, ends));
        }
        Middle::Story(detail) => put(frame, middle, story::lines(detail, model, around, middle.width)),
        Middle::Help => put(frame, middle, help::lines(model)),
    }
    put(frame, foot, [foot::line(model, around, foot.width)]);
    if !around.colour {
        for cell in &mut frame.buffer_mut().content {
            cell.fg = Color::Reset;
            cell.bg = Color::Reset;
        }
    }
}

/// Writes lines, as many as there is room for.
fn put<'a>(frame: &mut Frame<'_>, area: Rect, lines: impl IntoIterator<Item = Line<'a>>) {
    let buffer = frame.buffer_mut();
    for (y, line) in (area.y..area.bottom()).zip(lines) {
        buffer.set_line(area.x, y, &line, area.width);
    }
}

/// Plain text.
fn plain<'a>(text: impl Into<String>) -> Span<'a> {
    Span::raw(text.into())
}

/// Bold text.
fn bold<'a>(text: impl Into<String>) -> Span<'a> {
    Span::styled(text.into(), Modifier::BOLD)
}

/// Faint text.
fn dim<'a>(text: impl Into<String>) -> Span<'a> {
    Span::styled(text.into(), Modifier::DIM)
}

/// A part's title.
fn heading<'a>(text: impl Into<String>, width: u16) -> Line<'a> {
    let text = crate::text::width::left(&text.into(), usize::from(width));
    Line::from(Span::styled(text, Modifier::BOLD | Modifier::UNDERLINED))
}

/// The colours that lines have too.
fn look(style: AnsiStyle) -> Style {
    let mut looks = Style::new();
    if let Some(AnsiAny::Ansi(colour)) = style.get_fg_color() {
        looks = looks.fg(match colour {
            AnsiColor::Red => Color::Red,
            AnsiColor::Green => Color::Green,
            AnsiColor::Yellow => Color::Yellow,
            AnsiColor::Blue => Color::Blue,
            AnsiColor::Magenta => Color::Magenta,
            AnsiColor::Cyan => Color::Cyan,
            _ => Color::Reset,
        });
    }
    for (effect, modifier) in [(Effects::BOLD, Modifier::BOLD), (Effects::DIMMED, Modifier::DIM)] {
        if style.get_effects().contains(effect) {
            looks = looks.add_modifier(modifier);
        }
    }
    looks
}
