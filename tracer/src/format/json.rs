//! One JSON object per line.

use std::io;

use bytes::{BufMut as _, BytesMut};
use serde::{Serialize, Serializer, ser::SerializeMap as _};
use serde_json::ser::{CompactFormatter, Formatter};

use crate::{
    escape::is_hostile,
    fields::Value,
    format::{Column, Format, micros},
    row::Row,
};

/// Writes JSON.
pub struct Json {
    columns: Vec<Column>,
}

impl Json {
    /// With these columns as keys.
    #[must_use]
    pub fn new(columns: Vec<Column>) -> Self {
        Self { columns }
    }
}

impl Format for Json {
    fn begin(&mut self, _: &mut BytesMut) {}

    fn line(&mut self, row: &Row<'_>, out: &mut BytesMut) {
        let mut serializer = serde_json::Serializer::with_formatter((&mut *out).writer(), Safe);
        // Memory does not refuse bytes, and values are plain.
        let _ = Line { columns: &self.columns, row }.serialize(&mut serializer);
        out.put_u8(b'\n');
    }
}

struct Line<'a> {
    columns: &'a [Column],
    row: &'a Row<'a>,
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.columns.len()))?;
        for column in self.columns {
            map.serialize_entry(column.field.key, &column.value(self.row))?;
        }
        map.end()
    }
}

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_none(),
            Self::Uint(number) => serializer.serialize_u64(*number),
            Self::Bool(truth) => serializer.serialize_bool(*truth),
            Self::Lasted(ns) | Self::LastedAbout(ns, _) => serializer.serialize_f64(micros(*ns)),
            Self::Lived(states) => {
                serializer.collect_map(states.iter().map(|(state, ns)| (state, micros(*ns))))
            }
            Self::Word(word) => serializer.serialize_str(word),
            Self::Text(bytes) => serializer.serialize_str(&String::from_utf8_lossy(bytes)),
            Self::Time(time, _) => serializer.collect_str(&format_args!("{time:.9}")),
            Self::State(state) | Self::Became(state, _) => serializer.collect_str(state),
            Self::Addr(addr) => serializer.collect_str(addr),
            Self::End(end) => serializer.collect_str(end),
        }
    }
}

/// Escapes, beside what JSON demands, what a terminal would obey: JSON is looked at too.
struct Safe;

impl Formatter for Safe {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(is_hostile) {
            CompactFormatter.write_string_fragment(writer, &rest[..at])?;
            let mut chars = rest[at..].chars();
            if let Some(c) = chars.next() {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
            rest = chars.as_str();
        }
        CompactFormatter.write_string_fragment(writer, rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::Cow;

    fn json(value: &Value<'_>) -> String {
        let mut out = Vec::new();
        value.serialize(&mut serde_json::Serializer::with_formatter(&mut out, Safe)).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn text(bytes: &[u8]) -> Value<'_> {
        Value::Text(Cow::Borrowed(bytes))
    }

    #[test]
    fn hostile_text_stays_data() {
        let name = "\x1b[2J\"\\\n\u{7f}\u{9b}\u{202e},x";
        let written = json(&text(name.as_bytes()));
        assert!(written.chars().all(|c| !is_hostile(c)), "{written}");
        assert_eq!(serde_json::from_str::<String>(&written).unwrap(), name);
    }

    #[test]
    fn bytes_that_are_no_text_do_not_break_it() {
        assert_eq!(json(&text(b"a\xff")), "\"a\u{fffd}\"");
    }

    #[test]
    fn times_have_nanoseconds() {
        let time = jiff::Timestamp::new(1_700_000_000, 5).unwrap();
        assert_eq!(json(&Value::Time(time, 0)), "\"2023-11-14T22:13:20.000000005Z\"");
    }
}
