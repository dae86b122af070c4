//! The calls that led to a crash.

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Frames that are kept: the innermost ones.
pub(super) const FRAMES_MAX: usize = 256;

/// Code addresses, from the crash outwards. Filled in while frames are followed, so that what is
/// there counts even if that comes to a bad end.
pub(super) struct Frames {
    addresses: [u64; FRAMES_MAX],
    count: AtomicUsize,
}

#[repr(C)]
struct UnwindContext {
    _opaque: [u8; 0],
}

type TraceFunction = unsafe extern "C" fn(*mut UnwindContext, *mut c_void) -> c_int;

unsafe extern "C" {
    fn _Unwind_Backtrace(trace: TraceFunction, argument: *mut c_void) -> c_int;
    fn _Unwind_GetIPInfo(context: *mut UnwindContext, before: *mut c_int) -> usize;
}

/// Continue.
const URC_NO_REASON: c_int = 0;
/// Stop.
const URC_END_OF_STACK: c_int = 5;

impl Frames {
    pub const fn new() -> Self {
        Self {
            addresses: [0; FRAMES_MAX],
            count: AtomicUsize::new(0),
        }
    }

    pub fn get(&self) -> &[u64] {
        &self.addresses[..self.count.load(Ordering::Acquire)]
    }

    pub fn push(&mut self, address: u64) -> bool {
        let count = self.count.load(Ordering::Relaxed);
        let Some(place) = self.addresses.get_mut(count) else {
            return false;
        };
        *place = address;
        self.count.store(count + 1, Ordering::Release);
        true
    }
}

/// A walk outwards from a signal handler.
struct Walk<'a> {
    frames: &'a mut Frames,
    /// Where the signal stopped the thread: frames count from there, handlers' own do not.
    from: u64,
    arrived: bool,
    followed: usize,
}

/// Follows the calling thread's frames, and keeps those from `from` on, which is where a signal
/// stopped it. Takes no lock.
pub(super) fn follow(frames: &mut Frames, from: u64) {
    let mut walk = Walk {
        frames,
        from,
        arrived: false,
        followed: 0,
    };
    // SAFETY: `visit` gets the walk that it expects, on this thread, during the call.
    unsafe { _Unwind_Backtrace(visit, (&raw mut walk).cast()) };
}

/// Reads what the unwinder reads the first time, so that a handler does not have to.
pub(super) fn prepare() {
    let mut frames = Frames::new();
    follow(&mut frames, 0);
}

/// # Safety
/// Called by the unwinder, with a context of its own and the `Walk` that it was given.
unsafe extern "C" fn visit(context: *mut UnwindContext, walk: *mut c_void) -> c_int {
    // SAFETY: the argument that `follow` passes.
    let walk = unsafe { &mut *walk.cast::<Walk<'_>>() };
    let mut before = 0;
    // SAFETY: the unwinder's own context, and a place for an `int`.
    let address = unsafe { _Unwind_GetIPInfo(context, &raw mut before) } as u64;
    // Where frames say that there is no caller, the unwinder finds one at 0.
    if address == 0 {
        return URC_END_OF_STACK;
    }
    walk.followed += 1;
    walk.arrived |= before != 0 && address == walk.from;
    let room = !walk.arrived || walk.frames.push(address);
    if room && walk.followed < FRAMES_MAX + 64 {
        URC_NO_REASON
    } else {
        URC_END_OF_STACK
    }
}
