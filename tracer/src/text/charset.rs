//! What the user's terminal can show. The few characters beyond ASCII that are drawn, such as those of bars, have
//! one of ASCII in their place.

use std::{env, ffi::OsString};

/// Each character that is drawn, and what stands for it.
const IN_ASCII: [(char, u8); 15] = [
    ('\u{2026}', b'~'), // an ellipsis
    ('\u{b1}', b'~'),   // plus-minus
    ('\u{b7}', b'.'),   // a middle dot
    ('\u{2581}', b'.'), // bars, from the lowest to a full block
    ('\u{2582}', b':'),
    ('\u{2583}', b'-'),
    ('\u{2584}', b'='),
    ('\u{2585}', b'+'),
    ('\u{2586}', b'*'),
    ('\u{2587}', b'%'),
    ('\u{2588}', b'#'),
    ('\u{25be}', b'v'), // triangles down and up
    ('\u{25b4}', b'^'),
    ('\u{2713}', b'+'), // a check mark and a cross
    ('\u{2717}', b'x'),
];

/// A function that changes text in place.
pub type Recoding = fn(&mut Vec<u8>);

/// How text has to be changed for the user's locale: not at all if that is one of UTF-8, or if there is none.
#[must_use]
pub fn recoding() -> Option<Recoding> {
    let of_locale = ["LC_ALL", "LC_CTYPE", "LANG"].map(env::var_os);
    (!is_utf8(&of_locale)).then_some(draw_in_ascii)
}

/// Whether the first of the variables that has a value names a locale of UTF-8.
fn is_utf8(of_locale: &[Option<OsString>]) -> bool {
    let first = of_locale.iter().flatten().find(|value| !value.is_empty());
    first.is_none_or(|locale| {
        let name = locale.as_encoded_bytes().to_ascii_lowercase();
        ["utf-8", "utf8"]
            .iter()
            .any(|charset| name.windows(charset.len()).any(|part| part == charset.as_bytes()))
    })
}

/// Replaces the characters that are drawn. All others stay as they are.
fn draw_in_ascii(text: &mut Vec<u8>) {
    if text.is_ascii() {
        return;
    }
    let mut replaced = Vec::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        for character in chunk.valid().chars() {
            match IN_ASCII.iter().find(|(drawn, _)| *drawn == character) {
                Some((_, ascii)) => replaced.push(*ascii),
                None => replaced.extend(character.encode_utf8(&mut [0; 4]).bytes()),
            }
        }
        replaced.extend(chunk.invalid());
    }
    *text = replaced;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_drawn_has_a_place_in_ascii() {
        let mut text = "60±1s ngin… ▁▂▃▄▅▆▇█ · größe ▾▴ ✓✗".as_bytes().to_vec();
        text.push(0xff);
        draw_in_ascii(&mut text);
        assert_eq!(text, b"60~1s ngin~ .:-=+*%# . gr\xc3\xb6\xc3\x9fe v^ +x\xff");
    }

    #[test]
    fn the_first_variable_with_a_value_decides() {
        let is_utf8 = |values: [Option<&str>; 3]| is_utf8(&values.map(|value| value.map(OsString::from)));
        assert!(is_utf8([None, None, None]) && is_utf8([None, Some(""), Some("de_DE.UTF-8")]));
        assert!(is_utf8([Some("C.utf8"), None, Some("C")]) && is_utf8([None, Some("en_US.utf8"), Some("C")]));
        for locale in ["C", "POSIX", "de_DE", "de_DE.ISO-8859-1"] {
            assert!(!is_utf8([None, None, Some(locale)]), "{locale}");
        }
        assert!(!is_utf8([Some("C"), None, Some("en_US.UTF-8")]));
    }
}
