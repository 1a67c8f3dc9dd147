//! Durations for people.

use crate::text::{
    line::Line,
    number::{push_two, push_uint, uint_len},
};

/// The units of durations, and their lengths in nanoseconds.
const UNITS: [(&str, u64); 4] = [("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1000), ("ns", 1)];

/// Appends a duration with up to three digits and a unit: `12.3us`, `59.9s`; from 1000 seconds on as `3h12m`
/// or `5d03h`.
pub fn push_duration<const N: usize>(line: Line<'_, N>, ns: u64) -> Line<'_, N> {
    match ns {
        0..1000 => push_short(line, ns, 1, "ns"),
        1000..1_000_000 => push_short(line, ns, 1000, "us"),
        1_000_000..1_000_000_000 => push_short(line, ns, 1_000_000, "ms"),
        1_000_000_000..1_000_000_000_000 => push_short(line, ns, 1_000_000_000, "s"),
        _ => push_long(line, ns / 1_000_000_000),
    }
}

/// How many bytes [`push_duration`] appends.
#[must_use]
#[inline]
pub fn duration_len(ns: u64) -> usize {
    match ns {
        0..1000 => uint_len(ns) + 2,
        // Three digits, and a point unless all of them are before it.
        1000..1_000_000_000_000 => {
            let (unit_ns, unit) = if ns < 1_000_000 {
                (1000, 2)
            } else if ns < 1_000_000_000 {
                (1_000_000, 2)
            } else {
                (1_000_000_000, 1)
            };
            3 + usize::from(ns < 100 * unit_ns) + unit
        }
        _ => {
            let seconds = ns / 1_000_000_000;
            uint_len(if seconds < 86_400 { seconds / 3600 } else { seconds / 86_400 }) + 4
        }
    }
}

fn push_short<'a, const N: usize>(line: Line<'a, N>, ns: u64, unit_ns: u64, unit: &str) -> Line<'a, N> {
    let whole = ns / unit_ns;
    let mut line = push_uint(line, whole);
    if unit_ns > 1 && whole < 100 {
        let hundredths = ns % unit_ns * 100 / unit_ns;
        line = line.push(b'.');
        line = if whole < 10 { push_two(line, hundredths) } else { push_uint(line, hundredths / 10) };
    }
    line.push_all(unit.as_bytes())
}

fn push_long<const N: usize>(line: Line<'_, N>, seconds: u64) -> Line<'_, N> {
    let (whole, rest, units) = match seconds {
        0..86_400 => (seconds / 3600, seconds % 3600 / 60, [b'h', b'm']),
        _ => (seconds / 86_400, seconds % 86_400 / 3600, [b'd', b'h']),
    };
    push_two(push_uint(line, whole).push(units[0]), rest).push(units[1])
}

/// Appends a duration with its error: `60±1s`. Both are in the unit that fits the error.
pub fn push_approximate<const N: usize>(line: Line<'_, N>, ns: u64, error_ns: u64) -> Line<'_, N> {
    let (unit, unit_ns) = UNITS.into_iter().find(|(_, unit_ns)| error_ns >= *unit_ns).unwrap_or(("ns", 1));
    let line = push_uint(line, ns.saturating_add(unit_ns / 2) / unit_ns).push_all("±".as_bytes());
    push_uint(line, error_ns.div_ceil(unit_ns)).push_all(unit.as_bytes())
}

/// [`push_duration`] as a string.
#[must_use]
pub fn duration(ns: u64) -> String {
    to_string(|line| push_duration(line, ns))
}

fn to_string(push: impl FnOnce(Line<'_, 64>) -> Line<'_, 64>) -> String {
    String::from_utf8_lossy(push(Line::new(&mut [0; 64])).as_bytes()).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_length_is_predicted(ns: u64, shift in 0_u32..64) {
            let ns = ns >> shift;
            prop_assert_eq!(to_string(|line| push_duration(line, ns)).len(), duration_len(ns));
        }
    }

    #[test]
    fn durations_have_up_to_three_digits_and_a_unit() {
        for (ns, expected) in [
            (0, "0ns"),
            (999, "999ns"),
            (1000, "1.00us"),
            (12_345, "12.3us"),
            (999_999, "999us"),
            (1_500_000, "1.50ms"),
            (59_940_000_000, "59.9s"),
            (999_000_000_000, "999s"),
            (11_520_000_000_000, "3h12m"),
            (u64::MAX, "213503d23h"),
        ] {
            assert_eq!(to_string(|line| push_duration(line, ns)), expected);
            assert_eq!(duration_len(ns), expected.len());
        }
        assert_eq!(to_string(|line| push_approximate(line, 60_400_000_000, 1_000_000_000)), "60±1s");
        assert_eq!(to_string(|line| push_approximate(line, 60_400_000_000, 250_000_000)), "60400±250ms");
    }
}
