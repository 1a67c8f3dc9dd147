//! Records as a recording keeps them: one column after the other, because values of one field are alike, and so are
//! packed much smaller and faster than whole records.
//!
//! A table begins with its number of records (four bytes) and its number of columns (two). Then come the columns, in
//! the order of [`Columns::COLUMNS`], with numbers in little-endian order. Columns are only ever added at the end of
//! that list: an older table lacks the last ones, which are then 0, and of a newer one the unknown ones are skipped.

use std::fmt;

use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};
use tracer_common::{
    Event,
    event::{Holder, TimewaitSocket},
};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Records that are packed together: so many stay in the fastest cache.
const TOGETHER: usize = 128;

/// Bytes before the columns.
const HEAD: usize = 6;

/// A table has at least this part of the bytes of its records.
const SPARSEST: usize = 4;

/// A column: a field of a record.
#[derive(Clone, Copy, Debug)]
pub struct RecordField {
    /// Where it is in the record.
    pub offset: usize,
    /// Its size in bytes.
    pub width: usize,
    /// Whether each value is kept as its difference from the one before. Only for fields of eight bytes.
    pub is_difference: bool,
}

/// A record with columns. Its fields are numbers, or arrays of bytes.
pub trait Columns: FromBytes + IntoBytes + Immutable + Copy + fmt::Debug + PartialEq {
    /// Its columns, in the order of a recording.
    const COLUMNS: &'static [RecordField];
}

macro_rules! columns {
    ($record:ident: $($field:ident $($difference:ident)?),* $(,)?) => {
        impl Columns for $record {
            const COLUMNS: &'static [RecordField] = &[$(RecordField {
                offset: std::mem::offset_of!($record, $field),
                width: {
                    const fn width<T>(_: fn(&$record) -> &T) -> usize { size_of::<T>() }
                    width(|record| &record.$field)
                },
                is_difference: columns!(is $($difference)?),
            },)*];
        }
    };
    (is) => { false };
    (is difference) => { true };
}

columns!(Event:
    time_ns difference, cookie difference, cgroup, bytes_acked, bytes_received, netns_cookie, local_addr, remote_addr,
    comm, pid, tid, netns, uid, srtt_us, retransmits, recv_queue, send_queue, ifindex, mptcp_token, idle_jiffies,
    linger2, error, cpu, local_port, remote_port, family, old_state, new_state, shutdown, kind, detail, flags,
);
columns!(Holder: cookie difference, comm, pid, mptcp_token);
columns!(TimewaitSocket: cookie difference, state, rest_jiffies);

// Numbers are copied as they are in memory.
#[cfg(not(target_endian = "little"))]
compile_error!("recordings are read and written on little-endian machines only");

/// Bytes that a table takes.
#[must_use]
pub fn packed_len<T: Columns>(records: usize) -> usize {
    HEAD + records * T::COLUMNS.iter().map(|column| column.width).sum::<usize>()
}

/// Appends a table of these records.
///
/// ```
/// use tracer::facts::columns::{pack, packed_len, unpack};
/// use tracer_common::event::Holder;
///
/// let holders = [7, 8].map(|cookie| Holder { cookie, pid: 4711, ..Holder::default() });
/// let mut bytes = Vec::new();
/// pack(&holders, &mut bytes);
/// assert_eq!(bytes.len(), packed_len::<Holder>(2));
/// assert_eq!(unpack::<Holder>(&bytes), Some(holders.to_vec()));
/// ```
pub fn pack<T: Columns>(records: &[T], out: &mut Vec<u8>) {
    let count = u32::try_from(records.len()).unwrap_or(u32::MAX);
    let records = &records[..count as usize];
    out.extend_from_slice(&count.to_le_bytes());
    out.extend_from_slice(&u16::try_from(T::COLUMNS.len()).unwrap_or(u16::MAX).to_le_bytes());
    let begin = out.len();
    out.resize(begin + packed_len::<T>(records.len()) - HEAD, 0);
    let body = &mut out[begin..];
    let mut before = vec![0_u64; T::COLUMNS.len()];
    for (number, group) in records.chunks(TOGETHER).enumerate() {
        let mut at = 0;
        for (column, before) in T::COLUMNS.iter().zip(&mut before) {
            let to = &mut body[at + number * TOGETHER * column.width..][..group.len() * column.width];
            match column.width {
                8 if column.is_difference => difference(group.as_bytes(), size_of::<T>(), column, before, to),
                1 => gather::<1>(group.as_bytes(), size_of::<T>(), column, to),
                2 => gather::<2>(group.as_bytes(), size_of::<T>(), column, to),
                4 => gather::<4>(group.as_bytes(), size_of::<T>(), column, to),
                8 => gather::<8>(group.as_bytes(), size_of::<T>(), column, to),
                _ => gather::<16>(group.as_bytes(), size_of::<T>(), column, to),
            }
            at += records.len() * column.width;
        }
    }
}

fn gather<const WIDTH: usize>(records: &[u8], size: usize, column: &RecordField, to: &mut [u8]) {
    for (record, to) in records.chunks_exact(size).zip(to.as_chunks_mut::<WIDTH>().0) {
        to.copy_from_slice(&record[column.offset..column.offset + WIDTH]);
    }
}

fn difference(records: &[u8], size: usize, column: &RecordField, before: &mut u64, to: &mut [u8]) {
    for (record, to) in records.chunks_exact(size).zip(to.as_chunks_mut::<8>().0) {
        if let Some(value) = record[column.offset..].first_chunk().map(|value| u64::from_le_bytes(*value)) {
            *to = value.wrapping_sub(*before).to_le_bytes();
            *before = value;
        }
    }
}

/// Reads a table; `None` if it is none.
#[must_use]
pub fn unpack<T: Columns>(table: &[u8]) -> Option<Vec<T>> {
    let (count, rest) = table.split_first_chunk()?;
    let (columns, body) = rest.split_first_chunk()?;
    let (count, columns) = (u32::from_le_bytes(*count) as usize, usize::from(u16::from_le_bytes(*columns)));
    let known = T::COLUMNS.get(..columns).unwrap_or(T::COLUMNS);
    let known_len: usize = known.iter().map(|column| column.width).sum();
    // Checked before memory is taken for as many records as the table says. No version has so few columns that a few
    // bytes stand for much memory.
    let is_sparse = known_len * SPARSEST < size_of::<T>();
    if known_len.checked_mul(count)? > body.len() || (is_sparse && count > 0) {
        return None;
    }
    let mut records = T::new_vec_zeroed(count).ok()?;
    let mut before = vec![0_u64; known.len()];
    for (number, group) in records.chunks_mut(TOGETHER).enumerate() {
        let mut at = 0;
        for (column, before) in known.iter().zip(&mut before) {
            let from = &body[at + number * TOGETHER * column.width..][..group.len() * column.width];
            let size = size_of::<T>();
            match column.width {
                8 if column.is_difference => sum(from, column, before, group.as_mut_bytes(), size),
                1 => scatter::<1>(from, column, group.as_mut_bytes(), size),
                2 => scatter::<2>(from, column, group.as_mut_bytes(), size),
                4 => scatter::<4>(from, column, group.as_mut_bytes(), size),
                8 => scatter::<8>(from, column, group.as_mut_bytes(), size),
                _ => scatter::<16>(from, column, group.as_mut_bytes(), size),
            }
            at += count * column.width;
        }
    }
    Some(records)
}

fn scatter<const WIDTH: usize>(from: &[u8], column: &RecordField, records: &mut [u8], size: usize) {
    for (record, from) in records.chunks_exact_mut(size).zip(from.as_chunks::<WIDTH>().0) {
        record[column.offset..column.offset + WIDTH].copy_from_slice(from);
    }
}

fn sum(from: &[u8], column: &RecordField, before: &mut u64, records: &mut [u8], size: usize) {
    for (record, from) in records.chunks_exact_mut(size).zip(from.as_chunks::<8>().0) {
        *before = before.wrapping_add(u64::from_le_bytes(*from));
        record[column.offset..column.offset + 8].copy_from_slice(&before.to_le_bytes());
    }
}

/// Serializes records as the bytes of a table.
///
/// # Errors
/// The serializer's own.
pub fn serialize<T: Columns, S: Serializer>(records: &[T], serializer: S) -> Result<S::Ok, S::Error> {
    let mut table = Vec::with_capacity(packed_len::<T>(records.len()));
    pack(records, &mut table);
    serializer.serialize_bytes(&table)
}

/// Reads records from the bytes of a table.
///
/// # Errors
/// They are no table.
pub fn deserialize<'de, T: Columns, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    let table = <&[u8]>::deserialize(deserializer)?;
    unpack(table).ok_or_else(|| D::Error::custom("not a table of records"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn event(bytes: &[u8]) -> Event {
        Event::read_from_bytes(bytes).unwrap()
    }

    /// Every byte of a record is in a column, and in one only.
    #[test]
    fn columns_are_the_whole_record() {
        fn check<T: Columns>() {
            let mut columns = T::COLUMNS.to_vec();
            columns.sort_by_key(|column| column.offset);
            let end = columns.iter().fold(0, |end, column| {
                assert_eq!(column.offset, end);
                assert!([1, 2, 4, 8, 16].contains(&column.width));
                end + column.width
            });
            assert_eq!(end, size_of::<T>());
        }
        check::<Event>();
        check::<Holder>();
        check::<TimewaitSocket>();
    }

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked(bytes in prop::collection::vec(any::<u8>(), 0..160 * 300)) {
            let events: Vec<Event> = bytes.chunks_exact(160).map(event).collect();
            let mut table = Vec::new();
            pack(&events, &mut table);
            prop_assert_eq!(unpack(&table), Some(events));
        }

        #[test]
        fn no_bytes_make_it_panic(table in prop::collection::vec(any::<u8>(), 0..400)) {
            let _: (Option<Vec<Event>>, Option<Vec<Holder>>) = (unpack(&table), unpack(&table));
        }
    }

    #[test]
    fn tables_of_other_versions_are_read() {
        let holders = [Holder { cookie: 7, comm: [b'a'; 16], pid: 9, mptcp_token: 3 }; 2];
        let mut table = Vec::new();
        pack(&holders, &mut table);
        let mut newer = table.clone();
        newer[4] = 5;
        newer.extend([1; 2 * 4]);
        assert_eq!(unpack::<Holder>(&newer), Some(holders.to_vec()));
        table[4] = 3;
        let older = holders.map(|holder| Holder { mptcp_token: 0, ..holder });
        assert_eq!(unpack::<Holder>(&table[..table.len() - 2 * 4]), Some(older.to_vec()));
        assert_eq!(unpack::<Holder>(&table[..table.len() - 2 * 4 - 1]), None);
        // One column for many events.
        let sparse = [&[0, 1, 0, 0, 1, 0][..], &[0; 8 << 8]].concat();
        assert_eq!(unpack::<Event>(&sparse), None);
    }
}
