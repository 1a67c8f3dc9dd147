//! Names of logs, as the kubelet makes them: `/var/log/pods/<namespace>_<pod>_<uid>` and
//! `/var/log/containers/<pod>_<namespace>_<container>-<id>.log`.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use crate::{facts::names::ContainerNames, source::kernel::containers::files};

/// Entries of a folder that are looked at. A node has some hundred pods.
const MOST: usize = 16_384;

/// The names in both folders.
#[derive(Debug, Default)]
pub(super) struct Logs {
    containers: LogFolder,
    pods: LogFolder,
}

/// What the names in a folder say.
#[derive(Debug, Default)]
struct LogFolder {
    names: HashMap<String, ContainerNames>,
    reading: files::Rereading,
}

impl Logs {
    /// The names of the container with this identifier.
    pub(super) fn of_container(&mut self, root: &Path, id: &str) -> ContainerNames {
        self.containers.names(&root.join("var/log/containers"), id, container)
    }

    /// The names of the pod with this identifier.
    pub(super) fn of_pod(&mut self, root: &Path, uid: &str) -> ContainerNames {
        self.pods.names(&root.join("var/log/pods"), uid, pod)
    }
}

/// A name as an identifier, and what it stands for.
type Read = fn(&str) -> Option<(&str, ContainerNames)>;

impl LogFolder {
    fn names(&mut self, folder: &Path, id: &str, read: Read) -> ContainerNames {
        let name = |path: PathBuf| {
            let (id, names) = read(path.file_name()?.to_str()?)?;
            Some((id.to_owned(), names))
        };
        let all = || files::entries(folder, MOST).filter_map(name).collect();
        if let Some(names) = self.reading.read(folder, all) {
            self.names = names;
        }
        self.names.get(id).cloned().unwrap_or_default()
    }
}

/// The kubelet cuts these names to what a file system allows: the identifier comes last, so that one that was cut is not
/// found by it.
fn container(name: &str) -> Option<(&str, ContainerNames)> {
    let (names, id) = name.strip_suffix(".log")?.rsplit_once('-')?;
    let [pod, k8s_namespace, container] = parts(names)?;
    Some((
        id,
        ContainerNames { container: Some(container), pod: Some(pod), k8s_namespace: Some(k8s_namespace) },
    ))
}

fn pod(name: &str) -> Option<(&str, ContainerNames)> {
    let (_, uid) = name.rsplit_once('_')?;
    let [k8s_namespace, pod, _] = parts(name)?;
    Some((uid, ContainerNames { container: None, pod: Some(pod), k8s_namespace: Some(k8s_namespace) }))
}

/// Names in Kubernetes have no `_`.
fn parts(name: &str) -> Option<[String; 3]> {
    let parts: Vec<&str> = name.split('_').collect();
    let parts: [&str; 3] = parts.try_into().ok()?;
    parts.iter().all(|part| !part.is_empty()).then(|| parts.map(str::to_owned))
}
