//! ELF on x86-64: the machine's numbers, and which edge kind each relocation number is.
//!
//! Relocation numbers are those of the System V psABI for x86-64, table "Relocation Types".

use jit_core::cpu::x86_64::Kind;
use object::elf::{self, Machine, RelocationType};

/// `e_machine` of objects for this CPU.
pub(crate) const MACHINE: Machine = elf::EM_X86_64;

/// The CPU's name for messages.
pub(crate) const NAME: &str = "x86-64";

/// What a relocation means to the linker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Meaning {
    /// An edge of this kind whose field has this many bytes.
    Edge(Kind, u8),
    /// Nothing: a hint to linkers that may be ignored.
    Ignored,
    /// Not a relocation that objects may have.
    Unsupported,
}

/// GNU C++ vtable garbage collection, long gone: marks of the vtable's parent and of its used
/// entries.
const R_X86_64_GNU_VTINHERIT: u32 = 250;
const R_X86_64_GNU_VTENTRY: u32 = 251;
/// MPX forms of `PC32` and `PLT32`, withdrawn from the psABI but found in old archives.
const R_X86_64_PC32_BND: u32 = 39;
const R_X86_64_PLT32_BND: u32 = 40;

/// What the relocation number means.
#[inline]
pub(crate) fn meaning(r_type: RelocationType) -> Meaning {
    const NUMBERS: usize = 256;
    static MEANINGS: [Meaning; NUMBERS] = {
        let mut meanings = [Meaning::Unsupported; NUMBERS];
        let mut number = 0;
        while number < NUMBERS {
            meanings[number] = meaning_of(RelocationType(number as u32));
            number += 1;
        }
        meanings
    };
    match MEANINGS.get(r_type.0 as usize) {
        Some(&meaning) => meaning,
        None => Meaning::Unsupported,
    }
}

const fn meaning_of(r_type: RelocationType) -> Meaning {
    use Meaning::{Edge, Ignored, Unsupported};
    match r_type {
        elf::R_X86_64_NONE => Edge(Kind::None, 0),
        elf::R_X86_64_64 => Edge(Kind::Pointer64, 8),
        elf::R_X86_64_PC32 | RelocationType(R_X86_64_PC32_BND) => Edge(Kind::Delta32, 4),
        elf::R_X86_64_GOT32 => Edge(Kind::GotOffset32, 4),
        elf::R_X86_64_PLT32 | RelocationType(R_X86_64_PLT32_BND) => Edge(Kind::Branch32, 4),
        elf::R_X86_64_GOTPCREL => Edge(Kind::GotDelta32, 4),
        elf::R_X86_64_32 => Edge(Kind::Pointer32, 4),
        elf::R_X86_64_32S => Edge(Kind::Pointer32Signed, 4),
        elf::R_X86_64_16 => Edge(Kind::Pointer16, 2),
        elf::R_X86_64_PC16 => Edge(Kind::Delta16, 2),
        elf::R_X86_64_8 => Edge(Kind::Pointer8, 1),
        elf::R_X86_64_PC8 => Edge(Kind::Delta8, 1),
        elf::R_X86_64_DTPOFF64 => Edge(Kind::ModuleOffset64, 8),
        elf::R_X86_64_TPOFF64 => Edge(Kind::TpOffset64, 8),
        elf::R_X86_64_TLSGD => Edge(Kind::TlsGeneralDynamic, 4),
        elf::R_X86_64_TLSLD => Edge(Kind::TlsLocalDynamic, 4),
        elf::R_X86_64_DTPOFF32 => Edge(Kind::ModuleOffset32, 4),
        elf::R_X86_64_TPOFF32 => Edge(Kind::TpOffset32, 4),
        elf::R_X86_64_GOTTPOFF => Edge(Kind::TlsInitialExec, 4),
        elf::R_X86_64_PC64 => Edge(Kind::Delta64, 8),
        elf::R_X86_64_GOTOFF64 => Edge(Kind::DeltaFromGot64, 8),
        elf::R_X86_64_GOTPC32 => Edge(Kind::GotBaseDelta32, 4),
        elf::R_X86_64_GOT64 => Edge(Kind::GotOffset64, 8),
        elf::R_X86_64_GOTPCREL64 => Edge(Kind::GotDelta64, 8),
        elf::R_X86_64_GOTPC64 => Edge(Kind::GotBaseDelta64, 8),
        elf::R_X86_64_GOTPLT64 => Edge(Kind::GotPltOffset64, 8),
        elf::R_X86_64_PLTOFF64 => Edge(Kind::PltOffset64, 8),
        elf::R_X86_64_SIZE32 => Edge(Kind::Size32, 4),
        elf::R_X86_64_SIZE64 => Edge(Kind::Size64, 8),
        elf::R_X86_64_GOTPC32_TLSDESC => Edge(Kind::TlsDescriptor, 4),
        elf::R_X86_64_TLSDESC_CALL => Edge(Kind::TlsDescriptorCall, 2),
        elf::R_X86_64_GOTPCRELX => Edge(Kind::GotDelta32Relaxable, 4),
        elf::R_X86_64_REX_GOTPCRELX => Edge(Kind::GotDelta32RexRelaxable, 4),
        elf::R_X86_64_CODE_4_GOTPCRELX => Edge(Kind::GotDelta32Code4Relaxable, 4),
        elf::R_X86_64_CODE_4_GOTTPOFF => Edge(Kind::TlsInitialExecCode4, 4),
        elf::R_X86_64_CODE_4_GOTPC32_TLSDESC => Edge(Kind::TlsDescriptorCode4, 4),
        elf::R_X86_64_CODE_5_GOTPCRELX => Edge(Kind::GotDelta32Code5Relaxable, 4),
        elf::R_X86_64_CODE_5_GOTTPOFF => Edge(Kind::TlsInitialExecCode5, 4),
        elf::R_X86_64_CODE_5_GOTPC32_TLSDESC => Edge(Kind::TlsDescriptorCode5, 4),
        elf::R_X86_64_CODE_6_GOTPCRELX => Edge(Kind::GotDelta32Code6Relaxable, 4),
        elf::R_X86_64_CODE_6_GOTTPOFF => Edge(Kind::TlsInitialExecCode6, 4),
        elf::R_X86_64_CODE_6_GOTPC32_TLSDESC => Edge(Kind::TlsDescriptorCode6, 4),
        RelocationType(R_X86_64_GNU_VTINHERIT | R_X86_64_GNU_VTENTRY) => Ignored,
        _ => Unsupported,
    }
}

/// The relocation's name for messages, without "R_X86_64_" where it has none.
pub(crate) fn relocation_name(r_type: RelocationType) -> String {
    let name = match r_type {
        elf::R_X86_64_COPY => "R_X86_64_COPY",
        elf::R_X86_64_GLOB_DAT => "R_X86_64_GLOB_DAT",
        elf::R_X86_64_JUMP_SLOT => "R_X86_64_JUMP_SLOT",
        elf::R_X86_64_RELATIVE => "R_X86_64_RELATIVE",
        elf::R_X86_64_RELATIVE64 => "R_X86_64_RELATIVE64",
        elf::R_X86_64_IRELATIVE => "R_X86_64_IRELATIVE",
        elf::R_X86_64_DTPMOD64 => "R_X86_64_DTPMOD64",
        elf::R_X86_64_TLSDESC => "R_X86_64_TLSDESC",
        RelocationType(number) => return format!("of unknown type {number}"),
    };
    format!("{name} ({}), which only linked files may have,", r_type.0)
}

/// The addend that lies in the field itself (`SHT_REL`), sign-extended: the psABI has no such
/// relocations for x86-64, but assemblers can be told to write them.
pub(crate) fn implicit_addend(field: &[u8]) -> i64 {
    match *field {
        [a] => i64::from(a.cast_signed()),
        [a, b] => i64::from(i16::from_le_bytes([a, b])),
        [a, b, c, d] => i64::from(i32::from_le_bytes([a, b, c, d])),
        [a, b, c, d, e, f, g, h] => i64::from_le_bytes([a, b, c, d, e, f, g, h]),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jit_core::cpu::{Group, Kinds};

    #[test]
    fn every_request_and_fixup_an_object_may_ask_for_has_a_number() {
        let mut seen: Vec<Kind> = (0..256)
            .filter_map(|number| match meaning(RelocationType(number)) {
                Meaning::Edge(kind, _) => Some(kind),
                Meaning::Ignored | Meaning::Unsupported => None,
            })
            .collect();
        seen.sort_unstable();
        seen.dedup();
        assert!(seen.iter().all(|kind| kind.group() != Group::Rewrite));
        let missing: Vec<_> = Kind::ALL
            .iter()
            .filter(|kind| kind.group() != Group::Rewrite && !seen.contains(kind))
            .collect();
        assert_eq!(missing, [&Kind::DeltaFromGot32]);
    }

    #[test]
    fn dynamic_relocations_are_refused() {
        for number in [5, 6, 7, 8, 16, 36, 37, 38, 52, 1000] {
            assert_eq!(
                meaning(RelocationType(number)),
                Meaning::Unsupported,
                "{number}"
            );
        }
    }

    #[test]
    fn implicit_addends_are_sign_extended() {
        assert_eq!(implicit_addend(&[0xff]), -1);
        assert_eq!(implicit_addend(&[0xfe, 0xff]), -2);
        assert_eq!(implicit_addend(&[4, 0, 0, 0x80]), -0x7fff_fffc);
        assert_eq!(implicit_addend(&(-5i64).to_le_bytes()), -5);
    }
}
