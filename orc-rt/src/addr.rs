//! The one place where executor addresses become pointers: here they are this process's own.

use core::ffi::c_void;

use orc_shared::{ExecutorAddr, ExecutorAddrRange};

/// The pointer with this address.
pub fn to_ptr<T>(addr: ExecutorAddr) -> *mut T {
    core::ptr::with_exposed_provenance_mut(addr.value() as usize)
}

/// The address of what `ptr` leads to.
pub fn of<T>(ptr: *const T) -> ExecutorAddr {
    ExecutorAddr::new(ptr.expose_provenance() as u64)
}

/// A function of some type, given as an address.
///
/// # Safety
/// `F` is a function pointer type, and at `addr` is a function of that type.
pub unsafe fn to_function<F: Copy>(addr: ExecutorAddr) -> F {
    const { assert!(size_of::<F>() == size_of::<*const c_void>()) };
    let ptr: *const c_void = to_ptr(addr);
    // SAFETY: both are one pointer wide, and the caller vouches for the type.
    unsafe { core::mem::transmute_copy(&ptr) }
}

/// The words of a section that is an array of function addresses.
///
/// # Safety
/// `range` is readable memory that nobody writes to meanwhile.
pub unsafe fn words<'a>(range: ExecutorAddrRange) -> &'a [u64] {
    let count = range.size() as usize / size_of::<u64>();
    if count == 0 {
        return &[];
    }
    // SAFETY: the caller vouches for the memory; linkers align such sections to their words.
    unsafe { core::slice::from_raw_parts(to_ptr(range.start), count) }
}
