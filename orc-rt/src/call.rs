//! Wrapper functions: calls between controller and executor with packed arguments and results.
//!
//! In the executor a wrapper function is a C function `(data, size) -> result`; the other way, the
//! runtime calls a *tag*: the address of a variable for which the controller has a handler.

use alloc::format;
use alloc::string::String;
use core::ffi::c_char;
#[cfg(not(test))]
use core::ffi::c_void;

use orc_shared::sps::{self, SpsDecode, SpsEncode, SpsError, SpsExpected};
use orc_shared::{CWrapperFunctionResult, WrapperFunctionResult};

use crate::malloc::Malloc;
use crate::registry::Outcome;

/// A variable whose address names a handler of the controller.
pub type Tag = u8;

/// A wrapper function's result that frees itself.
pub type WrapperResult = WrapperFunctionResult<Malloc>;

#[cfg(not(test))]
unsafe extern "C" {
    fn __orc_rt_jit_dispatch(
        context: *const c_void,
        tag: *const c_void,
        data: *const c_char,
        size: usize,
    ) -> CWrapperFunctionResult;

    /// Not a variable: its address *is* the context.
    static __orc_rt_jit_dispatch_ctx: u8;
}

/// Calls the handler of `tag` with `arguments` (a tuple).
///
/// # Errors
/// The handler's own error, or that there is none, or that it answers in a form of its own.
pub fn controller<A: SpsEncode, R: for<'a> SpsDecode<'a>>(
    tag: *const Tag,
    arguments: &A,
) -> Outcome<R> {
    let result = controller_raw(tag, &sps::encode(arguments));
    let bytes = result.bytes().map_err(|error| error.0)?;
    let answer: SpsExpected<R> = sps::decode(bytes).map_err(unintelligible)?;
    answer.0
}

/// Calls the handler of `tag`, which has no result.
///
/// # Errors
/// That there is no handler, or what it reported beside its result.
pub fn controller_void<A: SpsEncode>(tag: *const Tag, arguments: &A) -> Outcome<()> {
    let result = controller_raw(tag, &sps::encode(arguments));
    result.bytes().map(|_| ()).map_err(|error| error.0)
}

fn unintelligible(error: sps::SpsDecodeError) -> String {
    format!("the controller's answer cannot be read: {error}")
}

#[cfg(not(test))]
fn controller_raw(tag: *const Tag, bytes: &[u8]) -> WrapperResult {
    let context: *const c_void = (&raw const __orc_rt_jit_dispatch_ctx).cast();
    // SAFETY: the controller defined the function and its context; `bytes` outlives the call, and
    // the result is ours to free.
    unsafe {
        WrapperResult::from_raw(__orc_rt_jit_dispatch(
            context,
            tag.cast(),
            bytes.as_ptr().cast(),
            bytes.len(),
        ))
    }
}

#[cfg(test)]
fn controller_raw(_tag: *const Tag, _bytes: &[u8]) -> WrapperResult {
    WrapperResult::from_out_of_band_error("no controller")
}

/// The packed arguments of a wrapper call.
///
/// # Safety
/// `data` leads to `size` bytes, or `size` is 0.
pub unsafe fn arguments<'a>(data: *const c_char, size: usize) -> &'a [u8] {
    if size == 0 {
        return &[];
    }
    // SAFETY: the caller vouches for it.
    unsafe { core::slice::from_raw_parts(data.cast(), size) }
}

/// The result of a wrapper that returns a packed `Error`.
pub fn return_error<'a, A: SpsDecode<'a>>(
    bytes: &'a [u8],
    run: impl FnOnce(A) -> Outcome<()>,
) -> CWrapperFunctionResult {
    packed(&SpsError(decode(bytes).and_then(run)))
}

/// The result of a wrapper that returns a packed `Expected`.
pub fn return_expected<'a, A: SpsDecode<'a>, R: SpsEncode>(
    bytes: &'a [u8],
    run: impl FnOnce(A) -> Outcome<R>,
) -> CWrapperFunctionResult {
    packed(&SpsExpected(decode(bytes).and_then(run)))
}

/// The result of a wrapper that returns a plain value. What is wrong with its arguments is reported
/// out of band.
pub fn return_plain<'a, A: SpsDecode<'a>, R: SpsEncode>(
    bytes: &'a [u8],
    run: impl FnOnce(A) -> R,
) -> CWrapperFunctionResult {
    match decode(bytes) {
        Ok(arguments) => packed(&run(arguments)),
        Err(message) => WrapperResult::from_out_of_band_error(&message).into_raw(),
    }
}

fn decode<'a, A: SpsDecode<'a>>(bytes: &'a [u8]) -> Outcome<A> {
    sps::decode(bytes).map_err(|error| format!("wrapper arguments cannot be read: {error}"))
}

fn packed<R: SpsEncode>(value: &R) -> CWrapperFunctionResult {
    WrapperResult::from_bytes(&sps::encode(value)).into_raw()
}

/// Defines wrapper functions.
///
/// `=> error`, `=> expected` and `=> plain` say how the body's value is packed: an `Outcome<()>`, an
/// `Outcome<T>`, or any value.
macro_rules! wrapper_functions {
    ($($(#[$attribute:meta])*
       fn $name:ident($($argument:ident: $type:ty),* $(,)?) => $kind:ident $body:block)+) => {$(
        $(#[$attribute])*
        ///
        /// # Safety
        /// `data` leads to `size` bytes.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(
            data: *const core::ffi::c_char,
            size: usize,
        ) -> orc_shared::CWrapperFunctionResult {
            // SAFETY: the caller vouches for `data`.
            let bytes = unsafe { $crate::call::arguments(data, size) };
            $crate::call::wrapper_functions!(@ $kind)(bytes, |arguments: ($($type,)*)| {
                let ($($argument,)*) = arguments;
                $body
            })
        }
    )+};
    (@ error) => { $crate::call::return_error };
    (@ expected) => { $crate::call::return_expected };
    (@ plain) => { $crate::call::return_plain };
}
pub(crate) use wrapper_functions;
