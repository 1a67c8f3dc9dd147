//! Comma-separated values (RFC 4180), with the columns' keys as the header.

use tracer_common::event::COMM_LEN;

use crate::{
    format::{
        Format, ShownColumn, holder_list, push_device, push_endpoint, push_errno, push_reset, push_state,
        subject::{Story, Subject},
        value::Value,
    },
    text::{
        escape::{escaped, name, plain_len},
        line::{Line, ROOM},
        number::{push_addr, push_micros, push_uint},
        second::Seconds,
    },
};

/// Writes CSV.
pub struct Csv<S: Subject = Story> {
    columns: Vec<ShownColumn<S>>,
    seconds: Seconds,
    room: [u8; ROOM],
}

impl<S: Subject> Csv<S> {
    /// Creates the format with these columns.
    #[must_use]
    pub fn new(columns: Vec<ShownColumn<S>>) -> Self {
        Self { columns, seconds: Seconds::rfc3339(), room: [0; ROOM] }
    }
}

impl<S: Subject> Format<S> for Csv<S> {
    fn begin(&mut self, out: &mut Vec<u8>) {
        let keys: Vec<_> = self.columns.iter().map(|column| column.column.key).collect();
        out.extend_from_slice(keys.join(",").as_bytes());
        out.push(b'\n');
    }

    fn line(&mut self, row: &S::About<'_>, out: &mut Vec<u8>) {
        let mut line = Line::new(&mut self.room);
        for column in &self.columns {
            line = push_value(line, &column.value(row), &mut self.seconds).push(b',');
        }
        // The line break replaces the last comma. A line without values would be empty, which is no CSV row.
        let len = line.len().saturating_sub(1);
        let line = line.truncated(len);
        let line = if line.is_empty() { line.push_all(b"\"\"") } else { line };
        out.extend_from_slice(line.push(b'\n').as_bytes());
    }
}

/// Appends a value; null is empty.
fn push_value<'a>(line: Line<'a>, value: &Value<'_>, seconds: &mut Seconds) -> Line<'a> {
    match value {
        // A bound is not the value.
        Value::Null | Value::NullAs(_) | Value::DurationAtLeast(_) | Value::NameOf(_, None) => line,
        Value::Uint(number) => push_uint(line, *number),
        Value::Bool(truth) => line.push_all(if *truth { b"true" } else { b"false" }),
        Value::Duration(ns) | Value::DurationAbout(ns, _) => push_micros(line, *ns),
        Value::Lived(connection) => {
            connection.lived().enumerate().fold(line, |line, (index, (state, ns))| {
                let line = line.push_all(if index == 0 { b"" } else { b" " });
                push_micros(line.push_all(state.as_bytes()).push(b'='), ns)
            })
        }
        Value::Word(word) => line.push_all(word.as_bytes()),
        Value::Text(text) | Value::NameOf(_, Some(text)) => push_text(line, text),
        Value::Name(comm) | Value::DoubtfulName(comm) => push_name(line, comm),
        Value::Holders(holders) => {
            line.push(b'"').push_all(holder_list(holders).replace('"', "\"\"").as_bytes()).push(b'"')
        }
        Value::Hex(number) => line.push_all(format!("{number:x}").as_bytes()),
        Value::Device(device) => push_device(line, *device),
        Value::Errno(errno) => push_errno(line, *errno),
        Value::Time(wall_ns, _) => seconds.push_rfc3339(line, *wall_ns),
        Value::State(state) | Value::Became(state, _) | Value::Stuck(state) => push_state(line, *state),
        Value::Reset(way, why) => push_reset(line, way, *why),
        Value::Addr(addr) => push_addr(line, *addr),
        Value::Id(id) => line.push_all(id.as_bytes()),
        Value::Endpoint(endpoint) | Value::NamedEndpoint(endpoint, ..) => push_endpoint(line, *endpoint),
    }
}

/// Escapes text from outside, so that each record is one line even for tools that ignore quotes.
fn push_name<'a>(line: Line<'a>, comm: &[u8; COMM_LEN]) -> Line<'a> {
    if let Some(len) = plain_len(comm) {
        return line.push_first(comm, len);
    }
    push_text(line, &escaped(name(comm)))
}

fn push_text<'a>(line: Line<'a>, text: &str) -> Line<'a> {
    if !text.contains(['"', ',']) {
        return line.push_all(text.as_bytes());
    }
    line.push(b'"').push_all(text.replace('"', "\"\"").as_bytes()).push(b'"')
}
