//! Which output section an input section goes to, and where in it.
//!
//! The rules are those of GNU ld's default linker script: `.text.foo` goes to `.text`, cold and
//! start-up code lie together, `.ctors` are merged into `.init_array`. Names that no rule knows stay
//! as they are.
//!
//! *Initializers.* `.init_array.N` runs in ascending order of `N` before the plain `.init_array`.
//! `.ctors.N` is the older form: its priority is `65535 - N`, and a `.ctors` section is run from its
//! end to its start, so its words are written in reverse order. Of one priority, the section with the
//! smaller name comes first, and so `.ctors.N` before `.init_array.N`. What is named otherwise
//! (`.init_array.early`) has only its name to be compared by. The same holds for finalizers, whose
//! array the runtime walks from its end.

use jit_core::graph::{RANK_BY_NAME, SectionKind};
use object::elf::{
    self, SHF_EXECINSTR, SHF_TLS, SHF_WRITE, SHT_FINI_ARRAY, SHT_INIT_ARRAY, SHT_PREINIT_ARRAY,
    SectionFlags, SectionType,
};

/// Data of the medium and large code models (psABI, "Special Sections").
const SHF_X86_64_LARGE: SectionFlags = SectionFlags(0x1000_0000);

/// Output sections that rules know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Known {
    Text,
    Init,
    Fini,
    ReadOnlyData,
    ReadOnlyData1,
    EhFrame,
    ExceptTable,
    ThreadData,
    ThreadBss,
    PreinitArray,
    InitArray,
    FiniArray,
    Jcr,
    DataRelRo,
    Data,
    Data1,
    BssRelRo,
    Bss,
    LargeReadOnlyData,
    LargeData,
    LargeBss,
}

impl Known {
    /// How many there are.
    pub const COUNT: usize = Self::LargeBss as usize + 1;

    /// The output section's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => ".text",
            Self::Init => ".init",
            Self::Fini => ".fini",
            Self::ReadOnlyData => ".rodata",
            Self::ReadOnlyData1 => ".rodata1",
            Self::EhFrame => ".eh_frame",
            Self::ExceptTable => ".gcc_except_table",
            Self::ThreadData => ".tdata",
            Self::ThreadBss => ".tbss",
            Self::PreinitArray => ".preinit_array",
            Self::InitArray => ".init_array",
            Self::FiniArray => ".fini_array",
            Self::Jcr => ".jcr",
            Self::DataRelRo => ".data.rel.ro",
            Self::Data => ".data",
            Self::Data1 => ".data1",
            Self::BssRelRo => ".bss.rel.ro",
            Self::Bss => ".bss",
            Self::LargeReadOnlyData => ".lrodata",
            Self::LargeData => ".ldata",
            Self::LargeBss => ".lbss",
        }
    }

    /// Whether nothing has to refer to the section for it to be needed.
    pub const fn is_retained(self) -> bool {
        matches!(
            self,
            Self::Init
                | Self::Fini
                | Self::PreinitArray
                | Self::InitArray
                | Self::FiniArray
                | Self::Jcr
        )
    }
}

/// Where a section goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Placement {
    /// The output section; `None` keeps the section's own name.
    pub output: Option<Known>,
    /// Rank in the output section.
    pub order: u32,
    /// Whether sections of the same rank are sorted by their names.
    pub by_name: bool,
    /// Whether the section's words are run from the last to the first.
    pub reversed: bool,
}

/// Rank of initializers of priority 0: behind what the linker itself puts first.
const FIRST_PRIORITY: u32 = 1;
/// The greatest priority; a greater number is none.
const MAX_PRIORITY: u32 = i32::MAX as u32;
/// Rank of initializers without a name of their own: after all that have one.
const NO_PRIORITY: u32 = RANK_BY_NAME + 1;
/// Rank of ordinary code, after the groups that profile feedback and attributes make.
const ORDINARY_TEXT: u32 = 5;
/// Rank of code whose order its names tell (`.text.sorted.N`).
const SORTED_TEXT: u32 = 4;
/// Rank of common symbols, which ld places after `.bss`.
pub(super) const COMMON_ORDER: u32 = 1;

/// Where the section goes whose name is at the start of `tail` (up to a NUL).
pub(super) fn placement(tail: &[u8], sh_type: SectionType) -> Placement {
    use Known::*;
    let known = match sh_type {
        SHT_INIT_ARRAY => initializers(InitArray, rest(tail, b".init_array")),
        SHT_FINI_ARRAY => initializers(FiniArray, rest(tail, b".fini_array")),
        SHT_PREINIT_ARRAY => plain(PreinitArray, 0),
        _ => by_name(tail),
    };
    known.unwrap_or(Placement {
        output: None,
        order: 0,
        by_name: false,
        reversed: false,
    })
}

fn by_name(tail: &[u8]) -> Option<Placement> {
    use Known::*;
    let is = |name: &[u8]| rest(tail, name).is_some_and(|rest| rest.starts_with(b"\0"));
    let family = |name: &[u8]| rest(tail, name).is_some();
    match tail.get(1)? {
        b't' if family(b".text") => Some(text(rest(tail, b".text")?)),
        b't' if family(b".tdata") => plain(ThreadData, 0),
        b't' if family(b".tbss") => plain(ThreadBss, 0),
        b'r' if family(b".rodata") => plain(ReadOnlyData, 0),
        b'r' if is(b".rodata1") => plain(ReadOnlyData1, 0),
        b'd' if family(b".data.rel.ro.local") => plain(DataRelRo, 0),
        b'd' if family(b".data.rel.ro") => plain(DataRelRo, 1),
        b'd' if family(b".data") => plain(Data, 0),
        b'd' if is(b".data1") => plain(Data1, 0),
        b'd' if family(b".dtors") => destructors(FiniArray, rest(tail, b".dtors")?),
        b'b' if family(b".bss.rel.ro") => plain(BssRelRo, 0),
        b'b' if family(b".bss") => plain(Bss, 0),
        b'g' if family(b".gcc_except_table") => plain(ExceptTable, 0),
        b'g' => linkonce(tail.strip_prefix(b".gnu.linkonce.")?),
        b'e' if is(b".eh_frame") => plain(EhFrame, 0),
        b'i' if is(b".init") => plain(Init, 0),
        b'i' => initializers(InitArray, Some(rest(tail, b".init_array")?)),
        b'f' if is(b".fini") => plain(Fini, 0),
        b'f' => initializers(FiniArray, Some(rest(tail, b".fini_array")?)),
        b'p' if family(b".preinit_array") => plain(PreinitArray, 0),
        b'c' => destructors(InitArray, rest(tail, b".ctors")?),
        b'j' if is(b".jcr") => plain(Jcr, 0),
        b'l' if family(b".lrodata") => plain(LargeReadOnlyData, 0),
        b'l' if family(b".ldata") => plain(LargeData, 0),
        b'l' if family(b".lbss") => plain(LargeBss, 0),
        b's' if is(b".stub") => plain(Text, ORDINARY_TEXT),
        _ => None,
    }
}

/// `.gnu.linkonce.X.name`: what COMDAT groups were before there were groups; `X` abbreviates the
/// section.
fn linkonce(tail: &[u8]) -> Option<Placement> {
    use Known::*;
    let kinds: [(&[u8], Known, u32); 10] = [
        (b"t.", Text, ORDINARY_TEXT),
        (b"r.", ReadOnlyData, 0),
        (b"d.rel.ro.local.", DataRelRo, 0),
        (b"d.rel.ro.", DataRelRo, 1),
        (b"d.", Data, 0),
        (b"b.", Bss, 0),
        (b"td.", ThreadData, 0),
        (b"tb.", ThreadBss, 0),
        (b"lr.", LargeReadOnlyData, 0),
        (b"lb.", LargeBss, 0),
    ];
    let found = kinds.iter().find(|(prefix, ..)| tail.starts_with(prefix));
    match found {
        Some(&(_, output, order)) => plain(output, order),
        None if tail.starts_with(b"l.") => plain(LargeData, 0),
        None => None,
    }
}

/// What follows `name` at the start of `tail` if the name ends there or goes on with a dot.
fn rest<'a>(tail: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    tail.strip_prefix(name)
        .filter(|rest| matches!(rest.first(), Some(b'.' | 0)))
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "the arms of `by_name` read as a table"
)]
fn plain(output: Known, order: u32) -> Option<Placement> {
    Some(Placement {
        output: Some(output),
        order,
        by_name: false,
        reversed: false,
    })
}

fn text(rest: &[u8]) -> Placement {
    let order = text_order(rest);
    Placement {
        output: Some(Known::Text),
        order,
        by_name: order == SORTED_TEXT,
        reversed: false,
    }
}

fn text_order(rest: &[u8]) -> u32 {
    // Nearly all sections are named after functions.
    if !matches!(rest.get(1), Some(b'u' | b'e' | b's' | b'h')) {
        return ORDINARY_TEXT;
    }
    let groups: [&[u8]; 5] = [b".unlikely", b".exit", b".startup", b".hot", b".sorted"];
    let found = groups.iter().position(|group| {
        rest.strip_prefix(*group)
            .is_some_and(|rest| matches!(rest.first(), Some(b'.' | 0)))
    });
    found.map_or(ORDINARY_TEXT, |at| at as u32)
}

fn initializers(output: Known, rest: Option<&[u8]>) -> Option<Placement> {
    let rest = rest.filter(|rest| rest.starts_with(b"."));
    let order = rest.map_or(NO_PRIORITY, |rest| ranked(priority(rest)));
    Some(Placement {
        output: Some(output),
        order,
        by_name: rest.is_some(),
        reversed: false,
    })
}

fn destructors(output: Known, rest: &[u8]) -> Option<Placement> {
    let suffix = Some(rest).filter(|rest| rest.starts_with(b"."));
    let order = suffix.map_or(NO_PRIORITY, |rest| {
        let number = priority(rest);
        // Only in ".ctors.N" itself, and not in ".ctors.early.N", it counts down.
        let is_plain = memchr::memrchr(b'.', until_nul(rest)) == Some(0);
        match is_plain {
            true => ranked(number.and_then(|n| 65535_u32.checked_sub(n))),
            false => ranked(number),
        }
    });
    Some(Placement {
        output: Some(output),
        order,
        by_name: suffix.is_some(),
        reversed: true,
    })
}

fn ranked(priority: Option<u32>) -> u32 {
    priority.map_or(RANK_BY_NAME, |priority| FIRST_PRIORITY + priority)
}

/// The number after the last dot, as in ".00101".
fn priority(rest: &[u8]) -> Option<u32> {
    let name = until_nul(rest);
    let digits = &name[memchr::memrchr(b'.', name)? + 1..];
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    digits.iter().try_fold(0u32, |number, digit| {
        let number = number.checked_mul(10)?.checked_add(u32::from(digit - b'0'));
        number.filter(|&number| number <= MAX_PRIORITY)
    })
}

fn until_nul(tail: &[u8]) -> &[u8] {
    &tail[..memchr::memchr(0, tail).unwrap_or(tail.len())]
}

/// Permissions of a section that goes to `output`.
pub(super) fn kind(output: Option<Known>, flags: SectionFlags) -> SectionKind {
    use Known::*;
    if flags.contains(SHF_TLS) {
        return SectionKind::ThreadLocal;
    }
    if flags.contains(SHF_EXECINSTR) {
        return SectionKind::Text;
    }
    match output {
        Some(DataRelRo | PreinitArray | InitArray | FiniArray | Jcr | BssRelRo) => {
            SectionKind::RelocatedReadOnly
        }
        // Old compilers mark them writable for the sake of the dynamic loader's fixups.
        Some(EhFrame) => SectionKind::ReadOnly,
        Some(ExceptTable) if flags.contains(SHF_WRITE) => SectionKind::RelocatedReadOnly,
        _ if flags.contains(SHF_WRITE) && flags.contains(SHF_X86_64_LARGE) => {
            SectionKind::LargeReadWrite
        }
        _ if flags.contains(SHF_WRITE) => SectionKind::ReadWrite,
        _ => SectionKind::ReadOnly,
    }
}

/// Whether code can name the section's bounds as `__start_NAME` and `__stop_NAME`.
pub(super) fn is_c_identifier(name: &[u8]) -> bool {
    let letter = |b: u8| b.is_ascii_alphabetic() || b == b'_';
    match name {
        [first, others @ ..] => {
            letter(*first) && others.iter().all(|&b| letter(b) || b.is_ascii_digit())
        }
        [] => false,
    }
}

/// Whether the section holds initializers or finalizers, so that running its dylib needs it.
pub(super) fn is_initializer(tail: &[u8], sh_type: SectionType) -> bool {
    match sh_type {
        SHT_INIT_ARRAY | SHT_FINI_ARRAY | SHT_PREINIT_ARRAY => true,
        elf::SHT_PROGBITS => {
            matches!(tail.get(1), Some(b'i' | b'f' | b'c' | b'd' | b'p'))
                && by_name(tail)
                    .and_then(|p| p.output)
                    .is_some_and(Known::is_retained)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object::elf::{SHT_NOBITS, SHT_PROGBITS};

    fn place(name: &str) -> (String, u32, bool) {
        let tail = [name.as_bytes(), b"\0.next"].concat();
        let p = placement(&tail, SHT_PROGBITS);
        (
            p.output
                .map_or_else(|| name.to_owned(), |known| known.name().to_owned()),
            p.order,
            p.reversed,
        )
    }

    #[test]
    fn names_follow_the_default_linker_script() {
        let cases = [
            (".text", ".text", 5),
            (".text._ZN3fooEv", ".text", 5),
            (".text.unlikely", ".text", 0),
            (".text.unlikely._Z1fv", ".text", 0),
            (".text.startup.main", ".text", 2),
            (".text.hot", ".text", 3),
            (".text.hotel", ".text", 5),
            (".text_env", ".text_env", 0),
            (".rodata.cst16", ".rodata", 0),
            (".rodata.str1.1", ".rodata", 0),
            (".data.rel.ro.local._ZTV1A", ".data.rel.ro", 0),
            (".data.rel.ro._ZTV1A", ".data.rel.ro", 1),
            (".data.rel.local", ".data", 0),
            (".bss.x", ".bss", 0),
            (".bss.rel.ro.x", ".bss.rel.ro", 0),
            (".tbss.x", ".tbss", 0),
            (".gcc_except_table._Z1fv", ".gcc_except_table", 0),
            (".gnu.linkonce.t._Z1fv", ".text", 5),
            (".gnu.linkonce.d.rel.ro.local.x", ".data.rel.ro", 0),
            (".gnu.linkonce.td.x", ".tdata", 0),
            (".lbss.x", ".lbss", 0),
            ("my_section", "my_section", 0),
            (".debug", ".debug", 0),
        ];
        for (name, output, order) in cases {
            assert_eq!(place(name), (output.to_owned(), order, false), "{name}");
        }
    }

    #[test]
    fn priorities_run_in_ld_order() {
        let at = |name: &str| place(name).1;
        let priorities = [
            (".init_array.0", 0),
            (".init_array.00101", 101),
            (".init_array.x.7", 7),
            (".init_array.70000", 70000),
            (".ctors.65434", 101),
            (".ctors.65535", 0),
            (".ctors.0", 65535),
            (".ctors.x.5", 5),
            (".dtors.65434", 101),
            (".fini_array.3", 3),
        ];
        for (name, priority) in priorities {
            assert_eq!(at(name), FIRST_PRIORITY + priority, "{name}");
        }
        let odd = [
            ".init_array.early",
            ".init_array.",
            ".init_array.5x",
            ".init_array.2147483648",
            ".init_array.99999999999999999999999",
            ".ctors.65536",
            ".dtors.late",
        ];
        for name in odd {
            assert_eq!(at(name), RANK_BY_NAME, "{name}");
        }
        for name in [".init_array", ".ctors", ".fini_array", ".dtors"] {
            assert_eq!(at(name), NO_PRIORITY, "{name}");
        }
        assert_eq!(place(".ctors.5").0, ".init_array");
        assert!(place(".ctors.5").2, "its words are reversed");
        assert_eq!(place(".dtors").0, ".fini_array");
        assert_eq!(place(".init"), (".init".into(), 0, false));
    }

    #[test]
    fn initializers_are_told_by_type_or_name() {
        assert!(is_initializer(b".foo\0", SHT_INIT_ARRAY));
        assert!(is_initializer(b".ctors.5\0", SHT_PROGBITS));
        assert!(is_initializer(b".fini\0", SHT_PROGBITS));
        assert!(!is_initializer(b".data\0", SHT_PROGBITS));
        assert!(!is_initializer(b".ctors\0", SHT_NOBITS));
    }

    #[test]
    fn c_identifiers() {
        assert!(is_c_identifier(b"_set1"));
        assert!(!is_c_identifier(b"1set"));
        assert!(!is_c_identifier(b".set"));
        assert!(!is_c_identifier(b""));
    }
}
