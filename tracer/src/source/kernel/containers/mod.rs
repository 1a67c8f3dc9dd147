//! Names of containers, from what their runtimes and the kubelet leave in files. No server is asked.
//!
//! # Layout
//! - here: which file is read when, and what is kept; `files`: reading with bounds
//! - `bundles`: annotations for the OCI runtime; `engines`: the state of Docker, Podman and CRI-O; `kubelet`: names of logs

mod bundles;
mod engines;
mod files;
mod kubelet;

use std::{
    collections::{HashMap, VecDeque},
    path::PathBuf,
    time::{Duration, Instant},
};

use crate::{
    facts::names::ContainerNames,
    source::kernel::containers::{engines::Storage, kubelet::Logs},
    tcp::workload::Workload,
    text::{escape::escaped, width::shorten},
};

/// Containers that are kept. Those that were met first are forgotten first, whether they are still there or not.
const MOST: usize = 16_384;

/// After this time a container is looked for again whose names are not all found. Each time it takes twice as long.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// How often it takes twice as long.
const DOUBLINGS: u32 = 5;

/// The longest name, in columns of a terminal. The longest that Kubernetes allows has 253.
const LONGEST: usize = 256;

/// Looks up names of containers, and keeps them: when a connection is told of, its container may be gone.
#[derive(Debug)]
pub struct Containers {
    /// Below which folder the files are.
    root: PathBuf,
    known: HashMap<String, KnownContainer>,
    /// The keys in the order in which they were met.
    order: VecDeque<String>,
    logs: Logs,
    storage: Storage,
}

/// What is known of a container, or of a pod.
#[derive(Debug)]
struct KnownContainer {
    names: ContainerNames,
    looked_at: Instant,
    /// How often it was looked for since it was first asked for.
    looks: u32,
}

impl KnownContainer {
    fn may_be_looked_for(&self) -> bool {
        self.looks == 0 || self.looked_at.elapsed() >= LOOK_AGAIN * (1 << (self.looks - 1).min(DOUBLINGS))
    }
}

impl Default for Containers {
    fn default() -> Self {
        Self::below("/".into())
    }
}

impl Containers {
    /// With the files below this folder.
    #[must_use]
    pub fn below(root: PathBuf) -> Self {
        Self {
            root,
            known: HashMap::new(),
            order: VecDeque::new(),
            logs: Logs::default(),
            storage: Storage::default(),
        }
    }

    /// The names of the container, or only of the pod, that a cgroup belongs to.
    pub fn names(&mut self, workload: &Workload) -> Option<ContainerNames> {
        // Whoever makes a cgroup below a user's manager may call it as somebody else's container.
        if workload.is_users_own {
            return None;
        }
        // Where a container is known by its name there is nothing to look up.
        let key = workload.oci_id().or(workload.pod_uid.as_deref())?;
        let (before, looks) = match self.known.get(key) {
            // Names come one by one: that of the pod before that of the container.
            Some(known) if known.names.are_all_of(workload) || !known.may_be_looked_for() => {
                return known.names.clone().some();
            }
            Some(known) => (known.names.clone(), known.looks),
            None => (ContainerNames::default(), 0),
        };
        let key = key.to_owned();
        let names = self.look_up(workload).or(before);
        self.keep(key, names.clone(), looks + 1);
        names.some()
    }

    /// Looks up the names of a container that starts. Those that come later are looked for when they are asked for.
    pub fn prefetch(&mut self, workload: &Workload) {
        let Some(id) = workload.oci_id().filter(|id| !workload.is_users_own && !self.known.contains_key(*id))
        else {
            return;
        };
        if let Some(names) = self.look_up(workload).some() {
            self.keep(id.to_owned(), names, 0);
        }
    }

    fn keep(&mut self, key: String, names: ContainerNames, looks: u32) {
        let known = KnownContainer { names, looked_at: Instant::now(), looks };
        if self.known.insert(key.clone(), known).is_none() {
            self.order.push_back(key);
        }
        while self.order.len() > MOST {
            let first = self.order.pop_front();
            first.and_then(|first| self.known.remove(&first));
        }
    }

    fn look_up(&mut self, workload: &Workload) -> ContainerNames {
        let Self { root, logs, storage, .. } = self;
        let mut found = ContainerNames::default();
        if let Some(id) = workload.oci_id() {
            // What is made for this container alone comes first: its names are there before it runs.
            found = bundles::names(root, id).or(found);
            if found.container.is_none() {
                found = found.or(engines::docker(root, id));
            }
            if found.container.is_none() {
                found = found.or(storage.names(root, id));
            }
            if found.container.is_none() || found.pod.is_none() && workload.pod_uid.is_some() {
                found = found.or(logs.of_container(root, id));
            }
        }
        if found.pod.is_none()
            && let Some(uid) = &workload.pod_uid
        {
            found = found.or(logs.of_pod(root, uid));
        }
        found.each_mut().for_each(|name| {
            *name = escaped(name.as_bytes());
            shorten(name, LONGEST);
        });
        found
    }
}

#[cfg(test)]
mod tests;
