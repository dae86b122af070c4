//! The process as the program sees it, and calls into linked code.

use std::cell::Cell;
use std::ffi::{CString, c_char, c_void};
use std::io;
use std::time::Duration;

use orc_shared::{
    CWrapperFunctionResult, ExecutorAddr, OutOfBandError, WrapperAllocator, WrapperFunctionResult,
};
use parking_lot::{Condvar, Mutex};

use crate::native::lookup;
use crate::sys;

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
    sys::fd::grow_table();
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
    // SAFETY: as above; a wrapper function hands its result over.
    let result = unsafe {
        let raw = function(arguments.as_ptr().cast(), arguments.len());
        WrapperResult::from_raw(raw)
    };
    Ok(result.bytes()?.to_vec())
}

/// Makes the process look as if it had been started as `program`: what C code finds in
/// `program_invocation_name`, `program_invocation_short_name` and their older names, what
/// the C library prints before its messages, `argv[0]` of the process, and the name the kernel
/// shows for it. `/proc/self/cmdline` keeps the host's.
pub fn set_program_name(program: &str) {
    // What follows a zero byte no C string can hold.
    let name = program.split('\0').next().unwrap_or_default();
    let short_at = name.rfind('/').map_or(0, |at| at + 1);
    let Ok(c_name) = CString::new(name) else {
        return;
    };
    // Never freed: anybody may have kept the pointer, as with the original.
    let full: *mut c_char = c_name.into_raw();
    let short = full.wrapping_add(short_at);
    set_pointer(c"program_invocation_name", full);
    set_pointer(c"program_invocation_short_name", short);
    set_first_argument(full);
    // A convenience for those who list processes.
    let _ignored = set_kernel_name(&name.as_bytes()[short_at..]);
}

/// Sets a pointer variable of the C library, if it has one of this name.
fn set_pointer(variable: &std::ffi::CStr, value: *mut c_char) {
    if let Some(addr) = lookup(variable, None) {
        // SAFETY: a `char *` of the C library, which it reads when it prints a message.
        unsafe { crate::native::host::write_word(addr, value.expose_provenance() as u64) };
    }
}

/// Sets `argv[0]` in the array that the loader and the C library share.
fn set_first_argument(value: *mut c_char) {
    let Some(addr) = lookup(c"_dl_argv", None) else {
        return;
    };
    // SAFETY: glibc's `char **_dl_argv` leads to the process's argument vector, which ends with
    // a null pointer and is writable, being part of the initial stack.
    unsafe {
        let vector: u64 = crate::native::host::read(addr);
        if vector != 0 && crate::native::host::read::<u64>(vector) != 0 {
            crate::native::host::write_word(vector, value.expose_provenance() as u64);
        }
    }
}

/// Names the main thread, as `exec` does with the file's name: the kernel keeps 15 bytes.
fn set_kernel_name(short: &[u8]) -> io::Result<()> {
    let kept = &short[..short.len().min(15)];
    // The name of a process is that of its first thread, which need not be this one.
    std::fs::write("/proc/self/comm", kept)
}

/// The thread pointer of the calling thread.
pub(crate) fn thread_pointer() -> u64 {
    let pointer: *mut c_void;
    // SAFETY: reads the first word of the thread control block, which holds its own address on
    // x86-64 (psABI, thread-local storage).
    unsafe {
        std::arch::asm!(
            "mov {}, fs:0",
            out(reg) pointer,
            options(nostack, preserves_flags, readonly)
        );
    }
    pointer.expose_provenance() as u64
}

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
