//! The last resort for messages.

use core::ffi::{CStr, c_char};
use core::fmt::{self, Write};

/// Standard error, unbuffered.
pub struct Stderr;

impl Write for Stderr {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        write_all(text.as_bytes());
        Ok(())
    }
}

/// Writes an error where a person may see it.
pub fn error(message: &str) {
    let _ = writeln!(Stderr, "orc-rt: error: {message}");
}

/// Writes an error to standard error. JIT'd code calls it as `__orc_rt_log_error`.
///
/// # Safety
/// `message` is a C string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_log_error_to_stderr(message: *const c_char) {
    if message.is_null() {
        return;
    }
    // SAFETY: the caller passes a C string.
    let bytes = unsafe { CStr::from_ptr(message) }.to_bytes();
    write_all(b"orc-rt: error: ");
    write_all(bytes);
    write_all(b"\n");
}

fn write_all(mut bytes: &[u8]) {
    while !bytes.is_empty() {
        // SAFETY: `bytes` is valid for its length.
        let written =
            unsafe { libc::write(libc::STDERR_FILENO, bytes.as_ptr().cast(), bytes.len()) };
        match usize::try_from(written) {
            Ok(count) if count > 0 => bytes = bytes.get(count..).unwrap_or_default(),
            // Nobody is left to tell.
            _ => return,
        }
    }
}
