//! How long timers still run. It is cut in `ss`, and gets less from one list to the next.

use std::{collections::BTreeMap, time::Duration};

use super::{key, latin};
use crate::story::Line;

/// The time that is left of timers, by cookie.
pub type Rests = BTreeMap<String, Rest>;

/// A timer, the answers that it lacks, and its rest in milliseconds: at least, and less than.
pub type Rest = (String, std::ops::Range<u64>);

/// What `ss -tuaneOHo` says of timers.
pub fn rests_by_ss(out: &[u8]) -> Rests {
    let rest = |line: &str| {
        let after = |prefix: &str| line.split_whitespace().find_map(|word| word.strip_prefix(prefix));
        let timer: Vec<_> = after("timer:(")?.trim_end_matches(')').split(',').collect();
        let [kind, rest, unanswered] = timer[..] else { panic!("{line}") };
        Some((after("sk:")?.to_owned(), (format!("{kind} {unanswered}"), milliseconds(rest))))
    };
    latin(out).lines().filter_map(rest).collect()
}

/// `119min`, `1min5sec`, `59sec`, `9.800ms`, `200ms`: cut, the longer the more.
fn milliseconds(text: &str) -> std::ops::Range<u64> {
    let number = |text: &str| text.parse::<u64>().unwrap_or_else(|_| panic!("{text}"));
    let (minutes, rest) = text.split_once("min").unwrap_or(("0", text));
    let (seconds, thousandths) = match (rest.strip_suffix("sec"), rest.strip_suffix("ms")) {
        (Some(seconds), _) => (number(seconds), 0),
        (_, Some(rest)) => rest
            .split_once('.')
            .map_or_else(|| (0, number(rest)), |(seconds, rest)| (number(seconds), number(rest))),
        _ => (0, 0),
    };
    let least = (number(minutes) * 60 + seconds) * 1_000 + thousandths;
    let unit = if number(minutes) > 9 { 60_000 } else { 1_000 };
    least..least + unit
}

/// What `tracer list -o` says of timers.
pub fn rests(lines: &[Line]) -> Rests {
    let rest = |line: &Line| {
        let kind = format!("{} {}", line["timer"].as_str()?, line["unanswered"]);
        // Without a fraction, but JSON has all times with a point.
        let least = Duration::from_secs_f64(line["timer_us"].as_f64()? / 1e6 + 1e-9).as_millis();
        let least = u64::try_from(least).unwrap();
        Some((key(line), (kind, least..least + 1)))
    };
    lines.iter().filter_map(rest).collect()
}

/// Compares timers that ran from one list to the other: meanwhile they had as much left as `list` says.
/// Returns how many.
pub fn compare_rests(before: &Rests, list: &Rests, after: &Rests) -> usize {
    let ran = before.iter().filter_map(|(key, (kind, first))| {
        let (_, last) = after.get(key).filter(|(other, last)| other == kind && last.start <= first.start)?;
        Some((list.get(key).unwrap_or_else(|| panic!("{kind} of {key}")), first, last))
    });
    ran.map(|((kind, rest), first, last)| {
        assert!(rest.start < first.end && rest.start >= last.start, "{kind}: {first:?} {rest:?} {last:?}");
    })
    .count()
}
