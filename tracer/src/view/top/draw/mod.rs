//! Draws the screen.
//!
//! # Layout
//! Each part has its own file, from top to bottom: `head`, `findings`, `list` or `groups`, `panels`, `foot`. In place of the list, `story`
//! shows one connection and `help` the keys.

mod findings;
mod foot;
mod groups;
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
    facts::{context::Context, names::Names},
    view::top::model::{Middle, Model},
};

/// What drawing needs besides the model.
pub struct DrawContext<'a> {
    /// What is known about the host.
    pub context: &'a Context,
    /// The time zone of times of day.
    pub zone: &'a jiff::tz::TimeZone,
    /// Events lost so far; `None` if that cannot be read.
    pub lost: Option<u64>,
    /// The last message, which could not be written to standard error while the screen is in use.
    pub message: Option<&'a str>,
    /// Looks up names.
    pub names: &'a mut dyn Names,
    /// Use colours.
    pub colour: bool,
}

/// Maximum number of lines of the panels below the list, with their titles.
const PANELS: usize = 7;

/// Draws the whole screen, and tells the model how many rows fit.
pub fn draw(frame: &mut Frame<'_>, model: &mut Model, around: &mut DrawContext<'_>) {
    let [title, strip, found, notes, middle, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(head::STRIP),
        Constraint::Length(findings::height(model, frame.area().height)),
        Constraint::Length(u16::from(head::has_filter(model))),
        Constraint::Min(0),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    put(frame, title, [head::title(model, around)]);
    put(frame, strip, head::strip(model, strip.width));
    put(frame, found, findings::lines(model, found));
    put(frame, notes, head::notes(model, notes.width));
    match &model.middle {
        Middle::List => {
            // On a small screen the list matters more, so the panels take at most half.
            let filled = model.listeners.len().max(model.series.ends.most().len()).max(1) + 1;
            let panels = filled.min(PANELS).min(usize::from(middle.height) / 2);
            let panels = u16::try_from(panels).unwrap_or_default();
            let [rows, below] =
                Layout::vertical([Constraint::Min(0), Constraint::Length(panels)]).areas(middle);
            model.list.cursor.height = usize::from(rows.height.saturating_sub(1));
            model.groups.cursor.height = model.list.cursor.height;
            if model.groups.shown().is_some() {
                put(frame, rows, groups::lines(model, around, rows.width));
            } else {
                put(frame, rows, list::lines(model, around.context, rows.width));
            }
            let [listeners, ends] =
                Layout::horizontal([Constraint::Percentage(48), Constraint::Percentage(52)])
                    .spacing(1)
                    .areas(below);
            put(frame, listeners, panels::listeners(model, around.context, listeners));
            put(frame, ends, panels::reasons(model, around.context, ends));
        }
        Middle::Story(detail) => put(frame, middle, story::lines(detail, model, around, middle.width)),
        Middle::Explanation(explanation) => {
            let lines: Vec<_> = explanation.lines().map(|line| Line::from(line.to_owned())).collect();
            put(frame, middle, lines);
        }
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

/// Writes as many lines as fit.
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

/// Dim text.
fn dim<'a>(text: impl Into<String>) -> Span<'a> {
    Span::styled(text.into(), Modifier::DIM)
}

/// The title of a part.
fn heading<'a>(text: impl Into<String>, width: u16) -> Line<'a> {
    let text = crate::text::width::left(&text.into(), usize::from(width));
    Line::from(Span::styled(text, Modifier::BOLD | Modifier::UNDERLINED))
}

/// Converts a style of text output, so that both use the same colours.
fn style_of(style: AnsiStyle) -> Style {
    let mut converted = Style::new();
    if let Some(AnsiAny::Ansi(colour)) = style.get_fg_color() {
        converted = converted.fg(match colour {
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
            converted = converted.add_modifier(modifier);
        }
    }
    converted
}
