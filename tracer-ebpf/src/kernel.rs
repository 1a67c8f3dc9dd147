//! Loads from kernel memory, at offsets that user space found in the kernel's BTF.
//!
//! User space sets the offsets as read-only globals before it loads the program. The verifier takes them for
//! constants, accepts loads at them, and removes the branches for absent members.

use core::{arch::asm, ffi::c_void, mem::MaybeUninit};

use aya_ebpf::{EbpfContext, Global, helpers::generated as helpers};
use tracer_common::{
    helper::{HELPERS as NAMES, Helper},
    member::{ABSENT, COUNT, Member, SOCK_FLAGS, SockFlag},
};

/// Offset of each [`Member`], or [`ABSENT`].
#[unsafe(no_mangle)]
static OFFSETS: [Global<u32>; COUNT] = [const { Global::new(ABSENT) }; COUNT];

/// The bit number of each [`SockFlag`].
#[unsafe(no_mangle)]
static FLAG_BITS: [Global<u32>; SOCK_FLAGS.len()] = [const { Global::new(0) }; 4];

/// 1 for each [`Helper`] that the kernel has.
#[unsafe(no_mangle)]
static HELPERS: [Global<u32>; NAMES.len()] = [const { Global::new(0) }; 3];

/// Loads a member; 0 if the kernel does not have it.
macro_rules! load {
    ($base:expr, $member:ident as $type:ty) => {{
        let offset = $crate::kernel::offset(tracer_common::member::Member::$member);
        if offset == tracer_common::member::ABSENT {
            $crate::kernel::absent() as $type
        } else {
            // SAFETY: the verifier checks `base + offset` against the kernel's own type; a load through a
            // pointer that is no longer valid reads 0.
            unsafe { $base.add(offset as usize).cast::<$type>().read() }
        }
    }};
}

pub(crate) use load;

/// Loads a member of what another member points to; 0 if the kernel lacks either.
macro_rules! follow {
    ($base:expr, $pointer:ident, $member:ident as $type:ty) => {{
        let offset = $crate::kernel::offset(tracer_common::member::Member::$pointer);
        if offset == tracer_common::member::ABSENT {
            $crate::kernel::absent() as $type
        } else {
            // SAFETY: as in `load`; the verifier knows the type that the pointer leads to.
            let next: *const u8 = unsafe { $base.add(offset as usize).cast::<*const u8>().read() };
            $crate::kernel::load!(next, $member as $type)
        }
    }};
}

pub(crate) use follow;

/// Loads a bit field of one bit; 0 if the kernel does not have it.
macro_rules! load_bit {
    ($base:expr, $member:ident) => {{
        let bit = $crate::kernel::offset(tracer_common::member::Member::$member);
        if bit == tracer_common::member::ABSENT {
            $crate::kernel::absent() as u8
        } else {
            // SAFETY: as in `load`.
            (unsafe { $base.add((bit / 8) as usize).read() } >> (bit % 8)) & 1
        }
    }};
}

pub(crate) use load_bit;

/// Length of a jiffy in nanoseconds; 0 if it is not known.
#[unsafe(no_mangle)]
static TICK_NS: Global<u64> = Global::new(0);

/// Zero, without the compiler knowing that. It would otherwise merge the branches of absent members; with a
/// branch of its own for each member, the verifier can remove those that are never taken.
#[inline(always)]
pub(crate) fn absent() -> u64 {
    let zero: u64;
    // SAFETY: sets a register.
    unsafe { asm!("{zero} = 0", zero = out(reg) zero, options(nomem, nostack)) };
    zero
}

/// 1 if the value is not 0, without a branch: older verifiers look at all that follows a branch twice. In assembly,
/// because the compiler knows what the arithmetic means, and would make a branch of it.
#[inline(always)]
pub(crate) fn is_nonzero(value: u64) -> u16 {
    let mut bits = value;
    // SAFETY: arithmetic on registers.
    unsafe {
        asm!(
            "{bits} = -{bits}",
            "{bits} |= {value}",
            "{bits} >>= 63",
            bits = inout(reg) bits,
            value = in(reg) value,
            options(pure, nomem, nostack)
        );
    }
    bits as u16
}

/// Offset of a member, which the verifier takes for a constant.
#[inline(always)]
pub fn offset(member: Member) -> u32 {
    OFFSETS[member as usize].load()
}

/// Bit number of a flag, which the verifier takes for a constant.
#[inline(always)]
pub(crate) fn flag_bit(flag: SockFlag) -> u32 {
    FLAG_BITS[flag as usize].load()
}

/// Whether this kernel has the helper. The verifier takes the answer for a constant and does not look at code
/// that is never reached, so a program may contain calls that an older kernel does not know.
#[inline(always)]
pub fn has(helper: Helper) -> bool {
    HELPERS[helper as usize].load() != 0
}

/// Length of a jiffy in nanoseconds; 0 if it is not known.
#[inline(always)]
pub(crate) fn tick_ns() -> u64 {
    TICK_NS.load()
}

/// `CLOCK_MONOTONIC` in nanoseconds.
#[inline(always)]
pub fn now_ns() -> u64 {
    // SAFETY: reads the clock.
    unsafe { helpers::bpf_ktime_get_ns() }
}

/// Copies from any kernel address (`bpf_probe_read_kernel`); `None` if nothing can be read there.
#[inline(always)]
pub(crate) fn copy<T: Copy>(address: *const u8) -> Option<T> {
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: room for a `T`; the helper says if it could not be read.
    unsafe {
        let size = size_of::<T>() as u32;
        let result = helpers::bpf_probe_read_kernel(value.as_mut_ptr().cast(), size, address.cast());
        (result == 0).then(|| value.assume_init())
    }
}

/// Argument `N` of the hook; behind the last one stands the return value. For a program that chooses between
/// arguments at run time: the compiler would compute the offset first and load once, and the verifier refuses
/// a variable offset into the context.
#[inline(always)]
pub fn argument<const N: usize>(context: &impl EbpfContext) -> *const c_void {
    let argument: *const c_void;
    // SAFETY: a load from the context, which the verifier checks.
    unsafe {
        asm!(
            "{argument} = *(u64 *)({context} + {at})",
            argument = lateout(reg) argument,
            context = in(reg) context.as_ptr(),
            at = const N * size_of::<u64>(),
            options(readonly, nostack)
        );
    }
    argument
}
