//! What a process may not do, in words: limits and policies that the system answers with a signal, or with
//! an error that does not name them.

use std::io;
use std::path::Path;

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
        assert_eq!(why_not_found("/proc/self/fd/1"), None);
        let cause = why_not_found("/nowhere/fd/1").expect("a cause");
        assert!(cause.starts_with("/nowhere/fd is not there"), "{cause}");
        let refused = io::Error::from_raw_os_error(libc::EACCES);
        assert!(why_not_protected(&refused).contains("PR_SET_MDWE"));
        let other = io::Error::from_raw_os_error(libc::ENOMEM);
        assert_eq!(why_not_protected(&other), "");
    }
}
