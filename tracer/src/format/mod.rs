//! The formats of output lines.
//!
//! # Layout
//! - [`columns`]: the table of columns; [`value`]: the values of columns; [`gathered`]: those of several rows
//! - [`subject`]: what lines can be about, each with its table; [`links`], [`routes`]: the tables of `list -i` and `-r`
//! - [`row`]: the content of a line
//! - [`text`], [`json`], [`csv`], [`parquet`]: one file or folder for each format
//! - `otlp`: messages of OpenTelemetry's protocol
//! - [`lines`]: a format with the kernel's properties, as views use it
//!
//! # Example
//! ```
//! use tracer::{
//!     facts::context::Context,
//!     format::{Kind, Plan, columns::{COLUMNS, DefaultIn}, row::Row, text::{TextStyle, TimeFormat}},
//!     time::clock::Clock,
//! };
//! use tracer_common::{Event, state};
//! use zerocopy::FromZeros as _;
//!
//! let chosen = ["remote_port", "new_state"];
//! let plan = Plan {
//!     kind: Kind::Json,
//!     columns: Some(COLUMNS.iter().filter(|column| chosen.contains(&column.key)).collect()),
//!     default_in: (DefaultIn::RAW_TEXT, DefaultIn::RAW_DATA),
//!     style: TextStyle { time: TimeFormat::Utc, colour: false, precise: false },
//! };
//! let mut event = Event::new_zeroed();
//! (event.remote_port, event.new_state) = (443, state::SYN_SENT);
//!
//! let mut out = Vec::new();
//! let lacks_nothing = [];
//! plan.format(&lacks_nothing).line(&Row::raw(&event, &Context::new(Clock::fixed(0, 0))), &mut out);
//! assert_eq!(String::from_utf8(out).unwrap(), "{\"remote_port\":443,\"new_state\":\"SYN_SENT\"}\n");
//! ```

pub mod columns;
pub mod csv;
pub mod gathered;
pub mod json;
pub mod lines;
pub mod links;
pub(crate) mod otlp;
pub mod parquet;
pub mod routes;
pub mod row;
pub mod subject;
pub mod text;
pub mod value;

use std::net::IpAddr;

use tracer_common::{event::Holder, member::Member};

use crate::{
    format::{
        columns::{Column, DefaultIn, NAMES},
        csv::Csv,
        gathered::Gathered,
        json::Json,
        parquet::Parquet,
        subject::{Story, Subject},
        text::{Text, TextStyle},
        value::{MOST_HOLDERS, Value},
    },
    tcp::{device::Device, endpoint::Endpoint, state::State},
    text::{
        escape::{escaped, name},
        line::Line,
        number::{push_uint, push_v4, push_v6},
    },
};

/// A format turns rows into bytes. It does no I/O and cannot fail.
pub trait Format<S: Subject = Story> {
    /// Appends what precedes the first line, such as a header.
    fn begin(&mut self, out: &mut Vec<u8>);
    /// Makes room for a row that comes later. Formats that align nothing need none.
    fn fit(&mut self, _: &S::About<'_>) {}
    /// How many rows it wants at once. A file of columns takes less time if it gets many.
    fn rows_at_once(&self) -> usize {
        1
    }
    /// Appends a line.
    fn line(&mut self, row: &S::About<'_>, out: &mut Vec<u8>);
    /// Appends a line for each of these rows.
    fn lines(&mut self, rows: &[S::About<'_>], out: &mut Vec<u8>) {
        for row in rows {
            self.line(row, out);
        }
    }
    /// Appends what follows the last line, such as the footer of a file.
    fn end(&mut self, _: &mut Vec<u8>) {}
}

/// A column of the output.
pub struct ShownColumn<S: Subject = Story> {
    /// Its row in the table of columns.
    pub column: &'static Column<S>,
    /// Its title.
    title: &'static str,
    /// The running kernel lacks the structure member for it.
    is_absent: bool,
}

impl<S: Subject> ShownColumn<S> {
    /// The column's value in this row; null if the kernel lacks it.
    #[must_use]
    pub fn value<'a>(&self, row: &S::About<'a>) -> Value<'a> {
        if self.is_absent { Value::Null } else { S::value(self.column, row) }
    }

    /// Gathers the column's values in at most [`Gathered::MOST_ROWS`] rows.
    pub fn gather<'a>(&self, rows: &[S::About<'a>], gathered: &mut Gathered<'a>) {
        if self.is_absent {
            gathered.gather_nulls(rows.len());
        } else {
            S::gather(self.column, rows, gathered);
        }
    }
}

/// The formats of lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Aligned columns.
    Text,
    /// An object per line.
    Json,
    /// RFC 4180 with a header.
    Csv,
    /// A file of columns, for `tracer export`.
    Parquet,
}

/// How lines are written.
#[derive(Clone)]
pub struct Plan<S: Subject = Story> {
    /// The format.
    pub kind: Kind,
    /// The columns that the user chose; `None` for the default ones.
    pub columns: Option<Vec<&'static Column<S>>>,
    /// The outputs whose default columns apply: one for text, one for JSON and CSV.
    pub default_in: (DefaultIn, DefaultIn),
    /// The style of text.
    pub style: TextStyle,
}

impl<S: Subject> Plan<S> {
    /// Whether a column has names that have to be looked up.
    #[must_use]
    pub fn shows_names(&self) -> bool {
        self.columns.iter().flatten().any(|column| NAMES.contains(&column.key))
    }

    /// The columns: those that the user chose, or the default ones.
    #[must_use]
    pub fn shown(&self) -> Vec<&'static Column<S>> {
        let output = self.output();
        match &self.columns {
            Some(chosen) => chosen.clone(),
            None => S::columns().iter().filter(|column| column.default_in.includes(output)).collect(),
        }
    }

    /// The output whose default columns apply.
    fn output(&self) -> DefaultIn {
        let (text, data) = self.default_in;
        if self.kind == Kind::Text { text } else { data }
    }

    /// Creates the format for a kernel that lacks these structure members.
    #[must_use]
    pub fn format(&self, absent: &[Member]) -> Box<dyn Format<S>> {
        let (columns, output) = (self.shown(), self.output());
        let shown = |column: &'static Column<S>| {
            let is_absent = column.needs.iter().any(|needed| absent.contains(needed));
            ShownColumn { column, title: S::title(column, output), is_absent }
        };
        let columns = columns.into_iter().map(shown).collect();
        match self.kind {
            Kind::Text => Box::new(Text::new(columns, &self.style, self.columns.is_some())),
            Kind::Json => Box::new(Json::new(columns)),
            Kind::Csv => Box::new(Csv::new(columns)),
            Kind::Parquet => Box::new(Parquet::new(columns)),
        }
    }
}

/// Address, device and port, as `ss` writes them: `10.0.0.1:443`, `[fe80::1]%eth0:443`, `*` for an unknown
/// port.
fn push_endpoint(line: Line<'_>, endpoint: Endpoint) -> Line<'_> {
    let line = match endpoint.addr {
        IpAddr::V4(addr) => push_v4(line, addr),
        IpAddr::V6(addr) => push_v6(line.push(b'['), addr).push(b']'),
    };
    let line = match endpoint.device {
        None => line,
        Some(device) => push_device(line.push(b'%'), device),
    }
    .push(b':');
    match endpoint.port {
        Some(port) => push_uint(line, u64::from(port)),
        None => line.push(b'*'),
    }
}

/// The same with the names that are known: `localhost:http`, `10.0.0.1:https`.
fn push_named_endpoint<'a>(
    line: Line<'a>,
    endpoint: Endpoint,
    host: Option<&str>,
    service: Option<&str>,
) -> Line<'a> {
    let port = endpoint.port.filter(|_| service.is_none());
    let line = match host {
        None if service.is_none() => return push_endpoint(line, endpoint),
        None => {
            let line = push_endpoint(line, Endpoint { port: None, ..endpoint });
            // Without the star that stands for no port.
            let len = line.len() - 1;
            line.truncated(len)
        }
        Some(host) => {
            let line = line.push_all(host.as_bytes());
            match endpoint.device {
                Some(device) => push_device(line.push(b'%'), device),
                None => line,
            }
            .push(b':')
        }
    };
    match (service, port) {
        (Some(service), _) => line.push_all(service.as_bytes()),
        (None, Some(port)) => push_uint(line, u64::from(port)),
        (None, None) => line.push(b'*'),
    }
}

/// Behind the name of an owner that is not sure.
const DOUBT: u8 = b'?';

/// The holders of a socket, as netstat writes them, with names that cannot do harm, nor forge a holder: `12/nginx 13/a\x20b`. Of more
/// than are shown there is a number: `+8`.
fn holder_list(holders: &[Holder]) -> String {
    let shown = holders.iter().take(MOST_HOLDERS);
    let mut names: Vec<_> =
        shown.map(|holder| format!("{}/{}", holder.pid, escaped_word(name(&holder.comm)))).collect();
    let others = holders.len().saturating_sub(MOST_HOLDERS);
    names.extend((others > 0).then(|| format!("+{others}")));
    names.join(" ")
}

/// Escaped, with its blanks.
fn escaped_word(bytes: &[u8]) -> String {
    escaped(bytes).replace(' ', "\\x20")
}

/// A device's name, or its index.
fn push_device(line: Line<'_>, device: Device) -> Line<'_> {
    match device {
        Device::Named(name) => line.push_all(name.as_str().as_bytes()),
        Device::Numbered(index) => push_uint(line, u64::from(index)),
    }
}

/// A state's name, or its number if it has none.
fn push_state(line: Line<'_>, state: State) -> Line<'_> {
    match state.padded_name() {
        Some((name, len)) => line.push_first(name, *len),
        None => line.push_all(state.to_string().as_bytes()),
    }
}

/// An RST and the reason why it was sent: `reset sent (no-socket)`.
fn push_reset<'a>(line: Line<'a>, way: &str, why: Option<&str>) -> Line<'a> {
    let line = line.push_all(way.as_bytes());
    match why {
        Some(why) => line.push_all(b" (").push_all(why.as_bytes()).push(b')'),
        None => line,
    }
}

/// An error without a known name: `E` and its number.
fn push_errno(line: Line<'_>, errno: u16) -> Line<'_> {
    push_uint(line.push(b'E'), u64::from(errno))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use proptest::prelude::*;
    use tracer_common::{
        Event,
        event::{AF_INET6, kind},
        state as number,
    };
    use zerocopy::FromBytes as _;

    use super::*;
    use crate::{
        facts::context::Context,
        format::{
            columns::{COLUMNS, Views},
            row::Row,
            text::TimeFormat,
            value::DataType,
        },
        tcp::{reset::NO_REASONS, state::LIVED_STATES},
        text::line::ROOM,
        time::clock::Clock,
        track::{Tracker, Transition},
    };

    /// A transition with all values set, each as long as possible.
    fn longest() -> Transition {
        let mut event = Event::read_from_bytes(&[0xff; size_of::<Event>()]).unwrap();
        (event.family, event.kind) = (AF_INET6, kind::TRANSITION);
        // Each escaped byte takes six characters.
        event.comm = [1; 16];
        (event.old_state, event.new_state) = (number::ESTABLISHED, number::CLOSE);
        let mut tracker = Tracker::new(true);
        let mut longest = None;
        // Time is spent in all states, although no connection passes through all of them.
        let mut way = vec![number::CLOSE];
        way.extend(LIVED_STATES);
        way.push(number::CLOSE);
        for (step, states) in way.windows(2).enumerate() {
            let time_ns = (u64::MAX >> 4) * step as u64;
            let event = Event { time_ns, old_state: states[0], new_state: states[1], ..event };
            tracker.event(&event, &mut |transition| longest = Some(*transition));
        }
        longest.unwrap()
    }

    #[test]
    fn the_longest_line_has_room() {
        let transition = longest();
        for kind in [Kind::Text, Kind::Json, Kind::Csv] {
            let style = TextStyle { time: TimeFormat::Unix, colour: true, precise: true };
            let columns = Some(COLUMNS.iter().collect());
            let default_in = (DefaultIn::LOG_TEXT, DefaultIn::LOG_DATA);
            let mut out = Vec::new();
            let mut format = Plan { kind, columns, default_in, style }.format(&[]);
            format.line(
                &Row::transition(&transition, &Context::new(Clock::fixed(0, 0)), &NO_REASONS),
                &mut out,
            );
            let line = out.split(|byte| *byte == b'\n').rev().nth(1).unwrap();
            assert!(line.len() < ROOM / 2, "{} bytes of {kind:?}", line.len());
            if kind == Kind::Json {
                serde_json::from_slice::<serde_json::Value>(line).unwrap();
            }
        }
    }

    /// Hands over rows of each kind, some of which have all values.
    fn with_rows(mut check: impl FnMut(&[Row<'_>])) {
        let transition = longest();
        let stuck = Transition { stuck_ns: Some(1), state_ns: None, ..transition };
        let sampled = Transition { error_ns: 1, ..transition };
        let context = Context::new(Clock::fixed(0, 0));
        let resets = [kind::RESET_SENT, kind::RETRANSMIT].map(|kind| Transition { kind, ..transition });
        let event = Event::read_from_bytes(&[1; size_of::<Event>()]).unwrap();
        let of = |transition| Row::transition(transition, &context, &NO_REASONS);
        let mut rows = vec![of(&transition), of(&stuck), of(&sampled), of(&resets[0]), of(&resets[1])];
        rows.extend([Row::of(&transition.connection, 1, &context), Row::raw(&event, &context)]);
        check(&rows);
    }

    /// Every row has values of the types that the columns declare. Arrow tables depend on it.
    #[test]
    fn values_are_of_the_columns_type() {
        with_rows(|rows| {
            for (row, column) in rows.iter().flat_map(|row| COLUMNS.iter().map(move |column| (row, column))) {
                let value = column.value.of(row);
                assert!(value.is_of(column.data_type), "{}: {value:?}", column.key);
            }
        });
    }

    /// Columns with a loop of their own have the same values as the others, which call a function for each row.
    #[test]
    fn what_is_gathered_at_once_is_what_each_row_has() {
        with_rows(|rows| {
            let (mut at_once, mut one_by_one) = (Gathered::default(), Gathered::default());
            for column in COLUMNS {
                Story::gather(column, rows, &mut at_once);
                one_by_one.gather(column.data_type, rows, |row| column.value.of(row));
                let told = |gathered: &Gathered<'_>| match column.data_type {
                    DataType::Utf8 | DataType::Map | DataType::List => format!("{:?}", gathered.texts()),
                    _ => format!("{:?}", gathered.numbers()),
                };
                assert_eq!(told(&at_once), told(&one_by_one), "{}", column.key);
                let is_there = |row| !matches!(column.value.of(row), Value::Null | Value::DurationAtLeast(_));
                let there: Vec<_> = rows.iter().map(is_there).collect();
                let bits: Vec<_> = (0..at_once.rows()).map(|row| at_once.present() >> row & 1 != 0).collect();
                assert_eq!(bits, there, "{}", column.key);
            }
        });
    }

    /// What the help says of the views in which a column exists is true.
    #[test]
    fn columns_exist_in_the_views_that_they_name() {
        let (transition, context) = (longest(), Context::new(Clock::fixed(0, 0)));
        let stuck = Transition { stuck_ns: Some(1), ..transition };
        let event = Event::read_from_bytes(&[1; size_of::<Event>()]).unwrap();
        let of = |transition| Row::transition(transition, &context, &NO_REASONS);
        let mut group = of(&stuck);
        group.group = Some(1);
        let is_null = |column: &Column, row: &Row<'_>| matches!(column.value.of(row), Value::Null);
        for column in COLUMNS {
            let exists = |view| column.views.includes(view);
            assert!(exists(Views::RAW) || is_null(column, &Row::raw(&event, &context)), "{}", column.key);
            assert!(exists(Views::LIFE) || is_null(column, &of(&transition)), "{}", column.key);
            assert!(exists(Views::LOG) || is_null(column, &of(&stuck)), "{}", column.key);
            assert!(!exists(Views::GROUP) || !is_null(column, &group), "{}", column.key);
        }
    }

    /// A newer version may have written them.
    #[test]
    fn kinds_that_are_unknown_have_no_word() {
        let unknown = Transition { kind: kind::LAST + 1, ..longest() };
        let context = Context::new(Clock::fixed(0, 0));
        let row = Row::transition(&unknown, &context, &NO_REASONS);
        for key in ["event", "became"] {
            let column = COLUMNS.iter().find(|column| column.key == key).unwrap();
            assert!(matches!(column.value.of(&row), Value::Null), "{key}");
        }
    }

    #[test]
    fn a_lower_bound_is_a_value_only_where_it_is_marked() {
        let transition = longest();
        // First seen in its state, so it may have entered it before.
        let mut connection = transition.connection;
        connection.set_at_least_since(1_000);
        let columns: Vec<_> = COLUMNS.iter().filter(|column| column.key.starts_with("age_")).collect();
        for (kind, expected) in [
            (Kind::Text, ">4.00us  4.00us\n"),
            (Kind::Json, "{\"age_us\":null,\"age_at_least_us\":4.0}\n"),
            (Kind::Csv, ",4.0\n"),
        ] {
            let style = TextStyle { time: TimeFormat::Unix, colour: false, precise: true };
            let default_in = (DefaultIn::LOG_TEXT, DefaultIn::LOG_DATA);
            let mut out = Vec::new();
            let mut format = Plan { kind, columns: Some(columns.clone()), default_in, style }.format(&[]);
            format.line(&Row::of(&connection, 5_000, &Context::new(Clock::fixed(0, 0))), &mut out);
            let out = String::from_utf8(out).unwrap();
            assert_eq!(out.split_inclusive('\n').next_back().unwrap(), expected, "{kind:?}");
        }
    }

    proptest! {
        #[test]
        fn endpoints_are_what_the_library_makes_of_them(
            groups in prop::array::uniform8(prop_oneof![2 => Just(0_u16), 1 => any::<u16>()]),
            port in prop::option::of(any::<u16>()),
            v4: u32,
        ) {
            for addr in [Ipv6Addr::from(groups).into(), IpAddr::V4(v4.into())] {
                let endpoint = Endpoint { addr, device: None, port };
                let mut room = [0; ROOM];
                let line = push_endpoint(Line::new(&mut room), endpoint);
                prop_assert_eq!(String::from_utf8_lossy(line.as_bytes()), endpoint.to_string());
            }
        }
    }
}
