//! Checks owner, role and reason of connections of which all of that is known in advance.

use std::{collections::BTreeMap, net::IpAddr, process};

use guest::Found;
use tests::{
    facts,
    place::Place,
    program::Program,
    story::{self, Line, text},
    tracer,
    traffic::{Scenario, actor, play as go},
};

use crate::oracle::Oracle;

/// Scenarios with the role, reason and last state that tracer has to report for each side.
const ENDS: [(Scenario, &[&str]); 5] = [
    (Scenario::ServerCloses, &["client fin-remote CLOSE", "server fin-local TIME_WAIT"]),
    (Scenario::Refused, &["client refused CLOSE"]),
    (Scenario::Reset, &["client reset-local-linger CLOSE", "server reset-remote CLOSE"]),
    (Scenario::Unread, &["client reset-remote CLOSE", "server reset-local-unread CLOSE"]),
    (Scenario::NeverAccepted, &["client reset-remote CLOSE", "server never-accepted CLOSE"]),
];

const ADDRESSES: [&str; 2] = ["127.77.0.1", "fd77::1"];
/// Addresses in the other namespace.
const ACROSS: [&str; 2] = ["10.77.0.2", "fd77:1::2"];
/// Attempts to get a capture without lost events.
const TRIES: usize = 4;
/// Connections from one process to another across the namespaces.
const ASKED: usize = 3;

/// Makes the connections and compares. A capture with lost events cannot be compared; then it tries again.
pub(crate) fn play() -> Found {
    (0..TRIES).find_map(|_| attempt()).expect("a capture without losses")
}

fn attempt() -> Option<Found> {
    let (left, right) = Place::pair();
    let oracle = Oracle::start();
    let tracer = tracer::start("-o json");
    let mut expected = BTreeMap::new();
    let mut expect = |story: String, count| *expected.entry(story).or_default() += count;
    for address in ADDRESSES {
        let address: IpAddr = address.parse().expect("an address");
        for (scenario, ends) in ENDS {
            left.run(|| go(scenario, address));
            for end in ends {
                expect(format!("{end} of {} (init)", process::id()), 1);
            }
        }
    }
    for address in ACROSS {
        let (client, server) = ask(&left, &right, address);
        expect(format!("client fin-local TIME_WAIT of {client} (asker)"), ASKED);
        expect(format!("server fin-remote CLOSE of {server} (answerer)"), ASKED);
    }
    oracle.wait_until_quiet();
    let ended = tracer.interrupt();
    assert_eq!(ended.code(), 0, "{}", ended.err);
    if tracer::receipt(&ended, "lost") > 0 {
        return None;
    }
    let lines = story::lines(&ended.out);
    let mut told = BTreeMap::new();
    for line in lines.iter().filter(|line| !line["reason"].is_null()) {
        *told.entry(shown(line)).or_default() += 1;
    }
    for lines in story::by_socket(&lines).into_values().filter(|lines| text(lines[0], "role") == "server") {
        let path = story::path(&lines);
        assert_eq!(path[..2], ["LISTEN>SYN_RECV", "SYN_RECV>ESTABLISHED"], "{lines:#?}");
        assert!(!lines[0]["remote_port"].is_null(), "{}", lines[0]);
    }
    let differences = facts::differences(&told, &expected);
    if !differences.is_empty() {
        // The whole output is too long for a report, but not for the console.
        eprintln!("{}", ended.out);
        panic!("tracer reports other ends: {differences:#?}");
    }
    Some(Found::Story { connections: told.values().sum() })
}

/// Makes connections between a client in `from` and a server in `to`. Returns the process ids of both.
fn ask(from: &Place, to: &Place, address: &str) -> (u32, u32) {
    let mut server = Program::collect(to.command(actor()).args(["answer", "answerer", address]));
    server.wait_for_out("the server's port", |out| out.ends_with('\n'));
    let words = ["ask", "asker", address, server.out().trim(), &ASKED.to_string()].map(str::to_owned);
    let client = Program::collect(from.command(actor()).args(words));
    let pid = client.pid();
    assert!(client.wait().status.success(), "the client failed");
    (pid, server.pid())
}

/// Role, reason, last state and owner, in the format of the expected ends.
fn shown(line: &Line) -> String {
    let (role, reason, state) = (text(line, "role"), text(line, "reason"), text(line, "new_state"));
    format!("{role} {reason} {state} of {} ({})", line["pid"], text(line, "comm"))
}
