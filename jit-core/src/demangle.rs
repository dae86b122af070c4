//! Names as people read them, for messages only.

/// Longest mangled name that is demangled: time and output of a demangler grow faster than the name.
const MANGLED_BYTES_MAX: usize = 16 << 10;

/// The demangled form of a C++ or Rust name; any other name as it is. A version suffix ("@GLIBC_2.34")
/// is kept.
pub fn demangle(name: &[u8]) -> String {
    let text = String::from_utf8_lossy(name);
    let (base, version) = match text.find('@') {
        Some(at) => text.split_at(at),
        None => (text.as_ref(), ""),
    };
    match demangle_base(base) {
        Some(readable) => readable + version,
        None => text.into_owned(),
    }
}

/// The readable name, followed by the real one where they differ: "foo(int) (_Z3fooi)".
pub fn describe(name: &[u8]) -> String {
    let readable = demangle(name);
    let raw = String::from_utf8_lossy(name);
    if readable == raw {
        readable
    } else {
        format!("{readable} ({raw})")
    }
}

fn demangle_base(base: &str) -> Option<String> {
    if base.len() > MANGLED_BYTES_MAX {
        return None;
    }
    // Rust's older mangling looks like C++, so Rust is tried first. `{:#}` leaves the hash out.
    if let Ok(rust) = rustc_demangle::try_demangle(base) {
        return Some(format!("{rust:#}"));
    }
    if !base.starts_with("_Z") {
        return None;
    }
    cpp_demangle::Symbol::new(base).ok()?.demangle().ok()
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
    fn describes_with_the_real_name() {
        assert_eq!(describe(b"main"), "main");
        assert_eq!(describe(b"_Z3barv"), "bar() (_Z3barv)");
    }
}
