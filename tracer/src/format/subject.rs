//! What lines are about. Each subject has rows of its own and a table of columns; formats write all of them.

use crate::format::{
    columns::{COLUMNS, Column, DefaultIn},
    row::Row,
    value::Value,
};

/// What the lines of an output are about.
pub trait Subject: Sized + 'static {
    /// The content of a line.
    type About<'a>;

    /// How a column gets its value out of a row.
    type ValueOf: Copy;

    /// The value of a column in a row.
    fn value<'a>(column: &Column<Self>, row: &Self::About<'a>) -> Value<'a>;

    /// All its columns, in display order.
    fn columns() -> &'static [Column<Self>];

    /// A column's title in the text of an output.
    fn title(column: &Column<Self>, _: DefaultIn) -> &'static str {
        column.title
    }

    /// Finds a column by its key.
    #[must_use]
    fn column(key: &str) -> Option<&'static Column<Self>> {
        Self::columns().iter().find(|column| column.key == key)
    }
}

/// Connections, and what happens to them.
#[derive(Clone, Copy, Debug)]
pub struct Story;

impl Subject for Story {
    type About<'a> = Row<'a>;
    type ValueOf = for<'a> fn(&Row<'a>) -> Value<'a>;

    fn value<'a>(column: &Column<Self>, row: &Self::About<'a>) -> Value<'a> {
        (column.value)(row)
    }

    fn columns() -> &'static [Column<Self>] {
        COLUMNS
    }
}
