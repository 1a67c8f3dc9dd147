//! Aligned columns for people.

use std::fmt::Write as _;

use anstyle::AnsiColor;
use bytes::{BufMut as _, BytesMut};
use jiff::{Timestamp, tz::TimeZone};
use tracer_common::state as number;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::{
    escape::push_escaped,
    fields::{Layout, Value},
    format::{Column, Format},
    row::Row,
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

/// What text looks like.
#[derive(Clone, Debug)]
pub struct Style {
    /// Times of day.
    pub time: TimeFormat,
    /// Colours, for a terminal.
    pub colour: bool,
    /// Microseconds in times of day, where the default lines have no room for them.
    pub precise: bool,
}

/// Widths that a column of addresses takes when something does not fit: an IPv6 address of a usual
/// length with its port, and the longest there is.
const ADDRESS_STEPS: [usize; 2] = [30, 47];

/// Writes text.
pub struct Text {
    columns: Vec<Column>,
    widths: Vec<usize>,
    style: Style,
    clock: WallClock,
    /// Whether columns that have a limit are cut: not if the user chose them.
    cuts: bool,
    cells: Vec<String>,
}

impl Text {
    /// With these columns, which the user chose or not.
    #[must_use]
    pub fn new(columns: Vec<Column>, style: &Style, is_chosen: bool) -> Self {
        let mut style = style.clone();
        style.precise |= is_chosen;
        let zone = match style.time {
            TimeFormat::Local => TimeZone::system(),
            _ => TimeZone::UTC,
        };
        Self {
            widths: columns.iter().map(|column| width(column, &style)).collect(),
            cells: vec![String::new(); columns.len()],
            cuts: !is_chosen,
            columns,
            clock: WallClock { zone, second: i64::MIN, text: String::new() },
            style,
        }
    }

    fn header(&self, out: &mut BytesMut) {
        let plain = anstyle::Style::new();
        let style = if self.style.colour { plain.bold() } else { plain };
        for (index, column) in self.columns.iter().enumerate() {
            self.pad(index, column.field.title, style, out);
        }
    }

    /// A column that was too narrow once stays wide, so that later lines are aligned again. The
    /// last one has nothing behind it to align.
    fn widen(&mut self) -> bool {
        let last = self.columns.len().saturating_sub(1);
        let mut widened = false;
        for ((width, cell), column) in self.widths.iter_mut().zip(&self.cells).zip(&self.columns).take(last) {
            let needed = cell.width();
            if needed > *width {
                let step = ADDRESS_STEPS.into_iter().find(|step| *step >= needed);
                *width = step.filter(|_| column.field.layout == Layout::Address).unwrap_or(needed);
                widened = true;
            }
        }
        widened
    }

    fn pad(&self, index: usize, cell: &str, style: anstyle::Style, out: &mut BytesMut) {
        let blanks = self.widths[index].saturating_sub(cell.width());
        let is_right = self.columns[index].field.layout == Layout::Right;
        if is_right {
            out.put_bytes(b' ', blanks);
        }
        let styled = style != anstyle::Style::new();
        if styled {
            out.extend_from_slice(style.render().to_string().as_bytes());
        }
        out.extend_from_slice(cell.as_bytes());
        if styled {
            out.extend_from_slice(style.render_reset().to_string().as_bytes());
        }
        if index + 1 == self.columns.len() {
            out.put_u8(b'\n');
        } else {
            out.put_bytes(b' ', if is_right { 1 } else { blanks + 1 });
        }
    }

    fn fill(&mut self, row: &Row<'_>) -> Vec<anstyle::Style> {
        let mut styles = Vec::with_capacity(self.columns.len());
        for (index, column) in self.columns.iter().enumerate() {
            let cell = &mut self.cells[index];
            cell.clear();
            let value = column.value(row);
            styles.push(if self.style.colour { colour(&value) } else { anstyle::Style::new() });
            push_cell(cell, &value, &self.style, &mut self.clock);
            if self.cuts && column.field.layout == Layout::Cut {
                shorten(cell, column.field.width);
            }
        }
        styles
    }
}

impl Format for Text {
    fn begin(&mut self, out: &mut BytesMut) {
        self.header(out);
    }

    fn line(&mut self, row: &Row<'_>, out: &mut BytesMut) {
        let styles = self.fill(row);
        if self.widen() {
            self.header(out);
        }
        for (index, style) in styles.into_iter().enumerate() {
            self.pad(index, &self.cells[index], style, out);
        }
    }
}

fn width(column: &Column, style: &Style) -> usize {
    match (column.field.layout, style.time) {
        (Layout::Clock, TimeFormat::Unix) => "1700000000.000000".len(),
        (Layout::Clock, _) if style.precise => "00:00:00.000000".len(),
        _ => column.field.width,
    }
}

/// Cuts to a width, with a mark that something is missing.
fn shorten(cell: &mut String, width: usize) {
    if cell.width() <= width {
        return;
    }
    let mut room = width.saturating_sub(1);
    let fits = |c: char| {
        let taken = c.width().unwrap_or_default();
        let fits = taken <= room;
        room = room.saturating_sub(taken);
        fits
    };
    let end: usize = cell
        .chars()
        .map_while({
            let mut fits = fits;
            move |c| fits(c).then(|| c.len_utf8())
        })
        .sum();
    cell.truncate(end);
    cell.push('…');
}

fn push_cell(cell: &mut String, value: &Value<'_>, style: &Style, clock: &mut WallClock) {
    // Writing into a String cannot fail.
    let _ = match value {
        Value::Null => write!(cell, "-"),
        Value::Uint(number) => write!(cell, "{number}"),
        Value::Bool(truth) => write!(cell, "{truth}"),
        Value::Word(word) => write!(cell, "{word}"),
        Value::Text(bytes) => {
            push_escaped(cell, bytes);
            Ok(())
        }
        Value::Time(time, since_start_ns) => push_time(cell, *time, *since_start_ns, style, clock),
        Value::Lasted(ns) => push_lasted(cell, *ns),
        Value::LastedAbout(ns, error_ns) => push_about(cell, *ns, *error_ns),
        Value::State(state) | Value::Became(state, None) => write!(cell, "{state}"),
        Value::Became(state, Some(reason)) => write!(cell, "{state} {}", reason.name()),
        Value::Addr(addr) => write!(cell, "{addr}"),
        Value::End(end) => write!(cell, "{end}"),
        Value::Lived(states) => states.iter().enumerate().try_for_each(|(index, (state, ns))| {
            let blank = if index == 0 { "" } else { " " };
            write!(cell, "{blank}{state}=")?;
            push_lasted(cell, *ns)
        }),
    };
}

/// Times of day. Most lines are of the same second as the one before.
struct WallClock {
    zone: TimeZone,
    second: i64,
    text: String,
}

impl WallClock {
    /// `HH:MM:SS`
    fn second(&mut self, time: Timestamp) -> &str {
        if self.second != time.as_second() {
            self.second = time.as_second();
            self.text = time.to_zoned(self.zone.clone()).strftime("%H:%M:%S").to_string();
        }
        &self.text
    }
}

fn push_time(
    cell: &mut String,
    time: Timestamp,
    since_start_ns: i64,
    style: &Style,
    clock: &mut WallClock,
) -> std::fmt::Result {
    match style.time {
        TimeFormat::Local | TimeFormat::Utc => {
            cell.push_str(clock.second(time));
            let ns = time.subsec_nanosecond();
            if style.precise {
                write!(cell, ".{:06}", ns / 1000)
            } else {
                write!(cell, ".{:03}", ns / 1_000_000)
            }
        }
        TimeFormat::Relative => push_seconds(cell, i128::from(since_start_ns)),
        TimeFormat::Unix => push_seconds(cell, time.as_nanosecond()),
    }
}

/// Seconds with microseconds.
fn push_seconds(cell: &mut String, ns: i128) -> std::fmt::Result {
    let (sign, ns) = if ns < 0 { ("-", -ns) } else { ("", ns) };
    write!(cell, "{sign}{}.{:06}", ns / 1_000_000_000, ns % 1_000_000_000 / 1000)
}

/// The units of times that passed, and how many of a unit make it worth while.
const UNITS: [(&str, u64); 4] = [("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1000), ("ns", 1)];

/// A time that passed in at most seven columns, with three digits or more: `12.3us`, `59.9s`,
/// `3h12m`.
fn push_lasted(cell: &mut String, ns: u64) -> std::fmt::Result {
    let seconds = ns / 1_000_000_000;
    match seconds {
        0..=999 => {}
        1000..=86_399 => return write!(cell, "{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
        _ => return write!(cell, "{}d{:02}h", seconds / 86_400, seconds % 86_400 / 3600),
    }
    let (unit, size) = UNITS.into_iter().find(|(_, size)| ns >= *size).unwrap_or(("ns", 1));
    let whole = ns / size;
    let thousandths = ns % size * 1000 / size;
    match whole {
        _ if size == 1 => write!(cell, "{whole}{unit}"),
        0..=9 => write!(cell, "{whole}.{:02}{unit}", thousandths / 10),
        10..=99 => write!(cell, "{whole}.{}{unit}", thousandths / 100),
        _ => write!(cell, "{whole}{unit}"),
    }
}

/// A time that passed, give or take: `60±1s`, in the unit of what is given or taken.
fn push_about(cell: &mut String, ns: u64, error_ns: u64) -> std::fmt::Result {
    let (unit, size) = UNITS.into_iter().find(|(_, size)| error_ns >= *size).unwrap_or(("ns", 1));
    write!(cell, "{}±{}{unit}", (ns + size / 2) / size, error_ns.div_ceil(size))
}

/// Green lives, yellow comes, magenta goes, red waits for the local process, dim is over.
fn colour(value: &Value<'_>) -> anstyle::Style {
    let (Value::State(state) | Value::Became(state, _)) = value else {
        return anstyle::Style::new();
    };
    let colour = match state.number() {
        number::ESTABLISHED => AnsiColor::Green,
        number::LISTEN => AnsiColor::Cyan,
        number::SYN_SENT | number::SYN_RECV | number::NEW_SYN_RECV => AnsiColor::Yellow,
        number::CLOSE_WAIT => AnsiColor::Red,
        number::CLOSE | number::TIME_WAIT => return anstyle::Style::new().dimmed(),
        _ => AnsiColor::Magenta,
    };
    anstyle::Style::new().fg_color(Some(colour.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(push: impl FnOnce(&mut String) -> std::fmt::Result) -> String {
        let mut cell = String::new();
        push(&mut cell).unwrap();
        cell
    }

    #[test]
    fn times_that_passed_are_short() {
        for (ns, expected) in [
            (0, "0ns"),
            (999, "999ns"),
            (1000, "1.00us"),
            (12_345, "12.3us"),
            (999_999, "999us"),
            (1_500_000, "1.50ms"),
            (59_940_000_000, "59.9s"),
            (999_000_000_000, "999s"),
            (11_520_000_000_000, "3h12m"),
            (u64::MAX, "213503d23h"),
        ] {
            assert_eq!(text(|cell| push_lasted(cell, ns)), expected);
        }
        assert_eq!(text(|cell| push_about(cell, 60_400_000_000, 1_000_000_000)), "60±1s");
        assert_eq!(text(|cell| push_about(cell, 60_400_000_000, 250_000_000)), "60400±250ms");
    }

    #[test]
    fn what_is_cut_says_so() {
        let cut = |text: &str| {
            let mut cell = text.to_owned();
            shorten(&mut cell, 5);
            cell
        };
        assert_eq!(cut("nginx"), "nginx");
        assert_eq!(cut("nginxx"), "ngin…");
        assert_eq!(cut("世界世界"), "世界…");
        assert_eq!(cut("a世界世"), "a世…");
    }
}
