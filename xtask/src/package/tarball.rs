//! The tarball: a static program, for whatever Linux, in the place that `cargo binstall` looks for it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Result;

use crate::{
    package::{
        inside::{copy, files},
        site::Site,
    },
    vm::arch::Arch,
};

/// Makes it.
pub(super) fn make(site: &Site, arch: Arch, program: &Path) -> Result<PathBuf> {
    let folder = site.empty("tarball")?;
    let name = name(site, arch);
    let inside = folder.join(&name);
    copy(program, &inside.join("tracer"))?;
    for tree in ["share", "deb/share/zsh", "rpm/share/licenses"] {
        let from = site.inside().join(tree);
        let to = inside.join(tree.trim_start_matches("deb/").trim_start_matches("rpm/"));
        for file in files(&from)? {
            copy(&file, &to.join(file.strip_prefix(&from)?))?;
        }
    }
    let tar = site.out().join(format!("{name}.tar"));
    site.tar(&folder, &[&name], &tar)?;
    let packed = site.gzip(&tar)?;
    fs::remove_dir_all(folder)?;
    Ok(packed)
}

/// The folder in it; the file is named like it.
pub(super) fn name(site: &Site, arch: Arch) -> String {
    format!("tracer-{}-{}", site.version, arch.triple())
}
