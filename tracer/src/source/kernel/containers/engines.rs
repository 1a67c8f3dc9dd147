//! State of engines: of Docker a file for each container, of Podman and CRI-O one for all.

use std::{collections::HashMap, path::Path};

use serde::Deserialize;

use crate::{
    facts::names::ContainerNames,
    source::kernel::containers::{
        bundles::{PodLabels, of_labels},
        files,
    },
};

/// The largest file of a container.
const LARGEST: u64 = 4 << 20;

/// The largest file of all containers.
const LARGEST_OF_ALL: u64 = 32 << 20;

/// The most containers that are taken from it.
const MOST: usize = 16_384;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerContainer {
    #[serde(rename = "ID")]
    id: String,
    name: String,
    #[serde(default)]
    config: DockerConfig,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct DockerConfig {
    labels: Option<PodLabels>,
}

/// The names of one of Docker's containers.
pub(super) fn docker(root: &Path, id: &str) -> ContainerNames {
    let file = root.join("var/lib/docker/containers").join(id).join("config.v2.json");
    let container = files::json(&file, LARGEST).filter(|container: &DockerContainer| container.id == id);
    container.map_or_else(ContainerNames::default, |DockerContainer { name, config, .. }| {
        let name = name.trim_start_matches('/');
        let own = ContainerNames {
            container: (!name.is_empty()).then(|| name.to_owned()),
            ..ContainerNames::default()
        };
        // Kubernetes makes up a name for Docker; in labels are its own.
        of_labels(&config.labels.unwrap_or_default()).or(own)
    })
}

#[derive(Deserialize)]
struct StoredContainer {
    id: String,
    #[serde(default)]
    names: Option<Vec<String>>,
}

/// The containers of Podman and CRI-O, without those of users.
#[derive(Debug, Default)]
pub(super) struct Storage {
    names: HashMap<String, String>,
    reading: files::Rereading,
}

impl Storage {
    /// The names of one of them.
    pub(super) fn names(&mut self, root: &Path, id: &str) -> ContainerNames {
        let file = root.join("var/lib/containers/storage/overlay-containers/containers.json");
        let all = || -> Vec<StoredContainer> { files::json(&file, LARGEST_OF_ALL).unwrap_or_default() };
        if let Some(all) = self.reading.read(&file, all) {
            let named = all.into_iter().take(MOST);
            self.names = named.filter_map(|one| Some((one.id, one.names?.into_iter().next()?))).collect();
        }
        ContainerNames { container: self.names.get(id).cloned(), ..ContainerNames::default() }
    }
}
