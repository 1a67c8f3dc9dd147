//! Whether packages are reproducible: sources in another folder make the same bytes.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Result, bail};

use crate::{
    command::run,
    package::{all, site::Site},
    vm::arch::Arch,
};

/// Makes all packages from a clone with a path of another length, and compares.
pub(super) fn compare(site: &Site, archs: &[Arch], packages: &[PathBuf]) -> Result<()> {
    let clone = site.empty("again")?.join("a-folder-with-a-longer-name");
    run(Command::new("git").args(["clone", "--quiet"]).arg(&site.source).arg(&clone))?;
    let other = Site { source: clone, epoch: site.epoch.clone(), version: site.version.clone() };
    let mut differ = Vec::new();
    for (one, another) in packages.iter().zip(all(&other, archs)?) {
        if one.file_name() != another.file_name() || fs::read(one)? != fs::read(&another)? {
            differ.push(one.display().to_string());
        }
    }
    if !differ.is_empty() {
        bail!("not the same bytes (is all of it committed?): {}", differ.join(", "));
    }
    println!("package: {} files have the same bytes when made in {}", packages.len(), other.source.display());
    Ok(())
}
