//! Checks that `summary --in-kernel` counts connections for the right port.

use std::net::Shutdown;

use guest::Found;
use tests::{
    place::Place,
    story::{self, Line},
    tracer,
    traffic::{connect, listen, wait_for_end},
};

const ADDRESS: [u8; 4] = [127, 77, 61, 1];
const CONNECTIONS: u64 = 10;
/// Transitions of each side of a connection: one into SYN_SENT or SYN_RECV, one into ESTABLISHED, and three
/// of the close.
const STEPS: u64 = 5;
/// Attempts to get a summary without lost events.
const TRIES: usize = 4;

/// Makes connections to a port, and checks its counts.
pub(crate) fn play() -> Found {
    (0..TRIES).find_map(|_| attempt()).expect("a summary without losses")
}

fn attempt() -> Option<Found> {
    let place = Place::new();
    let tracer = tracer::start(&format!(
        "summary --in-kernel --by port -o json --interval 1h --netns {}",
        place.name()
    ));
    let port = place.run(|| {
        let listener = listen(ADDRESS.into(), 0);
        let address = listener.local_addr().expect("an address");
        for _ in 0..CONNECTIONS {
            let mut client = connect(address).expect("a listener");
            let (mut server, _) = listener.accept().expect("a client");
            // Not closed, so that the process keeps the socket: an orphan may become a timewait socket, whose
            // changes have no event.
            server.shutdown(Shutdown::Write).expect("a connection");
            wait_for_end(&mut client);
            drop(client);
            wait_for_end(&mut server);
        }
        address.port()
    });
    let ended = tracer.interrupt();
    assert_eq!(ended.code(), 0, "{}", ended.err);
    let reports = story::lines(&ended.out);
    let report = reports.last().expect("a report");
    if report["lost"].as_u64() != Some(0) {
        return None;
    }
    let rows = report["top"][0]["rows"].as_array().expect("rows");
    // The listener has two transitions of its own: into LISTEN, and out of it.
    for (side, more) in [("local", 2), ("remote", 0)] {
        let is_its =
            |row: &&Line| story::text(row, "side") == side && row["port"].as_u64() == Some(port.into());
        let row = rows.iter().find(is_its).unwrap_or_else(|| panic!("no {side} port {port}: {report}"));
        let counts = ["begun", "ended", "transitions"].map(|key| row[key].as_u64());
        assert_eq!(
            counts,
            [CONNECTIONS, CONNECTIONS, STEPS * CONNECTIONS + more].map(Some),
            "{side}: {report}"
        );
        assert!(!row["established_p50_us"].is_null(), "{side}: {report}");
    }
    Some(Found::InKernel { connections: CONNECTIONS })
}
