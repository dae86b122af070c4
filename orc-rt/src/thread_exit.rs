//! Destructors of thread-locals: `__cxa_thread_atexit` of JIT'd code.
//!
//! They are filed with the C library, so that a thread that ends runs them in one order with those
//! of every other library. The main thread ends in two ways: through `exit()`, where the C library
//! runs them before the exit handlers, and by returning from `main` to the controller, which
//! goes on. Then the runtime runs them itself, before the program is closed. Records
//! ([`crate::exit`]) keep the C library from running them a second time, and count what is pending
//! per dylib.

use core::ffi::{c_int, c_void};

use orc_shared::ExecutorAddr;

use crate::exit::{Record, RecordPtr};
use crate::host::{self, ExitFunction};
use crate::registry::{self, Registry};
use crate::sync::ThreadId;
use crate::{addr, thunk};

/// Has `function(object)` called when the calling thread ends.
///
/// # Safety
/// As for the Itanium C++ ABI's function: the call is allowed until then; `dso` is the address of
/// the dylib's `__dso_handle`.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn __cxa_thread_atexit(
    function: ExitFunction,
    object: *mut c_void,
    dso: *mut c_void,
) -> c_int {
    let dylib = addr::of(dso.cast_const());
    let mut registry = registry::lock();
    let sequence = registry.next_sequence();
    let Some(record) = RecordPtr::new(run_at_thread_exit, function, object, dylib, sequence) else {
        return -1;
    };
    registry
        .records(dylib)
        .at_thread_exit
        .insert(sequence, record);
    drop(registry);
    let run = thunk::get().unwrap_or(run_at_thread_exit);
    match host::cxa_thread_atexit(run, record.as_argument()) {
        Ok(()) => 0,
        Err(_) => {
            registry::lock()
                .records(dylib)
                .at_thread_exit
                .remove(sequence);
            // SAFETY: the C library did not take it, and it is out of the registry.
            unsafe { record.free() };
            -1
        }
    }
}

/// What the C library calls for a record, through the thunk.
///
/// # Safety
/// `argument` is a record that was registered and not yet called for.
unsafe extern "C" fn run_at_thread_exit(argument: *mut c_void) {
    let record = RecordPtr::from_argument(argument);
    // SAFETY: until this call ends, the record exists.
    let kept = unsafe { record.get() };
    let Record {
        function,
        argument,
        dylib,
        sequence,
        ..
    } = *kept;
    let pending = registry::lock()
        .records(dylib)
        .at_thread_exit
        .remove(sequence);
    // SAFETY: the C library calls once, and the record is out of the registry.
    unsafe { record.free() };
    if pending {
        // SAFETY: JIT'd code registered this call, and the dylib is still there.
        unsafe { function(argument) };
    }
}

/// Runs what the calling thread would run at its end, newest first: the destructors registered since
/// `since`, and all of `program`. Those that destructors register run too, as at a thread's end.
///
/// # Safety
/// The destructors may be called now.
pub unsafe fn run_for_current_thread(since: u64, program: ExecutorAddr) {
    loop {
        let mut registry = registry::lock();
        let Some(record) = newest_of_current_thread(&mut registry, since, program) else {
            return;
        };
        // SAFETY: the record is in the registry.
        let kept = unsafe { record.get() };
        let Record {
            function,
            argument,
            dylib,
            sequence,
            ..
        } = *kept;
        registry.records(dylib).at_thread_exit.remove(sequence);
        // SAFETY: it was just taken out of the registry.
        unsafe { record.neutralize() };
        drop(registry);
        // SAFETY: JIT'd code registered this call, and its code is still there.
        unsafe { function(argument) };
    }
}

/// Looks through the destructors of all threads; what is pending is little, and this happens once per
/// program.
fn newest_of_current_thread(
    registry: &mut Registry,
    since: u64,
    program: ExecutorAddr,
) -> Option<RecordPtr> {
    let current = ThreadId::current();
    let mut newest = None;
    for (dylib, records) in registry.all_records() {
        for pointer in records.at_thread_exit.iter().rev() {
            // SAFETY: the record is in the registry, whose lock the caller holds.
            let record = unsafe { pointer.get() };
            if record.sequence <= since && dylib != program {
                break;
            }
            if record.thread == current {
                let candidate = (record.sequence, pointer);
                newest = newest
                    .filter(|&(sequence, _)| sequence > record.sequence)
                    .or(Some(candidate));
                break;
            }
        }
    }
    newest.map(|(_, pointer)| pointer)
}
