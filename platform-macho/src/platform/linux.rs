//! Names of macOS in a process of Linux, with glibc.
//!
//! Nearly all functions of C have the same names, arguments and layouts, and stand for themselves. Of the others, some have
//! another name here; some are adapted by the runtime ([`orc_shared::names::darwin`]); and some a program cannot have,
//! since it would see another layout than the one that it was compiled with: those are refused.

use orc_shared::names::darwin;

use super::Meaning;

/// Functions and variables with another name here. Sorted.
const RENAMED: &[(&str, &str)] = &[
    ("__bzero", "bzero"),
    ("__error", "__errno_location"),
    ("__exp10", "exp10"),
    ("__exp10f", "exp10f"),
    ("__stderrp", "stderr"),
    ("__stdinp", "stdin"),
    ("__stdoutp", "stdout"),
    ("malloc_size", "malloc_usable_size"),
    // The C library fills 80 bytes; macOS's buffers have 148 and more.
    ("sigsetjmp", "__sigsetjmp"),
    ("strerror_r", "__xpg_strerror_r"),
];

/// Why a structure cannot be had.
const LAYOUT: &str = "has another layout on Linux, and is not adapted";
/// Why the inside of a file's structure cannot be had.
const FILE: &str = "looks into a FILE of macOS: use getc and putc";

/// What is refused. Sorted.
const REFUSED: &[(&str, &str)] = &[
    (
        "_NSConcreteGlobalBlock",
        "is the runtime of blocks, which is not in this process",
    ),
    (
        "_NSConcreteStackBlock",
        "is the runtime of blocks, which is not in this process",
    ),
    ("__srget", FILE),
    ("__swbuf", FILE),
    ("copyfile", "is macOS's alone"),
    ("fstatfs", LAYOUT),
    ("getaddrinfo", LAYOUT),
    ("kevent", "is macOS's alone"),
    ("kqueue", "is macOS's alone"),
    ("sigaction", LAYOUT),
    ("sigaltstack", LAYOUT),
    ("statfs", LAYOUT),
    ("uname", LAYOUT),
];

/// Which version of a function is meant: there is one.
const VERSIONS: &[&str] = &[
    "1050",
    "DARWIN_EXTSN",
    "INODE64",
    "INODE64$UNIX2003",
    "NOCANCEL",
    "NOCANCEL$UNIX2003",
    "UNIX2003",
];

/// What a name of macOS, as C spells it, stands for.
#[must_use]
pub fn meaning(name: &[u8]) -> Meaning {
    let Ok(name) = std::str::from_utf8(name) else {
        return Meaning::Itself;
    };
    let name = match name.split_once('$') {
        Some((plain, version)) if VERSIONS.contains(&version) => plain,
        _ => name,
    };
    let find = |table: &'static [(&'static str, &'static str)]| {
        let at = table.binary_search_by_key(&name, |(name, _)| name).ok()?;
        Some(table[at].1)
    };
    if let Some(why) = find(REFUSED) {
        return Meaning::Refused(why);
    }
    let other = find(RENAMED).or_else(|| find(darwin::ADAPTED));
    match other.or_else(|| find(UNVERSIONED)) {
        Some(other) => Meaning::Other(other),
        None => Meaning::Itself,
    }
}

/// Functions that exist in several versions on macOS, and are the same here.
const UNVERSIONED: &[(&str, &str)] = &[
    ("close", "close"),
    ("connect", "connect"),
    ("fcntl", "fcntl"),
    ("fdopen", "fdopen"),
    ("fopen", "fopen"),
    ("fputs", "fputs"),
    ("fwrite", "fwrite"),
    ("nanosleep", "nanosleep"),
    ("poll", "poll"),
    ("pselect", "pselect"),
    ("read", "read"),
    ("realpath", "realpath"),
    ("select", "select"),
    ("strerror", "strerror"),
    ("system", "system"),
    ("usleep", "usleep"),
    ("waitpid", "waitpid"),
    ("write", "write"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted_and_tell_one_thing_of_each_name() {
        let tables = [RENAMED, REFUSED, UNVERSIONED, darwin::ADAPTED];
        for table in tables {
            assert!(table.is_sorted_by(|(one, _), (next, _)| one < next));
        }
        let names = tables
            .iter()
            .flat_map(|table| table.iter().map(|(name, _)| name));
        let mut names: Vec<_> = names.collect();
        names.sort_unstable();
        assert!(names.is_sorted_by(|one, next| one < next), "twice");
    }

    #[test]
    fn names_are_renamed_adapted_or_refused() {
        let cases = [
            ("printf", Meaning::Itself),
            ("__stdoutp", Meaning::Other("stdout")),
            ("stat$INODE64", Meaning::Other("__orc_rt_ext_darwin_stat")),
            ("open$NOCANCEL", Meaning::Other("__orc_rt_ext_darwin_open")),
            ("realpath$DARWIN_EXTSN", Meaning::Other("realpath")),
            ("sigaction", Meaning::Refused(LAYOUT)),
        ];
        for (name, expected) in cases {
            assert_eq!(meaning(name.as_bytes()), expected, "{name}");
        }
    }
}
