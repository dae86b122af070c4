//! Errors, and how every function ends.

use std::ffi::{CString, c_char};
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Why something failed.
pub struct OrcJitError {
    message: CString,
}

/// A failure on its way to the caller.
pub(crate) struct Failure(String);

impl<E: Display> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// What a function returns for what it did. A panic is an error: it must not reach C.
pub(crate) fn answer(act: impl FnOnce() -> Result<(), Failure>) -> *mut OrcJitError {
    let message = match catch_unwind(AssertUnwindSafe(act)) {
        Ok(Ok(())) => return std::ptr::null_mut(),
        Ok(Err(Failure(message))) => message,
        Err(_) => {
            "internal error: a panic, whose message is on the standard error output".to_owned()
        }
    };
    // Messages have no such bytes; if one had, what is before it would do.
    let message = message.split('\0').next().unwrap_or_default();
    let message = CString::new(message).unwrap_or_default();
    Box::into_raw(Box::new(OrcJitError { message }))
}

/// The same for a function that makes something, which is stored at `out`.
///
/// # Safety
/// `out` is null, or can be written to.
pub(crate) unsafe fn answer_with<T>(
    out: *mut *mut T,
    make: impl FnOnce() -> Result<T, Failure>,
) -> *mut OrcJitError {
    answer(|| {
        if out.is_null() {
            return Err("the place for the result is NULL".into());
        }
        let made = Box::into_raw(Box::new(make()?));
        // SAFETY: not null, and the caller vouches for the rest.
        unsafe { out.write(made) };
        Ok(())
    })
}

/// What a handle stands for.
///
/// # Safety
/// The pointer is null, or the interface has made it, and it is not freed while the result is used.
pub(crate) unsafe fn handle<'a, T>(pointer: *const T, what: &str) -> Result<&'a T, Failure> {
    // SAFETY: the caller's promise.
    unsafe { pointer.as_ref() }.ok_or_else(|| format!("the {what} is NULL").into())
}

/// Frees a handle; null is nothing.
///
/// # Safety
/// The pointer is null, or the interface has made it, and nobody uses it any more.
pub(crate) unsafe fn free<T>(pointer: *mut T) {
    if !pointer.is_null() {
        // SAFETY: the caller's promise: it came from `Box::into_raw`.
        let owned = unsafe { Box::from_raw(pointer) };
        // Nobody can be told of a panic here.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(owned)));
    }
}

/// The error's message. It belongs to the error.
///
/// # Safety
/// `error` is an error of this interface that is not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn orc_jit_error_message(error: *const OrcJitError) -> *const c_char {
    // SAFETY: the caller's promise.
    match unsafe { error.as_ref() } {
        Some(error) => error.message.as_ptr(),
        None => c"no error".as_ptr(),
    }
}

/// Frees an error. NULL is allowed.
///
/// # Safety
/// `error` is NULL or an error of this interface, and is not used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn orc_jit_error_free(error: *mut OrcJitError) {
    // SAFETY: the caller's promise.
    unsafe { free(error) }
}
