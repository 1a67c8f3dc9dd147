//! Hostile names in every view and format: of processes, cgroups, files, and in arguments.

use std::{
    collections::HashSet,
    ffi::{OsStr, OsString},
    fs,
    os::unix::{ffi::OsStrExt as _, fs::symlink, process::CommandExt as _},
    path::PathBuf,
    process::Command,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    thread,
    time::Duration,
};

use serde_json::Value;

use crate::{
    attack::{
        binary,
        case::{Case, Verdict},
        cgroup::Cgroup,
        ended::Ended,
        hostile::{BEFORE, NAMES},
        run::Run,
        sink::Sink,
    },
    patience::Stops,
    place::Place,
    traffic::{actor, listen},
};

const VIEWS: [&str; 10] = [
    "log",
    "log -o json",
    "log -o csv",
    "log --raw",
    "log --raw -o json",
    "log --raw -o csv",
    "life -o json",
    "life -o csv",
    "summary --color never",
    "summary -o json",
];

/// Variables that tracer or its libraries read.
const VARIABLES: [&str; 7] = ["TZ", "LC_ALL", "LANG", "TERM", "NO_COLOR", "COLUMNS", "RUST_LOG"];

/// Every name in every place.
pub fn cases(_: u64) -> Vec<Case> {
    let mut cases = Vec::new();
    for (word, name) in NAMES {
        let mut add = |what: &str, attack: Box<dyn Fn() -> Verdict + Send + Sync>| {
            cases.push(Case { name: format!("{word}: {what}"), attack });
        };
        for view in VIEWS {
            add(&format!("process: {view}"), Box::new(move || called(name, false, Run::of(view))));
            if view.starts_with("summary") {
                add(&format!("cgroup: {view}"), Box::new(move || called(name, true, Run::of(view))));
            }
        }
        let screen = || Run::of("top").out(Sink::Terminal);
        add("process: top", Box::new(move || called(name, true, screen())));
        // Those two are below.
        for before in BEFORE.into_iter().filter(|before| !["", "--receipt"].contains(before)) {
            let run = move || Run::of(before).words([OsStr::from_bytes(name)]).words(["--duration", "100ms"]);
            add(before, Box::new(move || run().may_end_with(&[0, 1, 2]).verdict()));
            let not = OsString::from_iter([OsStr::new("!"), OsStr::from_bytes(name)]);
            let run = move || Run::of(before).words([&not]).words(["--duration", "100ms"]);
            add(&format!("{before} !"), Box::new(move || run().may_end_with(&[0, 1, 2]).verdict()));
        }
        for variable in VARIABLES {
            let run = move || {
                Run::of("summary --netns 1 --duration 100ms").variable(variable, OsStr::from_bytes(name))
            };
            add(variable, Box::new(move || run().verdict()));
        }
        add("command", Box::new(move || Run::with([OsStr::from_bytes(name)]).may_end_with(&[2]).verdict()));
        let flag = OsString::from_iter([OsStr::new("--"), OsStr::from_bytes(name)]);
        add("flag", Box::new(move || Run::with([&flag]).may_end_with(&[2]).verdict()));
        if !name.contains(&b'/') {
            add("receipt", Box::new(move || receipt(name)));
        }
        // A comma separates namespaces.
        if !name.contains(&b'/') && !name.contains(&b',') {
            add("namespace's path", Box::new(move || namespace(name)));
        }
    }
    cases.push(Case::new("different names are different in JSON", differ));
    cases
}

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A path of this file name that nobody else uses.
fn path(name: &[u8]) -> PathBuf {
    let folder = binary::folder().join(format!("names-{}", COUNT.fetch_add(1, Ordering::Relaxed)));
    fs::create_dir_all(&folder).unwrap();
    folder.join(OsStr::from_bytes(name))
}

/// Runs `run` while processes of this name connect, perhaps in a cgroup of this name.
fn called(name: &[u8], in_cgroup: bool, run: Run) -> Verdict {
    calling(&[name], in_cgroup, run).map(drop)
}

fn calling(names: &[&[u8]], in_cgroup: bool, run: Run) -> Result<Ended, String> {
    let place = Place::new();
    let listener = place.run(|| listen([127, 77, 4, 1].into(), 0));
    let port = listener.local_addr().unwrap().port().to_string();
    let stops = AtomicBool::new(false);
    listener.set_nonblocking(true).unwrap();
    thread::scope(|scope| {
        let _stops = Stops(&stops);
        scope.spawn(|| {
            while !stops.load(Ordering::Relaxed) {
                while listener.accept().is_ok() {}
                thread::sleep(Duration::from_millis(5));
            }
        });
        for name in names {
            let (place, port, stops) = (&place, &port, &stops);
            scope.spawn(move || place.run(|| keep_calling(name, in_cgroup, port, stops)));
        }
        run.words(["--duration", "1500ms", "--netns", place.name()]).ended()
    })
}

/// Starts processes that connect. The kernel names a process after its file.
fn keep_calling(name: &[u8], in_cgroup: bool, port: &str, stops: &AtomicBool) {
    let path = path(name);
    symlink(actor(), &path).unwrap();
    // The kernel takes every name for a cgroup but one that breaks a line.
    let in_cgroup = in_cgroup && !name.contains(&b'\n');
    let cgroup = in_cgroup.then(|| Cgroup::named(OsStr::from_bytes(name)));
    while !stops.load(Ordering::Relaxed) {
        let mut command = Command::new(&path);
        command.arg0("actor").args(["call", "127.77.4.1", port]);
        if let Some(cgroup) = &cgroup {
            cgroup.hold(&mut command);
        }
        assert!(command.status().unwrap().success());
        thread::sleep(Duration::from_millis(20));
    }
}

/// A receipt with this name.
fn receipt(name: &[u8]) -> Verdict {
    let path = path(name);
    Run::of("log --netns 1 --duration 100ms --receipt").words([&path]).verdict()?;
    let receipt = fs::read(&path).map_err(|error| error.to_string())?;
    serde_json::from_slice::<Value>(&receipt)
        .map(drop)
        .map_err(|error| format!("the receipt is no JSON: {error}"))
}

/// A namespace at a path of this name, and a path that leads nowhere.
fn namespace(name: &[u8]) -> Verdict {
    let place = Place::new();
    let path = path(name);
    symlink(format!("/run/netns/{}", place.name()), &path).unwrap();
    // Of namespaces, as of ports, there may be a list, and lists are text.
    let statuses = if str::from_utf8(name).is_ok() { [0] } else { [2] };
    Run::of("log --duration 100ms --netns").words([&path]).may_end_with(&statuses).verdict()?;
    fs::remove_file(&path).unwrap();
    Run::of("log --duration 100ms --netns").words([&path]).may_end_with(&[2]).verdict()
}

/// Two names that differ in a byte that is no UTF-8 stay different.
fn differ() -> Verdict {
    let ended = calling(&[b"a\xff", b"a\xfe", b"a\xef\xbf\xbd"], false, Run::of("log --raw -o json"))?;
    let text = String::from_utf8_lossy(&ended.out).into_owned();
    let comms = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok()?["comm"].as_str().map(str::to_owned));
    // Not those of this process, which listens.
    let is_theirs = |comm: &String| ["a\\", "a\u{fffd}"].iter().any(|begin| comm.starts_with(begin));
    let names: HashSet<String> = comms.filter(is_theirs).collect();
    if names.len() == 3 { Ok(()) } else { Err(format!("three names became {names:?}")) }
}
