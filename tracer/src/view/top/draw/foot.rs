//! The last line: a message, or the keys.

use ratatui::{
    style::Modifier,
    text::{Line, Span},
};

use super::{DrawContext, bold, dim, style_of};
use crate::{
    facts::playback::Playback,
    tcp::colour,
    text::escape::escaped,
    view::top::model::{Middle, Model},
};

/// The most useful keys here, with what they do.
fn keys(model: &Model) -> Vec<(&'static str, String)> {
    let word = |word: &str| word.to_owned();
    if model.line.is_open() {
        return vec![("Enter", word("keep")), ("Esc", word("as before")), ("Ctrl-U", word("clear"))];
    }
    match model.middle {
        Middle::List if model.groups.shown().is_some() => vec![
            ("q", word("quit")),
            ("?", word("help")),
            ("/", word("filter")),
            ("b", word("by")),
            ("Enter", word("open")),
            ("c", word("commands")),
            ("e", word("explain")),
            ("Space", word(space(model))),
        ],
        Middle::List => vec![
            ("q", word("quit")),
            ("?", word("help")),
            ("/", word("filter")),
            ("b", word("by")),
            ("s", format!("sort: {}", model.sort.name())),
            ("e", word("explain")),
            ("Enter", word("story")),
            ("Space", word(space(model))),
            ("t", word("state")),
            ("p", word("process")),
        ],
        Middle::Story(_) => vec![("Esc", word("back")), ("Space", word(space(model))), ("q", word("quit"))],
        Middle::Explanation(_) => vec![("Esc", word("back")), ("arrows", word("move"))],
        Middle::Help => vec![("Esc", word("back"))],
    }
}

/// What Space does.
fn space(model: &Model) -> &'static str {
    match model.playback {
        Some(Playback::Paused) => "play  . step",
        Some(Playback::Ended) => "-",
        None if model.is_paused() => "go on",
        Some(Playback::Playing(_)) | None => "pause",
    }
}

/// The last line of the screen.
pub(super) fn line<'a>(model: &Model, around: &DrawContext<'_>, width: u16) -> Line<'a> {
    if let Some(message) = around.message {
        let text = crate::text::width::left(&escaped(message.as_bytes()), usize::from(width));
        return Line::from(Span::styled(text, style_of(colour::STUCK).add_modifier(Modifier::REVERSED)));
    }
    let keys = keys(model).into_iter().flat_map(|(key, what)| [bold(key), dim(format!(" {what}  "))]);
    Line::from(keys.collect::<Vec<_>>())
}
