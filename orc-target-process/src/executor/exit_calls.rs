//! Calls at the ends of threads that outlive the runtimes that asked for them.
//!
//! The C library cannot be told to forget a call, and a thread may live as long as the process while
//! runtimes come and go. A runtime that ends hands over the calls that it has no use for; those that come
//! later are given them. A call that is kept leads to a few bytes of permanent code, which note that it
//! was made: whoever looks at the calls next frees it.

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::sync::OnceLock;
use std::sync::atomic::Ordering;

use orc_shared::{ExecutorAddr, ExitServices, IDLE_CALLS_KEPT, ThreadCall};
use parking_lot::Mutex;

use super::memory::exit_code;
use crate::host::{c_heap, thread};

/// So many calls more are kept before those are looked for that were made.
const KEPT_AT_FIRST: usize = 256;

/// A call in memory of the C library's heap.
struct Kept(*mut ThreadCall);

// SAFETY: a call is of no thread: what the C library does with it are two atomic accesses.
unsafe impl Send for Kept {}

impl Kept {
    /// Whether the C library has made it, and will not touch it again.
    fn was_made(&self) -> bool {
        // SAFETY: calls are freed by `free` alone, which takes them.
        unsafe { (*self.0).made.load(Ordering::Acquire) != 0 }
    }

    /// # Safety
    /// It was made, or never will be.
    unsafe fn free(self) {
        // SAFETY: it is of the C library's heap (`ExitServices`), and nobody else has it: of the C
        // library, the caller says so.
        unsafe { c_heap::free(self.0.cast()) };
    }
}

/// The calls that are kept, by their threads' numbers.
struct Calls {
    /// The process that they are of: a forked one has a copy of all of this, and one of the threads.
    process: u32,
    threads: BTreeMap<u64, Vec<Kept>>,
    count: usize,
    /// With so many, those that were made are looked for.
    full: usize,
}

static CALLS: Mutex<Calls> = Mutex::new(Calls::none());

/// What runtimes of this process are given. `None` if there is no place for permanent code.
pub(super) fn services() -> Option<&'static ExitServices> {
    static SERVICES: OnceLock<Option<ExitServices>> = OnceLock::new();
    let make = || {
        let thunk: *const c_void = pointer(exit_code()?.thunk);
        Some(ExitServices {
            // SAFETY: the permanent code there takes a pointer and returns nothing (`ExitCode::thunk`).
            thunk: unsafe { std::mem::transmute::<*const c_void, unsafe extern "C" fn(_)>(thunk) },
            keep,
            take,
        })
    };
    SERVICES.get_or_init(make).as_ref()
}

fn pointer<T>(address: ExecutorAddr) -> *const T {
    std::ptr::with_exposed_provenance(address.value() as usize)
}

/// # Safety
/// As [`ExitServices::keep`] says.
unsafe extern "C" fn keep(call: *mut ThreadCall, thread: u64) {
    let Some(code) = exit_code() else {
        // Without it, there is no thunk either that the call could lead to.
        return;
    };
    // SAFETY: the call exists, and until `run` is stored it leads to the runtime, which does not free it
    // while it gives it away. What is stored first is seen by the code that `run` leads to.
    unsafe {
        (*call).made.store(0, Ordering::Relaxed);
        let run = code.note_call.value() as usize;
        (*call).run.store(run, Ordering::Release);
    }
    CALLS.lock().add(Kept(call), thread);
}

extern "C" fn take(thread: u64) -> *mut ThreadCall {
    let call = CALLS.lock().take(thread);
    call.map_or(std::ptr::null_mut(), |call| call.0)
}

impl Calls {
    const fn none() -> Self {
        Self {
            process: 0,
            threads: BTreeMap::new(),
            count: 0,
            full: KEPT_AT_FIRST,
        }
    }

    fn add(&mut self, call: Kept, thread: u64) {
        self.look_for_fork();
        self.threads.entry(thread).or_default().push(call);
        self.count += 1;
        if self.count >= self.full {
            self.free_made();
            self.full = 2 * self.count + KEPT_AT_FIRST;
        }
    }

    /// A call of the calling thread that will still be made, if enough are kept.
    fn take(&mut self, thread: u64) -> Option<Kept> {
        self.look_for_fork();
        let calls = self.threads.get_mut(&thread)?;
        while calls.len() > IDLE_CALLS_KEPT {
            let call = calls.pop()?;
            self.count -= 1;
            if !call.was_made() {
                return Some(call);
            }
            // SAFETY: `was_made` says that its thread is done with it, and it is in no list any more.
            unsafe { call.free() };
        }
        None
    }

    fn free_made(&mut self) {
        for calls in self.threads.values_mut() {
            for call in calls.extract_if(.., |call| call.was_made()) {
                // SAFETY: `was_made` says that its thread is done with it, and it is in no list any more.
                unsafe { call.free() };
            }
        }
        self.threads.retain(|_, calls| !calls.is_empty());
        self.count = self.threads.values().map(Vec::len).sum();
    }

    /// In a forked process, calls of threads that it does not have will not be made, and its new threads
    /// may have their numbers. It has the thread that forked, as its first one.
    fn look_for_fork(&mut self) {
        let process = std::process::id();
        if self.process == process {
            return;
        }
        let is_new = std::mem::replace(&mut self.process, process) == 0;
        if is_new {
            return;
        }
        let own = thread::is_first().then(thread::number);
        // Which other thread forked is not known, so what is of others is left in memory.
        self.threads.retain(|thread, _| Some(*thread) == own);
        self.count = self.threads.values().map(Vec::len).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call() -> *mut ThreadCall {
        let call: *mut ThreadCall = c_heap::allocate(size_of::<ThreadCall>()).cast();
        // SAFETY: new memory of this size; zero is a value of both words.
        unsafe { call.write_bytes(0, 1) };
        call
    }

    /// What the C library does at the end of the thread.
    fn make(call: *mut ThreadCall) {
        let services = services().expect("there is a place for code");
        // SAFETY: it was kept, and is not made by anybody else.
        unsafe { (services.thunk)(call.cast()) };
    }

    #[test]
    fn calls_of_a_thread_serve_it_once_enough_are_kept() {
        let services = services().expect("there is a place for code");
        let (thread, other) = (u64::MAX, u64::MAX - 1);
        let calls: Vec<_> = (0..IDLE_CALLS_KEPT + 2).map(|_| call()).collect();
        for &call in &calls {
            // SAFETY: `call()` has made it, and this is the first to get it.
            unsafe { (services.keep)(call, thread) };
        }
        assert_eq!((services.take)(other), std::ptr::null_mut());
        // One that was made is not given away.
        make(calls[IDLE_CALLS_KEPT + 1]);
        assert_eq!((services.take)(thread), calls[IDLE_CALLS_KEPT]);
        assert_eq!((services.take)(thread), std::ptr::null_mut());
    }

    #[test]
    fn calls_of_threads_that_ended_are_freed() {
        let mut kept = Calls::none();
        for number in 0..10 * KEPT_AT_FIRST as u64 {
            let call = call();
            // SAFETY: `call()` has just made it, and nothing else knows its address.
            unsafe { (*call).made.store(1, Ordering::Relaxed) };
            kept.add(Kept(call), number);
        }
        assert!(kept.count < 2 * KEPT_AT_FIRST && kept.threads.len() == kept.count);
    }

    #[test]
    fn a_forked_process_has_no_calls_of_threads_that_it_lacks() {
        let mut kept = Calls::none();
        let thread = thread::number();
        for _ in 0..=IDLE_CALLS_KEPT {
            kept.add(Kept(call()), thread);
        }
        // As it looks after a fork to a thread that is not the first.
        kept.process = u32::MAX;
        assert!(kept.take(thread).is_none());
        assert_eq!(kept.count, 0);
    }
}
