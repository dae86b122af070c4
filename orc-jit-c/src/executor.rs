//! Where code runs.

use std::ffi::c_char;

use orc_jit::Executor;

use super::error::{OrcJitError, answer, answer_with, free, handle};
use super::text::text;

/// A process in which linked code runs: another one than this.
pub struct OrcJitExecutor(pub(crate) Executor);

/// Starts a process for linked code. It comes with the library; there is nothing to install.
///
/// # Safety
/// `executor` can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn orc_jit_executor_spawn(
    executor: *mut *mut OrcJitExecutor,
) -> *mut OrcJitError {
    // SAFETY: the caller's promise.
    unsafe { answer_with(executor, || Ok(OrcJitExecutor(Executor::spawn()?))) }
}

/// Connects to an executor elsewhere: "unix:PATH", "tcp:HOST:PORT", "ssh:HOST", "stdio:COMMAND".
///
/// # Safety
/// `place` is a text; `executor` can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn orc_jit_executor_connect(
    place: *const c_char,
    executor: *mut *mut OrcJitExecutor,
) -> *mut OrcJitError {
    let connect = || {
        // SAFETY: the caller's promise.
        let place = unsafe { text(place, "place") }?;
        Ok(OrcJitExecutor(Executor::connect(place)?))
    };
    // SAFETY: the caller's promise.
    unsafe { answer_with(executor, connect) }
}

/// Ends the process, and waits for it.
///
/// # Safety
/// `executor` is an executor of this interface that is not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn orc_jit_executor_end(executor: *const OrcJitExecutor) -> *mut OrcJitError {
    answer(|| {
        // SAFETY: the caller's promise.
        unsafe { handle(executor, "executor") }?.0.end();
        Ok(())
    })
}

/// Frees the handle. The process ends when no JIT uses it any more. NULL is allowed.
///
/// # Safety
/// `executor` is NULL or an executor of this interface, and is not used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn orc_jit_executor_free(executor: *mut OrcJitExecutor) {
    // SAFETY: the caller's promise.
    unsafe { free(executor) }
}
