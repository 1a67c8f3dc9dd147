//! Text from outside (names of tasks, paths), made harmless: it cannot move the cursor, forge a
//! line, or turn the reading direction around.

use std::fmt::Write as _;

use tracer_common::event::COMM_LEN;

/// A task's name without its padding.
#[must_use]
#[inline]
pub fn name(comm: &[u8; COMM_LEN]) -> &[u8] {
    &comm[..name_len(comm)]
}

/// How long a task's name is: up to its first zero, or all of it.
#[inline]
fn name_len(comm: &[u8; COMM_LEN]) -> usize {
    // In all sixteen bytes at once: the lowest bit that a borrow leaves is in the first zero.
    let bytes = u128::from_le_bytes(*comm);
    let zeros = bytes.wrapping_sub(EACH) & !bytes & (EACH << 7);
    zeros.trailing_zeros() as usize / 8
}

/// A one in each byte.
const EACH: u128 = u128::MAX / 0xff;

/// The length of a task's name if it may stand in a line of any format as it is: letters, digits and
/// signs that mean nothing.
#[must_use]
#[inline]
#[expect(clippy::needless_bitwise_bool, reason = "without branches, or they are not taken together")]
pub fn plain_len(comm: &[u8; COMM_LEN]) -> Option<usize> {
    // All sixteen, though behind the name there may be anything; without an end before the end and without a range, so that the compiler takes them
    // together.
    let is_plain = comm.iter().fold(true, |is_plain, &byte| {
        let is_control = ((byte < b' ') & (byte != 0)) | (byte > b'~');
        is_plain & !(is_control | (byte == b'"') | (byte == b',') | (byte == b'\\'))
    });
    is_plain.then(|| name_len(comm))
}

/// Whether a terminal, or a reader of lines, could take this character for more than itself, or not
/// see it at all.
#[must_use]
pub fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c,
            // Soft hyphen, and the marks that change the reading direction.
            '\u{ad}' | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            // Separators of lines and paragraphs.
            | '\u{2028}' | '\u{2029}'
            // Without width: joiners, invisible operators, byte order mark, tags.
            | '\u{180e}' | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2064}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// Appends `bytes` as text. Hostile characters, backslashes and bytes that are not UTF-8 come out
/// as `\n`, `\\`, `\x1b` or `\u{202e}`, so that different names stay different.
pub fn push_escaped(out: &mut String, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                c if c.is_ascii() && is_hostile(c) => push_hex(out, c as u8),
                c if is_hostile(c) => {
                    // Writing into a String cannot fail.
                    let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
                }
                c => out.push(c),
            }
        }
        for &byte in chunk.invalid() {
            push_hex(out, byte);
        }
    }
}

fn push_hex(out: &mut String, byte: u8) {
    let _ = write!(out, "\\x{byte:02x}");
}

/// [`push_escaped`] into a string of its own.
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
    fn what_means_something_is_not_plain() {
        assert_eq!(plain_len(&comm(b"")), Some(0));
        assert_eq!(plain_len(&comm(b" az(09)~")), Some(8));
        assert_eq!(plain_len(&comm(b"sixteen bytes..!")), Some(16));
        assert_eq!(plain_len(&comm(b"nginx\0\0garbage")), Some(5));
        assert_eq!(plain_len(&comm(b"nginx\0\xff")), None, "it could be, but nobody has to know");
        for byte in (1..=0x1f).chain([b'"', b',', b'\\']).chain(0x7f..=0xff) {
            assert_eq!(plain_len(&comm(&[b'a', byte, b'b'])), None, "{byte:#x}");
        }
    }

    #[test]
    fn ordinary_names_stay() {
        assert_eq!(escaped(b"nginx: worker"), "nginx: worker");
        assert_eq!(escaped("größe".as_bytes()), "größe");
    }

    #[test]
    fn hostile_names_are_tamed() {
        assert_eq!(escaped(b"\x1b[2J"), "\\x1b[2J");
        assert_eq!(escaped(b"a\nb\r\t"), "a\\nb\\r\\t");
        assert_eq!(escaped("\u{9b}31m\u{202e}".as_bytes()), "\\u{9b}31m\\u{202e}");
        assert_eq!(escaped(b"\xff\xfeok"), "\\xff\\xfeok");
        assert_eq!(escaped(b"a\\nb"), "a\\\\nb");
    }
}
