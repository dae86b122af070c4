//! Threads of our own in somebody else's process.

use std::thread::JoinHandle;

/// Whether the process has one thread only, as far as the C library knows.
pub(crate) fn is_single_threaded() -> bool {
    // SAFETY: the name is a C string.
    let flag = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"__libc_single_threaded".as_ptr()) };
    // SAFETY: the symbol, where it exists (glibc 2.32), is a `char` for anyone to read.
    !flag.is_null() && unsafe { flag.cast::<u8>().read_volatile() } != 0
}

/// A number that no other living thread of this process has.
pub(crate) fn current() -> u64 {
    // SAFETY: no precondition.
    unsafe { libc::pthread_self() as u64 }
}

/// Which signals a thread blocks.
pub(crate) struct SignalMask(libc::sigset_t);

impl SignalMask {
    /// That of this thread.
    pub(crate) fn current() -> Self {
        let mut mask = std::mem::MaybeUninit::<libc::sigset_t>::zeroed();
        // SAFETY: `mask` is a valid place for the answer; without a new mask nothing changes. All
        // zero is a set, too.
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, std::ptr::null(), mask.as_mut_ptr());
            Self(mask.assume_init())
        }
    }

    /// Does something with these signals blocked and no others.
    pub(crate) fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        let before = Self::current();
        self.set();
        let result = work();
        before.set();
        result
    }

    fn set(&self) {
        // SAFETY: a set that the system made.
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, std::ptr::null_mut())
        };
    }
}

/// Starts a thread that receives none of the program's signals. `None` if the system refuses.
pub(crate) fn spawn_without_signals<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<JoinHandle<T>> {
    let mut all = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    let mut before = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: both sets are valid places; sigfillset initializes the first, and the mask of the
    // calling thread, which the new one inherits, is put back below.
    let masked = unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr())
    };
    let thread = std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(work);
    if masked == 0 {
        // SAFETY: the call above succeeded and stored the previous mask.
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), std::ptr::null_mut());
        }
    }
    thread.ok()
}
