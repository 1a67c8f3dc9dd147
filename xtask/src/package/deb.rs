//! The .deb: cargo-deb, with `[package.metadata.deb]` in `tracer/Cargo.toml`.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::Result;

use crate::{command::run, package::site::Site, setup, vm::arch::Arch};

/// Makes it.
pub(super) fn make(site: &Site, arch: Arch) -> Result<PathBuf> {
    let mut deb = tool(site, "cargo-deb", setup::CARGO_DEB)?;
    deb.args(["--quiet", "--no-build", "--no-strip", "--locked", "--package", "tcp-tracer"]);
    let made = file(site, arch);
    run(deb.args(["--target", arch.triple(), "--output"]).arg(&made).stdout(Stdio::null()))?;
    Ok(made)
}

/// Its name, as Debian's policy has it.
pub(super) fn file(site: &Site, arch: Arch) -> PathBuf {
    site.out().join(format!("tracer_{}-1_{}.deb", site.version, arch.name()))
}

/// A tool of cargo that takes what was built for packages.
pub(super) fn tool(site: &Site, name: &str, version: &str) -> Result<Command> {
    let mut command = site.command(setup::cargo_tool(name, version)?);
    command.env("CARGO_TARGET_DIR", site.build());
    Ok(command)
}
