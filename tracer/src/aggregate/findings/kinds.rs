//! The table of findings: their names, thresholds and weights.

use std::{fmt, str::FromStr};

use crate::text::escape::escaped;

/// What a threshold counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A number of sockets.
    Sockets,
    /// A number of events in the last minute.
    PerMinute,
    /// A part of a limit of the kernel, in percent.
    Percent,
    /// A time in nanoseconds.
    Time,
}

/// A row of the table.
struct Spec {
    kind: FindingKind,
    name: &'static str,
    unit: Unit,
    default: u64,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $word:literal, $unit:ident $default:literal;)*) => {
        /// A kind of trouble, the heaviest first.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum FindingKind { $($(#[$doc])* $name,)* }

        const TABLE: &[Spec] = &[$(Spec {
            kind: FindingKind::$name,
            name: $word,
            unit: Unit::$unit,
            default: $default,
        },)*];
    };
}

kinds! {
    /// The tracer itself has lost events.
    Lost = "lost", PerMinute 1;
    /// Clients find no local port.
    EphemeralPorts = "ephemeral-ports", Percent 80;
    /// A listener's queue of connections to be accepted is full.
    AcceptQueue = "accept-queue", Percent 90;
    /// Many half-open connections.
    HalfOpen = "half-open", Sockets 100;
    /// Connects that fail.
    ConnectFailures = "connect-failures", PerMinute 5;
    /// The peer has closed, the process has not.
    CloseWait = "close-wait", Sockets 1;
    /// The peer does not read.
    ZeroWindow = "zero-window", Time 5_000_000_000;
    /// Data is not acknowledged.
    Stalled = "stalled", Time 5_000_000_000;
    /// The process does not read.
    Unread = "unread", Time 10_000_000_000;
    /// Connections that ended because the peer fell silent.
    Timeouts = "timeouts", PerMinute 3;
    /// Handshakes that take long.
    SlowHandshakes = "slow-handshakes", Time 900_000_000;
    /// Connections that ended with an RST.
    Resets = "resets", PerMinute 10;
    /// Timewait sockets near the kernel's limit.
    TimeWait = "time-wait", Percent 80;
    /// The close is not finished.
    Unfinished = "unfinished", Sockets 1;
}

impl FindingKind {
    /// All kinds, the heaviest first.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|spec| spec.kind)
    }

    fn spec(self) -> &'static Spec {
        &TABLE[self as usize]
    }

    /// The name in output and options.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.spec().name
    }
}

/// From which value on each kind is a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thresholds([Option<u64>; TABLE.len()]);

impl Default for Thresholds {
    fn default() -> Self {
        let mut thresholds = Self([None; TABLE.len()]);
        for (threshold, spec) in thresholds.0.iter_mut().zip(TABLE) {
            *threshold = Some(spec.default);
        }
        thresholds
    }
}

impl Thresholds {
    /// Sets thresholds; later ones override earlier ones.
    pub fn set(&mut self, changes: &[Threshold]) {
        for change in changes {
            self.0[change.kind as usize] = change.value;
        }
    }

    /// The threshold of a kind, in its unit; `None` if it is switched off.
    #[must_use]
    pub fn of(&self, kind: FindingKind) -> Option<u64> {
        self.0[kind as usize]
    }

    /// Whether a value is a finding.
    #[must_use]
    pub fn are_reached(&self, kind: FindingKind, value: u64) -> bool {
        self.of(kind).is_some_and(|threshold| value >= threshold)
    }
}

/// A word of `--finding`: `close-wait=10`, `stalled=30s`, `ephemeral-ports=50%`, `resets=off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threshold {
    kind: FindingKind,
    value: Option<u64>,
}

/// Why a word is not a threshold.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no `=`.
    #[error("`{0}` is not NAME=VALUE: give a finding with a value, such as close-wait=10, or NAME=off")]
    Form(String),
    /// No finding has this name.
    #[error("`{0}` is not a finding: give one of {names}", names = names())]
    Name(String),
    /// The value is not of its unit.
    #[error("`{value}` is no value for {name}: give {what}, or off")]
    Value {
        /// The finding.
        name: &'static str,
        /// What was given.
        value: String,
        /// What is expected.
        what: &'static str,
    },
}

fn names() -> String {
    TABLE.iter().map(|spec| spec.name).collect::<Vec<_>>().join(", ")
}

impl FromStr for Threshold {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (name, value) = text.split_once('=').ok_or_else(|| Error::Form(escaped(text.as_bytes())))?;
        let (name, value) = (name.trim(), value.trim());
        let spec = TABLE.iter().find(|spec| spec.name.eq_ignore_ascii_case(name));
        let spec = spec.ok_or_else(|| Error::Name(escaped(name.as_bytes())))?;
        if value.eq_ignore_ascii_case("off") {
            return Ok(Self { kind: spec.kind, value: None });
        }
        let wrong = |what| Error::Value { name: spec.name, value: escaped(value.as_bytes()), what };
        let number = |text: &str, what| match text.trim().parse::<u64>() {
            Ok(number @ 1..) => Ok(number),
            _ => Err(wrong(what)),
        };
        let value = match spec.unit {
            Unit::Sockets => number(value, "a number of sockets from 1"),
            Unit::PerMinute => {
                let count = value.strip_suffix("/min").unwrap_or(value);
                number(count, "a number per minute from 1, such as 10 or 10/min")
            }
            Unit::Percent => {
                match number(value.strip_suffix('%').unwrap_or(value), "a percentage, such as 80%")? {
                    percent @ ..=100 => Ok(percent),
                    _ => Err(wrong("a percentage, such as 80%")),
                }
            }
            Unit::Time => crate::time::duration::parse(value)
                .map(|time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
                .map_err(|_| wrong("a time, such as 5s")),
        }?;
        Ok(Self { kind: spec.kind, value: Some(value) })
    }
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_table_has_the_order_of_the_kinds() {
        for (index, spec) in TABLE.iter().enumerate() {
            assert_eq!(spec.kind as usize, index, "{}", spec.name);
        }
    }

    #[test]
    fn every_finding_is_in_the_documentation() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/findings.md");
        let documentation = std::fs::read_to_string(path).unwrap();
        for Spec { kind, unit, default, .. } in TABLE {
            let value = match unit {
                Unit::Sockets => default.to_string(),
                Unit::PerMinute => format!("{default}/min"),
                Unit::Percent => format!("{default}%"),
                Unit::Time => format!("{:?}", Duration::from_nanos(*default)),
            };
            let row = format!("| `{kind}` | {value} |");
            assert!(documentation.contains(&row), "{row}");
        }
    }

    #[test]
    fn words_are_thresholds() {
        let mut thresholds = Thresholds::default();
        let words = ["close-wait=10", "stalled=30s", "Ephemeral-Ports=50%", "resets=7/min", "timeouts=off"];
        thresholds.set(&words.map(|word| word.parse().unwrap()));
        assert_eq!(thresholds.of(FindingKind::CloseWait), Some(10));
        assert_eq!(thresholds.of(FindingKind::Stalled), Some(30_000_000_000));
        assert_eq!(thresholds.of(FindingKind::EphemeralPorts), Some(50));
        assert_eq!(thresholds.of(FindingKind::Resets), Some(7));
        assert_eq!(thresholds.of(FindingKind::Timeouts), None);
        assert_eq!(thresholds.of(FindingKind::AcceptQueue), Some(90));
    }

    #[test]
    fn invalid_thresholds_are_refused() {
        assert_eq!("close-wait".parse::<Threshold>(), Err(Error::Form("close-wait".into())));
        assert_eq!("nothing\n=1".parse::<Threshold>(), Err(Error::Name("nothing".into())));
        for word in ["close-wait=0", "close-wait=-1", "stalled=0", "time-wait=101%", "resets=x"] {
            assert!(matches!(word.parse::<Threshold>(), Err(Error::Value { .. })), "{word}");
        }
    }
}
