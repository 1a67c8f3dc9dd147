//! A cursor in rows of which the screen shows some.

use crate::view::input::Input;

/// The cursor, and which rows are visible.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cursor {
    /// Number of rows, visible or not.
    pub total: usize,
    /// The index of the first visible row.
    pub first: usize,
    /// The index of the selected row.
    pub at: usize,
    /// Number of rows that fit on the screen.
    pub height: usize,
}

impl Cursor {
    /// Sets the number of rows, and scrolls so that the selected one is visible.
    pub fn set_total(&mut self, total: usize) {
        self.total = total;
        self.at = self.at.min(total.saturating_sub(1));
        let last_first = total.saturating_sub(self.height);
        let lowest = (self.at + 1).saturating_sub(self.height);
        self.first = self.first.clamp(lowest, self.at.max(lowest)).min(last_first);
    }

    /// The visible rows, as indexes.
    #[must_use]
    pub fn visible(&self) -> std::ops::Range<usize> {
        self.first..(self.first + self.height).min(self.total)
    }

    /// Handles keys that move the cursor. Returns whether the key is one of them.
    pub fn input(&mut self, input: Input) -> bool {
        self.at = match input {
            Input::Up | Input::Char('k') => self.at.saturating_sub(1),
            Input::Down | Input::Char('j') => self.at.saturating_add(1),
            Input::PageUp => self.at.saturating_sub(self.height),
            Input::PageDown => self.at.saturating_add(self.height),
            Input::Home | Input::Char('g') => 0,
            Input::End | Input::Char('G') => usize::MAX,
            _ => return false,
        }
        .min(self.total.saturating_sub(1));
        true
    }
}
