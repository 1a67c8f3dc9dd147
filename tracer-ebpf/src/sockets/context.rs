//! What the kernel passes to iterators, and where they write.

use core::ffi::c_void;

use aya_ebpf::helpers::generated as helpers;

/// `struct bpf_iter__task_file`
#[repr(C)]
pub struct TaskFile {
    pub meta: *const Meta,
    pub task: *const u8,
    pub fd: u32,
    pub file: *mut c_void,
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
