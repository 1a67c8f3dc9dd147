//! Offsets and numbers of the running kernel that the kernel programs need, from its type information.

use tracer_common::{
    helper::{HELPERS, Helper},
    member::{ABSENT, COUNT, Member, SOCK_FLAGS, SPECS, Spec},
    state,
};

use crate::source::kernel::btf::Btf;

/// Offsets, bit numbers and helpers, in the form of the kernel programs' globals.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Offsets of structure members, in bytes; the global `OFFSETS`.
    pub offsets: [u32; COUNT],
    /// Bit numbers of socket flags; the global `FLAG_BITS`.
    pub flag_bits: [u32; SOCK_FLAGS.len()],
    /// 1 for each BPF helper that programs can call, else 0; the global `HELPERS`.
    pub helpers: [u32; HELPERS.len()],
}

/// What the kernel lacks although the tracer needs it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A member is missing, or has an unexpected size.
    #[error(
        "this kernel has no `{path}` of {size} bytes in `struct {container}`, which tracer cannot do without"
    )]
    Member {
        /// Name of the structure.
        container: &'static str,
        /// Path of the member in it.
        path: &'static str,
        /// Expected size in bytes.
        size: u32,
    },
    /// A socket flag is missing.
    #[error("this kernel has no socket flag `{0}`, which tracer cannot do without")]
    Flag(&'static str),
    /// The enum of states lacks one.
    #[error("this kernel has no state {0}, which all others have: tracer would misread it")]
    NoState(&'static str),
    /// A state has an unexpected number.
    #[error(
        "this kernel's number for the state {name} is {found}, not {expected} as on all others: tracer would misread it"
    )]
    State {
        /// Its name in the kernel.
        name: &'static str,
        /// Its number in this kernel.
        found: u32,
        /// Its number in all other kernels.
        expected: u8,
    },
}

/// The states by their names in `include/net/tcp_states.h`. Their numbers are part of the kernel's interface
/// to programs (`struct tcp_info`), so no kernel should change them; the check costs little.
const STATES: [(&str, u8); 12] = [
    // This one is in no other enum, so it identifies the enum.
    ("TCP_NEW_SYN_RECV", state::NEW_SYN_RECV),
    ("TCP_ESTABLISHED", state::ESTABLISHED),
    ("TCP_SYN_SENT", state::SYN_SENT),
    ("TCP_SYN_RECV", state::SYN_RECV),
    ("TCP_FIN_WAIT1", state::FIN_WAIT1),
    ("TCP_FIN_WAIT2", state::FIN_WAIT2),
    ("TCP_TIME_WAIT", state::TIME_WAIT),
    ("TCP_CLOSE", state::CLOSE),
    ("TCP_CLOSE_WAIT", state::CLOSE_WAIT),
    ("TCP_LAST_ACK", state::LAST_ACK),
    ("TCP_LISTEN", state::LISTEN),
    ("TCP_CLOSING", state::CLOSING),
];

impl Layout {
    /// Looks everything up in the kernel's types.
    pub fn find(btf: &Btf) -> Result<Self, Error> {
        let mut offsets = [ABSENT; COUNT];
        for (offset, spec) in offsets.iter_mut().zip(SPECS) {
            *offset = find_member(btf, spec)?;
        }
        let mut flag_bits = [0; SOCK_FLAGS.len()];
        for (bit, name) in flag_bits.iter_mut().zip(SOCK_FLAGS) {
            *bit = btf.enumerator("sock_flags", name).filter(|bit| *bit < 64).ok_or(Error::Flag(name))?;
        }
        check_states(btf)?;
        let helpers = HELPERS.map(|name| u32::from(btf.has_function(name)));
        Ok(Self { offsets, flag_bits, helpers })
    }

    /// Whether tracing programs can call this helper in this kernel.
    #[must_use]
    pub fn has(&self, helper: Helper) -> bool {
        self.helpers[helper as usize] != 0
    }

    /// The optional members that this kernel lacks.
    #[must_use]
    pub fn absent(&self) -> Vec<Member> {
        let members = self.offsets.into_iter().zip(Member::ALL);
        members.filter(|(offset, _)| *offset == ABSENT).map(|(_, member)| *member).collect()
    }
}

fn check_states(btf: &Btf) -> Result<(), Error> {
    let anchor = STATES[0].0;
    if btf.enumerator_beside(anchor, anchor).is_none() {
        // Not all kernels have the enum in their type information.
        return Ok(());
    }
    for (name, expected) in STATES {
        match btf.enumerator_beside(anchor, name) {
            Some(found) if found == u32::from(expected) => {}
            Some(found) => return Err(Error::State { name, found, expected }),
            None => return Err(Error::NoState(name)),
        }
    }
    Ok(())
}

fn find_member(btf: &Btf, spec: &Spec) -> Result<u32, Error> {
    match btf.member(spec.container, spec.path) {
        Some(place) if place.size == spec.size => Ok(place.offset),
        _ if spec.required => {
            Err(Error::Member { container: spec.container, path: spec.path, size: spec.size })
        }
        _ => Ok(ABSENT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_running_kernel_has_everything() {
        let btf = Btf::parse(std::fs::read("/sys/kernel/btf/vmlinux").unwrap()).unwrap();
        let layout = Layout::find(&btf).unwrap();
        assert_eq!(layout.absent(), []);
        assert_eq!(layout.helpers, [1; 3]);
        assert_eq!(btf.enumerator_beside("TCP_NEW_SYN_RECV", "TCP_LISTEN"), Some(10));
    }
}
