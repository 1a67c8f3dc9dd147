//! Comma-separated values, RFC 4180, with the keys as header.

use std::fmt::Write as _;

use bytes::{BufMut as _, BytesMut};

use crate::{
    escape::push_escaped,
    fields::Value,
    format::{Column, Format, micros},
    row::Row,
};

/// Writes CSV.
pub struct Csv {
    columns: Vec<Column>,
    cell: String,
}

impl Csv {
    /// With these columns.
    #[must_use]
    pub fn new(columns: Vec<Column>) -> Self {
        Self { columns, cell: String::new() }
    }
}

impl Format for Csv {
    fn begin(&mut self, out: &mut BytesMut) {
        let mut writer = csv::Writer::from_writer(out.writer());
        // Memory does not refuse bytes.
        let _ = writer.write_record(self.columns.iter().map(|column| column.field.key));
    }

    fn line(&mut self, row: &Row<'_>, out: &mut BytesMut) {
        let mut writer = csv::Writer::from_writer(out.writer());
        for column in &self.columns {
            self.cell.clear();
            push_cell(&mut self.cell, &column.value(row));
            let _ = writer.write_field(&self.cell);
        }
        let _ = writer.write_record(None::<&[u8]>);
        let _ = writer.flush();
    }
}

/// A value without quotes; an absent one is empty. Text from outside is escaped, so that a line
/// stays a line for tools that do not read quotes.
fn push_cell(cell: &mut String, value: &Value<'_>) {
    // Writing into a String cannot fail.
    let _ = match value {
        Value::Null => Ok(()),
        Value::Uint(number) => write!(cell, "{number}"),
        Value::Bool(truth) => write!(cell, "{truth}"),
        Value::Lasted(ns) | Value::LastedAbout(ns, _) => write!(cell, "{}", micros(*ns)),
        Value::Lived(states) => states.iter().enumerate().try_for_each(|(index, (state, ns))| {
            let blank = if index == 0 { "" } else { " " };
            write!(cell, "{blank}{state}={}", micros(*ns))
        }),
        Value::Word(word) => write!(cell, "{word}"),
        Value::Text(bytes) => {
            push_escaped(cell, bytes);
            Ok(())
        }
        Value::Time(time, _) => write!(cell, "{time:.9}"),
        Value::State(state) | Value::Became(state, _) => write!(cell, "{state}"),
        Value::Addr(addr) => write!(cell, "{addr}"),
        Value::End(end) => write!(cell, "{end}"),
    };
}
