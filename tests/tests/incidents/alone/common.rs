//! What several incidents need.

use tests::{patience::until, place::Place, program::run};

/// Where servers listen.
pub(super) const ADDRESS: &str = "127.77.61.1";

/// Listens, and accepts nothing.
pub(super) const LISTENS: &str = "
import signal, socket, sys
listener = socket.create_server((sys.argv[1], int(sys.argv[2])), backlog=int(sys.argv[3]))
print('ready', flush=True)
signal.pause()
";

/// Connects so many times, without waiting for answers if the fourth argument says so, and holds what it gets.
pub(super) const CONNECTS: &str = "
import signal, socket, sys
held = []
for _ in range(int(sys.argv[3])):
    client = socket.socket()
    client.setblocking(len(sys.argv) == 4)
    error = client.connect_ex((sys.argv[1], int(sys.argv[2])))
    if error in (0, 115):
        held.append(client)
print('ready', flush=True)
signal.pause()
";

/// Accepts connections, and reads nothing of them.
pub(super) const READS_NOTHING: &str = "
import socket, sys
listener = socket.create_server((sys.argv[1], int(sys.argv[2])))
print('ready', flush=True)
kept = []
while True:
    kept.append(listener.accept()[0])
";

/// Has a namespace drop, or reject in a certain way, segments that match.
pub(super) fn rule(place: &Place, words: &str) {
    let table = format!("table ip t {{ chain c {{ type filter hook input priority 0; {words}; }}; }}");
    run(place.command("nft").arg(table));
}

/// Waits until something listens at a port.
pub(super) fn wait_for_listener(place: &Place, port: u16) {
    let port = format!(":{port} ");
    until("a listener", || run(place.command("ss").arg("-ltn")).contains(&port).then_some(()));
}
