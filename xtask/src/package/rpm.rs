//! The .rpm: cargo-generate-rpm, with `[package.metadata.generate-rpm]` in `tracer/Cargo.toml`.

use std::path::PathBuf;

use anyhow::Result;

use crate::{
    command::run,
    package::{deb::tool, site::Site},
    setup,
    vm::arch::Arch,
};

/// Makes it.
pub(super) fn make(site: &Site, arch: Arch) -> Result<PathBuf> {
    let mut rpm = tool(site, "cargo-generate-rpm", setup::CARGO_GENERATE_RPM)?;
    let made = file(site, arch);
    rpm.args(["--package", "tracer", "--auto-req", "disabled", "--target", arch.triple(), "--output"]);
    run(rpm.arg(&made))?;
    Ok(made)
}

/// Its name, as rpm has it.
pub(super) fn file(site: &Site, arch: Arch) -> PathBuf {
    site.out().join(format!("tracer-{}-1.{}.rpm", site.version, arch.machine_name()))
}
