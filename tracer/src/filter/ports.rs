//! `--port`, `--local-port`, `--remote-port`: lists of ports and ranges.

use std::{alloc::Layout, ops::RangeInclusive, str::FromStr};

use tracer_common::filter::{EITHER, LOCAL, PORTS};
use zerocopy::FromZeros as _;

use crate::{filter::PerEnd, text::escape::escaped};

/// A list such as `443,8000-8100`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ports(Vec<RangeInclusive<u16>>);

/// Why a list of ports is invalid.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A part of the list is empty.
    #[error("empty port: give ports or ranges separated by commas, such as 443,8000-8100")]
    Empty,
    /// A part is not a number.
    #[error("`{0}` is not a port: give ports or ranges separated by commas, such as 443,8000-8100")]
    NotANumber(String),
    /// A number is 0 or has more than 16 bits.
    #[error("port {0} is out of range: ports are 1 to 65535")]
    OutOfRange(String),
    /// The first port of a range is greater than the last.
    #[error("range {0}-{1} runs backwards: did you mean {1}-{0}?")]
    Reversed(u16, u16),
}

impl FromStr for Ports {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        text.split(',').map(|part| parse_range(part.trim())).collect::<Result<_, _>>().map(Self)
    }
}

fn parse_range(text: &str) -> Result<RangeInclusive<u16>, Error> {
    let Some((first, last)) = text.split_once('-') else {
        let port = parse_port(text)?;
        return Ok(port..=port);
    };
    let (first, last) = (parse_port(first.trim())?, parse_port(last.trim())?);
    if first > last {
        return Err(Error::Reversed(first, last));
    }
    Ok(first..=last)
}

fn parse_port(text: &str) -> Result<u16, Error> {
    if text.is_empty() {
        return Err(Error::Empty);
    }
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Error::NotANumber(escaped(text.as_bytes())));
    }
    match text.parse() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(Error::OutOfRange(text.to_owned())),
    }
}

/// The marks of all ports: the kernel's table.
#[derive(Clone, Debug)]
pub struct PortMarks(Box<[u8; PORTS]>);

impl PortMarks {
    /// Makes the table of a filter.
    #[must_use]
    pub fn new(ends: &PerEnd<Ports>) -> Self {
        let mut marks = empty_table();
        for (ports, mark) in ends.marked() {
            for port in ports.0.iter().cloned().flatten() {
                marks[usize::from(port)] |= mark;
            }
        }
        Self(marks)
    }

    /// The marks of a port; 0 for port 0.
    #[must_use]
    pub fn of(&self, port: u16) -> u8 {
        self.0[usize::from(port)]
    }

    /// The table in the form that the kernel takes.
    #[must_use]
    pub fn table(&self) -> &[u8; PORTS] {
        &self.0
    }
}

/// The lowest and the highest port that count at the local end. If none does, the first is greater than the
/// second.
#[must_use]
pub fn local_bounds(ends: &PerEnd<Ports>) -> [u16; 2] {
    let local = ends.marked().filter(|(_, mark)| mark & (EITHER | LOCAL) != 0);
    local.flat_map(|(ports, _)| &ports.0).fold([u16::MAX, 0], |[lowest, highest], range| {
        [lowest.min(*range.start()), highest.max(*range.end())]
    })
}

/// A table without marks. It is allocated on the heap at once, because it is too large for some stacks.
fn empty_table() -> Box<[u8; PORTS]> {
    <[u8; PORTS]>::new_box_zeroed()
        .unwrap_or_else(|_| std::alloc::handle_alloc_error(Layout::new::<[u8; PORTS]>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_ranges() {
        assert_eq!("443".parse(), Ok(Ports(vec![443..=443])));
        assert_eq!("443, 8000-8100,1".parse(), Ok(Ports(vec![443..=443, 8000..=8100, 1..=1])));
        assert_eq!("1-65535".parse(), Ok(Ports(vec![1..=65535])));
    }

    #[test]
    fn invalid_ports_are_refused() {
        let error = |text: &str| text.parse::<Ports>().unwrap_err();
        assert_eq!(error(""), Error::Empty);
        assert_eq!(error("80,"), Error::Empty);
        assert_eq!(error("-80"), Error::Empty);
        assert_eq!(error("0"), Error::OutOfRange("0".into()));
        assert_eq!(error("65536"), Error::OutOfRange("65536".into()));
        assert_eq!(error("99999999999999999999"), Error::OutOfRange("99999999999999999999".into()));
        assert_eq!(error("a-b"), Error::NotANumber("a".into()));
        assert_eq!(error("+80"), Error::NotANumber("+80".into()));
        assert_eq!(error("90-80"), Error::Reversed(90, 80));
        assert_eq!(error("1-2-3"), Error::NotANumber("2-3".into()));
    }

    #[test]
    fn bounds_are_those_of_the_local_end() {
        let parse = |text: &str| vec![text.parse().unwrap()];
        assert_eq!(local_bounds(&PerEnd::new(parse("443,80-90"), vec![], vec![])), [80, 443]);
        assert_eq!(local_bounds(&PerEnd::new(parse("443"), parse("7"), parse("65535"))), [7, 443]);
        assert_eq!(local_bounds(&PerEnd::new(vec![], vec![], parse("443"))), [u16::MAX, 0]);
    }

    #[test]
    fn marks_say_at_which_end_a_port_counts() {
        let ends = PerEnd::new(vec!["80".parse().unwrap()], vec!["80-81".parse().unwrap()], vec![]);
        let marks = PortMarks::new(&ends);
        assert_eq!(marks.of(80), EITHER | LOCAL);
        assert_eq!(marks.of(81), LOCAL);
        assert_eq!(marks.of(82), 0);
        assert_eq!(marks.of(0), 0);
    }
}
