//! What lines are about. Each subject has rows of its own and a table of columns; formats write all of them.

use crate::format::{
    columns::{COLUMNS, Column, DefaultIn},
    gathered::Gathered,
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

    /// Gathers the values of a column in at most [`Gathered::MOST_ROWS`] rows.
    fn gather<'a>(column: &Column<Self>, rows: &[Self::About<'a>], gathered: &mut Gathered<'a>) {
        gathered.gather(column.data_type, rows, |row| Self::value(column, row));
    }

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

/// How a column about connections gets its values out of rows.
#[derive(Clone, Copy)]
pub struct Getter {
    of_row: for<'a> fn(&Row<'a>) -> Value<'a>,
    of_rows: Option<OfRows>,
}

/// Gathers the values of several rows. A loop of the column's own takes a third less time than a call for each row.
type OfRows = for<'a> fn(&[Row<'a>], &mut Gathered<'a>);

impl Getter {
    /// Out of one row after the other, with this function.
    pub(in crate::format) const fn row_by_row(of_row: for<'a> fn(&Row<'a>) -> Value<'a>) -> Self {
        Self { of_row, of_rows: None }
    }

    /// Out of one row, or out of several at once.
    pub(in crate::format) const fn at_once(
        of_row: for<'a> fn(&Row<'a>) -> Value<'a>,
        of_rows: OfRows,
    ) -> Self {
        Self { of_row, of_rows: Some(of_rows) }
    }

    /// The value in a row.
    #[must_use]
    pub fn of<'a>(&self, row: &Row<'a>) -> Value<'a> {
        (self.of_row)(row)
    }
}

/// Connections, and what happens to them.
#[derive(Clone, Copy, Debug)]
pub struct Story;

impl Subject for Story {
    type About<'a> = Row<'a>;
    type ValueOf = Getter;

    fn value<'a>(column: &Column<Self>, row: &Self::About<'a>) -> Value<'a> {
        column.value.of(row)
    }

    fn gather<'a>(column: &Column<Self>, rows: &[Self::About<'a>], gathered: &mut Gathered<'a>) {
        match column.value.of_rows {
            Some(of_rows) => of_rows(rows, gathered),
            None => gathered.gather(column.data_type, rows, column.value.of_row),
        }
    }

    fn columns() -> &'static [Column<Self>] {
        COLUMNS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Others need none, and each makes the binary larger.
    #[test]
    fn columns_that_export_has_by_default_have_a_loop() {
        let outputs =
            [DefaultIn::LOG_DATA, DefaultIn::LIFE_DATA, DefaultIn::EVENT_DATA, DefaultIn::EXPORT_DATA];
        for column in COLUMNS {
            let is_default = outputs.into_iter().any(|output| column.default_in.includes(output));
            assert_eq!(column.value.of_rows.is_some(), is_default, "{}", column.key);
        }
    }
}
