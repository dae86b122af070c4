//! Stacks for signal handlers.

use std::ffi::c_void;
use std::io;
use std::ptr::null_mut;

use super::check;

/// Bytes of an alternate stack: the kernel's record of the registers takes up to 12 KiB, following the
/// frames some 4 KiB.
const SIZE: usize = 128 << 10;

/// An alternate stack of the thread that made it, for as long as the value lives. It must be dropped
/// on the same thread.
pub struct AlternateStack {
    memory: *mut c_void,
}

impl AlternateStack {
    /// Gives the calling thread an alternate stack, if it has none.
    ///
    /// # Errors
    /// When the system refuses memory.
    pub fn of_this_thread() -> io::Result<Self> {
        // SAFETY: all fields are integers or pointers.
        let mut known: libc::stack_t = unsafe { std::mem::zeroed() };
        // SAFETY: asks only; the record outlives the call.
        check(unsafe { libc::sigaltstack(std::ptr::null(), &raw mut known) })?;
        if known.ss_flags & libc::SS_DISABLE == 0 {
            return Ok(Self { memory: null_mut() });
        }
        let (protection, flags) = (
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK,
        );
        // SAFETY: a new mapping, wherever the system has room.
        let memory = unsafe { libc::mmap(null_mut(), SIZE, protection, flags, -1, 0) };
        if memory == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let this = Self { memory };
        let stack = libc::stack_t {
            ss_sp: memory,
            ss_flags: 0,
            ss_size: SIZE,
        };
        // SAFETY: the memory is the thread's alternate stack until `drop` ends that.
        check(unsafe { libc::sigaltstack(&raw const stack, null_mut()) })?;
        Ok(this)
    }
}

impl Drop for AlternateStack {
    fn drop(&mut self) {
        if self.memory.is_null() {
            return;
        }
        // SAFETY: all fields are integers or pointers.
        let mut current: libc::stack_t = unsafe { std::mem::zeroed() };
        // SAFETY: asks only; the record outlives the call.
        let asked = unsafe { libc::sigaltstack(std::ptr::null(), &raw mut current) };
        if asked == 0 && current.ss_sp == self.memory {
            current.ss_flags = libc::SS_DISABLE;
            // SAFETY: the thread has none then. Refused while a handler runs on it.
            if unsafe { libc::sigaltstack(&raw const current, null_mut()) } != 0 {
                return;
            }
        }
        // SAFETY: the mapping was made above, and is no thread's stack any more.
        unsafe { libc::munmap(self.memory, SIZE) };
    }
}
