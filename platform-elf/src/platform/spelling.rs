//! How ELF spells what the linker makes, and versions of names.

use jit_core::platform::LinkerSection;

/// The name of an output section that the linker makes.
pub(super) fn section_name(section: LinkerSection) -> &'static str {
    match section {
        LinkerSection::Code => ".text",
        LinkerSection::Data => ".data",
        LinkerSection::StubPointers => ".orc.stub_pointers",
        LinkerSection::Addresses => ".got",
        LinkerSection::WritableAddresses => ".got.plt",
        LinkerSection::Stubs => ".plt",
        LinkerSection::Copies => ".bss",
        LinkerSection::ReadOnlyCopies => ".bss.rel.ro",
        LinkerSection::ResolverTable => ".rela.iplt",
        LinkerSection::FunctionNames => ".orc.function_names",
        LinkerSection::Frames => ".eh_frame",
    }
}

/// A name without its version, and the version of a reference such as "name@VERSION" or "name@@VERSION".
pub(super) fn split_version(name: &[u8]) -> (&[u8], Option<&[u8]>) {
    let Some(at) = memchr::memchr(b'@', name) else {
        return (name, None);
    };
    let (plain, version) = name.split_at(at);
    let ats = version.iter().take_while(|byte| **byte == b'@').count();
    (plain, Some(&version[ats..]))
}

#[cfg(test)]
mod tests {
    use super::split_version;

    #[test]
    fn versions_of_names() {
        let check = |name: &str, plain: &str, version: Option<&str>| {
            let expected = (plain.as_bytes(), version.map(str::as_bytes));
            assert_eq!(split_version(name.as_bytes()), expected, "{name}");
        };
        check("memcpy", "memcpy", None);
        check("memcpy@GLIBC_2.14", "memcpy", Some("GLIBC_2.14"));
        check("memcpy@@GLIBC_2.14", "memcpy", Some("GLIBC_2.14"));
        check("name@", "name", Some(""));
        check("", "", None);
    }
}
