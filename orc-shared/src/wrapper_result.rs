//! What a wrapper function returns: a small blob of bytes, or an error outside it.
//!
//! The C form is two words, so it comes back in two registers:
//!
//! ```text
//!            data (8 bytes)                size (8 bytes)
//! ≤ 8 bytes  the bytes themselves          1..=8, or 0 with data = 0: empty
//! > 8 bytes  pointer from malloc           number of bytes
//! error      pointer from malloc (C str)   0
//! ```
//!
//! Whoever receives one owns the `malloc`ed memory. This crate knows no `malloc`; the user of
//! [`WrapperFunctionResult`] names the allocator as a type.

use alloc::borrow::ToOwned;
use alloc::string::String;
use core::ffi::{CStr, c_char};
use core::fmt;
use core::marker::PhantomData;

/// Bytes that fit into the result itself.
const INLINE_SIZE: usize = size_of::<*mut c_char>();

/// The first word: bytes, or a pointer to them.
#[derive(Clone, Copy)]
#[repr(C)]
pub union CWrapperFunctionData {
    /// Where the bytes (or the error's C string) are.
    pub ptr: *mut c_char,
    /// The bytes, if they fit.
    pub inline: [u8; INLINE_SIZE],
}

/// The C form, which does not own what it points at.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct CWrapperFunctionResult {
    /// The bytes or where they are.
    pub data: CWrapperFunctionData,
    /// Number of bytes; 0 with a pointer is an error.
    pub size: usize,
}

const _: () = assert!(
    size_of::<CWrapperFunctionResult>() == 2 * size_of::<usize>(),
    "a wrapper result must fit into two registers"
);

/// The process's `malloc` and `free`, which both sides of a wrapper call share.
///
/// # Safety
/// `allocate` returns null or memory of `size` bytes that `free` accepts, and both are the ones that
/// every other producer and consumer of wrapper results in this process uses.
pub unsafe trait WrapperAllocator {
    /// `malloc`.
    fn allocate(size: usize) -> *mut u8;

    /// `free`.
    ///
    /// # Safety
    /// `ptr` is null or came from [`Self::allocate`] (or that same `malloc`), and is not used again.
    unsafe fn free(ptr: *mut u8);
}

/// An error that was reported beside the result's bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OutOfBandError(pub String);

impl fmt::Display for OutOfBandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for OutOfBandError {}

/// A wrapper function's result, freed on drop.
pub struct WrapperFunctionResult<A: WrapperAllocator> {
    raw: CWrapperFunctionResult,
    allocator: PhantomData<A>,
}

// SAFETY: the memory is owned, and `malloc`ed memory may be read and freed by any thread.
unsafe impl<A: WrapperAllocator> Send for WrapperFunctionResult<A> {}

impl CWrapperFunctionResult {
    /// No bytes and no error.
    pub const EMPTY: Self = Self {
        data: CWrapperFunctionData {
            inline: [0; INLINE_SIZE],
        },
        size: 0,
    };

    fn is_out_of_band_error(&self) -> bool {
        // SAFETY: every bit pattern of the word is a valid `inline`, and a null pointer is all
        // zeros on the platforms this runs on.
        self.size == 0 && unsafe { self.data.inline } != [0; INLINE_SIZE]
    }

    fn owns_memory(&self) -> bool {
        self.size > INLINE_SIZE || self.is_out_of_band_error()
    }
}

impl<A: WrapperAllocator> WrapperFunctionResult<A> {
    /// Takes ownership of a result in C form.
    ///
    /// # Safety
    /// `raw` follows the layout in the module's documentation, its memory came from `A`'s `malloc`,
    /// and nobody else frees it.
    #[must_use]
    pub const unsafe fn from_raw(raw: CWrapperFunctionResult) -> Self {
        Self {
            raw,
            allocator: PhantomData,
        }
    }

    /// Gives up ownership; the receiver frees the memory.
    #[must_use]
    pub fn into_raw(self) -> CWrapperFunctionResult {
        core::mem::ManuallyDrop::new(self).raw
    }

    /// A result that holds a copy of `bytes`. Out of memory, it is an empty result, which no
    /// decoder mistakes for a value.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let mut raw = CWrapperFunctionResult::EMPTY;
        if bytes.len() <= INLINE_SIZE {
            let mut inline = [0; INLINE_SIZE];
            inline[..bytes.len()].copy_from_slice(bytes);
            raw.data.inline = inline;
            raw.size = bytes.len();
        } else if let Some(ptr) = Self::copy_to_heap(bytes, 0) {
            raw.data.ptr = ptr;
            raw.size = bytes.len();
        }
        Self {
            raw,
            allocator: PhantomData,
        }
    }

    /// An out-of-band error. The message ends at its first NUL.
    #[must_use]
    pub fn from_out_of_band_error(message: &str) -> Self {
        let mut raw = CWrapperFunctionResult::EMPTY;
        if let Some(ptr) = Self::copy_to_heap(message.as_bytes(), 1) {
            raw.data.ptr = ptr;
        }
        Self {
            raw,
            allocator: PhantomData,
        }
    }

    /// The bytes.
    ///
    /// # Errors
    /// The error that was reported instead of bytes.
    pub fn bytes(&self) -> Result<&[u8], OutOfBandError> {
        if self.raw.is_out_of_band_error() {
            // SAFETY: an error's pointer leads to a C string (`from_raw`'s contract).
            let message = unsafe { CStr::from_ptr(self.raw.data.ptr) };
            return Err(OutOfBandError(message.to_string_lossy().into_owned()));
        }
        if self.raw.size <= INLINE_SIZE {
            // SAFETY: the bytes are in the word itself, and every bit pattern is valid.
            return Ok(unsafe { &self.raw.data.inline[..self.raw.size] });
        }
        // SAFETY: a larger size means that the pointer leads to that many bytes (`from_raw`'s
        // contract); they live as long as `self`.
        Ok(unsafe { core::slice::from_raw_parts(self.raw.data.ptr.cast(), self.raw.size) })
    }

    /// Copies `bytes` and `zeros` (0 or 1) zero bytes into memory from `malloc`.
    fn copy_to_heap(bytes: &[u8], zeros: usize) -> Option<*mut c_char> {
        let ptr = A::allocate(bytes.len().checked_add(zeros)?);
        if ptr.is_null() {
            return None;
        }
        // SAFETY: `ptr` has room for `bytes.len() + zeros` bytes and is fresh, so it overlaps
        // nothing.
        unsafe {
            ptr.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
            ptr.add(bytes.len()).write_bytes(0, zeros);
        }
        Some(ptr.cast())
    }
}

impl<A: WrapperAllocator> Drop for WrapperFunctionResult<A> {
    fn drop(&mut self) {
        if self.raw.owns_memory() {
            // SAFETY: the word is a pointer from `A`'s `malloc` that we own.
            unsafe { A::free(self.raw.data.ptr.cast()) };
        }
    }
}

impl<A: WrapperAllocator> fmt::Debug for WrapperFunctionResult<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.bytes() {
            Ok(bytes) => f
                .debug_tuple("WrapperFunctionResult")
                .field(&bytes)
                .finish(),
            Err(error) => f
                .debug_tuple("WrapperFunctionResult")
                .field(&error)
                .finish(),
        }
    }
}

impl From<&str> for OutOfBandError {
    fn from(message: &str) -> Self {
        Self(message.to_owned())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use core::sync::atomic::{AtomicUsize, Ordering};
    use std::alloc::{Layout, alloc, dealloc};

    static LIVE: AtomicUsize = AtomicUsize::new(0);

    struct Counting;

    // The size is kept in front of the block, as `free` is not told it.
    // SAFETY: blocks come from and go to the same global allocator with the same layout.
    unsafe impl WrapperAllocator for Counting {
        fn allocate(size: usize) -> *mut u8 {
            let layout = Layout::from_size_align(size + 16, 16).unwrap();
            LIVE.fetch_add(1, Ordering::SeqCst);
            // SAFETY: the layout is not empty, and the block has 16 bytes more than asked.
            unsafe {
                let block = alloc(layout);
                block.cast::<usize>().write(size);
                block.add(16)
            }
        }
        unsafe fn free(ptr: *mut u8) {
            LIVE.fetch_sub(1, Ordering::SeqCst);
            // SAFETY: `ptr` came from `allocate`.
            unsafe {
                let block = ptr.sub(16);
                let size = block.cast::<usize>().read();
                dealloc(block, Layout::from_size_align(size + 16, 16).unwrap());
            }
        }
    }

    type TestResult = WrapperFunctionResult<Counting>;

    #[test]
    fn round_trips_and_frees_around_the_inline_limit() {
        for size in [0usize, 1, 7, 8, 9, 100] {
            let bytes: std::vec::Vec<u8> = (0..size).map(|i| i as u8 + 1).collect();
            let before = LIVE.load(Ordering::SeqCst);
            let raw = TestResult::from_bytes(&bytes).into_raw();
            assert_eq!(raw.size, size);
            // SAFETY: `raw` was just released by its owner.
            let result = unsafe { TestResult::from_raw(raw) };
            assert_eq!(result.bytes(), Ok(bytes.as_slice()));
            drop(result);
            assert_eq!(LIVE.load(Ordering::SeqCst), before, "size {size}");
        }
        let error = TestResult::from_out_of_band_error("no such thing");
        assert_eq!(LIVE.load(Ordering::SeqCst), 1);
        assert_eq!(error.bytes(), Err("no such thing".into()));
        drop(error);
        assert_eq!(LIVE.load(Ordering::SeqCst), 0);
    }
}
