//! Cgroups (`struct cgroup`).

use core::ffi::c_void;

use crate::kernel::follow;

/// A cgroup of any hierarchy.
#[derive(Clone, Copy)]
pub struct Cgroup(*const u8);

impl Cgroup {
    /// The cgroup that a tracepoint passes.
    #[inline(always)]
    pub fn of_hook(cgroup: *const c_void) -> Self {
        Self(cgroup.cast())
    }

    /// Whether it is in the v2 hierarchy, which is always number 0.
    #[inline(always)]
    pub fn is_v2(self) -> bool {
        follow!(self.0, CgroupRoot, HierarchyId as u32) == 0
    }

    #[inline(always)]
    pub fn id(self) -> u64 {
        follow!(self.0, CgroupNode, NodeId as u64)
    }
}
