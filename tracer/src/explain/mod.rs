//! What a word means, and what to do: states, transitions, reasons, findings, columns, the receipt.
//!
//! # Layout
//! - here: [`explain`], from a typed word to a screen
//! - [`texts`]: a table of texts for each language; [`topic`]: what words are about
//! - [`lookup`]: finds what a typed word means
//! - [`screen`]: an explanation as it is shown; [`diagram`]: the states; `stories`: both ends of a connection
//! - [`here`]: what there is of it on this host

pub mod diagram;
pub mod here;
pub mod lookup;
pub mod screen;
mod stories;
pub mod texts;
pub mod topic;

use crate::{
    explain::{
        here::Here,
        lookup::find,
        screen::{Look, Screen},
        texts::{Language, Texts},
        topic::Topic,
    },
    tcp::state::State,
};

/// Why there is no explanation.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The word is not known.
    #[error(transparent)]
    Word(#[from] lookup::Error),
    /// A table cannot be read.
    #[error("reading the texts: {0}")]
    Texts(#[from] toml::de::Error),
}

/// Explains a word; without one, lists all words.
/// `here`: tells which sockets of a state there are on this host, for those who know.
///
/// ```
/// use tracer::explain::{explain, screen::Look, texts::Language};
///
/// let look = Look { width: 80, colour: false };
/// let text = explain(Some("close-wait"), Language::ENGLISH, look, |_| None)?;
/// assert!(text.starts_with("CLOSE_WAIT: the peer has closed"));
/// # Ok::<(), tracer::explain::Error>(())
/// ```
pub fn explain(
    word: Option<&str>,
    language: Language,
    look: Look,
    here: impl FnOnce(State) -> Option<Here>,
) -> Result<String, Error> {
    let texts = Texts::read(language)?;
    let Some(word) = word else {
        return Ok(Screen::new(&texts, look).list());
    };
    let (first, others) = find(&texts, word)?;
    // What RFCs and functions are called is the same in all languages.
    let english = Texts::read(Language::ENGLISH)?;
    let source = english.entry(first.topic, &first.word).map_or("", |entry| entry.source.as_str());
    let state = if first.topic == Topic::State { first.word.parse().ok() } else { None };
    let here = state.and_then(here);
    Ok(Screen::new(&texts, look).explanation(&first, &others, source, here.as_ref()))
}

/// All words with what they mean in one line, as shells offer them.
#[must_use]
pub fn words() -> Vec<(String, String)> {
    let Ok(texts) = Texts::read(Language::ENGLISH) else {
        return Vec::new();
    };
    let words = |topic| texts.words(topic).map(|(word, entry)| (word.to_owned(), entry.brief.clone()));
    let mut all: Vec<(String, String)> = Vec::new();
    for (word, brief) in Topic::ALL.into_iter().flat_map(words) {
        // What else it means is told where it is explained.
        if !all.iter().any(|(other, _)| *other == word) {
            all.push((word, brief));
        }
    }
    all
}
