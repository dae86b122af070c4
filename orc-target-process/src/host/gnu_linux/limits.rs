//! What a process may not do, in words: limits and policies that the system answers with a signal, or with
//! an error that does not name them.

use std::io;
use std::path::Path;

/// Whether files may be as large as that, those in memory too: writing more ends the process by a signal.
///
/// # Errors
/// With the limit.
pub fn check_file_size(bytes: u64) -> io::Result<()> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is a valid place for the answer.
    let known = unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, &raw mut limit) } == 0;
    if !known || limit.rlim_cur >= bytes {
        return Ok(());
    }
    let allowed = limit.rlim_cur;
    Err(io::Error::new(
        io::ErrorKind::FileTooLarge,
        format!(
            "files may have {allowed} bytes here (ulimit -f), and one of {bytes} bytes is needed, in memory"
        ),
    ))
}

/// Why a file in memory cannot be opened by its name, if that is because of `/proc`.
pub(crate) fn why_not_found(name: &str) -> Option<String> {
    let directory = Path::new(name).parent()?;
    let missing = !directory.exists();
    missing.then(|| {
        format!(
            "{} is not there: /proc has to be mounted, because the loader gets objects in memory through it",
            directory.display()
        )
    })
}

/// What may be behind the refusal of a protection.
pub(crate) fn why_not_protected(error: &io::Error) -> &'static str {
    if error.raw_os_error() == Some(libc::EACCES) {
        "; this process may not execute memory that it has written, because of PR_SET_MDWE or of a \
         policy of the system (SELinux's execmem): start it without that"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_named() {
        assert!(check_file_size(1).is_ok());
        assert_eq!(why_not_found("/proc/self/fd/1"), None);
        let cause = why_not_found("/nowhere/fd/1").expect("a cause");
        assert!(cause.starts_with("/nowhere/fd is not there"), "{cause}");
        let refused = io::Error::from_raw_os_error(libc::EACCES);
        assert!(why_not_protected(&refused).contains("PR_SET_MDWE"));
        let other = io::Error::from_raw_os_error(libc::ENOMEM);
        assert_eq!(why_not_protected(&other), "");
    }
}
