//! The files that are left where those of other processes are not needed: for recordings that are read, and for what is
//! made of them.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, CompatLevel, Compatible as _, PathBeneath, PathFd, Ruleset, RulesetAttr as _,
    RulesetCreated, RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope,
};

/// The newest version of Landlock whose limits are known here. Older kernels take what they have.
const KNOWN: ABI = ABI::V6;

/// What names and times need: users, services, time zones, the system's libraries for these.
const OF_THE_SYSTEM: [&str; 6] = ["/etc", "/usr", "/lib", "/lib64", "/proc/self", "/var/lib/sss"];

/// Devices that have no content of others.
const DEVICES: [&str; 2] = ["/dev/null", "/dev/tty"];

/// Leaves this thread, and those that it starts, these files: folders to read from, and folders to write to. Returns
/// whether the kernel limits anything.
///
/// # Errors
/// The kernel refuses what it says that it knows.
pub fn keep(read: &[PathBuf], write: &[PathBuf]) -> Result<bool, RulesetError> {
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(KNOWN))?
        .scope(Scope::from_all(KNOWN))?
        .create()?;
    for path in OF_THE_SYSTEM {
        rules = allow(rules, Path::new(path), false)?;
    }
    for path in DEVICES {
        rules = allow(rules, Path::new(path), true)?;
    }
    for path in read {
        rules = allow(rules, path, false)?;
    }
    for path in write {
        rules = allow(rules, path, true)?;
    }
    Ok(rules.restrict_self()?.ruleset != RulesetStatus::NotEnforced)
}

/// What is not there needs no rule.
fn allow(rules: RulesetCreated, path: &Path, writes: bool) -> Result<RulesetCreated, RulesetError> {
    let Ok(file) = PathFd::new(path) else { return Ok(rules) };
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let access = if writes { AccessFs::from_all(KNOWN) & !AccessFs::Execute } else { read };
    rules.add_rule(PathBeneath::new(file, access))
}

/// The folder that a file is in, where parts of it and what becomes it are, too; a folder itself.
#[must_use]
pub fn folder_of(path: &Path) -> PathBuf {
    if path.is_dir() {
        return path.to_owned();
    }
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, io::ErrorKind, slice, thread};

    use super::*;

    /// In a thread of its own, because it is for good.
    #[test]
    fn what_is_not_left_is_refused() {
        let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
        let [read, written, other] = folders.each_ref().map(|folder| folder.path().to_owned());
        for folder in [&read, &written, &other] {
            fs::write(folder.join("file"), "x").unwrap();
        }
        let in_thread = move || {
            if !keep(slice::from_ref(&read), slice::from_ref(&written)).unwrap() {
                return;
            }
            let refused = |result: std::io::Result<()>| {
                assert_eq!(result.unwrap_err().kind(), ErrorKind::PermissionDenied);
            };
            let file = |folder: &Path| fs::read(folder.join("file")).map(drop);
            file(&read).unwrap();
            file(&written).unwrap();
            refused(file(&other));
            refused(fs::write(read.join("new"), "x"));
            fs::write(written.join("new"), "x").unwrap();
            fs::rename(written.join("new"), written.join("file")).unwrap();
            refused(fs::write(other.join("new"), "x"));
            refused(fs::read_dir("/proc/1").map(drop));
            fs::read("/proc/self/status").unwrap();
        };
        thread::spawn(in_thread).join().unwrap();
    }
}
