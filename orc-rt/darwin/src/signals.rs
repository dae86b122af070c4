//! Signals: some have other numbers. Handlers are passed the system's number, so only signals that have the same in both
//! can be handled.

use core::ffi::c_int;

/// Signals that have other numbers: macOS's, ours.
const OTHER: [(c_int, c_int); 12] = [
    (10, libc::SIGBUS),
    (12, libc::SIGSYS),
    (16, libc::SIGURG),
    (17, libc::SIGSTOP),
    (18, libc::SIGTSTP),
    (19, libc::SIGCONT),
    (20, libc::SIGCHLD),
    (23, libc::SIGIO),
    (30, libc::SIGUSR1),
    (31, libc::SIGUSR2),
    (7, 0),
    (29, 0),
];

/// A signal's number here; 0 for one that there is not.
fn own_number(signal: c_int) -> c_int {
    let other = OTHER.iter().find(|(theirs, _)| *theirs == signal);
    other.map_or(signal, |(_, ours)| *ours)
}

/// `signal`.
///
/// # Safety
/// As for `signal`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_ext_darwin_signal(
    signal: c_int,
    handler: libc::sighandler_t,
) -> libc::sighandler_t {
    let is_function = handler > libc::SIG_IGN;
    let number = own_number(signal);
    if is_function && number != signal {
        // SAFETY: the place of `errno` is this thread's.
        unsafe { *libc::__errno_location() = libc::EINVAL };
        return libc::SIG_ERR;
    }
    // SAFETY: the caller's handler.
    unsafe { libc::signal(number, handler) }
}

/// `raise`.
#[unsafe(no_mangle)]
pub extern "C" fn __orc_rt_ext_darwin_raise(signal: c_int) -> c_int {
    // SAFETY: a program may raise what it wants.
    unsafe { libc::raise(own_number(signal)) }
}

/// `kill`.
#[unsafe(no_mangle)]
pub extern "C" fn __orc_rt_ext_darwin_kill(process: libc::pid_t, signal: c_int) -> c_int {
    // SAFETY: the system decides what a program may do.
    unsafe { libc::kill(process, own_number(signal)) }
}
