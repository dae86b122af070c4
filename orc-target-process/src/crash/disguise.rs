//! Our handlers, invisible to linked code.
//!
//! Linked code that takes `sigaction` or `signal` from the C library gets these instead. They are the C
//! library's, but for two things: our handler reads as the default, and the default, once set, is our
//! handler. Libraries keep the C library's own.

use std::ffi::c_int;

use orc_shared::ExecutorAddr;

use super::{SIGNALS, handler};
use crate::api::{Import, ImportKind, ImportValue};

/// Names of the functions that have a stand-in, and their stand-ins.
fn stand_in(name: &[u8]) -> Option<*const ()> {
    match name {
        b"sigaction" | b"__sigaction" => Some(sigaction as *const ()),
        b"signal" | b"ssignal" | b"bsd_signal" => Some(signal as *const ()),
        b"sysv_signal" | b"__sysv_signal" => Some(sysv_signal as *const ()),
        _ => None,
    }
}

/// Puts the stand-ins in place of what the loader found in the C library, once reports are sent.
///
/// Linked code may reach no further than to the libraries, and this executable is elsewhere. So it
/// gets what `stub_for` makes of a stand-in: code near the libraries that leads there. Where there is
/// none, it gets the C library's function.
pub fn substitute(
    imports: &[Import],
    values: &mut [ImportValue],
    stub_for: impl Fn(ExecutorAddr) -> Option<ExecutorAddr>,
) {
    for (import, value) in imports.iter().zip(values) {
        if let Some(stub) = stand_in_for(import, value).and_then(&stub_for) {
            value.value = stub.value();
        }
    }
}

fn stand_in_for(import: &Import, value: &ImportValue) -> Option<ExecutorAddr> {
    let stand_in = stand_in(&import.name)?;
    // A library that brings its own function, such as a sanitizer's, knows what it does.
    let own =
        handler::is_active() && import.kind == ImportKind::Address && is_of_c_library(value.value);
    own.then(|| ExecutorAddr::new(stand_in.addr() as u64))
}

/// Whether an address lies in the C library.
fn is_of_c_library(addr: u64) -> bool {
    // SAFETY: pointers and integers.
    let mut found: [libc::Dl_info; 2] = unsafe { std::mem::zeroed() };
    let known = libc::abort as *const ();
    for (info, addr) in found.iter_mut().zip([known.addr(), addr as usize]) {
        // SAFETY: asks about an address; the record outlives the call.
        if unsafe { libc::dladdr(std::ptr::without_provenance(addr), info) } == 0 {
            return false;
        }
    }
    found[0].dli_fbase == found[1].dli_fbase
}

/// As the C library's.
///
/// # Safety
/// As the C library's.
pub unsafe extern "C" fn sigaction(
    signal: c_int,
    new: *const libc::sigaction,
    old: *mut libc::sigaction,
) -> c_int {
    let mut set = new;
    // SAFETY: the caller passes null or an action.
    if SIGNALS.contains(&signal) && unsafe { new.as_ref() }.is_some_and(is_default) {
        set = handler::action();
    }
    // SAFETY: the caller's promise, or our own action.
    let outcome = unsafe { libc::sigaction(signal, set, old) };
    // SAFETY: the caller passes null or a place for an action, which is filled in by now.
    let old = unsafe { old.as_mut() }.filter(|_| outcome == 0);
    if let Some(old) = old
        && old.sa_sigaction == handler::address()
    {
        // SAFETY: integers and pointers: the default.
        *old = unsafe { std::mem::zeroed() };
    }
    outcome
}

fn is_default(action: &libc::sigaction) -> bool {
    action.sa_sigaction == libc::SIG_DFL
}

/// As the C library's, with the semantics of BSD.
///
/// # Safety
/// As the C library's.
pub unsafe extern "C" fn signal(signal: c_int, new: libc::sighandler_t) -> libc::sighandler_t {
    // SAFETY: the caller's promise.
    unsafe { set(signal, new, libc::SA_RESTART) }
}

/// As the C library's, with the semantics of System V: a handler is called once.
///
/// # Safety
/// As the C library's.
pub unsafe extern "C" fn sysv_signal(signal: c_int, new: libc::sighandler_t) -> libc::sighandler_t {
    // SAFETY: the caller's promise.
    unsafe { set(signal, new, libc::SA_RESETHAND | libc::SA_NODEFER) }
}

/// # Safety
/// `new` is a handler, or a constant that stands for an action.
unsafe fn set(signal: c_int, new: libc::sighandler_t, flags: c_int) -> libc::sighandler_t {
    // SAFETY: integers and pointers.
    let (mut action, mut old): (libc::sigaction, libc::sigaction) =
        unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
    action.sa_sigaction = new;
    action.sa_flags = flags;
    if flags & libc::SA_NODEFER == 0 {
        // SAFETY: the set lies in the record.
        unsafe { libc::sigaddset(&raw mut action.sa_mask, signal) };
    }
    // SAFETY: two complete records; the handler is the caller's.
    match unsafe { sigaction(signal, &raw const action, &raw mut old) } {
        0 => old.sa_sigaction,
        _ => libc::SIG_ERR,
    }
}
