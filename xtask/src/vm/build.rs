//! Builds static programs for guests, in one run of cargo for all architectures.

use std::{
    ffi::OsString,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{
    command::{cargo, output, run},
    root,
    vm::{Store, arch::Arch, say},
};

/// Debian's compiler: Debian packages the arm64 standard library in the same version.
pub(crate) const RUSTC: &str = "/usr/bin/rustc";
const COMPILER: &str = "rustc-web";
const STANDARD_LIBRARY: &str = "libstd-rust-web-dev";

const PROFILE: &str = "vm";

/// The binary that packages have, too.
pub(crate) const TRACER: &str = "tracer";

/// The programs: the binary's name, and its path in a guest.
pub(crate) const PROGRAMS: [(&str, &str); 3] =
    [(TRACER, "bin/tracer"), ("actor", "bin/actor"), ("guest", "init")];

/// The folder with an architecture's programs, once built.
pub(crate) fn built(folder: &Path, arch: Arch) -> PathBuf {
    target(folder).join(arch.triple()).join(PROFILE)
}

fn target(folder: &Path) -> PathBuf {
    folder.join("build")
}

/// Downloads everything that [`command`] needs.
pub(crate) fn fetch(store: &Store, archs: &[Arch]) -> Result<()> {
    for arch in archs.iter().filter(|arch| arch.is_foreign()) {
        sysroot(store, *arch)?;
    }
    let targets = archs.iter().flat_map(|arch| ["--target", arch.triple()]);
    run(cargo().current_dir(root()).args(["fetch", "--quiet", "--locked"]).args(targets))
}

/// The command that builds the programs.
pub(crate) fn command(store: &Store, archs: &[Arch]) -> Result<Command> {
    let mut build = cargo();
    build.current_dir(root()).env("RUSTC", RUSTC);
    // These would replace our flags.
    for variable in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTC_WRAPPER"] {
        build.env_remove(variable);
    }
    build.args(["build", "--quiet", "--locked", "--profile", PROFILE, "--target-dir"]);
    build.arg(target(&store.folder));
    build.args(["--package", "tcp-tracer", "--package", "tests", "--package", "guest"]);
    build.args(PROGRAMS.iter().flat_map(|(binary, _)| ["--bin", binary]));
    for arch in archs {
        let variable =
            |name| format!("CARGO_TARGET_{}_{name}", arch.triple().to_uppercase().replace('-', "_"));
        let mut flags = OsString::from("-Ctarget-feature=+crt-static");
        if arch.is_foreign() {
            flags.push(" --sysroot=");
            flags.push(sysroot(store, *arch)?);
            build.env(variable("LINKER"), arch.tool("gcc"));
        }
        build.env(variable("RUSTFLAGS"), flags).args(["--target", arch.triple()]);
    }
    let names = archs.iter().map(|arch| arch.name()).collect::<Vec<_>>().join(" and ");
    say(&format!("building static programs for {names}"));
    Ok(build)
}

/// A sysroot with another architecture's standard library, so that nothing is installed into the system's.
pub(super) fn sysroot(Store { folder, apt }: &Store, arch: Arch) -> Result<PathBuf> {
    let version = output(Command::new("dpkg-query").args(["-W", "-f=${Version}", COMPILER]))?;
    let unpacked = folder.join(format!("{STANDARD_LIBRARY}-{version}"));
    if !unpacked.exists() {
        say(&format!("downloading Rust's standard library for {}", arch.name()));
        let package = format!("{STANDARD_LIBRARY}:{}={version}", arch.name());
        apt.unpack(&[package], &unpacked).context("downloading Rust's standard library")?;
    }
    let sysroot = folder.join("sysroot");
    let library = sysroot.join("lib/rustlib").join(arch.triple());
    fs::create_dir_all(sysroot.join("lib/rustlib"))?;
    // The link may be there already, to the library of another version.
    let _ = fs::remove_file(&library);
    symlink(unpacked.join("usr/lib/rustlib").join(arch.triple()), library)?;
    Ok(sysroot)
}
