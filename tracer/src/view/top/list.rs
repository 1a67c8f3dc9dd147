//! The visible part of the list, and its cursor.

use crate::{
    track::{Tracker, connection::Connection},
    view::{input::Input, top::sort::SortKey},
};

/// The list of connections.
#[derive(Debug, Default)]
pub struct List {
    /// The visible connections, in order.
    pub rows: Vec<Connection>,
    /// Number of connections, visible or not.
    pub total: usize,
    /// The index of the first visible row in the whole order.
    pub first: usize,
    /// The index of the selected connection in the whole order.
    pub cursor: usize,
    /// Number of rows that fit on the screen.
    pub height: usize,
    /// The cookie of the selected connection, so that it stays selected when the order changes.
    held: Option<u64>,
}

impl List {
    /// Sorts the visible connections. The others need no order.
    pub fn arrange(&mut self, mut order: Vec<(SortKey, &Connection)>, is_reversed: bool) {
        self.total = order.len();
        self.cursor = self.cursor.min(self.total.saturating_sub(1));
        self.scroll();
        let key = |entry: &(SortKey, &Connection)| (entry.0, entry.1.cookie);
        let compare = |a: &(SortKey, &Connection), b: &(SortKey, &Connection)| {
            let order = key(a).cmp(&key(b));
            if is_reversed { order.reverse() } else { order }
        };
        let end = (self.first + self.height).min(order.len());
        if end < order.len() {
            order.select_nth_unstable_by(end, compare);
            order.truncate(end);
        }
        order.sort_unstable_by(compare);
        self.rows = order.iter().skip(self.first).map(|(_, connection)| **connection).collect();
        if let Some(held) = self.held
            && let Some(row) = self.rows.iter().position(|row| row.cookie == held)
        {
            self.cursor = self.first + row;
        }
        // A cursor on the first row stays there, whichever connection that is.
        self.held = self.at_cursor().filter(|_| self.cursor > 0).map(|connection| connection.cookie);
    }

    /// Scrolls so that the cursor is visible.
    fn scroll(&mut self) {
        let last_first = self.total.saturating_sub(self.height);
        let lowest = (self.cursor + 1).saturating_sub(self.height);
        self.first = self.first.clamp(lowest, self.cursor.max(lowest)).min(last_first);
    }

    /// Updates the visible connections.
    pub fn refresh(&mut self, tracker: &Tracker) {
        for row in &mut self.rows {
            if let Some(connection) = tracker.get(row.cookie) {
                *row = *connection;
            }
        }
    }

    /// The selected connection, if it is visible.
    #[must_use]
    pub fn at_cursor(&self) -> Option<&Connection> {
        self.rows.get(self.cursor.checked_sub(self.first)?)
    }

    /// Moves the cursor to the first row.
    pub fn go_to_top(&mut self) {
        (self.cursor, self.held) = (0, None);
    }

    /// Handles keys that move the cursor.
    pub fn input(&mut self, input: Input) {
        self.cursor = match input {
            Input::Up | Input::Char('k') => self.cursor.saturating_sub(1),
            Input::Down | Input::Char('j') => self.cursor.saturating_add(1),
            Input::PageUp => self.cursor.saturating_sub(self.height),
            Input::PageDown => self.cursor.saturating_add(self.height),
            Input::Home | Input::Char('g') => 0,
            Input::End | Input::Char('G') => usize::MAX,
            _ => return,
        }
        .min(self.total.saturating_sub(1));
        self.held = None;
    }
}
