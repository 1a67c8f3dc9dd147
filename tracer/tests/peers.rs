//! A day of traffic with a million different peers: memory stays flat, and the rankings are within
//! the error that they state.

// A panic is how a test says that it failed; addresses and figures are made up.
#![allow(clippy::cast_possible_truncation)]

mod counting;

use std::{collections::HashMap, net::Ipv4Addr};

use clap::ValueEnum as _;
use tracer::{
    aggregate::{
        By,
        totals::{RankingKey, Totals},
    },
    facts::known_names::KnownNames,
    track::Tracker,
};
use tracer_common::{Event, event::AF_INET, state};
use zerocopy::FromZeros as _;

/// Reports of a day, one every ten minutes.
const INTERVALS: u64 = 144;
/// Peers that come once.
const STRANGERS: u64 = 1_000_000;
/// Peers that come again and again: the first the most often.
const REGULARS: u64 = 30;

const LIFE: [(u8, u8); 5] = [
    (state::LISTEN, state::SYN_RECV),
    (state::SYN_RECV, state::ESTABLISHED),
    (state::ESTABLISHED, state::CLOSE_WAIT),
    (state::CLOSE_WAIT, state::LAST_ACK),
    (state::LAST_ACK, state::CLOSE),
];

/// A day: its peers in turn, regulars among strangers.
fn peers() -> impl Iterator<Item = u32> {
    let mut random = fastrand::Rng::with_seed(2);
    (0..STRANGERS).flat_map(move |stranger| {
        let regular = (random.u64(..REGULARS) * random.u64(..REGULARS) / REGULARS) as u32;
        let comes = random.u8(..4) == 0;
        [Some(0x0b00_0000 + stranger as u32), comes.then_some(0x0a00_0000 + regular)].into_iter().flatten()
    })
}

fn live(tracker: &mut Tracker, totals: &mut Totals, cookie: u64, peer: u32) {
    let mut event = Event::new_zeroed();
    event.family = AF_INET;
    event.cookie = cookie;
    event.local_port = 443;
    event.remote_port = 40_000;
    event.local_addr = Ipv4Addr::new(10, 0, 0, 1).to_ipv6_mapped().octets();
    event.remote_addr = Ipv4Addr::from_bits(peer).to_ipv6_mapped().octets();
    for (step, (old_state, new_state)) in (0..).zip(LIFE) {
        event.time_ns = cookie * 80_000_000 + step * 1_000_000;
        (event.old_state, event.new_state) = (old_state, new_state);
        tracker.event(&event, &mut |transition| totals.add(transition, &KnownNames::default()));
    }
}

#[test]
fn a_day_of_a_million_peers() {
    let mut tracker = Tracker::new(false);
    let (mut interval, mut all) = (Totals::new(By::value_variants()), Totals::new(By::value_variants()));
    let mut exact: HashMap<u32, u64> = HashMap::new();
    let mut allocated = Vec::new();
    let mut connections = 0;
    let in_an_interval = STRANGERS * 5 / 4 / INTERVALS;
    for peer in peers() {
        connections += 1;
        live(&mut tracker, &mut interval, connections, peer);
        if peer < 0x0b00_0000 {
            *exact.entry(peer).or_default() += LIFE.len() as u64;
        }
        if connections % in_an_interval == 0 {
            all.absorb(&interval);
            interval.clear();
            allocated.push(counting::allocated());
        }
    }
    all.absorb(&interval);

    // Its tables are full by then.
    let (early, late) = (allocated[allocated.len() / 4], allocated[allocated.len() - 1]);
    println!("{} KiB after a quarter of the day, {} KiB at its end", early >> 10, late >> 10);
    assert!(late < early + early / 50, "{early} bytes after a quarter of the day, {late} at its end");
    assert!(late < 16 << 20, "{late} bytes");

    assert_eq!(all.transitions.iter().flatten().sum::<u64>(), connections * LIFE.len() as u64);
    let ranking = all.rankings.iter().find(|ranking| ranking.by == By::Peer).expect("it was asked for");
    let missing = ranking.shares.missing();
    println!("{connections} connections; up to {missing} transitions are missing from a peer's count");
    assert!(missing > 0 && missing <= 4 * connections * LIFE.len() as u64 / 14_336, "{missing}");
    let heaviest = ranking.shares.highest(10, |share| share.transitions);
    let mut by_weight: Vec<(u64, u32)> = exact.iter().map(|(peer, count)| (*count, *peer)).collect();
    by_weight.sort_unstable();
    for (count, peer) in by_weight.into_iter().rev().take(10) {
        let key = RankingKey::Peer(Some(Ipv4Addr::from_bits(peer).into()));
        let told = heaviest.iter().find(|(told, _)| *told == key).map(|(_, share)| share.transitions);
        let told = told.unwrap_or_else(|| panic!("{peer:x} is not among the heaviest"));
        assert!(told <= count && count <= told + missing, "{told} of {count}, at most {missing} missing");
    }
    let ports = all.rankings.iter().find(|ranking| ranking.by == By::Service).expect("it was asked for");
    assert_eq!(
        (ports.shares.missing(), ports.shares.keys()),
        (0, Some(1)),
        "where there are few, each is exact"
    );
}
