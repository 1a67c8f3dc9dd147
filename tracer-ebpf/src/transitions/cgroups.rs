//! Cgroups that are made. One may be gone before user space looks for it.

use core::ffi::c_void;

use aya_ebpf::{
    btf_maps::RingBuf,
    helpers::generated as helpers,
    macros::{btf_map, btf_tracepoint},
    programs::BtfTracePointContext,
};
use tracer_common::cgroup::{MadeCgroup, PATH_LEN};
use tracer_ebpf::cgroup::Cgroup;

/// What is reported and not read yet. When it is full, user space has to look for the cgroup itself.
#[btf_map]
static CGROUPS: RingBuf<(), { 1 << 20 }> = RingBuf::new();

/// A cgroup was made: `(struct cgroup *cgrp, const char *path)`. Nothing is in it yet. The reader is woken
/// if it had read everything so far: a container may be gone after its first connection, with all that its runtime keeps of it.
#[btf_tracepoint(function = "cgroup_mkdir")]
#[inline(always)]
fn cgroup_mkdir(ctx: BtfTracePointContext) -> i32 {
    let cgroup = Cgroup::of_hook(ctx.arg(0));
    if !cgroup.is_v2() {
        return 0;
    }
    let (id, path) = (cgroup.id(), ctx.arg::<*const c_void>(1));
    let Some(mut entry) = CGROUPS.reserve_untyped::<MadeCgroup>(0) else {
        return 0;
    };
    let made = entry.as_mut_ptr();
    // SAFETY: room for a record; the helper writes at most as many bytes as the path has room for.
    unsafe {
        (&raw mut (*made).id).write(id);
        let place = (&raw mut (*made).path).cast();
        let len = helpers::bpf_probe_read_kernel_str(place, PATH_LEN as u32, path);
        (&raw mut (*made).len).write(len);
    }
    entry.submit(0);
    0
}
