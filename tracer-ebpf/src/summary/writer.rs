//! Counting transitions and times in states, in per-CPU memory.

use aya_ebpf::{
    Global,
    bindings::BPF_NOEXIST,
    btf_maps::{PerCpuArray, PerCpuHashMap},
    macros::btf_map,
};
use tracer_common::{
    aggregate::{BUCKETS, PortKey, STATES, Share, Side, bucket, pair},
    event::Counter,
    state::ESTABLISHED,
};
use tracer_ebpf::{
    hook::count::{count, increment, index},
    sock::Sock,
};

use crate::packed::Role;

/// The aggregate of each CPU.
#[btf_map]
static SHARES: PerCpuArray<Share, 1> = PerCpuArray::new();

/// Whether to count by port, too. If not, the verifier removes the code.
#[unsafe(no_mangle)]
static BY_PORT: Global<u8> = Global::new(0);

/// Transitions by service port; the key's cell is a pair of states. User space sets the size.
#[btf_map]
static PORT_TRANSITIONS: PerCpuHashMap<u32, u64, 1> = PerCpuHashMap::new();

/// Times in ESTABLISHED by service port; the key's cell is a bucket. User space sets the size.
#[btf_map]
static PORT_STAYS: PerCpuHashMap<u32, u64, 1> = PerCpuHashMap::new();

/// The service that a connection belongs to.
#[derive(Clone, Copy)]
pub struct Service {
    side: Side,
    port: u16,
}

impl Service {
    #[inline(always)]
    pub fn of(sock: Sock, role: Role) -> Self {
        if BY_PORT.load() == 0 {
            return Self { side: Side::Unknown, port: 0 };
        }
        match role {
            Role::Client => Self { side: Side::Remote, port: sock.remote_port() },
            Role::Server | Role::Listener => Self { side: Side::Local, port: sock.local_port() },
            Role::Unknown => Self { side: Side::Unknown, port: 0 },
        }
    }
}

/// Counts in this CPU's aggregate, for one of the two programs.
pub struct Writer<const PROGRAM: usize> {
    aggregate: *mut Share,
    service: Service,
}

impl<const PROGRAM: usize> Writer<PROGRAM> {
    #[inline(always)]
    pub fn of(service: Service) -> Option<Self> {
        SHARES.get_ptr_mut(0).map(|aggregate| Self { aggregate, service })
    }

    #[inline(always)]
    pub fn transition(&self, old_state: u8, new_state: u8) {
        // SAFETY: inside the map's value.
        unsafe {
            let row = &raw mut (*self.aggregate).transitions[index::<STATES>(old_state)];
            increment(&raw mut (*row)[index::<STATES>(new_state)]);
        }
        if BY_PORT.load() != 0 {
            add(&PORT_TRANSITIONS, self.key(pair(old_state, new_state)));
        }
    }

    /// A state was left after this time, or after an unknown one.
    #[inline(always)]
    pub fn time_in_state(&self, state: u8, time_ns: Option<u64>) {
        let row = index::<STATES>(state);
        let Some(time_ns) = time_ns else {
            // SAFETY: as in `transition`.
            unsafe { increment(&raw mut (*self.aggregate).unknown[row]) };
            return;
        };
        let bucket = bucket(time_ns);
        // SAFETY: as in `transition`. Each program has a maximum of its own, and the kernel lets no program
        // interrupt itself since 6.2. Before, a longer time in a softirq may be overwritten by a shorter one.
        unsafe {
            increment(&raw mut (*self.aggregate).stays[row][index::<BUCKETS>(bucket)]);
            let longest_ns = &raw mut (*self.aggregate).longest_ns[PROGRAM][row];
            if time_ns > longest_ns.read_volatile() {
                longest_ns.write_volatile(time_ns);
            }
        }
        if BY_PORT.load() != 0 && state == ESTABLISHED {
            add(&PORT_STAYS, self.key(bucket));
        }
    }

    #[inline(always)]
    fn key(&self, cell: u8) -> u32 {
        PortKey::new(self.service.side, self.service.port, cell).0
    }
}

/// Adds one. `BPF_NOEXIST`, because when two CPUs find no entry at the same time, the second insertion must
/// not reset what the first CPU has counted.
#[inline(always)]
fn add(table: &PerCpuHashMap<u32, u64, 1>, key: u32) {
    let find = || table.get_ptr_mut(key);
    let found = find().or_else(|| {
        let _ = table.insert(key, 0, u64::from(BPF_NOEXIST));
        find()
    });
    match found {
        // SAFETY: this CPU's value; entries are never removed.
        Some(slot) => unsafe { increment(slot) },
        None => count(Counter::NoRoom),
    }
}
