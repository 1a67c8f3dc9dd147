//! The values of a column of text. There are few different ones, so each is kept once.

use std::net::IpAddr;

use bytes::Bytes;
use hashbrown::HashMap;
use parquet::data_type::ByteArray;
use tracer_common::event::COMM_LEN;

use crate::{
    format::{holder_list, json::push_quoted, value::Value},
    text::{
        escape::{exact, name},
        line::{Line, ROOM},
        number::push_micros,
        second::Seconds,
    },
};

/// Different values that are kept from one group of rows to the next.
const MOST_KEPT: usize = 1 << 16;

/// Texts by number.
#[derive(Default)]
pub(super) struct Words {
    /// The number of each row's text.
    pub(super) ids: Vec<u32>,
    /// The text of each number.
    pub(super) texts: Vec<ByteArray>,
    by_text: HashMap<Box<[u8]>, u32>,
    /// Names of processes, before they are escaped.
    by_name: HashMap<[u8; COMM_LEN], u32>,
    by_addr: HashMap<IpAddr, u32>,
    /// Texts, names and addresses of the last rows: most rows have one of these.
    recent_text: Recent<()>,
    recent_short: Recent<u128>,
    recent_name: Recent<[u8; COMM_LEN]>,
    recent_addr: Recent<IpAddr>,
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

    #[inline]
    fn ids(&self) -> impl Iterator<Item = u32> {
        self.keys.iter().flatten().map(|(_, id)| *id)
    }

    fn keep(&mut self, key: K, id: u32) {
        self.keys[self.next] = Some((key, id));
        self.next = (self.next + 1) % self.keys.len();
    }
}

impl Words {
    /// Adds the value of a row. Returns whether it is one.
    #[inline]
    pub(super) fn push(&mut self, value: &Value<'_>) -> bool {
        let id = match value {
            Value::Word(word) | Value::Id(word) | Value::Text(word) | Value::NameOf(_, Some(word)) => {
                self.id(word.as_bytes())
            }
            Value::State(state) | Value::Became(state, _) | Value::Stuck(state) => {
                match state.padded_name() {
                    Some((name, len)) => self.id(&name[..*len]),
                    None => self.id(state.to_string().as_bytes()),
                }
            }
            Value::Name(comm) | Value::DoubtfulName(comm) => self.id_of_name(comm),
            Value::Addr(addr) => self.id_of_addr(*addr),
            other => self.id(&word(other)),
        };
        self.ids.push(id);
        true
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

    fn id_of_addr(&mut self, addr: IpAddr) -> u32 {
        if let Some(id) = self.recent_addr.find(|recent| *recent == addr) {
            return id;
        }
        let id = if let Some(id) = self.by_addr.get(&addr) {
            *id
        } else {
            let id = self.id(addr.to_string().as_bytes());
            self.by_addr.insert(addr, id);
            id
        };
        self.recent_addr.keep(addr, id);
        id
    }

    /// The number of a text.
    #[inline]
    fn id(&mut self, text: &[u8]) -> u32 {
        let Some(key) = short(text) else {
            return self.id_of_long(text);
        };
        if let Some(id) = self.recent_short.find(|recent| *recent == key) {
            return id;
        }
        let id = self.id_of_other(text);
        self.recent_short.keep(key, id);
        id
    }

    fn id_of_long(&mut self, text: &[u8]) -> u32 {
        let is_it = |id: &u32| self.texts.get(*id as usize).is_some_and(|other| other.data() == text);
        let recent = self.recent_text.ids().find(is_it);
        recent.unwrap_or_else(|| {
            let id = self.id_of_other(text);
            self.recent_text.keep((), id);
            id
        })
    }

    fn id_of_other(&mut self, text: &[u8]) -> u32 {
        if let Some(id) = self.by_text.get(text) {
            return *id;
        }
        // A group of rows has fewer.
        let id = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        self.texts.push(ByteArray::from(Bytes::copy_from_slice(text)));
        self.by_text.insert(text.into(), id);
        id
    }

    /// Forgets the rows.
    pub(super) fn clear(&mut self) {
        self.ids.clear();
        if self.texts.len() > MOST_KEPT {
            *self = Self::default();
        }
    }
}

/// A text of up to 15 bytes as a number, which takes less time to compare.
#[inline]
fn short(text: &[u8]) -> Option<u128> {
    let mut bytes = [0; 16];
    let (last, first) = bytes.split_last_mut()?;
    first.get_mut(..text.len())?.copy_from_slice(text);
    *last = text.len().to_le_bytes()[0];
    Some(u128::from_le_bytes(bytes))
}

/// A value that is rare, or in no default column, as text.
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
