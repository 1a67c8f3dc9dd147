//! Text in columns, by display width (Unicode) rather than by number of characters.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Marks where text was cut.
const ELLIPSIS: char = '…';

/// Cuts text to a width, and marks the cut at the end.
pub fn shorten(text: &mut String, width: usize) {
    if text.width() <= width {
        return;
    }
    let mut room = width.saturating_sub(1);
    let mut end = 0;
    for (start, c) in text.char_indices() {
        let char_width = c.width().unwrap_or_default();
        if char_width > room {
            break;
        }
        room -= char_width;
        end = start + c.len_utf8();
    }
    text.truncate(end);
    if width > 0 {
        text.push(ELLIPSIS);
    }
}

/// Cuts text to a width at its front. For paths, whose end says more.
pub fn shorten_front(text: &mut String, width: usize) {
    if text.width() <= width {
        return;
    }
    let room = width.saturating_sub(1);
    while text.width() > room {
        text.remove(0);
    }
    if width > 0 {
        text.insert(0, ELLIPSIS);
    }
}

/// Text aligned left in a column of this width, cut if it is wider.
#[must_use]
pub fn left(text: &str, width: usize) -> String {
    let mut cell = text.to_owned();
    shorten(&mut cell, width);
    let blanks = width.saturating_sub(cell.width());
    cell.extend(std::iter::repeat_n(' ', blanks));
    cell
}

/// The same, aligned right.
#[must_use]
pub fn right(text: &str, width: usize) -> String {
    let mut cell = text.to_owned();
    shorten(&mut cell, width);
    let blanks = width.saturating_sub(cell.width());
    cell.insert_str(0, &" ".repeat(blanks));
    cell
}

/// A number with its digits in groups of three: `1,234,567`.
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

/// Bars from the lowest to the highest.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A bar for each number, with a full bar for `highest`. Every number above 0 has a visible bar.
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

/// The same in at most `width` columns: each is the mean of some neighbours. The last numbers are at the right.
#[must_use]
pub fn bars_within(numbers: impl Iterator<Item = u64>, width: usize) -> String {
    let numbers: Vec<u64> = numbers.collect();
    let highest = numbers.iter().copied().max().unwrap_or_default();
    let mean = |part: &[u64]| part.iter().sum::<u64>().div_ceil(part.len().max(1) as u64);
    let count = numbers.len();
    let columns = width.min(count);
    let part = |column: usize| &numbers[count * column / columns..count * (column + 1) / columns];
    bars((0..columns).map(|column| mean(part(column))), highest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cut_text_has_an_ellipsis() {
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
    fn columns_have_their_display_width() {
        assert_eq!((left("ab", 4), right("ab", 4)), ("ab  ".into(), "  ab".into()));
        assert_eq!((left("世界", 5), left("世界世", 5)), ("世界 ".into(), "世界…".into()));
        assert_eq!((left("ab", 0), left("ab", 1)), (String::new(), "…".into()));
    }

    #[test]
    fn a_minute_fits_into_few_columns() {
        let growing = [1, 1, 2, 2, 4, 4, 8, 8];
        assert_eq!(bars_within(growing.into_iter(), 4), "▁▂▄█");
        assert_eq!(bars_within(growing.into_iter(), 100), "▁▁▂▂▄▄██");
        assert_eq!(
            (bars_within([0, 0].into_iter(), 2), bars_within([].into_iter(), 2)),
            ("  ".into(), String::new())
        );
        assert_eq!(bars_within([5].into_iter(), 0), "");
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        let numbers = [9_999, 10_000, 123_456, 1_250_000, 12_500_000, u64::MAX];
        assert_eq!(numbers.map(short), ["9999", "10K", "123K", "1.2M", "12M", "999T"]);
    }
}
