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
    told(uneven(ours, theirs))
}

/// The same, but for so many that tracer has said to have lost: if these are all that it lacks, what it has besides.
pub fn unexplained(ours: &Facts, theirs: &Facts, lost: usize) -> Vec<String> {
    let all = |facts: &Facts| facts.values().sum::<usize>();
    let are_lost = all(ours) + lost == all(theirs);
    told(uneven(ours, theirs).filter(|(_, ours, theirs)| !are_lost || ours > theirs))
}

fn uneven<'a>(ours: &'a Facts, theirs: &'a Facts) -> impl Iterator<Item = (&'a String, usize, usize)> {
    let missing = theirs.iter().filter(|(fact, _)| !ours.contains_key(*fact));
    ours.iter()
        .map(|(fact, count)| (fact, *count, theirs.get(fact).copied().unwrap_or(0)))
        .chain(missing.map(|(fact, count)| (fact, 0, *count)))
        .filter(|(_, ours, theirs)| ours != theirs)
}

fn told<'a>(uneven: impl Iterator<Item = (&'a String, usize, usize)>) -> Vec<String> {
    uneven.map(|(fact, ours, theirs)| format!("tracer {ours}, oracle {theirs}: {fact}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_is_no_difference_and_what_is_made_up_is() {
        let facts =
            |of: &[(&str, usize)]| of.iter().map(|(fact, count)| ((*fact).to_owned(), *count)).collect();
        let (theirs, ours): (Facts, Facts) =
            (facts(&[("a", 3), ("b", 1), ("c", 1)]), facts(&[("a", 2), ("c", 1)]));
        assert_eq!(unexplained(&ours, &theirs, 2), Vec::<String>::new());
        assert_eq!(unexplained(&ours, &theirs, 1).len(), 2);
        assert_eq!(unexplained(&facts(&[("a", 2), ("d", 1)]), &theirs, 2), ["tracer 1, oracle 0: d"]);
    }
}
