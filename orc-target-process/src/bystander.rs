//! A process that waits while another one runs the program in its name.

use std::sync::atomic::{AtomicI32, Ordering};

use libc::c_int;

/// Signals that are passed on. Those that a terminal sends to the whole group, and so to the program
/// too, are not among them.
const PASSED_ON: &[c_int] = &[
    libc::SIGTERM,
    libc::SIGHUP,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGALRM,
    libc::SIGWINCH,
];

/// Signals of the terminal, which are for the program to react to.
const IGNORED: &[c_int] = &[libc::SIGINT, libc::SIGQUIT];

static PROGRAM: AtomicI32 = AtomicI32::new(0);

/// From now on signals are meant for the process `pid`, a child in this process's group. What this
/// process ignores, it goes on ignoring, as the child does that has inherited it.
pub fn stand_aside(pid: i32) {
    PROGRAM.store(pid, Ordering::Relaxed);
    for &signal in IGNORED {
        set_handler(signal, libc::SIG_IGN);
    }
    for &signal in PASSED_ON {
        if is_default(signal) {
            set_handler(signal, pass_on as *const () as libc::sighandler_t);
        }
    }
}

extern "C" fn pass_on(signal: c_int) {
    // SAFETY: `kill` may be called in a handler, and does nothing to this process's memory.
    unsafe { libc::kill(PROGRAM.load(Ordering::Relaxed), signal) };
}

/// Ends this process by `signal`, so that whoever waits for it learns what has ended the program. The
/// program has left a core file if it was to leave one; this process leaves none.
pub fn end_by_signal(signal: i32) -> ! {
    let none = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: calls about this process, with memory of ours; without a handler, the signal ends it.
    unsafe {
        libc::setrlimit(libc::RLIMIT_CORE, &raw const none);
        set_handler(signal, libc::SIG_DFL);
        let mut only = std::mem::zeroed();
        libc::sigemptyset(&raw mut only);
        libc::sigaddset(&raw mut only, signal);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const only, std::ptr::null_mut());
        libc::raise(signal);
    }
    // A signal that ends nothing here.
    std::process::exit(128 + signal)
}

/// Whether `signal` does here what it does unless somebody asks for something else.
pub(crate) fn is_default(signal: c_int) -> bool {
    handler(signal) == libc::SIG_DFL
}

fn set_handler(signal: c_int, handler: libc::sighandler_t) {
    // SAFETY: zero is a valid value of every field; the handler is a function for signals, or one of the
    // constants.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler;
        action.sa_flags = libc::SA_RESTART;
        libc::sigaction(signal, &raw const action, std::ptr::null_mut());
    }
}

fn handler(signal: c_int) -> libc::sighandler_t {
    // SAFETY: asks only; zero is a valid value of every field.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &raw mut action);
        action.sa_sigaction
    }
}
