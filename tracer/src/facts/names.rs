//! Names of what the kernel numbers.

/// Looks names up. They are asked for when something is shown, not for every event.
pub trait Names {
    /// The path of a cgroup below the root of the v2 hierarchy, escaped; `None` if it is gone or out of
    /// sight.
    fn cgroup_path(&mut self, id: u64) -> Option<String>;
}
