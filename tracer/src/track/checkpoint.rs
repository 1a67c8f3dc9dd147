//! Checkpoints: all that the tracker knows, so that a part of a recording can do without those before it.

use std::collections::HashSet;

use tracer_common::event::COMM_LEN;

use crate::{
    facts::checkpoint::{BadCheckpoint, Checkpoint},
    track::{
        Tracker,
        connection::Connection,
        table::{self, Table, ended::LastEnded, listeners::Listeners, recent::RecentCookies, timewaits},
    },
};

/// What is in a checkpoint.
#[derive(Default, serde::Serialize, serde::Deserialize)]
#[serde(default)]
struct TrackerState {
    table: table::TablePlaces,
    listeners: Listeners,
    timewaits: timewaits::TimewaitPlaces,
    recently_ended: Vec<u64>,
    last_ended: LastEnded,
    loss_gap_ns: u64,
    holders_ns: u64,
    next_holders_ns: u64,
    wants_holders_ns: Option<u64>,
    wants_look_ns: Option<u64>,
    refreshed_ns: u64,
    search: u8,
}

/// What a copy of a recording keeps and changes in a checkpoint.
pub trait Edit {
    /// Whether a connection is kept.
    fn keeps(&mut self, connection: &Connection) -> bool;

    /// Whether the cookie of a connection that has ended is kept.
    fn keeps_ended(&mut self, cookie: u64) -> bool;

    /// Changes an address.
    fn address(&mut self, address: &mut [u8; 16]);

    /// Changes the name of a process.
    fn comm(&mut self, comm: &mut [u8; COMM_LEN]);
}

/// The same checkpoint with some of its connections, which may be changed.
///
/// # Errors
/// It is none of this version.
pub fn edited(checkpoint: &Checkpoint, edit: &mut dyn Edit) -> Result<Checkpoint, BadCheckpoint> {
    let mut state: TrackerState = checkpoint.state()?;
    let mut change = |connection: &mut Connection| {
        let keeps = edit.keeps(connection);
        edit.address(&mut connection.tuple.local_addr);
        edit.address(&mut connection.tuple.remote_addr);
        edit.comm(&mut connection.owner.comm);
        keeps
    };
    state.table.retain(&mut change);
    state.last_ended.retain(&mut change);
    let kept: HashSet<u64> = state.table.cookies().collect();
    state.listeners.edit(|cookie, address, owner| {
        edit.address(address);
        edit.comm(&mut owner.comm);
        kept.contains(&cookie)
    });
    state.timewaits.retain(|cookie| kept.contains(&cookie));
    state.recently_ended.retain(|cookie| edit.keeps_ended(*cookie));
    Ok(Checkpoint::of(checkpoint.at_ns, &state))
}

impl Tracker {
    /// All that is known now. What was counted so far is not part of it.
    #[must_use]
    pub fn checkpoint(&self, at_ns: u64) -> Checkpoint {
        let state = TrackerState {
            table: self.table.places(),
            listeners: self.listeners.clone(),
            timewaits: self.timewaits.places(),
            recently_ended: self.recently_ended.iter().collect(),
            last_ended: self.last_ended.clone(),
            loss_gap_ns: self.loss_gap_ns,
            holders_ns: self.holders_ns,
            next_holders_ns: self.next_holders_ns,
            wants_holders_ns: self.wants_holders_ns,
            wants_look_ns: self.wants_look_ns,
            refreshed_ns: self.refreshed_ns,
            search: self.search,
        };
        Checkpoint::of(at_ns, &state)
    }

    /// Takes over what was known at a checkpoint, instead of what is known now.
    ///
    /// # Errors
    /// It is none of this version.
    pub fn restore(&mut self, checkpoint: &Checkpoint) -> Result<(), BadCheckpoint> {
        let state: TrackerState = checkpoint.state()?;
        self.table = Table::at(state.table);
        let table = &self.table;
        self.timewaits = timewaits::Timewaits::at(state.timewaits, |cookie| Some(table.get(cookie)?.tuple));
        self.recently_ended = RecentCookies::default();
        state.recently_ended.into_iter().for_each(|cookie| self.recently_ended.insert(cookie));
        (self.listeners, self.last_ended) = (state.listeners, state.last_ended.checked());
        self.loss_gap_ns = state.loss_gap_ns;
        self.holders_ns = state.holders_ns;
        self.next_holders_ns = state.next_holders_ns;
        self.wants_holders_ns = state.wants_holders_ns;
        self.wants_look_ns = state.wants_look_ns;
        self.refreshed_ns = state.refreshed_ns;
        self.search = state.search;
        Ok(())
    }
}
