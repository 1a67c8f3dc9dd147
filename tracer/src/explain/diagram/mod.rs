//! The diagram of the states: one table for the terminal, for the documentation and for look-ups.
//!
//! # Layout
//! - here: the table of boxes and arrows; [`terminal`]: drawn in text; [`svg`]: the picture in the documentation and in
//!   pages

pub mod svg;
pub mod terminal;

use tracer_common::state as number;

/// A place in the diagram: a column and a row of the terminal.
type Cell = (usize, usize);

/// Where a state is drawn.
struct StateBox {
    state: u8,
    /// The middle of its name.
    at: Cell,
}

const fn state_box(state: u8, at: Cell) -> StateBox {
    StateBox { state, at }
}

/// The boxes. CLOSE is the beginning and the end.
const BOXES: [StateBox; 12] = [
    state_box(CLOSE, (38, 0)),
    state_box(LISTEN, (18, 3)),
    state_box(SYN_SENT, (58, 3)),
    state_box(SYN_RECV, (18, 6)),
    state_box(ESTABLISHED, (38, 9)),
    state_box(FIN_WAIT1, (18, 13)),
    state_box(CLOSE_WAIT, (62, 13)),
    state_box(FIN_WAIT2, (18, 16)),
    state_box(CLOSING, (38, 16)),
    state_box(LAST_ACK, (62, 16)),
    state_box(TIME_WAIT, (38, 19)),
    state_box(CLOSE, (62, 19)),
];

/// A change from one state to another.
pub(super) struct Arrow {
    pub(super) old: u8,
    pub(super) new: u8,
    /// What makes it happen: a call, or a segment that comes.
    by: &'static str,
    by_at: Cell,
    /// Its corners from box to box; none if it is not drawn.
    path: &'static [Cell],
}

const fn drawn(old: u8, new: u8, path: &'static [Cell], by: &'static str, by_at: Cell) -> Arrow {
    Arrow { old, new, by, by_at, path }
}

const fn not_drawn(old: u8, new: u8) -> Arrow {
    Arrow { old, new, by: "", by_at: (0, 0), path: &[] }
}

use number::{
    CLOSE, CLOSE_WAIT, CLOSING, ESTABLISHED, FIN_WAIT1, FIN_WAIT2, LAST_ACK, LISTEN, NEW_SYN_RECV, SYN_RECV,
    SYN_SENT, TIME_WAIT,
};

/// All transitions that Linux makes, as tracer tells them.
pub(super) const ARROWS: [Arrow; 26] = [
    drawn(CLOSE, LISTEN, &[(34, 0), (18, 0), (18, 2)], "listen()", (8, 1)),
    drawn(CLOSE, SYN_SENT, &[(42, 0), (58, 0), (58, 2)], "connect()", (60, 1)),
    drawn(LISTEN, SYN_RECV, &[(18, 4), (18, 5)], "SYN", (20, 4)),
    drawn(SYN_SENT, SYN_RECV, &[(56, 4), (56, 6), (24, 6)], "SYN", (38, 5)),
    drawn(SYN_SENT, ESTABLISHED, &[(62, 4), (62, 9), (46, 9)], "SYN-ACK", (64, 6)),
    drawn(SYN_RECV, ESTABLISHED, &[(18, 7), (18, 9), (30, 9)], "ACK", (20, 8)),
    drawn(ESTABLISHED, FIN_WAIT1, &[(35, 10), (35, 11), (18, 11), (18, 12)], "close()", (20, 10)),
    drawn(ESTABLISHED, CLOSE_WAIT, &[(41, 10), (41, 11), (62, 11), (62, 12)], "FIN", (58, 10)),
    drawn(FIN_WAIT1, FIN_WAIT2, &[(18, 14), (18, 15)], "ACK", (20, 14)),
    drawn(FIN_WAIT1, CLOSING, &[(25, 13), (38, 13), (38, 15)], "FIN", (30, 12)),
    drawn(FIN_WAIT2, TIME_WAIT, &[(18, 17), (18, 19), (31, 19)], "FIN", (20, 18)),
    drawn(CLOSING, TIME_WAIT, &[(38, 17), (38, 18)], "ACK", (40, 17)),
    drawn(CLOSE_WAIT, LAST_ACK, &[(62, 14), (62, 15)], "close()", (64, 14)),
    drawn(LAST_ACK, CLOSE, &[(62, 17), (62, 18)], "ACK", (64, 17)),
    drawn(TIME_WAIT, CLOSE, &[(45, 19), (57, 19)], "60 s", (49, 18)),
    // With TCP Fast Open.
    not_drawn(SYN_RECV, FIN_WAIT1),
    not_drawn(SYN_RECV, CLOSE_WAIT),
    // Listeners, half-open connections, and what does not end in order.
    not_drawn(LISTEN, CLOSE),
    not_drawn(NEW_SYN_RECV, CLOSE),
    not_drawn(SYN_SENT, CLOSE),
    not_drawn(SYN_RECV, CLOSE),
    not_drawn(ESTABLISHED, CLOSE),
    not_drawn(FIN_WAIT1, CLOSE),
    not_drawn(FIN_WAIT2, CLOSE),
    not_drawn(CLOSING, CLOSE),
    not_drawn(CLOSE_WAIT, CLOSE),
];

/// The states that Linux goes to from this one.
pub(super) fn after(old: u8) -> impl Iterator<Item = u8> {
    ARROWS.iter().filter(move |arrow| arrow.old == old).map(|arrow| arrow.new)
}

/// A half-open connection stands where SYN_RECV does: RFC 9293 has one state for both.
const fn drawn_as(state: u8) -> u8 {
    if state == NEW_SYN_RECV { SYN_RECV } else { state }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{
        explain::{
            texts::{Language, Texts},
            topic::Topic,
        },
        tcp::state::State,
    };

    fn name(arrow: &Arrow) -> String {
        format!("{}:{}", State::from_kernel(arrow.old), State::from_kernel(arrow.new))
    }

    #[test]
    fn every_transition_has_an_entry_and_no_other_has() {
        let texts = Texts::read(Language::ENGLISH).unwrap();
        let told: BTreeSet<String> =
            texts.words(Topic::Transition).map(|(word, _)| word.to_owned()).collect();
        let made: BTreeSet<String> = ARROWS.iter().map(name).collect();
        assert_eq!(told, made);
        assert_eq!(made.len(), ARROWS.len());
    }

    /// RFC 9293, figure 5, as Linux makes it, and every RST, timeout and abort. Linux does not make LISTEN -> SYN_SENT
    /// (EISCONN) and SYN_RECV -> LISTEN (the listener never left); it goes from FIN_WAIT1 to TIME_WAIT by FIN_WAIT2.
    #[test]
    fn the_transitions_of_the_rfc_are_there() {
        let rfc = [
            (CLOSE, LISTEN),
            (CLOSE, SYN_SENT),
            (LISTEN, SYN_RECV),
            (LISTEN, CLOSE),
            (SYN_SENT, SYN_RECV),
            (SYN_SENT, ESTABLISHED),
            (SYN_SENT, CLOSE),
            (SYN_RECV, ESTABLISHED),
            (SYN_RECV, FIN_WAIT1),
            (SYN_RECV, CLOSE_WAIT),
            (ESTABLISHED, FIN_WAIT1),
            (ESTABLISHED, CLOSE_WAIT),
            (FIN_WAIT1, FIN_WAIT2),
            (FIN_WAIT1, CLOSING),
            (FIN_WAIT2, TIME_WAIT),
            (CLOSING, TIME_WAIT),
            (TIME_WAIT, CLOSE),
            (CLOSE_WAIT, LAST_ACK),
            (LAST_ACK, CLOSE),
        ];
        for (old, new) in rfc {
            assert!(after(old).any(|other| other == new), "{old} {new}");
        }
        for state in (ESTABLISHED..=NEW_SYN_RECV).filter(|state| *state != CLOSE) {
            assert!(after(state).any(|new| new == CLOSE), "RST, timeout or abort in {state}");
        }
        for (old, new) in
            [(LISTEN, SYN_SENT), (SYN_RECV, LISTEN), (FIN_WAIT1, TIME_WAIT), (ESTABLISHED, TIME_WAIT)]
        {
            assert!(after(old).all(|other| other != new), "{old} {new}");
        }
    }

    /// The transitions that tests provoke on the real kernel.
    #[test]
    fn what_the_kernel_was_seen_to_do_is_there() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/tests");
        let made: BTreeSet<String> = ARROWS.iter().map(name).collect();
        let mut seen = BTreeSet::new();
        for file in ["states.rs", "reasons.rs", "timewait.rs"] {
            let source = std::fs::read_to_string(format!("{folder}/{file}")).unwrap();
            let words = source.split('"').filter(|word| word.contains('>'));
            let pairs = words.filter_map(|word| word.split_once('>'));
            let states =
                |(old, new): (&str, &str)| Some((old.parse::<State>().ok()?, new.parse::<State>().ok()?));
            seen.extend(pairs.filter_map(states).map(|(old, new)| format!("{old}:{new}")));
        }
        assert!(seen.len() >= 20, "the tests are not there: {seen:?}");
        assert_eq!(seen.difference(&made).collect::<Vec<_>>(), [""; 0]);
    }

    #[test]
    fn every_state_has_a_box_and_arrows_meet_them() {
        for state in ESTABLISHED..=NEW_SYN_RECV {
            assert!(BOXES.iter().any(|state_box| state_box.state == drawn_as(state)), "{state}");
        }
        for arrow in ARROWS.iter().filter(|arrow| !arrow.path.is_empty()) {
            for (end, state) in [(arrow.path[0], arrow.old), (arrow.path[arrow.path.len() - 1], arrow.new)] {
                let half = State::from_kernel(state).to_string().len() / 2 + 3;
                let is_near = |at: Cell| end.1.abs_diff(at.1) <= 1 && end.0.abs_diff(at.0) <= half;
                let boxes = BOXES.iter().filter(|state_box| state_box.state == state);
                assert!(boxes.into_iter().any(|state_box| is_near(state_box.at)), "{} {end:?}", name(arrow));
            }
            let straight = |pair: &[Cell]| pair[0].0 == pair[1].0 || pair[0].1 == pair[1].1;
            assert!(arrow.path.windows(2).all(straight), "{}", name(arrow));
        }
    }
}
