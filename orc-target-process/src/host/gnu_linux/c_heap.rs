//! The C library's heap: what linked code and this process give each other is of it.

/// Bytes of the C library's `malloc`. Null if it has none.
pub(crate) fn allocate(size: usize) -> *mut u8 {
    // SAFETY: any size may be asked for.
    unsafe { libc::malloc(size).cast() }
}

/// Gives bytes back.
///
/// # Safety
/// They are of the C library's `malloc`, or null, and nobody uses them any more.
pub(crate) unsafe fn free(bytes: *mut u8) {
    // SAFETY: the caller's promise.
    unsafe { libc::free(bytes.cast()) }
}
