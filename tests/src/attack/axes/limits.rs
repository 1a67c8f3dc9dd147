//! Resource limits one by one, and cgroups with limits.

use crate::attack::{
    axes::{VIEWS, short},
    binary,
    case::Case,
    cgroup::Cgroup,
    run::Run,
    sandbox::Step,
    sink::Sink,
};

/// What the kernel does to a process that has used its time, or more memory than its cgroup may have.
const OUT_OF_TIME: i32 = 128 + libc::SIGXCPU;
const KILLED: i32 = 128 + libc::SIGKILL;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// A limit: its name, the resource, its values.
type Limit = (&'static str, libc::__rlimit_resource_t, &'static [u64]);

const LIMITS: &[Limit] = &[
    (
        "stack",
        libc::RLIMIT_STACK,
        &[64 * KIB, 96 * KIB, 128 * KIB, 160 * KIB, 192 * KIB, 256 * KIB, 512 * KIB, MIB],
    ),
    (
        "as",
        libc::RLIMIT_AS,
        &[
            8 * MIB,
            10 * MIB,
            12 * MIB,
            14 * MIB,
            16 * MIB,
            18 * MIB,
            20 * MIB,
            24 * MIB,
            28 * MIB,
            32 * MIB,
            40 * MIB,
            48 * MIB,
            64 * MIB,
            80 * MIB,
            96 * MIB,
            128 * MIB,
            160 * MIB,
            192 * MIB,
            256 * MIB,
            512 * MIB,
        ],
    ),
    (
        "data",
        libc::RLIMIT_DATA,
        &[
            0,
            256 * KIB,
            512 * KIB,
            MIB,
            2 * MIB,
            3 * MIB,
            4 * MIB,
            6 * MIB,
            8 * MIB,
            12 * MIB,
            16 * MIB,
            32 * MIB,
            64 * MIB,
        ],
    ),
    ("fsize", libc::RLIMIT_FSIZE, &[0, 1, 100, 4096, 65536]),
    ("memlock", libc::RLIMIT_MEMLOCK, &[0, 64 * KIB]),
    ("cpu", libc::RLIMIT_CPU, &[0, 1]),
    ("core", libc::RLIMIT_CORE, &[0, 1]),
    ("sigpending", libc::RLIMIT_SIGPENDING, &[0, 1]),
    ("msgqueue", libc::RLIMIT_MSGQUEUE, &[0]),
    ("nice", libc::RLIMIT_NICE, &[0]),
];

/// Every limit, with every view.
pub fn cases(_: u64) -> Vec<Case> {
    let mut cases = Vec::new();
    for view in VIEWS {
        let mut add = |name: String, run: Run| cases.push(Case::of(format!("{name}: {}", short(view)), run));
        let run = || Run::of(view).may_end_with(&[0, 1]).may_not_begin();
        for descriptors in 3..=64 {
            add(
                format!("nofile={descriptors}"),
                run().after([Step::Limit(libc::RLIMIT_NOFILE, descriptors)]),
            );
        }
        for (name, resource, values) in LIMITS {
            for value in *values {
                let statuses: &[i32] = if *name == "cpu" { &[0, 1, OUT_OF_TIME, KILLED] } else { &[0, 1] };
                let limited = run().may_end_with(statuses).after([Step::Limit(*resource, *value)]);
                let into_file = *name == "fsize";
                let file = binary::folder().join(format!("{name}-{value}-{}", short(view).replace(' ', "")));
                add(
                    format!("{name}={}", shown(*value)),
                    if into_file { limited.out(Sink::File(file)) } else { limited },
                );
            }
        }
        cases.extend((0..=8).map(|threads| as_user(view, threads)));
        cases.extend((1..=16).map(|threads| in_cgroup(view, threads)));
        cases.extend([1, 2, 4, 8, 12, 16, 24, 32, 64, 128].map(|mib| in_memory(view, mib)));
    }
    for value in [0, 1, 100, 1000] {
        let receipt = binary::folder().join(format!("limited-{value}"));
        let limited = Run::of("log --duration 300ms --receipt").words([receipt]).may_end_with(&[0, 1]);
        cases.push(Case::of(
            format!("fsize={value}: receipt"),
            limited.after([Step::Limit(libc::RLIMIT_FSIZE, value)]),
        ));
    }
    cases
}

/// The limit of threads does not hold for root.
fn as_user(view: &'static str, threads: u64) -> Case {
    let run =
        Run::of(view).may_end_with(&[0, 1]).may_not_begin().after([Step::Limit(libc::RLIMIT_NPROC, threads)]);
    let user = 40_000 + threads;
    let capabilities = "+bpf,+perfmon,+sys_admin,+sys_ptrace";
    let nobody = format!(
        "setpriv --reuid {user} --regid {user} --clear-groups --inh-caps {capabilities} --ambient-caps {capabilities}"
    );
    // With CAP_SYS_ADMIN there is no limit either.
    let plain = nobody.replace(",+sys_admin", "");
    Case::of(format!("nproc={threads}: {}", short(view)), run.through(&plain))
}

fn in_cgroup(view: &'static str, threads: u32) -> Case {
    Case::new(format!("pids.max={threads}: {}", short(view)), move || {
        let cgroup = Cgroup::of_threads(threads);
        Run::of(view).may_end_with(&[0, 1]).after([cgroup.entered()]).verdict()
    })
}

fn in_memory(view: &'static str, mib: u64) -> Case {
    Case::new(format!("memory.max={mib}M: {}", short(view)), move || {
        let cgroup = Cgroup::of_memory(mib);
        Run::of(view).may_end_with(&[0, 1, KILLED]).may_not_begin().after([cgroup.entered()]).verdict()
    })
}

/// A number as people write it.
fn shown(value: u64) -> String {
    match value {
        0 => value.to_string(),
        _ if value.is_multiple_of(MIB) => format!("{}M", value / MIB),
        _ if value.is_multiple_of(KIB) => format!("{}K", value / KIB),
        _ => value.to_string(),
    }
}
