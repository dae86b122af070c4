//! Names as people read them, for messages only.

use std::fmt::{self, Write as _};

use orc_shared::{printable, printable_text};

/// Longest mangled name that is demangled: time and output of a demangler grow faster than the name.
const MANGLED_BYTES_MAX: usize = 16 << 10;

/// Longest demangled name: a small mangled one can stand for one of any length.
const DEMANGLED_BYTES_MAX: usize = 64 << 10;

/// Of longer names, messages have the beginning.
const SHOWN_BYTES_MAX: usize = 16 << 10;

/// The demangled form of a C++ or Rust name; any other name as it is. What follows the first character
/// that no mangled name has is kept: formats write versions there. To be compared with; [`readable`] is for messages.
pub fn demangle(name: &[u8]) -> String {
    let text = String::from_utf8_lossy(name);
    let in_mangled = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '$');
    let end = text.find(|c| !in_mangled(c)).unwrap_or(text.len());
    let (base, rest) = text.split_at(end);
    match demangle_base(base) {
        Some(readable) => readable + rest,
        None => text.into_owned(),
    }
}

/// The name as a person reads it: demangled, and with what is not for a terminal escaped.
pub fn readable(name: &[u8]) -> String {
    shown(demangle(name).as_bytes())
}

/// The readable name, followed by the real one where they differ: "foo(int) (_Z3fooi)".
pub fn describe(name: &[u8]) -> String {
    let readable = readable(name);
    let raw = shown(name);
    if readable == raw {
        readable
    } else {
        format!("{readable} ({raw})")
    }
}

/// The name as it is in the object, for messages.
pub(crate) fn shown(name: &[u8]) -> String {
    match name.get(..SHOWN_BYTES_MAX) {
        Some(start) if name.len() > SHOWN_BYTES_MAX => {
            format!("{}… ({} bytes)", printable(start), name.len())
        }
        _ => printable_text(name),
    }
}

fn demangle_base(base: &str) -> Option<String> {
    if base.len() > MANGLED_BYTES_MAX {
        return None;
    }
    let mut readable = Bounded(String::new());
    // Rust's older mangling looks like C++, so Rust is tried first. `{:#}` leaves the hash out.
    if let Ok(rust) = rustc_demangle::try_demangle(base) {
        write!(readable, "{rust:#}").ok()?;
        return Some(readable.0);
    }
    if !base.starts_with("_Z") {
        return None;
    }
    let symbol = cpp_demangle::Symbol::new(base).ok()?;
    let options = cpp_demangle::DemangleOptions::default();
    symbol.structured_demangle(&mut readable, &options).ok()?;
    Some(readable.0)
}

/// A text that does not become longer than a name may.
struct Bounded(String);

impl fmt::Write for Bounded {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        if more.len() > DEMANGLED_BYTES_MAX - self.0.len() {
            return Err(fmt::Error);
        }
        self.0.push_str(more);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn demangles_what_is_mangled() {
        assert_eq!(demangle(b"_Z3fooi"), "foo(int)");
        assert_eq!(
            demangle(b"_ZN4core3fmt5Write9write_str17h0123456789abcdefE"),
            "core::fmt::Write::write_str"
        );
        assert_eq!(demangle(b"_RNvC6_123foo3bar"), "123foo::bar");
        assert_eq!(demangle(b"memcpy@GLIBC_2.14"), "memcpy@GLIBC_2.14");
        assert_eq!(demangle(b"_Z3fooi@V1"), "foo(int)@V1");
        assert_eq!(demangle(b"_Zgarbage\xff"), "_Zgarbage\u{fffd}");
    }

    #[test]
    fn what_commands_a_terminal_is_escaped() {
        assert_eq!(describe(b"a\x1b[2Jb\nc"), r"a\x1b[2Jb\nc");
        assert_eq!(readable(b"a\x07@V\x1b"), r"a\x07@V\x1b");
        assert_eq!(demangle(b"a\x07"), "a\x07");
    }

    #[test]
    fn long_names_are_cut_short() {
        let long = describe(&[b'x'; 1 << 20]);
        assert!(long.len() < 20_000, "{}", long.len());
        assert!(long.ends_with("x… (1048576 bytes)"), "{long}");
    }

    #[test]
    fn names_that_would_grow_without_end_stay_mangled() {
        // Each pair is one of the pair before it, twice. What can be meant again is numbered: the template
        // and the type each time.
        let mut name = "_Z1fSt4pairIiiE".to_owned();
        for number in "0 2 4 6 8 A C E G I K M O Q S U W Y".split(' ') {
            name.push_str(&format!("St4pairIS{number}_S{number}_E"));
        }
        assert_eq!(demangle(name.as_bytes()), name);
    }

    #[test]
    fn describes_with_the_real_name() {
        assert_eq!(describe(b"main"), "main");
        assert_eq!(describe(b"_Z3barv"), "bar() (_Z3barv)");
    }
}
