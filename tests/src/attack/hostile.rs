//! Hostile text: names that try to do something, and the characters that must never be printed as they are.

/// Names of at most fifteen bytes, as processes have them, with a word for each.
pub(super) const NAMES: [(&str, &[u8]); 14] = [
    ("clear", b"\x1b[2J\x1b]0;x\x07"),
    ("title", b"\x1b]0;FORGED\x07"),
    ("line", b"a\ntracer: FORGED"),
    ("csv", b"a\nb\",c,\"d\r\te"),
    ("formula", b"=cmd|'\\x'!A"),
    ("c1", "\u{9b}31m\u{9d}ab".as_bytes()),
    ("bidi", "\u{202e}ab\u{2067}c".as_bytes()),
    ("invisible", "a\u{3164}b\u{115f}c".as_bytes()),
    ("blank", "a\u{2800}b\u{fe0f}c".as_bytes()),
    ("joined", "a\u{34f}b\u{17b4}".as_bytes()),
    ("annotated", "a\u{fff9}b\u{200b}".as_bytes()),
    ("tags", "a\u{e0041}b\u{2028}".as_bytes()),
    ("invalid", b"a\xff\xfe\xc3\x28\x9b1m"),
    ("json", b"\"},{\"a\":\"\\u00"),
];

/// What those names consist of that must never be printed as it is.
const MARKS: [char; 14] = [
    '\u{202e}',
    '\u{2067}',
    '\u{3164}',
    '\u{115f}',
    '\u{2800}',
    '\u{fe0f}',
    '\u{34f}',
    '\u{17b4}',
    '\u{fff9}',
    '\u{200b}',
    '\u{e0041}',
    '\u{2028}',
    '\u{ad}',
    '\u{feff}',
];

/// Whether a character inside a line controls a terminal, changes the reading direction, or cannot be seen.
pub(super) fn is_hostile(c: char) -> bool {
    c.is_control() || MARKS.contains(&c)
}

/// Words before a hostile one, which is what an option says, or an argument.
pub const BEFORE: [&str; 37] = [
    "--port",
    "--local-port",
    "--remote-port",
    "-L",
    "-D",
    "--addr",
    "--local-addr",
    "--remote-addr",
    "--columns",
    "--buffer",
    "--duration",
    "--count",
    "--netns",
    "--output",
    "--pid",
    "--comm",
    "--uid",
    "--cgroup",
    "--state",
    "--transition",
    "--reason",
    "--time",
    "--color",
    "--hooks",
    "--receipt",
    "--btf",
    "--stuck",
    "--slow",
    "life --slow",
    "summary --interval",
    "summary --by",
    "summary --rows",
    "top --refresh",
    "completions",
    "check",
    "help",
    "",
];
