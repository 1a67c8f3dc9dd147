//! The visible part of the list of connections.

use crate::{
    track::{Tracker, connection::Connection},
    view::{
        input::Input,
        top::{cursor::Cursor, sort::SortKey},
    },
};

/// The list of connections.
#[derive(Debug, Default)]
pub struct List {
    /// The visible connections, in order.
    pub rows: Vec<Connection>,
    /// Where the cursor is.
    pub cursor: Cursor,
    /// The cookie of the selected connection, so that it stays selected when the order changes.
    held: Option<u64>,
}

impl List {
    /// Sorts the visible connections. The others need no order.
    pub fn arrange(&mut self, mut order: Vec<(SortKey, &Connection)>, is_reversed: bool) {
        self.cursor.set_total(order.len());
        let key = |entry: &(SortKey, &Connection)| (entry.0, entry.1.cookie);
        let compare = |a: &(SortKey, &Connection), b: &(SortKey, &Connection)| {
            let order = key(a).cmp(&key(b));
            if is_reversed { order.reverse() } else { order }
        };
        let visible = self.cursor.visible();
        if visible.end < order.len() {
            order.select_nth_unstable_by(visible.end, compare);
            order.truncate(visible.end);
        }
        order.sort_unstable_by(compare);
        self.rows = order.iter().skip(visible.start).map(|(_, connection)| **connection).collect();
        if let Some(held) = self.held
            && let Some(row) = self.rows.iter().position(|row| row.cookie == held)
        {
            self.cursor.at = visible.start + row;
        }
        // A cursor on the first row stays there, whichever connection that is.
        self.held = self.at_cursor().filter(|_| self.cursor.at > 0).map(|connection| connection.cookie);
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
        self.rows.get(self.cursor.at.checked_sub(self.cursor.first)?)
    }

    /// Moves the cursor to the first row.
    pub fn go_to_top(&mut self) {
        (self.cursor.at, self.held) = (0, None);
    }

    /// Handles keys that move the cursor.
    pub fn input(&mut self, input: Input) {
        if self.cursor.input(input) {
            self.held = None;
        }
    }
}
