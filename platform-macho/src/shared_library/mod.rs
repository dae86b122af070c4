//! Libraries of macOS, as linkers there are given them: linked files (`.dylib`) and text-based stubs of them (`.tbd`),
//! which say what they define.
//!
//! No process here can load one. For some the process has libraries of its own ([`crate::platform::Host::stands_for`]): to name these
//! adds nothing to a link. All others are refused, with what they would have provided.

mod exports;
mod json;
mod text_stub;

use orc_inputs::file_kind::FileKind;
use orc_shared::{listed, printable};

pub(crate) use self::text_stub::is_text_stub;

/// Names that a message has; the rest are counted.
const NAMED_MAX: usize = 5;

/// What a library says of itself.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Dylib {
    /// What programs know it by: its path on macOS.
    install_name: String,
    /// The names that it provides, as objects spell them, sorted.
    names: Vec<Vec<u8>>,
}

/// What a linked library, or a text-based stub of one, is to a link, if the process has all that libraries have of which
/// `stands_for` says so.
pub(crate) fn kind_of(bytes: &[u8], stands_for: fn(&str) -> bool) -> FileKind {
    let read = match is_text_stub(bytes) {
        true => text_stub::read(bytes),
        false => exports::read(bytes),
    };
    let mut dylib = match read {
        Ok(dylib) => dylib,
        Err(message) => return FileKind::Refused(message),
    };
    if stands_for(&dylib.install_name) {
        return FileKind::OfHost;
    }
    dylib.names.sort_unstable();
    dylib.names.dedup();
    FileKind::Refused(dylib.refusal())
}

impl Dylib {
    fn refusal(&self) -> String {
        let name = printable(self.install_name.as_bytes());
        let names = self.names.iter().map(|name| printable(name).to_string());
        let provided = match self.names.len() {
            0 => String::new(),
            1 => format!(" It provides {}.", listed(names, ", ", NAMED_MAX)),
            count => format!(
                " It provides {count} names: {}.",
                listed(names, ", ", NAMED_MAX)
            ),
        };
        format!(
            "is the library {name} of macOS, which no process here can load.{provided} Link a static \
             archive of it that is compiled for macOS, or a library of this system that has these names"
        )
    }
}

/// The name in a path on macOS, without what follows its first dot: "libc++" of "/usr/lib/libc++.1.dylib". Nothing for
/// paths that are not the system's.
pub(crate) fn system_library(install_name: &str) -> Option<&str> {
    let file = install_name
        .strip_prefix("/usr/lib/system/")
        .or_else(|| install_name.strip_prefix("/usr/lib/"))?;
    file.split('.').next().filter(|name| !name.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::linux;

    const STUB: &[u8] = b"--- !tapi-tbd\n\
        install-name: '/usr/lib/libc++.1.dylib'\n\
        exports:\n  - targets: [ x86_64-macos ]\n    symbols: [ _b, _a ]\n...\n";

    #[test]
    fn what_the_process_has_of_its_own_adds_nothing() {
        assert_eq!(kind_of(STUB, linux::stands_for), FileKind::OfHost);
        let FileKind::Refused(said) = kind_of(STUB, |_| false) else {
            panic!("nothing stands for it");
        };
        assert_eq!(
            said,
            "is the library /usr/lib/libc++.1.dylib of macOS, which no process here can load. It \
             provides 2 names: _a, _b. Link a static archive of it that is compiled for macOS, or a \
             library of this system that has these names"
        );
    }

    #[test]
    fn names_of_system_libraries_are_what_comes_before_versions() {
        for (path, name) in [
            ("/usr/lib/libSystem.B.dylib", Some("libSystem")),
            ("/usr/lib/system/libsystem_c.dylib", Some("libsystem_c")),
            ("/usr/lib/swift/libswiftCore.dylib", None),
            ("/opt/lib/libSystem.B.dylib", None),
            ("@rpath/libc++.dylib", None),
        ] {
            assert_eq!(system_library(path), name, "{path}");
        }
    }
}
