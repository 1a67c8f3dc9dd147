//! A copy without names and addresses: keyed pseudonyms stand in their places, the same ones in all copies with the
//! same key.
//!
//! An address keeps what it has in common with others: two that begin with the same bits still do, and with the same
//! number of them (the construction of Crypto-PAn: each bit is flipped or not by what the bits before it hash to).

use std::collections::HashMap;

use tracer_common::{
    Event,
    event::{COMM_LEN, Holder},
};

use crate::{
    facts::Fact,
    filter::{Filter, PerEnd},
    recording::{header::Header, name::Name},
    run::recording::copy::Editor,
    tcp::device::DeviceName,
    track::{
        checkpoint::{Edit, edited},
        connection::Connection,
    },
};

/// What the key is for: it differs from that of other programs.
const PURPOSE: &str = "tracer 2026-11 pseudonyms of a recording";

/// Where the IPv4 address begins in a v4-mapped one, in bits.
const MAPPED: usize = 96;

/// Addresses and names whose pseudonyms are kept.
const MOST: usize = 1 << 20;

/// Puts pseudonyms in the places of names and addresses.
pub(super) struct Anonymous {
    key: [u8; 32],
    addresses: HashMap<[u8; 16], [u8; 16]>,
    comms: HashMap<[u8; COMM_LEN], [u8; COMM_LEN]>,
}

impl Anonymous {
    /// With what is in the file of the key.
    pub(super) fn new(secret: &[u8]) -> Self {
        let key = blake3::derive_key(PURPOSE, secret);
        Self { key, addresses: HashMap::new(), comms: HashMap::new() }
    }

    fn hash(&self, kind: &str, value: &[u8]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        // The kind ends with a byte that is in none.
        hasher.update(kind.as_bytes()).update(&[0]).update(value);
        hasher.finalize()
    }

    /// A pseudonym of twelve hexadecimal digits behind a letter.
    fn pseudonym(&self, kind: &str, letter: char, name: &str) -> String {
        let hash = self.hash(kind, name.as_bytes());
        let mut pseudonym = hash.to_hex()[..12].to_owned();
        pseudonym.insert(0, letter);
        pseudonym
    }

    fn new_comm(&self, comm: &[u8; COMM_LEN]) -> [u8; COMM_LEN] {
        let mut new = [0; COMM_LEN];
        let len = comm.iter().position(|byte| *byte == 0).unwrap_or(COMM_LEN);
        if len > 0 {
            let hash = self.hash("comm", &comm[..len]);
            new[0] = b'p';
            new[1..13].copy_from_slice(&hash.to_hex().as_bytes()[..12]);
        }
        new
    }

    fn new_address(&self, address: &[u8; 16]) -> [u8; 16] {
        let bits = u128::from_be_bytes(*address);
        let is_mapped = bits >> 32 == 0xffff;
        let first = if is_mapped { MAPPED } else { 0 };
        // No address: it stands for any.
        if bits == 0 || (is_mapped && address[12..] == [0; 4]) {
            return *address;
        }
        let mut flips = 0;
        for bit in first..128 {
            // The bits before this one, and how many there are.
            let before = if bit == 0 { 0 } else { bits >> (128 - bit) << (128 - bit) };
            let hash = self.hash(
                "address",
                &[&before.to_be_bytes()[..], &[u8::try_from(bit).unwrap_or_default()]].concat(),
            );
            flips |= u128::from(hash.as_bytes()[0] & 1) << (127 - bit);
        }
        (bits ^ flips).to_be_bytes()
    }

    /// Components of a path, each with its own pseudonym, so that what is below the same folder still is.
    fn path(&self, path: &str) -> String {
        let component = |name: &str| match name {
            "" => String::new(),
            name => self.pseudonym("cgroup", 'c', name),
        };
        path.split('/').map(component).collect::<Vec<_>>().join("/")
    }

    fn device(&self, name: &mut DeviceName) {
        let new = DeviceName::new(&self.pseudonym("device", 'd', name.as_str()));
        *name = new.unwrap_or(*name);
    }

    fn event(&mut self, event: &mut Event) {
        self.address(&mut event.local_addr);
        self.address(&mut event.remote_addr);
        self.comm(&mut event.comm);
    }

    fn filter(&self, filter: &mut Filter) {
        let addrs = std::mem::take(&mut filter.addrs);
        filter.addrs = PerEnd::from_marked(
            addrs
                .marked()
                .map(|(cidr, mark)| (cidr.with_address(|address| self.new_address(&address)), *mark)),
        );
    }
}

impl Edit for Anonymous {
    fn keeps(&mut self, _: &Connection) -> bool {
        true
    }

    fn keeps_ended(&mut self, _: u64) -> bool {
        true
    }

    fn address(&mut self, address: &mut [u8; 16]) {
        let new = self.addresses.get(address).copied().unwrap_or_else(|| self.new_address(address));
        if self.addresses.len() >= MOST {
            self.addresses.clear();
        }
        self.addresses.insert(*address, new);
        *address = new;
    }

    fn comm(&mut self, comm: &mut [u8; COMM_LEN]) {
        let new = self.comms.get(comm).copied().unwrap_or_else(|| self.new_comm(comm));
        if self.comms.len() >= MOST {
            self.comms.clear();
        }
        self.comms.insert(*comm, new);
        *comm = new;
    }
}

impl Editor for Anonymous {
    fn header(&mut self, header: &mut Header) {
        header.host = self.pseudonym("host", 'h', &header.host);
        for (id, kind, letter) in [(&mut header.machine, "machine", 'm'), (&mut header.boot, "boot", 'b')] {
            // What is not known is not the same for all.
            if !id.is_empty() {
                *id = self.pseudonym(kind, letter, id);
            }
        }
        // Parts of a recording still belong together.
        let id = self.hash("id", &header.id.to_le_bytes());
        header.id = u64::from_le_bytes(*id.as_bytes().first_chunk().unwrap_or(&[0; 8]));
        self.filter(&mut header.filter);
    }

    fn fact(&mut self, fact: &mut Fact) -> bool {
        match fact {
            Fact::Events(batch) => batch.events.iter_mut().for_each(|event| self.event(event)),
            Fact::Refresh { sockets, .. } => sockets.iter_mut().for_each(|socket| self.event(socket)),
            Fact::Snapshot(snapshot) => {
                let sockets = snapshot.sockets.iter_mut().chain(&mut snapshot.holders);
                sockets.for_each(|socket| self.event(socket));
                snapshot.interfaces.edit(|_, name| {
                    self.device(name);
                    true
                });
            }
            Fact::Holders(holders) => holders.edit(|holder: &mut Holder| {
                self.comm(&mut holder.comm);
                true
            }),
            Fact::Interfaces(interfaces) => interfaces.edit(|_, name| {
                self.device(name);
                true
            }),
            Fact::Checkpoint(checkpoint) => match edited(checkpoint, self) {
                Ok(new) => **checkpoint = new,
                Err(error) => {
                    log::warn!("{error}");
                    return false;
                }
            },
            _ => {}
        }
        true
    }

    fn name(&mut self, name: &mut Name) -> bool {
        match name {
            Name::Cgroup(_, path) => *path = path.as_deref().map(|path| self.path(path)),
            Name::Netns(_, name) => *name = name.as_deref().map(|name| self.pseudonym("netns", 'n', name)),
            Name::CommandLine(_, line) => {
                *line = line.as_deref().map(|line| self.pseudonym("command", 'l', line));
            }
            Name::Container(_, names) => {
                names.each_mut().for_each(|name| *name = self.pseudonym("container", 'k', name));
            }
            // Numbers and times.
            Name::Process(..) => {}
            Name::Cgroups(root, paths) => {
                *root = "/sys/fs/cgroup".into();
                for path in paths.values_mut() {
                    *path = self.path(path);
                }
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn common(one: [u8; 16], other: [u8; 16]) -> u32 {
        (u128::from_be_bytes(one) ^ u128::from_be_bytes(other)).leading_zeros()
    }

    proptest! {
        #[test]
        fn addresses_keep_what_they_have_in_common(one: [u8; 16], bit in 0_u32..128, v4: bool) {
            let mapped = 0xffff_0000_0000 | u128::from_be_bytes(one) & 0xffff_ffff;
            let one = if v4 { mapped } else { u128::from_be_bytes(one) };
            let other = one ^ 1 << if v4 { bit % 32 } else { bit };
            let (one, other) = (one.to_be_bytes(), other.to_be_bytes());
            let anonymous = Anonymous::new(b"a key that is long enough");
            let (new, new_other) = (anonymous.new_address(&one), anonymous.new_address(&other));
            let is_any = |address: [u8; 16]| address == anonymous.new_address(&address);
            if !is_any(one) && !is_any(other) {
                prop_assert_eq!(common(new, new_other), common(one, other));
            }
            if v4 {
                prop_assert_eq!(&new[..12], &one[..12]);
            }
        }
    }

    #[test]
    fn pseudonyms_agree_with_the_same_key_only() {
        let (one, other) = (Anonymous::new(b"one"), Anonymous::new(b"other"));
        assert_eq!(one.path("/a/b"), Anonymous::new(b"one").path("/a/b"));
        assert!(one.path("/a/b").starts_with(&one.path("/a")));
        assert_ne!(one.path("/a"), other.path("/a"));
        let address = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        assert_ne!(one.new_address(&address), other.new_address(&address));
        assert_eq!(one.new_address(&[0; 16]), [0; 16]);
    }
}
