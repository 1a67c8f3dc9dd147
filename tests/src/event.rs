//! A line of `tracer -o json`.

use serde::Deserialize;

/// What tests look at. Names are the interface's.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[serde(default)]
pub struct Event {
    /// `time`
    pub time: String,
    /// `cookie`
    pub cookie: u64,
    /// `netns`
    pub netns: Option<u64>,
    /// `family`
    pub family: String,
    /// `local_addr`
    pub local_addr: Option<String>,
    /// `local_port`
    pub local_port: Option<u16>,
    /// `remote_addr`
    pub remote_addr: Option<String>,
    /// `remote_port`
    pub remote_port: Option<u16>,
    /// `old_state`
    pub old_state: String,
    /// `new_state`
    pub new_state: String,
    /// `pid`
    pub pid: Option<u32>,
    /// `comm`
    pub comm: Option<String>,
    /// `uid`
    pub uid: Option<u32>,
}

/// All lines of an output.
pub fn parse(out: &str) -> Vec<Event> {
    out.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// `OLD>NEW`
pub fn transition(event: &Event) -> String {
    format!("{}>{}", event.old_state, event.new_state)
}
