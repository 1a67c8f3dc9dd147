//! Compares the events of tracer with those of an oracle, without regard to their order.

use std::collections::BTreeMap;

use crate::event::{Event, transition};

/// How often each event occurred. The key is the text of all fields that have to agree.
pub type Facts = BTreeMap<String, usize>;

/// Counts equal events.
pub fn count<'a>(events: impl IntoIterator<Item = &'a Event>) -> Facts {
    let mut facts = Facts::new();
    for event in events {
        let fact = format!(
            "pid {:?} {} {} {:?}:{:?} {:?}:{:?}",
            event.pid,
            transition(event),
            event.family,
            event.local_addr,
            event.local_port,
            event.remote_addr,
            event.remote_port
        );
        *facts.entry(fact).or_default() += 1;
    }
    facts
}

/// Events that occur more often on one side than on the other.
pub fn differences(ours: &Facts, theirs: &Facts) -> Vec<String> {
    let missing = theirs.iter().filter(|(fact, _)| !ours.contains_key(*fact));
    ours.iter()
        .map(|(fact, count)| (fact, *count, theirs.get(fact).copied().unwrap_or(0)))
        .chain(missing.map(|(fact, count)| (fact, 0, *count)))
        .filter(|(_, ours, theirs)| ours != theirs)
        .map(|(fact, ours, theirs)| format!("tracer {ours}, oracle {theirs}: {fact}"))
        .collect()
}
