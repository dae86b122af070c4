//! `dlopen` and its relatives as linked code calls them: under the names of `<dlfcn.h>`.
//!
//! A call that means a JIT'd dylib, by its name or by its handle, is answered here. Any other goes on to the
//! C library's function as if that had been called itself (`crate::arch`): with the caller's return address,
//! which tells the loader who asks.
//!
//! A dylib that was opened here and is opened again after it was closed starts anew, as a shared library does: its
//! data has its first values ([`crate::saved_data`]), and its initializers run.

use alloc::format;
use alloc::string::String;
use core::ffi::{CStr, c_char, c_int, c_void};

use crate::addr;
use crate::dlfcn;
use crate::loader::Loader;
use crate::registry::{self, Outcome};
use orc_shared::ExecutorAddr;

/// What became of a call; two words, so that it is returned in registers.
#[repr(C)]
pub struct Answer {
    /// What the caller gets.
    value: u64,
    /// 0 if the call is none of ours: the C library's function is to be called.
    is_ours: u64,
}

impl Answer {
    const NOT_OURS: Self = Self {
        value: 0,
        is_ours: 0,
    };

    fn ours(value: u64) -> Self {
        Self { value, is_ours: 1 }
    }

    /// The outcome of a call of ours. What earlier calls have left for `dlerror` is gone, as after any call.
    fn of(outcome: Outcome<u64>, failure: u64) -> Self {
        // SAFETY: forgets the C library's message of this thread.
        unsafe { libc::dlerror() };
        Self::ours(dlfcn::report(outcome, failure))
    }
}

/// What `dlclose` and `dlinfo` return when they fail.
const FAILED: u64 = c_int::cast_unsigned(-1) as u64;

/// The dylib that a handle means, if it means one.
fn dylib_of(handle: *mut c_void) -> Option<ExecutorAddr> {
    dlfcn::forget_error();
    let header = addr::of(handle.cast_const());
    let mut registry = registry::lock();
    registry.dylib(header).ok().map(|_| header)
}

/// `dlopen`.
///
/// # Safety
/// `name` is null or a C string; initializers may be called now.
pub unsafe extern "C" fn open(name: *const c_char, mode: c_int) -> Answer {
    dlfcn::forget_error();
    if name.is_null() {
        return Answer::NOT_OURS;
    }
    // SAFETY: the caller passes a C string.
    let name = unsafe { CStr::from_ptr(name) }.to_bytes();
    let Some(header) = registry::lock().library_named(name) else {
        return Answer::NOT_OURS;
    };
    let opened = Loader::acquire().open(header, mode);
    let opened = opened.map(|opened| opened.map_or(0, |()| header.value()));
    Answer::of(opened, 0)
}

/// `dlsym`.
///
/// # Safety
/// `name` is a C string.
pub unsafe extern "C" fn symbol(handle: *mut c_void, name: *const c_char) -> Answer {
    let Some(header) = dylib_of(handle) else {
        return Answer::NOT_OURS;
    };
    // SAFETY: the caller passes a C string.
    let name = unsafe { CStr::from_ptr(name) }.to_string_lossy();
    Answer::of(open_symbol(header, &name), 0)
}

/// A symbol of a dylib that is open, with what was linked for it initialized.
fn open_symbol(header: ExecutorAddr, name: &str) -> Outcome<u64> {
    check_open(header)?;
    let found = dlfcn::lookup(header, name)?;
    Loader::acquire().initialize_new(header)?;
    Ok(found.value())
}

/// `dlclose`.
///
/// # Safety
/// Nothing of the dylib is used any more if this was its last opening.
pub unsafe extern "C" fn close(handle: *mut c_void) -> Answer {
    let Some(header) = dylib_of(handle) else {
        return Answer::NOT_OURS;
    };
    let closed = Loader::acquire().release(header);
    Answer::of(closed.map(|()| 0), FAILED)
}

/// `dlinfo`: what it tells is the system loader's.
///
/// # Safety
/// As for `dlinfo`.
pub unsafe extern "C" fn information(handle: *mut c_void) -> Answer {
    let Some(header) = dylib_of(handle) else {
        return Answer::NOT_OURS;
    };
    let name = registry::lock()
        .dylib(header)
        .map(|dylib| dylib.name.clone());
    let refused = name.and_then(|name| {
        Err(format!(
            "JIT dylib '{name}': the system's loader, which answers dlinfo, does not know it"
        ))
    });
    Answer::of(refused, FAILED)
}

/// `dlerror`: the C library's is asked if the last call that failed was its own.
pub extern "C" fn error() -> Answer {
    let message = dlfcn::take_error();
    match message.is_null() {
        true => Answer::NOT_OURS,
        false => Answer::ours(addr::of(message).value()),
    }
}

/// `int dlupdate(void *handle)`: links what was added to an open dylib, and runs its initializers. Returns 0,
/// or −1 and leaves an error for `dlerror`.
///
/// # Safety
/// Initializers may be called now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_ext_dlupdate(handle: *mut c_void) -> c_int {
    let updated = match dylib_of(handle) {
        Some(header) => Loader::acquire().update(header),
        None => Err(String::from(
            "dlupdate: the handle is none of a dylib of this session",
        )),
    };
    match Answer::of(updated.map(|()| 0), FAILED).value {
        0 => 0,
        _ => -1,
    }
}

fn check_open(header: ExecutorAddr) -> Outcome<()> {
    let mut registry = registry::lock();
    let dylib = registry.dylib(header)?;
    match dylib.opened_at {
        Some(_) => Ok(()),
        None => Err(format!("JIT dylib '{}' is not open", dylib.name)),
    }
}
