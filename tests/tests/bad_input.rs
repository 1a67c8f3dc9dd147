//! Bad input causes an error message with cause and remedy, the right exit status, and no panic.

use std::{
    ffi::OsString,
    fs,
    os::unix::{
        ffi::{OsStrExt as _, OsStringExt as _},
        process::CommandExt as _,
    },
    process::{Command, Stdio},
};

use tests::{
    attack::hostile::BEFORE,
    program::{Ended, Program},
    tracefs::Instance,
    tracer,
    types::Types,
};

fn check(ended: &Ended, code: i32, message: &str, what: &str) {
    assert_eq!(ended.code(), code, "{what}: {}", ended.err);
    assert!(ended.err.contains(message), "{what}: expected `{message}` in:\n{}", ended.err);
    assert!(
        !ended.err.contains("panicked") && !ended.err.contains("RUST_BACKTRACE"),
        "{what}: {}",
        ended.err
    );
    assert!(!ended.err.contains("tracer: ready"), "{what}");
}

#[test]
fn arguments() {
    for (arguments, message) in [
        (&["--port", "0"][..], "port 0 is out of range: ports are 1 to 65535"),
        (&["--port", "65536"], "port 65536 is out of range"),
        (&["--port", "a-b"], "`a-b` is not a port, nor a TCP service in /etc/services"),
        (&["--port", "80,!"], "empty port"),
        (&["--pid", "0"], "--pid"),
        (&["--state", "OPEN"], "`OPEN` is not a TCP state"),
        (&["--reason", "because"], "`because` is not a reason"),
        (&["--netns", "!/no/such"], "/no/such"),
        (
            &["--cgroup", "/no/such"],
            "/no/such is not a cgroup of the v2 hierarchy, which is at /sys/fs/cgroup",
        ),
        // On a hybrid host a hierarchy of version 1 is there; elsewhere nothing is.
        (&["--cgroup", "/sys/fs/cgroup/memory"], "/sys/fs/cgroup/memory is not a cgroup of the v2 hierarchy"),
        (&["--cgroup", "no-such.service"], "no-such.service is not a cgroup of the v2 hierarchy"),
        (&["--cgroup", ""], "empty cgroup"),
        (&["443"], "'tracer --port 443'"),
        (&["port", "443"], "'tracer --port 443'"),
        (&["host", "10.0.0.1"], "'tracer --addr 10.0.0.1'"),
        (&["tcp"], "all that tracer traces is TCP"),
        (&["--json"], "'-o json'"),
        (&["--since", "10m"], "such as 2026-01-31T12:00:00Z"),
        (&["--since", "-10m"], "--from"),
        (&["-n"], "'tracer list'"),
        (&["-i", "eth0"], "--local-addr"),
        (&["--port", ""], "empty port"),
        (&["--port", "80,,81"], "empty port"),
        (&["-L", "90-80"], "did you mean 80-90?"),
        (&["--addr", "10.0.0.0/33"], "not an address or CIDR prefix"),
        (&["--addr", ""], "not an address or CIDR prefix"),
        (&["--columns", "nope"], "unknown column `nope`: `--columns help` lists them"),
        (&["--columns", ""], "at least one column"),
        (&["--columns", "time,time"], "named twice"),
        (&["--buffer", "1"], "too small"),
        (&["--buffer", "1TB"], "too large"),
        (&["--buffer", "lots"], "`lots` is not a size"),
        (&["--duration", "0"], "greater than zero"),
        (&["--duration", "soon"], "a number of seconds, or one with its unit"),
        (&["--group"], "--only-stuck"),
        (&["--count", "0"], "0 is not in 1.."),
        (&["--netns", "/no/such"], "/no/such"),
        (&["--netns", "/etc/passwd"], "not a namespace"),
        (&["--netns", "pid:999999999"], "No such file"),
        (&["-4", "-6"], "cannot be used with"),
        (&["--output", "xml"], "text, json, csv"),
        (&["--no-such-flag"], "unexpected argument"),
        (&["no-such-command"], "no-such-command"),
    ] {
        let ended = Program::collect(Command::new(tracer::binary()).args(arguments)).wait();
        check(&ended, 2, message, &arguments.join(" "));
    }
}

/// A service's name is looked up when one is given, and only then.
#[test]
fn services_without_their_file() {
    let without_etc = |port: &str| {
        let script =
            format!("mount -t tmpfs none /etc && exec \"$0\" --duration 100ms --netns 1 --port {port}");
        Program::collect(Command::new("unshare").args(["-m", "sh", "-c", &script]).arg(tracer::binary()))
            .wait()
    };
    let ended = without_etc("https");
    check(&ended, 2, "/etc/services cannot be read: No such file or directory", "no file");
    assert_eq!(without_etc("443").code(), 0);
    assert_eq!(tracer::run("--duration 100ms --netns 1 --port https,!http").code(), 0);
}

/// Runs tracer as the user nobody with these capabilities.
fn as_nobody(capabilities: &[&str], arguments: &[&str]) -> Ended {
    let (_folder, binary) = tracer::public_binary();
    let set = capabilities.iter().map(|name| format!("+{name}")).collect::<Vec<_>>().join(",");
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
    if !set.is_empty() {
        command.args(["--inh-caps", &set, "--ambient-caps", &set]);
    }
    Program::collect(command.arg(binary).args(arguments)).wait()
}

#[test]
fn privileges() {
    let ended = as_nobody(&[], &["--duration", "100ms"]);
    check(&ended, 1, "missing CAP_BPF and CAP_PERFMON: run tracer with sudo", "nobody");
    let ended = as_nobody(&["bpf"], &["--duration", "100ms"]);
    check(&ended, 1, "missing CAP_PERFMON: run tracer with sudo", "CAP_BPF alone");
    let ended = as_nobody(&["perfmon"], &["--duration", "100ms"]);
    check(&ended, 1, "missing CAP_BPF: run tracer with sudo", "CAP_PERFMON alone");
    let ended = as_nobody(&["bpf", "perfmon"], &["--duration", "100ms"]);
    assert_eq!(ended.code(), 0, "both are enough: {}", ended.err);
    for (capabilities, says) in [
        (&["bpf", "perfmon", "sys_admin"][..], "with CAP_SYS_PTRACE those of all processes could be seen"),
        (&["bpf", "perfmon", "sys_admin", "sys_ptrace"], "all of which can be entered"),
    ] {
        let ended = as_nobody(capabilities, &["check"]);
        assert!(ended.code() == 0 && ended.out.contains(says), "{}", ended.out);
    }
    let ended = as_nobody(&[], &["check"]);
    assert_eq!(ended.code(), 1);
    assert!(ended.out.contains("✗ privileges"), "{}", ended.out);
}

#[test]
fn check_says_yes_here() {
    let ended = tracer::run("check");
    assert_eq!(ended.code(), 0, "{}", ended.out);
    assert!(ended.out.ends_with("tracer can run here\n"), "{}", ended.out);
    assert!(!ended.out.contains('✗') && !ended.out.contains('\x1b'), "{}", ended.out);
}

#[test]
fn types_that_are_missing_or_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let whole = fs::read("/sys/kernel/btf/vmlinux").unwrap();
    let without_hook = Types::of_this_kernel().without_hook("inet_sock_set_state");
    let without_member = Types::of_this_kernel().without_member("inet_sock", "inet_sport");
    for (name, bytes, message) in [
        ("empty", &[][..], "not BTF of this machine"),
        ("text", b"hello, this is no type information", "not BTF of this machine"),
        ("cut", &whole[..whole.len() / 2], "cut off or damaged"),
        ("no hook", &without_hook.bytes(), "no tracepoint sock:inet_sock_set_state"),
        ("no member", &without_member.bytes(), "inet_sport` of 2 bytes in `struct tcp_sock`"),
    ] {
        let path = folder.path().join(name.replace(' ', "-"));
        fs::write(&path, bytes).unwrap();
        for arguments in [&["--duration", "100ms", "--btf"][..], &["check", "--btf"]] {
            let ended = Program::collect(Command::new(tracer::binary()).args(arguments).arg(&path)).wait();
            assert_eq!(ended.code(), 1, "{name}: {}", ended.err);
            let said = ended.out + &ended.err;
            assert!(said.contains(message) && !said.contains("panicked"), "{name}: {said}");
        }
    }
    // A regular file, but reading it waits for ever.
    let trace = Instance::new("types");
    let ended = tracer::run(&format!("--duration 100ms --btf {}", trace.pipe().display()));
    check(&ended, 1, "Resource temporarily unavailable", "waiting");
    let ended = tracer::run("--duration 100ms --btf /no/such");
    check(&ended, 1, "cannot read the kernel's type information, /no/such", "missing");
    assert!(ended.err.contains("CONFIG_DEBUG_INFO_BTF"), "{}", ended.err);
}

#[test]
fn standard_output_closed() {
    let mut command = Command::new("sh");
    command.args(["-c", "exec \"$0\" --duration 100ms >&-"]).arg(tracer::binary());
    let ended = Program::collect(&mut command).wait();
    check(&ended, 1, "standard output is closed", "closed");
}

/// Help and lists, too, are either written or an error. Who reads no further has seen enough.
#[test]
fn what_is_printed_is_written_or_an_error() {
    for arguments in [
        "--help",
        "-h",
        "--version",
        "help",
        "help top",
        "life --help",
        "--columns help",
        "life --columns help",
        "completions bash",
        "check",
        "life -o csv --duration 100ms --netns 1",
        "summary --duration 100ms --netns 1",
        "summary --in-kernel --duration 100ms",
    ] {
        let printed = |to: Stdio| Program::start(tracer::command(arguments).stdout(to)).wait();
        let ended = printed(fs::File::options().write(true).open("/dev/full").unwrap().into());
        assert_eq!(ended.code(), 1, "{arguments}: {}", ended.err);
        let message = "tracer: writing to standard output: No space left on device";
        assert!(ended.err.contains(message), "{arguments}: {}", ended.err);
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ended = printed(writer.into());
        assert_eq!(ended.code(), 0, "{arguments}: {}", ended.err);
        assert!(!ended.err.contains("writing to"), "{arguments}: {}", ended.err);
        let mut command = Command::new("sh");
        command.args(["-c", &format!("exec \"$0\" {arguments} >&-")]).arg(tracer::binary());
        check(&Program::collect(&mut command).wait(), 1, "standard output is closed", arguments);
    }
}

#[test]
fn standard_error_full_or_closed_is_no_panic() {
    for redirect in ["2>/dev/full", "2>&-"] {
        let mut command = Command::new("sh");
        command
            .args(["-c", &format!("exec \"$0\" --duration 100ms --netns 1 {redirect}")])
            .arg(tracer::binary());
        assert_eq!(Program::collect(&mut command).wait().code(), 0, "{redirect}");
    }
}

#[test]
fn the_buffer_says_what_it_was_rounded_to() {
    let ended = tracer::run("--duration 100ms --netns 1 --buffer 65M");
    assert_eq!(ended.code(), 0);
    assert!(ended.err.contains("buffer of 65M rounded up to 64 MiB"), "{}", ended.err);
    let ended = tracer::run("--duration 100ms --netns 1 --buffer 64MiB");
    assert!(!ended.err.contains("rounded"), "{}", ended.err);
}

/// Pieces of hostile arguments.
const PIECES: [&[u8]; 20] = [
    b"x\nFORGED: a\n",
    b"\n",
    b"\r",
    b"\x1b[2J",
    b"\x07",
    "\u{9b}31m".as_bytes(),
    "\u{202e}".as_bytes(),
    "\u{2028}FORGED: b".as_bytes(),
    "\u{3164}".as_bytes(),
    b"\xff",
    b"\\",
    b"'",
    b"443",
    b"CLOSE",
    b"=",
    b",",
    b":",
    b"a/b",
    b"!",
    b"*",
];

fn hostile(chance: &mut fastrand::Rng) -> OsString {
    let pieces = (0..chance.usize(1..5)).map(|_| PIECES[chance.usize(..PIECES.len())]);
    OsString::from_vec(pieces.collect::<Vec<_>>().concat())
}

/// Whatever the arguments and the surroundings contain, each line on standard error begins with tracer's own
/// words, and has nothing that a terminal obeys.
#[test]
fn arguments_forge_nothing() {
    let own = [
        "tracer: ",
        "error: ",
        "Usage: tracer",
        "       tracer",
        "For more information",
        "  tip: ",
        "  [possible values: ",
    ];
    let mut chance = fastrand::Rng::with_seed(15);
    for round in 0..8 * BEFORE.len() {
        let mut command = Command::new(tracer::binary());
        command.args(BEFORE[round % BEFORE.len()].split_whitespace());
        let word = hostile(&mut chance);
        command.arg(match chance.u8(..3) {
            0 => OsString::from_vec([b"--", word.as_bytes()].concat()),
            _ => word,
        });
        command.args(["--duration", "1ms"]).current_dir("/proc/self");
        for variable in ["TZ", "COLUMNS", "TERM", "RUST_LOG", "LC_ALL"] {
            command.env(variable, hostile(&mut chance));
        }
        command.arg0(hostile(&mut chance));
        let ended = Program::collect(&mut command).wait();
        let lines = ended.err.split('\n').filter(|line| !line.is_empty());
        for line in lines {
            assert!(own.iter().any(|own| line.starts_with(own)), "{command:?}: {:?}", ended.err);
            let is_hostile = |c: char| c.is_control() || "\u{202e}\u{2028}\u{3164}".contains(c);
            assert!(!line.contains(is_hostile), "{command:?}: {:?}", ended.err);
        }
        assert_ne!(ended.code(), 101, "{command:?}: {}", ended.err);
    }
}
