//! ELF on AArch64: which edge kind each relocation number is.
//!
//! Relocation numbers are those of "ELF for the Arm 64-bit Architecture" (AAELF64), "Relocation types".

use jit_core::cpu::Architecture;
use jit_core::cpu::aarch64::Kind;
use object::elf::{self, RelocationType};

use super::{Machine, Meaning};

/// Objects for AArch64, little-endian, with 64-bit pointers.
pub(super) static MACHINE: Machine = Machine {
    number: elf::EM_AARCH64,
    architecture: Architecture::Aarch64,
    meanings: &MEANINGS,
    linked: &[
        (elf::R_AARCH64_COPY, "R_AARCH64_COPY"),
        (elf::R_AARCH64_GLOB_DAT, "R_AARCH64_GLOB_DAT"),
        (elf::R_AARCH64_JUMP_SLOT, "R_AARCH64_JUMP_SLOT"),
        (elf::R_AARCH64_RELATIVE, "R_AARCH64_RELATIVE"),
        (elf::R_AARCH64_IRELATIVE, "R_AARCH64_IRELATIVE"),
        (elf::R_AARCH64_TLS_DTPMOD, "R_AARCH64_TLS_DTPMOD"),
        (elf::R_AARCH64_TLS_DTPREL, "R_AARCH64_TLS_DTPREL"),
        (elf::R_AARCH64_TLS_TPREL, "R_AARCH64_TLS_TPREL"),
        (elf::R_AARCH64_TLSDESC, "R_AARCH64_TLSDESC"),
    ],
    data: &[
        (elf::R_AARCH64_ABS64, 8, false),
        (elf::R_AARCH64_ABS32, 4, false),
    ],
    // What the object was compiled for: clang's, with branch protection.
    section_types: &[(elf::SHT_AARCH64_ATTRIBUTES, false)],
};

/// `R_AARCH64_NONE` before it became zero.
const R_AARCH64_WITHDRAWN_NONE: u32 = 256;

static MEANINGS: [Meaning; 1024] = {
    let mut meanings = [Meaning::Unsupported; 1024];
    let mut number = 0;
    while number < meanings.len() {
        meanings[number] = meaning_of(RelocationType(number as u32));
        number += 1;
    }
    meanings
};

const fn meaning_of(r_type: RelocationType) -> Meaning {
    let (kind, width) =
        match r_type {
            elf::R_AARCH64_NONE | RelocationType(R_AARCH64_WITHDRAWN_NONE) => (Kind::None, 0),
            elf::R_AARCH64_ABS64 => (Kind::Pointer64, 8),
            elf::R_AARCH64_ABS32 => (Kind::Pointer32, 4),
            elf::R_AARCH64_ABS16 => (Kind::Pointer16, 2),
            elf::R_AARCH64_PREL64 => (Kind::Delta64, 8),
            elf::R_AARCH64_PREL32 => (Kind::Delta32, 4),
            elf::R_AARCH64_PREL16 => (Kind::Delta16, 2),
            elf::R_AARCH64_GOTREL64 => (Kind::FromGot64, 8),
            elf::R_AARCH64_GOTREL32 => (Kind::FromGot32, 4),
            elf::R_AARCH64_ADR_PREL_LO21 => (Kind::Adr21, 4),
            elf::R_AARCH64_ADR_PREL_PG_HI21 => (Kind::Page21, 4),
            elf::R_AARCH64_ADR_PREL_PG_HI21_NC => (Kind::Page21Unchecked, 4),
            elf::R_AARCH64_ADD_ABS_LO12_NC => (Kind::AddLow12, 4),
            elf::R_AARCH64_LDST8_ABS_LO12_NC => (Kind::Access8Low12, 4),
            elf::R_AARCH64_LDST16_ABS_LO12_NC => (Kind::Access16Low12, 4),
            elf::R_AARCH64_LDST32_ABS_LO12_NC => (Kind::Access32Low12, 4),
            elf::R_AARCH64_LDST64_ABS_LO12_NC => (Kind::Access64Low12, 4),
            elf::R_AARCH64_LDST128_ABS_LO12_NC => (Kind::Access128Low12, 4),
            elf::R_AARCH64_LD_PREL_LO19 => (Kind::Literal19, 4),
            elf::R_AARCH64_CONDBR19 => (Kind::ConditionalBranch19, 4),
            elf::R_AARCH64_TSTBR14 => (Kind::TestBranch14, 4),
            elf::R_AARCH64_CALL26 | elf::R_AARCH64_JUMP26 => (Kind::Branch26, 4),
            elf::R_AARCH64_PLT32 => (Kind::Branch32, 4),
            elf::R_AARCH64_MOVW_UABS_G0 => (Kind::MoveUnsigned0, 4),
            elf::R_AARCH64_MOVW_UABS_G0_NC => (Kind::Move0, 4),
            elf::R_AARCH64_MOVW_UABS_G1 => (Kind::MoveUnsigned1, 4),
            elf::R_AARCH64_MOVW_UABS_G1_NC => (Kind::Move1, 4),
            elf::R_AARCH64_MOVW_UABS_G2 => (Kind::MoveUnsigned2, 4),
            elf::R_AARCH64_MOVW_UABS_G2_NC => (Kind::Move2, 4),
            elf::R_AARCH64_MOVW_UABS_G3 => (Kind::Move3, 4),
            elf::R_AARCH64_MOVW_SABS_G0 => (Kind::MoveSigned0, 4),
            elf::R_AARCH64_MOVW_SABS_G1 => (Kind::MoveSigned1, 4),
            elf::R_AARCH64_MOVW_SABS_G2 => (Kind::MoveSigned2, 4),
            elf::R_AARCH64_MOVW_PREL_G0 => (Kind::MoveDelta0, 4),
            elf::R_AARCH64_MOVW_PREL_G0_NC => (Kind::MoveDelta0Unchecked, 4),
            elf::R_AARCH64_MOVW_PREL_G1 => (Kind::MoveDelta1, 4),
            elf::R_AARCH64_MOVW_PREL_G1_NC => (Kind::MoveDelta1Unchecked, 4),
            elf::R_AARCH64_MOVW_PREL_G2 => (Kind::MoveDelta2, 4),
            elf::R_AARCH64_MOVW_PREL_G2_NC => (Kind::MoveDelta2Unchecked, 4),
            elf::R_AARCH64_MOVW_PREL_G3 => (Kind::MoveDelta3, 4),
            elf::R_AARCH64_ADR_GOT_PAGE => (Kind::GotPage21, 4),
            elf::R_AARCH64_LD64_GOT_LO12_NC => (Kind::GotLow12, 4),
            elf::R_AARCH64_LD64_GOTPAGE_LO15 => (Kind::GotPageOffset15, 4),
            elf::R_AARCH64_GOT_LD_PREL19 => (Kind::GotLiteral19, 4),
            elf::R_AARCH64_GOTPCREL32 => (Kind::GotDelta32, 4),
            elf::R_AARCH64_TLSGD_ADR_PREL21 => (Kind::TlsPairAdr21, 4),
            elf::R_AARCH64_TLSGD_ADR_PAGE21 => (Kind::TlsPairPage21, 4),
            elf::R_AARCH64_TLSGD_ADD_LO12_NC => (Kind::TlsPairLow12, 4),
            elf::R_AARCH64_TLSLD_ADR_PREL21 => (Kind::TlsModuleAdr21, 4),
            elf::R_AARCH64_TLSLD_ADR_PAGE21 => (Kind::TlsModulePage21, 4),
            elf::R_AARCH64_TLSLD_ADD_LO12_NC => (Kind::TlsModuleLow12, 4),
            elf::R_AARCH64_TLSIE_ADR_GOTTPREL_PAGE21 => (Kind::TlsOffsetPage21, 4),
            elf::R_AARCH64_TLSIE_LD64_GOTTPREL_LO12_NC => (Kind::TlsOffsetLow12, 4),
            elf::R_AARCH64_TLSIE_LD_GOTTPREL_PREL19 => (Kind::TlsOffsetLiteral19, 4),
            elf::R_AARCH64_TLSDESC_LD_PREL19 => (Kind::TlsDescriptorLiteral19, 4),
            elf::R_AARCH64_TLSDESC_ADR_PREL21 => (Kind::TlsDescriptorAdr21, 4),
            elf::R_AARCH64_TLSDESC_ADR_PAGE21 => (Kind::TlsDescriptorPage21, 4),
            elf::R_AARCH64_TLSDESC_LD64_LO12 => (Kind::TlsDescriptorLoad, 4),
            elf::R_AARCH64_TLSDESC_ADD_LO12 => (Kind::TlsDescriptorAdd, 4),
            elf::R_AARCH64_TLSDESC_CALL => (Kind::TlsDescriptorCall, 4),
            elf::R_AARCH64_TLSLE_ADD_TPREL_HI12 | elf::R_AARCH64_TLSLD_ADD_DTPREL_HI12 => {
                (Kind::TpHigh12, 4)
            }
            elf::R_AARCH64_TLSLE_ADD_TPREL_LO12 | elf::R_AARCH64_TLSLD_ADD_DTPREL_LO12 => {
                (Kind::TpLow12, 4)
            }
            elf::R_AARCH64_TLSLE_ADD_TPREL_LO12_NC | elf::R_AARCH64_TLSLD_ADD_DTPREL_LO12_NC => {
                (Kind::TpLow12Unchecked, 4)
            }
            elf::R_AARCH64_TLSLE_LDST8_TPREL_LO12 | elf::R_AARCH64_TLSLD_LDST8_DTPREL_LO12 => {
                (Kind::TpAccess8, 4)
            }
            elf::R_AARCH64_TLSLE_LDST8_TPREL_LO12_NC
            | elf::R_AARCH64_TLSLD_LDST8_DTPREL_LO12_NC => (Kind::TpAccess8Unchecked, 4),
            elf::R_AARCH64_TLSLE_LDST16_TPREL_LO12 | elf::R_AARCH64_TLSLD_LDST16_DTPREL_LO12 => {
                (Kind::TpAccess16, 4)
            }
            elf::R_AARCH64_TLSLE_LDST16_TPREL_LO12_NC
            | elf::R_AARCH64_TLSLD_LDST16_DTPREL_LO12_NC => (Kind::TpAccess16Unchecked, 4),
            elf::R_AARCH64_TLSLE_LDST32_TPREL_LO12 | elf::R_AARCH64_TLSLD_LDST32_DTPREL_LO12 => {
                (Kind::TpAccess32, 4)
            }
            elf::R_AARCH64_TLSLE_LDST32_TPREL_LO12_NC
            | elf::R_AARCH64_TLSLD_LDST32_DTPREL_LO12_NC => (Kind::TpAccess32Unchecked, 4),
            elf::R_AARCH64_TLSLE_LDST64_TPREL_LO12 | elf::R_AARCH64_TLSLD_LDST64_DTPREL_LO12 => {
                (Kind::TpAccess64, 4)
            }
            elf::R_AARCH64_TLSLE_LDST64_TPREL_LO12_NC
            | elf::R_AARCH64_TLSLD_LDST64_DTPREL_LO12_NC => (Kind::TpAccess64Unchecked, 4),
            elf::R_AARCH64_TLSLE_LDST128_TPREL_LO12 | elf::R_AARCH64_TLSLD_LDST128_DTPREL_LO12 => {
                (Kind::TpAccess128, 4)
            }
            elf::R_AARCH64_TLSLE_LDST128_TPREL_LO12_NC
            | elf::R_AARCH64_TLSLD_LDST128_DTPREL_LO12_NC => (Kind::TpAccess128Unchecked, 4),
            elf::R_AARCH64_TLSLE_MOVW_TPREL_G0 | elf::R_AARCH64_TLSLD_MOVW_DTPREL_G0 => {
                (Kind::TpMove0, 4)
            }
            elf::R_AARCH64_TLSLE_MOVW_TPREL_G0_NC | elf::R_AARCH64_TLSLD_MOVW_DTPREL_G0_NC => {
                (Kind::TpMove0Unchecked, 4)
            }
            elf::R_AARCH64_TLSLE_MOVW_TPREL_G1 | elf::R_AARCH64_TLSLD_MOVW_DTPREL_G1 => {
                (Kind::TpMove1, 4)
            }
            elf::R_AARCH64_TLSLE_MOVW_TPREL_G1_NC | elf::R_AARCH64_TLSLD_MOVW_DTPREL_G1_NC => {
                (Kind::TpMove1Unchecked, 4)
            }
            elf::R_AARCH64_TLSLE_MOVW_TPREL_G2 | elf::R_AARCH64_TLSLD_MOVW_DTPREL_G2 => {
                (Kind::TpMove2, 4)
            }
            _ => return Meaning::Unsupported,
        };
    Meaning::Edge(kind.edge(), width)
}
