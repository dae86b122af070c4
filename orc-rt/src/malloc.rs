//! Memory from the process's `malloc`.

use core::ffi::c_void;

use orc_shared::WrapperAllocator;

/// `malloc` and `free` of the process, which wrapper results are passed through and which the
/// runtime's own collections use.
pub struct Malloc;

// SAFETY: these are the process's `malloc` and `free`, which LLVM's side of wrapper calls uses too.
unsafe impl WrapperAllocator for Malloc {
    fn allocate(size: usize) -> *mut u8 {
        // SAFETY: `malloc` may be called with any size.
        unsafe { libc::malloc(size) }.cast()
    }

    unsafe fn free(ptr: *mut u8) {
        // SAFETY: `ptr` came from `malloc` (the trait's contract).
        unsafe { libc::free(ptr.cast::<c_void>()) }
    }
}

#[cfg(all(feature = "archive", not(test)))]
mod global {
    use super::Malloc;
    use core::alloc::{GlobalAlloc, Layout};
    use core::ffi::c_void;

    /// What `malloc` aligns to without being asked (`max_align_t`).
    const MALLOC_ALIGN: usize = 16;

    #[global_allocator]
    static GLOBAL: Malloc = Malloc;

    // SAFETY: `malloc` and its relatives follow `GlobalAlloc`'s rules for alignments up to
    // `MALLOC_ALIGN`, and `posix_memalign` does for larger ones; `free` takes both.
    unsafe impl GlobalAlloc for Malloc {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            if layout.align() <= MALLOC_ALIGN {
                // SAFETY: `malloc` may be called with any size.
                return unsafe { libc::malloc(layout.size()) }.cast();
            }
            let mut block: *mut c_void = core::ptr::null_mut();
            // SAFETY: the alignment is a power of two above 8, and `block` is a valid place.
            let status = unsafe { libc::posix_memalign(&mut block, layout.align(), layout.size()) };
            if status == 0 {
                block.cast()
            } else {
                core::ptr::null_mut()
            }
        }

        unsafe fn dealloc(&self, ptr: *mut u8, _layout: Layout) {
            // SAFETY: `ptr` came from `alloc`.
            unsafe { libc::free(ptr.cast()) }
        }
    }
}
