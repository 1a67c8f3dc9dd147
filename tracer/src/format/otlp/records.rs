//! A log record for a connection that has ended: what `life` says of it.

use prost::Message as _;
use tracer_common::member::Member;

use crate::{
    format::{
        columns::{COLUMNS, Column, DefaultIn},
        json::push_quoted,
        otlp::{
            OtlpAttribute, OtlpValue, attribute_name, messages::OtlpLogRecord, resource, scope, unix_nano,
        },
        row::Row,
        value::Value,
    },
    text::{
        escape::{escaped, name},
        line::{Line, ROOM},
        second::Seconds,
    },
};

use super::messages::{OtlpLogsRequest, OtlpResourceLogs, OtlpScopeLogs};

/// Columns besides those of `life`.
const MORE: [&str; 8] =
    ["new_state", "netns_name", "cgroup_path", "container", "container_id", "pod", "k8s_namespace", "unit"];

/// Columns of `life` that a record has elsewhere.
const ELSEWHERE: [&str; 1] = ["end"];

/// An attribute that all records have: nothing else is traced.
const TRANSPORT: (&str, &str) = ("network.transport", "tcp");

/// What happened, as the conventions name events.
const EVENT_NAME: &str = "tracer.connection.end";

/// Severities: `INFO` and `WARN`.
const INFO: (i32, &str) = (9, "INFO");
const WARN: (i32, &str) = (13, "WARN");

/// Makes log records.
pub(crate) struct LogRecords {
    columns: Vec<(&'static Column, String)>,
    seconds: Seconds,
    room: [u8; ROOM],
}

impl LogRecords {
    /// Creates them for a kernel that lacks these structure members.
    pub(crate) fn new(absent: &[Member]) -> Self {
        let is_shown = |column: &&Column| {
            let key = column.key;
            let is_listed = column.default_in.includes(DefaultIn::LIFE_DATA) && !ELSEWHERE.contains(&key);
            (is_listed || MORE.contains(&key)) && !column.needs.iter().any(|needed| absent.contains(needed))
        };
        let columns = COLUMNS.iter().filter(is_shown);
        let columns = columns.map(|column| (column, attribute_name(column.key))).collect();
        Self { columns, seconds: Seconds::rfc3339(), room: [0; ROOM] }
    }

    /// An encoded record about the end of a connection.
    pub(crate) fn record(&mut self, row: &Row<'_>) -> Vec<u8> {
        let reason = row.transition.and_then(|transition| transition.reason);
        let (severity_number, severity_text) =
            if reason.is_some_and(|reason| !reason.is_orderly()) { WARN } else { INFO };
        let why = reason.map_or("unknown", |reason| reason.name());
        let time_unix_nano = unix_nano(row.context.clock.wall_ns(row.time_ns));
        let mut attributes = vec![OtlpAttribute::text(TRANSPORT.0, TRANSPORT.1)];
        for (column, key) in &self.columns {
            if let Some(value) = value(&column.value.of(row), &mut self.seconds, &mut self.room) {
                attributes.push(OtlpAttribute { key: key.clone(), value: Some(value) });
            }
        }
        let record = OtlpLogRecord {
            time_unix_nano,
            observed_time_unix_nano: time_unix_nano,
            severity_number,
            severity_text: severity_text.to_owned(),
            body: Some(OtlpValue::text(format!("TCP connection ended: {why}"))),
            attributes,
            event_name: EVENT_NAME.to_owned(),
        };
        record.encode_to_vec()
    }
}

/// A request with these encoded records.
pub(crate) fn request(log_records: Vec<Vec<u8>>, host: &str) -> Vec<u8> {
    let scope_logs = vec![OtlpScopeLogs { scope: Some(scope()), log_records }];
    let of_host = OtlpResourceLogs { resource: Some(resource(host)), scope_logs };
    OtlpLogsRequest { resource_logs: vec![of_host] }.encode_to_vec()
}

/// A value; `None` if it is not known.
#[allow(clippy::cast_precision_loss)]
fn value(value: &Value<'_>, seconds: &mut Seconds, room: &mut [u8; ROOM]) -> Option<OtlpValue> {
    Some(match value {
        // A bound is not the value. There are no lists among these columns.
        Value::Null
        | Value::NullAs(_)
        | Value::DurationAtLeast(_)
        | Value::NameOf(_, None)
        | Value::Lived(_)
        | Value::Holders(_) => return None,
        Value::Uint(number) => OtlpValue::integer(number.cast_signed()),
        Value::Bool(truth) => OtlpValue::truth(*truth),
        Value::Duration(ns) | Value::DurationAbout(ns, _) => OtlpValue::fraction(*ns as f64 / 1e3),
        Value::Text(text) | Value::NameOf(_, Some(text)) => OtlpValue::text(*text),
        Value::Name(comm) | Value::DoubtfulName(comm) => OtlpValue::text(escaped(name(comm))),
        Value::State(state) | Value::Became(state, _) | Value::Stuck(state) => OtlpValue::state(*state),
        Value::Addr(addr) => OtlpValue::addr(*addr),
        other => {
            let line = push_quoted(Line::new(room), other, seconds);
            OtlpValue::text(String::from_utf8_lossy(line.as_bytes()))
        }
    })
}
