//! Which output section an input section goes to, and where in it.
//!
//! The rules are those of GNU ld's default linker script: `.text.foo` goes to `.text`, cold and
//! start-up code lie together, `.ctors` are merged into `.init_array`. Names that no rule knows stay
//! as they are.
//!
//! *Initializers.* `.init_array.N` runs in ascending order of `N` before the plain `.init_array`.
//! `.ctors.N` is the older form: its priority is `65535 - N`, and a `.ctors` section is run from its
//! end to its start, so its words are written in reverse order. The same holds for finalizers, whose
//! array the runtime walks from its end.

use jit_core::graph::SectionKind;
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
    /// Whether the section's words are run from the last to the first.
    pub reversed: bool,
}

/// Rank of initializers without a priority: after all that have one.
const NO_PRIORITY: u32 = 65536;
/// Rank of ordinary code, after the groups that profile feedback and attributes make.
const ORDINARY_TEXT: u32 = 5;
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
        reversed: false,
    })
}

fn by_name(tail: &[u8]) -> Option<Placement> {
    use Known::*;
    let is = |name: &[u8]| rest(tail, name).is_some_and(|rest| rest.starts_with(b"\0"));
    let family = |name: &[u8]| rest(tail, name).is_some();
    match tail.get(1)? {
        b't' if family(b".text") => plain(Text, text_order(rest(tail, b".text")?)),
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
        reversed: false,
    })
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
    let order = rest.and_then(priority).unwrap_or(NO_PRIORITY);
    plain(output, order)
}

fn destructors(output: Known, rest: &[u8]) -> Option<Placement> {
    let order = priority(rest).map_or(NO_PRIORITY, |n| 65535 - n);
    Some(Placement {
        output: Some(output),
        order,
        reversed: true,
    })
}

/// The number after the dot, as in ".00101".
fn priority(rest: &[u8]) -> Option<u32> {
    let digits = rest.strip_prefix(b".")?;
    let end = digits.iter().take(8).position(|b| !b.is_ascii_digit())?;
    if end == 0 || digits[end] != 0 {
        return None;
    }
    let number = digits[..end]
        .iter()
        .fold(0u32, |n, d| n * 10 + u32::from(d - b'0'));
    (number <= 65535).then_some(number)
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
        assert_eq!(place(".init_array"), (".init_array".into(), 65536, false));
        assert_eq!(
            place(".init_array.00101"),
            (".init_array".into(), 101, false)
        );
        assert_eq!(place(".init_array.x"), (".init_array".into(), 65536, false));
        assert_eq!(place(".ctors"), (".init_array".into(), 65536, true));
        assert_eq!(place(".ctors.65434"), (".init_array".into(), 101, true));
        assert_eq!(place(".dtors.65434"), (".fini_array".into(), 101, true));
        assert_eq!(place(".ctors.99999"), (".init_array".into(), 65536, true));
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
