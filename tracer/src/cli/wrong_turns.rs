//! Advice for command lines that are written as for other tools: `tracer port 443`, `tracer -i eth0`.

use clap::{
    CommandFactory as _, Error,
    error::{ContextKind, ContextValue, ErrorKind},
};

use crate::{
    cli::{Cli, words},
    filter::services,
};

/// Words of packet filters that choose by a value, with the option that does.
const EXPRESSIONS: [(&str, &str); 10] = [
    ("port", "--port"),
    ("portrange", "--port"),
    ("sport", "--local-port"),
    ("dport", "--remote-port"),
    ("host", "--addr"),
    ("net", "--addr"),
    ("src", "--local-addr"),
    ("dst", "--remote-addr"),
    ("pid", "--pid"),
    ("state", "--state"),
];

/// Options of other tools that are an option here by another name.
const OPTIONS: [(&str, &str); 10] = [
    ("--json", "-o json"),
    ("-j", "-o json"),
    ("--csv", "-o csv"),
    ("--host", "--addr"),
    ("--ip", "--addr"),
    ("--sport", "--local-port"),
    ("--dport", "--remote-port"),
    ("--process", "--comm"),
    ("--user", "--uid"),
    ("-c", "--count"),
];

/// What `-o` is in `list`.
const TIMERS: &str = "'-o' alone, or before another option, shows timers, as in netstat and ss";

const ONLY_TCP: &str = "all that tracer traces is TCP: leave it away";
const INTERFACES: &str =
    "tracer follows sockets, not packets: --local-addr chooses by an interface's address";

/// Words and options of other tools that are nothing here, with the reason.
const NEEDLESS: [(&str, &str); 2] = [("tcp", ONLY_TCP), ("--interface", INTERFACES)];

/// Adds a tip to an error about a word or an option that tracer does not know. `arguments` are those of the command
/// line.
#[must_use]
pub fn advised(mut error: Error, arguments: &[String]) -> Error {
    let is_of_output = matches!(error.get(ContextKind::InvalidArg),
        Some(ContextValue::String(arg)) if arg.starts_with("--output"));
    if is_of_output
        && error.kind() == ErrorKind::InvalidValue
        && arguments.first().is_some_and(|word| word == "list")
    {
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![TIMERS.into()]));
        return error;
    }
    let kinds = [ContextKind::InvalidSubcommand, ContextKind::InvalidArg];
    let word = kinds.into_iter().find_map(|kind| match error.get(kind) {
        Some(ContextValue::String(word)) => Some(word.clone()),
        _ => None,
    });
    let is_like_a_command = error.get(ContextKind::SuggestedSubcommand).is_some();
    let is_unknown = matches!(error.kind(), ErrorKind::InvalidSubcommand | ErrorKind::UnknownArgument);
    let Some(word) = word.filter(|_| is_unknown) else {
        return error;
    };
    let next = arguments.iter().skip_while(|argument| **argument != word).nth(1);
    let guess = || (!is_like_a_command).then(|| guess(&word)).flatten();
    if let Some(tip) = known(&word, next.map(String::as_str)).or_else(guess) {
        for kind in [ContextKind::SuggestedSubcommand, ContextKind::SuggestedArg] {
            error.remove(kind);
        }
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    }
    error
}

/// A tip for what is in the tables.
fn known(word: &str, next: Option<&str>) -> Option<String> {
    let find = |table: &[(&str, &'static str)]| {
        table.iter().find(|(other, _)| *other == word).map(|(_, meant)| *meant)
    };
    let as_filter = find(&EXPRESSIONS).map(|option| {
        let value = next.filter(|next| !next.starts_with('-')).unwrap_or("VALUE");
        filters_are_options(&format!("{option} {value}"))
    });
    let as_option = || find(&OPTIONS).map(|option| format!("here it is '{option}'"));
    // With a value it is tcpdump's; alone it is netstat's, which is in `tracer list`.
    let is_interface = word == "-i" && next.is_some_and(|next| !next.starts_with('-'));
    let as_interface = || is_interface.then(|| INTERFACES.to_owned());
    as_filter.or_else(as_option).or_else(as_interface).or_else(|| find(&NEEDLESS).map(str::to_owned))
}

/// A tip for another word or option.
fn guess(word: &str) -> Option<String> {
    if word.starts_with('-') {
        let command = Cli::command();
        let is_it = |arg: &clap::Arg| match word.strip_prefix("--") {
            Some(long) => arg.get_long() == Some(long),
            None => arg.get_short() == word.chars().nth(1) && word.chars().count() == 2,
        };
        let owner = command.get_subcommands().find(|command| command.get_arguments().any(is_it))?;
        return Some(format!("'{word}' is an option of 'tracer {}'", owner.get_name()));
    }
    if word.is_empty() {
        return None;
    }
    let options = if services::port(word).is_ok() {
        format!("--port {word}")
    } else {
        words::arguments(word).join(" ").replace('=', " ").replace(&format!("*{word}*"), word)
    };
    Some(filters_are_options(&options))
}

fn filters_are_options(options: &str) -> String {
    format!("filters are options: 'tracer {options}'")
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::list::with_formats;

    fn said(line: &str) -> String {
        let arguments: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let words = with_formats(arguments.iter().map(Into::into));
        let error = Cli::try_parse_from(words).expect_err(line);
        advised(error, &arguments[1..]).render().to_string()
    }

    #[test]
    fn wrong_turns_lead_back() {
        for (line, tip) in [
            ("tracer 443", "'tracer --port 443'"),
            ("tracer 443,8000-8100", "'tracer --port 443,8000-8100'"),
            ("tracer port 443", "'tracer --port 443'"),
            ("tracer host 10.0.0.1", "'tracer --addr 10.0.0.1'"),
            ("tracer dst", "'tracer --remote-addr VALUE'"),
            ("tracer 10.0.0.1", "'tracer --addr 10.0.0.1'"),
            ("tracer 10.0.0.1:443", "'tracer --addr 10.0.0.1 --port 443'"),
            ("tracer ESTAB", "'tracer --state ESTAB'"),
            ("tracer nginx", "'tracer --comm nginx'"),
            ("tracer life 443", "'tracer --port 443'"),
            ("tracer tcp", "all that tracer traces is TCP"),
            ("tracer --json", "'-o json'"),
            ("tracer top --json", "'-o json'"),
            ("tracer -n", "'tracer list'"),
            ("tracer -tulpn", "'tracer list'"),
            ("tracer --listening", "'tracer list'"),
            ("tracer --interface eth0", "--local-addr"),
            ("tracer --interval 5s", "'tracer summary'"),
            ("tracer list -o xml", "'-o' alone"),
        ] {
            let said = said(line);
            assert!(said.contains("tip: ") && said.contains(tip), "{line}: {said}");
            assert_eq!(said.matches("tip: ").count(), 1, "{line}: {said}");
        }
    }

    #[test]
    fn typing_errors_keep_clap_s_own_tip() {
        assert!(said("tracer sumary").contains("'summary'"));
        assert!(said("tracer --colour").contains("--color"));
        assert!(!said("tracer --port x=y").contains("tip: filters"));
    }

    /// What is an option here needs no advice.
    #[test]
    fn no_option_of_tracer_is_in_the_tables() {
        let command = Cli::command();
        let all = std::iter::once(&command).chain(command.get_subcommands());
        let arguments = all.flat_map(clap::Command::get_arguments);
        let own: Vec<String> = arguments
            .flat_map(|arg| {
                [arg.get_long().map(|long| format!("--{long}")), arg.get_short().map(|c| format!("-{c}"))]
            })
            .flatten()
            .collect();
        for (word, _) in OPTIONS.iter().chain(&NEEDLESS) {
            assert!(!own.iter().any(|own| own == word), "{word}");
        }
    }
}
