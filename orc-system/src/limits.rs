//! What a process may not do, in words: limits that the system answers with a signal.

use std::io;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_limit_is_allowed() {
        assert!(check_file_size(1).is_ok());
    }
}
