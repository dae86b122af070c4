//! Our handlers, invisible to linked code.
//!
//! Linked code that takes `sigaction` or `signal` from the C library gets these instead. They are the C
//! library's, but for two things: our handler reads as the default, and the default, once set, is our
//! handler. Libraries keep the C library's own.

use std::ffi::c_int;

use super::{SIGNALS, handler};

/// The stand-in for a function of this name, once crashes are reported.
pub(crate) fn stand_in(name: &[u8]) -> Option<*const ()> {
    match name {
        _ if !handler::is_active() => None,
        b"sigaction" | b"__sigaction" => Some(sigaction as *const ()),
        b"signal" | b"ssignal" | b"bsd_signal" => Some(signal as *const ()),
        b"sysv_signal" | b"__sysv_signal" => Some(sysv_signal as *const ()),
        _ => None,
    }
}

/// A library brings a function of this name that linked code gets, as sanitizers do. It sees the real
/// actions, and goes by them, so ours are taken back: the library tells of crashes itself.
pub(crate) fn give_way(name: &[u8]) {
    if stand_in(name).is_some() {
        handler::withdraw();
    }
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
    // SAFETY: the record consists of integers and a pointer that may be null: all zeros are a value.
    let (mut action, mut old): (libc::sigaction, libc::sigaction) =
        unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
    action.sa_sigaction = new;
    action.sa_flags = flags;
    if flags & libc::SA_NODEFER == 0 {
        // SAFETY: the set lies in `action`, which is zeroed: an empty set.
        unsafe { libc::sigaddset(&raw mut action.sa_mask, signal) };
    }
    // SAFETY: two complete records; the handler is the caller's.
    match unsafe { sigaction(signal, &raw const action, &raw mut old) } {
        0 => old.sa_sigaction,
        _ => libc::SIG_ERR,
    }
}
