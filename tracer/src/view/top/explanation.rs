//! What a word means, as `tracer explain` says it, in the middle of the screen.

use crate::{
    explain::{explain, screen::Look, texts::Language},
    view::input::Input,
};

/// Lines are wrapped to a screen of 80 columns. Longer ones read badly on wide screens.
const LOOK: Look = Look { width: 80, colour: false };

/// How far a page goes.
const PAGE: usize = 10;

/// An explanation, and where its reader is.
#[derive(Debug)]
pub struct Explanation {
    lines: Vec<String>,
    first: usize,
}

impl Explanation {
    /// What `word` means; `None` for a word that there is nothing to say about.
    #[must_use]
    pub fn of(word: &str, language: Language) -> Option<Self> {
        let text = explain(Some(word), language, LOOK, |_| None).ok()?;
        Some(Self { lines: text.lines().map(str::to_owned).collect(), first: 0 })
    }

    /// The lines from the first one on the screen.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().skip(self.first).map(String::as_str)
    }

    /// Moves through the lines. Returns whether the reader is done.
    pub fn input(&mut self, input: Input) -> bool {
        let last = self.lines.len().saturating_sub(PAGE);
        let to = match input {
            Input::Up | Input::Char('k') => self.first.saturating_sub(1),
            Input::Down | Input::Char('j') => self.first + 1,
            Input::PageUp => self.first.saturating_sub(PAGE),
            Input::PageDown => self.first + PAGE,
            Input::Home | Input::Char('g') => 0,
            Input::End | Input::Char('G') => last,
            Input::Escape | Input::Enter | Input::Left | Input::Char('e') => return true,
            _ => self.first,
        };
        self.first = to.min(last);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_moves_within_its_lines() {
        let mut explanation = Explanation::of("close-wait", Language::ENGLISH).unwrap();
        let first = explanation.lines().next().unwrap().to_owned();
        assert!(first.starts_with("CLOSE_WAIT: "), "{first}");
        assert!(!explanation.input(Input::Up) && explanation.lines().next() == Some(first.as_str()));
        assert!(!explanation.input(Input::End) && explanation.lines().count() == PAGE);
        assert!(!explanation.input(Input::PageDown) && explanation.lines().count() == PAGE);
        assert!(explanation.input(Input::Escape));
        assert!(Explanation::of("no word", Language::ENGLISH).is_none());
    }
}
