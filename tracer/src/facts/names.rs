//! Names for kernel identifiers.

/// Looks up names. This happens when something is shown, not for every event.
pub trait Names {
    /// The escaped path of a cgroup below the root of the v2 hierarchy; `None` if the cgroup is gone or not
    /// visible.
    fn cgroup_path(&mut self, id: u64) -> Option<String>;
}
