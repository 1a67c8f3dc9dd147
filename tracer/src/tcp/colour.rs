//! Colours that mean the same wherever they are shown.

use anstyle::{AnsiColor, Style};
use tracer_common::state as number;

use crate::tcp::state::State;

/// What is stuck.
pub const STUCK: Style = AnsiColor::Red.on_default().bold();

/// Green lives, yellow comes, magenta goes, red waits for the local process, dim is over.
#[must_use]
pub const fn of(state: State) -> Style {
    match state.number() {
        number::ESTABLISHED => AnsiColor::Green.on_default(),
        number::LISTEN => AnsiColor::Cyan.on_default(),
        number::SYN_SENT | number::SYN_RECV | number::NEW_SYN_RECV => AnsiColor::Yellow.on_default(),
        number::CLOSE_WAIT => AnsiColor::Red.on_default(),
        number::CLOSE | number::TIME_WAIT => Style::new().dimmed(),
        _ => AnsiColor::Magenta.on_default(),
    }
}

/// An end, in order or not.
#[must_use]
pub const fn end(is_orderly: bool) -> Style {
    if is_orderly { Style::new() } else { AnsiColor::Yellow.on_default() }
}
