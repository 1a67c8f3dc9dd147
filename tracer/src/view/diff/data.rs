//! A comparison as JSON and CSV.

use std::fmt::Write as _;

use crate::{
    aggregate::diff::{
        name::GroupName,
        report::{ChangeKind, DiffReport, DiffRow, Figures},
    },
    tcp::state::State,
};

/// Appends it as an object in a line.
pub fn write_json(report: &DiffReport, out: &mut Vec<u8>) {
    // Writing into memory cannot fail, and a report always serializes.
    let _ = serde_json::to_writer(&mut *out, report);
    out.push(b'\n');
}

/// The names of the first columns, in CSV.
const HEAD: &str = "by,side,port,role,comm,container,k8s_namespace,measure,reason,state,new_state,change";

/// The names of a side's columns, behind `a_` or `b_`.
const OF_SIDE: [&str; 10] =
    ["count", "of", "share", "per_second", "going_on", "p50_us", "p90_us", "p99_us", "max_us", "limit_us"];

/// Appends its rows, and before them a header (RFC 4180).
pub fn write_csv(report: &DiffReport, out: &mut Vec<u8>) {
    let columns = ["a", "b"].into_iter().flat_map(|side| OF_SIDE.map(|column| format!("{side}_{column}")));
    let columns: Vec<_> = columns.collect();
    let mut text = format!("{HEAD},{},ratio,p,p_corrected\n", columns.join(","));
    for row in &report.rows {
        push_row(row, &mut text);
    }
    out.extend_from_slice(text.as_bytes());
}

fn push_row(row: &DiffRow, text: &mut String) {
    let words = |word: Option<&str>| quoted(word.unwrap_or_default());
    let port = |port: &Option<u16>| port.map_or_else(String::new, |port| port.to_string());
    let (by, names) = match &row.name {
        GroupName::Service { side, port: at } => ("service", [words(*side), port(at)].join(",") + ",,,,"),
        GroupName::Process { role, comm } => {
            ("process", format!(",,{},{},,", words(*role), words(comm.as_deref())))
        }
        GroupName::Container { role, container, k8s_namespace } => {
            let (container, namespace) = (words(container.as_deref()), words(k8s_namespace.as_deref()));
            ("container", format!(",,{},,{container},{namespace}", words(*role)))
        }
        GroupName::All => ("all", ",,,,,".to_owned()),
    };
    let (reason, state, new_state) = row.measure.details();
    let state_word = |state: Option<State>| state.map_or_else(String::new, |state| state.to_string());
    // Writing into a String cannot fail.
    let _ = write!(
        text,
        "{by},{names},{},{},{},{},{}",
        row.measure.word(),
        reason.unwrap_or_default(),
        state_word(state),
        state_word(new_state),
        row.change.map_or("", ChangeKind::word),
    );
    push_figures(&row.a, text);
    push_figures(&row.b, text);
    for number in [row.ratio, row.p, row.p_corrected] {
        push_number(number, text);
    }
    text.push('\n');
}

#[allow(clippy::cast_precision_loss)]
fn push_figures(figures: &Figures, text: &mut String) {
    let _ = write!(text, ",{}", figures.count);
    let micros = |ns: Option<u64>| ns.map(|ns| ns as f64 / 1_000.0);
    let whole = |count: Option<u64>| count.map(|count| count as f64);
    for number in [
        whole(figures.of),
        figures.share,
        figures.per_second,
        whole(figures.going_on),
        micros(figures.quantiles.p50_ns),
        micros(figures.quantiles.p90_ns),
        micros(figures.quantiles.p99_ns),
        micros(figures.quantiles.max_ns),
        micros(figures.limit_ns),
    ] {
        push_number(number, text);
    }
}

fn push_number(number: Option<f64>, text: &mut String) {
    text.push(',');
    if let Some(number) = number {
        let _ = write!(text, "{number}");
    }
}

/// A field, in quotes if it needs them.
fn quoted(word: &str) -> String {
    if word.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", word.replace('"', "\"\""))
    } else {
        word.to_owned()
    }
}
