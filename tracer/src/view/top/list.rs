//! The part of the list that is in view, and the cursor in it.

use crate::{
    track::{Tracker, connection::Connection},
    view::{input::Input, top::sort::SortKey},
};

/// The list.
#[derive(Debug, Default)]
pub struct List {
    /// The connections in view, in order.
    pub rows: Vec<Connection>,
    /// How many there are, in view or not.
    pub total: usize,
    /// The place in the order of the first of `rows`.
    pub first: usize,
    /// The place in the order of the one that keys act on.
    pub cursor: usize,
    /// How many rows there is room for.
    pub height: usize,
    /// The cookie of the one that keys act on: it stays the same when the order changes by itself.
    held: Option<u64>,
}

impl List {
    /// Puts those in view into order; the others need none.
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
        // Who has not moved looks at what comes first.
        self.held = self.at_cursor().filter(|_| self.cursor > 0).map(|connection| connection.cookie);
    }

    /// Keeps the cursor in view.
    fn scroll(&mut self) {
        let last_first = self.total.saturating_sub(self.height);
        let lowest = (self.cursor + 1).saturating_sub(self.height);
        self.first = self.first.clamp(lowest, self.cursor.max(lowest)).min(last_first);
    }

    /// Brings those in view up to date.
    pub fn refresh(&mut self, tracker: &Tracker) {
        for row in &mut self.rows {
            if let Some(connection) = tracker.get(row.cookie) {
                *row = *connection;
            }
        }
    }

    /// The connection that keys act on, if it is in view already.
    #[must_use]
    pub fn at_cursor(&self) -> Option<&Connection> {
        self.rows.get(self.cursor.checked_sub(self.first)?)
    }

    /// Back to the first.
    pub fn go_to_top(&mut self) {
        (self.cursor, self.held) = (0, None);
    }

    /// Takes a key that moves.
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
