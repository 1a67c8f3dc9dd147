//! What has changed since the last list (`--watch`).

use std::collections::HashMap;

use crate::facts::listing::{Change, ListedSocket, Protocol};

/// The sockets of the last list.
#[derive(Debug, Default)]
pub(super) struct Changes(Option<HashMap<(Protocol, u64), ListedSocket>>);

impl Changes {
    /// Marks the sockets that are not as they were, and adds those that are gone.
    pub(super) fn mark(&mut self, sockets: &mut Vec<ListedSocket>) {
        let now = sockets.iter().map(|socket| ((socket.protocol, socket.cookie), socket.clone())).collect();
        let Some(mut before) = self.0.replace(now) else {
            return;
        };
        for socket in sockets.iter_mut() {
            socket.change = match before.remove(&(socket.protocol, socket.cookie)) {
                None => Change::New,
                Some(before) if is_same(&before, socket) => Change::None,
                Some(_) => Change::Changed,
            };
        }
        let mut gone: Vec<_> = before.into_values().collect();
        gone.sort_unstable_by_key(|socket| (socket.protocol, socket.cookie));
        sockets.extend(gone.into_iter().map(|socket| ListedSocket { change: Change::Gone, ..socket }));
    }
}

fn is_same(before: &ListedSocket, now: &ListedSocket) -> bool {
    let pids = |socket: &ListedSocket| {
        socket.holders.as_ref().map(|holders| holders.iter().map(|holder| holder.pid).collect::<Vec<_>>())
    };
    let facts = |socket: &ListedSocket| (socket.state, socket.recv_queue, socket.send_queue, pids(socket));
    facts(before) == facts(now)
}
