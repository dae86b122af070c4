//! A process that waits while another one runs the program in its name.

use std::sync::atomic::{AtomicI32, Ordering};

use libc::{c_int, c_void};

/// Signals that are passed on, beside those for real time.
const PASSED_ON: &[c_int] = &[
    libc::SIGTERM,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGALRM,
    libc::SIGVTALRM,
    libc::SIGPROF,
    libc::SIGIO,
    libc::SIGURG,
    libc::SIGPWR,
];

/// Signals that a terminal sends to the whole group, and so to the program too. They are passed on if
/// another process has sent them, to this one.
const OF_TERMINAL: &[c_int] = &[libc::SIGINT, libc::SIGQUIT, libc::SIGHUP, libc::SIGWINCH];

static PROGRAM: AtomicI32 = AtomicI32::new(0);

/// From now on signals are meant for the process `pid`, a child in this process's group. What this
/// process ignores is passed on too: the child ignores it as well, unless the program has asked for more.
pub fn stand_aside(pid: i32) {
    PROGRAM.store(pid, Ordering::Relaxed);
    let real_time = libc::SIGRTMIN()..=libc::SIGRTMAX();
    let all = PASSED_ON.iter().chain(OF_TERMINAL).copied();
    for signal in all.chain(real_time) {
        if is_default(signal) || handler(signal) == libc::SIG_IGN {
            set_handler(signal, pass_on as *const () as libc::sighandler_t);
        }
    }
}

extern "C" fn pass_on(signal: c_int, info: *const libc::siginfo_t, _: *const c_void) {
    let program = PROGRAM.load(Ordering::Relaxed);
    // SAFETY: the kernel passes what is known of the signal.
    let info = unsafe { &*info };
    if info.si_code == libc::SI_KERNEL && OF_TERMINAL.contains(&signal) {
        return;
    }
    // SAFETY: both may be called in a handler, and do nothing to this process's memory; a signal that was
    // sent with a value has one.
    unsafe {
        if info.si_code == libc::SI_QUEUE {
            libc::sigqueue(program, signal, info.si_value());
        } else {
            libc::kill(program, signal);
        }
    }
}

/// Whether a signal is what ends programs every day: a reader that has seen enough, or the user at the
/// terminal. Shells say nothing of these either.
#[must_use]
pub fn is_usual_end(signal: i32) -> bool {
    matches!(signal, libc::SIGPIPE | libc::SIGINT)
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
        action.sa_flags = libc::SA_RESTART | libc::SA_SIGINFO;
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
