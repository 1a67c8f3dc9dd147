//! Typed lines of `tracer -o json`.

use serde::Deserialize;

/// The fields that tests compare. Their names are the keys of the output.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[serde(default)]
pub struct Event {
    pub time: String,
    pub cookie: u64,
    pub netns: Option<u64>,
    pub family: String,
    pub local_addr: Option<String>,
    pub local_port: Option<u16>,
    pub remote_addr: Option<String>,
    pub remote_port: Option<u16>,
    pub old_state: String,
    pub new_state: String,
    pub pid: Option<u32>,
    pub comm: Option<String>,
    pub uid: Option<u32>,
}

/// Parses all lines of an output.
pub fn parse(out: &str) -> Vec<Event> {
    out.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// The transition as `OLD>NEW`.
pub fn transition(event: &Event) -> String {
    format!("{}>{}", event.old_state, event.new_state)
}
