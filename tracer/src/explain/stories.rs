//! The pictures of the stories: a connection seen from both ends. The texts belong to their steps.

use crate::text::width::{left, right};

/// A row of a story's picture.
struct StoryRow {
    /// The step that it belongs to, from 1.
    step: usize,
    /// At the client: what its process calls or gets, and the state after it.
    client: (&'static str, &'static str),
    /// What is on the way: `>` to the server, `<` to the client, `x` lost on the way to the server.
    segment: (char, &'static str),
    /// At the server.
    server: (&'static str, &'static str),
}

type Side = (&'static str, &'static str);

const fn moment(step: usize, client: Side, segment: (char, &'static str), server: Side) -> StoryRow {
    StoryRow { step, client, segment, server }
}

const NOTHING: (char, &str) = (' ', "");
const SAME: Side = ("", "");

const OPEN: &[StoryRow] = &[
    moment(1, ("", "CLOSE"), NOTHING, ("listen()", "LISTEN")),
    moment(2, ("connect()", "SYN_SENT"), ('>', "SYN"), ("", "NEW_SYN_RECV")),
    moment(3, ("", "ESTABLISHED"), ('<', "SYN-ACK"), SAME),
    moment(4, SAME, ('>', "ACK"), ("", "ESTABLISHED")),
    moment(5, SAME, NOTHING, ("accept()", "ESTABLISHED")),
];

const CLOSE: &[StoryRow] = &[
    moment(0, ("", "ESTABLISHED"), NOTHING, ("", "ESTABLISHED")),
    moment(1, ("close()", "FIN_WAIT1"), ('>', "FIN"), ("", "CLOSE_WAIT")),
    moment(2, ("", "FIN_WAIT2"), ('<', "ACK"), ("read() 0", "")),
    moment(3, ("", "TIME_WAIT"), ('<', "FIN"), ("close()", "LAST_ACK")),
    moment(4, SAME, ('>', "ACK"), ("", "CLOSE")),
];

const SIMULTANEOUS_CLOSE: &[StoryRow] = &[
    moment(0, ("", "ESTABLISHED"), NOTHING, ("", "ESTABLISHED")),
    moment(1, ("close()", "FIN_WAIT1"), NOTHING, ("close()", "FIN_WAIT1")),
    moment(2, SAME, ('>', "FIN"), ("", "CLOSING")),
    moment(2, ("", "CLOSING"), ('<', "FIN"), SAME),
    moment(3, SAME, ('>', "ACK"), ("", "TIME_WAIT")),
    moment(4, ("", "TIME_WAIT"), ('<', "ACK"), SAME),
];

const HALF_OPEN: &[StoryRow] = &[
    moment(0, ("", "ESTABLISHED"), NOTHING, ("", "ESTABLISHED")),
    moment(1, SAME, NOTHING, ("", "-")),
    moment(2, ("", "ESTABLISHED"), NOTHING, ("listen()", "LISTEN")),
    moment(3, ("write()", "ESTABLISHED"), ('>', "data"), SAME),
    moment(4, ("ECONNRESET", "CLOSE"), ('<', "RST"), ("", "LISTEN")),
];

const RESET: &[StoryRow] = &[
    moment(0, ("", "ESTABLISHED"), NOTHING, ("", "ESTABLISHED")),
    moment(1, ("write()", "ESTABLISHED"), ('>', "data"), SAME),
    moment(2, SAME, NOTHING, ("close()", "CLOSE")),
    moment(3, ("ECONNRESET", "CLOSE"), ('<', "RST"), SAME),
];

const TIMEOUT: &[StoryRow] = &[
    moment(0, ("", "ESTABLISHED"), NOTHING, ("", "ESTABLISHED")),
    moment(1, ("write()", "ESTABLISHED"), ('x', "data"), SAME),
    moment(2, SAME, ('x', "data"), SAME),
    moment(3, ("ETIMEDOUT", "CLOSE"), NOTHING, SAME),
    moment(4, SAME, NOTHING, ("", "ESTABLISHED")),
];

/// All stories, by their words.
const STORIES: [(&str, &[StoryRow]); 6] = [
    ("open", OPEN),
    ("close", CLOSE),
    ("simultaneous-close", SIMULTANEOUS_CLOSE),
    ("half-open", HALF_OPEN),
    ("reset", RESET),
    ("timeout", TIMEOUT),
];

/// Width of the picture.
pub(super) const WIDTH: usize = 76;

/// Draws a story: a line for each moment, below the names of both ends.
pub(super) fn lines(word: &str, client: &str, server: &str) -> Vec<String> {
    let Some((_, moments)) = STORIES.iter().find(|(other, _)| *other == word) else {
        return Vec::new();
    };
    let mut lines = vec![format!("{} {} {}", left("", 15), left(client, 41), server)];
    let mut step = 0;
    for moment in *moments {
        let number = if moment.step == step { String::new() } else { moment.step.to_string() };
        step = moment.step;
        let line = format!(
            "{} {} {} {} {} {}",
            left(&number, 2),
            left(moment.client.0, 11),
            left(moment.client.1, 12),
            arrow(moment.segment),
            left(moment.server.1, 12),
            moment.server.0,
        );
        lines.push(line.trim_end().to_owned());
    }
    lines
}

/// What is on the way, in 26 columns.
fn arrow((direction, segment): (char, &str)) -> String {
    let line = |name: &str| format!("{name:-^24}");
    let name = format!(" {segment} ");
    match direction {
        '>' => format!(" {}>", line(&name)),
        '<' => format!("<{} ", line(&name)),
        'x' => format!(" {:-<13}X{}", format!("--{name}"), left("", 11)),
        _ => right("", 26),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        explain::{
            diagram::after,
            texts::{Language, Texts},
            topic::Topic,
        },
        tcp::state::State,
    };

    #[test]
    fn every_story_has_texts_for_its_steps() {
        for language in Language::all() {
            let texts = Texts::read(language).unwrap();
            let told: Vec<_> =
                texts.words(Topic::Story).map(|(word, entry)| (word, entry.steps.len())).collect();
            let drawn = STORIES.map(|(word, moments)| (word, moments.last().unwrap().step));
            assert_eq!(told, drawn, "{language}");
        }
    }

    /// What happens at an end is what Linux does. A crash has no state, and the server's socket comes out of a request.
    #[test]
    fn every_change_in_a_story_is_a_transition() {
        for (word, moments) in STORIES {
            let sides: [fn(&StoryRow) -> &'static str; 2] =
                [|moment| moment.client.1, |moment| moment.server.1];
            for side in sides {
                let states: Vec<_> = moments.iter().map(side).filter(|state| !state.is_empty()).collect();
                for pair in states.windows(2).filter(|pair| pair[0] != pair[1] && !pair.contains(&"-")) {
                    let old: State = pair[0].parse().unwrap();
                    let new: State = pair[1].parse().unwrap();
                    let is_request = pair.contains(&"NEW_SYN_RECV");
                    assert!(
                        is_request || after(old.number()).any(|other| other == new.number()),
                        "{word}: {pair:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn pictures_fit() {
        for (word, _) in STORIES {
            for line in lines(word, "クライアント", "サーバー") {
                assert!(unicode_width::UnicodeWidthStr::width(&*line) <= WIDTH, "{line}");
            }
        }
    }
}
