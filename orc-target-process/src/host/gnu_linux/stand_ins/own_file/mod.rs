//! `/proc/self/exe`, for linked code.
//!
//! That link leads to this executable. What linked code finds there should be the program: a program
//! asks for its path to find files beside it, and starts itself again. So functions that take paths know this
//! one and lead to the file that a linker would have written (`identity::OwnFile`). Where that file is
//! not there, starting it starts a command that runs the program again, and opening it opens a script that
//! does.
//!
//! Not led there are libraries, programs that call the kernel without the C library, and other processes.

mod open;
mod start;

use std::ffi::{CStr, c_char, c_int};

pub(crate) use self::start::{search_listed, start_listed, start_listed_in};
use crate::host::identity::{OwnFile, own_file};

/// The stand-in for a function of this name, if the process has a program with a file.
pub(super) fn stand_in(name: &[u8]) -> Option<*const ()> {
    own_file()?;
    Some(match name {
        b"readlink" => readlink as *const (),
        b"__readlink_chk" => readlink_checked as *const (),
        b"readlinkat" => readlink_at as *const (),
        b"__readlinkat_chk" => readlink_at_checked as *const (),
        b"realpath" => realpath as *const (),
        b"__realpath_chk" => realpath_checked as *const (),
        b"canonicalize_file_name" => canonicalize_file_name as *const (),
        _ => return open::stand_in(name).or_else(|| start::stand_in(name)),
    })
}

/// The program's file, if this is the link that leads to it.
///
/// # Safety
/// The path is a C string or null.
unsafe fn behind_link(path: *const c_char) -> Option<&'static OwnFile> {
    // SAFETY: the caller's promise.
    let path = (!path.is_null()).then(|| unsafe { CStr::from_ptr(path) })?;
    let rest = path.to_bytes().strip_prefix(b"/proc/")?;
    let process = rest.strip_suffix(b"/exe")?;
    let is_this = match process {
        b"self" | b"thread-self" => true,
        number => {
            let number = std::str::from_utf8(number).ok()?.parse::<u32>();
            number.is_ok_and(|number| number == std::process::id())
        }
    };
    own_file().filter(|_| is_this)
}

/// The program's file, if this path leads to it: the link, or what the link leads to if nothing is there.
///
/// # Safety
/// The path is a C string or null.
unsafe fn is_own(path: *const c_char) -> Option<&'static OwnFile> {
    // SAFETY: the caller's promise.
    if let Some(own) = unsafe { behind_link(path) } {
        return Some(own);
    }
    let own = own_file().filter(|own| !path.is_null() && !own.again.is_empty())?;
    // SAFETY: the caller's promise; asks for a file.
    let is_meant = unsafe {
        CStr::from_ptr(path) == own.path.as_c_str() && libc::access(path, libc::F_OK) != 0
    };
    is_meant.then_some(own)
}

/// What `readlink` writes: as much as there is room for.
///
/// # Safety
/// There is room for `size` bytes.
unsafe fn write_target(own: &OwnFile, buffer: *mut c_char, size: usize) -> isize {
    if size == 0 || isize::try_from(size).is_err() {
        // SAFETY: the place is this thread's.
        unsafe { *libc::__errno_location() = libc::EINVAL };
        return -1;
    }
    let path = own.path.to_bytes();
    let written = path.len().min(size);
    // SAFETY: the caller's promise; nobody else has the buffer.
    unsafe { buffer.copy_from_nonoverlapping(path.as_ptr().cast(), written) };
    written as isize
}

/// As the C library's.
///
/// # Safety
/// As the C library's.
unsafe extern "C" fn readlink(path: *const c_char, buffer: *mut c_char, size: usize) -> isize {
    // SAFETY: the caller's promise.
    unsafe {
        match behind_link(path) {
            Some(own) => write_target(own, buffer, size),
            None => libc::readlink(path, buffer, size),
        }
    }
}

/// As the C library's.
///
/// # Safety
/// As the C library's.
unsafe extern "C" fn readlink_at(
    directory: c_int,
    path: *const c_char,
    buffer: *mut c_char,
    size: usize,
) -> isize {
    // SAFETY: the caller's promise.
    unsafe {
        match behind_link(path) {
            Some(own) => write_target(own, buffer, size),
            None => libc::readlinkat(directory, path, buffer, size),
        }
    }
}

/// As the C library's: `room` is what the compiler knows of the buffer.
///
/// # Safety
/// As the C library's.
unsafe extern "C" fn readlink_checked(
    path: *const c_char,
    buffer: *mut c_char,
    size: usize,
    room: usize,
) -> isize {
    check_room(size, room);
    // SAFETY: the caller's promise.
    unsafe { readlink(path, buffer, size) }
}

/// As the C library's: `room` is what the compiler knows of the buffer.
///
/// # Safety
/// As the C library's.
unsafe extern "C" fn readlink_at_checked(
    directory: c_int,
    path: *const c_char,
    buffer: *mut c_char,
    size: usize,
    room: usize,
) -> isize {
    check_room(size, room);
    // SAFETY: the caller's promise.
    unsafe { readlink_at(directory, path, buffer, size) }
}

/// Ends the program as the C library does if it asks for more than it has room for.
fn check_room(size: usize, room: usize) {
    unsafe extern "C" {
        fn __chk_fail() -> !;
    }
    if size > room {
        // SAFETY: no precondition.
        unsafe { __chk_fail() };
    }
}

/// As the C library's.
///
/// # Safety
/// As the C library's.
unsafe extern "C" fn realpath(path: *const c_char, buffer: *mut c_char) -> *mut c_char {
    // SAFETY: the caller's promise.
    let Some(own) = (unsafe { behind_link(path) }) else {
        // SAFETY: as above.
        return unsafe { libc::realpath(path, buffer) };
    };
    let path = own.path.as_c_str();
    if buffer.is_null() {
        // The C library's own `malloc`, or the program's if it has one.
        // SAFETY: `path` is a `CStr`, and the call copies it.
        return unsafe { libc::strdup(path.as_ptr()) };
    }
    let bytes = path.to_bytes_with_nul();
    if bytes.len() > libc::PATH_MAX as usize {
        // SAFETY: the place is this thread's.
        unsafe { *libc::__errno_location() = libc::ENAMETOOLONG };
        return std::ptr::null_mut();
    }
    // SAFETY: the caller has room for any path.
    unsafe { buffer.copy_from_nonoverlapping(bytes.as_ptr().cast(), bytes.len()) };
    buffer
}

/// As the C library's: `room` is what the compiler knows of the buffer.
///
/// # Safety
/// As the C library's.
unsafe extern "C" fn realpath_checked(
    path: *const c_char,
    buffer: *mut c_char,
    room: usize,
) -> *mut c_char {
    check_room(libc::PATH_MAX as usize, room);
    // SAFETY: the caller's promise.
    unsafe { realpath(path, buffer) }
}

/// As the C library's.
///
/// # Safety
/// As the C library's.
unsafe extern "C" fn canonicalize_file_name(path: *const c_char) -> *mut c_char {
    // SAFETY: the caller's promise.
    unsafe { realpath(path, std::ptr::null_mut()) }
}
