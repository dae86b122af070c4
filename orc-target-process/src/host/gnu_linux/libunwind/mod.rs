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

use std::ops::Range;

use libunwind_sys::{
    UNW_TDEP_IP, unw_cursor_t, unw_dyn_info__bindgen_ty_1,
    unw_dyn_info_format_t_UNW_INFO_FORMAT_REMOTE_TABLE, unw_dyn_info_t,
    unw_dyn_remote_table_info_t, unw_get_reg, unw_step,
};

/// More frames than this are taken for an endless loop.
const FRAMES_MAX: usize = 100_000;

/// A table of frames of `code`, as libunwind wants it described: `count` entries at `entries`, each where a
/// function starts and where its FDE is, as signed 32-bit distances from `base`.
fn frame_table(code: Range<u64>, base: u64, entries: u64, count: u64) -> unw_dyn_info_t {
    let rti = unw_dyn_remote_table_info_t {
        name_ptr: 0,
        segbase: base,
        // In words, of which an entry has one.
        table_len: count,
        table_data: entries,
    };
    unw_dyn_info_t {
        next: std::ptr::null_mut(),
        prev: std::ptr::null_mut(),
        start_ip: code.start,
        end_ip: code.end,
        gp: 0,
        format: unw_dyn_info_format_t_UNW_INFO_FORMAT_REMOTE_TABLE as i32,
        pad: 0,
        load_offset: 0,
        u: unw_dyn_info__bindgen_ty_1 { rti },
    }
}

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
