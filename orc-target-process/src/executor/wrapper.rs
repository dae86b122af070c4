//! Calls of wrapper functions: bytes in, bytes out.

use std::ffi::c_char;

use orc_shared::{
    CWrapperFunctionResult, ExecutorAddr, OutOfBandError, WrapperAllocator, WrapperFunctionResult,
};

use crate::host::{c_heap, race_checker};

/// The C library's `malloc` and `free`. What linked code returns as a wrapper result, and what it
/// frees after a dispatched call, must come from and go to the same: the runtime's references
/// to these names are bound to the process's, also where a program defines its own.
pub(crate) struct Malloc;

// SAFETY: `malloc`ed memory goes back to `free`; see the type for the other side.
unsafe impl WrapperAllocator for Malloc {
    fn allocate(size: usize) -> *mut u8 {
        c_heap::allocate(size)
    }

    unsafe fn free(ptr: *mut u8) {
        // SAFETY: the caller's promise.
        unsafe { c_heap::free(ptr) }
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
    /// The address is none of the code that this executor has in place.
    #[error("call of a wrapper function at {0}, where this executor has no linked code")]
    NotOwn(ExecutorAddr),
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
    let raw = race_checker::watched(call);
    // SAFETY: the result is ours from now on.
    let result = unsafe { WrapperResult::from_raw(raw) };
    Ok(result.bytes()?.to_vec())
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
        // SAFETY: `reverse` and `refuse` above are wrapper functions.
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
        // SAFETY: `call_wrapper` refuses address 0 and calls nothing.
        let null = unsafe { call_wrapper(ExecutorAddr::NULL, b"") };
        assert_eq!(null, Err(CallError::NullFunction));
    }
}
