//! `list`: a line for each socket that is there now.
//!
//! # Layout
//! - here: tables of sockets; [`groups`]: how many there are of each; `change`: what has changed since the last list
//!
//! It takes a list, not transitions, so it is no [`View`](crate::view::View).

mod change;
pub mod groups;

use crate::{
    facts::{
        context::Context,
        listing::{Listing, Protocol},
    },
    format::{Kind, Plan, columns::Column, row::Row},
    view::list::{
        change::Changes,
        groups::{GroupBy, ListedGroups},
    },
};

/// A table of sockets of some kinds.
pub struct SocketTable {
    /// The kinds.
    pub protocols: Vec<Protocol>,
    /// Its columns, and how they are written.
    pub plan: Plan,
}

impl SocketTable {
    /// Its columns.
    #[must_use]
    pub fn columns(&self) -> Vec<&'static Column> {
        self.plan.shown()
    }
}

/// What is shown, and how.
pub struct ListOptions {
    /// A table for some kinds of sockets each.
    pub tables: Vec<SocketTable>,
    /// Whether tables have a header.
    pub has_header: bool,
    /// The column to sort by.
    pub sort: Option<&'static Column>,
    /// What to count by, instead of a line for each socket.
    pub by: Option<GroupBy>,
    /// The format.
    pub kind: Kind,
    /// Whether there is more than one list.
    pub repeats: bool,
    /// Use colours.
    pub colour: bool,
}

/// The view.
pub struct ListView {
    options: ListOptions,
    changes: Changes,
    is_begun: bool,
}

impl ListView {
    /// Nothing is shown yet.
    #[must_use]
    pub fn new(options: ListOptions) -> Self {
        Self { options, changes: Changes::default(), is_begun: false }
    }

    /// Appends what was found at `now_ns`.
    pub fn show(&mut self, listing: &mut Listing, context: &Context, out: &mut Vec<u8>) {
        let now_ns = listing.at.monotonic_ns;
        let is_first = !self.is_begun;
        self.is_begun = true;
        // CSV has one header, and no empty lines.
        let is_headed = self.options.has_header && (is_first || self.options.kind == Kind::Text);
        let is_apart = !is_first && self.options.kind == Kind::Text;
        if is_apart {
            out.push(b'\n');
        }
        if self.options.repeats {
            self.changes.mark(&mut listing.sockets);
        }
        if let Some(by) = self.options.by {
            let rows = listing.sockets.iter().map(|socket| Row::listed(socket, now_ns, context));
            ListedGroups::count(by, rows).write(self.options.kind, is_headed, out);
            return;
        }
        for (index, table) in self.options.tables.iter().enumerate() {
            if index > 0 {
                out.push(b'\n');
            }
            let sockets = listing.sockets.iter().filter(|socket| table.protocols.contains(&socket.protocol));
            let mut sockets: Vec<_> = sockets.collect();
            let row = |socket| Row::listed(socket, now_ns, context);
            if let Some(column) = self.options.sort {
                sockets.sort_by_cached_key(|socket| column.value.of(&row(socket)).sort_key());
            }
            write(table, is_headed, &|| sockets.iter().copied().map(row), out);
        }
    }
}

/// A row is several times larger than its socket, so it is made again rather than kept.
fn write<'a, Rows: Iterator<Item = Row<'a>>>(
    table: &SocketTable,
    has_header: bool,
    rows: &dyn Fn() -> Rows,
    out: &mut Vec<u8>,
) {
    let mut format = table.plan.format(&[]);
    for row in rows() {
        format.fit(&row);
    }
    if has_header {
        format.begin(out);
    }
    for row in rows() {
        format.line(&row, out);
    }
    format.end(out);
}
