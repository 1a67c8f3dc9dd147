//! Comma-separated values, RFC 4180, with the keys as header.

use std::fmt::Write as _;

use bytes::{BufMut as _, BytesMut};

use crate::{
    escape::push_escaped,
    fields::Value,
    format::{Columns, Format},
    transition::Transition,
};

/// Writes CSV.
pub struct Csv {
    columns: Columns,
    cell: String,
}

impl Csv {
    /// With these columns.
    #[must_use]
    pub fn new(columns: Columns) -> Self {
        Self { columns, cell: String::new() }
    }
}

impl Format for Csv {
    fn begin(&mut self, out: &mut BytesMut) {
        let mut writer = csv::Writer::from_writer(out.writer());
        // Memory does not refuse bytes.
        let _ = writer.write_record(self.columns.iter().map(|field| field.key));
    }

    fn line(&mut self, transition: &Transition<'_>, out: &mut BytesMut) {
        let mut writer = csv::Writer::from_writer(out.writer());
        for field in &self.columns {
            self.cell.clear();
            push_cell(&mut self.cell, &(field.value)(transition));
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
        Value::Word(word) => write!(cell, "{word}"),
        Value::Text(bytes) => {
            push_escaped(cell, bytes);
            Ok(())
        }
        Value::Time(time, _) => write!(cell, "{time:.9}"),
        Value::State(state) => write!(cell, "{state}"),
        Value::Addr(addr) => write!(cell, "{addr}"),
        Value::End(end) => write!(cell, "{end}"),
    };
}
