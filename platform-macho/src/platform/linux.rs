//! Names of macOS in a process of Linux, with glibc.
//!
//! Nearly all functions of C have the same names, arguments and layouts, and stand for themselves. Of the others, some have
//! another name here; some are adapted by the runtime ([`orc_shared::names::darwin`]); and some a program cannot have,
//! since it would see another layout than the one that it was compiled with: those are refused. On AArch64, the two systems
//! call functions in different ways, and there are more of all kinds.

mod aarch64;

use jit_core::cpu::Architecture;
use orc_shared::names::darwin;

use super::Meaning;
use crate::shared_library::system_library;

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

/// Libraries of macOS that a process has its own of: the C library, the C++ library that is linked with programs, and the
/// unwinder. Sorted.
const LIBRARIES: &[&str] = &[
    "libSystem",
    "libc",
    "libc++",
    "libc++abi",
    "libdl",
    "libinfo",
    "libm",
    "libpthread",
    "libproc",
    "libunwind",
];

/// Whether the process has all that a library of macOS has: those above, and the parts of macOS's C library.
#[must_use]
pub fn stands_for(install_name: &str) -> bool {
    let is_part = install_name.starts_with("/usr/lib/system/");
    let name = system_library(install_name);
    name.is_some_and(|name| is_part || LIBRARIES.contains(&name))
}

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
    ("getaddrinfo", LAYOUT),
    ("kevent", "is macOS's alone"),
    ("kqueue", "is macOS's alone"),
    ("sigaction", LAYOUT),
    ("sigaltstack", LAYOUT),
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

/// Names and what they stand for.
type Table = &'static [(&'static str, &'static str)];

/// What a name of macOS, as C spells it, stands for in code for a CPU.
#[must_use]
pub fn meaning(cpu: Architecture, name: &[u8]) -> Meaning {
    let Ok(name) = std::str::from_utf8(name) else {
        return Meaning::Itself;
    };
    let name = match name.split_once('$') {
        Some((plain, version)) if VERSIONS.contains(&version) => plain,
        _ => name,
    };
    let find = |table: &Table| {
        let at = table.binary_search_by_key(&name, |(name, _)| name).ok()?;
        Some(table[at].1)
    };
    let tables = Tables::of(cpu);
    if let Some(why) = tables.refused.iter().find_map(find) {
        return Meaning::Refused(why);
    }
    match tables.other.iter().find_map(find) {
        Some(other) => Meaning::Other(other),
        None => Meaning::Itself,
    }
}

/// What is known of a CPU's names.
struct Tables {
    /// What is refused, with reasons.
    refused: &'static [Table],
    /// Other names.
    other: &'static [Table],
}

impl Tables {
    fn of(cpu: Architecture) -> Self {
        match cpu {
            Architecture::X86_64 => Self {
                refused: &[REFUSED],
                other: &[RENAMED, darwin::ADAPTED, UNVERSIONED],
            },
            Architecture::Aarch64 => Self {
                refused: &[REFUSED, aarch64::REFUSED],
                other: &[
                    RENAMED,
                    aarch64::RENAMED,
                    darwin::ADAPTED,
                    darwin::ADAPTED_ON_AARCH64,
                    UNVERSIONED,
                ],
            },
        }
    }
}

/// Functions that exist in several versions on macOS, and are the same here.
const UNVERSIONED: &[(&str, &str)] = &[
    ("close", "close"),
    ("connect", "connect"),
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
        for cpu in Architecture::ALL {
            let tables = Tables::of(cpu);
            let tables = || tables.refused.iter().chain(tables.other);
            for table in tables() {
                assert!(table.is_sorted_by(|(one, _), (next, _)| one < next));
            }
            let names = tables().flat_map(|table| table.iter().map(|(name, _)| name));
            let mut names: Vec<_> = names.collect();
            names.sort_unstable();
            assert!(names.is_sorted_by(|one, next| one < next), "twice");
        }
    }

    #[test]
    fn names_are_renamed_adapted_or_refused() {
        let cases = [
            ("puts", Meaning::Itself),
            ("__stdoutp", Meaning::Other("stdout")),
            ("stat$INODE64", Meaning::Other("__orc_rt_ext_darwin_stat")),
            ("open$NOCANCEL", Meaning::Other("__orc_rt_ext_darwin_open")),
            ("realpath$DARWIN_EXTSN", Meaning::Other("realpath")),
            ("sigaction", Meaning::Refused(LAYOUT)),
        ];
        for cpu in Architecture::ALL {
            for (name, expected) in cases {
                assert_eq!(meaning(cpu, name.as_bytes()), expected, "{name}");
            }
        }
    }

    #[test]
    fn calls_that_differ_on_aarch64_are_adapted_there() {
        let cases = [
            ("printf", Meaning::Other("__orc_rt_ext_darwin_printf")),
            ("vsnprintf", Meaning::Other("__orc_rt_ext_darwin_vsnprintf")),
            ("sinl", Meaning::Other("sin")),
        ];
        for (name, expected) in cases {
            assert_eq!(meaning(Architecture::Aarch64, name.as_bytes()), expected);
            let on_x86_64 = meaning(Architecture::X86_64, name.as_bytes());
            assert_eq!(on_x86_64, Meaning::Itself, "{name}");
        }
        let refused = meaning(Architecture::Aarch64, b"syscall");
        assert!(matches!(refused, Meaning::Refused(_)), "{refused:?}");
    }
}
