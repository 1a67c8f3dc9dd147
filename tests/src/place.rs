//! Network namespaces to test in, with addresses of their own.

use std::{
    fs::{self, File},
    iter,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::{fd::AsFd as _, unix::fs::MetadataExt as _},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    process::Pid,
    thread::{
        LinkNameSpaceType, MembarrierCommand, UnshareFlags, gettid, membarrier, move_into_link_name_space,
        unshare_unsafe,
    },
};

use crate::{
    patience::{until, until_or},
    program::{run, spawn},
};

/// How many lower numbers are taken at most to get a certain one.
const MOST_LOWER: usize = 512;

/// How long the kernel may take to free a number, and the time between two looks.
const SOON: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(20);

/// How many lower numbers are left to other programs.
const LEFT_TO_OTHERS: usize = 200;

/// The number of TIME_WAIT in `/proc/net/tcp`.
const TIME_WAIT: &str = "06";

/// A named network namespace. It is deleted when this is dropped.
pub struct Place {
    name: String,
}

static COUNT: AtomicU32 = AtomicU32::new(0);

impl Place {
    /// The prefix of the names of test namespaces.
    pub const KIND: &str = "tracer";

    /// Makes a namespace. Its loopback device is up, and has `fd77::1` besides 127.0.0.0/8.
    pub fn new() -> Self {
        Self::called(Self::KIND)
    }

    /// Makes a namespace with the name `kind-PID-NUMBER`.
    pub fn called(kind: &str) -> Self {
        let place = Self::unused(kind);
        ip(&format!("netns add {}", place.name));
        place.set_up();
        place
    }

    /// A name that no other namespace has.
    fn unused(kind: &str) -> Self {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        Self { name: format!("{kind}-{}-{number}", std::process::id()) }
    }

    fn set_up(&self) {
        ip(&format!("-n {} link set lo up", self.name));
        for address in ["fd77::1".to_owned(), self.own_v6().to_string()] {
            ip(&format!("-n {} addr add {address}/128 dev lo nodad", self.name));
        }
    }

    /// Makes two namespaces with a veth pair between them: 10.77.0.1 and fd77:1::1 in the first one,
    /// 10.77.0.2 and fd77:1::2 in the second one.
    pub fn pair() -> (Self, Self) {
        let (left, right) = (Self::new(), Self::new());
        ip(&format!("link add veth0 netns {} type veth peer name veth0 netns {}", left.name, right.name));
        for (place, host) in [(&left, 1), (&right, 2)] {
            ip(&format!("-n {} addr add 10.77.0.{host}/24 dev veth0", place.name));
            ip(&format!("-n {} addr add fd77:1::{host}/64 dev veth0 nodad", place.name));
            ip(&format!("-n {} link set veth0 up", place.name));
        }
        (left, right)
    }

    /// Makes namespaces with `make`. Other programs, which get the lowest free numbers, do not soon get theirs.
    pub fn with_high_numbers<T>(make: impl FnOnce() -> T) -> T {
        let lower =
            || (0..LEFT_TO_OTHERS).map(|_| enter_new(UnshareFlags::NEWUTS, "uts")).collect::<Vec<_>>();
        let _lower = thread::scope(|scope| scope.spawn(lower).join().unwrap());
        make()
    }

    /// Removes these namespaces, and makes one that has the number of one of them. They were made by
    /// [`Place::with_high_numbers`].
    pub fn with_number_of(older: Vec<Self>) -> Self {
        let numbers: Vec<_> = older.iter().map(Self::inum).collect();
        drop(older);
        until("a number that was there before", || Self::numbered(&numbers))
    }

    /// The same for one namespace; `None` if another program seems to have got its number.
    pub fn soon_with_number_of(older: Self) -> Option<Self> {
        let (number, end) = (older.inum(), Instant::now() + SOON);
        drop(older);
        iter::from_fn(|| (Instant::now() < end).then(|| Self::numbered(&[number]))).find_map(|made| {
            if made.is_none() {
                thread::sleep(PAUSE);
            }
            made
        })
    }

    fn numbered(numbers: &[u64]) -> Option<Self> {
        // The namespace belongs to a thread until it has a name.
        let made = || enter_numbered(numbers).then(|| Self::attach(gettid()));
        thread::scope(|scope| scope.spawn(made).join().unwrap())
    }

    /// Names the namespace of a thread.
    fn attach(thread: Pid) -> Self {
        let place = Self::unused(Self::KIND);
        ip(&format!("netns attach {} {}", place.name, thread.as_raw_nonzero()));
        place.set_up();
        place
    }

    /// The name for `ip netns`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The inode number.
    pub fn inum(&self) -> u64 {
        self.file().metadata().unwrap().ino()
    }

    /// What the kernel counts in it, by the name in the `Tcp:` lines of `/proc/net/snmp`.
    pub fn tcp_counter(&self, key: &str) -> u64 {
        let snmp = self.run(|| fs::read_to_string("/proc/thread-self/net/snmp").unwrap());
        let mut tcp = snmp.lines().filter_map(|line| line.strip_prefix("Tcp: "));
        let (names, values) = (tcp.next().unwrap(), tcp.next().unwrap());
        let mut both = names.split(' ').zip(values.split(' '));
        both.find_map(|(name, value)| (name == key).then(|| value.parse().unwrap())).unwrap()
    }

    /// An address that no other namespace of the tests has, for traces that do not show the namespace. `host`
    /// is its last byte.
    pub fn own_v4(&self, host: u8) -> Ipv4Addr {
        let [high, low] = self.number();
        Ipv4Addr::new(127, 128 | high, low, host)
    }

    /// The same for IPv6. There is only one such address.
    pub fn own_v6(&self) -> Ipv6Addr {
        Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 1, u16::from_be_bytes(self.number()))
    }

    /// Whether the address is one of [`Place::own_v4`] and [`Place::own_v6`].
    pub fn owns(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(v4) => v4.octets()[..3] == self.own_v4(0).octets()[..3],
            IpAddr::V6(v6) => v6 == self.own_v6(),
        }
    }

    /// The last bits of the inode number. The kernel assigns the lowest free number, so these bits differ
    /// between namespaces that exist at the same time.
    fn number(&self) -> [u8; 2] {
        let [.., high, low] = self.inum().to_be_bytes();
        [high & 0x7f, low]
    }

    fn file(&self) -> File {
        File::open(format!("/run/netns/{}", self.name)).unwrap()
    }

    /// Runs `work` inside the namespace, on a thread of its own.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let file = self.file();
        thread::scope(|scope| {
            scope
                .spawn(move || {
                    move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
                    work()
                })
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Waits until all connections have ended: only sockets in TIME_WAIT are left. On a busy host a last ACK
    /// may come late.
    pub fn settle(&self) {
        self.settle_to(0);
    }

    /// The same, but so many sockets stay open.
    pub fn settle_to(&self, open: usize) {
        let left = || {
            let tables = ["tcp", "tcp6"].map(|table| format!("/proc/thread-self/net/{table}"));
            let tables = self.run(|| tables.map(|table| fs::read_to_string(table).unwrap_or_default()));
            let sockets = tables.iter().flat_map(|table| table.lines().skip(1));
            let others = sockets.filter(|line| line.split_whitespace().nth(3) != Some(TIME_WAIT));
            others.map(str::to_owned).collect::<Vec<_>>()
        };
        until_or("the last sockets", || (left().len() <= open).then_some(()), || left().join("\n"));
        // The kernel takes a socket out of its tables before it tells the new state (`tcp_set_state`). This waits
        // until all CPUs have left what they were doing.
        membarrier(MembarrierCommand::Global).unwrap();
    }

    /// Changes a setting of it, such as `net.ipv4.tcp_fin_timeout=3`.
    pub fn set(&self, sysctl: &str) {
        run(self.command("sysctl").args(["-q", "-w", sysctl]));
    }

    /// A command that runs inside the namespace.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }
}

impl Default for Place {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ =
            spawn(Command::new("ip").args(["netns", "del", &self.name])).and_then(|mut child| child.wait());
    }
}

/// Makes a network namespace for the calling thread. Returns whether it has one of the numbers.
///
/// All kinds of namespaces share their numbers, and the kernel assigns the lowest free one. UTS namespaces are made in
/// microseconds, so they take the lower ones, and keep the wanted one until it is used. Otherwise the namespaces of
/// other programs would have it first.
fn enter_numbered(numbers: &[u64]) -> bool {
    let mut lower = Vec::new();
    while lower.len() < MOST_LOWER {
        let uts = enter_new(UnshareFlags::NEWUTS, "uts");
        let number = uts.metadata().unwrap().ino();
        if numbers.contains(&number) {
            // The thread itself holds the namespace, too. The next one takes its place.
            lower.push(enter_new(UnshareFlags::NEWUTS, "uts"));
            drop(uts);
            return enter_new(UnshareFlags::NEWNET, "net").metadata().unwrap().ino() == number;
        }
        if numbers.iter().all(|wanted| *wanted < number) {
            break;
        }
        lower.push(uts);
    }
    false
}

/// Makes a namespace for the calling thread.
fn enter_new(kind: UnshareFlags, file: &str) -> File {
    // SAFETY: file descriptors are still shared.
    unsafe { unshare_unsafe(kind) }.unwrap();
    File::open(format!("/proc/thread-self/ns/{file}")).unwrap()
}

fn ip(arguments: &str) {
    run(Command::new("ip").args(arguments.split(' ')));
}
