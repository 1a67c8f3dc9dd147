//! Entries: what is in a block.
//!
//! Events are tables ([`columns`]), which are fast. Everything else is MessagePack with named fields, so that a
//! later version may add some.

use crate::{
    facts::{Batch, Fact, columns},
    recording::{header::Header, name::Name},
};

/// What is in a block.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum RecordingEntry {
    /// Where the recording comes from.
    Header(Box<Header>),
    /// A fact.
    Fact(Fact),
    /// A name, before the first fact that it matters for.
    Name(Name),
}

impl RecordingEntry {
    /// What kind it is, as `tracer recording info` names it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Header(_) => "header",
            Self::Name(_) => "names",
            Self::Fact(fact) => match fact {
                Fact::Events(_) => "events",
                Fact::Snapshot(_) => "snapshots",
                Fact::TimewaitSample(_) => "timewait",
                Fact::Checkpoint(_) => "checkpoints",
                Fact::Refresh { .. } => "refreshes",
                Fact::Holders(_) => "holders",
                Fact::Interfaces(_) => "interfaces",
                Fact::Gauges(_) => "gauges",
                Fact::CountersAtStart(_) | Fact::CountersAtEnd(_) => "counters",
                Fact::Clock(_) | Fact::Ready(_) | Fact::Time(_) => "times",
                Fact::Losses(..) | Fact::End(_) => "totals",
            },
        }
    }
}

/// Bytes before each entry: what it is, and its length.
const HEAD: usize = 5;

/// The bytes of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Encoding {
    /// The watermark and a table of events.
    Events = 1,
    /// MessagePack.
    MessagePack = 2,
}

/// An entry that cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum Unwritable {
    /// It is too large.
    #[error("a fact of {0} bytes is too large for a recording")]
    TooLarge(usize),
    /// It cannot be turned into bytes.
    #[error("a fact cannot be written: {0}")]
    Encoding(#[from] rmp_serde::encode::Error),
}

/// Appends a batch of events.
pub(super) fn push_events(batch: &Batch, out: &mut Vec<u8>) {
    let begin = begin(Encoding::Events, out);
    out.extend_from_slice(&batch.until_ns.to_le_bytes());
    columns::pack(&batch.events, out);
    end(begin, out);
}

/// Appends anything else. On an error nothing is appended.
pub(super) fn push(entry: &impl serde::Serialize, out: &mut Vec<u8>) -> Result<(), Unwritable> {
    let begin = begin(Encoding::MessagePack, out);
    let written = rmp_serde::encode::write_named(out, entry);
    let len = out.len() - begin;
    if let Err(error) = written {
        out.truncate(begin - HEAD);
        return Err(error.into());
    }
    if longest(&out[begin..]).is_none_or(|longest| len > longest) {
        out.truncate(begin - HEAD);
        return Err(Unwritable::TooLarge(len));
    }
    end(begin, out);
    Ok(())
}

fn begin(encoding: Encoding, out: &mut Vec<u8>) -> usize {
    out.extend_from_slice(&[encoding as u8, 0, 0, 0, 0]);
    out.len()
}

fn end(begin: usize, out: &mut [u8]) {
    let len = u32::try_from(out.len() - begin).unwrap_or(u32::MAX);
    out[begin - 4..begin].copy_from_slice(&len.to_le_bytes());
}

/// What entries begin with that are MessagePack, and how long they may be: a few bytes can stand for much memory.
const LONGEST: [(&[u8], usize); 3] = [
    (b"\x81\xa6Header", 1 << 20),
    (b"\x81\xa4Name", 1 << 24),
    (b"\x81\xa4Fact", super::block::LARGEST - HEAD),
];

/// Takes an entry off the beginning of a block's bytes; `None` at the end.
pub(super) fn next(bytes: &mut &[u8]) -> Option<Result<RecordingEntry, BadEntry>> {
    let (&encoding, rest) = bytes.split_first()?;
    let taken = rest
        .split_first_chunk()
        .and_then(|(len, rest)| rest.split_at_checked(u32::from_le_bytes(*len) as usize));
    let Some((entry, rest)) = taken else {
        *bytes = &[];
        return Some(Err(BadEntry));
    };
    *bytes = rest;
    Some(if encoding == Encoding::Events as u8 {
        events(entry).ok_or(BadEntry)
    } else if encoding == Encoding::MessagePack as u8 && is_sound(entry) {
        rmp_serde::from_slice(entry).map_err(|_| BadEntry)
    } else {
        Err(BadEntry)
    })
}

fn is_sound(entry: &[u8]) -> bool {
    longest(entry).is_some_and(|longest| entry.len() <= longest)
}

/// How long an entry may be that begins so; `None` if none does.
fn longest(entry: &[u8]) -> Option<usize> {
    LONGEST.iter().find(|(begin, _)| entry.starts_with(begin)).map(|(_, longest)| *longest)
}

fn events(entry: &[u8]) -> Option<RecordingEntry> {
    let (until_ns, table) = entry.split_first_chunk()?;
    let events = columns::unpack(table)?;
    Some(RecordingEntry::Fact(Fact::Events(Batch { events, until_ns: u64::from_le_bytes(*until_ns) })))
}

/// Bytes that are no entry of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadEntry;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::names::ContainerNames;

    fn read(mut bytes: &[u8]) -> Vec<Option<RecordingEntry>> {
        std::iter::from_fn(|| next(&mut bytes)).map(Result::ok).collect()
    }

    /// The writer makes nothing that the reader refuses, and a name is one however it is encoded.
    #[test]
    fn what_is_too_long_is_neither_written_nor_read() {
        let name = |len: usize| RecordingEntry::Name(Name::Netns(7, Some("x".repeat(len))));
        let mut bytes = Vec::new();
        assert!(matches!(push(&name(1 << 24), &mut bytes), Err(Unwritable::TooLarge(_))));
        assert!(bytes.is_empty());
        push(&name(10), &mut bytes).unwrap();
        assert_eq!(read(&bytes), [Some(name(10))]);
        // A map of one member, with the longest of its heads.
        assert_eq!(bytes[HEAD], 0x81);
        bytes.splice(HEAD..=HEAD, [0xde, 0, 1]);
        bytes[1] += 2;
        assert_eq!(read(&bytes), [None]);
    }

    /// As an older reader meets entries of a later version.
    #[test]
    fn what_a_later_version_adds_is_passed_over() {
        #[derive(serde::Serialize)]
        struct LaterNames {
            container: &'static str,
            color: &'static str,
        }
        #[derive(serde::Serialize)]
        enum LaterName {
            Pet(u64),
            Container(u64, LaterNames),
        }
        #[derive(serde::Serialize)]
        enum LaterEntry {
            Name(LaterName),
        }
        let name = RecordingEntry::Name(Name::Netns(7, None));
        let mut bytes = Vec::new();
        push(&name, &mut bytes).unwrap();
        push(&LaterEntry::Name(LaterName::Pet(7)), &mut bytes).unwrap();
        push(
            &LaterEntry::Name(LaterName::Container(7, LaterNames { container: "web", color: "red" })),
            &mut bytes,
        )
        .unwrap();
        push(&name, &mut bytes).unwrap();
        let web = ContainerNames { container: Some("web".to_owned()), ..ContainerNames::default() };
        let container = RecordingEntry::Name(Name::Container(7, web));
        assert_eq!(read(&bytes), [Some(name.clone()), None, Some(container), Some(name)]);
    }
}
