//! Lines of `tracer -o json` with all their keys. The lines of one socket are its story.

use std::collections::HashMap;

use serde_json::Value;

/// A line of output.
pub type Line = Value;

/// Parses all lines of an output.
pub fn lines(out: &str) -> Vec<Line> {
    out.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// The output without a last line that is incomplete.
pub fn whole(out: &str) -> &str {
    out.rfind('\n').map_or("", |end| &out[..=end])
}

/// The text of a key; empty for null. Panics if the line does not have the key.
pub fn text<'a>(line: &'a Line, key: &str) -> &'a str {
    assert!(!line[key].is_null() || line.get(key).is_some(), "no key {key} in {line}");
    line[key].as_str().unwrap_or_default()
}

/// The number of a key; `None` for null.
pub fn number(line: &Line, key: &str) -> Option<f64> {
    line[key].as_f64()
}

/// The lines of each socket, in order.
pub fn by_socket(lines: &[Line]) -> HashMap<u64, Vec<&Line>> {
    let mut sockets: HashMap<u64, Vec<&Line>> = HashMap::new();
    for line in lines {
        sockets.entry(line["cookie"].as_u64().unwrap()).or_default().push(line);
    }
    sockets
}

/// The transition of each line, as `OLD>NEW`.
pub fn path(lines: &[&Line]) -> Vec<String> {
    lines.iter().map(|line| format!("{}>{}", text(line, "old_state"), text(line, "new_state"))).collect()
}

/// The lines of the socket with this role that ended for this reason. Panics unless there is exactly one.
pub fn ended<'a>(all: &'a [Line], role: &str, reason: &str) -> Vec<&'a Line> {
    let found: Vec<_> = by_socket(all)
        .into_values()
        .filter(|lines| lines.iter().any(|line| text(line, "role") == role && text(line, "reason") == reason))
        .collect();
    assert!(found.len() == 1, "{} connections of a {role} ended with {reason}: {all:#?}", found.len());
    found.into_iter().next().unwrap()
}
