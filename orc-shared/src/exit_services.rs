//! What a process offers to the runtimes that come and go in it, for calls that the C library makes
//! later: at the end of a thread or of the process, when the runtime that asked for them may be gone.

use core::ffi::c_void;
use core::sync::atomic::AtomicUsize;

/// So many calls of a thread may wait without a use before one is used again. Using one again may put
/// the destructor behind those of other libraries that were registered in between: so not the first ones.
pub const IDLE_CALLS_KEPT: usize = 64;

/// Start of a call that the C library makes at the end of a thread, through the process's
/// [`thunk`](ExitServices::thunk). In memory from `malloc`.
#[derive(Debug)]
#[repr(C)]
pub struct ThreadCall {
    /// Address of what the thunk jumps to, with the call as its argument.
    pub run: AtomicUsize,
    /// Not 0 once a call that was [kept](ExitServices::keep) has been made. Code of the process stores it
    /// as this structure's second word.
    pub made: AtomicUsize,
}

/// Functions of a process that outlive what is linked into it. They take `malloc`'s memory and give it
/// back to `free`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct ExitServices {
    /// Jumps to what the first word of its argument leads to.
    pub thunk: unsafe extern "C" fn(*mut c_void),
    /// Takes over a call of the thread with this `pthread_self`, for a runtime that ends.
    ///
    /// # Safety
    /// The C library was asked to make the call, with [`Self::thunk`], and has not; nothing else refers
    /// to it.
    pub keep: unsafe extern "C" fn(call: *mut ThreadCall, thread: u64),
    /// A call of the calling thread, whose `pthread_self` is passed, for a runtime that needs one; null
    /// unless more than [`IDLE_CALLS_KEPT`] are kept. It is the caller's, who sets all of it.
    pub take: extern "C" fn(thread: u64) -> *mut ThreadCall,
}
