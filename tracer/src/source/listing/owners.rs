//! Which processes hold which sockets, by the file descriptors in `/proc`. Reading where a descriptor leads to takes one
//! system call; what takes more (names of processes) is read for those that hold a socket only.

use std::{
    collections::{HashMap, HashSet},
    fs,
    mem::MaybeUninit,
    thread,
};

use rustix::{
    fd::{AsFd, OwnedFd},
    fs::{CWD, Mode, OFlags, RawDir, openat, readlinkat_raw},
    io::Errno,
};
use tracer_common::event::{COMM_LEN, Holder};

use crate::{
    facts::listing::{ListedSocket, Listing},
    source::kernel::processes,
};

/// The most threads that search: the kernel's own work is most of it.
const MOST_THREADS: usize = 4;

/// Room for the entries of a folder, which the kernel gives many at a time.
const ENTRIES: usize = 32 << 10;

/// A socket that is held, by inode number, and the process.
type HeldSocket = (u32, u32);

pub(super) struct Owners {
    /// Sorted, each once.
    held: Vec<HeldSocket>,
    names: HashMap<u32, [u8; COMM_LEN]>,
    /// Why some holders may not be seen.
    unseen: Option<&'static str>,
}

/// Descriptors of other users' processes, or those processes themselves (`hidepid`, proc(5)).
const OF_OTHERS: &str = "run as root";
const ELSEWHERE: &str = "their processes are not in this pid namespace";

impl Owners {
    /// Searches all processes for holders of these sockets.
    pub(super) fn search(sockets: &[ListedSocket]) -> Self {
        let wanted: HashSet<u32> =
            sockets.iter().map(|socket| socket.inode).filter(|inode| *inode != 0).collect();
        let processes = pids();
        let threads = thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
        let parts = processes.chunks(processes.len().div_ceil(threads).max(1));
        let found: Vec<Search> = thread::scope(|scope| {
            let searches: Vec<_> = parts.map(|part| scope.spawn(|| Search::through(part, &wanted))).collect();
            searches.into_iter().filter_map(|search| search.join().ok()).collect()
        });
        let is_denied = found.iter().any(|search| search.is_denied) || !processes.contains(&1);
        let is_elsewhere = !processes::sees_all();
        let unseen = [(is_denied, OF_OTHERS), (is_elsewhere, ELSEWHERE)];
        let unseen = unseen.into_iter().find(|(is_so, _)| *is_so).map(|(_, why)| why);
        let mut held: Vec<HeldSocket> = found.into_iter().flat_map(|search| search.held).collect();
        held.sort_unstable();
        held.dedup();
        let names = held.iter().map(|(_, pid)| *pid).collect::<HashSet<_>>();
        let names = names.into_iter().filter_map(|pid| Some((pid, name(pid)?))).collect();
        Self { held, names, unseen }
    }

    /// Gives each socket its holders.
    pub(super) fn give(&self, listing: &mut Listing) {
        let mut hidden = 0;
        for socket in &mut listing.sockets {
            let holders = self.of(socket.inode);
            let is_hidden = socket.inode != 0 && holders.is_empty() && self.unseen.is_some();
            hidden += usize::from(is_hidden);
            socket.holders = (!is_hidden).then_some(holders);
        }
        if let Some(why) = self.unseen.filter(|_| hidden > 0) {
            let sockets = if hidden == 1 { "socket" } else { "sockets" };
            listing.missing.push(format!("owners of {hidden} {sockets} are not visible: {why}"));
        }
    }

    fn of(&self, inode: u32) -> Box<[Holder]> {
        let first = self.held.partition_point(|(held, _)| *held < inode);
        let held = self.held[first..].iter().take_while(|(held, _)| *held == inode && inode != 0);
        let holder = |(_, pid): &HeldSocket| {
            let comm = self.names.get(pid).copied().unwrap_or_default();
            Holder { cookie: 0, comm, pid: *pid, mptcp_token: 0 }
        };
        held.map(holder).collect()
    }
}

/// The processes that there are.
fn pids() -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

fn name(pid: u32) -> Option<[u8; COMM_LEN]> {
    let text = fs::read(format!("/proc/{pid}/comm")).ok()?;
    let text = text.strip_suffix(b"\n").unwrap_or(&text);
    let mut comm = [0; COMM_LEN];
    let length = text.len().min(COMM_LEN);
    comm[..length].copy_from_slice(&text[..length]);
    Some(comm)
}

/// What a thread has found.
#[derive(Default)]
struct Search {
    held: Vec<HeldSocket>,
    is_denied: bool,
}

impl Search {
    fn through(processes: &[u32], wanted: &HashSet<u32>) -> Self {
        let mut search = Self::default();
        let mut entries = Vec::with_capacity(ENTRIES);
        for pid in processes {
            let found = search.descriptors(*pid, wanted, entries.spare_capacity_mut());
            search.is_denied |= found.is_err_and(|error| error == Errno::ACCESS || error == Errno::PERM);
        }
        search
    }

    /// A process may end during the search.
    fn descriptors(
        &mut self,
        pid: u32,
        wanted: &HashSet<u32>,
        entries: &mut [MaybeUninit<u8>],
    ) -> rustix::io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder: OwnedFd = openat(CWD, format!("/proc/{pid}/fd"), flags, Mode::empty())?;
        let mut entries = RawDir::new(folder.as_fd(), entries);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let mut target = [MaybeUninit::uninit(); 32];
            if let Ok((target, _)) = readlinkat_raw(folder.as_fd(), entry.file_name(), &mut target)
                && let Some(inode) = socket_inode(target).filter(|inode| wanted.contains(inode))
            {
                self.held.push((inode, pid));
            }
        }
        Ok(())
    }
}

/// The inode number in `socket:[12345]`.
fn socket_inode(target: &[u8]) -> Option<u32> {
    let number = target.strip_prefix(b"socket:[")?.strip_suffix(b"]")?;
    str::from_utf8(number).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_told_by_their_inode() {
        assert_eq!(socket_inode(b"socket:[12345]"), Some(12345));
        for other in ["pipe:[12345]", "/dev/null", "socket:[]", "socket:[1"] {
            assert_eq!(socket_inode(other.as_bytes()), None, "{other}");
        }
    }
}
