//! The relocations that each CPU's position-independent code without thread-locals needs: few enough
//! for a simple linker to know them all.

use object::Architecture;
use object::elf::{self, RelocationType};

/// How a relocation reaches its target.
pub enum Reach {
    /// By value or distance; the type to use for a target in the same object.
    Direct(RelocationType),
    /// Through the target's entry in the GOT.
    Got,
}

/// What packing has to know of a CPU's relocations.
pub struct Relocations {
    /// The CPU, as objects say it.
    pub architecture: Architecture,
    /// A 32-bit distance, `S + A - P`.
    pub distance: RelocationType,
    reach: fn(RelocationType) -> Option<Reach>,
}

/// Those of one CPU. Nothing if its objects cannot be packed.
pub fn of(architecture: Architecture) -> Option<&'static Relocations> {
    static CPUS: [Relocations; 2] = [
        Relocations {
            architecture: Architecture::X86_64,
            distance: elf::R_X86_64_PC32,
            reach: reach_on_x86_64,
        },
        Relocations {
            architecture: Architecture::Aarch64,
            distance: elf::R_AARCH64_PREL32,
            reach: reach_on_aarch64,
        },
    ];
    CPUS.iter().find(|cpu| cpu.architecture == architecture)
}

impl Relocations {
    /// How a relocation of this type reaches its target. Nothing for those beyond the list.
    pub fn reach(&self, r_type: RelocationType) -> Option<Reach> {
        (self.reach)(r_type)
    }
}

fn reach_on_x86_64(r_type: RelocationType) -> Option<Reach> {
    Some(match r_type {
        // Within the object, a call needs no stub.
        elf::R_X86_64_PLT32 => Reach::Direct(elf::R_X86_64_PC32),
        elf::R_X86_64_64 | elf::R_X86_64_PC32 | elf::R_X86_64_PC64 => Reach::Direct(r_type),
        elf::R_X86_64_GOTPCREL | elf::R_X86_64_GOTPCRELX | elf::R_X86_64_REX_GOTPCRELX => {
            Reach::Got
        }
        _ => return None,
    })
}

fn reach_on_aarch64(r_type: RelocationType) -> Option<Reach> {
    Some(match r_type {
        elf::R_AARCH64_ABS64
        | elf::R_AARCH64_PREL32
        | elf::R_AARCH64_PREL64
        | elf::R_AARCH64_CALL26
        | elf::R_AARCH64_JUMP26
        | elf::R_AARCH64_ADR_PREL_PG_HI21
        | elf::R_AARCH64_ADD_ABS_LO12_NC
        | elf::R_AARCH64_LDST8_ABS_LO12_NC
        | elf::R_AARCH64_LDST16_ABS_LO12_NC
        | elf::R_AARCH64_LDST32_ABS_LO12_NC
        | elf::R_AARCH64_LDST64_ABS_LO12_NC
        | elf::R_AARCH64_LDST128_ABS_LO12_NC => Reach::Direct(r_type),
        elf::R_AARCH64_ADR_GOT_PAGE | elf::R_AARCH64_LD64_GOT_LO12_NC => Reach::Got,
        _ => return None,
    })
}
