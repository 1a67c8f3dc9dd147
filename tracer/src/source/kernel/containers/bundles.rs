//! Annotations that engines give to the OCI runtime, in the `config.json` of a container's bundle.

use std::{collections::HashMap, path::Path};

use serde::Deserialize;

use crate::{facts::names::ContainerNames, source::kernel::containers::files};

/// Where containerd keeps bundles, by namespace: one of its for each client, such as `k8s.io`.
const CONTAINERD: &str = "run/containerd/io.containerd.runtime.v2.task";

/// Namespaces of containerd that are looked into.
const MOST_NAMESPACES: usize = 64;

/// The largest file. Kubernetes bounds annotations to 256 KiB.
const LARGEST: u64 = 4 << 20;

/// Who names a container, its pod and the pod's namespace how: containerd, CRI-O, nerdctl.
const KEYS: [[&str; 3]; 3] = [
    [
        "io.kubernetes.cri.container-name",
        "io.kubernetes.cri.sandbox-name",
        "io.kubernetes.cri.sandbox-namespace",
    ],
    ["io.kubernetes.container.name", "io.kubernetes.pod.name", "io.kubernetes.pod.namespace"],
    ["nerdctl/name", "", ""],
];

#[derive(Deserialize)]
struct Bundle {
    #[serde(default)]
    annotations: PodLabels,
}

/// Annotations or labels.
pub(super) type PodLabels = HashMap<String, String>;

/// The names of a container with this identifier.
pub(super) fn names(root: &Path, id: &str) -> ContainerNames {
    let folders = files::entries(&root.join(CONTAINERD), MOST_NAMESPACES).map(|namespace| namespace.join(id));
    // CRI-O and Podman; and crun, whoever calls it.
    let others = [
        root.join("run/containers/storage/overlay-containers").join(id).join("userdata"),
        root.join("run/crun").join(id),
    ];
    let bundles =
        folders.chain(others).filter_map(|folder| files::json(&folder.join("config.json"), LARGEST));
    let named = bundles.map(|bundle: Bundle| of_labels(&bundle.annotations));
    named.fold(ContainerNames::default(), ContainerNames::or)
}

/// The names in annotations or labels.
pub(super) fn of_labels(labels: &PodLabels) -> ContainerNames {
    let name = |place: usize| {
        let known = KEYS.iter().find_map(|keys| labels.get(keys[place]));
        known.filter(|name| !name.is_empty()).cloned()
    };
    ContainerNames { container: name(0), pod: name(1), k8s_namespace: name(2) }
}
