//! Asking for memory before it is needed.

/// Prefetches all cache lines of a value, without waiting for them. Does nothing on processors other than
/// x86-64.
pub(in crate::track) fn prefetch<T>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let begin = (&raw const *value).cast::<i8>();
        let last = size_of::<T>().saturating_sub(1);
        for line in (0..last).step_by(64).chain([last]) {
            // SAFETY: the address is within the value, or at the value if its size is 0. A prefetch changes
            // nothing that the program can see.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(begin.add(line)) };
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}

/// How many entries ahead of its use a record is prefetched.
const DISTANCE: usize = 16;

/// For a walk through a list whose entries lead to records by way of an index. Call it at each entry:
/// `prefetch_index` gets an entry far ahead, `prefetch_record` one nearer, whose index part has come by then.
pub(in crate::track) fn prefetch_ahead<T>(
    list: &[T],
    at: usize,
    prefetch_index: impl FnOnce(&T),
    prefetch_record: impl FnOnce(&T),
) {
    list.get(at + 2 * DISTANCE).map(prefetch_index);
    list.get(at + DISTANCE).map(prefetch_record);
}
