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
//!
//! Where the process has such code already, for all runtimes, that is used ([`ExitServices`]). A call for
//! the end of a thread that has nothing more to do is left to the process then.

use core::ffi::c_void;
use core::num::NonZeroUsize;
use core::ptr::null_mut;

use once_cell::race::OnceNonZeroUsize;

use crate::addr;
use crate::arch;
use crate::host::ExitFunction;
use crate::sync::ThreadId;
use orc_shared::{ExecutorAddr, ExitServices, ThreadCall};

/// Address of the process's services, for all runtimes that come and go in it.
static SERVICES: OnceNonZeroUsize = OnceNonZeroUsize::new();
/// Address of a thunk of our own, for processes without services.
static THUNK: OnceNonZeroUsize = OnceNonZeroUsize::new();

/// Uses what the process has already. Of two, the first stays in use.
///
/// # Safety
/// At the address are [`ExitServices`] that stay as long as the runtime, or it is null.
pub unsafe fn set(services: ExecutorAddr) {
    if let Some(services) = NonZeroUsize::new(services.value() as usize) {
        let _in_use = SERVICES.set(services);
    }
}

fn services() -> Option<&'static ExitServices> {
    let services: *const ExitServices =
        addr::to_ptr(ExecutorAddr::new(SERVICES.get()?.get() as u64));
    // SAFETY: whoever has set the address vouched for it (`set`).
    Some(unsafe { &*services })
}

/// The thunk, or nothing if the system refuses a page for it.
pub fn get() -> Option<ExitFunction> {
    if let Some(services) = services() {
        return Some(services.thunk);
    }
    // If another thread is faster, its page is used and this one's is left over, once.
    let thunk = THUNK.get_or_try_init(|| make_page().ok_or(())).ok()?;
    // SAFETY: the page starts with the code of a function of this type (`make_page`).
    Some(unsafe { addr::to_function(ExecutorAddr::new(thunk.get() as u64)) })
}

/// Leaves a call to the process: a later runtime may use it.
///
/// # Safety
/// The C library was asked to make the call when the thread ends, through the thunk, and has not; nothing
/// else refers to it. It is in memory from `malloc`.
pub unsafe fn leave(call: *mut ThreadCall, thread: ThreadId) {
    // SAFETY: as the caller says. Without services, all that is left to do for the call is to be freed.
    unsafe {
        match services() {
            Some(services) => (services.keep)(call, thread.number()),
            None => {
                let free = (libc::free as *const c_void).expose_provenance();
                (*call)
                    .run
                    .store(free, core::sync::atomic::Ordering::Release);
            }
        }
    }
}

/// A call of the calling thread that another runtime has left; null if there is none to spare.
pub fn left_by_others() -> *mut ThreadCall {
    services().map_or(null_mut(), |services| {
        (services.take)(ThreadId::current().number())
    })
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
        arch::publish_code(page.expose_provenance() as u64, size);
        if libc::mprotect(page, size, libc::PROT_READ | libc::PROT_EXEC) != 0 {
            libc::munmap(page, size);
            return None;
        }
        NonZeroUsize::new(page.expose_provenance())
    }
}
