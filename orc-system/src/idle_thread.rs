//! Threads that work ahead, at low priority, in a process that runs somebody else's program.
//!
//! Signals are not for them: all are blocked. And a program may fork at any moment, while such a thread holds
//! locks that the child would find held for ever. So what they do is done in pieces, and a fork waits until
//! a piece is done.

use std::cell::Cell;
use std::io;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::thread;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

/// How much nicer these threads are than the one that starts them.
const NICER: libc::c_int = 10;

/// How long a fork waits. A piece of work may wait for the thread that forks, which nobody can know here.
const WAIT_MAX: Duration = Duration::from_millis(500);

/// Held during a piece of work, and during a fork.
static PIECE: Mutex<()> = Mutex::new(());

thread_local! {
    /// Whether this thread is in a piece of work: it may fork itself.
    static IS_AT_WORK: Cell<bool> = const { Cell::new(false) };
    /// The fork that this thread is in.
    static FORK: Cell<Fork> = const { Cell::new(Fork { handlers: 0, piece: None }) };
}

/// A fork that has begun.
struct Fork {
    /// How many handlers have heard of it: they are registered with each thread.
    handlers: u32,
    /// Held if it could be had. Not dropped with the thread, so that nothing has to be registered for that.
    piece: Option<ManuallyDrop<MutexGuard<'static, ()>>>,
}

/// Starts a thread that yields to all others and gets no signals. It is ended with the process, at any moment.
///
/// # Errors
/// When the system refuses it.
pub fn start(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    // Handlers of later forks come first: whoever has registered some before may take locks in them that a piece
    // of work waits for. So each thread registers them again.
    // SAFETY: the three functions may be called around any fork, and are never unloaded.
    unsafe { libc::pthread_atfork(Some(before_fork), Some(after_fork), Some(after_fork)) };
    let before = block_all();
    let thread = thread::Builder::new().name(name.to_owned());
    let started = thread.spawn(move || {
        // SAFETY: it changes how this thread is scheduled; who may not be nicer is not.
        let _ = unsafe { libc::nice(NICER) };
        run();
    });
    // SAFETY: the set was filled by `pthread_sigmask`.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, std::ptr::null_mut()) };
    started.map(drop)
}

/// Does a piece of work of such a thread: no fork happens meanwhile.
pub fn piece<R>(work: impl FnOnce() -> R) -> R {
    /// A panic ends a piece, too.
    struct AtWork;
    impl Drop for AtWork {
        fn drop(&mut self) {
            IS_AT_WORK.set(false);
        }
    }
    let _piece = PIECE.lock();
    IS_AT_WORK.set(true);
    let _at_work = AtWork;
    work()
}

/// Whether this thread is in a piece of work.
#[must_use]
pub fn is_at_work() -> bool {
    IS_AT_WORK.get()
}

/// Blocks all signals in this thread. What was blocked before.
fn block_all() -> libc::sigset_t {
    let mut all = MaybeUninit::uninit();
    let mut before = MaybeUninit::uninit();
    // SAFETY: both sets are valid places; the calls fill the first and then the second.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_BLOCK, all.as_ptr(), before.as_mut_ptr());
        before.assume_init()
    }
}

extern "C" fn before_fork() {
    let mut fork = take_fork();
    if fork.handlers == 0 && !IS_AT_WORK.get() {
        fork.piece = PIECE.try_lock_for(WAIT_MAX).map(ManuallyDrop::new);
    }
    fork.handlers += 1;
    FORK.set(fork);
}

/// In the child there is nobody who waits for the lock.
extern "C" fn after_fork() {
    let mut fork = take_fork();
    fork.handlers = fork.handlers.saturating_sub(1);
    if fork.handlers == 0 {
        drop(fork.piece.take().map(ManuallyDrop::into_inner));
    }
    FORK.set(fork);
}

fn take_fork() -> Fork {
    FORK.replace(Fork {
        handlers: 0,
        piece: None,
    })
}
