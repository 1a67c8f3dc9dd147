//! Filters typed in `top`, with the names of the options: `port=443 comm=nginx state=CLOSE_WAIT`. A word
//! without `=` is taken as a port, an address, a state, a reason or a name, depending on its form. `!` before a value
//! takes away.

use std::net::SocketAddr;

use clap::{CommandFactory as _, Parser};

use crate::{
    cli::FilterArgs,
    filter::{addrs::Cidr, ports::Ports},
    tcp::{reasons::Reasons, states::States},
};

#[derive(Parser)]
#[command(no_binary_name = true, disable_help_flag = true)]
struct FilterWords {
    #[command(flatten)]
    filter: FilterArgs,
}

/// Parses a line of words as filters. The error is a message of one line.
pub fn parse(line: &str) -> Result<FilterArgs, String> {
    if let Some(flag) = line.split_whitespace().find(|word| word.starts_with('-') && !word.contains('=')) {
        return Err(format!("`{flag}` has no value: write it as a word, such as port=443"));
    }
    if let Some(why) = line.split_whitespace().find_map(what_is_mixed) {
        return Err(why);
    }
    let arguments: Vec<String> = line.split_whitespace().flat_map(arguments).collect();
    let words = FilterWords::try_parse_from(arguments);
    words.map(|words| words.filter).map_err(|error| {
        let text = error.render().to_string();
        let line = text.lines().next().unwrap_or_default();
        // The message need not name the option: the user has just typed it.
        let why = line.split_once(">': ").map_or(line, |(_, why)| why);
        why.strip_prefix("error: ").unwrap_or(why).to_owned()
    })
}

/// Whether a word may still become an option with a value, such as `po` or `port`.
#[must_use]
pub fn is_prefix_of_option(word: &str) -> bool {
    let command = FilterWords::command();
    let mut names = command.get_arguments().filter_map(clap::Arg::get_long);
    !word.is_empty() && names.any(|name| name.starts_with(word))
}

/// Takes the filters on state and reason out of `filter` and returns them as a line of words. They select
/// lines in other commands; `top` has no lines, so there they select connections.
pub fn take_line_filters(filter: &mut FilterArgs) -> String {
    let states = std::mem::take(&mut filter.story.state).into_iter().map(|state| state.to_string());
    let reasons = std::mem::take(&mut filter.story.reason).into_iter().map(|reason| reason.to_string());
    let words = [("state", states.collect::<Vec<_>>()), ("reason", reasons.collect())];
    let words = words.into_iter().filter(|(_, values)| !values.is_empty());
    words.map(|(word, values)| format!("{word}={}", values.join(","))).collect::<Vec<_>>().join(" ")
}

/// The options that a word stands for.
pub(super) fn arguments(word: &str) -> Vec<String> {
    let word = word.trim_start_matches('-');
    if word.contains('=') || matches!(word, "ipv4" | "ipv6") {
        return vec![format!("--{word}")];
    }
    let (not, word) = word.strip_prefix('!').map_or(("", word), |word| ("!", word));
    if let Some(end) = word.parse::<SocketAddr>().ok().filter(|_| not.is_empty()) {
        return vec![format!("--addr={}", end.ip()), format!("--port={}", end.port())];
    }
    vec![match kind_of_all(word) {
        Some(option) => format!("--{option}={not}{word}"),
        None => format!("--comm={not}*{word}*"),
    }]
}

/// An option, and whether a value looks like one of its own.
type WordKind = (&'static str, fn(&str) -> bool);

/// The options that values alone stand for.
const KINDS: [WordKind; 4] = [
    ("port", is_ports),
    ("addr", |value| value.parse::<Cidr>().is_ok()),
    ("state", |value| value.parse::<States>().is_ok()),
    ("reason", |value| value.parse::<Reasons>().is_ok()),
];

/// The values of a list, without the signs that take away.
fn values(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(|value| value.trim_start_matches('!'))
}

/// The option that all values of a list look like.
fn kind_of_all(list: &str) -> Option<&'static str> {
    KINDS.iter().find(|(_, is_one)| values(list).all(is_one)).map(|(option, _)| *option)
}

/// Why a word without `=` is no filter: its parts are of several kinds, which would have to be alternatives.
fn what_is_mixed(word: &str) -> Option<String> {
    if word.contains('=') {
        return None;
    }
    let has_end = || values(word).any(|value| value.parse::<SocketAddr>().is_ok());
    if word.contains('!') && has_end() {
        return Some(format!("`{word}`: an address with a port cannot be left out; write !address or !port"));
    }
    let is_end = word.parse::<SocketAddr>().is_ok();
    let is_typed = || values(word).any(|value| KINDS.iter().any(|(_, is_one)| is_one(value)));
    (!is_end && kind_of_all(word).is_none() && (is_typed() || has_end()))
        .then(|| format!("`{word}` lists values of different kinds: write a word for each"))
}

/// Whether a word is a port or a range. The name of a service may be that of a process, too.
fn is_ports(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit()) && word.parse::<Ports>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comms(filter: &FilterArgs) -> Vec<String> {
        filter.story.comm.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn words_are_flags() {
        let filter = parse("port=443,80 comm=nginx state=close_wait pid=7 ipv4").unwrap();
        assert_eq!((filter.port.len(), filter.story.pid.len(), filter.ipv4), (2, 1, true));
        assert_eq!(comms(&filter), ["nginx"]);
        assert_eq!(filter.story.state, ["CLOSE_WAIT".parse().unwrap()]);
    }

    #[test]
    fn words_alone_are_what_they_look_like() {
        assert_eq!(parse("443").unwrap().port.len(), 1);
        assert_eq!(parse("10.0.0.0/8").unwrap().addr.len(), 1);
        for state in ["LAST_ACK", "ESTAB", "fin-wait-2", "CLOSED", "TIMEWAIT", "syn-rcvd", "connected"] {
            let story = parse(state).unwrap().story;
            assert_eq!((story.state.len(), story.comm.len()), (1, 0), "{state}");
        }
        assert_eq!(parse("reset-remote").unwrap().story.reason.len(), 1);
        assert_eq!(parse("reset").unwrap().story.reason.len(), 1);
        assert_eq!(comms(&parse("ngin").unwrap()), ["*ngin*"]);
        assert_eq!(comms(&parse("!sshd").unwrap()), ["!*sshd*"]);
        assert_eq!(parse("!22").unwrap().port, ["!22".parse().unwrap()]);
        assert_eq!(parse("443,!22").unwrap().port.len(), 2);
        assert_eq!(parse("!10.0.0.0/8").unwrap().addr, ["!10.0.0.0/8".parse().unwrap()]);
        assert_eq!(parse("!estab").unwrap().story.state, ["!ESTABLISHED".parse().unwrap()]);
        let end = parse("10.0.0.1:443").unwrap();
        assert_eq!((end.addr.len(), end.port.len()), (1, 1));
        assert_eq!(parse("--port=1").unwrap().port.len(), 1);
        assert!(parse("").unwrap().story.comm.is_empty());
    }

    #[test]
    fn flags_become_words() {
        let mut filter = parse("state=LISTEN,close-wait reason=refused,reset* port=1").unwrap();
        assert_eq!(take_line_filters(&mut filter), "state=LISTEN,CLOSE_WAIT reason=refused,reset*");
        assert_eq!((filter.story.state.len(), filter.story.reason.len(), filter.port.len()), (0, 0, 1));
        assert_eq!(take_line_filters(&mut filter), "");
    }

    #[test]
    fn what_is_wrong_is_said_in_a_line() {
        assert!(
            is_prefix_of_option("po")
                && is_prefix_of_option("port")
                && !is_prefix_of_option("nginx")
                && !is_prefix_of_option("port=")
        );
        for line in [
            "--help",
            "-D 443",
            "port=x",
            "nonsense=1",
            "state=OPEN",
            "=",
            "pid=0",
            "!10.0.0.1:443",
            "CLOSE_WAIT,refused",
            "443,nginx",
        ] {
            let error = parse(line).map(|_| ()).expect_err(line);
            assert!(!error.is_empty() && !error.contains('\n'), "{line}: {error}");
        }
    }
}
