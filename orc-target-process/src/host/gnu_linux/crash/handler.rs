//! The handler: one report, then the signal's default.

use std::cell::UnsafeCell;
use std::ffi::{c_int, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::ptr::{null, null_mut};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, Ordering};

use super::frames::{self, Frames};
use super::message::Message;
use super::{SIGNALS, Sink, check};
use crate::host::arch::registers;
use crate::host::maps::Buffer;

/// Mappings that end or begin this close to the fault are reported too: they tell what was missed.
const NEAR: u64 = 1 << 16;

/// How long the other threads wait for the one that reports, in milliseconds.
const WAIT_MAX_MS: u32 = 5000;

/// Where the report goes, and the process that it is about.
static SINK: OnceLock<(&'static dyn Sink, libc::pid_t)> = OnceLock::new();

/// The thread that reports; 0 while nobody does.
static REPORTER: AtomicI32 = AtomicI32::new(0);

/// How far the report is.
static STAGE: AtomicU32 = AtomicU32::new(FOLLOWING);
/// Frames are being followed, which may fault.
const FOLLOWING: u32 = 0;
/// What was found is being written down and sent.
const SENDING: u32 = 1;

/// What the kernel said of the signal that is reported.
static INFO: AtomicPtr<libc::siginfo_t> = AtomicPtr::new(null_mut());
static CONTEXT: AtomicPtr<libc::ucontext_t> = AtomicPtr::new(null_mut());

/// Memory of the thread that reports.
struct Workspace {
    message: UnsafeCell<Message>,
    frames: UnsafeCell<Frames>,
    map: UnsafeCell<Buffer>,
}

// SAFETY: only the thread in `REPORTER` uses it. Its handler may interrupt itself while it follows
// frames; what both then use are the frames found so far, whose count is atomic.
unsafe impl Sync for Workspace {}

static WORKSPACE: Workspace = Workspace {
    message: UnsafeCell::new(Message::new()),
    frames: UnsafeCell::new(Frames::new()),
    map: UnsafeCell::new(Buffer::new()),
};

/// Sends a report to `sink` when a signal of [`SIGNALS`] is about to end this process. Where a signal
/// has a handler, or is ignored, that stays. The first call of a process counts.
///
/// # Errors
/// When the system refuses a handler.
pub fn report_to(sink: &'static dyn Sink) -> io::Result<()> {
    frames::prepare();
    if SINK.set((sink, own_process())).is_err() {
        return Ok(());
    }
    for signal in SIGNALS {
        // SAFETY: the record consists of integers and a pointer that may be null: all zeros are a value.
        let mut known: libc::sigaction = unsafe { std::mem::zeroed() };
        // SAFETY: without a new action the call changes nothing; `known` is a place for the old one.
        check(unsafe { libc::sigaction(signal, null(), &raw mut known) })?;
        if known.sa_sigaction == libc::SIG_DFL {
            // SAFETY: a complete record, and a handler of the type that its flags promise.
            check(unsafe { libc::sigaction(signal, &raw const *action(), null_mut()) })?;
        }
    }
    Ok(())
}

/// Gives signals their default actions back where ours are in force.
pub(super) fn withdraw() {
    for signal in SIGNALS {
        // SAFETY: integers and pointers: the default.
        let (mut known, default): (libc::sigaction, libc::sigaction) =
            unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
        // SAFETY: asks, and sets a complete record. A failure leaves what was.
        unsafe {
            libc::sigaction(signal, null(), &raw mut known);
            if known.sa_sigaction == address() {
                libc::sigaction(signal, &raw const default, null_mut());
            }
        }
    }
}

/// Whether reports are sent at all.
pub(super) fn is_active() -> bool {
    SINK.get().is_some()
}

/// Our action, for [`super::SIGNALS`].
pub(super) fn action() -> &'static libc::sigaction {
    static ACTION: OnceLock<libc::sigaction> = OnceLock::new();
    ACTION.get_or_init(|| {
        // SAFETY: the record consists of integers and a pointer that may be null: all zeros are a value.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = address();
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        // SAFETY: the set lies in `action`, and the call fills it.
        unsafe { libc::sigfillset(&raw mut action.sa_mask) };
        action
    })
}

/// The handler, as the kernel knows it.
pub(super) fn address() -> libc::sighandler_t {
    handle as *const () as libc::sighandler_t
}

extern "C" fn handle(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let thread = own_thread();
    let Some((sink, _)) = SINK.get().filter(|(_, process)| *process == own_process()) else {
        // A child that was forked: nobody waits for its report.
        // SAFETY: what the kernel passed to this handler.
        return unsafe { end(signal, info) };
    };
    match REPORTER.compare_exchange(0, thread, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => {
            INFO.store(info, Ordering::Release);
            CONTEXT.store(context.cast(), Ordering::Release);
            // SAFETY: this thread is the reporter, and the context is the kernel's.
            unsafe { collect(context.cast()) };
            // SAFETY: the records live until this handler returns, and then the process ends.
            return unsafe {
                send(*sink);
                end(signal, info);
            };
        }
        Err(reporter) if reporter == thread => {
            // Following the frames has faulted.
            // SAFETY: the first handler's records, which are further down on this stack.
            unsafe { send(*sink) };
        }
        Err(_) => wait(),
    }
    let first = INFO.load(Ordering::Acquire);
    // SAFETY: a signal's record, as above.
    unsafe { die((*first).si_signo, first) };
}

/// Another thread reports, and the process will end.
fn wait() {
    for _ in 0..WAIT_MAX_MS {
        let pause = libc::timespec {
            tv_sec: 0,
            tv_nsec: 1_000_000,
        };
        // SAFETY: a complete record; what is left of the time is of no interest.
        unsafe { libc::nanosleep(&raw const pause, null_mut()) };
    }
}

/// Finds the frames.
///
/// # Safety
/// Called in the handler, by the reporter, with the context that the kernel passed.
unsafe fn collect(context: *mut libc::ucontext_t) {
    // SAFETY: the kernel's record, which nobody else looks at here.
    let (counter, stack) = unsafe {
        (
            registers::program_counter(&*context),
            registers::stack_pointer(&*context),
        )
    };
    let (mut is_code, mut has_stack) = (false, false);
    // SAFETY: the caller is the thread in `REPORTER`, which alone uses the workspace.
    let map = unsafe { &mut *WORKSPACE.map.get() };
    map.for_each(|mapping| {
        is_code |= mapping.executable && mapping.range.contains(&counter);
        has_stack |= mapping.readable && mapping.range.contains(&stack);
    });
    set_blocked(libc::SIG_UNBLOCK, &[libc::SIGSEGV, libc::SIGBUS]);
    // SAFETY: the caller is the thread in `REPORTER`, which alone uses the workspace.
    let frames = unsafe { &mut *WORKSPACE.frames.get() };
    if is_code {
        frames::follow(frames, counter);
        if frames.get().is_empty() {
            frames.push(counter);
        }
    } else {
        // Somebody went where there is no code, by a call more likely than by a jump. The
        // unwinder would read instructions there, so it is shown the caller.
        frames.push(counter);
        if has_stack {
            // SAFETY: the stack pointer leads to readable memory, and the context is the kernel's. The
            // unwinder reads it where it lies.
            unsafe {
                let before = registers::return_from_call(context);
                let caller = registers::program_counter(&*context);
                frames::follow(frames, caller);
                registers::put_back(context, before);
            }
        }
    }
    set_blocked(libc::SIG_BLOCK, &[libc::SIGSEGV, libc::SIGBUS]);
}

/// Writes the report down and sends it, unless that was begun already.
///
/// # Safety
/// Called in the handler, by the reporter.
unsafe fn send(sink: &dyn Sink) {
    if STAGE.swap(SENDING, Ordering::AcqRel) != FOLLOWING {
        return;
    }
    // SAFETY: what the kernel passed to the first handler of this thread.
    let (info, context) = unsafe {
        (
            &*INFO.load(Ordering::Acquire),
            &*CONTEXT.load(Ordering::Acquire),
        )
    };
    // SAFETY: the reporter's memory, which only this function writes to at this stage.
    let (message, frames, map) = unsafe {
        (
            &mut *WORKSPACE.message.get(),
            &*WORKSPACE.frames.get(),
            &mut *WORKSPACE.map.get(),
        )
    };
    write(message, info, context, frames.get(), map);
    if let Some(message) = message.finish() {
        sink.send(message);
    }
}

/// The fields of a `CrashReport`, in order.
fn write(
    message: &mut Message,
    info: &libc::siginfo_t,
    context: &libc::ucontext_t,
    frames: &[u64],
    map: &mut Buffer,
) {
    // A signal that a process or thread sent has the sender's id in place of an address.
    let fault = if info.si_code > 0 {
        // SAFETY: so a union's field for these signals.
        unsafe { info.si_addr() }.addr() as u64
    } else {
        0
    };
    message.int(info.si_signo);
    message.int(info.si_code);
    message.word(fault);
    message.word(own_thread().cast_unsigned().into());
    message.bytes(thread_name(&mut [0; 16]));
    let registers = registers::all(context);
    message.word(registers.len() as u64);
    for (name, value) in registers {
        message.bytes(name.as_bytes());
        message.word(value);
    }
    message.word(frames.len() as u64);
    for &frame in frames {
        message.word(frame);
    }
    let stack = registers::stack_pointer(context);
    let near = fault.saturating_sub(NEAR)..fault.saturating_add(NEAR);
    let (start, mut count) = (message.begin_sequence(), 0);
    map.for_each(|mapping| {
        let is_near = mapping.range.start < near.end && near.start < mapping.range.end;
        let mut places = frames.iter().chain([&stack]);
        if (is_near || places.any(|place| mapping.range.contains(place)))
            && message.append(mapping.line)
        {
            count += mapping.line.len();
        }
    });
    message.end_sequence(start, count);
}

/// The thread's name, in ASCII.
fn thread_name(buffer: &mut [u8; 16]) -> &[u8] {
    // SAFETY: a name has at most 16 bytes, with the zero that ends it.
    unsafe { libc::prctl(libc::PR_GET_NAME, buffer.as_mut_ptr()) };
    for byte in buffer.iter_mut() {
        if !byte.is_ascii() {
            *byte = b'?';
        }
    }
    buffer.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// Ends the process by the signal that this handler was called for. Where the instruction that raised it
/// runs again when the handler returns, it ends the process itself, and this returns.
///
/// # Safety
/// Called in the handler, with what the kernel passed to it.
unsafe fn end(signal: c_int, info: *mut libc::siginfo_t) {
    // SAFETY: the caller passes the record that the kernel has made for this call of the handler.
    let was_raised = unsafe { (*info).si_code } > 0;
    if registers::RAISES_AGAIN && was_raised {
        set_default(signal);
    } else {
        // SAFETY: the caller says so.
        unsafe { die(signal, info) };
    }
}

fn set_default(signal: c_int) {
    // SAFETY: an empty mask and no flags: the default.
    unsafe {
        let default: libc::sigaction = MaybeUninit::zeroed().assume_init();
        libc::sigaction(signal, &raw const default, null_mut());
    }
}

/// Ends the process by the signal, with what the kernel said of it.
///
/// # Safety
/// Called in a handler; `info` is a signal's record.
unsafe fn die(signal: c_int, info: *mut libc::siginfo_t) -> ! {
    set_default(signal);
    // SAFETY: a signal for this thread, and its record.
    unsafe {
        let (process, thread) = (own_process(), own_thread());
        let queued = libc::syscall(libc::SYS_rt_tgsigqueueinfo, process, thread, signal, info);
        if queued != 0 {
            libc::syscall(libc::SYS_tgkill, process, thread, signal);
        }
    }
    set_blocked(libc::SIG_UNBLOCK, &[signal]);
    // SAFETY: no precondition. Not reached unless the kernel ignores the signal.
    unsafe { libc::_exit(128 + signal) }
}

fn set_blocked(how: c_int, signals: &[c_int]) {
    let mut set = MaybeUninit::uninit();
    // SAFETY: the set is made empty before it is used, and outlives the calls.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for &signal in signals {
            libc::sigaddset(set.as_mut_ptr(), signal);
        }
        libc::pthread_sigmask(how, set.as_ptr(), null_mut());
    }
}

fn own_process() -> libc::pid_t {
    // SAFETY: no precondition.
    unsafe { libc::getpid() }
}

fn own_thread() -> libc::pid_t {
    // SAFETY: no precondition.
    unsafe { libc::gettid() }
}
