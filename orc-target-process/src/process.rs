//! The process as the program sees it, and calls into linked code.

use std::cell::Cell;
use std::ffi::{OsString, c_char};
use std::time::Duration;

use orc_shared::{
    CWrapperFunctionResult, ExecutorAddr, OutOfBandError, WrapperAllocator, WrapperFunctionResult,
};
use parking_lot::{Condvar, Mutex};

use crate::host;
pub use crate::host::limits::check_file_size;

/// The C library's `malloc` and `free`. What linked code returns as a wrapper result, and what it
/// frees after a dispatched call, must come from and go to the same: the runtime's references
/// to these names are bound to the process's, also where a program defines its own.
pub(crate) struct Malloc;

// SAFETY: `malloc`ed memory goes back to `free`; see the type for the other side.
unsafe impl WrapperAllocator for Malloc {
    fn allocate(size: usize) -> *mut u8 {
        // SAFETY: any size may be asked for.
        unsafe { libc::malloc(size).cast() }
    }

    unsafe fn free(ptr: *mut u8) {
        // SAFETY: the caller's promise.
        unsafe { libc::free(ptr.cast()) }
    }
}

/// Does beforehand what takes a process of several threads much longer. For whoever is about to start
/// the first one, and to use this process as an executor.
pub fn prepare_for_threads() {
    host::descriptors::grow_table();
}

/// Whether this is the thread that the process was started with.
#[must_use]
pub fn is_main_thread() -> bool {
    host::thread::is_first()
}

/// Ends the process now, whatever it does: no exit handler and no destructor runs.
pub fn exit_now(code: i32) -> ! {
    host::process::exit_now(code)
}

/// Says that what this thread does from now on is not the program's work: a race checker in the process
/// is not to watch it, but for linked code that is called. [`end_own_work`] is to be called before the
/// thread or the process ends.
pub fn begin_own_work() {
    host::race_checker::prepare();
    host::race_checker::set_unwatched(true);
}

/// See [`begin_own_work`].
pub fn end_own_work() {
    host::race_checker::set_unwatched(false);
}

/// What this thread does next is the program's first work. It finds no error of calls that it did not make:
/// `errno` is zero (C, 7.5), and `dlerror` has nothing to tell.
pub(crate) fn begin_program() {
    host::race_checker::set_unwatched(false);
    // SAFETY: forgets this thread's message; the place of `errno` is this thread's.
    unsafe {
        libc::dlerror();
        *libc::__errno_location() = 0;
    }
}

/// Lets this thread wait without asking the loader for anything.
///
/// What a thread needs to wait is registered with the loader the first time, under the loader's lock.
/// Somebody may hold that (a library's constructor that calls a function which is linked on first call), and
/// wait for a lock that this thread holds while it waits. So this is to be called before.
pub fn prepare_to_wait() {
    thread_local! {
        static IS_PREPARED: Cell<bool> = const { Cell::new(false) };
    }
    if !IS_PREPARED.replace(true) {
        let nothing = Mutex::new(());
        Condvar::new().wait_for(&mut nothing.lock(), Duration::from_nanos(1));
    }
}

/// A wrapper function's result in this process.
pub(crate) type WrapperResult = WrapperFunctionResult<Malloc>;

type WrapperFunction = unsafe extern "C" fn(*const c_char, usize) -> CWrapperFunctionResult;

/// Why a wrapper call gave no bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The function was never linked, or its symbol is weak and missing.
    #[error("call of a wrapper function at address 0")]
    NullFunction,
    /// What the function reported instead of a result.
    #[error("{0}")]
    OutOfBand(String),
}

impl From<OutOfBandError> for CallError {
    fn from(error: OutOfBandError) -> Self {
        Self::OutOfBand(error.0)
    }
}

/// Calls the wrapper function at `function` with packed arguments, on this thread, and returns its
/// packed result.
///
/// # Errors
/// The function's out-of-band error.
///
/// # Safety
/// `function` must be the address of a wrapper function that is linked and finalized, and stays so
/// during the call, and `arguments` what it expects.
pub unsafe fn call_wrapper(function: ExecutorAddr, arguments: &[u8]) -> Result<Vec<u8>, CallError> {
    // SAFETY: the caller's promise; address 0 is `None`.
    let function =
        unsafe { std::mem::transmute::<usize, Option<WrapperFunction>>(function.value() as usize) };
    let function = function.ok_or(CallError::NullFunction)?;
    let call = || {
        // SAFETY: the caller's promise.
        unsafe { function(arguments.as_ptr().cast(), arguments.len()) }
    };
    let raw = host::race_checker::watched(call);
    // SAFETY: the result is ours from now on.
    let result = unsafe { WrapperResult::from_raw(raw) };
    Ok(result.bytes()?.to_vec())
}

/// Takes a variable out of the environment, also out of what other processes see of it in
/// `/proc/PID/environ`: the value of a secret that the program is not to find.
///
/// # Safety
/// No other thread reads or changes the environment, and nobody keeps a pointer to the value.
pub unsafe fn take_variable(name: &str) -> Option<OsString> {
    // SAFETY: the caller's promise.
    unsafe { host::process::take_variable(name) }
}

/// The thread pointer of the calling thread.
pub(crate) use crate::host::arch::threads::thread_pointer;

#[cfg(test)]
mod tests {
    use super::*;

    unsafe extern "C" fn reverse(data: *const c_char, size: usize) -> CWrapperFunctionResult {
        // SAFETY: called below with a slice's parts.
        let bytes = unsafe { std::slice::from_raw_parts(data.cast::<u8>(), size) };
        let reversed: Vec<u8> = bytes.iter().rev().copied().collect();
        WrapperResult::from_bytes(&reversed).into_raw()
    }

    unsafe extern "C" fn refuse(_: *const c_char, _: usize) -> CWrapperFunctionResult {
        WrapperResult::from_out_of_band_error("refused").into_raw()
    }

    fn call(function: WrapperFunction, arguments: &[u8]) -> Result<Vec<u8>, CallError> {
        let addr = ExecutorAddr::new(function as *const () as u64);
        // SAFETY: the functions above.
        unsafe { call_wrapper(addr, arguments) }
    }

    #[test]
    fn results_come_back_inline_and_from_the_heap() {
        assert_eq!(call(reverse, b""), Ok(Vec::new()));
        assert_eq!(call(reverse, b"12345678"), Ok(b"87654321".to_vec()));
        assert_eq!(call(reverse, b"123456789"), Ok(b"987654321".to_vec()));
        assert_eq!(
            call(refuse, b""),
            Err(CallError::OutOfBand("refused".into()))
        );
        // SAFETY: address 0 is refused.
        let null = unsafe { call_wrapper(ExecutorAddr::NULL, b"") };
        assert_eq!(null, Err(CallError::NullFunction));
    }
}
