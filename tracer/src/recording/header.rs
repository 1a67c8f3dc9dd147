//! The first entry of a recording: where it comes from, and what can be in it.

use rustix::rand::{GetRandomFlags, getrandom};

use crate::{facts::kernel::KernelInfo, filter::Filter, text::escape::tamed};

/// How far the times of a host's start may differ that were read at different moments, because the wall clock is
/// corrected, in nanoseconds.
const SAME_START_NS: u64 = 600_000_000_000;

/// A number by chance, which parts of one recording have in common. Without chance it is 0, and parts are told apart by
/// their hosts and times.
#[must_use]
pub fn new_id() -> u64 {
    let mut id = [0; 8];
    let _ = getrandom(&mut id, GetRandomFlags::NONBLOCK);
    u64::from_ne_bytes(id)
}

/// Where a recording comes from, and what can be in it.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Header {
    /// The version of the tracer that wrote it.
    pub tracer: String,
    /// Name of the host.
    pub host: String,
    /// A hash of the host's machine id (machine-id(5)), which tells hosts of the same name apart and gives
    /// nothing away; empty if the host has none.
    pub machine: String,
    /// A hash of `/proc/sys/kernel/random/boot_id`, which is another after each start of the host; empty in recordings from
    /// before it was kept.
    pub boot: String,
    /// Release of the kernel (`uname -r`).
    pub release: String,
    /// Architecture of the kernel (`uname -m`).
    pub arch: String,
    /// CPUs that there may be.
    pub cpus: u32,
    /// When the host was started, in nanoseconds since 1970.
    pub booted_ns: i64,
    /// When the recording began, in nanoseconds since 1970.
    pub begun_ns: i64,
    /// By chance: all parts of a recording have the same.
    pub id: u64,
    /// The number of this part, from 0.
    pub part: u32,
    /// What the kernel can report, and the hooks in use.
    pub kernel: KernelInfo,
    /// What the recording was limited to.
    pub filter: Filter,
    /// Whether there is all that connections' stories need; without it there are only events (`--raw`).
    pub has_stories: bool,
    /// Whether timewait sockets are followed.
    pub follows_timewait: bool,
}

impl Header {
    /// What tells hosts apart: the name, and the hash of the machine id.
    #[must_use]
    pub fn host_key(&self) -> (String, String) {
        (self.host.clone(), self.machine.clone())
    }

    /// Whether both were made on one host, without a restart between them: after that, the clock and the numbers of
    /// connections begin anew.
    #[must_use]
    pub fn is_of_same_boot(&self, other: &Self) -> bool {
        let is_same_start = if self.boot.is_empty() || other.boot.is_empty() {
            self.booted_ns.abs_diff(other.booted_ns) <= SAME_START_NS
        } else {
            self.boot == other.boot
        };
        is_same_start && self.host_key() == other.host_key()
    }

    /// The same, with texts that do no harm on a terminal: anybody may have written it.
    #[must_use]
    pub fn tamed(mut self) -> Self {
        let Self { tracer, host, machine, boot, release, arch, .. } = &mut self;
        for text in [tracer, host, machine, boot, release, arch] {
            *text = tamed(std::mem::take(text));
        }
        let hooks = &mut self.kernel.hooks;
        let texts = hooks.left_out.iter_mut().flat_map(|hook| [&mut hook.hook, &mut hook.tells]);
        for text in hooks.used.iter_mut().chain(texts) {
            *text = tamed(std::mem::take(text).into_owned()).into();
        }
        self
    }
}
