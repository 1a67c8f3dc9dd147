//! Colours of states and ends, the same in all views.

use anstyle::{AnsiColor, Style};
use tracer_common::state as number;

use crate::tcp::state::State;

/// A stuck connection.
pub const STUCK: Style = AnsiColor::Red.on_default().bold();

/// The colour of a state. Green: established. Cyan: listening. Yellow: opening. Magenta: closing. Red: the
/// local process has not closed yet. Dim: closed.
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

/// The colour of a reason: yellow if the connection did not close in order.
#[must_use]
pub const fn end(is_orderly: bool) -> Style {
    if is_orderly { Style::new() } else { AnsiColor::Yellow.on_default() }
}
