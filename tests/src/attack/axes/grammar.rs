//! Random command lines, made from the definition of the command line: right words, almost right ones, and garbage.

use std::{ffi::OsString, os::unix::ffi::OsStringExt as _, time::Duration};

use clap::{Arg, ArgAction, Command, CommandFactory as _};
use fastrand::Rng;
use tracer::cli::Cli;

use crate::attack::{
    case::Case,
    run::{Run, When},
    sink::Sink,
};

/// How many there are.
const COUNT: u64 = 4000;

/// Values that fit some option.
const VALUES: [&str; 44] = [
    "443",
    "80,8000-8100",
    "1-65535",
    "!22",
    "10.0.0.0/8",
    "::1",
    "::ffff:1.2.3.4/97",
    "fe80::1%lo",
    "1",
    "4026531840",
    "pid:1",
    "pid:self",
    "nginx*",
    "*",
    "?",
    "root",
    "nobody",
    "0",
    "/",
    "/system.slice",
    "../..",
    "CLOSE_WAIT",
    "close-wait",
    "ESTABLISHED:CLOSE_WAIT",
    "CLOSE:SYN_SENT",
    "reset-remote",
    "fin-local,refused",
    "json",
    "text",
    "csv",
    "time,comm,old_state",
    "all",
    "help",
    "local",
    "utc",
    "relative",
    "unix",
    "auto",
    "always",
    "never",
    "64MiB",
    "1M",
    "CLOSE_WAIT=1s",
    "default",
];

/// Values that fit none.
const GARBAGE: [&str; 32] = [
    "",
    " ",
    "-",
    "--",
    "-1",
    "0x10",
    "99999999999999999999999",
    "1e9",
    "NaN",
    "inf",
    ",",
    ",,,",
    "=",
    ":",
    "a=b=c",
    "%s%n",
    "\x1b[31m",
    "\ntracer: FORGED",
    "\t",
    "\u{202e}",
    "💥",
    "ｆｕｌｌ",
    "\\",
    "'\"",
    "$(id)",
    "0s",
    "1ns",
    "584542046091y",
    "-5s",
    "1h 30m",
    "18446744073709551616B",
    "no-such-file",
];

/// The cases have numbers for names. Each has its own random numbers, so that it can be repeated alone.
pub fn cases(seed: u64) -> Vec<Case> {
    (0..COUNT).map(|number| Case::new(number.to_string(), move || run(seed, number).verdict())).collect()
}

fn run(seed: u64, number: u64) -> Run {
    let mut rng = Rng::with_seed(seed.wrapping_mul(1_000_003).wrapping_add(number));
    let words = line(&mut rng);
    let has = |name: &str| words.iter().any(|word| word.to_string_lossy().starts_with(name));
    let mut statuses = vec![0, 1, 2];
    // Clap takes abbreviations of options for errors, so these words are whole.
    statuses.extend(has("--strict").then_some(3));
    statuses.extend(has("--exit-on-stuck").then_some(4));
    // A capture without an end of its own is ended.
    let run = Run::with(&words).act(When::Started(Duration::from_secs(2)), libc::SIGTERM);
    let is_screen = has("top") && rng.bool();
    (if is_screen { run.out(Sink::Terminal) } else { run }).may_end_with(&statuses)
}

fn line(rng: &mut Rng) -> Vec<OsString> {
    let cli = Cli::command();
    let mut words = Vec::new();
    let mut command = &cli;
    if rng.u8(..8) > 0 {
        let all: Vec<_> = cli.get_subcommands().collect();
        command = rng.choice(all).unwrap();
        words.push(command.get_name().into());
    }
    let options: Vec<_> = command.get_arguments().collect();
    for _ in 0..rng.usize(..5) {
        if let Some(option) = rng.choice(&options) {
            words.extend(option_words(option, rng));
        }
    }
    if rng.u8(..10) == 0 {
        words.insert(rng.usize(..=words.len()), garbage(rng));
    }
    if has_duration(command) && rng.u8(..10) > 0 {
        words.extend(["--duration".into(), "60ms".into()]);
    }
    words
}

fn has_duration(command: &Command) -> bool {
    command.get_arguments().any(|option| option.get_long() == Some("duration"))
}

fn option_words(option: &Arg, rng: &mut Rng) -> Vec<OsString> {
    let long = option.get_long().map(|long| format!("--{long}"));
    let short = option.get_short().map(|short| format!("-{short}"));
    let names: Vec<_> = [long, short].into_iter().flatten().collect();
    let name = rng.choice(names).map(OsString::from);
    let takes_value = matches!(option.get_action(), ArgAction::Set | ArgAction::Append);
    let value = (takes_value != (rng.u8(..20) == 0)).then(|| value(option, rng));
    match (name, value) {
        (Some(mut name), Some(value)) if rng.bool() => {
            name.push("=");
            name.push(value);
            vec![name]
        }
        (name, value) => name.into_iter().chain(value).collect(),
    }
}

fn value(option: &Arg, rng: &mut Rng) -> OsString {
    let possible: Vec<_> =
        option.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
    match rng.u8(..10) {
        0..=4 if !possible.is_empty() => rng.choice(possible).unwrap().into(),
        0..=6 => rng.choice(VALUES).unwrap().into(),
        _ => garbage(rng),
    }
}

fn garbage(rng: &mut Rng) -> OsString {
    if rng.u8(..4) > 0 {
        return rng.choice(GARBAGE).unwrap().into();
    }
    let length = if rng.u8(..10) == 0 { 100_000 } else { rng.usize(..20) };
    OsString::from_vec((0..length).map(|_| rng.u8(1..)).filter(|byte| *byte != b'/').collect())
}
