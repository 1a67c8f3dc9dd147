//! `--port`, `--local-port`, `--remote-port`: ports and ranges.

use std::{alloc::Layout, ops::RangeInclusive, str::FromStr};

use tracer_common::filter::{NOT_REMOTE, PORTS, REMOTE};
use zerocopy::FromZeros as _;

use crate::filter::{PerEnd, services};

/// A port, a service's name, or a range of ports such as `8000-8100`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Ports(RangeInclusive<u16>);

/// Why a text is not a port or a range of them.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is nothing.
    #[error("empty port: give ports or ranges separated by commas, such as 443,8000-8100")]
    Empty,
    /// It is not a number, nor the name of a service.
    #[error(transparent)]
    Service(#[from] services::Error),
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
        let text = text.trim();
        // Names of services have hyphens, too.
        let is_range = |(first, last): &(&str, &str)| first.is_empty() || is_number(first) && is_number(last);
        let Some((first, last)) = text.split_once('-').filter(is_range) else {
            let port = parse_port(text)?;
            return Ok(Self(port..=port));
        };
        let (first, last) = (parse_port(first.trim())?, parse_port(last.trim())?);
        if first > last {
            return Err(Error::Reversed(first, last));
        }
        Ok(Self(first..=last))
    }
}

impl Ports {
    /// The first and the last of them.
    #[must_use]
    pub fn bounds(&self) -> (u16, u16) {
        (*self.0.start(), *self.0.end())
    }
}

fn is_number(text: &str) -> bool {
    let text = text.trim();
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn parse_port(text: &str) -> Result<u16, Error> {
    if text.is_empty() {
        return Err(Error::Empty);
    }
    if !is_number(text) {
        return Ok(services::port(text)?);
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
            for port in ports.0.clone() {
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
    let local = ends.marked().filter(|(_, mark)| mark & !(REMOTE | NOT_REMOTE) != 0);
    local.fold([u16::MAX, 0], |[lowest, highest], (Ports(range), _)| {
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
    use tracer_common::filter::{EITHER, LOCAL};

    #[test]
    fn ports_and_ranges() {
        assert_eq!("443".parse(), Ok(Ports(443..=443)));
        assert_eq!(" 8000 - 8100 ".parse(), Ok(Ports(8000..=8100)));
        assert_eq!("1-65535".parse(), Ok(Ports(1..=65535)));
    }

    #[test]
    fn invalid_ports_are_refused() {
        let error = |text: &str| text.parse::<Ports>().unwrap_err();
        assert_eq!(error(""), Error::Empty);
        assert_eq!(error("-80"), Error::Empty);
        assert_eq!(error("0"), Error::OutOfRange("0".into()));
        assert_eq!(error("65536"), Error::OutOfRange("65536".into()));
        assert_eq!(error("99999999999999999999"), Error::OutOfRange("99999999999999999999".into()));
        assert_eq!(error("90-80"), Error::Reversed(90, 80));
        for text in ["a-b", "+80", "1-2-3", "80-"] {
            assert!(matches!(error(text), Error::Service(_)), "{text}");
        }
    }

    #[test]
    fn bounds_are_those_of_the_local_end() {
        let ends = |either: &[&str], local: &[&str], remote: &[&str]| {
            let parse = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
            PerEnd::new(parse(either), parse(local), parse(remote))
        };
        assert_eq!(local_bounds(&ends(&["443", "80-90"], &[], &[])), [80, 443]);
        assert_eq!(local_bounds(&ends(&["443"], &["7"], &["65535"])), [7, 443]);
        assert_eq!(local_bounds(&ends(&["!22"], &["!7"], &["!65535"])), [7, 22]);
        assert_eq!(local_bounds(&ends(&[], &[], &["443", "!3"])), [u16::MAX, 0]);
    }

    #[test]
    fn marks_say_at_which_end_a_port_counts() {
        let parse = |text: &str| vec![text.parse().unwrap()];
        let marks = PortMarks::new(&PerEnd::new(parse("80"), parse("80-81"), parse("!81")));
        assert_eq!(marks.of(80), EITHER | LOCAL);
        assert_eq!(marks.of(81), LOCAL | NOT_REMOTE);
        assert_eq!(marks.of(82), 0);
        assert_eq!(marks.of(0), 0);
    }
}
