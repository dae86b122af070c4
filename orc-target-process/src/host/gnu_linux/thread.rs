//! Threads of our own in somebody else's process.

use std::collections::HashSet;
use std::ffi::c_void;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;

use parking_lot::Mutex;

/// The threads of our own, by the kernel's number.
static OWN: Mutex<Option<HashSet<i32>>> = Mutex::new(None);

/// A thread of our own is in [`OWN`] while this lives.
struct Listed(i32);

impl Listed {
    fn new() -> Self {
        // SAFETY: no precondition.
        let number = unsafe { libc::gettid() };
        OWN.lock().get_or_insert_default().insert(number);
        Self(number)
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        if let Some(own) = &mut *OWN.lock() {
            own.remove(&self.0);
        }
    }
}

/// Whether this is the thread that the process was started with.
pub(crate) fn is_first() -> bool {
    // SAFETY: no precondition.
    unsafe { libc::gettid() == libc::getpid() }
}

/// The calling thread's `pthread_self`: no two threads that live have the same.
pub(crate) fn number() -> u64 {
    // SAFETY: no precondition.
    unsafe { libc::pthread_self() }
}

/// Whether any thread lives beside the first one and those of our own.
///
/// # Errors
/// When the system does not tell.
pub(crate) fn has_others() -> io::Result<bool> {
    let first = i32::try_from(std::process::id()).map_err(io::Error::other)?;
    let mut all = Vec::new();
    for entry in std::fs::read_dir("/proc/self/task")? {
        let number = entry?
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        all.push(number.ok_or(io::ErrorKind::InvalidData)?);
    }
    // Asked afterwards: one of ours that has started since is in neither, and one that ends now is
    // taken for another's, until the next time.
    let own = OWN.lock();
    let is_own = |number| own.as_ref().is_some_and(|own| own.contains(number));
    Ok(all.iter().any(|number| *number != first && !is_own(number)))
}

/// Calls `notify` when this thread ends, not when the process does. One thread may ask for it.
///
/// # Errors
/// When the system refuses.
pub(crate) fn when_this_thread_ends(notify: extern "C" fn(*mut c_void)) -> io::Result<()> {
    let mut key = 0;
    // SAFETY: the place is valid; the destructor is called with the value that is set below.
    let mut error = unsafe { libc::pthread_key_create(&raw mut key, Some(notify)) };
    if error == 0 {
        // Any value but null.
        let value = std::ptr::without_provenance(1);
        // SAFETY: the key was made above.
        error = unsafe { libc::pthread_setspecific(key, value) };
    }
    match error {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

/// The end of a thread, to be waited for by others: a word with the thread's number, in which the kernel
/// stores zero then, and wakes one of those who wait there. The C library sets it up for `pthread_join`.
pub(crate) struct EndOfThread {
    word: &'static AtomicU32,
    number: u32,
}

/// How long the end of a thread may go unnoticed if somebody else was told of it.
static LOOK_AGAIN: libc::timespec = libc::timespec {
    tv_sec: 1,
    tv_nsec: 0,
};

impl EndOfThread {
    /// That of the calling thread, the process's first: its record is never given back. `None` where the
    /// kernel does not tell.
    pub(crate) fn of_this_one() -> Option<Self> {
        let mut word: *mut u32 = std::ptr::null_mut();
        // SAFETY: `word` is a valid place for the answer.
        let told = unsafe { libc::prctl(libc::PR_GET_TID_ADDRESS, &raw mut word) };
        if told != 0 || word.is_null() || !word.is_aligned() {
            return None;
        }
        // SAFETY: the kernel's word for this thread, in the C library's record of it.
        let word = unsafe { AtomicU32::from_ptr(word) };
        // SAFETY: no precondition.
        let number = unsafe { libc::gettid() } as u32;
        (word.load(Ordering::Acquire) == number).then_some(Self { word, number })
    }

    /// Waits for it.
    pub(crate) fn wait(&self) {
        // Whoever has joined the thread stores another value than the kernel.
        while self.word.load(Ordering::Acquire) == self.number {
            // SAFETY: waits on an aligned word, for a time that is a constant. The kernel wakes those
            // who wait as if they were of any process.
            unsafe {
                let (word, time) = (self.word.as_ptr(), &raw const LOOK_AGAIN);
                libc::syscall(libc::SYS_futex, word, libc::FUTEX_WAIT, self.number, time);
            }
        }
        // If it was this thread that the kernel has woken, nobody else was.
        // SAFETY: wakes those who wait for the same.
        unsafe {
            libc::syscall(
                libc::SYS_futex,
                self.word.as_ptr(),
                libc::FUTEX_WAKE,
                i32::MAX,
            )
        };
    }

    /// Whether another thread has joined the one that has ended, and so has outlived it.
    pub(crate) fn was_joined(&self) -> bool {
        // The kernel stores zero, `pthread_join` another value after that.
        ![0, self.number].contains(&self.word.load(Ordering::Acquire))
    }
}

/// The code with which the process's first thread has ended, where the kernel tells.
pub(crate) fn exit_code_of_first() -> i32 {
    let path = format!("/proc/self/task/{}/stat", std::process::id());
    let stat = std::fs::read_to_string(path).unwrap_or_default();
    // The last field is a status as `wait` has it.
    let status = stat.split_ascii_whitespace().last();
    let status = status.and_then(|status| status.parse().ok());
    status.map_or(0, |status: i32| libc::WEXITSTATUS(status))
}

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
        // SAFETY: the set was filled by `pthread_sigmask`; it is read alone.
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
        .spawn(move || {
            let _listed = Listed::new();
            let _unwatched = super::race_checker::Unwatched::begin();
            work()
        });
    if masked == 0 {
        // SAFETY: the call above succeeded and stored the previous mask.
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), std::ptr::null_mut());
        }
    }
    thread.ok()
}
