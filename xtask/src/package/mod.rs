//! `cargo xtask package`: makes what users install, installs it, runs it and removes it.
//!
//! # Layout
//! - `site`: where packages are made, and of which sources
//! - `binaries`: builds the program; `inside`: all that comes with it
//! - `deb`, `rpm`, `tarball`, `image`: the packages
//! - `chroot`: a clean Debian to install them in; `container`: runs the image; `check`: what must be true there
//! - `crates`: whether crates.io would take it
//! - `twice`: the same bytes from another folder

mod binaries;
mod check;
mod chroot;
mod container;
mod crates;
mod deb;
mod image;
mod inside;
mod rpm;
mod site;
mod tarball;
mod twice;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Result, ensure};
use sha2::{Digest as _, Sha256};

use crate::{command::run, root, setup, vm::arch::Arch};
use site::Site;

/// Arguments of `package`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only this architecture [default: amd64 and arm64]
    #[arg(long)]
    arch: Option<Arch>,
    /// Do not install and run what was made
    #[arg(long)]
    no_check: bool,
    /// Make all of it again in another folder: it must have the same bytes
    #[arg(long)]
    twice: bool,
    /// Only see whether crates.io would take it, and whether it builds from there
    #[arg(long, conflicts_with_all = ["arch", "no_check", "twice"])]
    crates: bool,
}

/// Makes packages, and checks them.
pub(crate) fn package(args: &Args) -> Result<ExitCode> {
    if args.crates {
        crates::check()?;
        return Ok(ExitCode::SUCCESS);
    }
    setup::packages(setup::EBPF)?;
    setup::packages(setup::PACKAGE)?;
    let archs = args.arch.map_or_else(|| Arch::ALL.to_vec(), |arch| vec![arch]);
    let site = Site::new(root())?;
    let packages = all(&site, &archs)?;
    for package in &packages {
        println!("package: {}", package.display());
    }
    if !args.no_check {
        check::all(&site, &archs)?;
    }
    if args.twice {
        twice::compare(&site, &archs, &packages)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The package for Debian that was made last for this architecture.
pub(crate) fn made(arch: Arch) -> Result<PathBuf> {
    let package = deb::file(&Site::new(root())?, arch);
    ensure!(package.exists(), "{} is missing: make it, cargo xtask package", package.display());
    Ok(package)
}

/// The program in that package, unpacked for this purpose.
pub(crate) fn unpacked(arch: Arch, purpose: &str) -> Result<PathBuf> {
    let (site, package) = (Site::new(root())?, made(arch)?);
    let folder = site.empty(&format!("{purpose}/{}", arch.name()))?;
    run(Command::new("dpkg-deb").arg("--extract").arg(package).arg(&folder))?;
    Ok(folder.join("usr/bin/tracer"))
}

/// Makes all packages of these architectures. Returns the files.
fn all(site: &Site, archs: &[Arch]) -> Result<Vec<PathBuf>> {
    site.empty("out")?;
    // The completions come from the program, which runs here.
    let native = binaries::build(site, Arch::Amd64)?;
    inside::gather(site, &native.dynamic)?;
    let mut packages = Vec::new();
    for &arch in archs {
        let built = if arch == Arch::Amd64 { native.clone() } else { binaries::build(site, arch)? };
        packages.push(deb::make(site, arch)?);
        packages.push(rpm::make(site, arch)?);
        packages.push(tarball::make(site, arch, &built.r#static)?);
    }
    packages.push(image::make(site, archs)?);
    packages.push(
        site.copy_out(&site.inside().join("share/doc/tracer").join(inside::SBOM), &site.named("cdx.json"))?,
    );
    let sums = packages.iter().map(|package| sum(package)).collect::<Result<String>>()?;
    let file = site.out().join("SHA256SUMS");
    fs::write(&file, sums)?;
    packages.push(file);
    Ok(packages)
}

/// A line as sha256sum writes it.
fn sum(file: &Path) -> Result<String> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    Ok(format!("{:x}  {name}\n", Sha256::digest(fs::read(file)?)))
}
