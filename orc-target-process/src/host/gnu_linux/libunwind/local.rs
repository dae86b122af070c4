//! The libunwind of this process.

use std::mem::MaybeUninit;
use std::ops::Range;

use libunwind_sys::{
    _U_dyn_cancel, _U_dyn_register, _Ux86_64_local_addr_space, unw_addr_space_t, unw_cursor_t,
    unw_dyn_info_t, unw_flush_cache, unw_getcontext, unw_init_local,
};
use orc_shared::api::FrameEntry;

unsafe extern "C" {
    /// The space of the variant that walks its own process only, and remembers for itself.
    static _ULx86_64_local_addr_space: unw_addr_space_t;
}

/// Forgets what it knows about code at these addresses, which is gone.
pub(crate) fn forget(code: Range<u64>) {
    // SAFETY: both spaces are the library's own, which exist as long as it is loaded.
    unsafe {
        unw_flush_cache(_Ux86_64_local_addr_space, code.start, code.end);
        unw_flush_cache(_ULx86_64_local_addr_space, code.start, code.end);
    }
}

/// Where a function starts and its FDE, both from the start of the code.
#[repr(C)]
struct Entry {
    pc: i32,
    fde: i32,
}

/// Frames in libunwind's list. Taken out on drop.
pub(crate) struct Frames {
    info: Box<unw_dyn_info_t>,
    /// What `info` points to.
    _table: Box<[Entry]>,
}

// SAFETY: the pointers in it lead to memory that it owns, or are libunwind's, which locks its list.
unsafe impl Send for Frames {}
// SAFETY: nothing can be done with a shared reference.
unsafe impl Sync for Frames {}

impl std::fmt::Debug for Frames {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let code = self.info.start_ip..self.info.end_ip;
        f.debug_struct("Frames")
            .field("code", &code)
            .finish_non_exhaustive()
    }
}

impl Frames {
    /// Enters the frames, which are sorted, of code at these addresses. The FDEs outlive this value.
    /// `None` if an FDE is too far from the code.
    pub(crate) fn new(code: Range<u64>, frames: &[FrameEntry]) -> Option<Self> {
        let offset = |addr: u64| i32::try_from(addr.wrapping_sub(code.start).cast_signed()).ok();
        let entry = |frame: &FrameEntry| {
            let (pc, fde) = (offset(frame.pc.value())?, offset(frame.fde.value())?);
            Some(Entry { pc, fde })
        };
        let table: Box<[Entry]> = frames.iter().map(entry).collect::<Option<_>>()?;
        let (entries, count) = (table.as_ptr() as u64, table.len() as u64);
        let base = code.start;
        let mut info = Box::new(super::frame_table(code, base, entries, count));
        // SAFETY: what is registered, and what it points to, stays where it is until it is cancelled.
        unsafe { _U_dyn_register(&raw mut *info) };
        Some(Self {
            info,
            _table: table,
        })
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        // SAFETY: it was registered when this value was made.
        unsafe { _U_dyn_cancel(&raw mut *self.info) };
    }
}

/// The stack of this thread as libunwind sees it: addresses of instructions, innermost first.
#[must_use]
pub fn backtrace() -> Vec<u64> {
    let mut context = MaybeUninit::uninit();
    let mut cursor = MaybeUninit::<unw_cursor_t>::uninit();
    // SAFETY: the places are valid; this function's frame, which the context describes, is there until the
    // walk is done.
    unsafe {
        if unw_getcontext(context.as_mut_ptr()) != 0
            || unw_init_local(cursor.as_mut_ptr(), context.as_mut_ptr()) != 0
        {
            return Vec::new();
        }
        super::walk(cursor.assume_init_mut())
    }
}
