//! The host's network namespaces: finding them, entering them, and reading the kernel's counters in them.

use std::{
    collections::{HashMap, HashSet},
    fs::{self, File},
    io,
    os::{
        fd::{AsFd as _, AsRawFd as _},
        unix::fs::MetadataExt as _,
    },
    path::{Path, PathBuf},
    sync::Once,
    thread,
    time::{Duration, Instant},
};

use rustix::{
    fs::{Mode, OFlags, fstat, fstatfs, open, stat, statfs},
    net::{AddressFamily, SocketType},
    thread::{LinkNameSpaceType, move_into_link_name_space},
};

use crate::{
    facts::{
        counts::{KernelCounts, Reading, TcpCounts},
        names::UnknownName,
    },
    source::kernel::{
        clock::monotonic_ns,
        mounts::{self, MountedNetns},
        proc_net::{count, net, pair, sysctl_number},
    },
    tcp::netns::{Inum, Netns, NetnsFilter, NetnsId},
    text::escape::escaped,
};

/// How long mounts are searched for namespaces.
const MOUNTS: Duration = Duration::from_millis(500);

/// File system type of namespace files, `NSFS_MAGIC` in `linux/magic.h`.
const NSFS_MAGIC: i64 = 0x6e73_6673;

/// A setting of this thread's network namespace: for how many seconds it keeps an orphan in FIN_WAIT2.
pub(super) const FIN_TIMEOUT: &str = "ipv4/tcp_fin_timeout";

/// Looks up a namespace. Its cookie tells it from one that gets its number later.
pub fn resolve(netns: &Netns) -> Result<NetnsId, UnknownName> {
    let path = match netns {
        Netns::Inum(inum) => {
            let cookie = all(&[]).get(inum).map_or(0, |path| cookie_at(*inum, path));
            return Ok(NetnsId::new(*inum, cookie));
        }
        Netns::Path(path) => path.clone(),
        Netns::Pid(pid) => format!("/proc/{pid}/ns/net").into(),
    };
    let name = escaped(path.as_os_str().as_encoded_bytes());
    let unreadable = |cause| UnknownName(format!("namespace {name}: {cause}"));
    let file_system = statfs(&path).map_err(unreadable)?.f_type;
    let inum = stat(&path).map_err(unreadable)?.st_ino;
    match u32::try_from(inum) {
        Ok(inum) if file_system == NSFS_MAGIC => Ok(NetnsId::new(inum, cookie_at(inum, &path))),
        _ => Err(UnknownName(format!(
            "{name} is not a namespace: give a file such as /run/netns/NAME or /proc/PID/ns/net"
        ))),
    }
}

/// All namespaces that can be found, by inode number, each with the path of a file that refers to it: those of
/// processes, those that are mounted, and those `given` by the user. The files are not kept open, because that
/// would keep the namespaces alive. Users without privileges can make thousands of mount namespaces with thousands
/// of mounts each: after a while no more of them are read.
#[must_use]
pub fn all(given: &[PathBuf]) -> HashMap<u32, PathBuf> {
    let mut found = HashMap::new();
    let mut mount_namespaces = HashSet::new();
    let deadline = Instant::now() + MOUNTS;
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbered = processes.filter(|entry| entry.file_name().as_encoded_bytes()[0].is_ascii_digit());
    // A process may end during the search.
    for process in numbered.map(|entry| entry.path()) {
        add(process.join("ns/net"), &mut found);
        // All processes in a mount namespace see the same.
        let mounts = fs::metadata(process.join("ns/mnt"));
        if Instant::now() < deadline && mounts.is_ok_and(|mounts| mount_namespaces.insert(mounts.ino())) {
            for MountedNetns { inum, path } in mounts::of_process(&process) {
                let below = path.strip_prefix("/").unwrap_or(&path);
                found.entry(inum).or_insert_with(|| process.join("root").join(below));
            }
        }
    }
    for path in given {
        add(path.clone(), &mut found);
    }
    found
}

/// The first path of a namespace stands for it.
fn add(path: PathBuf, found: &mut HashMap<u32, PathBuf>) {
    if let Ok(metadata) = fs::metadata(&path)
        && let Ok(inum) = u32::try_from(metadata.ino())
    {
        found.entry(inum).or_insert(path);
    }
}

/// The inode number of this thread's network namespace.
#[must_use]
pub fn current() -> Option<u32> {
    u32::try_from(fs::metadata("/proc/thread-self/ns/net").ok()?.ino()).ok()
}

/// Moves this thread into the namespace that has this inode number and was found at this path.
pub fn enter(inum: u32, path: &Path) -> io::Result<()> {
    // Others choose these paths, and opening a pipe or a device in the place of a namespace might wait for ever.
    // So it is looked at first, and opened only if it is a namespace.
    let found = open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let is_there = fstatfs(&found)?.f_type == NSFS_MAGIC && fstat(&found)?.st_ino == u64::from(inum);
    if !is_there {
        // The path no longer refers to this namespace.
        return Err(io::ErrorKind::NotFound.into());
    }
    let file = File::open(format!("/proc/thread-self/fd/{}", found.as_raw_fd()))?;
    Ok(move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?)
}

/// Visits the namespaces that `filter` selects, in the order of their numbers, and calls `visit` in each. This moves the
/// whole thread. Returns how many were visited, and how many may not be entered; those that are gone are neither.
pub fn visit<E>(
    given: &[PathBuf],
    filter: &NetnsFilter,
    mut visit: impl FnMut(u32) -> Result<(), E>,
) -> Result<(usize, usize), E> {
    let mut there: Vec<_> = all(given).into_iter().collect();
    there.retain(|(inum, _)| filter.selects(NetnsId::new(*inum, 0)));
    there.sort_unstable();
    let (mut visited, mut refused) = (0, 0);
    for (inum, path) in &there {
        let is_here = current() == Some(*inum);
        if !is_here && let Err(error) = enter(*inum, path) {
            refused += usize::from(error.kind() == io::ErrorKind::PermissionDenied);
            continue;
        }
        visited += 1;
        visit(*inum)?;
    }
    Ok((visited, refused))
}

/// Whether this thread's network namespace has TCP sockets other than half-open ones, by its `sockstat`. Most namespaces
/// of a host have none, and to ask costs a fraction of listing them. True if that cannot be read.
#[must_use]
pub fn has_sockets() -> bool {
    let counted = |file: &str, group: &str, keys: &[&str]| {
        let text = net(file).ok()?;
        keys.iter().map(|key| pair(&text, group, key)).sum::<Option<u64>>()
    };
    // Without IPv6 there is no `sockstat6`.
    let six = counted("sockstat6", "TCP6:", &["inuse"]).unwrap_or_default();
    counted("sockstat", "TCP:", &["inuse", "tw"]).is_none_or(|four| four + six > 0)
}

/// Reads the kernel's counters of this thread's network namespace.
pub fn counters() -> io::Result<Reading> {
    let from_ns = monotonic_ns();
    let (snmp, netstat) = (net("snmp")?, net("netstat")?);
    let counts = kernel_counts(&snmp, &netstat).ok_or(io::ErrorKind::InvalidData)?;
    let during_ns = from_ns..=monotonic_ns();
    Ok(Reading { counts, during_ns, netns_cookie: cookie() })
}

/// The cookie of a namespace that was found at this path; 0 if the kernel does not tell.
fn cookie_at(inum: Inum, path: &Path) -> u64 {
    if current() == Some(inum) {
        return cookie();
    }
    // A thread of its own, because entering moves the thread.
    let ask = || enter(inum, path).map_or(0, |()| cookie());
    thread::scope(|scope| match thread::Builder::new().name("tracer-netns".into()).spawn_scoped(scope, ask) {
        Ok(thread) => thread.join().unwrap_or_default(),
        Err(error) => {
            doubt(&error);
            0
        }
    })
}

/// Says once that a namespace's cookie could not be asked for.
fn doubt(error: &io::Error) {
    static SAID: Once = Once::new();
    SAID.call_once(|| {
        log::warn!(
            "a network namespace may be taken for a later one with its number: asking for its cookie: {error}"
        );
    });
}

/// What this thread's network namespace is told apart by.
#[must_use]
pub fn here(inum: Inum) -> NetnsId {
    NetnsId::new(inum, cookie())
}

/// The cookie of this thread's network namespace, since 5.14; 0 if the kernel does not tell.
fn cookie() -> u64 {
    ask_for_cookie().unwrap_or_else(|error| {
        if error.raw_os_error() != Some(libc::ENOPROTOOPT) {
            doubt(&error);
        }
        0
    })
}

fn ask_for_cookie() -> io::Result<u64> {
    let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::DGRAM, None)?;
    let mut cookie = 0_u64;
    let mut size = libc::socklen_t::try_from(size_of_val(&cookie)).map_err(io::Error::other)?;
    // SAFETY: the kernel writes a number of the size that is given.
    let result = unsafe {
        let value = (&raw mut cookie).cast();
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_NETNS_COOKIE, value, &raw mut size)
    };
    if result == 0 { Ok(cookie) } else { Err(io::Error::last_os_error()) }
}

/// How long this thread's network namespace keeps an orphan in FIN_WAIT2 (`net.ipv4.tcp_fin_timeout`), in
/// nanoseconds.
#[must_use]
pub fn fin_timeout_ns() -> Option<u64> {
    sysctl_number(FIN_TIMEOUT)?.checked_mul(1_000_000_000)
}

/// The counters of connections in `/proc/net/snmp` and `/proc/net/netstat`.
pub(super) fn kernel_counts(snmp: &str, netstat: &str) -> Option<KernelCounts> {
    let tcp = |name: &str| count(snmp, "Tcp:", name);
    let extended = |name: &str| count(netstat, "TcpExt:", name);
    // The second kind of children is counted apart since 5.5.
    let by_other_key = extended("TCPFastOpenPassiveAltKey").unwrap_or_default();
    Some(KernelCounts {
        tcp: TcpCounts {
            opened: tcp("ActiveOpens")?,
            accepted: tcp("PassiveOpens")?,
            failed: tcp("AttemptFails")?,
            reset: tcp("EstabResets")?,
        },
        embryonic_resets: extended("EmbryonicRsts")?,
        listen_drops: extended("ListenDrops")?,
        fastopen_children: extended("TCPFastOpenPassive")?.saturating_add(by_other_key),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_namespace_is_found() {
        let own = fs::metadata("/proc/self/ns/net").unwrap().ino();
        assert!(all(&[]).contains_key(&u32::try_from(own).unwrap()));
    }

    #[test]
    fn own_namespace_is_resolved() {
        let by_path = resolve(&Netns::Path("/proc/self/ns/net".into())).unwrap();
        assert_eq!(by_path, resolve(&Netns::Pid(std::process::id())).unwrap());
    }

    #[test]
    fn other_files_are_refused() {
        let why = |path: &str| resolve(&Netns::Path(path.into())).unwrap_err().to_string();
        assert!(why("/etc/passwd").contains("/etc/passwd is not a namespace"));
        assert!(why("/no/such").contains("namespace /no/such: No such file"));
    }

    #[test]
    fn counters_are_found_by_name() {
        let snmp = "Ip: A B\nIp: 1 2\nTcp: X ActiveOpens PassiveOpens AttemptFails EstabResets Y\nTcp: -1 2 3 4 5 6\n";
        let netstat = "TcpExt: A EmbryonicRsts ListenDrops TCPFastOpenPassive\nTcpExt: 7 1 6 8\n";
        let expected = KernelCounts {
            tcp: TcpCounts { opened: 2, accepted: 3, failed: 4, reset: 5 },
            embryonic_resets: 1,
            listen_drops: 6,
            fastopen_children: 8,
        };
        assert_eq!(kernel_counts(snmp, netstat), Some(expected));
        assert_eq!(kernel_counts("Tcp: ActiveOpens\nTcp: x", netstat), None);
        assert_eq!(kernel_counts("", ""), None);
        assert!(counters().is_ok());
    }
}
