//! The texts: a table for each language, one entry per word.
//!
//! # Layout
//! - here: languages, and the table of one; [`entry`]: what is said about a word
//! - `en.toml`, and a file of the same form for each other language
//! - `checks`: tests that nothing is missing, stale or cannot be typed

#[cfg(test)]
mod checks;
pub mod entry;

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::Deserialize as _;

use crate::{
    explain::{texts::entry::Entry, topic::Topic},
    text::escape::escaped,
};

/// The tables, by the codes of their languages. The first one is what the others translate.
const TABLES: &[(&str, &str)] = &[
    ("en", include_str!("en.toml")),
    ("ja", include_str!("ja.toml")),
    ("fr", include_str!("fr.toml")),
    ("pt", include_str!("pt.toml")),
];

/// The table with the headings.
const HEADING: &str = "heading";

/// A language that there is a table for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Language(&'static (&'static str, &'static str));

/// A word that is not a language.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a language that there are texts in: give one of {all}", all = codes())]
pub struct Error(String);

fn codes() -> String {
    TABLES.iter().map(|(code, _)| *code).collect::<Vec<_>>().join(", ")
}

impl Language {
    /// What the others translate.
    pub const ENGLISH: Self = Self(&TABLES[0]);

    /// All languages.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLES.iter().map(Self)
    }

    /// The code of ISO 639.
    #[must_use]
    pub const fn code(self) -> &'static str {
        self.0.0
    }

    /// The language of the first of these values of `LC_ALL`, `LC_MESSAGES` and `LANG` that is set, such as
    /// `ja_JP.UTF-8`; English if there are no texts in it.
    #[must_use]
    pub fn of_locale<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let locale = values.into_iter().find(|value| !value.is_empty()).unwrap_or_default();
        let code = locale.split(['_', '-', '.', '@']).next().unwrap_or_default();
        code.parse().unwrap_or(Self::ENGLISH)
    }
}

impl FromStr for Language {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let is_it = |language: &Self| language.code().eq_ignore_ascii_case(text);
        Self::all().find(is_it).ok_or_else(|| Error(escaped(text.as_bytes())))
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// The texts of a language.
#[derive(Debug)]
pub struct Texts {
    /// What stands above the parts of an entry, and above the parts of the list of words.
    headings: BTreeMap<String, String>,
    /// The entries of each topic, in the order of the table.
    entries: Vec<(Topic, String, Entry)>,
}

impl Texts {
    /// Reads the table of a language. It is a part of this program, and its tests have read it.
    pub fn read(language: Language) -> Result<Self, toml::de::Error> {
        let mut texts = Self::parse(language.0.1)?;
        if language == Language::ENGLISH {
            for (topic, word, entry) in &mut texts.entries {
                if let Some(column) = topic.column(word) {
                    column.help.clone_into(&mut entry.brief);
                }
            }
        }
        Ok(texts)
    }

    fn parse(text: &str) -> Result<Self, toml::de::Error> {
        let mut table: toml::Table = text.parse()?;
        let headings = table.remove(HEADING).unwrap_or_else(|| toml::Table::new().into());
        let mut texts = Self { headings: BTreeMap::deserialize(headings)?, entries: Vec::new() };
        for topic in Topic::ALL {
            let words = table.remove(topic.name()).unwrap_or_else(|| toml::Table::new().into());
            for (word, value) in toml::Table::deserialize(words)? {
                let entry = Entry::deserialize(value)?;
                texts.entries.push((topic, word, entry));
            }
        }
        match table.keys().next() {
            Some(other) => Err(serde::de::Error::custom(format!("`{other}` is no topic"))),
            None => Ok(texts),
        }
    }

    /// A heading; its key if it is missing, which a test does not allow.
    #[must_use]
    pub fn heading<'a>(&'a self, key: &'a str) -> &'a str {
        self.headings.get(key).map_or(key, String::as_str)
    }

    /// The words of a topic with their entries, in the order of the table.
    pub fn words(&self, topic: Topic) -> impl Iterator<Item = (&str, &Entry)> {
        let of_topic = self.entries.iter().filter(move |(other, ..)| *other == topic);
        of_topic.map(|(_, word, entry)| (word.as_str(), entry))
    }

    /// What is said about a word.
    #[must_use]
    pub fn entry(&self, topic: Topic, word: &str) -> Option<&Entry> {
        self.words(topic).find(|(other, _)| *other == word).map(|(_, entry)| entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_those_of_the_locale() {
        for (values, code) in [
            (&["", "en_GB.UTF-8"][..], "en"),
            (&["C.UTF-8", "ja_JP.UTF-8"], "en"),
            (&["POSIX"], "en"),
            (&["xx_YY"], "en"),
            (&[], "en"),
        ] {
            assert_eq!(Language::of_locale(values.iter().copied()).code(), code, "{values:?}");
        }
        for language in Language::all() {
            let locale = format!("{language}_XX.UTF-8@some");
            assert_eq!(Language::of_locale(["", &locale, "C"]), language);
            assert_eq!(language.code().to_uppercase().parse(), Ok(language));
        }
        assert_eq!("tl\u{1b}h".parse::<Language>(), Err(Error("tl\\x1bh".into())));
    }

    #[test]
    fn wrong_tables_are_refused() {
        for text in ["[state.LISTEN]\nwhta = 'x'", "[stat.LISTEN]\nbrief = 'x'", "[state]\nLISTEN = 1", "x"] {
            assert!(Texts::parse(text).is_err(), "{text}");
        }
    }
}
