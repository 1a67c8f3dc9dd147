//! Cgroups that are made, as the kernel program on the tracepoint `cgroup_mkdir` reports them.

/// The longest path, with the zero behind it. Of a longer one the report is of no use.
pub const PATH_LEN: usize = 512;

/// A cgroup that was made in the v2 hierarchy.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct MadeCgroup {
    /// Its id.
    pub id: u64,
    /// Bytes of the path, with the zero behind it; negative if it could not be read.
    pub len: i64,
    /// The path below the root of the hierarchy. What is behind `len` bytes is anything.
    pub path: [u8; PATH_LEN],
}

const _: () = assert!(size_of::<MadeCgroup>() == 16 + PATH_LEN);
