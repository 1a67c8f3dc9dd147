//! The help screen with the keys.

use ratatui::text::Line;

use super::{bold, dim, plain};
use crate::{text::width::left, view::top::model::Model};

/// The keys, each with what it does.
const KEYS: [(&str, &str); 15] = [
    ("q Ctrl-C", "leave"),
    ("arrows", "move; also PgUp PgDn Home End, k j g G"),
    ("Enter", "the story of the connection under the cursor; Esc goes back"),
    ("/", "filter as you type, in the words of the flags:"),
    ("", "port=443 comm=nginx state=CLOSE_WAIT addr=10.0.0.0/8 reason=refused"),
    ("", "or what looks like it: 443, nginx, ESTAB, stuck, 10.0.0.0/8"),
    ("1 to 9", "the connections of the finding with this number"),
    ("e", "what this state or finding means, and what to do"),
    ("b", "a row for each process, service, peer, ...; Enter opens one"),
    ("c", "command lines of processes"),
    ("t p", "only connections in the state of this one, or of its process"),
    ("Esc", "all again"),
    ("s S r", "sort by the next column, by the one before; the other way round"),
    ("Space .", "time stands still, and goes on; of a recording . plays a second"),
    ("Ctrl-Z", "to the shell; fg comes back"),
];

/// Width of the column of keys.
const KEY: usize = 10;

/// The table of keys, and the meaning of colours.
pub(super) fn lines<'a>(model: &Model) -> Vec<Line<'a>> {
    let mut lines: Vec<Line<'a>> =
        KEYS.iter().map(|(key, what)| Line::from(vec![bold(left(key, KEY)), plain(*what)])).collect();
    lines.push(Line::from(vec![
        bold(left("STUCK", KEY)),
        plain("longer in a state than --stuck allows, here:"),
    ]));
    lines.push(Line::from(vec![plain(left("", KEY)), plain(model.limits.to_string())]));
    lines.push(Line::from(vec![
        bold(left(">12s", KEY)),
        plain("at least so long: how it began was not seen"),
    ]));
    lines.push(Line::from(dim("any key goes back")));
    lines
}
