//! Whom this process takes addresses from.
//!
//! An executor runs code for its controller, so it trusts it: an address that the controller gives is
//! called, read or written as it is. It could as well have linked code that does anything, so checking
//! addresses would add no safety. But no safe function may do that with any address. So whoever can say
//! that a controller is to be trusted makes a [`Trust`], and what uses its addresses takes that.

use std::ffi::{CStr, CString, c_char, c_int};

use orc_shared::ExecutorAddr;

use super::calls::store_pointer;
use super::wrapper::{self, CallError};

/// The promise that addresses in requests may be used as the requests say.
#[derive(Clone, Copy, Debug)]
pub struct Trust(());

impl Trust {
    /// Trusts whoever makes the requests that are served with this.
    ///
    /// # Safety
    /// Every address in these requests is what the request takes it for, and stays so until the request is
    /// served: what is to be called is a function of the request's type, linked and final, which takes these
    /// arguments; what is to be read is mapped and readable; what is to be written is memory that is there
    /// for that and that nothing else uses meanwhile.
    #[must_use]
    pub unsafe fn in_requests() -> Self {
        Self(())
    }

    /// Calls a wrapper function, on this thread.
    ///
    /// # Errors
    /// The function's out-of-band error.
    pub(crate) fn call_wrapper(
        self,
        function: ExecutorAddr,
        arguments: &[u8],
    ) -> Result<Vec<u8>, CallError> {
        // SAFETY: `in_requests`: it is a wrapper function that takes these arguments.
        unsafe { wrapper::call_wrapper(function, arguments) }
    }

    /// Calls a `main` with these arguments, the program's name first.
    pub(crate) fn run_as_main(self, main: ExecutorAddr, arguments: &[&[u8]]) -> c_int {
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
        // SAFETY: `in_requests`: the address is of a function of this type.
        unsafe {
            let main = std::mem::transmute::<usize, Main>(main.value() as usize);
            main(count, vector.as_mut_ptr())
        }
    }

    /// Calls a function without arguments.
    pub(crate) fn run_as_void_function(self, function: ExecutorAddr) -> i32 {
        // SAFETY: `in_requests`: the address is of a function of this type.
        unsafe {
            let function = std::mem::transmute::<usize, unsafe extern "C" fn() -> i32>(
                function.value() as usize,
            );
            function()
        }
    }

    /// Calls a function of one integer.
    pub(crate) fn run_as_int_function(self, function: ExecutorAddr, argument: i32) -> i32 {
        // SAFETY: `in_requests`: the address is of a function of this type.
        unsafe {
            let function = std::mem::transmute::<usize, unsafe extern "C" fn(i32) -> i32>(
                function.value() as usize,
            );
            function(argument)
        }
    }

    /// Writes a value.
    pub(crate) fn write<T: Copy>(self, addr: ExecutorAddr, value: T) {
        // SAFETY: `in_requests`: the memory is there to be written.
        unsafe { (addr.value() as *mut T).write_unaligned(value) };
    }

    /// Writes an aligned pointer in one store, after all that this thread wrote before.
    pub(crate) fn write_pointer(self, place: ExecutorAddr, value: ExecutorAddr) {
        // SAFETY: `in_requests`: the memory is there to be written. Callers have checked the alignment.
        unsafe { store_pointer(place, value) };
    }

    /// Writes bytes.
    pub(crate) fn write_bytes(self, addr: ExecutorAddr, bytes: &[u8]) {
        // SAFETY: `in_requests`: the memory is there to be written.
        unsafe { std::ptr::copy(bytes.as_ptr(), addr.value() as *mut u8, bytes.len()) };
    }

    /// Writes zeros.
    pub(crate) fn zero(self, addr: ExecutorAddr, size: usize) {
        // SAFETY: `in_requests`: the memory is there to be written.
        unsafe { std::ptr::write_bytes(addr.value() as *mut u8, 0, size) };
    }

    /// Reads a value, of a type for which all bytes are values.
    pub(crate) fn read<T: Copy>(self, addr: ExecutorAddr) -> T {
        // SAFETY: `in_requests`: the memory can be read; callers read integers and addresses.
        unsafe { (addr.value() as *const T).read_unaligned() }
    }

    /// Reads bytes.
    pub(crate) fn read_bytes(self, addr: ExecutorAddr, size: usize) -> Vec<u8> {
        let mut bytes = vec![0; size];
        // SAFETY: `in_requests`: the memory can be read, and the copy is as large.
        unsafe { std::ptr::copy(addr.value() as *const u8, bytes.as_mut_ptr(), size) };
        bytes
    }

    /// Reads a C string.
    pub(crate) fn read_string(self, addr: ExecutorAddr) -> Vec<u8> {
        // SAFETY: `in_requests`: there is a C string, which is copied at once.
        let string = unsafe { CStr::from_ptr(addr.value() as *const c_char) };
        string.to_bytes().to_vec()
    }
}
