//! The values of a column in several rows, for formats that write column by column.

use crate::format::value::{DataType, Value};

/// The values of a column in some rows, one after the other, without those that are null. It serves one column after the other.
pub struct Gathered<'a> {
    rows: usize,
    /// A bit for each row, the first in the lowest: whether it has a value.
    present: u64,
    numbers: [u64; Gathered::MOST_ROWS],
    texts: [Value<'a>; Gathered::MOST_ROWS],
}

impl Default for Gathered<'_> {
    fn default() -> Self {
        Self { rows: 0, present: 0, numbers: [0; Self::MOST_ROWS], texts: [Value::Null; Self::MOST_ROWS] }
    }
}

impl<'a> Gathered<'a> {
    /// How many rows they can be of: so many stay in the processor's smallest cache.
    pub const MOST_ROWS: usize = 32;

    /// Gathers those of a column of this type, in at most [`Self::MOST_ROWS`] rows.
    pub fn gather<R>(&mut self, data_type: DataType, rows: &[R], of_row: impl Fn(&R) -> Value<'a>) {
        match data_type {
            DataType::Boolean | DataType::UInt64 | DataType::Float64 | DataType::Timestamp => {
                self.gather_numbers(rows, of_row);
            }
            DataType::Utf8 | DataType::Map | DataType::List => self.gather_texts(rows, of_row),
        }
    }

    /// Gathers those of a column of numbers, durations, times or truths.
    #[inline]
    pub fn gather_numbers<R>(&mut self, rows: &[R], of_row: impl Fn(&R) -> Value<'a>) {
        let numbers = rows.iter().map(|row| match of_row(row) {
            Value::Uint(number) | Value::Duration(number) | Value::DurationAbout(number, _) => Some(number),
            Value::Time(wall_ns, _) => Some(wall_ns.cast_unsigned()),
            Value::Bool(truth) => Some(truth.into()),
            // A bound is not the value, and columns of numbers have no others.
            _ => None,
        });
        self.present = gather(&mut self.numbers, numbers);
        self.rows = rows.len();
    }

    /// Gathers those of a column of texts.
    #[inline]
    pub fn gather_texts<R>(&mut self, rows: &[R], of_row: impl Fn(&R) -> Value<'a>) {
        let texts = rows.iter().map(|row| match of_row(row) {
            Value::Null | Value::NullAs(_) | Value::NameOf(_, None) => None,
            text => Some(text),
        });
        self.present = gather(&mut self.texts, texts);
        self.rows = rows.len();
    }

    /// Notes that no row has one.
    pub fn gather_nulls(&mut self, rows: usize) {
        (self.present, self.rows) = (0, rows);
    }

    /// How many rows they are of.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// A bit for each row, the first in the lowest: whether it has a value.
    #[must_use]
    pub fn present(&self) -> u64 {
        self.present
    }

    /// The values, of a column of numbers: durations and times in nanoseconds, 1 for true.
    #[must_use]
    pub fn numbers(&self) -> &[u64] {
        &self.numbers[..self.count()]
    }

    /// The values, of a column of texts.
    #[must_use]
    pub fn texts(&self) -> &[Value<'a>] {
        &self.texts[..self.count()]
    }

    fn count(&self) -> usize {
        self.present.count_ones() as usize
    }
}

/// Puts values next to each other, and returns which rows have one.
#[inline]
fn gather<T>(gathered: &mut [T; Gathered::MOST_ROWS], values: impl Iterator<Item = Option<T>>) -> u64 {
    let (mut present, mut count) = (0, 0);
    for (row, value) in values.take(Gathered::MOST_ROWS).enumerate() {
        if let Some(value) = value {
            gathered[count] = value;
            count += 1;
            present |= 1 << row;
        }
    }
    present
}
