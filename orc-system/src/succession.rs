//! Becoming another program.
//!
//! `execvp` runs a file that is no program as a script of `sh`, and `exec` of `std::process::Command` does what it
//! does. Who means a certain file wants to hear that it cannot be run.

use std::ffi::{CString, OsString, c_char};
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::ptr;

/// Becomes the program in `file`, with these arguments (its name first) and this environment. No destructor
/// is run. Signals that this thread blocks are blocked no more, and those that are ignored stay so.
///
/// Returns what is in the way: the system's error, or that a string has a zero byte inside.
#[must_use]
pub fn become_program(
    file: &Path,
    arguments: &[OsString],
    environment: &[(OsString, OsString)],
) -> io::Error {
    let strings = || -> io::Result<_> {
        let arguments = arguments.iter().map(|it| CString::new(it.as_bytes()));
        let variables = environment.iter().map(|(name, value)| {
            let bytes = [name.as_bytes(), b"=", value.as_bytes()].concat();
            CString::new(bytes)
        });
        Ok((
            CString::new(file.as_os_str().as_bytes())?,
            arguments.collect::<Result<Vec<_>, _>>()?,
            variables.collect::<Result<Vec<_>, _>>()?,
        ))
    };
    let (file, arguments, variables) = match strings() {
        Ok(strings) => strings,
        Err(error) => return error,
    };
    let (arguments, variables) = (pointers(&arguments), pointers(&variables));
    let before = unblock_all();
    // SAFETY: three C strings or lists of them that end with a null pointer; all live until the call returns.
    unsafe { libc::execve(file.as_ptr(), arguments.as_ptr(), variables.as_ptr()) };
    let error = io::Error::last_os_error();
    // SAFETY: the set was filled by `pthread_sigmask`.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, ptr::null_mut()) };
    error
}

/// A list as the system takes it.
fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    let pointers = strings.iter().map(|string| string.as_ptr());
    pointers.chain([ptr::null()]).collect()
}

/// Lets all signals reach this thread. What was blocked before.
fn unblock_all() -> libc::sigset_t {
    let (mut none, mut before) = (MaybeUninit::uninit(), MaybeUninit::uninit());
    // SAFETY: both sets are valid places; the first is filled before it is read, and a call with a valid
    // action fills the second.
    unsafe {
        libc::sigemptyset(none.as_mut_ptr());
        libc::sigemptyset(before.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, none.as_ptr(), before.as_mut_ptr());
        before.assume_init()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_that_is_no_program_is_not_given_to_a_shell() {
        let directory = tempfile::tempdir().unwrap();
        let (file, trace) = (
            directory.path().join("file"),
            directory.path().join("trace"),
        );
        fs::write(&file, format!("echo > {}\n", trace.display())).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        let error = become_program(&file, &["file".into()], &[]);
        assert_eq!(error.raw_os_error(), Some(libc::ENOEXEC));
        assert!(!trace.exists());
    }

    #[test]
    fn a_zero_byte_is_an_error() {
        let error = become_program(Path::new("/bin/true"), &["a\0b".into()], &[]);
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        let variables = [("a".into(), "b\0".into())];
        let error = become_program(Path::new("/bin/true"), &["true".into()], &variables);
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn what_was_blocked_is_blocked_when_it_fails() {
        let mut set = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: the set is filled before it is read.
        unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            libc::sigaddset(set.as_mut_ptr(), libc::SIGUSR2);
            libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), ptr::null_mut());
        }
        let error = become_program(Path::new("/nowhere/at all"), &["x".into()], &[]);
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        let before = unblock_all();
        // SAFETY: the set was filled by `pthread_sigmask`.
        let is_blocked = unsafe { libc::sigismember(&raw const before, libc::SIGUSR2) };
        assert_eq!(is_blocked, 1);
    }
}
