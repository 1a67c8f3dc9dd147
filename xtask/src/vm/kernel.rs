//! Kernels to boot: Debian's by version, or any other by path.

use std::{
    cmp::Reverse,
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, anyhow, bail};

use crate::{
    command::run,
    vm::{apt::Apt, arch::Arch, say},
};

/// A kernel to boot.
#[derive(Clone, Debug)]
pub(crate) struct Kernel {
    /// Debian's release, or the file's name.
    pub(crate) name: String,
    pub(crate) arch: Arch,
    pub(crate) image: PathBuf,
    /// The folder that contains `lib/modules`, and the release in there.
    pub(crate) modules: Option<(PathBuf, String)>,
}

/// The versions that run by default.
pub(crate) const DEFAULT: [&str; 4] = ["5.10", "6.1", "6.12", NEWEST];

/// Those of them that boot on both architectures with a clock that counts instructions.
pub(crate) const WITH_COUNTING_CLOCK: [&str; 2] = ["6.12", NEWEST];

/// Stands for the newest version in Debian.
pub(crate) const NEWEST: &str = "newest";

/// Debian's newest kernel of this version. Downloads it if need be.
pub(crate) fn debian(apt: &Apt, folder: &Path, version: &str, arch: Arch) -> Result<Kernel> {
    fs::create_dir_all(folder)?;
    let chosen = folder.join(format!("{version}-{}", arch.name()));
    // The choice holds until the lists are fetched again.
    let is_valid = fs::metadata(&chosen).and_then(|file| file.modified()).ok() > apt.fetched();
    if let Some(release) = fs::read_to_string(&chosen).ok().filter(|_| is_valid)
        && let Ok(kernel) = unpacked(folder, &release, arch)
    {
        return Ok(kernel);
    }
    let mut trouble = anyhow!("Debian's suites have no linux-image-{version}.*-cloud-{}", arch.name());
    for release in releases(apt, version, arch)? {
        match fetch(apt, folder, &release, arch).and_then(|()| unpacked(folder, &release, arch)) {
            Ok(kernel) => {
                fs::write(chosen, release)?;
                return Ok(kernel);
            }
            // An older release of the same version will do: lists name packages that servers no longer have.
            Err(error) => {
                let why = error.root_cause().to_string();
                say(&format!("{release} is not available: {}", why.lines().next().unwrap_or_default()));
                trouble = error;
            }
        }
    }
    Err(trouble.context(format!("no Linux {version} for {}", arch.name())))
}

fn fetch(apt: &Apt, folder: &Path, release: &str, arch: Arch) -> Result<()> {
    let folder = folder.join(release);
    if folder.exists() {
        return Ok(());
    }
    say(&format!("downloading Linux {release}"));
    // Since 7.2 a kernel comes in several packages.
    let parts = apt.search(&format!("^linux-(image|binary|modules|base)-{}$", regex_of(release)))?;
    let parts: Vec<_> = parts.into_iter().map(|part| format!("{part}:{}", arch.name())).collect();
    apt.unpack(&parts, &folder)
}

fn unpacked(folder: &Path, release: &str, arch: Arch) -> Result<Kernel> {
    let folder = folder.join(release);
    let places = [format!("boot/vmlinuz-{release}"), format!("usr/lib/modules/{release}/vmlinuz")];
    let image = places.iter().map(|place| folder.join(place)).find(|place| place.exists());
    let image = image.with_context(|| format!("no image in Debian's package of Linux {release}"))?;
    let (lib, usr) = (folder.join("lib"), folder.join("usr/lib"));
    if !lib.exists() && usr.exists() {
        std::os::unix::fs::symlink("usr/lib", &lib)?;
    }
    let modules = modules(&folder, &image)?;
    if modules.is_none() {
        bail!("Debian's suites have no modules for Linux {release} any more");
    }
    Ok(Kernel { name: release.to_owned(), arch, image, modules })
}

/// Releases of this version, newest first.
fn releases(apt: &Apt, version: &str, arch: Arch) -> Result<Vec<String>> {
    let found = apt.search(&format!("^linux-image-[0-9].*-cloud-{}$", arch.name()))?;
    let prefix = numbers(version);
    let mut releases: Vec<_> =
        found.iter().filter_map(|name| name.strip_prefix("linux-image-").map(str::to_owned)).collect();
    // Names with fewer than three numbers are metapackages.
    releases.retain(|it| numbers(it).len() > 2 && (version == NEWEST || numbers(it).starts_with(&prefix)));
    releases.sort_by_key(|release| Reverse(numbers(release)));
    // For `newest`, an older release of the newest version will do, but not an older version.
    let newest = releases.first().map(|release| self::version(release)).unwrap_or_default();
    releases.retain(|release| version != NEWEST || self::version(release) == newest);
    Ok(releases)
}

/// Whether this is a version's number, or the word for the newest one.
pub(crate) fn is_version(name: &str) -> bool {
    name == NEWEST || name.split('.').all(|number| number.parse::<u32>().is_ok())
}

/// The numbers in a release, without those in the architecture's name.
fn numbers(version: &str) -> Vec<u32> {
    let version = version.split("-cloud-").next().unwrap_or_default();
    version.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect()
}

/// Major and minor version of a release: `[6, 1]`.
pub(crate) fn version(name: &str) -> Vec<u32> {
    let first = name.find(|c: char| c.is_ascii_digit()).unwrap_or_default();
    numbers(&name[first..]).into_iter().take(2).collect()
}

fn regex_of(text: &str) -> String {
    text.replace('.', "[.]").replace('+', "[+]")
}

/// A kernel by path. Its modules are looked for in `lib/modules` beside it or one folder above, as in a
/// package.
pub(crate) fn of_path(image: &Path, arch: Option<Arch>) -> Result<Kernel> {
    let image = image.canonicalize().with_context(|| format!("no kernel {}", image.display()))?;
    let name = image.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let arch = match arch {
        Some(arch) => arch,
        None => arch_of(&image)?,
    };
    let mut modules = None;
    for folder in image.ancestors().skip(1).take(2) {
        modules = modules.or(self::modules(folder, &image)?);
    }
    Ok(Kernel { name, arch, image, modules })
}

/// How images are recognised: offset, bytes and architecture. They are the boot protocols of x86 and arm64,
/// and a compressed arm64 image, plain or to be started by firmware.
const MARKS: [(usize, &[u8], Arch); 4] = [
    (0x202, b"HdrS", Arch::Amd64),
    (0x38, b"ARM\x64", Arch::Arm64),
    (0, b"\x1f\x8b", Arch::Arm64),
    (4, b"zimg", Arch::Arm64),
];

fn arch_of(image: &Path) -> Result<Arch> {
    let mut head = Vec::new();
    fs::File::open(image)?.take(0x400).read_to_end(&mut head)?;
    let found =
        MARKS.into_iter().find(|(at, mark, _)| head.get(*at..).is_some_and(|it| it.starts_with(mark)));
    let (_, _, arch) = found.with_context(|| {
        format!(
            "{} does not look like a kernel image for x86-64 or arm64; if it is one, name the architecture with --arch",
            image.display()
        )
    })?;
    Ok(arch)
}

/// The modules below a folder or its `usr`, prepared for `modprobe`.
fn modules(folder: &Path, image: &Path) -> Result<Option<(PathBuf, String)>> {
    let folders = [folder.to_owned(), folder.join("usr")];
    let Some(folder) = folders.into_iter().find(|folder| folder.join("lib/modules").exists()) else {
        return Ok(None);
    };
    let all = folder.join("lib/modules");
    let releases = fs::read_dir(&all)?.flatten();
    let names = releases.map(|release| release.file_name().to_string_lossy().into_owned());
    // If there are several releases, only the image's own modules load.
    let names: Vec<_> = names.collect();
    let own = names.iter().find(|name| image.to_string_lossy().ends_with(*name));
    let Some(release) = own.or(names.first().filter(|_| names.len() == 1)).cloned() else {
        return Ok(None);
    };
    // depmod writes this file last.
    if !all.join(&release).join("modules.devname").exists() {
        run(Command::new("depmod").arg("-b").arg(&folder).arg(&release))?;
    }
    Ok(Some((folder, release)))
}

impl Kernel {
    /// The files of these modules and of those that they need, in the order in which they load. Leaves out modules
    /// that this kernel does not have.
    pub(crate) fn files_of(&self, names: &[&str]) -> Result<Vec<PathBuf>> {
        let Some((folder, release)) = &self.modules else {
            return Ok(Vec::new());
        };
        let mut modprobe = Command::new("modprobe");
        modprobe.arg("-d").arg(folder).args(["-S", release, "-a", "-q", "--show-depends"]).args(names);
        // It fails when one is missing.
        let output = modprobe.output().context("cannot start modprobe")?;
        let mut files = Vec::new();
        for line in String::from_utf8(output.stdout)?.lines() {
            // The other lines are `builtin NAME`, and need no file.
            let Some(file) = line.strip_prefix("insmod ") else { continue };
            let file = PathBuf::from(file.trim());
            if !files.contains(&file) {
                files.push(file);
            }
        }
        Ok(files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_numbers() {
        assert!(["newest", "6", "6.1", "6.12.117"].into_iter().all(is_version));
        assert!(["", "..", ".*", "6.12;rm", "bzImage", "amd64"].into_iter().all(|name| !is_version(name)));
    }

    #[test]
    fn newer_is_more() {
        let releases = [
            "6.1.0-56-cloud-amd64",
            "6.12.117+deb13-cloud-arm64",
            "6.12.95+deb12-cloud-amd64",
            "6.1.0-9-cloud-amd64",
        ];
        assert!(numbers(releases[0]) > numbers(releases[3]));
        assert!(numbers(releases[1]) > numbers(releases[2]));
        assert!(numbers(releases[2]) > numbers(releases[0]));
        assert_eq!(numbers(releases[1]), [6, 12, 117, 13]);
        assert!(!numbers(releases[1]).starts_with(&numbers("6.1")));
    }
}
