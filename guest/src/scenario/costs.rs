//! CPU time of tracer's kernel programs, as the kernel counts it. Several rounds make the same traffic, and
//! the median counts. The first round is a warm-up.

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

/// Turns the kernel's run statistics on and off.
const STATISTICS: &str = "/proc/sys/kernel/bpf_stats_enabled";
/// Rounds, including the first one, which does not count.
const ROUNDS: usize = 4;
/// Connections in a round.
const COUNT: u64 = 150;
/// Programs that ran less often in a round are left out: their figures mean nothing.
const ENOUGH: u64 = 100;
/// The program that reports the end of timewait sockets. The kernel keeps only this part of its name.
const KILL: &str = "inet_twsk_kill";

const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 77, 61, 1));

/// Runs the rounds.
pub(crate) fn play() -> Found {
    fs::write(STATISTICS, "1").expect("a setting");
    let tells_ends = is_used(&checked().out, TIMEWAIT);
    let tracer = tracer::start("-o json");
    let round = || {
        let before = runs(&held(tracer.pid()), KILL);
        traffic();
        // The kernel removes the timewait sockets of a deleted namespace in the background.
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

/// Makes connections that end in TIME_WAIT, and as many that are refused, in a namespace that is then
/// deleted.
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

/// What a round has added, for programs that ran often enough.
fn difference(before: &[Cost], after: &[Cost]) -> Vec<Cost> {
    let before: HashMap<u64, &Cost> = before.iter().map(|cost| (cost.id, cost)).collect();
    let added = after.iter().filter_map(|cost| {
        let before = before.get(&cost.id)?;
        let (runs, nanoseconds) = (cost.runs - before.runs, cost.nanoseconds - before.nanoseconds);
        Some(Cost { runs, nanoseconds, ..cost.clone() })
    });
    added.filter(|cost| cost.runs >= ENOUGH).collect()
}

/// For each program the median round, because a program may have been interrupted while it was timed.
fn medians(rounds: &[Vec<Cost>]) -> Vec<Cost> {
    let median = |one: &Cost| {
        let mut all: Vec<_> = rounds.iter().flatten().filter(|cost| cost.id == one.id).collect();
        all.sort_by_key(|cost| cost.nanoseconds / cost.runs);
        all[all.len() / 2].clone()
    };
    rounds.first().into_iter().flatten().map(median).collect()
}
