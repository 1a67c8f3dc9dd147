//! What has to hold of tracer's output: nobody else's words, and the format that was asked for.

use std::borrow::Cow;

use serde_json::Value;

use crate::attack::{hostile::is_hostile, run::Run};

/// How lines begin that clap prints, with status 2: errors, and the help of `tracer recording` where its command is missing.
const USAGE: [&str; 9] = [
    "error: ",
    "Usage: ",
    "  ",
    "For more information",
    "What is in a recording, is it whole?",
    "Commands:",
    "Options:",
    "Recordings:",
    "Examples:",
];

/// What a name tries to print as a line of its own.
const FORGED: &str = "tracer: FORGED";

/// At most so many faults are told of each stream.
const MOST: usize = 5;

/// Faults of standard error.
pub(super) fn messages(err: &[u8], status: i32) -> Vec<String> {
    let Ok(err) = str::from_utf8(err) else {
        return vec!["standard error is not UTF-8".into()];
    };
    let is_usage =
        |line: &str| status == 2 && (line.is_empty() || USAGE.iter().any(|word| line.starts_with(word)));
    let is_own = |line: &str| line.starts_with("tracer: ") || is_usage(line);
    let mut faults = told("a foreign line on standard error", err, |line| !is_own(line) || is_forged(line));
    faults.extend(told("hostile on standard error", err, |line| line.contains(is_hostile)));
    if !err.is_empty() && !err.ends_with('\n') && status < 128 {
        faults.push("standard error is cut off".into());
    }
    faults
}

/// Faults of standard output. The last line may be cut off if the process was killed.
pub(super) fn output(run: &Run, out: &[u8], status: i32) -> Vec<String> {
    let Ok(text) = str::from_utf8(out) else {
        return vec!["standard output is not UTF-8".into()];
    };
    let whole = match text.rsplit_once('\n') {
        Some((whole, "")) => whole,
        Some((whole, _)) if status >= 128 => whole,
        None if text.is_empty() || status >= 128 => return Vec::new(),
        _ => return vec!["standard output is cut off".into()],
    };
    let words: Vec<_> = run.words.iter().map(|word| word.to_string_lossy()).collect();
    let is_coloured = words.iter().any(|word| word.ends_with("always"));
    let mut faults = told("forged on standard output", whole, is_forged);
    faults.extend(told("hostile on standard output", whole, |line| {
        if is_coloured { without_colours(line).contains(is_hostile) } else { line.contains(is_hostile) }
    }));
    match format(&words) {
        Some("json") => faults.extend(told("no JSON object", whole, |line| !is_object(line))),
        Some("csv") => {
            let mut rows = csv::Reader::from_reader(whole.as_bytes());
            faults.extend(rows.records().filter_map(|row| Some(format!("CSV: {}", row.err()?))).take(MOST));
        }
        _ => {}
    }
    faults
}

/// The lines that are faults, as far as they fit into a report.
fn told(what: &str, text: &str, is_fault: impl Fn(&str) -> bool) -> Vec<String> {
    let lines = text.lines().filter(|line| is_fault(line)).take(MOST);
    lines.map(|line| format!("{what}: {:?}", line.chars().take(200).collect::<String>())).collect()
}

fn is_forged(line: &str) -> bool {
    line.trim_start().starts_with(FORGED)
}

fn is_object(line: &str) -> bool {
    serde_json::from_str::<Value>(line).is_ok_and(|value| value.is_object())
}

/// A line without the sequences that only colour it.
fn without_colours(line: &str) -> String {
    let mut parts = line.split("\x1b[");
    let mut left = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once('m') {
            Some((colour, rest)) if colour.bytes().all(|byte| byte.is_ascii_digit() || byte == b';') => {
                left.push_str(rest);
            }
            _ => left.extend(["\x1b[", part]),
        }
    }
    left
}

/// The format that the arguments ask for, if it has one: help, lists of columns and the like have none.
fn format<'a>(words: &'a [Cow<'a, str>]) -> Option<&'a str> {
    let about = ["help", "--help", "-h", "-V", "--version", "check", "completions"];
    if words.iter().any(|word| about.contains(&&**word) || word.ends_with("=help")) {
        return None;
    }
    let apart = words.windows(2).filter(|pair| pair[0] == "-o" || pair[0] == "--output");
    let joined =
        words.iter().filter_map(|word| word.strip_prefix("--output=").or_else(|| word.strip_prefix("-o=")));
    apart.map(|pair| &*pair[1]).chain(joined).next()
}

/// Faults of what was drawn: the screen has to be left as it was found, and names move no cursor.
pub(super) fn screen(out: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(out);
    let mut faults = Vec::new();
    for (on, off, what) in
        [("\x1b[?1049h", "\x1b[?1049l", "alternate screen"), ("\x1b[?25l", "\x1b[?25h", "hidden cursor")]
    {
        if text.rfind(on).is_some_and(|on| text.rfind(off).is_none_or(|off| off < on)) {
            faults.push(format!("the terminal is left with the {what}"));
        }
    }
    // Drawing takes these.
    let is_drawn = |c: char| is_hostile(c) && !matches!(c, '\x1b' | '\r' | '\n');
    if let Some(c) = text.chars().find(|c| is_drawn(*c)) {
        faults.push(format!("hostile on the screen: {c:?}"));
    }
    if text.contains("\x1b]0;") {
        faults.push("a name has changed the terminal's title".into());
    }
    faults
}
