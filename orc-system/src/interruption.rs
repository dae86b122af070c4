//! Signals that would end this process while it has something to put away.
//!
//! They are blocked, and a thread waits for them: unlike a handler it may do anything. A program that
//! runs in this process later finds neither the thread nor a change of what signals do.

use std::fs::File;
use std::io::{self, Read as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::thread::JoinHandle;

use libc::c_int;

use crate::bystander;

/// What ends a process unless it does something about it, and comes from a terminal, a user or the system.
const ENDING: [c_int; 4] = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM];

/// While this lives, a signal that would end the process does so only after something was put away.
#[derive(Debug)]
pub struct Interruption {
    /// Ends the thread when it is closed.
    over: Option<io::PipeWriter>,
    thread: Option<JoinHandle<()>>,
    before: libc::sigset_t,
}

impl Interruption {
    /// Calls `put_away` on a thread of its own when such a signal arrives, and then lets the signal end the
    /// process. Signals that are ignored stay ignored, those with a handler keep it.
    ///
    /// # Errors
    /// When the system refuses a descriptor or a thread.
    pub fn expect(put_away: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        let expected = expected();
        let signals = signal_descriptor(&expected)?;
        let (end, over) = io::pipe()?;
        // Threads inherit what is blocked, so none takes the signal.
        let before = block(&expected);
        let wait = move || {
            if let Some(signal) = arrived(&signals, &end) {
                put_away();
                bystander::end_by_signal(signal);
            }
        };
        let named = std::thread::Builder::new().name("orc-jit signals".to_owned());
        let guard = |thread| Self {
            over: Some(over),
            thread,
            before,
        };
        match named.spawn(wait) {
            Ok(thread) => Ok(guard(Some(thread))),
            Err(error) => {
                drop(guard(None));
                Err(error)
            }
        }
    }
}

impl Drop for Interruption {
    /// To be dropped on the thread that made it.
    fn drop(&mut self) {
        drop(self.over.take());
        if let Some(thread) = self.thread.take() {
            // It does not return if a signal has arrived.
            let _ = thread.join();
        }
        // SAFETY: the set was filled by `pthread_sigmask`.
        unsafe {
            libc::pthread_sigmask(
                libc::SIG_SETMASK,
                &raw const self.before,
                std::ptr::null_mut(),
            );
        }
    }
}

/// The signals that end this process as things are.
fn expected() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: `sigemptyset` fills the set, and the numbers are those of signals.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in ENDING {
            if bystander::is_default(signal) {
                libc::sigaddset(set.as_mut_ptr(), signal);
            }
        }
        set.assume_init()
    }
}

/// Blocks signals in this thread. What was blocked before.
fn block(signals: &libc::sigset_t) -> libc::sigset_t {
    let mut before = MaybeUninit::uninit();
    // SAFETY: both sets are valid places, and a call with a valid action fills the second.
    unsafe {
        libc::sigemptyset(before.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_BLOCK, signals, before.as_mut_ptr());
        before.assume_init()
    }
}

fn signal_descriptor(signals: &libc::sigset_t) -> io::Result<File> {
    // SAFETY: the reference is to a set that `sigemptyset` or `pthread_sigmask` has filled; the call reads it alone.
    let number = unsafe { libc::signalfd(-1, signals, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
    if number < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new, and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(number) }.into())
}

/// The signal that arrives; `None` if `end` is closed before.
fn arrived(signals: &File, end: &io::PipeReader) -> Option<c_int> {
    loop {
        let ready = wait_for_any([signals.as_raw_fd(), end.as_raw_fd()])?;
        let mut report = [0; size_of::<libc::signalfd_siginfo>()];
        if ready[0] && (&*signals).read_exact(&mut report).is_ok() {
            // The signal's number comes first.
            let number = u32::from_ne_bytes([report[0], report[1], report[2], report[3]]);
            return c_int::try_from(number).ok();
        }
        if ready[1] {
            return None;
        }
    }
}

/// Which of two descriptors have something to read, or have ended. `None` if the system does not tell.
fn wait_for_any(descriptors: [RawFd; 2]) -> Option<[bool; 2]> {
    let mut polls = descriptors.map(|fd| libc::pollfd {
        fd,
        events: libc::POLLIN,
        revents: 0,
    });
    // SAFETY: the pointer and the length are those of `polls`, which nothing else uses during the call.
    while unsafe { libc::poll(polls.as_mut_ptr(), polls.len() as libc::nfds_t, -1) } < 0 {
        if io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            return None;
        }
    }
    Some(polls.map(|poll| poll.revents != 0))
}
