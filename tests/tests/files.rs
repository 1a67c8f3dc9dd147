//! Files that tracer writes: nothing that others have put there is followed, waited for or lost.

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _, chown, lchown, symlink},
        net::UnixListener,
    },
    path::Path,
    process::Command,
};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::Value;
use tempfile::{TempDir, tempdir};
use tests::{
    program::{Ended, Program},
    tracer,
};

/// A user that no file belongs to.
const NOBODY: u32 = 65534;

fn writing_to(path: &Path, options: &str) -> Command {
    let mut command = tracer::command(&format!("--netns 1 {options} --receipt"));
    command.arg(path);
    command
}

fn written_to(path: &Path) -> Ended {
    Program::collect(&mut writing_to(path, "--duration 50ms")).wait()
}

fn names(folder: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(folder.path()).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn is_receipt(path: &Path) -> bool {
    serde_json::from_slice::<Value>(&fs::read(path).unwrap()).is_ok_and(|receipt| receipt["seen"].is_u64())
}

#[test]
fn what_is_no_file_is_refused_before_the_start() {
    let folder = tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("precious"), "precious").unwrap();
    symlink("precious", path("link")).unwrap();
    symlink("nothing", path("dangling")).unwrap();
    mknodat(CWD, path("pipe"), FileType::Fifo, Mode::from_raw_mode(0o666), 0).unwrap();
    let _listener = UnixListener::bind(path("socket")).unwrap();
    let before = names(&folder);
    for (place, what) in [
        (path("link"), "a symbolic link: give the path that it leads to"),
        (path("dangling"), "a symbolic link"),
        (path("pipe"), "a pipe: give a file, or open the pipe"),
        (path("socket"), "a device or a socket"),
        ("/dev/null".into(), "a device or a socket"),
        (folder.path().to_owned(), "a folder: add the name of a file"),
        (path("new/"), "a folder: add the name of a file"),
        (path("new/."), "a folder: add the name of a file"),
        (path("precious/new"), "Not a directory"),
        (path(".."), "a folder: add the name of a file"),
        (path("no/such"), "No such file or directory"),
    ] {
        let ended = written_to(&place);
        assert_eq!(ended.code(), 2, "{}: {}", place.display(), ended.err);
        let says = format!("cannot write the receipt to {}", place.display());
        assert!(ended.err.contains(&says) && ended.err.contains(what), "{}", ended.err);
        assert!(!ended.err.contains("tracer: ready"), "{}", ended.err);
    }
    assert_eq!(names(&folder), before);
    assert_eq!(fs::read_to_string(path("precious")).unwrap(), "precious");
}

/// On the way to a file, links are followed only if root or this user has made them.
#[test]
fn links_of_others_on_the_way_are_refused() {
    let folder = tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir(path("real")).unwrap();
    for (link, target) in
        [("theirs", "real"), ("through", "theirs/../real"), ("own", "real"), ("again", "./own/.")]
    {
        symlink(target, path(link)).unwrap();
    }
    symlink(path("again"), path("absolute")).unwrap();
    lchown(path("theirs"), Some(NOBODY), None).unwrap();
    for place in ["theirs/receipt", "through/receipt", "real/../theirs/receipt"] {
        let ended = written_to(&path(place));
        assert_eq!(ended.code(), 2, "{place}: {}", ended.err);
        let says = format!(
            "cannot write the receipt to {}: on the way there theirs is a symbolic link of another user (uid 65534)",
            path(place).display()
        );
        assert!(ended.err.contains(&says) && ended.err.contains("give the path"), "{}", ended.err);
    }
    assert_eq!(fs::read_dir(path("real")).unwrap().count(), 0);
    for place in ["own/1", "again/2", "absolute/3", "again/../real/4"] {
        let ended = written_to(&path(place));
        assert_eq!(ended.code(), 0, "{place}: {}", ended.err);
    }
    // What these lead to is not what they say.
    for place in ["/proc/self/cwd/5", "/proc/thread-self/root/proc/self/cwd/6", "again/7", "8"] {
        let mut command = writing_to(Path::new(place), "--duration 50ms");
        let cwd = if place.starts_with("again") { folder.path().to_owned() } else { path("real") };
        let ended = Program::collect(command.current_dir(cwd)).wait();
        assert_eq!(ended.code(), 0, "{place}: {}", ended.err);
    }
    assert!((1..=8).all(|number| is_receipt(&path(&format!("real/{number}")))));
    assert_eq!(fs::read_dir(path("real")).unwrap().count(), 8);
}

/// The kernel follows 40 links, and so does tracer.
#[test]
fn a_loop_of_links_has_an_end() {
    let folder = tempdir().unwrap();
    let path = |name: String| folder.path().join(name);
    fs::create_dir(path("0".into())).unwrap();
    for number in 1..=41 {
        symlink((number - 1).to_string(), path(number.to_string())).unwrap();
    }
    symlink("loop", path("loop".into())).unwrap();
    for (place, code) in [("40/receipt", 0), ("41/receipt", 2), ("loop/receipt", 2)] {
        let ended = written_to(&path(place.into()));
        assert_eq!(ended.code(), code, "{place}: {}", ended.err);
        assert_eq!(ended.err.contains("Too many levels of symbolic links"), code == 2, "{}", ended.err);
    }
}

/// Somebody swaps a folder on the way for a link while tracer runs.
#[test]
fn the_folder_that_was_checked_is_the_one() {
    let folder = tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for name in ["way", "way/folder", "evil", "evil/folder"] {
        fs::create_dir(path(name)).unwrap();
    }
    let tracer = tracer::started(Program::collect(&mut writing_to(&path("way/folder/receipt"), "")));
    fs::rename(path("way"), path("moved")).unwrap();
    symlink("evil", path("way")).unwrap();
    assert_eq!(tracer.interrupt().code(), 0);
    assert!(is_receipt(&path("moved/folder/receipt")));
    assert_eq!(fs::read_dir(path("evil/folder")).unwrap().count(), 0);
}

/// Somebody swaps the file for a link while tracer runs.
#[test]
fn what_is_put_there_meanwhile_is_replaced() {
    let folder = tempdir().unwrap();
    let (path, precious) = (folder.path().join("receipt"), folder.path().join("precious"));
    fs::write(&precious, "precious").unwrap();
    let tracer = tracer::started(Program::collect(&mut writing_to(&path, "")));
    assert!(!path.exists(), "not before it is whole");
    symlink("precious", &path).unwrap();
    assert_eq!(tracer.interrupt().code(), 0);
    assert_eq!(fs::read_to_string(&precious).unwrap(), "precious");
    assert!(path.symlink_metadata().unwrap().is_file() && is_receipt(&path));
    assert_eq!(names(&folder), ["precious", "receipt"]);
}

#[test]
fn a_file_stays_as_it_is_if_nothing_can_be_loaded() {
    let folder = tempdir().unwrap();
    let (old, new) = (folder.path().join("old"), folder.path().join("new"));
    fs::write(&old, "old").unwrap();
    for path in [&old, &new] {
        let ended = Program::collect(&mut writing_to(path, "--btf /no/such")).wait();
        assert_eq!(ended.code(), 1, "{}", ended.err);
    }
    assert_eq!((names(&folder), fs::read_to_string(&old).unwrap()), (vec!["old".to_owned()], "old".into()));
}

#[test]
fn a_file_stays_as_it_is_if_the_new_one_cannot_be_written() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("receipt");
    fs::write(&path, "old").unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -f 0; exec \"$0\" --netns 1 --duration 50ms --receipt \"$1\""]);
    let ended = Program::collect(command.arg(tracer::binary()).arg(&path)).wait();
    assert_eq!(ended.code(), 1, "{}", ended.err);
    let says = format!("writing the receipt to {}: File too large", path.display());
    assert!(ended.err.contains(&says) && ended.err.contains("ulimit -f"), "{}", ended.err);
    assert_eq!(
        (names(&folder), fs::read_to_string(&path).unwrap()),
        (vec!["receipt".to_owned()], "old".into())
    );
}

/// At the end tracer has no capabilities, but it can write where it could at the start. A file of its own keeps
/// its permissions; another user has no say in them.
#[test]
fn the_folder_may_be_of_another_user() {
    let folder = tempdir().unwrap();
    let (own, other) = (folder.path().join("own"), folder.path().join("other"));
    for (path, mode) in [(&own, 0o640), (&other, 0o666)] {
        fs::write(path, "old").unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    for path in [folder.path(), &other] {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    for (path, mode) in [(own, 0o640), (other, 0o644), (folder.path().join("new"), 0o644)] {
        let mut command = Command::new("sh");
        command.args(["-c", "umask 022; exec \"$0\" --netns 1 --duration 50ms --receipt \"$1\""]);
        let ended = Program::collect(command.arg(tracer::binary()).arg(&path)).wait();
        assert_eq!(ended.code(), 0, "{}", ended.err);
        let found = path.metadata().unwrap();
        assert_eq!((found.mode() & 0o777, found.uid()), (mode, 0), "{}", path.display());
        assert!(is_receipt(&path));
    }
    assert_eq!(names(&folder), ["new", "other", "own"]);
}

/// A descriptor is the user's own, whatever it leads to.
#[test]
fn a_descriptor_may_be_given() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("all");
    let mut command = Command::new("sh");
    command.args([
        "-c",
        "exec \"$0\" --netns 1 --duration 50ms -o csv --columns comm --receipt /dev/stdout >\"$1\"",
    ]);
    let ended = Program::collect(command.arg(tracer::binary()).arg(&path)).wait();
    assert_eq!(ended.code(), 0, "{}", ended.err);
    assert!(fs::read_to_string(&path).unwrap().starts_with("comm\n{\n"));
    let mut command = Command::new("sh");
    command.args(["-c", "\"$0\" --netns 1 --duration 50ms --receipt /dev/fd/3 3>&1 >/dev/null | cat"]);
    let ended = Program::collect(command.arg(tracer::binary())).wait();
    assert!(serde_json::from_str::<Value>(&ended.out).is_ok(), "{} {}", ended.out, ended.err);
    let ended = written_to(Path::new("/dev/fd/77"));
    assert_eq!(ended.code(), 2, "{}", ended.err);
}

/// A file that is mounted by itself, as into a container, cannot be replaced. That is said before the start.
#[test]
fn a_mounted_file_is_refused_before_the_start() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("receipt");
    fs::write(&path, "before").unwrap();
    let script = "mount --bind \"$1\" \"$1\" && exec \"$0\" --netns 1 --duration 50ms --receipt \"$1\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script]).arg(tracer::binary()).arg(&path);
    let ended = Program::collect(&mut command).wait();
    assert_eq!(ended.code(), 2, "{}", ended.err);
    assert!(ended.err.contains("mounted there") && ended.err.contains("mount its folder"), "{}", ended.err);
    assert_eq!(
        (fs::read_to_string(&path).unwrap(), names(&folder)),
        ("before".to_owned(), vec!["receipt".to_owned()])
    );
}

/// A descriptor whose reader is slow gets the whole receipt.
#[test]
fn a_slow_reader_of_a_descriptor_is_waited_for() {
    let (mut reader, mut writer) = std::io::pipe().unwrap();
    rustix::pipe::fcntl_setpipe_size(&writer, 4096).unwrap();
    writer.write_all(&[b' '; 4000]).unwrap();
    let script = "exec \"$0\" --netns 1 --duration 50ms --receipt /dev/fd/3 3>&1 >/dev/null";
    let mut command = Command::new("sh");
    command.args(["-c", script]).arg(tracer::binary()).stdout(writer);
    let mut tracer = Program::start(&mut command);
    drop(command);
    tracer.wait_for_err("the receipt", |err| err.contains("tracer: seen"));
    let mut receipt = String::new();
    reader.read_to_string(&mut receipt).unwrap();
    let ended = tracer.wait();
    assert_eq!(ended.code(), 0, "{}", ended.err);
    assert!(
        serde_json::from_str::<Value>(&receipt).is_ok_and(|receipt| receipt["seen"].is_u64()),
        "{receipt}"
    );
}
