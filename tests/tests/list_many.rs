//! `tracer list` of more than ten thousand sockets of all kinds, beside `ss` and netstat: field by field.

use std::collections::BTreeSet;

use tests::{
    listed::{
        STATES, bytes, compare, compare_rests, inet_of_list, inet_of_netstat, json, latin, list, rests,
        rests_by_ss, told, told_by_ss, unix_of_list, unix_of_netstat,
    },
    patience::until,
    place::Place,
    sockets::{HOSTILE, many_mixed},
    story::{Line, text},
};

/// Connections of each family, of which both ends are here.
const CONNECTIONS: usize = 1_050;

const AT_LEAST: usize = 10_000;

/// Each list of one tool stands between two of the other: what changes meanwhile is compared another time.
#[test]
fn fields_of_many_sockets_are_those_of_ss_and_netstat() {
    let (place, folder) = (Place::new(), tempfile::tempdir().unwrap());
    let _kept = many_mixed(&place, folder.path(), CONNECTIONS);
    let all = json(&place, "-tuxanpeoi");
    assert!(all.len() > AT_LEAST, "{}", all.len());
    all_kinds_are_there(&all);

    compare(|| told_by_ss(&bytes(&place, "ss", "-tuxanpeOHoi")), || told(&json(&place, "-tuxanpeoi")));
    let timers = || rests_by_ss(&bytes(&place, "ss", "-tuaneOHo"));
    let (before, own, after) = (timers(), rests(&json(&place, "-tuano")), timers());
    assert!(compare_rests(&before, &own, &after) > CONNECTIONS / 2, "{}", own.len());
    sorted_lists_are_equal(
        || latin(&bytes(&place, "netstat", "-tuanpW")).lines().skip(2).map(inet_of_netstat).collect(),
        || list(&place, "-tuanp").out.lines().skip(1).map(inet_of_list).collect(),
    );
    // The hostile name forges a line of netstat's, of a socket that nobody holds.
    let is_forged = |fields: &Vec<String>| fields[0] == "9" && fields[4] == "1";
    sorted_lists_are_equal(
        || {
            let out = latin(&bytes(&place, "netstat", "-xanpW"));
            out.lines().filter_map(unix_of_netstat).filter(|fields| !is_forged(fields)).collect()
        },
        || json(&place, "-xap").iter().map(unix_of_list).collect(),
    );
}

fn sorted_lists_are_equal(other: impl Fn() -> Vec<Vec<String>>, list: impl Fn() -> Vec<Vec<String>>) {
    let sorted = |mut list: Vec<Vec<String>>| {
        list.sort();
        list
    };
    let mut before = sorted(other());
    until("two lists without an event between them", || {
        let (list, after) = (sorted(list()), sorted(other()));
        let is_same = before == after;
        before = after;
        is_same.then(|| {
            let differing = list.iter().zip(&before).find(|(list, other)| list != other);
            assert_eq!((list.len(), differing), (before.len(), None));
        })
    });
}

fn all_kinds_are_there(all: &[Line]) {
    for family in ["ipv4", "ipv6"] {
        let of_family = all.iter().filter(|line| line["family"] == family && line["protocol"] == "tcp");
        let states: BTreeSet<_> = of_family.map(|line| text(line, "state")).collect();
        let missing = STATES[..10].iter().find(|state| !states.contains(*state));
        assert_eq!(missing, None, "{family}: {states:?}");
    }
    let unix = all.iter().filter(|line| line["protocol"] == "unix");
    let kinds: BTreeSet<_> = unix.map(|line| (text(line, "type"), text(line, "state"))).collect();
    for kind in [("STREAM", "LISTENING"), ("STREAM", "CONNECTED"), ("SEQPACKET", "LISTENING"), ("DGRAM", "")]
    {
        assert!(kinds.contains(&kind), "{kinds:?}");
    }
    let udp = all.iter().filter(|line| line["protocol"] == "udp");
    let peers: BTreeSet<_> = udp.map(|line| line["remote_port"].is_u64()).collect();
    assert_eq!(peers, BTreeSet::from([false, true]));
    let forged = HOSTILE.rsplit(' ').next().unwrap();
    let hostile = all.iter().filter(|line| line["path"].as_str().is_some_and(|path| path.contains(forged)));
    assert_eq!(hostile.count(), 1);
}
