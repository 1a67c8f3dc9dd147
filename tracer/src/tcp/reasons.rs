//! Sets of reasons, as filters name them: one reason, a group, or a pattern.

use std::{fmt, str::FromStr, time::Duration};

use wildmatch::WildMatch;

use crate::{tcp::reason::Reason, text::escape::escaped, time::duration};

/// A set of reasons, with the word that stands for it.
///
/// ```
/// use tracer::tcp::{reason::Reason, reasons::Reasons};
///
/// let resets: Reasons = "reset".parse()?;
/// assert!(resets.contains(Reason::ResetRemote) && !resets.contains(Reason::Refused));
/// # Ok::<(), tracer::tcp::reasons::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reasons {
    word: String,
    reasons: Vec<Reason>,
}

impl Reasons {
    /// Whether a reason is in the set.
    #[must_use]
    pub fn contains(&self, reason: Reason) -> bool {
        self.reasons.contains(&reason)
    }

    fn matching(word: &str, matches: impl Fn(&str) -> bool) -> Self {
        let reasons = Reason::ALL.iter().copied().filter(|reason| matches(reason.name())).collect();
        Self { word: word.to_owned(), reasons }
    }
}

/// A word that stands for no reason.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a reason: give a group such as reset, or one of {all}", all = Reason::ALL.iter().map(|reason| reason.name()).collect::<Vec<_>>().join(", "))]
pub struct Error(String);

impl FromStr for Reasons {
    type Err = Error;

    /// A reason; the word that several begin with, such as `reset`; or a pattern with `*` and `?`.
    fn from_str(text: &str) -> Result<Self, Error> {
        let word = text.trim().to_lowercase();
        let is_group_of = |name: &str| name.strip_prefix(&word).is_some_and(|rest| rest.starts_with('-'));
        let exact = Self::matching(&word, |name| name == word);
        let group = Self::matching(&word, is_group_of);
        let pattern = WildMatch::new(&word);
        match (exact.reasons.len(), group.reasons.len()) {
            (1.., _) => Ok(exact),
            // With one reason it is a name that is not whole yet.
            (0, 2..) => Ok(group),
            (0, _) => {
                let found = Self::matching(&word, |name| pattern.matches(name));
                if found.reasons.is_empty() { Err(Error(escaped(text.as_bytes()))) } else { Ok(found) }
            }
        }
    }
}

impl fmt::Display for Reasons {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.word)
    }
}

/// So many ends of connections for a reason, in a time.
///
/// ```
/// use std::time::Duration;
/// use tracer::tcp::reasons::Rate;
///
/// let rate: Rate = "reset-remote=100/s".parse()?;
/// assert_eq!((rate.count, rate.time), (100, Duration::from_secs(1)));
/// # Ok::<(), tracer::tcp::reasons::RateError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rate {
    /// The reasons.
    pub reasons: Reasons,
    /// How many.
    pub count: u64,
    /// In this time.
    pub time: Duration,
}

/// The largest count: each end is remembered for as long as it counts.
const MOST: u64 = 1_000_000;

/// A text that is not a rate.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum RateError {
    /// Its form is another one.
    #[error("give REASON=N/TIME, such as reset-remote=100/s or timeout=10/1m, N up to 1000000")]
    Syntax,
    /// There is no such reason.
    #[error(transparent)]
    Reason(#[from] Error),
}

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let (reasons, rate) = text.split_once('=').ok_or(RateError::Syntax)?;
        let (count, time) = rate.split_once('/').ok_or(RateError::Syntax)?;
        let time = match time.trim() {
            unit @ ("s" | "m" | "h") => duration::parse(&format!("1{unit}")),
            time => duration::parse(time),
        };
        let count = count.trim().parse().ok().filter(|count| (1..=MOST).contains(count));
        let time = time.ok().filter(|time| !time.is_zero());
        let (count, time) = count.zip(time).ok_or(RateError::Syntax)?;
        Ok(Self { reasons: reasons.parse()?, count, time })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_for_sets_of_reasons() {
        let names = |text: &str| -> Vec<&str> {
            text.parse::<Reasons>().unwrap().reasons.iter().map(|reason| reason.name()).collect()
        };
        let all_resets = names("reset*");
        assert!(all_resets.len() == 6 && all_resets.iter().all(|name| name.starts_with("reset-")));
        assert_eq!(names("reset"), all_resets);
        assert_eq!(names("RESET-*"), all_resets);
        assert_eq!(names("reset-local"), ["reset-local"], "a name is no group");
        assert_eq!(names("timeout").len(), 4);
        assert_eq!(names("fin"), ["fin-local", "fin-remote", "fin-both"]);
        assert_eq!(names("*-remote"), ["fin-remote", "reset-remote"]);
        assert_eq!(names("refuse?"), ["refused"]);
        for text in ["", "no", "reset-", "because", "x*", "!reset"] {
            assert!(text.parse::<Reasons>().is_err(), "{text}");
        }
    }
}
