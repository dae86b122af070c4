//! `dlopen` and its relatives for JIT'd dylibs.

use alloc::ffi::CString;
use alloc::format;
use alloc::string::String;
use core::ffi::{CStr, c_char, c_int, c_void};

use orc_shared::ExecutorAddr;

use crate::addr;
use crate::call::{self, wrapper_functions};
use crate::elfnix::__orc_rt_elfnix_symbol_lookup_tag;
use crate::loader::Loader;
use crate::registry::{self, Outcome};
use crate::tls;

/// Opens a JIT'd dylib by name, and runs its initializers if it was not open. Null is the program
/// that runs. Returns its handle, or null and leaves an error for `dlerror`. The mode has no
/// meaning: symbols are bound when code is linked.
///
/// # Safety
/// `name` is null or a C string; the initializers may be called now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_elfnix_jit_dlopen(
    name: *const c_char,
    _mode: c_int,
) -> *mut c_void {
    let opened = if name.is_null() {
        let program = registry::lock().program;
        program.ok_or_else(|| String::from("no JIT'd program is running"))
    } else {
        // SAFETY: the caller passes a C string.
        let name = unsafe { CStr::from_ptr(name) }.to_string_lossy();
        Loader::acquire().open_by_name(&name)
    };
    report(opened.map(addr::to_ptr), core::ptr::null_mut())
}

/// Closes what `__orc_rt_elfnix_jit_dlopen` opened. Returns 0, or −1 and leaves an error.
///
/// # Safety
/// Nothing of the dylib is used any more if this was the last handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_elfnix_jit_dlclose(handle: *mut c_void) -> c_int {
    let closed = Loader::acquire().release(addr::of(handle.cast_const()));
    report(closed.map(|()| 0), -1)
}

/// Has what was added to an open dylib linked, and runs its initializers. Returns 0, or −1 and
/// leaves an error.
///
/// # Safety
/// The initializers may be called now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_elfnix_jit_dlupdate(handle: *mut c_void) -> c_int {
    let updated = Loader::acquire().update(addr::of(handle.cast_const()));
    report(updated.map(|()| 0), -1)
}

/// The address of a symbol of an open dylib (null: the program), or null and an error.
///
/// # Safety
/// `name` is a C string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_elfnix_jit_dlsym(
    handle: *mut c_void,
    name: *const c_char,
) -> *mut c_void {
    // SAFETY: the caller passes a C string.
    let name = unsafe { CStr::from_ptr(name) }.to_string_lossy();
    let program = registry::lock().program;
    let header = match (handle.is_null(), program) {
        (true, Some(program)) => program,
        _ => addr::of(handle.cast_const()),
    };
    report(
        lookup(header, &name).map(addr::to_ptr),
        core::ptr::null_mut(),
    )
}

/// What went wrong last on this thread, once; then null.
#[unsafe(no_mangle)]
pub extern "C" fn __orc_rt_elfnix_jit_dlerror() -> *const c_char {
    take_error()
}

/// The message of this thread's last call that failed, once; it stays there until the next is taken.
pub fn take_error() -> *const c_char {
    let Some(state) = tls::known_thread_state() else {
        return core::ptr::null();
    };
    state.returned_error = state.error.take();
    state
        .returned_error
        .as_ref()
        .map_or(core::ptr::null(), |error| error.as_ptr())
}

/// The message of an earlier call of this thread is gone.
pub fn forget_error() {
    if let Some(state) = tls::known_thread_state() {
        state.error = None;
    }
}

/// Asks the controller for the address of a symbol, and has it linked.
///
/// # Errors
/// When there is no such symbol, or it cannot be linked.
pub fn lookup(header: ExecutorAddr, name: &str) -> Outcome<ExecutorAddr> {
    registry::lock().dylib(header)?;
    let tag = &raw const __orc_rt_elfnix_symbol_lookup_tag;
    call::controller(tag, &(header, name))
        .map_err(|message| format!("cannot look up '{name}': {message}"))
}

/// The value of `outcome`, or `failure` with the message left for `dlerror`: this thread's, and the
/// wrapper's, which is called from any thread.
pub fn report<T>(outcome: Outcome<T>, failure: T) -> T {
    let message = match outcome {
        Ok(value) => return value,
        Err(message) => message,
    };
    if let Some(state) = tls::thread_state() {
        state.error = CString::new(message.as_str()).ok();
    }
    registry::lock().last_error = message;
    failure
}

wrapper_functions! {
    /// `Addr handle(String name, i32 mode)`: a null handle reports failure.
    fn __orc_rt_jit_dlopen_wrapper(name: String, mode: i32) => plain {
        let _ = mode;
        let opened = Loader::acquire().open_by_name(&name);
        report(opened, ExecutorAddr::NULL)
    }

    /// `i32(Addr handle)`.
    fn __orc_rt_jit_dlclose_wrapper(handle: ExecutorAddr) => plain {
        let closed = Loader::acquire().release(handle);
        report(closed.map(|()| 0_i32), -1)
    }

    /// `i32(Addr handle)`.
    fn __orc_rt_jit_dlupdate_wrapper(handle: ExecutorAddr) => plain {
        let updated = Loader::acquire().update(handle);
        report(updated.map(|()| 0_i32), -1)
    }

    /// `String()`: what went wrong last on any thread.
    fn __orc_rt_jit_dlerror_wrapper() => plain {
        registry::lock().last_error.clone()
    }
}
