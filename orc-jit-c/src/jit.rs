//! The JIT.

use std::ffi::c_char;

use orc_jit::Jit;

use super::error::{OrcJitError, answer_with, free, handle};
use super::executor::OrcJitExecutor;

/// A JIT: it has dylibs, and the runtime that linked code needs.
pub struct OrcJit(pub(crate) Jit);

/// The version of the library, as in "0.1.0".
#[unsafe(no_mangle)]
pub extern "C" fn orc_jit_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}

/// Makes a JIT whose code runs in this process.
///
/// # Safety
/// `jit` can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn orc_jit_new(jit: *mut *mut OrcJit) -> *mut OrcJitError {
    // SAFETY: the caller's promise.
    unsafe { answer_with(jit, || Ok(OrcJit(Jit::new()?))) }
}

/// Makes a JIT whose code runs in another process.
///
/// # Safety
/// `executor` is an executor of this interface that is not freed; `jit` can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn orc_jit_new_in(
    executor: *const OrcJitExecutor,
    jit: *mut *mut OrcJit,
) -> *mut OrcJitError {
    let make = || {
        // SAFETY: the caller's promise.
        let executor = unsafe { handle(executor, "executor") }?;
        Ok(OrcJit(Jit::builder().executor(executor.0.clone()).build()?))
    };
    // SAFETY: the caller's promise.
    unsafe { answer_with(jit, make) }
}

/// Frees the handle. The JIT ends, and all of its code goes, when no dylib, tracker or symbol of it is left. NULL is
/// allowed.
///
/// # Safety
/// `jit` is NULL or a JIT of this interface, and is not used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn orc_jit_free(jit: *mut OrcJit) {
    // SAFETY: the caller's promise.
    unsafe { free(jit) }
}
