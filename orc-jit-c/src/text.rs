//! Texts, paths and bytes of the caller.

use std::ffi::{CStr, OsStr, c_char};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::error::Failure;

/// # Safety
/// `text` is null or a C string that lives as long as the result is used.
unsafe fn bytes<'a>(text: *const c_char, what: &str) -> Result<&'a [u8], Failure> {
    if text.is_null() {
        return Err(format!("the {what} is NULL").into());
    }
    // SAFETY: the caller's promise.
    Ok(unsafe { CStr::from_ptr(text) }.to_bytes())
}

/// A text.
///
/// # Safety
/// As [`bytes`].
pub(crate) unsafe fn text<'a>(text: *const c_char, what: &str) -> Result<&'a str, Failure> {
    // SAFETY: the caller's promise.
    let bytes = unsafe { bytes(text, what) }?;
    std::str::from_utf8(bytes).map_err(|_| format!("the {what} is not UTF-8").into())
}

/// A path, of any bytes.
///
/// # Safety
/// As [`bytes`].
pub(crate) unsafe fn path<'a>(path: *const c_char) -> Result<&'a Path, Failure> {
    // SAFETY: the caller's promise.
    let bytes = unsafe { bytes(path, "path") }?;
    Ok(Path::new(OsStr::from_bytes(bytes)))
}
