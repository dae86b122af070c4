//! What a race checker of the process is not to see: our own threads at work.
//!
//! ThreadSanitizer learns of memory and of order between threads from functions of the C library that it
//! replaces. Linked code's sanitizer is part of the whole process, so it also hears of what we allocate,
//! copy and free. But it does not hear of our locks, which ask the kernel directly, and would take
//! every block that one of our threads hands to another for a race. So it is told to look away while a
//! thread does work of ours, and to look again while that thread runs linked code.

use std::cell::Cell;
use std::ffi::CStr;
use std::sync::OnceLock;

type Switch = unsafe extern "C" fn();

/// The checker's functions that make it look away and look again, if the process has one.
static FUNCTIONS: OnceLock<Option<(Switch, Switch)>> = OnceLock::new();

thread_local! {
    /// Whether this thread's work is not watched.
    static UNWATCHED: Cell<bool> = const { Cell::new(false) };
}

/// Finds the process's race checker. Needs the loader's lock, which nothing else here does.
pub(crate) fn prepare() {
    FUNCTIONS.get_or_init(|| {
        let begin = function(c"__tsan_ignore_thread_begin")?;
        // A program's own start does this, which is later than the first call here.
        let initialize = function(c"__tsan_init")?;
        // SAFETY: it may be called any number of times.
        unsafe { initialize() };
        Some((begin, function(c"__tsan_ignore_thread_end")?))
    });
}

/// Lets this thread's work be watched or not. Returns whether it was not.
pub(crate) fn set_unwatched(unwatched: bool) -> bool {
    let Some(Some((begin, end))) = FUNCTIONS.get() else {
        return false;
    };
    let before = UNWATCHED.replace(unwatched);
    if before != unwatched {
        let switch = if unwatched { begin } else { end };
        // SAFETY: the functions count for the calling thread, and are called in pairs.
        unsafe { switch() };
    }
    before
}

/// Work of ours on this thread, until it is dropped.
pub(crate) struct Unwatched {
    before: bool,
}

impl Unwatched {
    pub(crate) fn begin() -> Self {
        let before = set_unwatched(true);
        Self { before }
    }
}

impl Drop for Unwatched {
    fn drop(&mut self) {
        set_unwatched(self.before);
    }
}

/// Runs linked code, which is watched.
pub(crate) fn watched<T>(linked_code: impl FnOnce() -> T) -> T {
    let before = set_unwatched(false);
    let result = linked_code();
    set_unwatched(before);
    result
}

fn function(name: &CStr) -> Option<Switch> {
    // SAFETY: the name is a C string.
    let addr = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    // SAFETY: both names are functions without arguments or a result (`tsan_interface.h`).
    (!addr.is_null()).then(|| unsafe { std::mem::transmute::<*mut libc::c_void, Switch>(addr) })
}
