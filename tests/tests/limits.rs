//! On a host at its limits tracer says what is missing, or does with less.

use std::{
    fs::File,
    io::{Write as _, pipe},
    os::{
        fd::{IntoRawFd as _, OwnedFd},
        unix::process::CommandExt as _,
    },
    process::{Command, Stdio},
    sync::mpsc::channel,
    thread,
};

use rustix::{
    io::dup,
    process::{Resource, Rlimit, Signal, getrlimit, setrlimit},
    thread::{UnshareFlags, unshare_unsafe},
};
use tests::{
    patience::until,
    place::Place,
    program::{Program, run, signal, spawn},
    story, tracer,
    traffic::{Scenario, play},
};

/// Tracer with this limit, soft and hard.
fn limited(resource: Resource, limit: u64, arguments: &str) -> Command {
    let mut command = tracer::command(arguments);
    let set = move || Ok(setrlimit(resource, Rlimit { current: Some(limit), maximum: Some(limit) })?);
    // SAFETY: a system call, without memory of the parent's.
    unsafe { command.pre_exec(set) };
    command
}

#[test]
fn low_limits_are_told() {
    for (resource, limit, needed) in [
        (
            Resource::Nofile,
            8,
            "8 files may be open at once, tracer needs 256: raise the limit with `ulimit -n`",
        ),
        (Resource::Stack, 256 << 10, "the stack may have only 256 KiB"),
        (Resource::As, 64 << 20, "the address space may have only 65536 KiB"),
        (Resource::Data, 16 << 20, "data may have only 16384 KiB"),
    ] {
        let ended = Program::collect(&mut limited(resource, limit, "--duration 100ms --netns 1")).wait();
        assert_eq!(ended.code(), 1, "{resource:?}: {}", ended.err);
        assert!(
            ended.err.starts_with("tracer: ") && ended.err.contains(needed),
            "{resource:?}: {}",
            ended.err
        );
        assert_eq!(ended.err.lines().count(), 1, "{resource:?}: {}", ended.err);
    }
}

/// A user whose processes nobody else has.
const USER: u32 = 54_321;

/// Tracer as another user, who has no other processes. The user's limit counts threads.
fn with_threads(limit: u64, arguments: &str) -> (tempfile::TempDir, Command) {
    let (folder, binary) = tracer::public_binary();
    let mut command = Command::new("setpriv");
    command.args(["--reuid", &USER.to_string(), "--regid", &USER.to_string(), "--clear-groups"]);
    command.args(["--inh-caps", "+bpf,+perfmon", "--ambient-caps", "+bpf,+perfmon", "prlimit"]);
    command.arg(format!("--nproc={limit}")).arg(binary).args(arguments.split_whitespace());
    (folder, command)
}

/// Whatever number of threads the host grants: tracer works, or says what it lacks.
#[test]
fn too_few_threads_are_told() {
    let mut works = 0;
    for limit in 1..=6 {
        let (_folder, mut command) = with_threads(limit, "--duration 100ms --netns 1");
        let ended = Program::collect(&mut command).wait();
        assert!(!ended.err.contains("panicked"), "{limit}: {}", ended.err);
        match ended.code() {
            0 => works += 1,
            1 => assert!(ended.err.contains("`ulimit -u`"), "{limit}: {}", ended.err),
            code => panic!("{limit}: status {code}: {}", ended.err),
        }
    }
    assert!((1..6).contains(&works), "{works}");
}

/// A thread of its own asks for the cookie of a namespace.
#[test]
fn a_cookie_that_nobody_can_ask_for_is_told() {
    let place = Place::new();
    let arguments = format!("--duration 100ms --netns /run/netns/{}", place.name());
    let is_told = |limit| {
        let (_folder, mut command) = with_threads(limit, &arguments);
        Program::collect(&mut command).wait().err.matches("asking for its cookie: ").count() == 1
    };
    assert!((1..=6).any(is_told));
}

/// Once tracer is ready it needs no more threads.
#[test]
fn no_thread_is_needed_later() {
    let place = Place::new();
    let inum = place.inum();
    let (_folder, mut command) = with_threads(64, &format!("-o json --netns {inum}"));
    let tracer = tracer::started(Program::collect(&mut command));
    let user = USER.to_string();
    let pid = tracer.pid().to_string();
    run(Command::new("setpriv").args(["--reuid", &user, "--regid", &user, "--clear-groups"]).args([
        "prlimit",
        "--pid",
        &pid,
        "--nproc=1",
    ]));
    place.run(|| play(Scenario::ClientCloses, place.own_v4(1).into()));
    until("lines", || (!story::lines(story::whole(&tracer.out())).is_empty()).then_some(()));
    let ended = tracer.interrupt();
    assert_eq!(ended.code(), 0, "{}", ended.err);
}

/// Signals are heard although standard error is full, also while the programs are loaded.
#[test]
fn a_full_standard_error_cannot_hold_it_while_loading() {
    for arguments in ["-vvv --netns 1", "summary -vvv --netns 1", "summary --in-kernel -vvv"] {
        let (_reader, mut writer) = pipe().unwrap();
        rustix::io::ioctl_fionbio(&writer, true).unwrap();
        for size in [4096, 1] {
            while writer.write(&vec![b'x'; size]).is_ok() {}
        }
        rustix::io::ioctl_fionbio(&writer, false).unwrap();
        let mut command = tracer::command(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(OwnedFd::from(writer));
        let mut tracer = spawn(&mut command).unwrap();
        let status = format!("/proc/{}/status", tracer.id());
        until("its own handlers", || {
            let status = std::fs::read_to_string(&status).unwrap();
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
            (u64::from_str_radix(caught.trim(), 16).unwrap() & 2 != 0).then_some(())
        });
        signal(tracer.id(), Signal::INT);
        let status = until("its end", || tracer.try_wait().unwrap());
        assert_eq!(status.code(), Some(0), "{arguments}");
    }
}

/// In a container `/proc` and `/sys` may be hidden. What is not known then is said once, with the remedy.
#[test]
fn what_is_hidden_is_told_once() {
    let types = tempfile::NamedTempFile::new().unwrap();
    std::fs::copy("/sys/kernel/btf/vmlinux", types.path()).unwrap();
    let path = types.path().display();
    for (hidden, mount) in [
        ("/proc", "-t tmpfs none /proc"),
        ("/proc/sys", "-t proc -o subset=pid proc /proc"),
        ("/sys", "-t tmpfs none /sys"),
    ] {
        let run = |arguments: &str| {
            let mut command = Command::new("unshare");
            let script = format!("mount {mount} && exec \"$0\" {arguments} --btf {path}");
            command.args(["--mount", "sh", "-c", &script]).arg(tracer::binary());
            Program::collect(&mut command).wait()
        };
        let ended = run("--duration 300ms --netns 1");
        assert_eq!(ended.code(), 0, "{hidden}: {}", ended.err);
        let warnings: Vec<_> = ended.err.lines().filter(|line| line.contains("warn: ")).collect();
        assert!(warnings[0].contains(&format!("{hidden} is hidden")) && warnings[0].contains("`mount -t"));
        assert!(warnings.len() <= 2, "{hidden}: {warnings:#?}");
        let checked = run("check");
        assert_eq!(checked.code(), 0, "{hidden}: {}", checked.out);
        assert!(
            checked.out.contains(&format!("! /proc and /sys           {hidden} is hidden")),
            "{}",
            checked.out
        );
        assert!(checked.out.ends_with("does not know everything: see `!` above\n"), "{}", checked.out);
    }
}

/// Descriptors in a table at most: `fs.nr_open` is a little more.
const ONE_TABLE: u64 = 1_000_000;

/// What a table is not filled with: room for files that are open already.
const ROOM: u64 = 200;

/// Calls `work` while about so many million descriptors are open that are no sockets. Each thread has a table of its own,
/// because a table has a limit.
fn with_descriptors(millions: u64, work: impl FnOnce()) {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    let in_table = maximum.or(current).map_or(ONE_TABLE, |limit| limit.min(ONE_TABLE)) - ROOM;
    let tables = usize::try_from((millions * 1_000_000).div_ceil(in_table)).unwrap();
    thread::scope(|scope| {
        let (full, all_full) = channel();
        let mut ends = Vec::new();
        for _ in 0..tables {
            let (end, ended) = channel::<()>();
            ends.push(end);
            let full = full.clone();
            scope.spawn(move || {
                // SAFETY: nothing that this thread uses depends on descriptors of others.
                unsafe { unshare_unsafe(UnshareFlags::FILES) }.unwrap();
                let null = File::open("/dev/null").unwrap();
                for _ in 0..in_table {
                    // Its table ends with the thread.
                    let _ = dup(&null).unwrap().into_raw_fd();
                }
                full.send(()).unwrap();
                drop(full);
                let _ = ended.recv();
                let _ = null.into_raw_fd();
            });
        }
        drop(full);
        assert_eq!(all_full.iter().count(), tables);
        work();
    });
}

mod alone {
    use std::time::{Duration, Instant};

    use super::*;

    /// How long it takes until tracer is ready: the best of three, because other programs run, too.
    fn time_to_ready() -> Duration {
        let once = || {
            let begun = Instant::now();
            let tracer = tracer::start("--netns 1");
            let took = begun.elapsed();
            assert_eq!(tracer.interrupt().code(), 0);
            took
        };
        (0..3).map(|_| once()).min().unwrap()
    }

    /// Users without privileges can make thousands of network namespaces. Most of a host's have no sockets, and are not
    /// searched for them.
    #[test]
    fn namespaces_without_sockets_delay_it_little() {
        let without = time_to_ready();
        let sleeper = || Program::start(Command::new("unshare").args(["--net", "sleep", "inf"]));
        let namespaces: Vec<_> = (0..1000).map(|_| sleeper()).collect();
        for process in &namespaces {
            let comm = format!("/proc/{}/comm", process.pid());
            until("a namespace", || (std::fs::read_to_string(&comm).unwrap() == "sleep\n").then_some(()));
        }
        let with = time_to_ready();
        println!("ready after {with:?} with 1000 namespaces, after {without:?} without");
        assert!(with < without + Duration::from_millis(1200), "{with:?} after {without:?}");
    }

    /// After a million descriptors without a socket the kernel wants to be asked again for more (EAGAIN).
    #[test]
    fn descriptors_hide_no_socket() {
        with_descriptors(3, || {
            let ended = tracer::start("-v --netns 1").interrupt();
            assert_eq!(ended.code(), 0, "{}", ended.err);
            assert!(ended.err.contains("found "), "the snapshot has failed: {}", ended.err);
        });
    }

    /// The search through all descriptors of the host is cut off after a second, and that is said once.
    #[test]
    fn descriptors_delay_it_little() {
        let without = time_to_ready();
        with_descriptors(30, || {
            let with = time_to_ready();
            println!("ready after {with:?} with 30 million descriptors, after {without:?} without");
            let ended = tracer::start("--netns 1").interrupt();
            let told = ended.err.matches("no time to search all processes for sockets").count();
            assert_eq!(told, 1, "{with:?}: {}", ended.err);
            assert!(with < without + Duration::from_secs(2), "{with:?} after {without:?}");
        });
    }
}
