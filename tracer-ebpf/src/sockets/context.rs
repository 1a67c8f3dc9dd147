//! What the kernel passes to iterators, and where they write.

use core::ffi::c_void;

use aya_ebpf::helpers::generated as helpers;
use tracer_ebpf::task::Task;

/// `struct bpf_iter__task_file`
#[repr(C)]
pub struct TaskFile {
    pub meta: *const Meta,
    pub task: *const u8,
    pub fd: u32,
    pub file: *mut c_void,
}

impl TaskFile {
    /// Where to write, the process, and the file; `None` at the end of the iteration.
    #[inline(always)]
    pub fn parts(context: *const Self) -> Option<(*const Meta, Task, *mut c_void)> {
        // SAFETY: the kernel passes a valid context; the verifier knows its layout.
        let (meta, task, file) = unsafe { ((*context).meta, (*context).task, (*context).file) };
        if task.is_null() || file.is_null() { None } else { Some((meta, Task(task), file)) }
    }
}

/// `struct bpf_iter__tcp`
#[repr(C)]
pub struct Tcp {
    pub meta: *const Meta,
    pub socket: *const c_void,
}

/// `struct bpf_iter_meta`
#[repr(C)]
pub struct Meta {
    seq: *mut c_void,
}

/// Writes a record to the reader of the iterator. If its buffer is full, the kernel empties it and calls the
/// program again for the same object.
#[inline(always)]
pub fn write<T>(meta: *const Meta, record: &T) {
    // SAFETY: the kernel's own sequence file; the record is initialised memory of the given size.
    unsafe {
        let record = (&raw const *record).cast_mut().cast();
        helpers::bpf_seq_write((*meta).seq.cast(), record, size_of::<T>() as u32);
    }
}

/// Zeros that fill the kernel's buffer for an iterator where pages have 4 KiB (`bpf_seq_read`: 8 pages). In a larger one
/// they are a record without a cookie.
static FILLER: [u8; 8 * 4096] = [0; 8 * 4096];

/// Ends an iteration: what does not fit into the buffer makes the kernel return what is there, and then fail with E2BIG.
/// A program cannot say so otherwise.
#[inline(always)]
pub fn fill_up(meta: *const Meta) {
    write(meta, &FILLER);
}
