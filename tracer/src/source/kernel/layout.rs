//! Where the running kernel keeps what the kernel program reads.

use tracer_common::member::{ABSENT, COUNT, Member, SOCK_FLAGS, SPECS, Spec};

use crate::source::kernel::btf::Btf;

/// Offsets and bit numbers, as the kernel program takes them.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// For the `OFFSETS` global.
    pub offsets: [u32; COUNT],
    /// For the `FLAG_BITS` global.
    pub flag_bits: [u32; SOCK_FLAGS.len()],
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
}

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
        Ok(Self { offsets, flag_bits })
    }

    /// The optional members that this kernel lacks.
    #[must_use]
    pub fn absent(&self) -> Vec<Member> {
        let members = self.offsets.into_iter().zip(Member::ALL);
        members.filter(|(offset, _)| *offset == ABSENT).map(|(_, member)| *member).collect()
    }
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
    }
}
