//! Finds what a typed word means.

use tracer_common::state as number;

use crate::{
    explain::{diagram::after, texts::Texts, topic::Topic},
    tcp::state::State,
    text::{escape::escaped, width::shorten},
};

/// How alike a word has to be to be offered, from 0 to 1.
const ALIKE: f64 = 0.8;

/// Words of the receipt that its text has otherwise than its JSON.
const AS_PRINTED: [(&str, &str); 4] = [
    ("still open", "open"),
    ("the kernel counted", "kernel"),
    ("the kernel", "kernel"),
    ("the events", "compared"),
];

/// How much of an unknown word is said, in columns. Longer ones are like no word.
const SHOWN: usize = 64;

/// How many are offered.
const OFFERED: usize = 4;

/// What a typed word stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meaning {
    /// What it is about.
    pub topic: Topic,
    /// The word in the table.
    pub word: String,
}

impl Meaning {
    /// How it is typed so that it means nothing else.
    #[must_use]
    pub fn typed(&self) -> String {
        format!("{}:{}", self.topic.name(), self.word)
    }
}

/// Why there is nothing to explain.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Linux does not make this transition.
    #[error("Linux makes no transition {old}:{new}: from {old} it goes to {after}")]
    NoTransition {
        /// The state before.
        old: State,
        /// The state after.
        new: State,
        /// The states that there are after it.
        after: String,
    },
    /// No word is like it.
    #[error("`{0}` is no word that tracer explains: `tracer explain` lists them")]
    Unknown(String),
    /// Other words are like it.
    #[error("`{0}` is no word that tracer explains: is it {1}? `tracer explain` lists all")]
    Alike(String, String),
}

/// What a word means: what is meant first, and what else it may mean.
pub fn find(texts: &Texts, typed: &str) -> Result<(Meaning, Vec<Meaning>), Error> {
    let typed = typed.trim();
    let mut meanings: Vec<Meaning> =
        Topic::ALL.into_iter().filter_map(|topic| meaning(texts, topic, typed)).collect();
    if let Some((topic, word)) = typed.split_once(':') {
        let topic = Topic::ALL.into_iter().find(|other| other.name().eq_ignore_ascii_case(topic));
        meanings.extend(topic.and_then(|topic| meaning(texts, topic, word)));
    }
    // `close` is the story, `CLOSE` the state.
    meanings.sort_by_key(|meaning| meaning.topic != Topic::Story || meaning.word != typed);
    let mut meanings = meanings.into_iter();
    let first = meanings.next().ok_or_else(|| unknown(texts, typed))?;
    Ok((first, meanings.collect()))
}

fn meaning(texts: &Texts, topic: Topic, typed: &str) -> Option<Meaning> {
    let is_it = |word: &str| plain(word) == plain(typed);
    let word = match topic {
        Topic::State => state(typed)?.name()?.to_owned(),
        Topic::Transition => {
            let (old, new) = states(typed)?;
            format!("{old}:{new}")
        }
        // Text has a title where data has a key.
        Topic::Column | Topic::Interface | Topic::Route => topic.column_key(is_it)?.to_owned(),
        Topic::Receipt => {
            let is_it = |word: &str| {
                is_it(word) || AS_PRINTED.iter().any(|(as_printed, key)| *key == word && is_it(as_printed))
            };
            texts.words(topic).map(|(word, _)| word).find(|word| is_it(word))?.to_owned()
        }
        _ => texts.words(topic).map(|(word, _)| word).find(|word| is_it(word))?.to_owned(),
    };
    texts.entry(topic, &word)?;
    Some(Meaning { topic, word })
}

/// A word without the differences that do not matter.
fn plain(word: &str) -> String {
    word.to_lowercase().replace(['-', ' '], "_")
}

/// A state in any tool's spelling, the kernel's constant, its number, or the hexadecimal of /proc/net/tcp.
fn state(typed: &str) -> Option<State> {
    let upper = typed.to_uppercase();
    let number = match upper.as_bytes() {
        [b'0', digit] | [b'0', b'X', b'0', digit] | [b'0', b'X', digit] => char::from(*digit).to_digit(16),
        _ => upper.parse().ok(),
    };
    let known = number.and_then(|number| u8::try_from(number).ok()).map(State::from_kernel);
    let name = upper.strip_prefix("TCP_").unwrap_or(&upper);
    known.filter(|state| state.is_known()).or_else(|| name.parse().ok())
}

/// Two states, with what may stand between them.
fn states(typed: &str) -> Option<(State, State)> {
    let (old, new) = ["->", "\u{2192}", ">", ":"].into_iter().find_map(|sign| typed.split_once(sign))?;
    Some((state(old.trim())?, state(new.trim())?))
}

/// Other spellings of a state, as tools and documents have them.
#[must_use]
pub fn spellings(state: State) -> Vec<String> {
    let name = state.name().unwrap_or_default();
    let others: &[&str] = match state.number() {
        number::ESTABLISHED => &["ESTAB"],
        number::SYN_SENT => &["SYN-SENT"],
        number::SYN_RECV => &["SYN-RECEIVED", "SYN-RECV", "SYN_RECEIVED", "SYN_RCVD"],
        number::FIN_WAIT1 => &["FIN-WAIT-1", "FIN_WAIT_1"],
        number::FIN_WAIT2 => &["FIN-WAIT-2", "FIN_WAIT_2"],
        number::TIME_WAIT => &["TIME-WAIT"],
        number::CLOSE => &["CLOSED", "UNCONN"],
        number::CLOSE_WAIT => &["CLOSE-WAIT"],
        number::LAST_ACK => &["LAST-ACK"],
        number::LISTEN => &["LISTENING"],
        _ => &[],
    };
    let mut spellings: Vec<String> = others.iter().map(|other| (*other).to_owned()).collect();
    spellings.push(format!("TCP_{name}"));
    spellings.push(state.number().to_string());
    spellings.push(format!("{:02X} in /proc/net/tcp", state.number()));
    spellings
}

fn unknown(texts: &Texts, typed: &str) -> Error {
    if let Some((old, new)) = states(typed) {
        let after: Vec<_> = after(old.number()).map(|new| State::from_kernel(new).to_string()).collect();
        return Error::NoTransition { old, new, after: after.join(", ") };
    }
    let mut word = escaped(typed.as_bytes());
    shorten(&mut word, SHOWN);
    match alike(texts, typed) {
        alike if alike.is_empty() => Error::Unknown(word),
        alike => Error::Alike(word, alike.join(", ")),
    }
}

/// The words that are most like it.
fn alike(texts: &Texts, typed: &str) -> Vec<String> {
    if typed.len() > SHOWN {
        return Vec::new();
    }
    let typed = plain(typed);
    let words = Topic::ALL.into_iter().flat_map(|topic| texts.words(topic).map(|(word, _)| word));
    let begins = |word: &str| typed.len() >= 2 && plain(word).starts_with(&typed);
    let likeness = |word: &str| if begins(word) { 1.0 } else { strsim::jaro_winkler(&typed, &plain(word)) };
    let mut alike: Vec<(f64, &str)> = words.map(|word| (likeness(word), word)).collect();
    alike.retain(|(likeness, _)| *likeness >= ALIKE);
    alike.sort_by(|one, other| other.0.total_cmp(&one.0));
    let mut words: Vec<String> = Vec::new();
    for (_, word) in alike {
        if words.len() < OFFERED && !words.iter().any(|other| other == word) {
            words.push(word.to_owned());
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::texts::Language;

    fn found(typed: &str) -> Vec<String> {
        let texts = Texts::read(Language::ENGLISH).unwrap();
        let (first, others) = find(&texts, typed).unwrap_or_else(|error| panic!("{typed}: {error}"));
        std::iter::once(first).chain(others).map(|meaning| meaning.typed()).collect()
    }

    #[test]
    fn states_are_found_by_every_spelling() {
        for (state, spelled) in [
            (
                "SYN_RECV",
                "SYN_RECV SYN-RECEIVED SYN-RECV SYN_RECEIVED SynReceived syn_rcvd TCP_SYN_RECV 3 03",
            ),
            ("LISTEN", "LISTEN LISTENING listen 10 0A 0a 0x0A 0xa TCP_LISTEN"),
            ("FIN_WAIT1", "FIN-WAIT-1 FIN_WAIT_1 FinWait1 fin-wait-1 TCP_FIN_WAIT1 4 04"),
            ("CLOSE_WAIT", "CLOSE-WAIT CLOSE_WAIT CloseWait 8 08"),
            ("LAST_ACK", "LAST-ACK LAST_ACK LastAck 9 09"),
            ("CLOSING", "CLOSING 11 0B 0b"),
            ("CLOSE", "CLOSE CLOSED UNCONN 7 07"),
            ("NEW_SYN_RECV", "NEW_SYN_RECV 12 0C TCP_NEW_SYN_RECV"),
            ("ESTABLISHED", "ESTABLISHED ESTAB 1 01"),
            ("TIME_WAIT", "time-wait TimeWait 6"),
        ] {
            for typed in spelled.split(' ') {
                assert_eq!(found(typed)[0], format!("state:{state}"), "{typed}");
            }
        }
        for number in 1..=12 {
            let state = State::from_kernel(number);
            for spelled in spellings(state) {
                let typed = spelled.split(' ').next().unwrap();
                assert_eq!(found(typed)[0], format!("state:{state}"), "{typed}");
            }
        }
    }

    #[test]
    fn transitions_are_found_with_every_sign() {
        for typed in
            ["ESTABLISHED:CLOSE_WAIT", "estab>close-wait", "ESTABLISHED->CLOSE_WAIT", "1:8", "1 -> 8"]
        {
            assert_eq!(found(typed), ["transition:ESTABLISHED:CLOSE_WAIT"], "{typed}");
        }
    }

    #[test]
    fn other_meanings_are_told() {
        assert_eq!(found("close"), ["story:close", "state:CLOSE"]);
        assert_eq!(found("CLOSE"), ["state:CLOSE", "story:close"]);
        assert_eq!(found("close-wait"), ["state:CLOSE_WAIT", "finding:close-wait", "column:close_wait_us"]);
        assert_eq!(found("finding:close-wait"), ["finding:close-wait"]);
        assert_eq!(found("reset")[0], "story:reset");
        assert_eq!(found("half-open"), ["story:half-open", "finding:half-open"]);
        assert_eq!(found("DISAGREES"), ["receipt:disagrees"]);
        assert_eq!(found("ended unseen"), ["receipt:ended_unseen"]);
        assert_eq!(found("RETR"), ["column:retransmits"], "by its title");
        assert_eq!(found("RX-OK"), ["interface:rx_packets"]);
        assert_eq!(found("Genmask"), ["route:genmask"]);
        assert_eq!(found("Next Hop"), ["route:gateway"], "the title in IPv6");
        assert_eq!(found("mtu"), ["interface:mtu", "route:mtu"]);
        assert_eq!(found("route:Metric"), ["route:metric"]);
        assert_eq!(found("still open"), ["receipt:open"], "as the receipt's text has it");
        assert_eq!(found("the kernel counted"), ["receipt:kernel"]);
    }

    /// Whatever the list shows can be typed.
    #[test]
    fn every_word_is_found() {
        let texts = Texts::read(Language::ENGLISH).unwrap();
        for topic in Topic::ALL {
            for (word, _) in texts.words(topic) {
                let meaning = Meaning { topic, word: word.to_owned() };
                assert!(found(word).contains(&meaning.typed()), "{word}");
                assert_eq!(found(&meaning.typed()), [meaning.typed()]);
            }
        }
    }

    #[test]
    fn unknown_words_lead_to_others() {
        let texts = Texts::read(Language::ENGLISH).unwrap();
        for (typed, message) in [
            ("CLOSE_WIAT", "`CLOSE_WIAT` is no word that tracer explains: is it CLOSE_WAIT"),
            ("timeout-", "is it timeout-"),
            ("fin", "is it FIN_WAIT1, FIN_WAIT2, "),
            ("xyzzy", "`xyzzy` is no word that tracer explains: `tracer explain` lists them"),
            ("\u{1b}[2J", "`\\x1b[2J` is no word"),
            ("13", "`13` is no word"),
            ("0", "`0` is no word"),
            ("00", "`00` is no word"),
            ("-1", "`-1` is no word"),
            ("0x", "`0x` is no word"),
            ("state:", "`state:` is no word"),
            (":", "`:` is no word"),
            ("ESTABLISHED:", "`ESTABLISHED:` is no word"),
            ("\u{3042}\u{202e}\0", "is no word"),
            ("", "`` is no word"),
            (
                "FIN_WAIT1>TIME_WAIT",
                "Linux makes no transition FIN_WAIT1:TIME_WAIT: from FIN_WAIT1 it goes to \
                                     FIN_WAIT2, CLOSING, CLOSE",
            ),
        ] {
            let error = find(&texts, typed).map(|_| ()).expect_err(typed).to_string();
            assert!(error.contains(message), "{typed}: {error}");
        }
        let error = find(&texts, &"CLOSE_WAIT".repeat(100_000)).map(|_| ()).unwrap_err().to_string();
        assert!(error.len() < 200 && error.contains("CLOSE_WAITCLO\u{2026}` is no word"), "{error}");
    }
}
