//! What the controller asks for and the executor does unseen.
//!
//! An executor runs code for its controller, so it trusts it: an address that the controller gives is
//! called, read or written as it is. That trust is stated here, once, and not by every controller.

use std::ffi::{CString, c_char, c_int};

use orc_shared::ExecutorAddr;

use super::wrapper::{self, CallError};

/// Calls a wrapper function for the controller, on this thread.
///
/// # Errors
/// The function's out-of-band error.
pub fn call_wrapper(function: ExecutorAddr, arguments: &[u8]) -> Result<Vec<u8>, CallError> {
    // SAFETY: the controller asks only for functions that it linked and finalized, or that the
    // runtime told it of, and keeps their memory during the call. It could as well have linked code that
    // does anything, so checking addresses here would add no safety.
    unsafe { wrapper::call_wrapper(function, arguments) }
}

/// Calls a `main` with these arguments, the program's name first.
pub(crate) fn run_as_main(main: ExecutorAddr, arguments: &[&[u8]]) -> c_int {
    type Main = unsafe extern "C" fn(c_int, *mut *mut c_char) -> c_int;
    // What follows a zero byte no C string can hold.
    let until_zero = |text: &&[u8]| text.split(|byte| *byte == 0).next().map(<[u8]>::to_vec);
    let strings = arguments.iter().filter_map(until_zero);
    let strings: Vec<_> = strings.filter_map(|text| CString::new(text).ok()).collect();
    let count = c_int::try_from(strings.len()).unwrap_or(c_int::MAX);
    // A program may change its arguments, and keep pointers to them.
    let mut vector: Vec<_> = strings.into_iter().map(CString::into_raw).collect();
    vector.push(std::ptr::null_mut());
    let vector = vector.leak();
    // SAFETY: see `call_wrapper`; the address is of a function of this type.
    unsafe {
        let main = std::mem::transmute::<usize, Main>(main.value() as usize);
        main(count, vector.as_mut_ptr())
    }
}

/// Calls a function without arguments.
pub(crate) fn run_as_void_function(function: ExecutorAddr) -> i32 {
    // SAFETY: see `call_wrapper`; the address is of a function of this type.
    unsafe {
        let function =
            std::mem::transmute::<usize, unsafe extern "C" fn() -> i32>(function.value() as usize);
        function()
    }
}

/// Calls a function of one integer.
pub(crate) fn run_as_int_function(function: ExecutorAddr, argument: i32) -> i32 {
    // SAFETY: see `call_wrapper`; the address is of a function of this type.
    unsafe {
        let function = std::mem::transmute::<usize, unsafe extern "C" fn(i32) -> i32>(
            function.value() as usize,
        );
        function(argument)
    }
}

/// Writes a value.
pub(crate) fn write<T: Copy>(addr: ExecutorAddr, value: T) {
    // SAFETY: see `call_wrapper`: the controller writes to memory that it has.
    unsafe { (addr.value() as *mut T).write_unaligned(value) };
}

/// Writes bytes.
pub(crate) fn write_bytes(addr: ExecutorAddr, bytes: &[u8]) {
    // SAFETY: see `call_wrapper`: the controller writes to memory that it has.
    unsafe { std::ptr::copy(bytes.as_ptr(), addr.value() as *mut u8, bytes.len()) };
}

/// Writes zeros.
pub(crate) fn zero(addr: ExecutorAddr, size: usize) {
    // SAFETY: see `call_wrapper`: the controller writes to memory that it has.
    unsafe { std::ptr::write_bytes(addr.value() as *mut u8, 0, size) };
}

/// Reads a value, of a type for which all bytes are values.
pub(crate) fn read<T: Copy>(addr: ExecutorAddr) -> T {
    // SAFETY: see `call_wrapper`: the controller reads memory that is there.
    unsafe { (addr.value() as *const T).read_unaligned() }
}

/// Reads bytes.
pub(crate) fn read_bytes(addr: ExecutorAddr, size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    // SAFETY: see `call_wrapper`: the controller reads memory that is there.
    unsafe { std::ptr::copy(addr.value() as *const u8, bytes.as_mut_ptr(), size) };
    bytes
}

/// Reads a C string.
pub(crate) fn read_string(addr: ExecutorAddr) -> Vec<u8> {
    // SAFETY: see `call_wrapper`: there is a C string.
    let string = unsafe { std::ffi::CStr::from_ptr(addr.value() as *const c_char) };
    string.to_bytes().to_vec()
}
