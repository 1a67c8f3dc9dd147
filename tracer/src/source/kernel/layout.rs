//! Where the running kernel keeps what the kernel program reads.

use tracer_common::{
    helper::{HELPERS, Helper},
    member::{ABSENT, COUNT, Member, SOCK_FLAGS, SPECS, Spec},
    state,
};

use crate::source::kernel::btf::Btf;

/// Offsets and bit numbers, as the kernel program takes them.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// For the `OFFSETS` global.
    pub offsets: [u32; COUNT],
    /// For the `FLAG_BITS` global.
    pub flag_bits: [u32; SOCK_FLAGS.len()],
    /// For the `HELPERS` global.
    pub helpers: [u32; HELPERS.len()],
}

/// What the kernel lacks and the tracer cannot do without.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A member is missing or has another size.
    #[error(
        "this kernel has no `{path}` of {size} bytes in `struct {container}`, which tracer cannot do without"
    )]
    Member {
        /// Structure.
        container: &'static str,
        /// Member.
        path: &'static str,
        /// Size that was looked for.
        size: u32,
    },
    /// A socket flag is missing.
    #[error("this kernel has no socket flag `{0}`, which tracer cannot do without")]
    Flag(&'static str),
    /// A state is missing among the others.
    #[error("this kernel has no state {0}, which all others have: tracer would misread it")]
    NoState(&'static str),
    /// A state has another number than on all other kernels.
    #[error(
        "this kernel's number for the state {name} is {found}, not {expected} as on all others: tracer would misread it"
    )]
    State {
        /// Its name in the kernel.
        name: &'static str,
        /// Its number there.
        found: u32,
        /// As everywhere.
        expected: u8,
    },
}

/// The states by their names in `include/net/tcp_states.h`. Their numbers are part of what programs are
/// told (`struct tcp_info`), so no kernel may change them; but to make sure costs little.
const STATES: [(&str, u8); 12] = [
    // In no other enum.
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
    /// Looks everything up.
    pub fn find(btf: &Btf) -> Result<Self, Error> {
        let mut offsets = [ABSENT; COUNT];
        for (offset, spec) in offsets.iter_mut().zip(SPECS) {
            *offset = find(btf, spec)?;
        }
        let mut flag_bits = [0; SOCK_FLAGS.len()];
        for (bit, name) in flag_bits.iter_mut().zip(SOCK_FLAGS) {
            *bit = btf.enumerator("sock_flags", name).filter(|bit| *bit < 64).ok_or(Error::Flag(name))?;
        }
        check_states(btf)?;
        let helpers = HELPERS.map(|name| u32::from(btf.has_function(name)));
        Ok(Self { offsets, flag_bits, helpers })
    }

    /// Whether tracing programs can call it here.
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
        // Not all kernels describe them.
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

fn find(btf: &Btf, spec: &Spec) -> Result<u32, Error> {
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
