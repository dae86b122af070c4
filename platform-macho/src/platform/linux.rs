//! Names of macOS in a process of Linux, with glibc.

use super::Meaning;

/// What a name of macOS, as C spells it, stands for.
#[must_use]
pub fn meaning(name: &[u8]) -> Meaning {
    let Ok(name) = std::str::from_utf8(name) else {
        return Meaning::Itself;
    };
    let name = match name.split_once('$') {
        // Which of several versions of a function is meant: there is one.
        Some((
            plain,
            "INODE64" | "UNIX2003" | "DARWIN_EXTSN" | "NOCANCEL" | "1050" | "NOCANCEL$UNIX2003",
        )) => plain,
        _ => name,
    };
    match name {
        "__stdinp" => Meaning::Other("stdin"),
        "__stdoutp" => Meaning::Other("stdout"),
        "__stderrp" => Meaning::Other("stderr"),
        "__error" => Meaning::Other("__errno_location"),
        "__bzero" => Meaning::Other("bzero"),
        _ => Meaning::Itself,
    }
}
