//! One JSON object per line.

use std::io;

use serde::Serialize as _;
use serde_json::ser::{CompactFormatter, Formatter};
use tracer_common::event::COMM_LEN;

use crate::{
    format::{
        Format, ShownColumn, push_device, push_endpoint, push_errno, push_reset, push_state,
        subject::{Story, Subject},
        value::{DataType, MOST_HOLDERS_IN_JSON, Value},
    },
    text::{
        escape::{exact, is_hostile, name, plain_len},
        line::{Line, ROOM},
        number::{push_addr, push_micros, push_uint},
        second::Seconds,
    },
};

/// Writes JSON.
pub struct Json<S: Subject = Story> {
    columns: Vec<(KeyText, ShownColumn<S>)>,
    seconds: Seconds,
    room: [u8; ROOM],
}

/// The text before a value: punctuation and key. [`Line::push_first`] explains why it is not a string.
struct KeyText {
    text: [u8; 32],
    len: usize,
}

impl KeyText {
    /// Keys come from the table of columns: they are shorter than the buffer and need no escaping.
    fn new(key: &str, is_first: bool) -> Self {
        let mut text = [0; 32];
        let key = format!("{}\"{key}\":", if is_first { '{' } else { ',' });
        text[..key.len()].copy_from_slice(key.as_bytes());
        Self { text, len: key.len() }
    }
}

impl<S: Subject> Json<S> {
    /// Creates the format with these columns.
    #[must_use]
    pub fn new(columns: Vec<ShownColumn<S>>) -> Self {
        let columns = columns.into_iter().enumerate();
        let keyed = columns.map(|(index, column)| (KeyText::new(column.column.key, index == 0), column));
        Self { columns: keyed.collect(), seconds: Seconds::rfc3339(), room: [0; ROOM] }
    }
}

impl<S: Subject> Format<S> for Json<S> {
    fn begin(&mut self, _: &mut Vec<u8>) {}

    fn line(&mut self, row: &S::About<'_>, out: &mut Vec<u8>) {
        let mut line = Line::new(&mut self.room);
        for (key, column) in &self.columns {
            line = line.push_first(&key.text, key.len);
            // The kind of column is asked first, not the value: that costs 6 % less in lines without lists.
            if column.column.data_type == DataType::List {
                out.extend_from_slice(line.as_bytes());
                push_list(&column.value(row), out);
                line = Line::new(&mut self.room);
                continue;
            }
            line = push_value(line, &column.value(row), &mut self.seconds);
        }
        out.extend_from_slice(line.push_first(b"}\n", 2).as_bytes());
    }
}

fn push_value<'a>(line: Line<'a>, value: &Value<'_>, seconds: &mut Seconds) -> Line<'a> {
    match value {
        // A bound is not the value.
        Value::Null | Value::NullAs(_) | Value::DurationAtLeast(_) | Value::NameOf(_, None) => {
            line.push_first(b"null", 4)
        }
        Value::Uint(number) => push_uint(line, *number),
        Value::Bool(truth) => line.push_all(if *truth { b"true" } else { b"false" }),
        Value::Duration(ns) | Value::DurationAbout(ns, _) => push_micros(line, *ns),
        Value::Lived(connection) => {
            let states = connection.lived().enumerate();
            let line = states.fold(line.push(b'{'), |line, (index, (state, ns))| {
                let line = line.push_all(if index == 0 { b"\"" } else { b",\"" });
                push_micros(line.push_all(state.as_bytes()).push_first(b"\":", 2), ns)
            });
            line.push(b'}')
        }
        Value::Name(comm) | Value::DoubtfulName(comm) => push_name(line, comm),
        Value::Text(text) | Value::NameOf(_, Some(text)) => push_text(line, text),
        quoted => push_quoted(line.push(b'"'), quoted, seconds).push(b'"'),
    }
}

/// Room for a process: each byte of its name takes six characters at most.
const HOLDER_ROOM: usize = 256;

/// The values that are JSON strings and need no escaping.
#[inline]
pub(super) fn push_quoted<'a>(line: Line<'a>, value: &Value<'_>, seconds: &mut Seconds) -> Line<'a> {
    match value {
        Value::Word(word) => line.push_all(word.as_bytes()),
        Value::Endpoint(endpoint) | Value::NamedEndpoint(endpoint, ..) => push_endpoint(line, *endpoint),
        Value::Id(id) => line.push_all(id.as_bytes()),
        Value::Reset(way, why) => push_reset(line, way, *why),
        Value::Errno(errno) => push_errno(line, *errno),
        Value::Hex(number) => line.push_all(format!("{number:x}").as_bytes()),
        Value::Device(device) => push_device(line, *device),
        Value::Time(wall_ns, _) => seconds.push_rfc3339(line, *wall_ns),
        Value::State(state) | Value::Became(state, _) | Value::Stuck(state) => push_state(line, *state),
        Value::Addr(addr) => push_addr(line, *addr),
        _ => line,
    }
}

/// A list. It may be longer than a line has room for.
#[cold]
fn push_list(value: &Value<'_>, out: &mut Vec<u8>) {
    let Value::Holders(holders) = value else {
        return out.extend_from_slice(b"null");
    };
    let mut room = [0; HOLDER_ROOM];
    out.push(b'[');
    for (index, holder) in holders.iter().take(MOST_HOLDERS_IN_JSON).enumerate() {
        let line = Line::new(&mut room).push_all(if index == 0 { b"{\"pid\":" } else { b",{\"pid\":" });
        let line = push_uint(line, u64::from(holder.pid)).push_all(b",\"comm\":");
        out.extend_from_slice(push_name(line, &holder.comm).push(b'}').as_bytes());
    }
    out.push(b']');
}

fn push_name<'a, const N: usize>(line: Line<'a, N>, comm: &[u8; COMM_LEN]) -> Line<'a, N> {
    if let Some(len) = plain_len(comm) {
        return line.push(b'"').push_first(comm, len).push(b'"');
    }
    push_text(line, &exact(name(comm)))
}

fn push_text<'a, const N: usize>(line: Line<'a, N>, text: &str) -> Line<'a, N> {
    let mut escaped = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut escaped, Safe);
    // Writing into memory cannot fail.
    let _ = text.serialize(&mut serializer);
    line.push_all(&escaped)
}

/// Escapes, beyond what JSON requires, characters that a terminal would interpret: JSON is also read on
/// terminals.
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

    fn json(name: &[u8]) -> String {
        let (mut room, mut comm) = ([0; ROOM], [0; COMM_LEN]);
        comm[..name.len()].copy_from_slice(name);
        let line = push_name(Line::new(&mut room), &comm);
        String::from_utf8(line.as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn hostile_text_stays_data() {
        let name = "\x1b[2J\"\\\n\u{7f}\u{9b}\u{202e},x";
        let written = json(name.as_bytes());
        assert!(written.chars().all(|c| !is_hostile(c)), "{written}");
        let read: String = serde_json::from_str(&written).unwrap();
        assert_eq!(read, name.replace('\\', "\\\\"));
    }

    #[test]
    fn bytes_that_are_no_text_stay_apart() {
        assert_eq!(json(b"a\xff"), r#""a\\xff""#);
        assert_eq!(json(b"a\\xff"), r#""a\\\\xff""#);
    }
}
