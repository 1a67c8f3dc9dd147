//! Whatever comes, in whatever order: no panic, no duration that cannot be, no connection that
//! ends twice, no memory without bound.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;
use tracer::{
    facts::snapshot::{Snapshot, TimewaitSample},
    tcp::{endpoint::Tuple, netns::NetnsId, state::is_birth},
    track::{Tracker, Transition},
};
use tracer_common::{
    Event,
    event::{AF_INET, REST_UNKNOWN, TimewaitSocket, flag, kind},
    state,
};
use zerocopy::FromZeros as _;

/// What can be done to the tracker.
#[derive(Clone, Debug)]
enum Step {
    Event(Event),
    Snapshot(Vec<Event>),
    TimewaitSample { from_ns: u64, found: Vec<(u64, u8)>, is_gone: bool },
    Retire { from_ns: u64, found: Vec<u64> },
    Lost(u64),
}

/// Few sockets and few ports, so that things collide.
const COOKIES: u64 = 6;
const TIMES: u64 = 1_000_000;

fn any_event() -> impl Strategy<Value = Event> {
    (
        (1..=COOKIES, 0..TIMES, 0_u8..15, 0_u8..15),
        (
            0_u16..3,
            0_u16..3,
            0_u16..128,
            prop_oneof![Just(0_u16), Just(104), Just(110), Just(103), any::<u16>()],
        ),
        (0_u32..3, 0_u32..2, any::<u32>(), any::<u32>()),
        // Mostly transitions.
        (prop_oneof![4 => Just(0_u8), 1 => 1..=kind::LAST], any::<u8>(), any::<bool>()),
    )
        .prop_map(
            |(
                (cookie, time_ns, old, new),
                (local, remote, flags, error),
                (pid, netns, recv, srtt),
                (kind, detail, is_bare),
            )| {
                let mut event = Event::new_zeroed();
                event.cookie = cookie;
                event.time_ns = time_ns;
                event.old_state = old;
                event.new_state = new;
                event.local_port = local;
                event.remote_port = remote;
                event.flags = flags;
                event.error = error;
                event.pid = pid;
                event.netns = netns;
                event.recv_queue = recv;
                event.srtt_us = srtt;
                event.family = AF_INET;
                event.kind = kind;
                event.detail = detail;
                if kind != kind::TRANSITION {
                    event.new_state = event.old_state;
                    event.flags |= if is_bare { flag::BARE } else { 0 };
                }
                event
            },
        )
}

/// A life as the kernel tells it, before anything is done to it.
const LIVES: [&[(u8, u8)]; 4] = [
    &[
        (state::CLOSE, state::SYN_SENT),
        (state::SYN_SENT, state::ESTABLISHED),
        (state::ESTABLISHED, state::FIN_WAIT1),
        (state::FIN_WAIT1, state::FIN_WAIT2),
        (state::FIN_WAIT2, state::CLOSE),
    ],
    &[
        (state::LISTEN, state::SYN_RECV),
        (state::SYN_RECV, state::ESTABLISHED),
        (state::ESTABLISHED, state::CLOSE_WAIT),
        (state::CLOSE_WAIT, state::LAST_ACK),
        (state::LAST_ACK, state::CLOSE),
    ],
    &[(state::CLOSE, state::LISTEN), (state::LISTEN, state::CLOSE)],
    &[(state::CLOSE, state::SYN_SENT), (state::SYN_SENT, state::CLOSE)],
];

fn any_life() -> impl Strategy<Value = Vec<Event>> {
    (any_event(), 0..LIVES.len(), 1_u64..1000).prop_map(|(first, life, pace)| {
        let mut events = Vec::new();
        let flags = first.flags & !flag::BARE;
        let mut event = Event { error: 0, kind: kind::TRANSITION, flags, ..first };
        for (old_state, new_state) in LIVES[life] {
            event.old_state = *old_state;
            event.new_state = *new_state;
            events.push(event);
            event.time_ns += pace;
        }
        events
    })
}

/// Lives, of which some events are dropped, doubled or moved.
fn any_stream() -> impl Strategy<Value = Vec<Step>> {
    let lives =
        prop::collection::vec((any_life(), prop::collection::vec(0_u8..8, 5)), 0..12).prop_map(|lives| {
            let mut events = Vec::new();
            for (life, fates) in lives {
                for (event, fate) in life.into_iter().zip(fates) {
                    match fate {
                        0 => {}
                        1 => events.extend([event, event]),
                        2 => events.insert(events.len() / 2, event),
                        _ => events.push(event),
                    }
                }
            }
            events.into_iter().map(Step::Event).collect::<Vec<_>>()
        });
    let other = prop_oneof![
        3 => any_event().prop_map(Step::Event),
        1 => prop::collection::vec(any_event(), 0..4).prop_map(Step::Snapshot),
        1 => (0..TIMES, prop::collection::vec((1..=COOKIES, 0_u8..15), 0..4), any::<bool>())
            .prop_map(|(from_ns, found, is_gone)| Step::TimewaitSample { from_ns, found, is_gone }),
        1 => (0..TIMES, prop::collection::vec(1..=COOKIES, 0..4))
            .prop_map(|(from_ns, found)| Step::Retire { from_ns, found }),
        1 => (0..TIMES).prop_map(Step::Lost),
    ];
    (lives, prop::collection::vec(other, 0..40), any::<u64>()).prop_map(|(mut steps, others, seed)| {
        let mut random = fastrand::Rng::with_seed(seed);
        for other in others {
            steps.insert(random.usize(..=steps.len()), other);
        }
        steps
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    #[test]
    fn nothing_impossible_is_told(
        steps in any_stream(),
        follows in any::<bool>(),
        is_told in any::<bool>(),
    ) {
        let mut tracker = Tracker::new(follows).with_timewait_hook(is_told);
        let mut ends: HashMap<u64, usize> = HashMap::new();
        let mut told: Vec<Transition> = Vec::new();
        for step in steps {
            told.clear();
            let mut tell = |transition: &Transition| told.push(*transition);
            match step {
                Step::Event(event) => {
                    if is_birth(event.old_state, event.new_state) {
                        ends.remove(&event.cookie);
                    }
                    let before = tracker.len();
                    tracker.event(&event, &mut tell);
                    let begins = matches!(event.kind, kind::TRANSITION | kind::REQUEST);
                    prop_assert!(begins || tracker.len() <= before, "begun by {event:?}");
                }
                Step::Snapshot(sockets) => {
                    // A socket's states are the same by definition.
                    let sockets: Vec<_> =
                        sockets.into_iter().map(|event| Event { old_state: event.new_state, ..event }).collect();
                    tracker.merge_snapshot(&sockets);
                }
                Step::TimewaitSample { from_ns, found, is_gone } => {
                    let netns = HashSet::from([NetnsId::new(0, 0)]);
                    let gone = if is_gone { HashSet::from([NetnsId::new(1, 0)]) } else { HashSet::new() };
                    let sockets =
                        found.into_iter().map(|(cookie, state)| TimewaitSocket { cookie, state: state.into(), rest_jiffies: REST_UNKNOWN }).collect();
                    let sample = TimewaitSample { from_ns, sockets, netns, gone, ..TimewaitSample::default() };
                    tracker.sample(&sample, from_ns, &mut tell);
                }
                Step::Retire { from_ns, found } => {
                    let sockets = found.into_iter().map(|cookie| Event { cookie, ..Event::new_zeroed() });
                    tracker.retire(&Snapshot {
                        during_ns: (from_ns, from_ns),
                        sockets: sockets.collect(),
                        netns: [0].into(),
                        // Another namespace is out of reach: nothing is said of it.
                        unreached: [1].into(),
                        ..Snapshot::default()
                    });
                }
                Step::Lost(until_ns) => tracker.lost(until_ns),
            }
            for transition in &told {
                let span_ns = 2 * TIMES;
                prop_assert!(transition.state_ns.is_none_or(|ns| ns <= span_ns), "{transition:?}");
                prop_assert!(transition.error_ns <= span_ns, "{transition:?}");
                if transition.reason.is_some() {
                    let ends = ends.entry(transition.connection.cookie).or_default();
                    *ends += 1;
                    prop_assert!(*ends == 1, "ends {ends} times: {transition:?}");
                }
            }
        }
        prop_assert!(tracker.len() as u64 <= COOKIES);
        let cookies: HashSet<u64> = tracker.iter().map(|connection| connection.cookie).collect();
        prop_assert_eq!(cookies.len(), tracker.len());
    }
}

/// A million connections that come and go leave nothing behind.
#[test]
fn memory_does_not_grow_with_what_is_over() {
    let mut tracker = Tracker::new(false);
    for cookie in 1..=1_000_000 {
        for (index, (old_state, new_state)) in LIVES[1].iter().enumerate() {
            let mut event = Event::new_zeroed();
            event.family = AF_INET;
            event.cookie = cookie;
            event.time_ns = cookie * 10 + index as u64;
            event.old_state = *old_state;
            event.new_state = *new_state;
            tracker.event(&event, &mut |_| {});
        }
        assert!(tracker.len() <= 1);
    }
    assert!(tracker.is_empty());
    assert_eq!(Tuple::default(), Tuple::of(&Event::new_zeroed()));
}
