//! OpenTelemetry's protocol (OTLP 1): its messages, and the names that values get there.
//!
//! # Layout
//! - [`messages`]: the messages, as protobuf; only what tracer fills in
//! - [`records`]: a log record for each row
//! - here: names by the semantic conventions where these have one, `tracer.…` elsewhere

pub(crate) mod messages;
pub(crate) mod records;

use std::net::IpAddr;

use messages::{OtlpAttribute, OtlpResource, OtlpScope, OtlpValue, OtlpValueKind};

use crate::tcp::state::State;

/// Names of attributes by the semantic conventions, of labels of metrics and of columns.
const CONVENTIONS: &[(&str, &str)] = &[
    ("container", "container.name"),
    ("container_id", "container.id"),
    ("family", "network.type"),
    ("k8s_namespace", "k8s.namespace.name"),
    ("local_addr", "network.local.address"),
    ("local_port", "network.local.port"),
    ("new_state", STATE),
    ("peer", "network.peer.address"),
    ("pid", "process.pid"),
    ("pod", "k8s.pod.name"),
    ("port", "network.local.port"),
    ("remote_addr", "network.peer.address"),
    ("remote_port", "network.peer.port"),
    ("state", STATE),
];

/// The attribute whose values are the conventions' words for states.
const STATE: &str = "network.connection.state";

/// The conventions' words where they are not the kernel's in lower case. A half-open connection (`NEW_SYN_RECV`) keeps
/// the kernel's: two series must not become one.
const STATES: &[(&str, &str)] = &[
    ("CLOSE", "closed"),
    ("FIN_WAIT1", "fin_wait_1"),
    ("FIN_WAIT2", "fin_wait_2"),
    ("SYN_RECV", "syn_received"),
];

/// The name of the attribute that has a label, or the value of a column.
#[must_use]
pub(crate) fn attribute_name(of: &str) -> String {
    find(CONVENTIONS, of).map_or_else(|| format!("tracer.{of}"), str::to_owned)
}

/// An attribute for the label of a metric. Ports are numbers.
#[must_use]
pub(crate) fn label_attribute(label: &str, value: &str) -> OtlpAttribute {
    let key = attribute_name(label);
    let value = match key.as_str() {
        STATE => OtlpValue::text(state_word(value)),
        "network.local.port" => value.parse().map_or_else(|_| OtlpValue::text(value), OtlpValue::integer),
        _ => OtlpValue::text(value),
    };
    OtlpAttribute { key, value: Some(value) }
}

/// The conventions' word for a state.
fn state_word(name: &str) -> String {
    find(STATES, name).map_or_else(|| name.to_ascii_lowercase(), str::to_owned)
}

fn find(table: &'static [(&str, &str)], key: &str) -> Option<&'static str> {
    table.iter().find(|(known, _)| *known == key).map(|(_, name)| *name)
}

/// What sends all this: tracer, on this host.
#[must_use]
pub(crate) fn resource(host: &str) -> OtlpResource {
    let of = [
        ("service.name", "tracer"),
        ("service.version", env!("CARGO_PKG_VERSION")),
        // One tracer a host; without it Prometheus has no `instance`.
        ("service.instance.id", host),
        ("host.name", host),
        ("os.type", "linux"),
    ];
    let attributes = of.into_iter().filter(|(_, value)| !value.is_empty());
    OtlpResource { attributes: attributes.map(|(key, value)| OtlpAttribute::text(key, value)).collect() }
}

/// The instrumentation scope.
#[must_use]
pub(crate) fn scope() -> OtlpScope {
    OtlpScope { name: "tracer".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() }
}

/// A time as OTLP has it; times before 1970 are 0, which is unknown there.
#[must_use]
pub(crate) fn unix_nano(wall_ns: i64) -> u64 {
    wall_ns.try_into().unwrap_or_default()
}

impl OtlpValue {
    fn text(text: impl Into<String>) -> Self {
        Self { value: Some(OtlpValueKind::Text(text.into())) }
    }

    fn integer(number: i64) -> Self {
        Self { value: Some(OtlpValueKind::Integer(number)) }
    }

    fn fraction(number: f64) -> Self {
        Self { value: Some(OtlpValueKind::Fraction(number)) }
    }

    fn truth(truth: bool) -> Self {
        Self { value: Some(OtlpValueKind::Truth(truth)) }
    }

    fn addr(addr: IpAddr) -> Self {
        Self::text(addr.to_string())
    }

    fn state(state: State) -> Self {
        Self::text(state_word(&state.to_string()))
    }
}

impl OtlpAttribute {
    fn text(key: &str, value: &str) -> Self {
        Self { key: key.to_owned(), value: Some(OtlpValue::text(value)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_have_the_words_of_the_conventions() {
        let words: Vec<_> =
            (1..=12).map(|number| state_word(&State::from_kernel(number).to_string())).collect();
        let conventions = [
            "established",
            "syn_sent",
            "syn_received",
            "fin_wait_1",
            "fin_wait_2",
            "time_wait",
            "closed",
            "close_wait",
            "last_ack",
            "listen",
            "closing",
            "new_syn_recv",
        ];
        assert_eq!(words, conventions);
    }

    #[test]
    fn ports_are_numbers_and_others_are_not() {
        assert_eq!(label_attribute("port", "443").value, Some(OtlpValue::integer(443)));
        assert_eq!(label_attribute("port", "other").value, Some(OtlpValue::text("other")));
        let reason = label_attribute("reason", "refused");
        assert_eq!((reason.key.as_str(), reason.value), ("tracer.reason", Some(OtlpValue::text("refused"))));
    }
}
