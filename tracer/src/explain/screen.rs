//! An explanation, and the list of words, as they are shown.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use unicode_width::UnicodeWidthStr as _;

use crate::{
    explain::{
        diagram::terminal::{self, Mark},
        here::Here,
        lookup::{Meaning, spellings},
        stories,
        texts::{Texts, entry::Entry},
        topic::Topic,
    },
    tcp::{colour, state::State},
    text::{
        painted::painted,
        width::{left, shorten},
        wrap::wrap,
    },
};

/// How far text stands from the left.
const INDENT: usize = 2;

/// The widest word in lists that has its text on the same line.
const WORD: usize = 22;

/// How a screen looks.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// Its width.
    pub width: usize,
    /// Whether it has colours.
    pub colour: bool,
}

/// As much of what is said about a column as has room and makes sense alone: the text, or its beginning up to the
/// first colon, semicolon, bracket or end of a sentence. Where that is too long, up to a comma before it.
fn first_words(text: &str, room: usize) -> &str {
    if text.width() <= room {
        return text;
    }
    let is_end = |at: usize, c: char| match c {
        '；' | '：' | '（' | '。' => true,
        ';' | ':' | '.' => text[at + 1..].starts_with(' '),
        '(' => text[..at].ends_with(' '),
        _ => false,
    };
    let is_pause = |at: usize, c: char| c == '、' || c == ',' && text[at + 1..].starts_with(' ');
    let mut depth = 0_usize;
    let mut paused = None;
    for (at, c) in text.char_indices() {
        let words = text[..at].trim_end();
        let has_room = words.width() <= room;
        match depth {
            0 if is_end(at, c) && has_room => return words,
            0 if is_end(at, c) => break,
            0 if is_pause(at, c) && has_room => paused = Some(words),
            _ => {}
        }
        match c {
            '(' | '（' => depth += 1,
            ')' | '）' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    paused.unwrap_or(text)
}

/// A screen that is being written.
pub(super) struct Screen<'a> {
    texts: &'a Texts,
    look: Look,
    out: String,
}

impl<'a> Screen<'a> {
    pub(super) fn new(texts: &'a Texts, look: Look) -> Self {
        Self { texts, look, out: String::new() }
    }

    /// Text in a style.
    fn styled(&self, text: &str, style: Style) -> String {
        painted(text, style, self.look.colour).to_string()
    }

    fn line(&mut self, text: &str) {
        self.out += text.trim_end();
        self.out.push('\n');
    }

    fn heading(&mut self, key: &str) {
        self.out.push('\n');
        for line in wrap(self.texts.heading(key), self.look.width) {
            let line = self.styled(&line, Style::new().bold());
            self.line(&line);
        }
    }

    /// Wrapped text. What was quoted is bold where there are colours.
    fn text(&mut self, first: &str, text: &str) {
        let indent = first.width();
        let bold = Style::new().bold();
        let mut is_quoted = false;
        for (index, line) in wrap(text, self.look.width.saturating_sub(indent)).into_iter().enumerate() {
            let mut out = if index == 0 { first.to_owned() } else { " ".repeat(indent) };
            if !self.look.colour {
                self.line(&(out + &line));
                continue;
            }
            for (part, piece) in line.split('`').enumerate() {
                is_quoted ^= part > 0;
                out += &if is_quoted { self.styled(piece, bold) } else { piece.to_owned() };
            }
            self.line(&out);
        }
    }

    fn indented(&mut self, text: &str) {
        self.text(&" ".repeat(INDENT), text);
    }

    /// A picture that has to fit.
    fn picture(&mut self, lines: &[String], width: usize) {
        if self.look.width >= width + INDENT {
            for line in lines {
                self.line(&format!("{:INDENT$}{line}", ""));
            }
        }
    }

    pub(super) fn explanation(
        mut self,
        meaning: &Meaning,
        others: &[Meaning],
        source: &str,
        here: Option<&Here>,
    ) -> String {
        let texts = self.texts;
        let Some(entry) = texts.entry(meaning.topic, &meaning.word) else { return self.out };
        let state = (meaning.topic == Topic::State).then(|| meaning.word.parse::<State>().ok()).flatten();
        let style = state.map_or(Style::new(), colour::of).bold();
        let word = self.styled(&meaning.word, style);
        let title = format!("{}: {}", meaning.word, entry.brief);
        self.text("", &title);
        // The style takes no room.
        self.out = self.out.replacen(&meaning.word, &word, 1);
        let titles = || meaning.topic.column(&meaning.word).map(|column| column.titles.join(", "));
        if let Some(others) = state.map(|state| spellings(state).join(", ")).or_else(titles) {
            self.indented(&format!("{}: {others}", texts.heading("spellings")));
        }
        self.told(meaning, entry);
        self.lists(entry);
        if let Some(mark) = state.map(Mark::State) {
            self.diagram(mark);
        }
        if !source.is_empty() {
            self.heading("source");
            self.indented(source);
        }
        if let Some(here) = here {
            self.heading("here");
            self.indented(&here.line(texts.heading("oldest")));
            for (key, value) in here.remarks() {
                self.indented(&format!("{}{value}", texts.heading(key)));
            }
        }
        if !others.is_empty() {
            self.heading("also");
            for other in others {
                let brief = texts.entry(other.topic, &other.word).map_or("", |entry| entry.brief.as_str());
                self.indented(&format!("`tracer explain {}`: {brief}", other.typed()));
            }
        }
        self.out
    }

    /// What is told in paragraphs, and the pictures that belong to it.
    fn told(&mut self, meaning: &Meaning, entry: &Entry) {
        for (key, text) in entry.paragraphs().into_iter().filter(|(_, text)| !text.is_empty()) {
            // In a story this is no pile, but what may go wrong.
            if meaning.topic == Topic::Story && key == "pile" {
                continue;
            }
            self.heading(key);
            self.indented(text);
        }
        if meaning.topic == Topic::Transition {
            let states = meaning.word.split_once(':');
            let states = states.and_then(|(old, new)| Some((old.parse().ok()?, new.parse().ok()?)));
            if let Some((old, new)) = states {
                self.diagram(Mark::Transition(old, new));
            }
        }
        if meaning.topic == Topic::Story {
            self.out.push('\n');
            let texts = self.texts;
            let lines = stories::lines(&meaning.word, texts.heading("client"), texts.heading("server"));
            self.picture(&lines, stories::WIDTH);
            self.heading("steps");
            for (step, text) in (1..).zip(&entry.steps) {
                self.text(&format!("  {step} "), text);
            }
            if !entry.pile.is_empty() {
                self.heading("wrong");
                self.indented(&entry.pile);
            }
        }
    }

    fn lists(&mut self, entry: &Entry) {
        if !entry.causes.is_empty() {
            self.heading("causes");
            for (number, cause) in (1..).zip(&entry.causes) {
                self.text(&format!("  {number}. "), cause);
            }
        }
        if !entry.next.is_empty() {
            self.heading("next");
            for (command, why) in &entry.next {
                // It can be copied, so it is not wrapped.
                let command = self.styled(command, AnsiColor::Cyan.on_default());
                self.line(&format!("{:INDENT$}{command}", ""));
                self.text("      ", why);
            }
        }
        if !entry.settings.is_empty() {
            self.heading("settings");
            for setting in &entry.settings {
                self.text("  - ", setting);
            }
        }
    }

    fn diagram(&mut self, mark: Mark) {
        if self.look.width < terminal::WIDTH + INDENT {
            return;
        }
        self.heading("diagram");
        self.picture(&terminal::lines(mark, self.look.colour), terminal::WIDTH);
        let texts = self.texts;
        self.indented(texts.heading("not_drawn"));
    }

    /// All words, a line for each.
    pub(super) fn list(mut self) -> String {
        let texts = self.texts;
        let usage = texts.heading("usage").to_owned();
        self.text("", &usage);
        for topic in Topic::ALL {
            self.heading(topic.name());
            let longest = texts.words(topic).map(|(word, _)| word.len()).max().unwrap_or_default().min(WORD);
            for (word, entry) in texts.words(topic) {
                let room = self.look.width.saturating_sub(INDENT + longest.max(word.len()) + 2);
                let mut brief = entry.brief.replace('`', "");
                if topic.column(word).is_some() {
                    brief.truncate(first_words(&brief, room).len());
                }
                shorten(&mut brief, room);
                // Words are whole, even where one is longer than most.
                let padded = if word.len() > longest { word.to_owned() } else { left(word, longest) };
                let mut line = String::new();
                // Writing into memory cannot fail.
                let _ = write!(line, "{:INDENT$}{}  {brief}", "", self.styled(&padded, Style::new().bold()));
                self.line(&line);
            }
        }
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_end_where_they_make_sense() {
        for (text, first) in [
            ("short: as it is", "short: as it is"),
            ("what it is about: this, that and much more", "what it is about"),
            ("its size (in bytes; of v4: 4) or none; more, and much more", "its size"),
            ("one: two, three four; five six seven eight nine ten", "one"),
            ("as in 2001:db8::/32 or elsewhere: more and more", "as in 2001:db8::/32 or elsewhere"),
            ("the name of a file, as some other tool has it", "the name of a file"),
            ("one. Two three four five six seven eight nine", "one"),
            ("行の種類：transition、reset、retransmit、その他いろいろ、まだあります", "行の種類"),
        ] {
            assert_eq!(first_words(text, 37), first);
        }
    }
}
