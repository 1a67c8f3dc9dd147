//! Sockets of TCP and UDP in a list.

use std::io;

use tracer_common::state;

use crate::{
    facts::listing::{ConnectionInfo, ListedSocket, Protocol, SocketTimer},
    source::{
        inet_diag::{self, ExtensionFlags, InetDump, InetSocket},
        netlink::Netlink,
    },
    tcp::endpoint::Tuple,
};

/// What to list.
pub(super) struct Wanted<'a> {
    pub(super) protocol: Protocol,
    pub(super) families: &'a [u8],
    pub(super) states: u32,
    pub(super) info: bool,
}

impl Wanted<'_> {
    /// Hands over each socket. `place` is an empty tuple of this thread's network namespace.
    pub(super) fn list(
        &self,
        diag: &mut Netlink,
        place: Tuple,
        each: &mut dyn FnMut(ListedSocket),
    ) -> io::Result<()> {
        let is_tcp = self.protocol == Protocol::Tcp;
        let dump = InetDump {
            protocol: if is_tcp { inet_diag::TCP } else { inet_diag::UDP },
            families: self.families,
            states: self.states,
            extensions: if self.info && is_tcp { ExtensionFlags::INFO } else { ExtensionFlags::empty() },
        };
        dump.run(diag, &mut |socket| each(listed(self.protocol, place, socket)))
    }
}

fn listed(protocol: Protocol, place: Tuple, socket: &InetSocket) -> ListedSocket {
    let InetSocket { message, info, .. } = socket;
    let has_connection = !info.is_empty() && !matches!(message.state, state::LISTEN | state::CLOSE);
    ListedSocket {
        state: message.state,
        cookie: message.cookie(),
        inode: message.inode,
        uid: message.uid_if_held(),
        recv_queue: message.recv_queue,
        send_queue: message.send_queue,
        timer: (message.timer != 0).then_some(SocketTimer {
            kind: message.timer,
            unanswered: message.retransmits,
            rest_ms: message.expires_ms,
        }),
        in_state_ns: info.in_state_ns(message),
        info: has_connection.then(|| ConnectionInfo {
            srtt_us: info.srtt_us(),
            retransmits: info.retransmits(),
            bytes_acked: info.bytes_acked(),
            bytes_received: info.bytes_received(),
        }),
        shutdown: socket.shutdown,
        is_v6_only: socket.is_v6_only,
        cgroup: socket.cgroup,
        ..ListedSocket::new(protocol, message.family, message.tuple(place))
    }
}
