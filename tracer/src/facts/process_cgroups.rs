//! In which cgroups processes run. A socket's own cgroup is the one in which it was made: that of systemd for a
//! service that was started by its socket, and that of the listener for what was accepted. Sockets have cgroups of
//! the v2 hierarchy only; containers may be in others.

use std::collections::HashMap;

use tracer_common::{
    Event,
    event::{flag, kind},
};

use crate::facts::names::Names;

/// Processes that are kept.
const MOST: usize = 65_536;

/// How long it takes until a process is looked at again, in nanoseconds: it may have been moved, or be another one
/// with the same number.
pub const LOOK_AGAIN_NS: u64 = 2_000_000_000;

/// In which cgroup a process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ProcessCgroup {
    /// The cgroup's id.
    pub id: u64,
    /// When the process began, in nanoseconds of the kernel's monotonic clock.
    pub started_ns: u64,
    /// When it was looked for in vain: what shows its number then or later may be another process. [`THERE`] until then.
    #[serde(default = "there")]
    pub gone_ns: u64,
}

/// The process is still there.
pub const THERE: u64 = u64::MAX;

fn there() -> u64 {
    THERE
}

impl ProcessCgroup {
    /// Looks at a process again, of which this was known before. What is gone now was there until then.
    pub fn look_again(pid: u32, before: Option<Self>, at_ns: u64, names: &mut dyn Names) -> Option<Self> {
        let gone = |before: Self| Self { gone_ns: before.gone_ns.min(at_ns), ..before };
        names.process_cgroup(pid).or(before.map(gone))
    }

    /// Whether it can be the one that owned a socket, and not another one with the same number.
    fn can_be(&self, owner: SocketOwner) -> bool {
        self.started_ns <= owner.at_ns && owner.from_ns < self.gone_ns
    }
}

/// What tells in which cgroup the process runs that a socket belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketOwner {
    /// The socket's own cgroup; 0 if it is not known.
    pub cgroup: u64,
    /// The owner's process id; 0 if it is not known.
    pub pid: u32,
    /// Whether it is known to hold the socket, and not only the listener that the socket came from.
    pub is_sure: bool,
    /// Since when the socket is there, in nanoseconds of the kernel's monotonic clock; at the latest, if it is older than tracer.
    pub from_ns: u64,
    /// When it was seen last.
    pub at_ns: u64,
}

impl SocketOwner {
    /// Nothing is known of it.
    pub const UNKNOWN: Self = Self { cgroup: 0, pid: 0, is_sure: false, from_ns: 0, at_ns: 0 };
}

/// The cgroups of processes that are known.
#[derive(Clone, Debug, Default)]
pub struct ProcessCgroups {
    known: HashMap<u32, Looked>,
}

/// What a look at a process has told; `None` if it was gone, or may not be seen.
#[derive(Clone, Copy, Debug)]
struct Looked {
    cgroup: Option<ProcessCgroup>,
    at_ns: u64,
}

impl ProcessCgroups {
    /// Looks at a process, unless that was done a short time ago.
    pub fn learn(&mut self, pid: u32, at_ns: u64, names: &mut dyn Names) -> Option<ProcessCgroup> {
        if pid == 0 {
            return None;
        }
        match self.known.get_mut(&pid) {
            Some(looked) if at_ns < looked.at_ns.saturating_add(LOOK_AGAIN_NS) => looked.cgroup,
            Some(looked) => {
                looked.cgroup = ProcessCgroup::look_again(pid, looked.cgroup, at_ns, names);
                looked.at_ns = at_ns;
                looked.cgroup
            }
            None => {
                if self.known.len() >= MOST {
                    self.known.clear();
                }
                let cgroup = names.process_cgroup(pid);
                self.known.insert(pid, Looked { cgroup, at_ns });
                cgroup
            }
        }
    }

    /// The cgroup that a socket belongs to: that of the process that holds it, else its own. `None` if a process has its
    /// listener that runs in another cgroup than the one that made it: then neither needs to be the one that accepts.
    #[must_use]
    pub fn of(&self, owner: SocketOwner) -> Option<u64> {
        let own = (owner.cgroup != 0).then_some(owner.cgroup);
        let process = self.known.get(&owner.pid).and_then(|looked| looked.cgroup);
        match process.filter(|process| process.can_be(owner)) {
            None => own,
            Some(process) if owner.is_sure => Some(process.id),
            Some(process) => own.filter(|own| *own == process.id),
        }
    }
}

/// The process that an event shows with its socket in hand; `None` if it shows none.
#[must_use]
pub fn process_of(event: &Event) -> Option<u32> {
    let is_found = event.kind == kind::TRANSITION && event.old_state == event.new_state;
    let is_at_work = event.flags & (flag::OWNED | flag::KERNEL_THREAD) == flag::OWNED;
    (event.pid != 0 && (is_found || is_at_work || event.kind == kind::ACCEPTED)).then_some(event.pid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::script::Script;

    const SOCKET: u64 = 5;

    fn owner(pid: u32, is_sure: bool) -> SocketOwner {
        SocketOwner { cgroup: SOCKET, pid, is_sure, from_ns: 90, at_ns: 100 }
    }

    #[test]
    fn the_process_decides_if_it_is_sure() {
        let mut names = Script::default().process(7, 6, 50).process(8, SOCKET, 50).process(9, 6, 101);
        let mut known = ProcessCgroups::default();
        for pid in [0, 7, 8, 9, 10] {
            known.learn(pid, 0, &mut names);
        }
        assert_eq!(known.of(owner(7, true)), Some(6));
        // It has the listener, which somebody else has made: who accepts may be anywhere.
        assert_eq!(known.of(owner(7, false)), None);
        assert_eq!(known.of(owner(8, false)), Some(SOCKET));
        // Another process had this number then; nothing is known of these.
        assert_eq!([9, 10, 0].map(|pid| known.of(owner(pid, true))), [Some(SOCKET); 3]);
        assert_eq!(known.of(SocketOwner { cgroup: 0, ..owner(10, true) }), None);
    }

    #[test]
    fn a_process_is_looked_at_again_and_remembered_when_it_is_gone() {
        let mut known = ProcessCgroups::default();
        known.learn(7, 0, &mut Script::default().process(7, 6, 50));
        let mut moved = Script::default().process(7, 8, 50);
        known.learn(7, LOOK_AGAIN_NS - 1, &mut moved);
        assert_eq!(known.of(owner(7, true)), Some(6));
        known.learn(7, LOOK_AGAIN_NS, &mut moved);
        assert_eq!(known.of(owner(7, true)), Some(8));
        known.learn(7, 2 * LOOK_AGAIN_NS, &mut Script::default());
        assert_eq!(known.of(owner(7, true)), Some(8));
    }

    /// Numbers of processes are used again. One that could not be looked at in time gets nobody else's cgroup.
    #[test]
    fn another_process_with_the_same_number_is_not_taken_for_it() {
        let mut known = ProcessCgroups::default();
        known.learn(7, 0, &mut Script::default().process(7, 6, 0));
        let again_ns = 3 * LOOK_AGAIN_NS;
        known.learn(7, again_ns, &mut Script::default());
        let of = |from_ns| known.of(SocketOwner { from_ns, at_ns: again_ns + 5, ..owner(7, true) });
        assert_eq!([again_ns - 1, again_ns, again_ns + 1].map(of), [Some(6), Some(SOCKET), Some(SOCKET)]);
        let mut later = Script::default().process(7, 9, again_ns + 2);
        known.learn(7, again_ns + LOOK_AGAIN_NS, &mut later);
        assert_eq!(
            known.of(SocketOwner { from_ns: again_ns + 3, at_ns: again_ns + 5, ..owner(7, true) }),
            Some(9)
        );
    }
}
