//! ELF on x86-64: which edge kind each relocation number is.
//!
//! Relocation numbers are those of the System V psABI for x86-64, table "Relocation Types".

use jit_core::cpu::Architecture;
use jit_core::cpu::x86_64::Kind;
use object::elf::{self, RelocationType};

use super::{Machine, Meaning};

/// Objects for x86-64.
pub(super) static MACHINE: Machine = Machine {
    number: elf::EM_X86_64,
    architecture: Architecture::X86_64,
    meanings: &MEANINGS,
    linked: &[
        (elf::R_X86_64_COPY, "R_X86_64_COPY"),
        (elf::R_X86_64_GLOB_DAT, "R_X86_64_GLOB_DAT"),
        (elf::R_X86_64_JUMP_SLOT, "R_X86_64_JUMP_SLOT"),
        (elf::R_X86_64_RELATIVE, "R_X86_64_RELATIVE"),
        (elf::R_X86_64_RELATIVE64, "R_X86_64_RELATIVE64"),
        (elf::R_X86_64_IRELATIVE, "R_X86_64_IRELATIVE"),
        (elf::R_X86_64_DTPMOD64, "R_X86_64_DTPMOD64"),
        (elf::R_X86_64_TLSDESC, "R_X86_64_TLSDESC"),
    ],
    data: &[
        (elf::R_X86_64_64, 8, false),
        (elf::R_X86_64_32, 4, false),
        (elf::R_X86_64_32S, 4, false),
        (elf::R_X86_64_DTPOFF64, 8, true),
        (elf::R_X86_64_TPOFF64, 8, true),
        (elf::R_X86_64_DTPOFF32, 4, true),
        (elf::R_X86_64_TPOFF32, 4, true),
    ],
    // Frames.
    section_types: &[(elf::SHT_X86_64_UNWIND, true)],
};

static MEANINGS: [Meaning; 256] = {
    let mut meanings = [Meaning::Unsupported; 256];
    let mut number = 0;
    while number < meanings.len() {
        meanings[number] = meaning_of(RelocationType(number as u32));
        number += 1;
    }
    meanings
};

/// GNU C++ vtable garbage collection, long gone: marks of the vtable's parent and of its used
/// entries.
const R_X86_64_GNU_VTINHERIT: u32 = 250;
const R_X86_64_GNU_VTENTRY: u32 = 251;
/// MPX forms of `PC32` and `PLT32`, withdrawn from the psABI but found in old archives.
const R_X86_64_PC32_BND: u32 = 39;
const R_X86_64_PLT32_BND: u32 = 40;

const fn meaning_of(r_type: RelocationType) -> Meaning {
    use Meaning::{Ignored, Unsupported};
    let (kind, width) = match r_type {
        elf::R_X86_64_NONE => (Kind::None, 0),
        elf::R_X86_64_64 => (Kind::Pointer64, 8),
        elf::R_X86_64_PC32 | RelocationType(R_X86_64_PC32_BND) => (Kind::Delta32, 4),
        elf::R_X86_64_GOT32 => (Kind::GotOffset32, 4),
        elf::R_X86_64_PLT32 | RelocationType(R_X86_64_PLT32_BND) => (Kind::Branch32, 4),
        elf::R_X86_64_GOTPCREL => (Kind::GotDelta32, 4),
        elf::R_X86_64_32 => (Kind::Pointer32, 4),
        elf::R_X86_64_32S => (Kind::Pointer32Signed, 4),
        elf::R_X86_64_16 => (Kind::Pointer16, 2),
        elf::R_X86_64_PC16 => (Kind::Delta16, 2),
        elf::R_X86_64_8 => (Kind::Pointer8, 1),
        elf::R_X86_64_PC8 => (Kind::Delta8, 1),
        elf::R_X86_64_DTPOFF64 => (Kind::ModuleOffset64, 8),
        elf::R_X86_64_TPOFF64 => (Kind::TpOffset64, 8),
        elf::R_X86_64_TLSGD => (Kind::TlsGeneralDynamic, 4),
        elf::R_X86_64_TLSLD => (Kind::TlsLocalDynamic, 4),
        elf::R_X86_64_DTPOFF32 => (Kind::ModuleOffset32, 4),
        elf::R_X86_64_TPOFF32 => (Kind::TpOffset32, 4),
        elf::R_X86_64_GOTTPOFF => (Kind::TlsInitialExec, 4),
        elf::R_X86_64_PC64 => (Kind::Delta64, 8),
        elf::R_X86_64_GOTOFF64 => (Kind::DeltaFromGot64, 8),
        elf::R_X86_64_GOTPC32 => (Kind::GotBaseDelta32, 4),
        elf::R_X86_64_GOT64 => (Kind::GotOffset64, 8),
        elf::R_X86_64_GOTPCREL64 => (Kind::GotDelta64, 8),
        elf::R_X86_64_GOTPC64 => (Kind::GotBaseDelta64, 8),
        elf::R_X86_64_GOTPLT64 => (Kind::GotPltOffset64, 8),
        elf::R_X86_64_PLTOFF64 => (Kind::PltOffset64, 8),
        elf::R_X86_64_SIZE32 => (Kind::Size32, 4),
        elf::R_X86_64_SIZE64 => (Kind::Size64, 8),
        elf::R_X86_64_GOTPC32_TLSDESC => (Kind::TlsDescriptor, 4),
        elf::R_X86_64_TLSDESC_CALL => (Kind::TlsDescriptorCall, 2),
        elf::R_X86_64_GOTPCRELX => (Kind::GotDelta32Relaxable, 4),
        elf::R_X86_64_REX_GOTPCRELX => (Kind::GotDelta32RexRelaxable, 4),
        elf::R_X86_64_CODE_4_GOTPCRELX => (Kind::GotDelta32Code4Relaxable, 4),
        elf::R_X86_64_CODE_4_GOTTPOFF => (Kind::TlsInitialExecCode4, 4),
        elf::R_X86_64_CODE_4_GOTPC32_TLSDESC => (Kind::TlsDescriptorCode4, 4),
        elf::R_X86_64_CODE_5_GOTPCRELX => (Kind::GotDelta32Code5Relaxable, 4),
        elf::R_X86_64_CODE_5_GOTTPOFF => (Kind::TlsInitialExecCode5, 4),
        elf::R_X86_64_CODE_5_GOTPC32_TLSDESC => (Kind::TlsDescriptorCode5, 4),
        elf::R_X86_64_CODE_6_GOTPCRELX => (Kind::GotDelta32Code6Relaxable, 4),
        elf::R_X86_64_CODE_6_GOTTPOFF => (Kind::TlsInitialExecCode6, 4),
        elf::R_X86_64_CODE_6_GOTPC32_TLSDESC => (Kind::TlsDescriptorCode6, 4),
        RelocationType(R_X86_64_GNU_VTINHERIT | R_X86_64_GNU_VTENTRY) => return Ignored,
        _ => return Unsupported,
    };
    Meaning::Edge(kind.edge(), width)
}
