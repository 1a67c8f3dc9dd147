//! Half-open connections: who owns them, how long they last, and how they end.

use std::{
    net::{IpAddr, SocketAddr},
    process,
    time::{Duration, Instant},
};

use socket2::{Domain, Socket, Type};
use tests::{
    patience::until,
    story::{Line, number, text},
};

use crate::scenario::hooks::{HERE, Scene, THERE, no_tc, tc, us};

/// The hook, as `tracer check` names it.
pub(super) const HOOK: &str = "inet_csk_reqsk_queue_hash_add";

/// Half-open connections at once.
const FLOOD: usize = 50;
/// The limit of `--stuck`. Each connection stays half open for three seconds, so all exceed it.
pub(super) const STUCK: Duration = Duration::from_millis(500);

impl Scene {
    /// Drops all SYN-ACKs: connections stay half open until the kernel gives up, or their listener closes.
    pub(super) fn flood(&mut self) {
        if !self.has(HOOK) {
            return;
        }
        for (is_closed, reason) in [(false, "timeout-connect"), (true, "never-accepted")] {
            let (listener, to) = self.there.run(|| {
                let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
                let address: IpAddr = THERE.parse().expect("an address");
                socket.bind(&SocketAddr::new(address, 0).into()).expect("a port");
                socket.listen(1024).expect("a listener");
                let address = socket.local_addr().expect("an address");
                (socket, address)
            });
            let port = to.as_socket().expect("of IP").port();
            tc(&self.there, "loss 100%");
            let begun = Instant::now();
            let clients: Vec<_> = self.here.run(|| {
                (0..FLOOD)
                    .map(|_| {
                        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
                        socket.set_nonblocking(true).expect("a setting");
                        socket.connect(&to).expect_err("it does not block");
                        socket
                    })
                    .collect()
            });
            let is_its = |line: &Line| line["local_port"].as_u64() == Some(u64::from(port));
            if is_closed {
                // Wait until all are half open before the listener closes: the first retransmission comes a
                // second later.
                let again = self.line("a SYN-ACK sent again", |line| {
                    is_its(line) && text(line, "event") == "retransmit-synack"
                });
                for key in ["uid", "tx_bytes", "rx_bytes", "retransmits"] {
                    assert!(again[key].is_null(), "{key} of a half-open connection: {again}");
                }
                drop(listener);
            }
            let ends = until("the ends of half-open connections", || {
                let lines = self.lines();
                let is_end = |line: &Line| {
                    is_its(line)
                        && text(line, "old_state") == "NEW_SYN_RECV"
                        && text(line, "new_state") == "CLOSE"
                };
                let ends: Vec<_> = lines.into_iter().filter(is_end).collect();
                (ends.len() >= FLOOD).then_some(ends)
            });
            let most = us(begun.elapsed());
            assert_eq!(ends.len(), FLOOD);
            if !is_closed {
                let is_stuck = |line: &&Line| is_its(line) && text(line, "event") == "stuck";
                let stuck = self.lines().iter().filter(is_stuck).count();
                assert_eq!(stuck, FLOOD, "half-open for longer than {STUCK:?}");
            }
            for line in &ends {
                assert_eq!(text(line, "reason"), reason, "{line}");
                assert_eq!(text(line, "remote_addr"), HERE, "{line}");
                assert_eq!(
                    (line["pid"].as_u64(), text(line, "owner")),
                    (Some(process::id().into()), "listener")
                );
                let lasted = number(line, "state_us").expect("known");
                // The SYN-ACK is first retransmitted after a second.
                assert!(lasted > 0.9e6 && lasted <= most, "{lasted} us of {most}: {line}");
            }
            drop(clients);
            no_tc(&self.there);
        }
    }
}
