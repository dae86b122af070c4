//! Reading and writing the tables of loaded objects: the loader mapped them into this process, so
//! their addresses are host pointers.

/// Reads the `T` at `addr`.
///
/// # Safety
/// `addr` must be mapped, readable, and hold a valid `T`; it need not be aligned.
pub(crate) unsafe fn read<T: Copy>(addr: u64) -> T {
    // SAFETY: the caller's promise.
    unsafe { std::ptr::with_exposed_provenance::<T>(addr as usize).read_unaligned() }
}

/// Writes a word at `addr`, in one store where the address is aligned, so that a thread that reads
/// the slot sees the old value or the new one.
///
/// # Safety
/// The eight bytes at `addr` must be mapped and writable, and used as a plain word.
pub(crate) unsafe fn write_word(addr: u64, value: u64) {
    let slot = std::ptr::with_exposed_provenance_mut::<u64>(addr as usize);
    if slot.is_aligned() {
        // SAFETY: the caller's promise, and the slot is aligned.
        unsafe { slot.write_volatile(value) }
    } else {
        // SAFETY: the caller's promise.
        unsafe { slot.write_unaligned(value) }
    }
}

/// The `count` elements of a table at `addr`.
///
/// # Safety
/// The table must be mapped, aligned for `T`, and stay unchanged and mapped for `'a`.
pub(crate) unsafe fn table<'a, T>(addr: u64, count: usize) -> &'a [T] {
    if count == 0 {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts(std::ptr::with_exposed_provenance(addr as usize), count) }
}

/// The bytes of the C string at `addr`, without its terminator.
///
/// # Safety
/// `addr` must lead to a terminated string that stays mapped and unchanged for `'a`.
pub(crate) unsafe fn c_string<'a>(addr: u64) -> &'a [u8] {
    // SAFETY: the caller's promise.
    unsafe { std::ffi::CStr::from_ptr(std::ptr::with_exposed_provenance(addr as usize)).to_bytes() }
}
