//! Escaping of text from outside (names of tasks, paths), so that it cannot move the cursor, forge a line,
//! or change the reading direction.

use std::{borrow::Cow, fmt::Write as _};

use icu_properties::{
    CodePointMapData, CodePointMapDataBorrowed, CodePointSetData, CodePointSetDataBorrowed,
    props::{DefaultIgnorableCodePoint, GeneralCategory, GeneralCategoryGroup},
};
use tracer_common::event::COMM_LEN;

/// A task's name without its zero padding.
#[must_use]
#[inline]
pub fn name(comm: &[u8; COMM_LEN]) -> &[u8] {
    &comm[..name_len(comm)]
}

/// The length of a task's name: up to the first zero byte, or all of it.
#[inline]
fn name_len(comm: &[u8; COMM_LEN]) -> usize {
    // All sixteen bytes are searched at once: the lowest bit that is set is in the first zero byte.
    let bytes = u128::from_le_bytes(*comm);
    let zeros = bytes.wrapping_sub(ONES) & !bytes & (ONES << 7);
    zeros.trailing_zeros() as usize / 8
}

/// A 1 in each byte.
const ONES: u128 = u128::MAX / 0xff;

/// The length of a task's name, if it needs no escaping in any format: printable ASCII without `"`, `,` and
/// `\`.
#[must_use]
#[inline]
#[expect(clippy::needless_bitwise_bool, reason = "without branches, or they are not taken together")]
pub fn plain_len(comm: &[u8; COMM_LEN]) -> Option<usize> {
    // All sixteen bytes are checked, even those after the name. Without an early exit the compiler
    // vectorizes this.
    let is_plain = comm.iter().fold(true, |is_plain, &byte| {
        let is_control = ((byte < b' ') & (byte != 0)) | (byte > b'~');
        is_plain & !(is_control | (byte == b'"') | (byte == b',') | (byte == b'\\'))
    });
    is_plain.then(|| name_len(comm))
}

const CATEGORY: CodePointMapDataBorrowed<'static, GeneralCategory> =
    CodePointMapData::<GeneralCategory>::new();
const IGNORABLE: CodePointSetDataBorrowed<'static> = CodePointSetData::new::<DefaultIgnorableCodePoint>();

/// The blank Braille pattern and the musical null notehead: symbols that are drawn as nothing, which no property
/// in Unicode's tables tells.
const BLANKS: [char; 2] = ['\u{2800}', '\u{1d159}'];

/// Whether a character could control a terminal, break a line, change the reading direction, or be invisible.
#[must_use]
pub fn is_hostile(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    // The category `Other` is of controls, formats, and of what has no meaning or a private one.
    c.is_whitespace()
        || GeneralCategoryGroup::Other.contains(CATEGORY.get(c))
        || IGNORABLE.contains(c)
        || BLANKS.contains(&c)
}

/// Text that was escaped before it came from outside, such as from a recording: hostile characters in it are escaped
/// now.
#[must_use]
pub fn tamed(text: String) -> String {
    if text.chars().any(is_hostile) { text.escape_default().to_string() } else { text }
}

/// Appends `bytes` as text. Hostile characters, backslashes and bytes that are not UTF-8 become `\n`, `\\`,
/// `\x1b` or `\u{202e}`, so that different names stay different.
pub fn push_escaped(out: &mut String, bytes: &[u8]) {
    push_chars(out, bytes, |out, c| match c {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        c if c.is_ascii() && is_hostile(c) => push_hex(out, c as u8),
        c if is_hostile(c) => {
            // Writing into a String cannot fail.
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        }
        c => out.push(c),
    });
}

/// Bytes as text, for formats that can hold any character. A byte that is not UTF-8 becomes `\xff`, and a backslash
/// `\\`, so that different names stay different.
#[must_use]
pub fn exact(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = str::from_utf8(bytes)
        && !text.contains('\\')
    {
        return text.into();
    }
    let mut out = String::with_capacity(bytes.len());
    push_chars(&mut out, bytes, String::push);
    out.into()
}

/// Appends `bytes`, the characters with `push_char`.
fn push_chars(out: &mut String, bytes: &[u8], push_char: impl Fn(&mut String, char)) {
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => out.push_str("\\\\"),
                c => push_char(out, c),
            }
        }
        for &byte in chunk.invalid() {
            push_hex(out, byte);
        }
    }
}

/// Our own text, in which something from outside may have been left as it was. Backslashes stay, because most of
/// it is escaped already.
#[must_use]
pub fn tame(text: String) -> String {
    if !text.contains(is_hostile) {
        return text;
    }
    let parts = text.split_inclusive('\\');
    parts.fold(String::with_capacity(text.len()), |mut out, part| {
        let own = part.strip_suffix('\\');
        push_escaped(&mut out, own.unwrap_or(part).as_bytes());
        out.extend(own.map(|_| '\\'));
        out
    })
}

fn push_hex(out: &mut String, byte: u8) {
    let _ = write!(out, "\\x{byte:02x}");
}

/// [`push_escaped`] as a string.
#[must_use]
pub fn escaped(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    push_escaped(&mut out, bytes);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comm(name: &[u8]) -> [u8; COMM_LEN] {
        let mut comm = [0; COMM_LEN];
        comm[..name.len()].copy_from_slice(name);
        comm
    }

    #[test]
    fn a_name_ends_at_its_first_zero() {
        assert_eq!(name(&comm(b"")), b"");
        assert_eq!(name(&comm(b"nginx\0\0garbage")), b"nginx");
        assert_eq!(name(&comm(b"\x01\x00\x01\x80")), b"\x01");
        assert_eq!(name(&comm(b"\x80\x01\x81\xff\x7f\x00")), b"\x80\x01\x81\xff\x7f");
        assert_eq!(name(&comm(b"sixteen bytes..!")), b"sixteen bytes..!");
    }

    #[test]
    fn special_characters_are_not_plain() {
        assert_eq!(plain_len(&comm(b"")), Some(0));
        assert_eq!(plain_len(&comm(b" az(09)~")), Some(8));
        assert_eq!(plain_len(&comm(b"sixteen bytes..!")), Some(16));
        assert_eq!(plain_len(&comm(b"nginx\0\0garbage")), Some(5));
        assert_eq!(plain_len(&comm(b"nginx\0\xff")), None, "bytes after the name count, too");
        for byte in (1..=0x1f).chain([b'"', b',', b'\\']).chain(0x7f..=0xff) {
            assert_eq!(plain_len(&comm(&[b'a', byte, b'b'])), None, "{byte:#x}");
        }
    }

    #[test]
    fn ordinary_names_are_not_changed() {
        assert_eq!(escaped(b"nginx: worker"), "nginx: worker");
        for name in ["größe", "e\u{301}", "名前", "имя", "שם", "😀"] {
            assert_eq!(escaped(name.as_bytes()), name);
        }
    }

    #[test]
    fn what_cannot_be_seen_is_hostile() {
        let of_each_kind = "\u{ad}\u{a0}\u{34f}\u{61c}\u{115f}\u{1160}\u{17b4}\u{180e}\u{200b}\u{200d}\u{202e}\u{2028}\u{2066}\
            \u{2800}\u{3000}\u{3164}\u{e000}\u{fe0f}\u{feff}\u{ffa0}\u{fff9}\u{ffff}\u{1d159}\u{e0041}\u{e0100}";
        for c in of_each_kind.chars() {
            assert!(is_hostile(c), "{c:?}");
        }
    }

    #[test]
    fn any_text_holds_different_names_apart() {
        assert_eq!(exact("größe\u{1b}\u{202e}".as_bytes()), "größe\u{1b}\u{202e}");
        assert_eq!((exact(b"a\xff"), exact(b"a\xfe")), ("a\\xff".into(), "a\\xfe".into()));
        assert_eq!(exact(b"a\\xff"), "a\\\\xff");
        assert_eq!(exact("\u{fffd}".as_bytes()), "\u{fffd}");
    }

    #[test]
    fn hostile_names_are_escaped() {
        assert_eq!(escaped(b"\x1b[2J"), "\\x1b[2J");
        assert_eq!(escaped(b"a\nb\r\t"), "a\\nb\\r\\t");
        assert_eq!(escaped("\u{9b}31m\u{202e}".as_bytes()), "\\u{9b}31m\\u{202e}");
        assert_eq!(escaped(b"\xff\xfeok"), "\\xff\\xfeok");
        assert_eq!(escaped(b"a\\nb"), "a\\\\nb");
    }

    #[test]
    fn what_is_escaped_already_stays() {
        for text in ["", "no port `a\\x1b`", "\\", "a\\\\"] {
            assert_eq!(tame(text.to_owned()), text);
        }
        assert_eq!(tame("\\x1b\x1b\\\n".to_owned()), "\\x1b\\x1b\\\\n");
    }
}
