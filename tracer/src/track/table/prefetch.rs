//! Asking for memory before it is needed.

/// Has all of a value brought near, without waiting for it. On other processors than these it is waited
/// for where it is used.
pub(in crate::track) fn prefetch<T>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let begin = (&raw const *value).cast::<i8>();
        let last = size_of::<T>().saturating_sub(1);
        for line in (0..last).step_by(64).chain([last]) {
            // SAFETY: within the value, or at its place where it has no size; and a prefetch reads nothing
            // that the program would see.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(begin.add(line)) };
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}

/// Entries between asking for memory and using it.
const AHEAD: usize = 16;

/// Going through a list whose entries lie two steps away: `first` is called far ahead of `index` to ask for
/// what tells where, `second` nearer to it to ask for what lies there.
pub(in crate::track) fn ahead<T>(list: &[T], index: usize, first: impl FnOnce(&T), second: impl FnOnce(&T)) {
    list.get(index + 2 * AHEAD).map(first);
    list.get(index + AHEAD).map(second);
}
