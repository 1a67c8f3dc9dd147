//! Where transitions and stays are counted.

use aya_ebpf::{
    Global,
    bindings::BPF_NOEXIST,
    btf_maps::{PerCpuArray, PerCpuHashMap},
    macros::btf_map,
};
use tracer_common::{
    event::Counter,
    fold::{BUCKETS, PortKey, STATES, Share, Side, bucket, pair},
    state::ESTABLISHED,
};
use tracer_ebpf::{
    hook::count::{count, increment, index},
    sock::Sock,
};

use crate::word::Role;

#[btf_map]
static SHARES: PerCpuArray<Share, 1> = PerCpuArray::new();

/// Whether to count by port too. If not, the verifier removes the code.
#[unsafe(no_mangle)]
static BY_PORT: Global<u8> = Global::new(0);

/// Transitions by port; the cell is a pair of states. User space sets the size.
#[btf_map]
static PORT_TRANSITIONS: PerCpuHashMap<u32, u64, 1> = PerCpuHashMap::new();

/// Stays in ESTABLISHED by port; the cell is a bucket. User space sets the size.
#[btf_map]
static PORT_STAYS: PerCpuHashMap<u32, u64, 1> = PerCpuHashMap::new();

/// What a connection is for.
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

/// This CPU's share, for one of the programs.
pub struct Tally<const WRITER: usize> {
    share: *mut Share,
    service: Service,
}

impl<const WRITER: usize> Tally<WRITER> {
    #[inline(always)]
    pub fn of(service: Service) -> Option<Self> {
        SHARES.get_ptr_mut(0).map(|share| Self { share, service })
    }

    #[inline(always)]
    pub fn transition(&self, old_state: u8, new_state: u8) {
        // SAFETY: inside the map's value.
        unsafe {
            let row = &raw mut (*self.share).transitions[index::<STATES>(old_state)];
            increment(&raw mut (*row)[index::<STATES>(new_state)]);
        }
        if BY_PORT.load() != 0 {
            add(&PORT_TRANSITIONS, self.key(pair(old_state, new_state)));
        }
    }

    /// A stay that has ended, if its length is known.
    #[inline(always)]
    pub fn stay(&self, state: u8, stay_ns: Option<u64>) {
        let row = index::<STATES>(state);
        let Some(stay_ns) = stay_ns else {
            // SAFETY: as in `transition`.
            unsafe { increment(&raw mut (*self.share).unknown[row]) };
            return;
        };
        let bucket = bucket(stay_ns);
        // SAFETY: as in `transition`. The longest of this program only it writes, and the kernel
        // lets no program interrupt itself (since 6.2; before that one in a softirq may be lost
        // to a shorter one).
        unsafe {
            increment(&raw mut (*self.share).stays[row][index::<BUCKETS>(bucket)]);
            let longest_ns = &raw mut (*self.share).longest_ns[WRITER][row];
            if stay_ns > longest_ns.read_volatile() {
                longest_ns.write_volatile(stay_ns);
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

/// Of two CPUs that find nothing only one may insert, lest it reset what the other has counted.
#[inline(always)]
fn add(table: &PerCpuHashMap<u32, u64, 1>, key: u32) {
    let find = || table.get_ptr_mut(key);
    let found = find().or_else(|| {
        let _ = table.insert(key, 0, u64::from(BPF_NOEXIST));
        find()
    });
    match found {
        // SAFETY: this CPU's value; nothing is ever removed.
        Some(slot) => unsafe { increment(slot) },
        None => count(Counter::NoRoom),
    }
}
