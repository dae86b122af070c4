//! `dlsym` for all that is loaded, and for what is behind the caller.
//!
//! The loader searches the objects of a process in an order, and a linked program is the first. Memory of
//! linked code, and the image that stands for the program, are among the last. So for linked code
//! `RTLD_NEXT` finds nothing, and `RTLD_DEFAULT` finds a library's definition where the program has its own.
//! Here the former looks in all libraries, and the latter in the program first.

use std::ffi::{CStr, c_char, c_void};
use std::sync::atomic::{AtomicPtr, Ordering};

use crate::host::loader::Scope;
use crate::host::program;
use crate::host::race_checker::Unwatched;

/// What the C library would not find: of this version, or the default one if that is null. Null if it is to be
/// asked, which then leaves a message for `dlerror`, too.
///
/// # Safety
/// The name is a C string, the version one or null.
pub(crate) unsafe extern "C" fn find(
    handle: *mut c_void,
    name: *const c_char,
    version: *const c_char,
) -> *mut c_void {
    let _own_work = Unwatched::begin();
    // SAFETY: the caller's promise.
    let text = |text: *const c_char| unsafe { CStr::from_ptr(text) }.to_bytes();
    let version = (!version.is_null()).then(|| text(version));
    let found = match handle {
        // Libraries that are loaded with the program are entered into the global scope last.
        libc::RTLD_NEXT if program::is_entering() => {
            Scope::of_all_libraries().find(text(name), version)
        }
        libc::RTLD_NEXT => Scope::of_libraries().find(text(name), version),
        libc::RTLD_DEFAULT => program::definition(text(name), version),
        handle if handle == whole_process() => program::definition(text(name), version),
        _ => None,
    };
    std::ptr::with_exposed_provenance_mut(found.unwrap_or(0) as usize)
}

/// The handle that `dlopen` returns without a name.
fn whole_process() -> *mut c_void {
    static HANDLE: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
    let known = HANDLE.load(Ordering::Relaxed);
    if !known.is_null() {
        return known;
    }
    // SAFETY: the executable is open anyway.
    let handle = unsafe { libc::dlopen(std::ptr::null(), libc::RTLD_LAZY) };
    HANDLE.store(handle, Ordering::Relaxed);
    handle
}
