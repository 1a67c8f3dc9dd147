//! How many sockets there are of each (`--by`), the most first, and in which states.

use std::{
    collections::{BTreeMap, HashMap},
    io::Write as _,
};

use serde::Serialize;

use crate::{
    format::{Kind, columns::column, row::Row, text::cell},
    text::{
        escape::{escaped, name},
        width::{left, right},
    },
};

/// What sockets are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupBy {
    /// Names of processes: a socket counts for each process that holds it.
    Process,
    /// States.
    State,
    /// Local ports.
    Port,
    /// Addresses of peers.
    Peer,
    /// Containers, by name.
    Container,
}

impl GroupBy {
    const fn title(self) -> &'static str {
        match self {
            Self::Process => "PROCESS",
            Self::State => "STATE",
            Self::Port => "PORT",
            Self::Peer => "PEER",
            Self::Container => "CONTAINER",
        }
    }

    const fn key(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::State => "state",
            Self::Port => "port",
            Self::Peer => "peer",
            Self::Container => "container",
        }
    }

    /// What the socket counts for.
    fn of(self, row: &Row<'_>) -> Vec<String> {
        let text = |key: &str| column(key).map(|column| cell(&column.value.of(row)));
        match self {
            Self::Process => names(row),
            Self::State => text("state").into_iter().collect(),
            Self::Port => service(row).or_else(|| text("local_port")).into_iter().collect(),
            Self::Container => text("container").into_iter().collect(),
            Self::Peer => host(row).or_else(|| text("remote_addr")).into_iter().collect(),
        }
    }
}

/// The name of the local port, if it is known.
fn service(row: &Row<'_>) -> Option<String> {
    let protocol = row.socket()?.protocol;
    row.context.end_names.service(protocol, row.local.port?).map(str::to_owned)
}

/// The name of the peer, if it is known.
fn host(row: &Row<'_>) -> Option<String> {
    row.context.end_names.host(row.remote?.addr).map(str::to_owned)
}

/// The names of the processes that hold a socket, each once; `-` if none is known.
fn names(row: &Row<'_>) -> Vec<String> {
    let holders = row.socket().and_then(|socket| socket.holders.as_deref()).unwrap_or_default();
    let mut names: Vec<_> = holders.iter().map(|holder| escaped(name(&holder.comm))).collect();
    names.sort();
    names.dedup();
    if names.is_empty() { vec!["-".to_owned()] } else { names }
}

/// A group of sockets.
#[derive(Debug, Default, Serialize)]
struct ListGroup {
    count: u64,
    states: BTreeMap<String, u64>,
}

/// The groups, the largest first.
#[derive(Debug)]
pub(super) struct ListedGroups {
    by: GroupBy,
    sorted: Vec<(String, ListGroup)>,
}

impl ListedGroups {
    pub(super) fn count<'a>(by: GroupBy, rows: impl Iterator<Item = Row<'a>>) -> Self {
        let mut groups: HashMap<String, ListGroup> = HashMap::new();
        for row in rows {
            let state = GroupBy::State.of(&row);
            for key in by.of(&row) {
                let group = groups.entry(key).or_default();
                group.count += 1;
                for state in &state {
                    *group.states.entry(state.clone()).or_default() += 1;
                }
            }
        }
        let mut sorted: Vec<_> = groups.into_iter().collect();
        sorted.sort_by(|(key, group), (other_key, other)| {
            other.count.cmp(&group.count).then(key.cmp(other_key))
        });
        Self { by, sorted }
    }

    pub(super) fn write(&self, kind: Kind, has_header: bool, out: &mut Vec<u8>) {
        // Writing into memory cannot fail.
        let _ = match kind {
            Kind::Text => self.text(has_header, out),
            Kind::Csv => self.csv(has_header, out),
            Kind::Json => self.json(out),
            // `list` makes no such files.
            Kind::Parquet => Ok(()),
        };
    }

    fn text(&self, has_header: bool, out: &mut Vec<u8>) -> std::io::Result<()> {
        let longest = |lengths: &mut dyn Iterator<Item = usize>| lengths.max().unwrap_or_default();
        let widths = (
            longest(&mut self.sorted.iter().map(|(_, group)| group.count.to_string().len())).max(5),
            longest(&mut self.sorted.iter().map(|(key, _)| unicode_width::UnicodeWidthStr::width(&key[..])))
                .max(self.by.title().len()),
        );
        let has_states = self.by != GroupBy::State;
        let mut line = |count: &str, key: &str, states: &str| {
            let line = format!("{} {} {states}", right(count, widths.0), left(key, widths.1));
            writeln!(out, "{}", line.trim_end())
        };
        if has_header {
            line("COUNT", self.by.title(), if has_states { "STATES" } else { "" })?;
        }
        for (key, group) in &self.sorted {
            let states = if has_states { states(group) } else { String::new() };
            line(&group.count.to_string(), key, &states)?;
        }
        Ok(())
    }

    fn csv(&self, has_header: bool, out: &mut Vec<u8>) -> std::io::Result<()> {
        if has_header {
            writeln!(out, "count,{}", self.by.key())?;
        }
        for (key, group) in &self.sorted {
            let key = if key.contains(['"', ',']) {
                format!("\"{}\"", key.replace('"', "\"\""))
            } else {
                key.clone()
            };
            writeln!(out, "{},{}", group.count, if key == "-" { "" } else { &key })?;
        }
        Ok(())
    }

    fn json(&self, out: &mut Vec<u8>) -> std::io::Result<()> {
        for (key, group) in &self.sorted {
            let key = (key != "-").then_some(key);
            let object =
                serde_json::json!({ "count": group.count, self.by.key(): key, "states": group.states });
            writeln!(out, "{object}")?;
        }
        Ok(())
    }
}

/// The states of a group, the most frequent first: `CLOSE_WAIT 4000, ESTABLISHED 3`.
fn states(group: &ListGroup) -> String {
    let mut states: Vec<_> = group.states.iter().collect();
    states.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    states.iter().map(|(state, count)| format!("{state} {count}")).collect::<Vec<_>>().join(", ")
}
