//! The input line for a filter.

use crate::view::input::Input;

/// Maximum length of the text, longer than any filter. Further input is ignored.
const LONGEST: usize = 200;

/// The input line.
#[derive(Clone, Debug, Default)]
pub struct Prompt {
    /// The text.
    pub text: String,
    /// The text before editing began, which Escape restores.
    before: Option<String>,
    /// Why the text is not a valid filter.
    pub error: Option<String>,
}

impl Prompt {
    /// A closed line with this text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self { text, ..Self::default() }
    }

    /// Whether the line is being edited.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.before.is_some()
    }

    /// Starts editing.
    pub fn open(&mut self) {
        self.before = Some(self.text.clone());
    }

    /// Handles a key while the line is open. Returns whether the text has changed.
    pub fn input(&mut self, input: Input) -> bool {
        match input {
            Input::Char(c) if self.text.len() < LONGEST && !c.is_control() => self.text.push(c),
            Input::Backspace => _ = self.text.pop(),
            Input::Clear => self.text.clear(),
            // An invalid filter cannot be confirmed.
            Input::Enter if self.error.is_some() => return false,
            Input::Enter => {
                self.before = None;
                return false;
            }
            Input::Escape | Input::Interrupt => self.text = self.before.take().unwrap_or_default(),
            _ => return false,
        }
        true
    }

    /// Adds `word=value`, or replaces the value of that word.
    pub fn put(&mut self, word: &str, value: &str) {
        let begins = format!("{word}=");
        let mut words: Vec<&str> =
            self.text.split_whitespace().filter(|other| !other.starts_with(&begins)).collect();
        let new = format!("{begins}{value}");
        words.push(&new);
        self.text = words.join(" ");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(line: &mut Prompt, text: &str) {
        text.chars().for_each(|c| assert!(line.input(Input::Char(c))));
    }

    #[test]
    fn what_is_typed_is_kept_or_taken_back() {
        let mut line = Prompt::default();
        line.open();
        typed(&mut line, "port=44");
        line.input(Input::Backspace);
        line.input(Input::Enter);
        assert_eq!((line.text.as_str(), line.is_open()), ("port=4", false));
        line.open();
        typed(&mut line, "3");
        line.input(Input::Escape);
        assert_eq!((line.text.as_str(), line.is_open()), ("port=4", false));
    }

    #[test]
    fn a_word_has_one_value() {
        let mut line = Prompt { text: "pid=1 state=LISTEN".into(), ..Prompt::default() };
        line.put("state", "CLOSE_WAIT");
        assert_eq!(line.text, "pid=1 state=CLOSE_WAIT");
    }
}
