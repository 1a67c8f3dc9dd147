//! Reads the BTF of the running kernel, and looks up what tracer looks up when it starts. States and reset
//! reasons are left out: they are whole enums, for which every reader would have to list all types.

mod by_btf;
mod by_btf_rs;
mod by_btfparse;
#[path = "../../tests/counting/mod.rs"]
mod counting;

use std::{fs, hint::black_box, path::Path};

use aya::Endianness;
use btf_rs::Backend;
use criterion::Criterion;
use tracer::source::kernel::btf::Btf;
use tracer_common::{
    helper::HELPERS,
    member::{SOCK_FLAGS, SPECS},
};

const KERNEL: &str = "/sys/kernel/btf/vmlinux";

/// The hooks that tracer looks up, as in `optional.rs`.
const TRACEPOINTS: [&str; 5] = [
    "inet_sock_set_state",
    "tcp_send_reset",
    "tcp_receive_reset",
    "tcp_retransmit_skb",
    "tcp_retransmit_synack",
];
const FUNCTIONS: [&str; 9] = [
    "inet_csk_accept",
    "inet_twsk_kill",
    "tw_timer_handler",
    "__inet_twsk_schedule",
    "tcp_v4_reqsk_destructor",
    "tcp_v6_reqsk_destructor",
    "reqsk_timer_handler",
    "inet_csk_reqsk_queue_hash_add",
    "no_such_function",
];

/// A BTF reader, and what is looked up in it.
trait Types {
    /// The offset of a member, in bytes.
    fn member(&self, container: &str, path: &str) -> Option<u32>;
    fn enumerator(&self, of: &str, name: &str) -> Option<u32>;
    /// How many arguments a function has.
    fn function(&self, name: &str) -> Option<u32>;
    /// How many arguments a tracepoint's typedef has.
    fn hook(&self, name: &str) -> Option<u32>;
}

/// Does all lookups, in a fixed order.
fn ask(types: &impl Types) -> Vec<Option<u32>> {
    let members = SPECS.iter().map(|spec| types.member(spec.container, spec.path));
    let flags = SOCK_FLAGS.iter().map(|flag| types.enumerator("sock_flags", flag));
    let functions = FUNCTIONS.iter().chain(&HELPERS).map(|name| types.function(name));
    let hooks = TRACEPOINTS.iter().map(|name| types.hook(&format!("btf_trace_{name}")));
    members.chain(flags).chain(functions).chain(hooks).collect()
}

impl Types for Btf {
    fn member(&self, container: &str, path: &str) -> Option<u32> {
        self.member(container, path).map(|place| place.offset)
    }

    fn enumerator(&self, of: &str, name: &str) -> Option<u32> {
        self.enumerator(of, name)
    }

    fn function(&self, name: &str) -> Option<u32> {
        self.function_args(name)
    }

    fn hook(&self, name: &str) -> Option<u32> {
        // tracer does not count the first argument.
        self.hook_args(name.trim_start_matches("btf_trace_")).map(|count| count + 1)
    }
}

pub(crate) fn all(criterion: &mut Criterion) {
    if !Path::new(KERNEL).exists() {
        println!("this kernel has no BTF");
        return;
    }
    let own = || Btf::parse(fs::read(KERNEL).unwrap()).unwrap();
    let expected = ask(&own());
    let with = |backend| btf_rs::Btf::from_file_with_backend(KERNEL, backend).unwrap();
    reader(criterion, "tracer", &expected, own);
    reader(criterion, "btf-rs, mmap", &expected, || with(Backend::Mmap));
    reader(criterion, "btf-rs, cache", &expected, || with(Backend::Cache));
    reader(criterion, "btfparse", &expected, || by_btfparse::read(KERNEL));
    reader(criterion, "btf", &expected, || btf::Btf::from_file(KERNEL).unwrap());
    // It only loads: aya-obj has no public way to find the offset of a member.
    let aya = || aya::Btf::parse_file(KERNEL, Endianness::default()).unwrap();
    measured(criterion, "aya-obj", aya, || {
        let peak = counting::peak(|| _ = black_box(aya()));
        println!("no lookups, peak of {} KiB", peak / 1024);
    });
}

/// Measures reading and all lookups. Prints how many results are the same as tracer's.
fn reader<T: Types>(criterion: &mut Criterion, name: &str, expected: &[Option<u32>], read: impl Fn() -> T) {
    measured(
        criterion,
        name,
        || ask(&read()),
        || {
            let mut answers = Vec::new();
            let peak = counting::peak(|| answers = ask(&read()));
            let same = answers.iter().zip(expected).filter(|(answer, expected)| answer == expected).count();
            println!(
                "{same} of {} results the same as tracer's, peak of {} KiB",
                expected.len(),
                peak / 1024
            );
        },
    );
}

fn measured<T>(criterion: &mut Criterion, name: &str, read: impl Fn() -> T, tell: impl FnOnce()) {
    let mut tell = Some(tell);
    criterion.benchmark_group("types").sample_size(10).bench_function(name, |bencher| {
        if let Some(tell) = tell.take() {
            tell();
        }
        bencher.iter(&read);
    });
}
