//! Functions on memory and strings that the C library does not have.

use core::ffi::{c_char, c_void};

/// Fills memory with a pattern of so many bytes.
///
/// # Safety
/// `to` has `size` bytes, and `pattern` has `width`.
unsafe fn fill(to: *mut c_void, pattern: *const c_void, size: usize, width: usize) {
    let (to, pattern): (*mut u8, *const u8) = (to.cast(), pattern.cast());
    for at in 0..size {
        // SAFETY: both lie in what the caller has.
        unsafe { to.add(at).write(pattern.add(at % width).read()) };
    }
}

macro_rules! patterns {
    ($($symbol:ident = $width:literal;)*) => {$(
        /// Fills memory with a pattern.
        ///
        /// # Safety
        /// `to` has `size` bytes, and the pattern its width.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $symbol(to: *mut c_void, pattern: *const c_void, size: usize) {
            // SAFETY: the caller's.
            unsafe { fill(to, pattern, size, $width) };
        }
    )*};
}

patterns! {
    __orc_rt_ext_darwin_memset_pattern4 = 4;
    __orc_rt_ext_darwin_memset_pattern8 = 8;
    __orc_rt_ext_darwin_memset_pattern16 = 16;
}

/// `strlcpy`: copies what fits, and returns the length of the source.
///
/// # Safety
/// `from` is a C string, and `to` has `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_ext_darwin_strlcpy(
    to: *mut c_char,
    from: *const c_char,
    size: usize,
) -> usize {
    // SAFETY: the caller's string; what is copied fits.
    unsafe {
        let length = libc::strlen(from);
        if size > 0 {
            let copied = length.min(size - 1);
            core::ptr::copy(from, to, copied);
            to.add(copied).write(0);
        }
        length
    }
}

/// `strlcat`: appends what fits, and returns the length that was tried.
///
/// # Safety
/// `from` is a C string, and `to` has `size` bytes with one in it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_ext_darwin_strlcat(
    to: *mut c_char,
    from: *const c_char,
    size: usize,
) -> usize {
    // SAFETY: the caller's; what is left begins in it.
    unsafe {
        let length = libc::strnlen(to, size);
        length + __orc_rt_ext_darwin_strlcpy(to.add(length), from, size - length)
    }
}

/// `__strlcpy_chk`: what would not fit into the whole object is not copied.
///
/// # Safety
/// As for `strlcpy`; `to` has `room` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_ext_darwin_strlcpy_chk(
    to: *mut c_char,
    from: *const c_char,
    size: usize,
    room: usize,
) -> usize {
    // SAFETY: the caller's.
    unsafe { __orc_rt_ext_darwin_strlcpy(to, from, checked(size, room)) }
}

/// `__strlcat_chk`.
///
/// # Safety
/// As for `strlcat`; `to` has `room` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_ext_darwin_strlcat_chk(
    to: *mut c_char,
    from: *const c_char,
    size: usize,
    room: usize,
) -> usize {
    // SAFETY: the caller's.
    unsafe { __orc_rt_ext_darwin_strlcat(to, from, checked(size, room)) }
}

/// A size that the object has room for: a program with another one ends, as on macOS.
fn checked(size: usize, room: usize) -> usize {
    if size > room {
        // SAFETY: the process ends.
        unsafe { libc::abort() }
    }
    size
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_copied_as_far_as_they_fit() {
        let mut to = [c_char::MAX; 6];
        // SAFETY: strings, and the room that is there.
        unsafe {
            assert_eq!(
                __orc_rt_ext_darwin_strlcpy(to.as_mut_ptr(), c"abc".as_ptr(), 6),
                3
            );
            assert_eq!(
                __orc_rt_ext_darwin_strlcat(to.as_mut_ptr(), c"defg".as_ptr(), 6),
                7
            );
            assert_eq!(libc::strcmp(to.as_ptr(), c"abcde".as_ptr()), 0);
        }
    }
}
