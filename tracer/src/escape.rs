//! Text from outside (names of tasks, paths), made harmless: it cannot move the cursor, forge a
//! line, or turn the reading direction around.

use std::fmt::Write as _;

use tracer_common::event::COMM_LEN;

/// A task's name without its padding.
#[must_use]
pub fn name(comm: &[u8; COMM_LEN]) -> &[u8] {
    // All sixteen at once, which is faster than to look for the first.
    let zeros = comm.map(|byte| u8::from(byte == 0));
    let end = u128::from_le_bytes(zeros).trailing_zeros() / 8;
    &comm[..end as usize]
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

/// Whether these bytes may stand in a line of any format as they are: letters, digits and signs that
/// mean nothing.
#[must_use]
pub fn is_plain(bytes: &[u8]) -> bool {
    // Without an end before the end, the compiler looks at many at once.
    bytes.iter().fold(true, |is_plain, byte| {
        is_plain & matches!(byte, b' '..=b'~') & !matches!(byte, b'"' | b',' | b'\\')
    })
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
