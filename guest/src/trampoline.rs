//! Fills a kernel function: attaches programs to its entry until the kernel takes no more.

use std::{
    io,
    mem::{self, size_of},
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
};

use aya::Btf;
use aya_obj::{
    btf::BtfKind,
    generated::{
        bpf_attach_type::BPF_TRACE_FENTRY,
        bpf_attr,
        bpf_cmd::{self, BPF_PROG_LOAD, BPF_RAW_TRACEPOINT_OPEN},
        bpf_prog_type::BPF_PROG_TYPE_TRACING,
    },
};
use nix::libc;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// `r0 = 0; exit`
const NOTHING: [u64; 2] = [0xb7, 0x95];

/// More programs than any kernel takes at a function.
const TOO_MANY: usize = 100;

/// Attaches programs that do nothing, until there is no room for another one. They stay attached until the
/// descriptors are closed.
pub(crate) fn fill(function: &str) -> Vec<OwnedFd> {
    let types = Btf::from_sys_fs().expect("type information");
    let function = types.id_by_type_name_kind(function, BtfKind::Func).expect("the function");
    // Before Linux 5.11 programs count as locked memory.
    let before = getrlimit(Resource::Memlock);
    setrlimit(Resource::Memlock, Rlimit { current: None, maximum: None }).expect("no limit");
    let links = until_full(function);
    setrlimit(Resource::Memlock, before).expect("the limit as it was");
    links
}

/// Attaches to the function with this type id.
fn until_full(function: u32) -> Vec<OwnedFd> {
    let mut links = Vec::new();
    while links.len() < TOO_MANY {
        let program = load(function).expect("a program");
        match attach(&program) {
            Ok(link) => links.push(link),
            Err(error) if error.raw_os_error() == Some(libc::E2BIG) => return links,
            Err(error) => panic!("after {} programs: {error}", links.len()),
        }
    }
    panic!("room for {TOO_MANY} programs");
}

/// Loads a program for the entry of the function.
fn load(function: u32) -> io::Result<OwnedFd> {
    let mut attr = empty();
    attr.__bindgen_anon_3.prog_type = BPF_PROG_TYPE_TRACING as u32;
    attr.__bindgen_anon_3.expected_attach_type = BPF_TRACE_FENTRY as u32;
    attr.__bindgen_anon_3.attach_btf_id = function;
    attr.__bindgen_anon_3.insns = NOTHING.as_ptr() as u64;
    attr.__bindgen_anon_3.insn_cnt = 2;
    attr.__bindgen_anon_3.license = c"GPL".as_ptr() as u64;
    bpf(BPF_PROG_LOAD, &attr)
}

/// Attaches a program. The link keeps it loaded.
fn attach(program: &OwnedFd) -> io::Result<OwnedFd> {
    let mut attr = empty();
    attr.raw_tracepoint.prog_fd = program.as_raw_fd().unsigned_abs();
    bpf(BPF_RAW_TRACEPOINT_OPEN, &attr)
}

fn empty() -> bpf_attr {
    // SAFETY: all variants consist of integers.
    unsafe { mem::zeroed() }
}

/// A `bpf` call that returns a descriptor.
fn bpf(command: bpf_cmd, attr: &bpf_attr) -> io::Result<OwnedFd> {
    // SAFETY: the kernel only reads `attr` and what it points to, which is constant.
    let returned = unsafe { libc::syscall(libc::SYS_bpf, command as u32, attr, size_of::<bpf_attr>()) };
    match i32::try_from(returned) {
        // SAFETY: the descriptor is new, so nothing else owns it.
        Ok(descriptor) if descriptor >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(descriptor) }),
        _ => Err(io::Error::last_os_error()),
    }
}
