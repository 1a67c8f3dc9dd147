//! Arguments, checked and resolved: nothing behind this sees the command line.

use std::time::Duration;

use anstream::ColorChoice;
use tracer_common::filter::family;

use crate::{
    cli::{FilterArgs, Format, LogArgs, OutputArgs, When},
    fields::{FIELDS, Field, field},
    filter::{Ends, Filter, netns},
    format::{Columns, csv::Csv, json::Json, text::Text},
    say::say,
    source::kernel::load::Options,
};

/// Why arguments that parse still make no sense.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such column.
    #[error("unknown column `{0}`: `--columns help` lists them")]
    UnknownColumn(String),
    /// An empty list.
    #[error("--columns needs at least one column: `--columns help` lists them")]
    NoColumns,
    /// The same twice: JSON cannot say it.
    #[error("column `{0}` is named twice")]
    RepeatedColumn(&'static str),
    /// A namespace that is not there.
    #[error(transparent)]
    Netns(#[from] netns::Error),
}

/// What the log has to do.
pub struct Config {
    /// For the kernel program.
    pub kernel: Options,
    /// How lines are written.
    pub format: Box<dyn crate::format::Format>,
    /// Exactly what the tracepoint said.
    pub raw: bool,
    /// Stop after this long.
    pub duration: Option<Duration>,
    /// Stop after this many lines.
    pub count: Option<u64>,
    /// Losses are failures.
    pub strict: bool,
}

/// What the arguments amount to.
pub enum Request {
    /// Capture.
    Capture(Config),
    /// Only list the columns.
    ListColumns,
}

/// Checks the log's arguments.
pub fn resolve(args: LogArgs) -> Result<Request, Error> {
    let LogArgs { filter, output, capture } = args;
    if output.columns.as_deref() == Some("help") {
        return Ok(Request::ListColumns);
    }
    if let Some(buffer) = capture.buffer.as_ref().filter(|buffer| buffer.is_rounded) {
        say(format_args!(
            "buffer of {} rounded up to {}, room for {} events",
            buffer.asked,
            buffer.size,
            buffer.size.events()
        ));
    }
    let raw = output.raw;
    Ok(Request::Capture(Config {
        kernel: Options {
            buffer: capture.buffer.map(|buffer| buffer.size).unwrap_or_default(),
            filter: resolve_filter(filter, raw)?,
            hold_open: !raw,
            debug: capture.verbose >= 2,
            btf: capture.btf,
        },
        format: resolve_format(&output)?,
        raw,
        duration: capture.duration,
        count: capture.count,
        strict: capture.strict,
    }))
}

fn resolve_filter(args: FilterArgs, raw: bool) -> Result<Filter, Error> {
    // A filter selects by what is shown: raw shows a v4-mapped socket as the IPv6 that it is.
    let (ipv4, ipv6) = if raw {
        (family::IPV4, family::IPV6 | family::MAPPED)
    } else {
        (family::IPV4 | family::MAPPED, family::IPV6)
    };
    Ok(Filter {
        ports: Ends::new(args.port, args.local_port, args.remote_port),
        addrs: Ends::new(args.addr, args.local_addr, args.remote_addr),
        families: match (args.ipv4, args.ipv6) {
            (true, _) => ipv4,
            (_, true) => ipv6,
            _ => family::ANY,
        },
        netns: args.netns.iter().map(netns::Netns::resolve).collect::<Result<_, _>>()?,
    })
}

fn resolve_format(args: &OutputArgs) -> Result<Box<dyn crate::format::Format>, Error> {
    let columns = match &args.columns {
        Some(list) => chosen_columns(list)?,
        None => default_columns(args.output, args.raw),
    };
    Ok(match args.output {
        Format::Text => Box::new(Text::new(columns, args.time, use_colour(args.color))),
        Format::Json => Box::new(Json::new(columns)),
        Format::Csv => Box::new(Csv::new(columns)),
    })
}

fn chosen_columns(list: &str) -> Result<Columns, Error> {
    if list.trim().is_empty() {
        return Err(Error::NoColumns);
    }
    let mut columns: Columns = Vec::new();
    for key in list.split(',').map(str::trim) {
        let column =
            field(key).ok_or_else(|| Error::UnknownColumn(crate::escape::escaped(key.as_bytes())))?;
        if columns.iter().any(|chosen| chosen.key == column.key) {
            return Err(Error::RepeatedColumn(column.key));
        }
        columns.push(column);
    }
    Ok(columns)
}

fn default_columns(format: Format, raw: bool) -> Columns {
    let is_shown = |field: &&Field| match (format, raw) {
        (Format::Text, false) => field.shown.log_text,
        (Format::Text, true) => field.shown.raw_text,
        (_, false) => field.shown.log_data,
        (_, true) => field.shown.raw_data,
    };
    FIELDS.iter().filter(is_shown).collect()
}

/// Whether standard output gets colours.
#[must_use]
pub fn use_colour(when: When) -> bool {
    match when {
        When::Always => true,
        When::Never => false,
        When::Auto => anstream::AutoStream::choice(&std::io::stdout()) != ColorChoice::Never,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_checked() {
        let keys =
            |list| chosen_columns(list).map(|columns| columns.iter().map(|c| c.key).collect::<Vec<_>>());
        assert_eq!(keys("new_state, time").unwrap(), ["new_state", "time"]);
        assert!(matches!(keys("time,nope"), Err(Error::UnknownColumn(key)) if key == "nope"));
        assert!(matches!(keys("\x1b"), Err(Error::UnknownColumn(key)) if key == "\\x1b"));
        assert!(matches!(keys("time,"), Err(Error::UnknownColumn(_))));
        assert!(matches!(keys(""), Err(Error::NoColumns)));
        assert!(matches!(keys("time,time"), Err(Error::RepeatedColumn("time"))));
    }
}
