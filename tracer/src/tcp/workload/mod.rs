//! Whose a cgroup is, by its path: runtimes and systemd put what they run into cgroups with names of their own.
//!
//! # Layout
//! - here: what a path says; `layouts`: the names that runtimes give

mod layouts;

/// What runs a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runtime {
    /// Docker.
    Docker,
    /// containerd: Kubernetes' plugin of it, and nerdctl.
    Containerd,
    /// CRI-O.
    Crio,
    /// Podman.
    Podman,
    /// LXC, Incus and LXD.
    Lxc,
    /// systemd-nspawn.
    Nspawn,
    /// Nomad's own drivers, such as `exec`.
    Nomad,
}

/// What a cgroup's path says. What it does not say is `None`, never a guess.
///
/// ```
/// use tracer::tcp::workload::Workload;
///
/// let nginx = Workload::of("/system.slice/nginx.service");
/// assert_eq!((nginx.unit.as_deref(), nginx.container), (Some("nginx.service"), None));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Workload {
    /// What runs the container, if its cgroup's name says so.
    pub runtime: Option<Runtime>,
    /// Identifier of the innermost container: 64 digits, or the name where the runtime knows it by that.
    pub container: Option<String>,
    /// The unique identifier of the Kubernetes pod around it.
    pub pod_uid: Option<String>,
    /// The innermost unit of systemd: of the host's, a user's or a container's.
    pub unit: Option<String>,
    /// It is below the manager of a user who is not root (`user@1000.service`). There that user names cgroups.
    pub is_users_own: bool,
}

impl Workload {
    /// From a cgroup's path below the root of its hierarchy, as output shows it.
    #[must_use]
    pub fn of(path: &str) -> Self {
        let names: Vec<&str> = path.split('/').filter(|name| !name.is_empty()).collect();
        let innermost =
            |at: &usize| layouts::container(&names[..*at], names[*at], names.get(at + 1).copied());
        let container = (0..names.len()).rev().find_map(|at| innermost(&at));
        let (runtime, container) = container.map_or((None, None), |(runtime, id)| (runtime, Some(id)));
        Self {
            runtime,
            container,
            pod_uid: layouts::pod_uid(&names),
            is_users_own: names.iter().any(|name| layouts::is_users_manager(name)),
            unit: names.iter().rev().find(|name| layouts::is_unit(name)).map(|unit| (*unit).to_owned()),
        }
    }

    /// The container's identifier, if it is of the kind that tells it apart from all others on all hosts.
    #[must_use]
    pub fn oci_id(&self) -> Option<&str> {
        self.container.as_deref().filter(|id| layouts::is_id(id))
    }
}

#[cfg(test)]
mod tests;
