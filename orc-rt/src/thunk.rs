//! A few bytes of code that outlive the runtime.
//!
//! What is registered with `__cxa_atexit` or for the end of a thread can be called, but not taken
//! back. The runtime's memory may be freed before: LLVM's tool does so before it leaves `main`. So
//! what the C library is given is this thunk, in a page that is never unmapped, and a record, from
//! `malloc`, whose first word says what to do with it:
//!
//! ```text
//! thunk(record):  jump to record->run(record)
//! record->run:    a function of the runtime while that is there, and the C library's `free`
//!                 from the moment the record has nothing more to do
//! ```

use core::num::NonZeroUsize;

use once_cell::race::OnceNonZeroUsize;

use crate::addr;
use crate::arch;
use crate::host::ExitFunction;
use orc_shared::ExecutorAddr;

static THUNK: OnceNonZeroUsize = OnceNonZeroUsize::new();

/// Uses a thunk that the process has already, for all runtimes that come and go in it.
pub fn set(thunk: ExecutorAddr) {
    if let Some(thunk) = NonZeroUsize::new(thunk.value() as usize) {
        // If one is in use already, it stays.
        let _in_use = THUNK.set(thunk);
    }
}

/// The thunk, or nothing if the system refuses a page for it.
pub fn get() -> Option<ExitFunction> {
    // If another thread is faster, its page is used and this one's is left over, once.
    let thunk = THUNK.get_or_try_init(|| make_page().ok_or(())).ok()?;
    // SAFETY: the page starts with the code of a function of this type.
    Some(unsafe { addr::to_function(ExecutorAddr::new(thunk.get() as u64)) })
}

/// Maps a page with the thunk's code: written first, then made executable.
fn make_page() -> Option<NonZeroUsize> {
    let size = arch::RECORD_THUNK.len();
    // SAFETY: a new mapping, which nothing else uses; the size is rounded up by the kernel.
    unsafe {
        let page = libc::mmap(
            core::ptr::null_mut(),
            size,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        );
        if page == libc::MAP_FAILED {
            return None;
        }
        page.cast::<u8>()
            .copy_from_nonoverlapping(arch::RECORD_THUNK.as_ptr(), size);
        if libc::mprotect(page, size, libc::PROT_READ | libc::PROT_EXEC) != 0 {
            libc::munmap(page, size);
            return None;
        }
        NonZeroUsize::new(page.expose_provenance())
    }
}
