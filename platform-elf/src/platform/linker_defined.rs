//! Symbols that a linker provides, by the names that GNU `ld`'s default script gives them.

use jit_core::platform::LinkerDefined;

/// What the linker provides under `name`, if it is such a name.
pub(crate) fn linker_defined(name: &[u8]) -> Option<LinkerDefined> {
    let start = |section: &str| Some(LinkerDefined::SectionStart(section.to_owned()));
    let end = |section: &str| Some(LinkerDefined::SectionEnd(section.to_owned()));
    match name {
        b"__preinit_array_start" => start(".preinit_array"),
        b"__preinit_array_end" => end(".preinit_array"),
        b"__init_array_start" => start(".init_array"),
        b"__init_array_end" => end(".init_array"),
        b"__fini_array_start" => start(".fini_array"),
        b"__fini_array_end" => end(".fini_array"),
        // IRELATIVE relocations of a static program; there are none here.
        b"__rela_iplt_start" => start(".rela.iplt"),
        b"__rela_iplt_end" => end(".rela.iplt"),
        b"__GNU_EH_FRAME_HDR" => start(".eh_frame_hdr"),
        b"__TMC_END__" => end(".tm_clone_table"),
        // `crt1.o` defines these two, at the start of its own `.data`, which comes first.
        b"__data_start" | b"data_start" => start(".data"),
        b"etext" | b"_etext" | b"__etext" => Some(LinkerDefined::TextEnd),
        b"edata" | b"_edata" | b"__bss_start" => Some(LinkerDefined::DataEnd),
        b"end" | b"_end" => Some(LinkerDefined::ImageEnd),
        b"__ehdr_start" => Some(LinkerDefined::ImageStart),
        // With `etext`, the bounds of the code: profiles have room for all that lies in between.
        b"__executable_start" => Some(LinkerDefined::TextStart),
        b"__dso_handle" => Some(LinkerDefined::DylibHeader),
        b"_GLOBAL_OFFSET_TABLE_" => Some(LinkerDefined::GotBase),
        b"_TLS_MODULE_BASE_" => Some(LinkerDefined::TlsModuleBase),
        _ => output_section(name).or_else(|| section_bound(name)),
    }
}

/// The name of an output section's start, as expressions of linker scripts refer to it. No symbol of
/// an object is called so.
pub(crate) fn start_of_section(section: &str) -> String {
    format!("ADDR({section})")
}

/// The name of an output section's end, as expressions refer to it.
pub(crate) fn end_of_section(section: &str) -> String {
    format!("END({section})")
}

fn output_section(name: &[u8]) -> Option<LinkerDefined> {
    let inner = |prefix: &[u8]| -> Option<String> {
        let section = name.strip_prefix(prefix)?.strip_suffix(b")")?;
        Some(String::from_utf8_lossy(section).into_owned())
    };
    let start = inner(b"ADDR(").map(LinkerDefined::SectionStart);
    start.or_else(|| inner(b"END(").map(LinkerDefined::SectionEnd))
}

/// `__start_X` and `__stop_X`, where X is a section name that is a C identifier; `.startof.X` and `.sizeof.X` with
/// any name.
fn section_bound(name: &[u8]) -> Option<LinkerDefined> {
    let identifier = |section: &[u8]| -> Option<String> {
        let valid = section
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || *b == b'_');
        let starts_well = section.first().is_some_and(|b| !b.is_ascii_digit());
        (valid && starts_well).then(|| String::from_utf8_lossy(section).into_owned())
    };
    let any = |section: &[u8]| Some(String::from_utf8_lossy(section).into_owned());
    if let Some(section) = name.strip_prefix(b".startof.") {
        any(section).map(LinkerDefined::SectionStart)
    } else if let Some(section) = name.strip_prefix(b".sizeof.") {
        any(section).map(LinkerDefined::SectionSize)
    } else if let Some(section) = name.strip_prefix(b"__start_") {
        identifier(section).map(LinkerDefined::SectionStart)
    } else if let Some(section) = name.strip_prefix(b"__stop_") {
        identifier(section).map(LinkerDefined::SectionEnd)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_of_sections_that_are_c_identifiers() {
        let start = |s: &str| Some(LinkerDefined::SectionStart(s.to_owned()));
        let end = |s: &str| Some(LinkerDefined::SectionEnd(s.to_owned()));
        assert_eq!(linker_defined(b"__start_my_list"), start("my_list"));
        assert_eq!(linker_defined(b"__stop__x9"), end("_x9"));
        assert_eq!(linker_defined(b"__start_"), None);
        assert_eq!(linker_defined(b"__start_9x"), None);
        assert_eq!(linker_defined(b"__stop_a.b"), None);
        assert_eq!(linker_defined(b"__init_array_end"), end(".init_array"));
        assert_eq!(linker_defined(b".startof..data"), start(".data"));
        let size = LinkerDefined::SectionSize("my_list".to_owned());
        assert_eq!(linker_defined(b".sizeof.my_list"), Some(size));
    }

    #[test]
    fn ends_of_the_image() {
        assert_eq!(linker_defined(b"_end"), Some(LinkerDefined::ImageEnd));
        assert_eq!(linker_defined(b"__bss_start"), linker_defined(b"edata"));
        assert_eq!(linker_defined(b"ended"), None);
        assert_eq!(linker_defined(b""), None);
    }
}
