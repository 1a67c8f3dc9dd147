//! Builds the initramfs of a guest: our programs, some of Debian's, and kernel modules.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};
use walkdir::WalkDir;

use crate::vm::{
    Store,
    apt::Apt,
    arch::Arch,
    beside,
    build::{self, PROGRAMS, TRACER},
    kernel::Kernel,
    say,
};

/// Packages of the programs that scenarios call.
const PACKAGES: [&str; 2] = ["iproute2", "kmod"];
/// The programs that are taken from them; the rest of the packages is not needed.
const TOOLS: [&str; 4] = ["ip", "tc", "ss", "kmod"];

/// The same, to install a package and to remove it.
const PACKAGER: [&str; 4] = ["dpkg", "tar", "dash", "coreutils"];
const PACKAGER_TOOLS: [&str; 7] = ["dpkg", "dpkg-deb", "dpkg-query", "dpkg-split", "tar", "dash", "rm"];
/// Where the package is.
const PACKAGE: &str = "tracer.deb";

/// Modules that scenarios need, where they are not built in. Not every kernel has all of them.
const MODULES: [&str; 13] = [
    "veth",
    "vrf",
    "sch_netem",
    "tcp_diag",
    "udp_diag",
    "unix_diag",
    "virtio_pci",
    "virtio_blk",
    "ext4",
    // TLS in the kernel with AES-GCM.
    "tls",
    "crypto-gcm",
    "crypto-ghash",
    "crypto-ctr",
];
const LIST: &str = "modules";

/// The folder with the Debian programs that scenarios call. Downloads them if need be.
pub(crate) fn userland(Store { folder, apt }: &Store, arch: Arch) -> Result<PathBuf> {
    let userland = folder.join("userland").join(arch.name());
    download(apt, &PACKAGES, arch, userland)
}

fn download(apt: &Apt, packages: &[&str], arch: Arch, into: PathBuf) -> Result<PathBuf> {
    if !into.exists() {
        say(&format!("downloading {} for {}", packages.join(" and "), arch.name()));
        apt.unpack_userland(packages, arch, &into).context("downloading a guest's programs")?;
    }
    Ok(into)
}

/// Builds the archive of everything that does not depend on the kernel. `package`: the package that tracer is to be
/// installed from.
pub(crate) fn base(store: &Store, arch: Arch, package: Option<&Path>) -> Result<PathBuf> {
    let tree = Tree::new(store.folder.join("images/all").join(arch.name()))?;
    for (name, inside) in PROGRAMS.iter().filter(|(name, _)| package.is_none() || *name != TRACER) {
        tree.add(&build::built(&store.folder, arch).join(name), inside)?;
    }
    tree.add_programs(&userland(store, arch)?, &TOOLS, arch)?;
    tree.link("kmod", "bin/insmod")?;
    if let Some(package) = package {
        let packager = store.folder.join("packager").join(arch.name());
        tree.add_programs(&download(&store.apt, &PACKAGER, arch, packager)?, &PACKAGER_TOOLS, arch)?;
        tree.link("dash", "bin/sh")?;
        tree.add(package, PACKAGE)?;
    }
    tree.link("lib", "lib64")?;
    tree.archive()
}

/// Builds the archive for a kernel: the base, followed by the kernel's modules.
pub(crate) fn image(store: &Store, base: &Path, kernel: &Kernel) -> Result<PathBuf> {
    let tree = Tree::new(store.folder.join("images").join(&kernel.name))?;
    let mut list = String::new();
    for file in kernel.files_of(&MODULES)? {
        let inside = format!("lib/modules/{}", file.file_name().unwrap_or_default().to_string_lossy());
        tree.add(&file, &inside)?;
        list.extend(["/", &inside, "\n"]);
    }
    fs::write(tree.0.join(LIST), list)?;
    let modules = tree.archive()?;
    // The kernel unpacks several archives in a row.
    let whole = beside(&modules, ".initrd");
    fs::copy(base, &whole)?;
    fs::OpenOptions::new().append(true).open(&whole)?.write_all(&fs::read(modules)?)?;
    Ok(whole)
}

/// A folder that becomes an archive.
struct Tree(PathBuf);

impl Tree {
    fn new(folder: PathBuf) -> Result<Self> {
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }

    fn add(&self, file: &Path, inside: &str) -> Result<()> {
        let inside = self.0.join(inside);
        fs::create_dir_all(inside.parent().unwrap_or(&self.0))?;
        // Copies the file that a link points to.
        fs::copy(file, &inside).with_context(|| format!("putting {} into a guest", file.display()))?;
        Ok(fs::set_permissions(inside, fs::Permissions::from_mode(0o755))?)
    }

    /// Adds programs of an unpacked system, and all of its libraries.
    fn add_programs(&self, system: &Path, programs: &[&str], arch: Arch) -> Result<()> {
        for entry in WalkDir::new(system) {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy();
            let is_program = programs.contains(&&*name)
                && entry.path().parent().is_some_and(|it| it.ends_with("bin") || it.ends_with("sbin"));
            let is_library = name.contains(".so")
                && entry.path().parent().is_some_and(|it| it.ends_with(arch.libraries()));
            // Programs contain the loader's path: in `lib`, or in `lib64`, which is a link to it.
            let is_loader = name.starts_with("ld-linux");
            if is_program {
                self.add(entry.path(), &format!("bin/{name}"))?;
            } else if is_library || is_loader {
                self.add(entry.path(), &format!("lib/{name}"))?;
            }
        }
        Ok(())
    }

    fn link(&self, to: &str, inside: &str) -> Result<()> {
        Ok(std::os::unix::fs::symlink(to, self.0.join(inside))?)
    }

    /// Packs the folder in the format that the kernel reads.
    fn archive(self) -> Result<PathBuf> {
        let archive = beside(&self.0, ".cpio");
        let mut cpio = Command::new("cpio")
            .current_dir(&self.0)
            .args(["--quiet", "--create", "--format=newc", "--owner=0:0", "--null"])
            .stdin(Stdio::piped())
            .stdout(fs::File::create(&archive)?)
            .spawn()
            .context("cannot start cpio")?;
        let mut names = cpio.stdin.take().context("cpio takes no names")?;
        for entry in WalkDir::new(&self.0).min_depth(1) {
            let entry = entry?;
            names.write_all(entry.path().strip_prefix(&self.0)?.as_os_str().as_encoded_bytes())?;
            names.write_all(&[0])?;
        }
        drop(names);
        let status = cpio.wait()?;
        if !status.success() {
            bail!("cpio failed: {status}");
        }
        Ok(archive)
    }
}
