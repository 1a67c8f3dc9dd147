//! Text in columns: as wide as it looks, not as many characters as it has.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// What stands for the part that is missing.
const MISSING: char = '…';

/// Cuts text to a width, with a mark that something is missing at its end.
pub fn shorten(text: &mut String, width: usize) {
    if text.width() <= width {
        return;
    }
    let mut room = width.saturating_sub(1);
    let mut end = 0;
    for (at, c) in text.char_indices() {
        let taken = c.width().unwrap_or_default();
        if taken > room {
            break;
        }
        room -= taken;
        end = at + c.len_utf8();
    }
    text.truncate(end);
    if width > 0 {
        text.push(MISSING);
    }
}

/// Cuts text to a width, and keeps its end, which says more of a path.
pub fn shorten_front(text: &mut String, width: usize) {
    if text.width() <= width {
        return;
    }
    let room = width.saturating_sub(1);
    while text.width() > room {
        text.remove(0);
    }
    if width > 0 {
        text.insert(0, MISSING);
    }
}

/// Text in a column of this width, cut if it is wider.
#[must_use]
pub fn left(text: &str, width: usize) -> String {
    let mut cell = text.to_owned();
    shorten(&mut cell, width);
    let blanks = width.saturating_sub(cell.width());
    cell.extend(std::iter::repeat_n(' ', blanks));
    cell
}

/// The same, at the column's right side.
#[must_use]
pub fn right(text: &str, width: usize) -> String {
    let mut cell = text.to_owned();
    shorten(&mut cell, width);
    let blanks = width.saturating_sub(cell.width());
    cell.insert_str(0, &" ".repeat(blanks));
    cell
}

/// Digits in groups of three.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number in at most four columns: `9999`, `123K`, `1.2M`.
#[must_use]
pub fn short(number: u64) -> String {
    const UNITS: [(u64, char); 4] =
        [(1_000_000_000_000, 'T'), (1_000_000_000, 'G'), (1_000_000, 'M'), (1_000, 'K')];
    if number < 10_000 {
        return number.to_string();
    }
    let (size, unit) = UNITS.into_iter().find(|(size, _)| number >= *size).unwrap_or((1, ' '));
    match number / size {
        whole @ 0..=9 => format!("{whole}.{}{unit}", number % size * 10 / size),
        whole @ 10..=999 => format!("{whole}{unit}"),
        _ => format!("999{unit}"),
    }
}

/// Bars from low to high.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A bar for each number; `highest` has a full one. A single one among millions is to be seen, too.
#[must_use]
pub fn bars(numbers: impl Iterator<Item = u64>, highest: u64) -> String {
    let bar = |number: u64| match number {
        0 => ' ',
        number => {
            let eighths = number.saturating_mul(8).div_ceil(highest.max(1));
            BARS[usize::try_from(eighths).unwrap_or(8).clamp(1, 8) - 1]
        }
    };
    numbers.map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_says_so() {
        let cut = |text: &str| {
            let mut cell = text.to_owned();
            shorten(&mut cell, 5);
            cell
        };
        assert_eq!(["nginx", "nginxx", "世界世界", "a世界世"].map(cut), ["nginx", "ngin…", "世界…", "a世…"]);
        let mut path = "/system.slice/nginx.service".to_owned();
        shorten_front(&mut path, 8);
        assert_eq!(path, "…service");
    }

    #[test]
    fn columns_are_as_wide_as_they_look() {
        assert_eq!((left("ab", 4), right("ab", 4)), ("ab  ".into(), "  ab".into()));
        assert_eq!((left("世界", 5), left("世界世", 5)), ("世界 ".into(), "世界…".into()));
        assert_eq!((left("ab", 0), left("ab", 1)), (String::new(), "…".into()));
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        let numbers = [9_999, 10_000, 123_456, 1_250_000, 12_500_000, u64::MAX];
        assert_eq!(numbers.map(short), ["9999", "10K", "123K", "1.2M", "12M", "999T"]);
    }
}
