//! Linked code for nongnu libunwind, which profilers, debuggers and allocators walk stacks with.
//!
//! Ranges that the loader knows need nothing: libunwind asks the loader. What this module adds is what
//! libunwind cannot know by itself:
//!
//! - It remembers how to unwind from an address. When code goes away, it has to forget, because other
//!   code may come to the same place.
//! - Frames of code in ranges that the loader does not know are entered in libunwind's own list.
//! - From outside, through `ptrace`, it looks for files that mappings come from, and a range has none. So
//!   [`backtrace_of`] reads the range's table of frames in the traced process.
//!
//! An optional feature (`libunwind`), because building libunwind takes autoconf, automake, libtool and
//! libclang.

mod local;
mod traced;

pub use self::local::backtrace;
pub(crate) use self::local::{Frames, forget};
pub use self::traced::backtrace_of;

use libunwind_sys::{UNW_TDEP_IP, unw_cursor_t, unw_get_reg, unw_step};

/// More frames than this are taken for an endless loop.
const FRAMES_MAX: usize = 100_000;

/// Addresses of the instructions that are running or waiting for a return, innermost first.
///
/// # Safety
/// The cursor is initialized, and what it walks does not change meanwhile.
unsafe fn walk(cursor: &mut unw_cursor_t) -> Vec<u64> {
    let mut addresses = Vec::new();
    while addresses.len() < FRAMES_MAX {
        let mut ip = 0;
        // SAFETY: the caller vouches for the cursor; the place of the answer is valid.
        let known = unsafe { unw_get_reg(cursor, UNW_TDEP_IP as i32, &raw mut ip) };
        if known < 0 || ip == 0 {
            break;
        }
        addresses.push(ip);
        // SAFETY: as above.
        if unsafe { unw_step(cursor) } <= 0 {
            break;
        }
    }
    addresses
}
