//! How lines are written: a file for each format.

pub mod columns;
pub mod csv;
pub mod json;
pub mod row;
pub mod second;
pub mod text;

use tracer_common::member::Member;

use crate::{
    format::{
        columns::{FIELDS, Field, Shown, Value},
        csv::Csv,
        json::Json,
        row::Row,
        text::{Style, Text},
    },
    tcp::state::State,
    text::{line::Line, number::push_uint},
};

/// A format turns rows into bytes; it does no I/O and cannot fail.
pub trait Format {
    /// What comes before the first line.
    fn begin(&mut self, out: &mut Vec<u8>);
    /// One line.
    fn line(&mut self, row: &Row<'_>, out: &mut Vec<u8>);
}

/// A column to show.
pub struct Column {
    /// Its row in the table.
    pub field: &'static Field,
    /// The running kernel does not tell it.
    is_absent: bool,
}

impl Column {
    /// Its value; null if the kernel does not tell it.
    #[must_use]
    pub fn value<'a>(&self, row: &Row<'a>) -> Value<'a> {
        if self.is_absent { Value::Null } else { (self.field.value)(row) }
    }
}

/// Formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// Aligned columns.
    Text,
    /// An object per line.
    Json,
    /// RFC 4180 with a header.
    Csv,
}

/// How lines are to be written.
#[derive(Clone)]
pub struct Plan {
    /// Format.
    pub kind: Kind,
    /// Columns that the user chose; none for the default ones.
    pub columns: Option<Vec<&'static Field>>,
    /// Where the default ones are: in text, and in JSON and CSV.
    pub place: (Shown, Shown),
    /// For text.
    pub style: Style,
}

impl Plan {
    /// Makes the format, on a kernel that does not tell `absent`.
    #[must_use]
    pub fn format(&self, absent: &[Member]) -> Box<dyn Format> {
        let place = if self.kind == Kind::Text { self.place.0 } else { self.place.1 };
        let fields = match &self.columns {
            Some(chosen) => chosen.clone(),
            None => FIELDS.iter().filter(|field| field.shown.is_in(place)).collect(),
        };
        let is_absent = |field: &Field| field.needs.iter().any(|needed| absent.contains(needed));
        let columns = fields.into_iter().map(|field| Column { field, is_absent: is_absent(field) }).collect();
        match self.kind {
            Kind::Text => Box::new(Text::new(columns, &self.style, self.columns.is_some())),
            Kind::Json => Box::new(Json::new(columns)),
            Kind::Csv => Box::new(Csv::new(columns)),
        }
    }
}

/// A state's name, or its number if it has none.
fn push_state(line: Line<'_>, state: State) -> Line<'_> {
    match state.padded_name() {
        Some((name, len)) => line.push_first(name, *len),
        None => line.push_all(state.to_string().as_bytes()),
    }
}

/// An RST, and why it was sent: `reset sent (no-socket)`.
fn push_reset<'a>(line: Line<'a>, way: &str, why: Option<&str>) -> Line<'a> {
    let line = line.push_all(way.as_bytes());
    match why {
        Some(why) => line.push_all(b" (").push_all(why.as_bytes()).push(b')'),
        None => line,
    }
}

/// An error that has no name here.
fn push_errno(line: Line<'_>, errno: u16) -> Line<'_> {
    push_uint(line.push(b'E'), u64::from(errno))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        format::text::TimeFormat,
        text::line::ROOM,
        time::clock::Clock,
        track::{Tracked, Tracker, connection::LIVED_STATES},
    };
    use tracer_common::{Event, event::AF_INET6, state as number};
    use zerocopy::FromBytes as _;

    /// Everything at once, and as long as it can be.
    fn longest() -> Tracked {
        let mut event = Event::read_from_bytes(&[0xff; size_of::<Event>()]).unwrap();
        event.family = AF_INET6;
        // Escaped they take six signs each.
        event.comm = [1; 16];
        (event.old_state, event.new_state) = (number::ESTABLISHED, number::CLOSE);
        let mut tracker = Tracker::new(true);
        let mut longest = None;
        // All states that time is spent in, as no connection goes through them.
        let mut way = vec![number::CLOSE];
        way.extend(LIVED_STATES);
        way.push(number::CLOSE);
        for (step, states) in way.windows(2).enumerate() {
            let time_ns = (u64::MAX >> 4) * step as u64;
            let event = Event { time_ns, old_state: states[0], new_state: states[1], ..event };
            tracker.event(&event, &mut |tracked| longest = Some(*tracked));
        }
        longest.unwrap()
    }

    #[test]
    fn the_longest_line_has_room() {
        let tracked = longest();
        for kind in [Kind::Text, Kind::Json, Kind::Csv] {
            let style = Style { time: TimeFormat::Unix, colour: true, precise: true };
            let columns = Some(FIELDS.iter().collect());
            let place = (Shown::LOG_TEXT, Shown::LOG_DATA);
            let mut out = Vec::new();
            let mut format = Plan { kind, columns, place, style }.format(&[]);
            format.line(&Row::told(&tracked, &Clock::new()), &mut out);
            let line = out.split(|byte| *byte == b'\n').rev().nth(1).unwrap();
            assert!(line.len() < ROOM / 2, "{} bytes of {kind:?}", line.len());
            if kind == Kind::Json {
                serde_json::from_slice::<serde_json::Value>(line).unwrap();
            }
        }
    }
}
