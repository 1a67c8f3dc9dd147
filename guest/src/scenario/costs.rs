//! What tracer's programs take of the processor, as the kernel counts it: the median of equal rounds behind
//! a first one, in which much happens for the first time.

use std::{collections::HashMap, fs, net::IpAddr};

use guest::{Cost, Found};
use tests::{
    patience::until,
    place::Place,
    tracer,
    traffic::{connect, listen, wait_for_end},
};

use crate::{
    programs::held,
    scenario::{
        check::checked,
        hooks::{TIMEWAIT, is_used},
    },
};

/// Whether the kernel counts.
const STATISTICS: &str = "/proc/sys/kernel/bpf_stats_enabled";
/// Rounds, of which the first does not count.
const ROUNDS: usize = 4;
/// Connections in a round.
const COUNT: u64 = 150;
/// A program that ran less often says nothing.
const ENOUGH: u64 = 100;
/// The program at the end of timewait sockets, as the kernel shortens its name.
const KILL: &str = "inet_twsk_kill";

const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 77, 61, 1));

/// The rounds.
pub(crate) fn play() -> Found {
    fs::write(STATISTICS, "1").expect("a setting");
    let tells_ends = is_used(&checked().out, TIMEWAIT);
    let tracer = tracer::start("-o json");
    let round = || {
        let before = runs(&held(tracer.pid()), KILL);
        traffic();
        // The kernel clears a namespace's timewait sockets away when it comes to it.
        until("the ends of timewait sockets", || {
            let held = held(tracer.pid());
            (!tells_ends || runs(&held, KILL) >= before + COUNT).then_some(held)
        })
    };
    let rounds: Vec<_> = (0..ROUNDS).map(|_| round()).collect();
    fs::write(STATISTICS, "0").expect("a setting");
    let ended = tracer.interrupt();
    assert_eq!(ended.code(), 0, "{}", ended.err);
    let added: Vec<_> = rounds.windows(2).map(|pair| difference(&pair[0], &pair[1])).collect();
    Found::Costs(medians(&added))
}

/// Connections that end in TIME_WAIT, and some that are refused; then all of it goes.
fn traffic() {
    let place = Place::new();
    place.run(|| {
        let listener = listen(ADDRESS, 0);
        let to = listener.local_addr().expect("an address");
        for _ in 0..COUNT {
            let client = connect(to).expect("a listener");
            let (mut server, _) = listener.accept().expect("a client");
            drop(client);
            wait_for_end(&mut server);
        }
        drop(listener);
        for _ in 0..COUNT {
            connect(to).expect_err("nobody listens");
        }
    });
}

fn runs(held: &[Cost], program: &str) -> u64 {
    held.iter().find(|cost| cost.program == program).map_or(0, |cost| cost.runs)
}

/// What a round has added, of programs that ran often enough.
fn difference(before: &[Cost], after: &[Cost]) -> Vec<Cost> {
    let before: HashMap<u64, &Cost> = before.iter().map(|cost| (cost.id, cost)).collect();
    let added = after.iter().filter_map(|cost| {
        let before = before.get(&cost.id)?;
        let (runs, nanoseconds) = (cost.runs - before.runs, cost.nanoseconds - before.nanoseconds);
        Some(Cost { runs, nanoseconds, ..cost.clone() })
    });
    added.filter(|cost| cost.runs >= ENOUGH).collect()
}

/// A round may have been held up in the middle of a program; of each program the middle one.
fn medians(rounds: &[Vec<Cost>]) -> Vec<Cost> {
    let median = |one: &Cost| {
        let mut all: Vec<_> = rounds.iter().flatten().filter(|cost| cost.id == one.id).collect();
        all.sort_by_key(|cost| cost.nanoseconds / cost.runs);
        all[all.len() / 2].clone()
    };
    rounds.first().into_iter().flatten().map(median).collect()
}
