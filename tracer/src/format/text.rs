//! Aligned columns for people.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use bytes::{BufMut as _, BytesMut};
use jiff::tz::TimeZone;
use tracer_common::state as number;
use unicode_width::UnicodeWidthStr as _;

use crate::{
    escape::push_escaped,
    fields::{Field, Value},
    format::{Columns, Format},
    state::State,
    transition::Transition,
};

/// How times of day are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum TimeFormat {
    /// This host's time zone.
    Local,
    /// UTC.
    Utc,
    /// Seconds since the tracer started.
    Relative,
    /// Seconds since 1970.
    Unix,
}

/// Widths that a column takes when something does not fit: an IPv6 address of a usual length with
/// its port, and the longest there is.
const STEPS: [usize; 2] = [30, 47];

/// Writes text.
pub struct Text {
    columns: Columns,
    widths: Vec<usize>,
    time: TimeFormat,
    zone: TimeZone,
    colour: bool,
    cells: Vec<String>,
}

impl Text {
    /// With these columns; `colour` for a terminal.
    #[must_use]
    pub fn new(columns: Columns, time: TimeFormat, colour: bool) -> Self {
        let zone = match time {
            TimeFormat::Local => TimeZone::system(),
            _ => TimeZone::UTC,
        };
        Self {
            widths: columns.iter().map(|field| field.width).collect(),
            cells: vec![String::new(); columns.len()],
            columns,
            time,
            zone,
            colour,
        }
    }

    fn header(&self, out: &mut BytesMut) {
        let titles: Vec<_> = self.columns.iter().map(|field| field.title).collect();
        for (index, title) in titles.iter().enumerate() {
            self.pad(index, title, self.colour.then(|| Style::new().bold()), out);
        }
    }

    /// A column that was too narrow once stays wide, so that later lines are aligned again.
    fn widen(&mut self) -> bool {
        let mut widened = false;
        for (width, cell) in self.widths.iter_mut().zip(&self.cells) {
            let needed = cell.width();
            if needed > *width {
                *width =
                    STEPS.into_iter().find(|step| *step >= needed).filter(|_| *width >= 21).unwrap_or(needed);
                widened = true;
            }
        }
        widened
    }

    fn pad(&self, index: usize, cell: &str, style: Option<Style>, out: &mut BytesMut) {
        let is_last = index + 1 == self.columns.len();
        let blanks = self.widths[index].saturating_sub(cell.width());
        if self.columns[index].right {
            out.put_bytes(b' ', blanks);
        }
        let style = style.unwrap_or_default();
        out.extend_from_slice(style.render().to_string().as_bytes());
        out.extend_from_slice(cell.as_bytes());
        out.extend_from_slice(style.render_reset().to_string().as_bytes());
        if is_last {
            out.put_u8(b'\n');
        } else {
            let blanks = if self.columns[index].right { 0 } else { blanks };
            out.put_bytes(b' ', blanks + 1);
        }
    }

    fn fill(&mut self, transition: &Transition<'_>) {
        for (cell, field) in self.cells.iter_mut().zip(&self.columns) {
            cell.clear();
            let value = (field.value)(transition);
            // Writing into a String cannot fail.
            let _ = match value {
                Value::Null => write!(cell, "-"),
                Value::Uint(number) => write!(cell, "{number}"),
                Value::Word(word) => write!(cell, "{word}"),
                Value::Text(bytes) => {
                    push_escaped(cell, &bytes);
                    Ok(())
                }
                Value::Time(time, since_start_ns) => match self.time {
                    TimeFormat::Local | TimeFormat::Utc => {
                        write!(cell, "{}", time.to_zoned(self.zone.clone()).strftime("%H:%M:%S%.6f"))
                    }
                    TimeFormat::Relative => write!(cell, "{}", seconds(i128::from(since_start_ns))),
                    TimeFormat::Unix => write!(cell, "{}", seconds(time.as_nanosecond())),
                },
                Value::State(state) => write!(cell, "{state}"),
                Value::Addr(addr) => write!(cell, "{addr}"),
                Value::End(end) => write!(cell, "{end}"),
            };
        }
    }
}

impl Format for Text {
    fn begin(&mut self, out: &mut BytesMut) {
        self.header(out);
    }

    fn line(&mut self, transition: &Transition<'_>, out: &mut BytesMut) {
        self.fill(transition);
        if self.widen() {
            self.header(out);
        }
        for (index, field) in self.columns.iter().enumerate() {
            let style = if self.colour { style(field, transition) } else { None };
            self.pad(index, &self.cells[index], style, out);
        }
    }
}

/// Seconds with microseconds.
fn seconds(ns: i128) -> String {
    let (sign, ns) = if ns < 0 { ("-", -ns) } else { ("", ns) };
    format!("{sign}{}.{:06}", ns / 1_000_000_000, ns % 1_000_000_000 / 1000)
}

fn style(field: &Field, transition: &Transition<'_>) -> Option<Style> {
    match (field.value)(transition) {
        Value::State(state) => Some(colour(state)),
        _ => None,
    }
}

/// Green lives, yellow comes or goes, red waits for the local process, dim is over.
fn colour(state: State) -> Style {
    let colour = match state.number() {
        number::ESTABLISHED => AnsiColor::Green,
        number::LISTEN => AnsiColor::Cyan,
        number::SYN_SENT | number::SYN_RECV | number::NEW_SYN_RECV => AnsiColor::Yellow,
        number::CLOSE_WAIT => AnsiColor::Red,
        number::CLOSE | number::TIME_WAIT => return Style::new().dimmed(),
        _ => AnsiColor::Magenta,
    };
    Style::new().fg_color(Some(colour.into()))
}
