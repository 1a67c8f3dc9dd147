//! Files in hostile places.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::Duration,
};

use crate::attack::{
    binary,
    case::{Case, Verdict},
    run::Run,
    sandbox::Step,
    sink::Sink,
};

/// Receipts and other files in hostile places.
pub fn cases(_: u64) -> Vec<Case> {
    let receipts = RECEIPTS.map(|(name, attack)| Case::new(format!("receipt: {name}"), attack));
    receipts.into_iter().chain(INPUTS.map(|(name, attack)| Case::new(name, attack))).collect()
}

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A new folder that every user may write to, as `/tmp`, but without the sticky bit.
fn folder() -> PathBuf {
    let folder = binary::folder().join(format!("files-{}", COUNT.fetch_add(1, Ordering::Relaxed)));
    fs::create_dir_all(&folder).unwrap();
    folder
}

type Attack = (&'static str, fn() -> Verdict);

const RECEIPTS: [Attack; 13] = [
    ("its folder vanishes", || {
        let folder = folder();
        let path = folder.join("receipt");
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(400));
                fs::remove_dir_all(&folder)
            });
            Run::of("log --duration 1s --receipt").words([&path]).may_end_with(&[0, 1]).verdict()
        })
    }),
    ("another file behind a link stays", || {
        let folder = folder();
        let (victim, link) = (folder.join("victim"), folder.join("link"));
        fs::write(&victim, "precious").unwrap();
        symlink(&victim, &link).unwrap();
        std::os::unix::fs::lchown(&link, Some(40_000), Some(40_000)).unwrap();
        receipt(&link, &[0, 1, 2]).verdict()?;
        holds(&victim, "precious")
    }),
    ("a FIFO", || {
        let path = folder().join("fifo");
        fifo(&path);
        receipt(&path, &[1, 2]).verdict()
    }),
    ("a folder", || receipt(&folder(), &[1, 2]).verdict()),
    ("a full device", || receipt(Path::new("/dev/full"), &[0, 1, 2]).verdict()),
    ("a file in no folder", || receipt(&folder().join("no/such"), &[1, 2]).verdict()),
    ("no name", || receipt(Path::new(""), &[1, 2]).verdict()),
    ("a very long name", || receipt(&folder().join("x".repeat(5000)), &[1, 2]).verdict()),
    ("a file as a folder", || receipt(Path::new("/etc/passwd/x"), &[1, 2]).verdict()),
    ("standard output", || receipt(Path::new("/dev/stdout"), &[0, 1, 2]).out(Sink::Null).verdict()),
    ("a read-only file system", || {
        let path = folder();
        let mount = Step::mount("tmpfs", &path, "tmpfs", libc::MS_RDONLY, "");
        receipt(&path.join("receipt"), &[1, 2]).after(Step::own_mounts()).after([mount]).verdict()
    }),
    ("no space", || {
        let path = folder();
        let mount = Step::mount("tmpfs", &path, "tmpfs", 0, "nr_inodes=1");
        receipt(&path.join("receipt"), &[1, 2]).after(Step::own_mounts()).after([mount]).verdict()
    }),
    ("the old one stays if it fails", || {
        let path = folder().join("receipt");
        fs::write(&path, "old").unwrap();
        let run = Run::of("--btf /no/such --receipt").words([&path]).may_end_with(&[1]);
        run.verdict()?;
        holds(&path, "old")
    }),
];

const INPUTS: [Attack; 9] = [
    ("TZ is a FIFO", || {
        let path = folder().join("fifo");
        fifo(&path);
        Run::of("log --duration 300ms").variable("TZ", &path).verdict()
    }),
    ("TZ is a device", || Run::of("log --duration 300ms").variable("TZ", "/dev/zero").verdict()),
    ("types are a FIFO", || {
        let path = folder().join("fifo");
        fifo(&path);
        Run::of("log --duration 300ms --btf").words([path]).may_end_with(&[1]).verdict()
    }),
    ("types never end", || Run::of("log --duration 300ms --btf /dev/zero").may_end_with(&[1]).verdict()),
    ("types are a folder", || Run::of("log --duration 300ms --btf /").may_end_with(&[1]).verdict()),
    ("check of types that never end", || Run::of("check --btf /dev/zero").may_end_with(&[1]).verdict()),
    ("a namespace is a FIFO", || {
        let path = folder().join("fifo");
        fifo(&path);
        Run::of("log --duration 300ms --netns").words([path]).may_end_with(&[2]).verdict()
    }),
    ("/run/netns holds a FIFO and more", || {
        let path = folder();
        fifo(&path.join("fifo"));
        symlink("loop", path.join("loop")).unwrap();
        symlink("/dev/zero", path.join("zero")).unwrap();
        fs::create_dir(path.join("folder")).unwrap();
        let bind = Step::bind(&path.to_string_lossy(), "/run/netns");
        Run::of("log --duration 300ms").after(Step::own_mounts()).after([bind]).verdict()
    }),
    ("the place where it works is deleted", || {
        let path = folder();
        let script = format!("cd {0} && rmdir {0} && exec $0 $@", path.display());
        let binary = binary::path();
        let words = ["-c", &script, binary.to_str().unwrap(), "--duration", "300ms", "--receipt", "here"];
        Run::with(words).program("/bin/sh").may_end_with(&[1, 2]).verdict()
    }),
];

fn receipt(path: &Path, statuses: &[i32]) -> Run {
    Run::of("log --netns 1 --duration 300ms --receipt").words([path]).may_end_with(statuses)
}

fn fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

fn holds(path: &Path, text: &str) -> Verdict {
    let found = fs::read_to_string(path).map_err(|error| error.to_string())?;
    let begins: String = found.chars().take(40).collect();
    if found == text { Ok(()) } else { Err(format!("{} was changed: {begins:?}", path.display())) }
}
