//! Partial privileges, and sandboxes as containers have them.

use std::fs;

use crate::attack::{
    axes::{VIEWS, short},
    binary,
    case::Case,
    run::Run,
    sandbox::{Step, c},
};

const SETUID: u32 = 7;
const SYS_PTRACE: u32 = 19;
const SYS_ADMIN: u32 = 21;
const SYS_RESOURCE: u32 = 24;
const PERFMON: u32 = 38;
const BPF: u32 = 39;
const ALL: std::ops::Range<u32> = 0..41;

/// A sandbox. Whether tracer may or must fail in it is what `statuses` say.
struct Sandbox {
    name: &'static str,
    statuses: &'static [i32],
    confine: fn(Run) -> Run,
}

const MAY_FAIL: &[i32] = &[0, 1];
const FAILS: &[i32] = &[1];

const fn sandbox(name: &'static str, statuses: &'static [i32], confine: fn(Run) -> Run) -> Sandbox {
    Sandbox { name, statuses, confine }
}

const SANDBOXES: &[Sandbox] = &[
    sandbox("no CAP_SYS_ADMIN", MAY_FAIL, |run| without(run, [SYS_ADMIN])),
    sandbox("no CAP_BPF, no CAP_SYS_ADMIN", FAILS, |run| without(run, [BPF, SYS_ADMIN])),
    sandbox("no CAP_PERFMON, no CAP_SYS_ADMIN", FAILS, |run| without(run, [PERFMON, SYS_ADMIN])),
    sandbox("no CAP_SYS_RESOURCE", MAY_FAIL, |run| without(run, [SYS_RESOURCE])),
    sandbox("no CAP_SYS_PTRACE", MAY_FAIL, |run| without(run, [SYS_PTRACE])),
    sandbox("CAP_BPF and CAP_PERFMON only", MAY_FAIL, |run| {
        without(run, ALL.filter(|it| ![BPF, PERFMON].contains(it)))
    }),
    sandbox("CAP_BPF only", FAILS, |run| without(run, ALL.filter(|it| *it != BPF))),
    sandbox("root without any capability", FAILS, |run| without(run, ALL)),
    sandbox("nobody", FAILS, |run| run.through("setpriv --reuid 65534 --regid 65534 --clear-groups")),
    sandbox("nobody with two capabilities", MAY_FAIL, as_nobody),
    sandbox("user namespace, unmapped", FAILS, |run| run.after([Step::Unshare(libc::CLONE_NEWUSER)])),
    sandbox("user namespace, root", FAILS, |run| {
        run.after([Step::Unshare(libc::CLONE_NEWUSER), Step::MapRoot])
    }),
    sandbox("pid namespace", MAY_FAIL, |run| run.through("unshare --pid --fork --kill-child --mount-proc")),
    sandbox("pid namespace, old /proc", MAY_FAIL, |run| run.through("unshare --pid --fork --kill-child")),
    sandbox("network namespace", MAY_FAIL, |run| run.after([Step::Unshare(libc::CLONE_NEWNET)])),
    sandbox("ipc, uts and cgroup namespaces", MAY_FAIL, |run| {
        run.after([Step::Unshare(libc::CLONE_NEWIPC | libc::CLONE_NEWUTS | libc::CLONE_NEWCGROUP)])
    }),
    sandbox("time namespace", MAY_FAIL, |run| {
        run.through("unshare --time --fork --kill-child --boottime 1000000")
    }),
    sandbox("no /proc", MAY_FAIL, |run| hidden(run, &["/proc"])),
    sandbox("no /sys", MAY_FAIL, |run| hidden(run, &["/sys"])),
    sandbox("no /proc, no /sys", MAY_FAIL, |run| hidden(run, &["/proc", "/sys"])),
    sandbox("no /sys/fs/bpf", MAY_FAIL, |run| hidden(run, &["/sys/fs/bpf"])),
    sandbox("no /sys/fs/cgroup", MAY_FAIL, |run| hidden(run, &["/sys/fs/cgroup"])),
    sandbox("no BTF", FAILS, |run| hidden(run, &["/sys/kernel/btf"])),
    sandbox("no tracefs", MAY_FAIL, |run| hidden(run, &["/sys/kernel/tracing"])),
    sandbox("no /dev", MAY_FAIL, |run| hidden(run, &["/dev"])),
    sandbox("no /etc, no /run", MAY_FAIL, |run| hidden(run, &["/etc", "/run"])),
    sandbox("hidepid", MAY_FAIL, |run| {
        let proc = Step::mount("proc", "/proc", "proc", 0, "hidepid=2,subset=pid");
        as_nobody(run.after(Step::own_mounts()).after([proc]))
    }),
    sandbox("read-only root", MAY_FAIL, |run| {
        let flags = libc::MS_REMOUNT | libc::MS_BIND | libc::MS_RDONLY;
        run.after(Step::own_mounts()).after([Step::mount("none", "/", "", flags, "")])
    }),
    sandbox("chroot", FAILS, |run| in_root(run, &[])),
    sandbox("chroot with /proc", FAILS, |run| in_root(run, &["/proc"])),
    sandbox("chroot with /sys", MAY_FAIL, |run| in_root(run, &["/sys"])),
    sandbox("no bpf(2)", FAILS, |run| forbidden(run, libc::SYS_bpf)),
    sandbox("no perf_event_open(2)", MAY_FAIL, |run| forbidden(run, libc::SYS_perf_event_open)),
    sandbox("no setns(2)", MAY_FAIL, |run| forbidden(run, libc::SYS_setns)),
    sandbox("no clone3(2)", MAY_FAIL, |run| forbidden(run, libc::SYS_clone3)),
    sandbox("no capset(2)", MAY_FAIL, |run| forbidden(run, libc::SYS_capset)),
    sandbox("no socket(2)", MAY_FAIL, |run| forbidden(run, libc::SYS_socket)),
    sandbox("no mmap(2) later", MAY_FAIL, |run| forbidden(run, libc::SYS_mremap)),
    sandbox("no epoll", MAY_FAIL, |run| forbidden(run, libc::SYS_epoll_create1)),
    sandbox("no eventfd", MAY_FAIL, |run| forbidden(run, libc::SYS_eventfd2)),
    sandbox("no setuid(2)", MAY_FAIL, |run| without(run, [SETUID])),
];

/// Every view in every sandbox. What `check` says has to be what happens.
pub fn cases(_: u64) -> Vec<Case> {
    let mut cases = Vec::new();
    for sandbox in SANDBOXES {
        for view in VIEWS {
            let make = move || (sandbox.confine)(Run::of(view)).may_end_with(sandbox.statuses);
            cases.push(Case::new(format!("{}: {}", sandbox.name, short(view)), move || make().verdict()));
        }
        cases.push(Case::new(format!("{}: check is right", sandbox.name), move || agree(sandbox)));
    }
    cases
}

fn agree(sandbox: &Sandbox) -> Result<(), String> {
    let status = |view: &str| {
        let ended = (sandbox.confine)(Run::of(view)).may_end_with(MAY_FAIL).ended()?;
        Ok::<_, String>((ended.status, ended.shown()))
    };
    let ((checked, said), (captured, happened)) = (status("check")?, status(VIEWS[0])?);
    if checked == captured {
        return Ok(());
    }
    Err(format!("check ends with {checked:?}, a capture with {captured:?}\n{said}\n{happened}"))
}

fn without(run: Run, capabilities: impl IntoIterator<Item = u32>) -> Run {
    run.after(capabilities.into_iter().map(Step::WithoutCapability))
}

fn as_nobody(run: Run) -> Run {
    run.through("setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps +bpf,+perfmon --ambient-caps +bpf,+perfmon")
}

fn hidden(run: Run, folders: &[&str]) -> Run {
    run.after(Step::own_mounts()).after(folders.iter().map(|folder| Step::hide(folder)))
}

fn forbidden(run: Run, call: libc::c_long) -> Run {
    run.after([Step::Forbid(u32::try_from(call).unwrap())])
}

/// A root that has tracer and its libraries, and these folders of the host.
fn in_root(run: Run, folders: &[&str]) -> Run {
    let root = binary::folder().join("root");
    let mut steps = Step::own_mounts();
    for folder in ["/usr", "/lib", "/lib64"].iter().chain(folders) {
        let inside = root.join(&folder[1..]);
        fs::create_dir_all(&inside).unwrap();
        steps.push(Step::bind(folder, &inside));
    }
    let inside = root.join("bin");
    fs::create_dir_all(&inside).unwrap();
    binary::path();
    steps.extend([Step::bind(&binary::folder().to_string_lossy(), &inside), Step::Chroot(c(root))]);
    run.after(steps).program("/bin/tracer")
}
