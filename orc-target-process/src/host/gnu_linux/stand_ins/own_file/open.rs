//! Opening the program's file.

use std::ffi::{CStr, c_char, c_int, c_uint};
use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::os::fd::{FromRawFd as _, IntoRawFd as _};

use super::is_own;
use crate::host::identity::OwnFile;

/// The stand-in for a function of this name.
pub(super) fn stand_in(name: &[u8]) -> Option<*const ()> {
    // Files are as large as they get in either way.
    Some(match name {
        b"open" | b"open64" | b"__open_2" | b"__open64_2" => open as *const (),
        b"openat" | b"openat64" | b"__openat_2" | b"__openat64_2" => open_at as *const (),
        b"fopen" | b"fopen64" => fopen as *const (),
        _ => return None,
    })
}

/// As the C library's. The mode is not looked at if the flags ask for no file to be made.
///
/// # Safety
/// As the C library's.
unsafe extern "C" fn open(path: *const c_char, flags: c_int, mode: c_uint) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        match is_own(path) {
            Some(own) => open_own(own, flags),
            None => libc::open64(path, flags, mode),
        }
    }
}

/// As the C library's.
///
/// # Safety
/// As the C library's.
unsafe extern "C" fn open_at(
    directory: c_int,
    path: *const c_char,
    flags: c_int,
    mode: c_uint,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        match is_own(path) {
            Some(own) => open_own(own, flags),
            None => libc::openat64(directory, path, flags, mode),
        }
    }
}

/// As the C library's.
///
/// # Safety
/// As the C library's.
unsafe extern "C" fn fopen(path: *const c_char, mode: *const c_char) -> *mut libc::FILE {
    // SAFETY: the caller's promise.
    unsafe {
        let Some(own) = is_own(path) else {
            return libc::fopen64(path, mode);
        };
        if own.again.is_empty() {
            return libc::fopen64(own.path.as_ptr(), mode);
        }
        let how = CStr::from_ptr(mode).to_bytes();
        let writes = how.iter().any(|byte| b"wa+".contains(byte));
        let access = if writes { libc::O_RDWR } else { libc::O_RDONLY };
        let close = if how.contains(&b'e') {
            libc::O_CLOEXEC
        } else {
            0
        };
        match open_own(own, access | close) {
            -1 => std::ptr::null_mut(),
            file => libc::fdopen(file, mode),
        }
    }
}

/// Opens the program's file, or what stands for it.
fn open_own(own: &OwnFile, flags: c_int) -> c_int {
    if flags & libc::O_ACCMODE != libc::O_RDONLY {
        // As for any file that is being run.
        return fail(io::Error::from_raw_os_error(libc::ETXTBSY));
    }
    if own.again.is_empty() {
        // SAFETY: the path is a C string; no file is made.
        return unsafe { libc::open64(own.path.as_ptr(), flags & !libc::O_CREAT) };
    }
    let script = script(own, flags & libc::O_CLOEXEC != 0);
    script.map_or_else(fail, |file| file.into_raw_fd())
}

fn fail(error: io::Error) -> c_int {
    // SAFETY: the place is this thread's.
    unsafe { *libc::__errno_location() = error.raw_os_error().unwrap_or(libc::EIO) };
    -1
}

/// A script that runs the program again with its arguments. It can be run, also where it is copied to.
fn script(own: &OwnFile, close_on_exec: bool) -> io::Result<File> {
    let flags = if close_on_exec { libc::MFD_CLOEXEC } else { 0 };
    // SAFETY: the name is a C string.
    let file = unsafe { libc::memfd_create(c"program".as_ptr(), flags) };
    if file < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new and nobody else's.
    let mut file = unsafe { File::from_raw_fd(file) };
    let mut text = b"#!/bin/sh\nexec".to_vec();
    for word in own.again.iter() {
        text.extend(b" '");
        for &byte in word.to_bytes() {
            match byte {
                b'\'' => text.extend(b"'\\''"),
                byte => text.push(byte),
            }
        }
        text.push(b'\'');
    }
    text.extend(b" --argv0 \"$0\" -- \"$@\"\n");
    file.write_all(&text)?;
    file.rewind()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;
    use std::io::Read as _;

    use super::*;

    #[test]
    fn words_of_the_script_are_quoted() {
        let word = |text: &str| CString::new(text).expect("no zero");
        let own = OwnFile {
            path: word("/there"),
            again: ["/bin/echo", "it's", "$HOME"].into_iter().collect(),
        };
        let mut text = String::new();
        let mut file = script(&own, true).expect("can be made");
        file.read_to_string(&mut text).expect("can be read");
        let expected = "#!/bin/sh\nexec '/bin/echo' 'it'\\''s' '$HOME' --argv0 \"$0\" -- \"$@\"\n";
        assert_eq!(text, expected);
        assert!(open_own(&own, libc::O_RDWR) == -1);
        assert_eq!(
            io::Error::last_os_error().raw_os_error(),
            Some(libc::ETXTBSY)
        );
    }
}
