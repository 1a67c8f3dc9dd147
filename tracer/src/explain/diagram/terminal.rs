//! The diagram in text, of ASCII alone: lines of other characters are two columns wide on some terminals.

use anstyle::Style;

use crate::{
    explain::diagram::{ARROWS, BOXES, Cell, drawn_as},
    tcp::{colour, state::State},
};

/// Its width.
pub const WIDTH: usize = 76;

const HEIGHT: usize = 20;

/// A character and its style.
type Glyph = (char, Style);

/// What is marked.
#[derive(Clone, Copy, Debug)]
pub enum Mark {
    /// A state.
    State(State),
    /// A transition, with both of its states.
    Transition(State, State),
}

impl Mark {
    fn has_state(self, state: u8) -> bool {
        let is_it = |marked: State| drawn_as(marked.number()) == state;
        match self {
            Self::State(marked) => is_it(marked),
            Self::Transition(old, new) => is_it(old) || is_it(new),
        }
    }

    fn is_transition(self, old: u8, new: u8) -> bool {
        matches!(self, Self::Transition(from, to) if (from.number(), to.number()) == (old, new))
    }
}

struct Canvas(Vec<[Glyph; WIDTH]>);

impl Canvas {
    fn put(&mut self, (x, y): Cell, glyph: Glyph) {
        if let Some(place) = self.0.get_mut(y).and_then(|row| row.get_mut(x)) {
            *place = glyph;
        }
    }

    fn text(&mut self, (x, y): Cell, text: &str, style: Style) {
        for (index, character) in text.chars().enumerate() {
            self.put((x + index, y), (character, style));
        }
    }

    /// Draws an arrow. A marked one is of `#`, so that it can be seen without colours.
    fn arrow(&mut self, path: &[Cell], is_marked: bool) {
        let style = if is_marked { Style::new().bold() } else { Style::new().dimmed() };
        let line = |character| if is_marked { '#' } else { character };
        for pair in path.windows(2) {
            let (from, to) = (pair[0], pair[1]);
            for x in from.0.min(to.0)..=from.0.max(to.0) {
                for y in from.1.min(to.1)..=from.1.max(to.1) {
                    self.put((x, y), (line(if from.1 == to.1 { '-' } else { '|' }), style));
                }
            }
        }
        for corner in path.iter().skip(1) {
            self.put(*corner, (line('+'), style));
        }
        if let [.., before, last] = path {
            let head = match (before.0.cmp(&last.0), before.1 == last.1) {
                (_, false) => 'v',
                (std::cmp::Ordering::Less, true) => '>',
                _ => '<',
            };
            self.put(*last, (head, style));
        }
    }
}

/// Draws the diagram, a line of text for each row.
#[must_use]
pub fn lines(mark: Mark, has_colour: bool) -> Vec<String> {
    let mut canvas = Canvas(vec![[(' ', Style::new()); WIDTH]; HEIGHT]);
    // What is marked is drawn last, over what it crosses.
    for is_marked in [false, true] {
        for arrow in ARROWS.iter().filter(|arrow| mark.is_transition(arrow.old, arrow.new) == is_marked) {
            canvas.arrow(arrow.path, is_marked);
            canvas.text(arrow.by_at, arrow.by, if is_marked { Style::new().bold() } else { Style::new() });
        }
    }
    for state_box in &BOXES {
        let state = State::from_kernel(state_box.state);
        let (name, style) = if mark.has_state(state_box.state) {
            (format!("[{state}]"), colour::of(state).bold().invert())
        } else {
            (state.to_string(), colour::of(state))
        };
        let (x, y) = state_box.at;
        canvas.text((x - name.len() / 2, y), &name, style);
    }
    canvas.0.iter().map(|row| line(row, has_colour)).collect()
}

fn line(row: &[Glyph], has_colour: bool) -> String {
    let end = row.iter().rposition(|(character, _)| *character != ' ').map_or(0, |last| last + 1);
    let mut line = String::new();
    let mut current = Style::new();
    for (character, style) in &row[..end] {
        if has_colour && *style != current {
            line += &[current.render_reset().to_string(), style.to_string()].concat();
            current = *style;
        }
        line.push(*character);
    }
    if current != Style::new() {
        line += &current.render_reset().to_string();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(name: &str) -> State {
        name.parse().unwrap()
    }

    #[test]
    fn what_is_asked_for_is_marked() {
        let text = lines(Mark::State(state("CLOSE_WAIT")), false).join("\n");
        assert_eq!((text.matches('[').count(), text.matches("[CLOSE_WAIT]").count()), (1, 1), "{text}");
        let text = lines(Mark::State(state("NEW_SYN_RECV")), false).join("\n");
        assert!(text.contains("[SYN_RECV]"), "{text}");
        let text = lines(Mark::Transition(state("FIN_WAIT1"), state("CLOSING")), false).join("\n");
        assert!(text.contains("[FIN_WAIT1] ########") && text.contains("[CLOSING]"), "{text}");
        assert!(!lines(Mark::State(state("CLOSE")), false).join("\n").contains('#'));
    }

    /// The same characters, and every style is closed.
    #[test]
    fn colours_change_no_character() {
        let mark = Mark::Transition(state("SYN_SENT"), state("ESTABLISHED"));
        for (plain, coloured) in lines(mark, false).iter().zip(lines(mark, true)) {
            assert_eq!(*plain, anstream::adapter::strip_str(&coloured).to_string());
            assert_eq!(coloured.rfind('\u{1b}'), coloured.rfind("\u{1b}[0m"), "{coloured:?}");
        }
    }
}
