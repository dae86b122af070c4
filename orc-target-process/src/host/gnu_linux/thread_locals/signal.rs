//! Reaching a thread by a signal: its handler writes the thread's own copy.
//!
//! For threads that the C library's lists do not show, and for C libraries without such lists. A
//! real-time signal that nobody uses is taken, once for the process; the handler stays installed,
//! as a thread may get its signal late. A thread that blocks the signal cannot be reached.

use std::ffi::c_int;
use std::io;
use std::mem::MaybeUninit;
use std::ptr::null_mut;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::TlsError;

const TIME_LIMIT: Duration = Duration::from_secs(1);

/// What the handler is to write.
struct Request {
    /// Offset from the thread pointer.
    tp_offset: i64,
    bytes: Vec<u8>,
    /// The thread that is asked; another one is late.
    thread: c_int,
    state: AtomicU32,
}

const ASKED: u32 = 0;
const DONE: u32 = 1;
/// The thread's pointer does not lead to a control block of the C library.
const FOREIGN: u32 = 2;

static REQUEST: AtomicPtr<Request> = AtomicPtr::new(null_mut());

/// Makes the thread `thread` write `bytes` at `tp_offset` from its pointer. One request at a time:
/// the caller holds the reserve's lock.
///
/// # Errors
/// When the thread does not answer in time. A thread that has ended is no error.
pub(super) fn write(thread: c_int, tp_offset: i64, bytes: &[u8]) -> Result<(), TlsError> {
    let signal = signal_number()?;
    // Leaked if the thread never answers: its handler may read it at any later time.
    let request = Box::into_raw(Box::new(Request {
        tp_offset,
        bytes: bytes.to_vec(),
        thread,
        state: AtomicU32::new(ASKED),
    }));
    REQUEST.store(request, Ordering::Release);
    // SAFETY: the box lives until it is freed below.
    let state = unsafe { &(*request).state };
    let answer = ask(thread, signal, state);
    REQUEST.store(null_mut(), Ordering::Release);
    match answer {
        Some(DONE) => {
            // SAFETY: the only thread that was asked is through with it.
            drop(unsafe { Box::from_raw(request) });
            Ok(())
        }
        Some(FOREIGN) => Err(TlsError::ForeignThread { thread }),
        Some(_) => Err(TlsError::Unreachable { thread, signal }),
        // The thread is gone, and with it the copy.
        None => Ok(()),
    }
}

/// Whether the process has a thread of this id.
pub(super) fn is_alive(thread: c_int) -> bool {
    send(thread, 0)
}

/// Sends a signal, or asks whether one could be sent. Whether the thread exists.
fn send(thread: c_int, signal: c_int) -> bool {
    // SAFETY: signal 0 only asks; ours has a handler.
    unsafe { libc::tgkill(libc::getpid(), thread, signal) == 0 }
}

/// Signals the thread and waits. `None` if there is no such thread (any more).
fn ask(thread: c_int, signal: c_int, state: &AtomicU32) -> Option<u32> {
    if !send(thread, signal) {
        return None;
    }
    let start = Instant::now();
    loop {
        match state.load(Ordering::Acquire) {
            ASKED if start.elapsed() > TIME_LIMIT => return Some(ASKED),
            ASKED if !is_alive(thread) => return None,
            ASKED => std::thread::sleep(Duration::from_micros(50)),
            answer => return Some(answer),
        }
    }
}

extern "C" fn handle(_signal: c_int) {
    // SAFETY: a request is freed only after its own thread has answered, and that is this one, as
    // checked before anything is done.
    let Some(request) = (unsafe { REQUEST.load(Ordering::Acquire).as_ref() }) else {
        return;
    };
    // SAFETY: no precondition.
    if unsafe { libc::gettid() } != request.thread {
        return;
    }
    let pointer = crate::host::arch::threads::thread_pointer();
    // SAFETY: the pointer is this thread's.
    if !unsafe { crate::host::arch::threads::is_of_c_library(pointer) } {
        request.state.store(FOREIGN, Ordering::Release);
        return;
    }
    let at = pointer.wrapping_add_signed(request.tp_offset);
    // SAFETY: the block lies in this thread's part of the reserve and is not yet in use.
    unsafe {
        std::ptr::with_exposed_provenance_mut::<u8>(at as usize)
            .copy_from(request.bytes.as_ptr(), request.bytes.len());
    }
    request.state.store(DONE, Ordering::Release);
}

/// The signal whose handler is ours.
fn signal_number() -> Result<c_int, TlsError> {
    static SIGNAL: OnceLock<Option<c_int>> = OnceLock::new();
    let signal = SIGNAL.get_or_init(|| {
        (libc::SIGRTMIN()..=libc::SIGRTMAX())
            .rev()
            .find(|&signal| install(signal).is_ok() && can_be_sent(signal))
    });
    signal.ok_or(TlsError::NoSignal)
}

/// Whether the signal can be sent, for which this thread gets one: the handler has nothing to do.
/// Emulators have fewer signals than they take handlers for.
fn can_be_sent(signal: c_int) -> bool {
    // SAFETY: no precondition.
    send(unsafe { libc::gettid() }, signal)
}

/// Takes a signal that has no handler yet.
fn install(signal: c_int) -> io::Result<()> {
    let mut old = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: a null action only asks; all-zero is a valid `sigaction`.
    let old = unsafe {
        if libc::sigaction(signal, std::ptr::null(), old.as_mut_ptr()) != 0 {
            return Err(io::Error::last_os_error());
        }
        old.assume_init()
    };
    if old.sa_sigaction != libc::SIG_DFL {
        return Err(io::ErrorKind::AddrInUse.into());
    }
    // SAFETY: as above.
    let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    action.sa_sigaction = handle as *const () as usize;
    action.sa_flags = libc::SA_RESTART | libc::SA_ONSTACK;
    // SAFETY: the handler only does what is allowed in one.
    match unsafe { libc::sigaction(signal, &raw const action, null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[cfg(feature = "tls-reserve")]
    #[test]
    fn a_thread_writes_its_own_copy_unless_it_blocks_the_signal() {
        let block = super::super::Reserve::get().reserve(8, 8).expect("free");
        let orc_shared::api::TlsPlace::Fixed(tp_offset) = block.place else {
            panic!("{block:?}");
        };
        let (send, receive) = mpsc::channel();
        let (go, wait) = mpsc::channel::<bool>();
        let thread = std::thread::spawn(move || {
            // SAFETY: no precondition.
            send.send(unsafe { libc::gettid() }).expect("received");
            wait.recv().expect("sent");
            let at = crate::host::arch::threads::thread_pointer().wrapping_add_signed(tp_offset);
            // SAFETY: `tp_offset` is that of a block in the static thread-locals, which every thread has.
            let value = unsafe { crate::host::loader::tables::read::<u64>(at) };
            // SAFETY: blocks the signals of this thread only.
            unsafe {
                let mut all = MaybeUninit::uninit();
                libc::sigfillset(all.as_mut_ptr());
                libc::pthread_sigmask(libc::SIG_BLOCK, all.as_ptr(), null_mut());
            }
            send.send(i32::try_from(value).expect("small"))
                .expect("received");
            wait.recv().expect("sent");
        });
        let id = receive.recv().expect("sent");
        write(id, tp_offset, &77u64.to_ne_bytes()).expect("answers");
        go.send(true).expect("running");
        assert_eq!(receive.recv().expect("sent"), 77);
        let error = write(id, tp_offset, &[1]).expect_err("blocks all signals");
        assert!(matches!(error, TlsError::Unreachable { thread, .. } if thread == id));
        go.send(true).expect("running");
        thread.join().expect("ends");
        write(id, tp_offset, &[1]).expect("no such thread any more");
    }
}
