//! The values of a column of text. There are few different ones, so each is kept once.

use std::net::IpAddr;

use bytes::Bytes;
use hashbrown::HashMap;
use parquet::data_type::ByteArray;
use tracer_common::event::COMM_LEN;

use crate::{
    format::{holder_list, json::push_quoted, value::Value},
    tcp::state::State,
    text::{
        escape::{exact, name},
        line::{Line, ROOM},
        number::push_micros,
        second::Seconds,
    },
};

/// Different values that are kept from one group of rows to the next.
const MOST_KEPT: usize = 1 << 16;

/// The texts of the rows.
#[derive(Default)]
pub(super) struct Words {
    /// The number of each row's text.
    pub(super) ids: Vec<u32>,
    pub(super) known: KnownTexts,
}

/// Texts by number.
#[derive(Default)]
pub(super) struct KnownTexts {
    /// The text of each number.
    pub(super) texts: Vec<ByteArray>,
    by_text: HashMap<Box<[u8]>, u32>,
    /// Names of processes, before they are escaped.
    by_name: HashMap<[u8; COMM_LEN], u32>,
    by_addr: HashMap<IpAddr, u32>,
    /// By the kernel's number, of which there are thirteen.
    by_state: [Option<u32>; 16],
    /// Names and addresses of the last rows: most rows have one of these.
    recent_name: Recent<[u8; COMM_LEN]>,
    recent_addr: Recent<IpAddr>,
}

/// Texts that some rows have, by the place where they are in memory: as long as none of them goes, what is at the same place is
/// the same text. To look there takes less time than to read it.
#[derive(Default)]
pub(super) struct Seen {
    by_place: [Option<(TextAddress, u32)>; 16],
}

/// The address of a text, and its length.
#[derive(Clone, Copy, PartialEq, Eq)]
struct TextAddress {
    address: usize,
    len: usize,
}

impl TextAddress {
    #[inline]
    fn of(text: &[u8]) -> Self {
        Self { address: text.as_ptr().addr(), len: text.len() }
    }

    /// A number that is mostly another for another text.
    #[inline]
    fn hash(self) -> usize {
        // The golden ratio, as in Fibonacci hashing.
        (self.address + self.len).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40
    }
}

impl Seen {
    #[inline]
    fn find(&self, place: TextAddress) -> Option<u32> {
        let kept = self.by_place[place.hash() % self.by_place.len()];
        kept.and_then(|(other, id)| (other == place).then_some(id))
    }

    fn keep(&mut self, place: TextAddress, id: u32) {
        let slot = place.hash() % self.by_place.len();
        self.by_place[slot] = Some((place, id));
    }
}

/// A few keys and their numbers. To compare with them takes less time than a hash.
struct Recent<K> {
    keys: [Option<(K, u32)>; 4],
    next: usize,
}

impl<K> Default for Recent<K> {
    fn default() -> Self {
        Self { keys: [const { None }; 4], next: 0 }
    }
}

impl<K> Recent<K> {
    #[inline]
    fn find(&self, is_it: impl Fn(&K) -> bool) -> Option<u32> {
        self.keys.iter().flatten().find_map(|(key, id)| is_it(key).then_some(*id))
    }

    fn keep(&mut self, key: K, id: u32) {
        self.keys[self.next] = Some((key, id));
        self.next = (self.next + 1) % self.keys.len();
    }
}

impl Words {
    /// Forgets the rows.
    pub(super) fn clear(&mut self) {
        self.ids.clear();
        if self.known.texts.len() > MOST_KEPT {
            *self = Self::default();
        }
    }
}

impl KnownTexts {
    /// The number of a value's text.
    #[inline]
    pub(super) fn id_of(&mut self, value: &Value<'_>, seen: &mut Seen) -> u32 {
        match value {
            Value::Word(text) | Value::Id(text) | Value::Text(text) | Value::NameOf(_, Some(text)) => {
                self.id_at(text.as_bytes(), seen)
            }
            other => self.id_of_other(other),
        }
    }

    fn id_of_other(&mut self, value: &Value<'_>) -> u32 {
        match value {
            Value::State(state) | Value::Became(state, _) | Value::Stuck(state) => self.id_of_state(*state),
            Value::Name(comm) | Value::DoubtfulName(comm) => self.id_of_name(comm),
            Value::Addr(addr) => self.id_of_addr(addr),
            other => self.id_of_rare(other),
        }
    }

    /// The number of a value that is rare, or in no default column.
    #[cold]
    #[inline(never)]
    fn id_of_rare(&mut self, value: &Value<'_>) -> u32 {
        self.id(&word(value))
    }

    fn id_of_state(&mut self, state: State) -> u32 {
        let number = usize::from(state.number());
        if let Some(Some(id)) = self.by_state.get(number) {
            return *id;
        }
        let id = self.id(state.to_string().as_bytes());
        if let Some(known) = self.by_state.get_mut(number) {
            *known = Some(id);
        }
        id
    }

    fn id_of_name(&mut self, comm: &[u8; COMM_LEN]) -> u32 {
        if let Some(id) = self.recent_name.find(|recent| recent == comm) {
            return id;
        }
        let id = if let Some(id) = self.by_name.get(comm) {
            *id
        } else {
            let id = self.id(exact(name(comm)).as_bytes());
            self.by_name.insert(*comm, id);
            id
        };
        self.recent_name.keep(*comm, id);
        id
    }

    fn id_of_addr(&mut self, addr: &IpAddr) -> u32 {
        if let Some(id) = self.recent_addr.find(|recent| recent == addr) {
            return id;
        }
        let id = if let Some(id) = self.by_addr.get(addr) {
            *id
        } else {
            let id = self.id(addr.to_string().as_bytes());
            self.by_addr.insert(*addr, id);
            id
        };
        self.recent_addr.keep(*addr, id);
        id
    }

    /// The number of a text that stays in memory as long as `seen`.
    #[inline]
    fn id_at(&mut self, text: &[u8], seen: &mut Seen) -> u32 {
        let place = TextAddress::of(text);
        seen.find(place).unwrap_or_else(|| {
            let id = self.id(text);
            seen.keep(place, id);
            id
        })
    }

    /// The number of a text.
    fn id(&mut self, text: &[u8]) -> u32 {
        if let Some(id) = self.by_text.get(text) {
            return *id;
        }
        // A group of rows has fewer.
        let id = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        self.texts.push(ByteArray::from(Bytes::copy_from_slice(text)));
        self.by_text.insert(text.into(), id);
        id
    }
}

/// A value as text.
fn word(value: &Value<'_>) -> Vec<u8> {
    let mut room = [0; ROOM];
    let line = Line::new(&mut room);
    match value {
        Value::Holders(holders) => holder_list(holders).into_bytes(),
        Value::Lived(connection) => {
            let states = connection.lived().enumerate();
            let line = states.fold(line, |line, (index, (state, ns))| {
                let line = line.push_all(if index == 0 { b"" } else { b" " });
                push_micros(line.push_all(state.as_bytes()).push(b'='), ns)
            });
            line.as_bytes().to_vec()
        }
        quoted => push_quoted(line, quoted, &mut Seconds::rfc3339()).as_bytes().to_vec(),
    }
}
