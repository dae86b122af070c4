//! Which sections of an object are in memory, and where they go.

use jit_core::graph::{RANK_BY_NAME, SectionKind};
use object::LittleEndian as LE;
use object::macho::{self, Section64};

use super::languages;
use super::view::{section_name, segment_name};
use crate::platform::{Host, Languages, Sections};

/// What becomes of a section.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Placement {
    /// It is in memory.
    Output {
        /// The output section.
        name: String,
        kind: SectionKind,
        /// Rank in the output section.
        order: u32,
        /// Kept, whatever refers to it.
        retained: bool,
    },
    /// Frames, which are written anew.
    Frames,
    /// Compact unwind entries, of which frames are made.
    CompactUnwind,
    /// It is not in memory: debug information and the like.
    NotInMemory,
    /// It cannot be linked: why.
    Refused(&'static str),
}

/// Rank of initializers without a priority: behind those that have one.
const NO_PRIORITY: u32 = RANK_BY_NAME + 1;

/// Where a section goes.
pub(super) fn placement(section: &Section64<LE>, host: &Host) -> Placement {
    let sections = &host.sections;
    let flags = section.flags.get(LE);
    let (segment, name) = (segment_name(section), section_name(section));
    match (segment, name) {
        (b"__LD", b"__compact_unwind") => return Placement::CompactUnwind,
        (b"__LD", _) => return Placement::NotInMemory,
        (b"__TEXT", b"__eh_frame") => return Placement::Frames,
        _ => {}
    }
    if flags.contains(macho::S_ATTR_DEBUG) || segment == b"__DWARF" || segment == b"__LLVM" {
        return Placement::NotInMemory;
    }
    if let Some(placement) = for_languages(section, &host.languages) {
        return placement;
    }
    if let Some(why) = refused(flags) {
        return Placement::Refused(why);
    }
    let mut retained = flags.contains(macho::S_ATTR_NO_DEAD_STRIP);
    let mut order = 0;
    let known = known(flags, segment, name, sections);
    let (output, kind) = match known {
        Some((output, kind)) => {
            if output == sections.initializers || output == sections.finalizers {
                retained = true;
                order = NO_PRIORITY;
            }
            (output.to_owned(), kind)
        }
        None => {
            let kind = match segment {
                b"__TEXT" => SectionKind::ReadOnly,
                b"__DATA_CONST" => SectionKind::RelocatedReadOnly,
                _ => SectionKind::ReadWrite,
            };
            (String::from_utf8_lossy(name).into_owned(), kind)
        }
    };
    Placement::Output {
        name: output,
        kind,
        order,
        retained,
    }
}

/// Where a section goes that is for the runtimes of languages.
fn for_languages(section: &Section64<LE>, languages: &Languages) -> Option<Placement> {
    let is_told_of = languages::is_told_of(section);
    match languages {
        Languages::Absent => match languages::refusal(section) {
            Some(why) => Some(Placement::Refused(why)),
            // Flags of the compiler, for the runtime of Objective-C.
            None => is_told_of.then_some(Placement::NotInMemory),
        },
        Languages::Registered(_) => is_told_of.then(|| Placement::Output {
            name: String::from_utf8_lossy(section_name(section)).into_owned(),
            kind: match segment_name(section) {
                b"__TEXT" => SectionKind::ReadOnly,
                // A runtime changes them.
                _ => SectionKind::ReadWrite,
            },
            order: 0,
            retained: true,
        }),
    }
}

/// Why sections of a type are not linked.
fn refused(flags: macho::SectionFlags) -> Option<&'static str> {
    Some(match flags.typ() {
        macho::S_NON_LAZY_SYMBOL_POINTERS
        | macho::S_LAZY_SYMBOL_POINTERS
        | macho::S_LAZY_DYLIB_SYMBOL_POINTERS
        | macho::S_SYMBOL_STUBS
        | macho::S_THREAD_LOCAL_VARIABLE_POINTERS => {
            "has pointers or stubs of a linker's making (indirect symbols): compile again, for macOS 10.7 or later"
        }
        macho::S_INTERPOSING => {
            "replaces functions of other libraries (interposing), which is not supported"
        }
        macho::S_THREAD_LOCAL_INIT_FUNCTION_POINTERS => {
            "has functions that initialize thread-locals, which no compiler makes"
        }
        macho::S_INIT_FUNC_OFFSETS => {
            "has offsets of initializers, which only linked files have: __mod_init_func is needed here"
        }
        _ => return None,
    })
}

fn known(
    flags: macho::SectionFlags,
    segment: &[u8],
    name: &[u8],
    sections: &Sections,
) -> Option<(&'static str, SectionKind)> {
    use SectionKind::{ReadOnly, ReadWrite, RelocatedReadOnly, Text, ThreadLocal};
    Some(match flags.typ() {
        macho::S_MOD_INIT_FUNC_POINTERS => (sections.initializers, RelocatedReadOnly),
        macho::S_MOD_TERM_FUNC_POINTERS => (sections.finalizers, RelocatedReadOnly),
        macho::S_THREAD_LOCAL_REGULAR => (sections.thread_data, ThreadLocal),
        macho::S_THREAD_LOCAL_ZEROFILL => (sections.thread_zeros, ThreadLocal),
        macho::S_THREAD_LOCAL_VARIABLES => (sections.data, ReadWrite),
        macho::S_CSTRING_LITERALS
        | macho::S_4BYTE_LITERALS
        | macho::S_8BYTE_LITERALS
        | macho::S_16BYTE_LITERALS => (sections.constants, ReadOnly),
        macho::S_LITERAL_POINTERS => (sections.relocated_constants, RelocatedReadOnly),
        macho::S_ZEROFILL | macho::S_GB_ZEROFILL => (sections.zeros, ReadWrite),
        _ if flags.contains(macho::S_ATTR_PURE_INSTRUCTIONS)
            || flags.contains(macho::S_ATTR_SOME_INSTRUCTIONS) =>
        {
            (sections.code, Text)
        }
        _ => match (segment, name) {
            (b"__TEXT", b"__gcc_except_tab") => (sections.exception_tables, ReadOnly),
            (b"__TEXT", b"__const" | b"__ustring" | b"__objc_methname") => {
                (sections.constants, ReadOnly)
            }
            (b"__DATA" | b"__DATA_CONST", b"__const") => {
                (sections.relocated_constants, RelocatedReadOnly)
            }
            (b"__DATA", b"__data") => (sections.data, ReadWrite),
            _ => return None,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::PLAIN;
    use object::endian::{U32, U64};

    fn place(segment: &str, name: &str, flags: macho::SectionFlags) -> Placement {
        let padded = |text: &str| {
            let mut bytes = [0; 16];
            bytes[..text.len()].copy_from_slice(text.as_bytes());
            bytes
        };
        let none = U32::new(LE, 0);
        let section = Section64 {
            sectname: padded(name),
            segname: padded(segment),
            addr: U64::new(LE, 0),
            size: U64::new(LE, 0),
            offset: none,
            align: none,
            reloff: none,
            nreloc: none,
            flags: U32::new(LE, flags),
            reserved1: none,
            reserved2: none,
            reserved3: none,
        };
        placement(&section, &PLAIN)
    }

    fn output(segment: &str, name: &str, flags: macho::SectionFlags) -> (String, SectionKind) {
        match place(segment, name, flags) {
            Placement::Output { name, kind, .. } => (name, kind),
            other => panic!("{segment},{name}: {other:?}"),
        }
    }

    #[test]
    fn sections_go_where_their_type_or_name_says() {
        use SectionKind::*;
        let plain = macho::S_REGULAR.to_flags();
        let code = plain | macho::S_ATTR_PURE_INSTRUCTIONS;
        let cases = [
            ("__TEXT", "__text", code, ".text", Text),
            ("__TEXT", "__StaticInit", code, ".text", Text),
            (
                "__TEXT",
                "__cstring",
                macho::S_CSTRING_LITERALS.to_flags(),
                ".rodata",
                ReadOnly,
            ),
            ("__TEXT", "__const", plain, ".rodata", ReadOnly),
            (
                "__DATA",
                "__const",
                plain,
                ".data.rel.ro",
                RelocatedReadOnly,
            ),
            ("__DATA", "__data", plain, ".data", ReadWrite),
            (
                "__DATA",
                "__bss",
                macho::S_ZEROFILL.to_flags(),
                ".bss",
                ReadWrite,
            ),
            ("__DATA", "__mine", plain, "__mine", ReadWrite),
            (
                "__DATA",
                "__mod_init_func",
                macho::S_MOD_INIT_FUNC_POINTERS.to_flags(),
                ".init_array",
                RelocatedReadOnly,
            ),
            (
                "__DATA",
                "__thread_data",
                macho::S_THREAD_LOCAL_REGULAR.to_flags(),
                ".tdata",
                ThreadLocal,
            ),
            (
                "__DATA",
                "__thread_vars",
                macho::S_THREAD_LOCAL_VARIABLES.to_flags(),
                ".data",
                ReadWrite,
            ),
        ];
        for (segment, name, flags, expected, kind) in cases {
            assert_eq!(
                output(segment, name, flags),
                (expected.to_owned(), kind),
                "{name}"
            );
        }
    }

    #[test]
    fn what_is_not_linked_is_refused_or_left_out() {
        let plain = macho::S_REGULAR.to_flags();
        let debug = plain | macho::S_ATTR_DEBUG;
        assert_eq!(
            place("__DWARF", "__debug_info", debug),
            Placement::NotInMemory
        );
        assert_eq!(
            place("__LD", "__compact_unwind", debug),
            Placement::CompactUnwind,
            "compilers mark it as debug information"
        );
        assert_eq!(place("__TEXT", "__eh_frame", plain), Placement::Frames);
        let refused = |name, flags| matches!(place("__DATA", name, flags), Placement::Refused(_));
        assert!(refused("__objc_classlist", plain));
        assert!(refused("__swift5_types", plain));
        let info = place("__DATA", "__objc_imageinfo", plain);
        assert_eq!(info, Placement::NotInMemory);
        assert!(refused(
            "__init_offsets",
            macho::S_INIT_FUNC_OFFSETS.to_flags()
        ));
        assert!(refused("__interpose", macho::S_INTERPOSING.to_flags()));
        assert!(refused(
            "__la_symbol_ptr",
            macho::S_LAZY_SYMBOL_POINTERS.to_flags()
        ));
    }
}
