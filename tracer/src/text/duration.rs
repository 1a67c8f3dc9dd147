//! Times that passed, as people read them.

use crate::text::{
    line::Line,
    number::{push_two, push_uint, uint_len},
};

/// The units of times that passed.
const UNITS: [(&str, u64); 4] = [("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1000), ("ns", 1)];

/// A time that passed in at most seven columns, with three digits or more: `12.3us`, `59.9s`,
/// `3h12m`.
pub fn push_duration<const N: usize>(line: Line<'_, N>, ns: u64) -> Line<'_, N> {
    match ns {
        0..1000 => push_short(line, ns, 1, "ns"),
        1000..1_000_000 => push_short(line, ns, 1000, "us"),
        1_000_000..1_000_000_000 => push_short(line, ns, 1_000_000, "ms"),
        1_000_000_000..1_000_000_000_000 => push_short(line, ns, 1_000_000_000, "s"),
        _ => push_long(line, ns / 1_000_000_000),
    }
}

/// How long [`push_duration`] makes it.
#[must_use]
#[inline]
pub fn duration_len(ns: u64) -> usize {
    match ns {
        0..1000 => uint_len(ns) + 2,
        // Three digits; and a point, if not all of them are before it.
        1000..1_000_000_000_000 => {
            let (size, unit) = if ns < 1_000_000 {
                (1000, 2)
            } else if ns < 1_000_000_000 {
                (1_000_000, 2)
            } else {
                (1_000_000_000, 1)
            };
            3 + usize::from(ns < 100 * size) + unit
        }
        _ => {
            let seconds = ns / 1_000_000_000;
            uint_len(if seconds < 86_400 { seconds / 3600 } else { seconds / 86_400 }) + 4
        }
    }
}

fn push_short<'a, const N: usize>(line: Line<'a, N>, ns: u64, size: u64, unit: &str) -> Line<'a, N> {
    let whole = ns / size;
    let mut line = push_uint(line, whole);
    if size > 1 && whole < 100 {
        let hundredths = ns % size * 100 / size;
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

/// A time that passed, give or take: `60±1s`, in the unit of what is given or taken.
pub fn push_approximate<const N: usize>(line: Line<'_, N>, ns: u64, error_ns: u64) -> Line<'_, N> {
    let (unit, size) = UNITS.into_iter().find(|(_, size)| error_ns >= *size).unwrap_or(("ns", 1));
    let line = push_uint(line, ns.saturating_add(size / 2) / size).push_all("±".as_bytes());
    push_uint(line, error_ns.div_ceil(size)).push_all(unit.as_bytes())
}

/// [`push_duration`] into a string of its own.
#[must_use]
pub fn duration(ns: u64) -> String {
    text(|line| push_duration(line, ns))
}

fn text(push: impl FnOnce(Line<'_, 64>) -> Line<'_, 64>) -> String {
    String::from_utf8_lossy(push(Line::new(&mut [0; 64])).as_bytes()).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_length_is_known_beforehand(ns: u64, shift in 0_u32..64) {
            let ns = ns >> shift;
            prop_assert_eq!(text(|line| push_duration(line, ns)).len(), duration_len(ns));
        }
    }

    #[test]
    fn times_that_passed_are_short() {
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
            assert_eq!(text(|line| push_duration(line, ns)), expected);
            assert_eq!(duration_len(ns), expected.len());
        }
        assert_eq!(text(|line| push_approximate(line, 60_400_000_000, 1_000_000_000)), "60±1s");
        assert_eq!(text(|line| push_approximate(line, 60_400_000_000, 250_000_000)), "60400±250ms");
    }
}
