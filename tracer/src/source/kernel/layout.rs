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
        find_transparent(btf, &mut offsets);
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

/// Since 6.6 `IP_TRANSPARENT` is a bit of `inet_flags`.
fn find_transparent(btf: &Btf, offsets: &mut [u32; COUNT]) {
    let transparent = &mut offsets[Member::Transparent as usize];
    let bit = btf.enumerator_beside(TRANSPARENT, TRANSPARENT);
    if let (ABSENT, Some(bit @ ..64), Some(flags)) =
        (*transparent, bit, btf.member("inet_sock", "inet_flags"))
    {
        *transparent = flags.offset * 8 + bit;
    }
}

/// Its place in the kernel's enum, which has no name.
const TRANSPARENT: &str = "INET_FLAGS_TRANSPARENT";

fn find_member(btf: &Btf, spec: &Spec) -> Result<u32, Error> {
    if spec.size == 0 {
        return Ok(btf.bit(spec.container, spec.path).unwrap_or(ABSENT));
    }
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
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::source::kernel::made_btf::MadeBtf;

    /// What the made kernel's state TCP_LISTEN is.
    const LISTEN: u32 = state::LISTEN as u32;

    /// Types of a kernel with these members and this number of TCP_LISTEN, and all else that is looked for.
    fn kernel(members: impl Fn(&Spec) -> bool, listen: u32) -> Btf {
        let mut made = MadeBtf::new();
        let mut structures = BTreeMap::<_, Vec<_>>::new();
        for spec in SPECS.iter().filter(|spec| members(spec)) {
            structures.entry(spec.container).or_default().push((spec.path, spec.size.max(1)));
        }
        for (name, members) in structures {
            structure(&mut made, name, &members);
        }
        made.enumeration("sock_flags", &SOCK_FLAGS.map(|name| (name, 7)));
        let number = |(name, number)| (name, if name == "TCP_LISTEN" { listen } else { u32::from(number) });
        made.enumeration("", &STATES.map(number));
        made.function(HELPERS[Helper::SocketCookie as usize], 5);
        Btf::parse(made.bytes()).unwrap()
    }

    /// Adds a structure with these paths of members and their sizes. Returns its id and its size.
    fn structure(made: &mut MadeBtf, name: &str, paths: &[(&'static str, u32)]) -> (u32, u32) {
        let mut members = BTreeMap::<_, Vec<_>>::new();
        for (path, size) in paths {
            let (member, below) = path.split_once('.').unwrap_or((path, ""));
            members.entry(member).or_default().push((below, *size));
        }
        let mut end = 0;
        let mut placed = Vec::new();
        for (member, below) in members {
            let (id, size) = match below[..] {
                [("", size)] => (made.int(size), size),
                _ => structure(made, "", &below),
            };
            placed.push((member, id, end));
            end += size;
        }
        (made.structure(name, end, &placed), end)
    }

    #[test]
    fn all_that_a_kernel_has_is_found() {
        let layout = Layout::find(&kernel(|_| true, LISTEN)).unwrap();
        assert_eq!(layout.absent(), []);
        assert_eq!(layout.flag_bits, [7; SOCK_FLAGS.len()]);
        assert_eq!(layout.helpers, [1, 0, 0]);
        assert!(layout.has(Helper::SocketCookie) && !layout.has(Helper::CurrentTask));
        let bits = |at, spec: &Spec| if spec.size == 0 { at } else { at * 8 };
        let places: BTreeSet<_> =
            layout.offsets.iter().zip(SPECS).map(|(at, spec)| (spec.container, bits(*at, spec))).collect();
        assert_eq!(places.len(), COUNT, "two members at one place");
    }

    #[test]
    fn optional_members_may_be_absent_and_required_ones_may_not() {
        let layout = Layout::find(&kernel(|spec| spec.required, LISTEN)).unwrap();
        assert!(
            Member::ALL
                .iter()
                .all(|member| { layout.absent().contains(member) != SPECS[*member as usize].required })
        );
        for required in SPECS.iter().filter(|spec| spec.required) {
            let error = Layout::find(&kernel(|spec| spec.path != required.path, LISTEN)).unwrap_err();
            assert!(error.to_string().contains(required.path), "{error}");
        }
    }

    #[test]
    fn states_of_other_numbers_are_an_error() {
        let error = Layout::find(&kernel(|_| true, 13)).unwrap_err();
        assert!(matches!(error, Error::State { name: "TCP_LISTEN", found: 13, expected: 10 }), "{error}");
    }
}
