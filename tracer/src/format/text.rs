//! Text with aligned columns.

use jiff::tz::TimeZone;
use tracer_common::event::COMM_LEN;
use unicode_width::UnicodeWidthStr as _;

use crate::{
    format::{
        DOUBT, Format, ShownColumn,
        columns::Align,
        holder_list, push_device, push_endpoint, push_errno, push_named_endpoint, push_reset, push_state,
        subject::{Story, Subject},
        value::Value,
    },
    tcp::{colour, limits::waits_for},
    text::{
        duration::{duration_len, push_approximate, push_duration},
        escape::{escaped, name, plain_len},
        line::{Line, ROOM},
        number::{push_addr, push_six, push_three, push_uint, uint_len},
        second::Seconds,
        width::shorten,
    },
    time::zone,
};

/// How times of day are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// The style of text.
#[derive(Clone, Debug)]
pub struct TextStyle {
    /// The format of times of day.
    pub time: TimeFormat,
    /// Use colours.
    pub colour: bool,
    /// Write times of day with microseconds, which the default lines have no room for.
    pub precise: bool,
}

/// Widths to which a column of addresses grows: an IPv6 address of typical length with its port, and the
/// longest one.
const ADDRESS_STEPS: [usize; 2] = [30, 47];

/// The format of a time of day in whole seconds.
const SECOND: &str = "%H:%M:%S";

/// Digits of an identifier of a container, as `docker ps` shows it.
const SHORT_ID: usize = 12;

/// Writes text.
pub struct Text<S: Subject = Story> {
    columns: Vec<ShownColumn<S>>,
    widths: Vec<usize>,
    /// Whether all rows are known beforehand, so that no column needs more room than they take.
    is_fitted: bool,
    style: TextStyle,
    seconds: Seconds,
    /// Whether columns with [`Align::Cut`] are cut. They are not if the user chose the columns.
    cuts: bool,
    room: [u8; ROOM],
}

impl<S: Subject> Text<S> {
    /// Creates the format with these columns. `is_chosen` means that the user chose them.
    #[must_use]
    pub fn new(columns: Vec<ShownColumn<S>>, style: &TextStyle, is_chosen: bool) -> Self {
        let mut style = style.clone();
        style.precise |= is_chosen;
        let zone = match style.time {
            TimeFormat::Local => zone::local(),
            _ => TimeZone::UTC,
        };
        Self {
            widths: columns.iter().map(|column| width(column, &style)).collect(),
            cuts: !is_chosen,
            columns,
            is_fitted: false,
            seconds: Seconds::new(zone, SECOND),
            style,
            room: [0; ROOM],
        }
    }

    fn header(&mut self, out: &mut Vec<u8>) {
        let style = if self.style.colour { anstyle::Style::new().bold() } else { anstyle::Style::new() };
        let mut line = Line::new(&mut self.room);
        let mut end = 0;
        for (column, width) in self.columns.iter().zip(&self.widths) {
            let begin = line.len();
            line = painted(line.push_all(column.title.as_bytes()), begin, style);
            (line, end) = padded(line, begin, column.title.len(), *width, column.column.align);
        }
        out.extend_from_slice(line.truncated(end).push(b'\n').as_bytes());
    }

    /// Writes a line and returns its length. If a value does not fit, its column grows and the result is
    /// `None`: the line must be written again.
    fn make(&mut self, row: &S::About<'_>) -> Option<usize> {
        let mut line = Line::new(&mut self.room);
        let (mut has_grown, mut end) = (false, 0);
        let last = self.columns.len().saturating_sub(1);
        for (index, (column, width)) in self.columns.iter().zip(&mut self.widths).enumerate() {
            let value = column.value(row);
            let ahead = blanks_ahead(&value, *width, column.column.align);
            if ahead > 0 {
                line = line.push_blanks(ahead);
            }
            let begin = line.len();
            let is_ascii;
            (line, is_ascii) = push_value(line, &value, &self.style, &mut self.seconds);
            // Reading text that has just been written is slow, because the processor has not finished the stores.
            let len = line.len() - begin;
            let mut needed = if is_ascii { len } else { String::from_utf8_lossy(line.from(begin)).width() };
            if self.cuts && column.column.align == Align::Cut && needed > column.column.width {
                let is_doubtful = matches!(value, Value::DoubtfulName(_));
                (line, needed) = cut(line, begin, column.column.width, is_doubtful);
            }
            // Nothing follows the last column, so it needs no alignment.
            if needed > *width && index < last {
                *width = if self.is_fitted { needed } else { grown(needed, column.column.align) };
                has_grown = true;
            }
            if self.style.colour {
                line = painted(line, begin, colour(&value));
            }
            (line, end) = padded(line, begin, needed, *width - ahead, column.column.align);
        }
        // Without the blanks that pad the last column.
        let len = line.truncated(end).push(b'\n').len();
        (!has_grown).then_some(len)
    }
}

impl<S: Subject> Format<S> for Text<S> {
    fn begin(&mut self, out: &mut Vec<u8>) {
        self.header(out);
    }

    /// The first row makes the columns as narrow as their titles, so that they become as wide as they need to be.
    fn fit(&mut self, row: &S::About<'_>) {
        if !self.is_fitted {
            (self.is_fitted, self.cuts) = (true, false);
            self.widths = self.columns.iter().map(|column| column.title.len()).collect();
        }
        self.make(row);
    }

    fn line(&mut self, row: &S::About<'_>, out: &mut Vec<u8>) {
        let len = self.make(row).or_else(|| {
            self.header(out);
            self.make(row)
        });
        out.extend_from_slice(&self.room[..len.unwrap_or_default()]);
    }
}

/// Formats a value as text, without padding. Times of day are in UTC.
#[must_use]
pub fn cell(value: &Value<'_>) -> String {
    let style = TextStyle { time: TimeFormat::Utc, colour: false, precise: false };
    let mut seconds = Seconds::new(TimeZone::UTC, SECOND);
    let mut room = [0; ROOM];
    let (line, _) = push_value(Line::new(&mut room), value, &style, &mut seconds);
    String::from_utf8_lossy(line.as_bytes()).into_owned()
}

fn width<S: Subject>(column: &ShownColumn<S>, style: &TextStyle) -> usize {
    match (column.column.align, style.time) {
        (Align::Clock, TimeFormat::Unix) => "1700000000.000000".len(),
        (Align::Clock, _) if style.precise => "00:00:00.000000".len(),
        _ => column.column.width,
    }
}

/// The new width of a column that is too narrow. It keeps this width, so that later lines are aligned.
fn grown(needed: usize, align: Align) -> usize {
    let step = ADDRESS_STEPS.into_iter().find(|step| *step >= needed);
    step.filter(|_| align == Align::Address).unwrap_or(needed)
}

/// The number of blanks before a right-aligned value, if its length is known in advance. Moving the value
/// afterwards would mean reading what has just been written.
fn blanks_ahead(value: &Value<'_>, width: usize, align: Align) -> usize {
    let len = match value {
        _ if align != Align::Right => return 0,
        Value::Null => 1,
        Value::Uint(number) => uint_len(*number),
        Value::Duration(ns) => duration_len(*ns),
        _ => return 0,
    };
    width.saturating_sub(len)
}

/// Also returns whether the text is ASCII, so that its width equals its length.
fn push_value<'a>(
    line: Line<'a>,
    value: &Value<'_>,
    style: &TextStyle,
    seconds: &mut Seconds,
) -> (Line<'a>, bool) {
    let line = match value {
        Value::Null => line.push(b'-'),
        Value::Uint(number) => push_uint(line, *number),
        Value::Bool(truth) => line.push_all(if *truth { b"true" } else { b"false" }),
        Value::Word(word) | Value::NullAs(word) => line.push_all(word.as_bytes()),
        Value::Text(text) => return (line.push_all(text.as_bytes()), false),
        Value::Name(comm) => return push_name(line, comm),
        Value::DoubtfulName(comm) => {
            let (line, is_ascii) = push_name(line, comm);
            return (line.push(DOUBT), is_ascii);
        }
        Value::Holders(holders) => return (line.push_all(holder_list(holders).as_bytes()), false),
        Value::Hex(number) => line.push_all(format!("{number:x}").as_bytes()),
        Value::Device(device) => push_device(line, *device),
        Value::Errno(errno) => push_errno(line, *errno),
        Value::Time(wall_ns, since_start_ns) => push_time(line, *wall_ns, *since_start_ns, style, seconds),
        Value::Duration(ns) => push_duration(line, *ns),
        Value::DurationAbout(ns, error_ns) => return (push_approximate(line, *ns, *error_ns), false),
        Value::DurationAtLeast(ns) => push_duration(line.push(b'>'), *ns),
        Value::State(state) | Value::Became(state, None) => push_state(line, *state),
        Value::Became(state, Some(reason)) => {
            push_state(line, *state).push(b' ').push_all(reason.name().as_bytes())
        }
        Value::Stuck(state) => line.push_all(b"stuck: ").push_all(waits_for(state.number()).as_bytes()),
        Value::Reset(way, why) => push_reset(line, way, *why),
        Value::Endpoint(endpoint) => push_endpoint(line, *endpoint),
        Value::NamedEndpoint(endpoint, host, service) => {
            return (push_named_endpoint(line, *endpoint, *host, *service), false);
        }
        Value::NameOf(number, None) => push_uint(line, u64::from(*number)),
        Value::NameOf(_, Some(name)) => return (line.push_all(name.as_bytes()), false),
        Value::Id(id) => line.push_all(id.get(..SHORT_ID).unwrap_or(id).as_bytes()),
        Value::Addr(addr) => push_addr(line, *addr),
        Value::Lived(connection) => {
            connection.lived().enumerate().fold(line, |line, (index, (state, ns))| {
                let line = line.push_all(if index == 0 { b"" } else { b" " });
                push_duration(line.push_all(state.as_bytes()).push(b'='), ns)
            })
        }
    };
    (line, true)
}

fn push_name<'a>(line: Line<'a>, comm: &[u8; COMM_LEN]) -> (Line<'a>, bool) {
    let name = name(comm);
    // A name that ends like the mark of doubt is told apart from it.
    if let Some((&DOUBT, before)) = name.split_last() {
        return (line.push_all(escaped(before).as_bytes()).push(b'\\').push(DOUBT), false);
    }
    match plain_len(comm) {
        Some(len) => (line.push_first(comm, len), true),
        None => (line.push_all(escaped(name).as_bytes()), false),
    }
}

fn push_time<'a>(
    line: Line<'a>,
    wall_ns: i64,
    since_start_ns: i64,
    style: &TextStyle,
    seconds: &mut Seconds,
) -> Line<'a> {
    match style.time {
        TimeFormat::Local | TimeFormat::Utc => {
            let (line, rest_ns) = seconds.push(line, wall_ns);
            let line = line.push(b'.');
            if style.precise { push_six(line, rest_ns / 1000) } else { push_three(line, rest_ns / 1_000_000) }
        }
        TimeFormat::Relative => push_seconds(line, since_start_ns),
        TimeFormat::Unix => push_seconds(line, wall_ns),
    }
}

/// Writes nanoseconds as seconds with six decimals.
fn push_seconds(line: Line<'_>, ns: i64) -> Line<'_> {
    let line = if ns < 0 { line.push(b'-') } else { line };
    let ns = ns.unsigned_abs();
    push_six(push_uint(line, ns / 1_000_000_000).push(b'.'), ns / 1000)
}

/// Cuts the cell that starts at `begin`, and returns its new display width. A mark of doubt stays.
fn cut(line: Line<'_>, begin: usize, width: usize, is_doubtful: bool) -> (Line<'_>, usize) {
    let mut cell = String::from_utf8_lossy(line.from(begin)).into_owned();
    if is_doubtful {
        cell.pop();
        cell = doubtful(cell, width);
    } else {
        shorten(&mut cell, width);
    }
    (line.truncated(begin).push_all(cell.as_bytes()), cell.width())
}

/// A name with the mark of doubt, in a cell of this width: if it does not fit, the name is cut.
#[must_use]
pub fn doubtful(mut name: String, width: usize) -> String {
    shorten(&mut name, width.saturating_sub(1));
    name.push(char::from(DOUBT));
    name
}

/// Adds a style to the cell that starts at `begin`.
fn painted(line: Line<'_>, begin: usize, style: anstyle::Style) -> Line<'_> {
    if style == anstyle::Style::new() {
        return line;
    }
    let cell = line.from(begin).to_vec();
    let line = line.truncated(begin).push_all(style.render().to_string().as_bytes());
    line.push_all(&cell).push_all(style.render_reset().to_string().as_bytes())
}

/// Pads the cell that starts at `begin` and is `needed` columns wide, and adds the blank between columns.
/// Also returns the end of the cell.
fn padded(line: Line<'_>, begin: usize, needed: usize, width: usize, align: Align) -> (Line<'_>, usize) {
    let blanks = width.saturating_sub(needed);
    if align == Align::Right {
        let line = line.indented(begin, blanks);
        let end = line.len();
        return (line.push(b' '), end);
    }
    let end = line.len();
    (line.push_blanks(blanks + 1), end)
}

fn colour(value: &Value<'_>) -> anstyle::Style {
    match value {
        Value::State(state) | Value::Became(state, _) => colour::of(*state),
        Value::Stuck(_) | Value::Reset(..) => colour::STUCK,
        _ => anstyle::Style::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::context::Context;
    use crate::{
        format::{Kind, Plan, columns::DefaultIn, row::Row},
        time::clock::Clock,
    };
    use tracer_common::{Event, event::AF_INET};
    use zerocopy::FromZeros as _;

    /// The lines for processes with these names, in the default columns.
    fn lines(names: &[&str]) -> Vec<String> {
        let style = TextStyle { time: TimeFormat::Utc, colour: false, precise: false };
        let default_in = (DefaultIn::RAW_TEXT, DefaultIn::RAW_DATA);
        let plan: Plan = Plan { kind: Kind::Text, columns: None, default_in, style };
        let mut format = plan.format(&[]);
        let mut event = Event::new_zeroed();
        event.family = AF_INET;
        let context = Context::new(Clock::fixed(0, 0));
        let mut out = Vec::new();
        format.begin(&mut out);
        for name in names {
            event.comm = [0; COMM_LEN];
            event.comm[..name.len()].copy_from_slice(name.as_bytes());
            format.line(&Row::raw(&event, &context), &mut out);
        }
        String::from_utf8(out).unwrap().lines().map(ToOwned::to_owned).collect()
    }

    #[test]
    fn columns_stay_where_they_are_whatever_the_name() {
        let names = [
            "",
            "nginx",
            "ten-bytes1",
            "eleven-byte",
            "fifteen-bytes-x",
            "世界世界世",
            "größer-als-1",
            "a\nb",
        ];
        let lines = lines(&names);
        assert_eq!(lines.len(), names.len() + 1, "one header: {lines:#?}");
        let at = lines[0].find("LOCAL").unwrap();
        for line in &lines[1..] {
            // Compare display columns, not bytes.
            let before = line.split("[::]:").next().unwrap();
            assert_eq!(before.width(), at, "{lines:#?}");
        }
        assert!(lines[4].contains("eleven-by… ") && lines[5].contains("fifteen-b… "), "{lines:#?}");
    }
}
