//! Builds the program for packages: with the system's libraries, and without.

use std::{ffi::OsString, fs, path::PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::{
    command::{cargo, output, run},
    ebpf,
    package::site::Site,
    vm::{self, arch::Arch},
};

/// The newest version of glibc's symbols that the packages say they need.
pub(super) const GLIBC: (u32, u32) = (2, 34);

/// The programs of an architecture.
#[derive(Clone)]
pub(super) struct Built {
    /// For .deb and .rpm: it asks the system's own libraries for names of users.
    pub(super) dynamic: PathBuf,
    /// For the tarball and the image.
    pub(super) r#static: PathBuf,
}

/// Builds both. They differ only in the last step, so libraries are compiled once.
pub(super) fn build(site: &Site, arch: Arch) -> Result<Built> {
    println!("package: building for {}", arch.name());
    let r#static = one(site, arch, "static", &["-Ctarget-feature=+crt-static"])?;
    // cargo-deb and cargo-generate-rpm take what was built last.
    let dynamic = one(site, arch, "dynamic", &[])?;
    let newest = newest_symbols(site, &dynamic)?;
    if newest > GLIBC {
        bail!("{} needs symbols of glibc {newest:?}, but the packages say {GLIBC:?}", dynamic.display());
    }
    Ok(Built { dynamic, r#static })
}

fn one(site: &Site, arch: Arch, name: &str, flags: &[&str]) -> Result<PathBuf> {
    let mut build = site.command(cargo().get_program());
    for variable in ["RUSTFLAGS", "RUSTC_WRAPPER", "CARGO_INCREMENTAL", "CARGO_BUILD_TARGET_DIR"] {
        build.env_remove(variable);
    }
    // Debian packages its compiler's standard library for both architectures.
    build.env("RUSTC", vm::RUSTC);
    let places = ebpf::remapped(&site.source)?;
    let mut rust_flags: Vec<OsString> = places
        .iter()
        .map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display()).into())
        .collect();
    let c_flags = places.iter().map(|(from, to)| format!("-ffile-prefix-map={}={to}", from.display()));
    let triple = arch.triple().replace('-', "_");
    build.env(format!("CFLAGS_{triple}"), c_flags.collect::<Vec<_>>().join(" "));
    if arch.is_foreign() {
        let mut sysroot = OsString::from("--sysroot=");
        sysroot.push(vm::sysroot(arch)?);
        rust_flags.push(sysroot);
        build.env(format!("CARGO_TARGET_{}_LINKER", triple.to_uppercase()), arch.tool("gcc"));
    }
    build.env("CARGO_ENCODED_RUSTFLAGS", rust_flags.join("\x1f".as_ref()));
    build.args(["rustc", "--quiet", "--locked", "--release", "--package", "tcp-tracer", "--bin", "tracer"]);
    build.args(["--target", arch.triple(), "--target-dir"]).arg(site.build()).arg("--").args(flags);
    run(&mut build)?;
    let folder = site.work().join("programs").join(arch.name());
    fs::create_dir_all(&folder)?;
    let copy = folder.join(name);
    let built = site.build().join(arch.triple()).join("release/tracer");
    fs::copy(&built, &copy).with_context(|| format!("copying {}", built.display()))?;
    Ok(copy)
}

/// The newest version of glibc's symbols that a program needs.
fn newest_symbols(site: &Site, program: &PathBuf) -> Result<(u32, u32)> {
    let symbols = output(site.command("readelf").args(["--wide", "--version-info"]).arg(program))?;
    let versions = symbols.split("GLIBC_").skip(1).filter_map(|rest| {
        let version = rest.split(|c: char| !(c.is_ascii_digit() || c == '.')).next()?;
        let mut numbers = version.split('.').map(str::parse);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    });
    versions.max().context("a program that needs no glibc")
}
