//! Mach-O on AArch64 (arm64): which edge kind each relocation is, the functions that thread-locals need, and
//! compact unwind.
//!
//! Names are those of `mach-o/arm64/reloc.h`. Instructions have no room for an addend: one that is not zero stands in a
//! relocation of its own before (`ADDEND`). Which bits of an instruction a `PAGEOFF12` fills, the instruction
//! says.

use jit_core::cpu::Architecture;
use jit_core::cpu::aarch64::Kind;
use object::macho::{self, RelocationInfo};

use super::{Code, FUNCTION, Form, Machine, Meaning, TABLE, Unwinding, push_offset, push_uleb};

/// Objects for AArch64.
pub(super) static MACHINE: Machine = Machine {
    number: macho::CPU_TYPE_ARM64,
    architecture: Architecture::Aarch64,
    meaning,
    names: &[
        "ARM64_RELOC_UNSIGNED",
        "ARM64_RELOC_SUBTRACTOR",
        "ARM64_RELOC_BRANCH26",
        "ARM64_RELOC_PAGE21",
        "ARM64_RELOC_PAGEOFF12",
        "ARM64_RELOC_GOT_LOAD_PAGE21",
        "ARM64_RELOC_GOT_LOAD_PAGEOFF12",
        "ARM64_RELOC_POINTER_TO_GOT",
        "ARM64_RELOC_TLVP_LOAD_PAGE21",
        "ARM64_RELOC_TLVP_LOAD_PAGEOFF12",
        "ARM64_RELOC_ADDEND",
        "ARM64_RELOC_AUTHENTICATED_POINTER",
    ],
    differences: &[
        (8, Kind::Difference64.edge()),
        (4, Kind::Difference32.edge()),
    ],
    distances: [Kind::Delta64.edge(), Kind::Delta32.edge()],
    table_distance: (Kind::GotDelta32.edge(), 0),
    thread_offset: Kind::TpOffset64.edge(),
    thread_local: &[
        macho::ARM64_RELOC_TLVP_LOAD_PAGE21,
        macho::ARM64_RELOC_TLVP_LOAD_PAGEOFF12,
    ],
    added: &ADDED,
    register: &REGISTER,
    unwinding: Unwinding {
        // Code 4, data -8, return address in register 30.
        factors: [4, 0x78, 30],
        // DW_CFA_def_cfa sp 0.
        entry: &[0x0c, 31, 0],
        is_dwarf: |encoding| encoding & MODE == MODE_DWARF,
        rules,
    },
};

/// Finds a variable by its descriptor.
const FIND_THREAD_LOCAL: Code = Code {
    bytes: &[
        0x50, 0xd0, 0x3b, 0xd5, // mrs x16, tpidr_el0
        0x00, 0x08, 0x40, 0xf9, // ldr x0, [x0, #16]
        0x00, 0x02, 0x00, 0x8b, // add x0, x16, x0
        0xc0, 0x03, 0x5f, 0xd6, // ret
    ],
    edges: &[],
    frame: &[],
};

/// Has a variable destroyed at the end of the thread.
const DESTROY_THREAD_LOCAL: Code = Code {
    bytes: &[
        0x02, 0x00, 0x00, 0x90, // adrp x2, __dso_handle
        0x42, 0x00, 0x00, 0x91, // add x2, x2, :lo12:__dso_handle
        0x00, 0x00, 0x00, 0x14, // b __cxa_thread_atexit
    ],
    edges: &[
        (0, "__dso_handle", Kind::Page21.edge(), 0),
        (4, "__dso_handle", Kind::AddLow12.edge(), 0),
        (8, "__cxa_thread_atexit", Kind::Branch26.edge(), 0),
    ],
    frame: &[],
};

/// Tells a function of a table.
const REGISTER: Code = Code {
    bytes: &[
        0x00, 0x00, 0x00, 0x90, // adrp x0, table
        0x00, 0x00, 0x00, 0x91, // add x0, x0, :lo12:table
        0x00, 0x00, 0x00, 0x14, // b function
    ],
    edges: &[
        (0, TABLE, Kind::Page21.edge(), 0),
        (4, TABLE, Kind::AddLow12.edge(), 0),
        (8, FUNCTION, Kind::Branch26.edge(), 0),
    ],
    frame: &[],
};

/// Returns sine and cosine in two registers.
const SINE_AND_COSINE: Code = Code {
    bytes: &[
        0xfd, 0x7b, 0xbe, 0xa9, // stp x29, x30, [sp, #-32]!
        0xfd, 0x03, 0x00, 0x91, // mov x29, sp
        0xe0, 0x43, 0x00, 0x91, // add x0, sp, #16
        0xe1, 0x63, 0x00, 0x91, // add x1, sp, #24
        0x00, 0x00, 0x00, 0x94, // bl sincos
        0xe0, 0x07, 0x41, 0x6d, // ldp d0, d1, [sp, #16]
        0xfd, 0x7b, 0xc2, 0xa8, // ldp x29, x30, [sp], #32
        0xc0, 0x03, 0x5f, 0xd6, // ret
    ],
    edges: &[(16, "sincos", Kind::Branch26.edge(), 0)],
    frame: FRAME_OF_SINES,
};

/// The same for numbers of 4 bytes.
const SINE_AND_COSINE_SHORT: Code = Code {
    bytes: &[
        0xfd, 0x7b, 0xbe, 0xa9, // stp x29, x30, [sp, #-32]!
        0xfd, 0x03, 0x00, 0x91, // mov x29, sp
        0xe0, 0x43, 0x00, 0x91, // add x0, sp, #16
        0xe1, 0x53, 0x00, 0x91, // add x1, sp, #20
        0x00, 0x00, 0x00, 0x94, // bl sincosf
        0xe0, 0x07, 0x42, 0x2d, // ldp s0, s1, [sp, #16]
        0xfd, 0x7b, 0xc2, 0xa8, // ldp x29, x30, [sp], #32
        0xc0, 0x03, 0x5f, 0xd6, // ret
    ],
    edges: &[(16, "sincosf", Kind::Branch26.edge(), 0)],
    frame: FRAME_OF_SINES,
};

/// What both do to the stack.
const FRAME_OF_SINES: &[u8] = &[
    0x41, // DW_CFA_advance_loc 4
    0x0e, 32, // DW_CFA_def_cfa_offset 32
    0x9d, 4, // DW_CFA_offset x29, cfa - 32
    0x9e, 3,    // DW_CFA_offset x30, cfa - 24
    0x46, // DW_CFA_advance_loc 24
    0x0e, 0,    // DW_CFA_def_cfa_offset 0
    0xdd, // DW_CFA_restore x29
    0xde, // DW_CFA_restore x30
];

const ADDED: [(&str, Code); 4] = [
    ("_tlv_bootstrap", FIND_THREAD_LOCAL),
    ("_tlv_atexit", DESTROY_THREAD_LOCAL),
    ("__sincos_stret", SINE_AND_COSINE),
    ("__sincosf_stret", SINE_AND_COSINE_SHORT),
];

fn meaning(info: &RelocationInfo, field: &[u8]) -> Meaning {
    let data = |kind: Kind, width| {
        Meaning::Edge(Form {
            kind: kind.edge(),
            width,
            implicit: true,
            end: None,
            is_data: true,
        })
    };
    let instruction = |kind: Kind| {
        Meaning::Edge(Form {
            kind: kind.edge(),
            width: 4,
            implicit: false,
            end: None,
            is_data: false,
        })
    };
    let place = (info.r_type, info.r_length, info.r_pcrel);
    match place {
        (macho::ARM64_RELOC_UNSIGNED, 3, false) => data(Kind::Pointer64, 8),
        (macho::ARM64_RELOC_UNSIGNED, 2, false) => data(Kind::Pointer32, 4),
        (macho::ARM64_RELOC_SUBTRACTOR, _, false) => Meaning::Subtractor,
        (macho::ARM64_RELOC_ADDEND, 2, false) => Meaning::Addend,
        (macho::ARM64_RELOC_AUTHENTICATED_POINTER, ..) => {
            Meaning::Refused("is an authenticated pointer (arm64e): compile for arm64")
        }
        (macho::ARM64_RELOC_UNSIGNED, ..) => {
            Meaning::Refused("has a form that this kind does not have")
        }
        _ if !info.r_extern => Meaning::Refused("needs a symbol, and has a section"),
        (macho::ARM64_RELOC_BRANCH26, 2, true) => instruction(Kind::Branch26),
        (macho::ARM64_RELOC_PAGE21, 2, true) => instruction(Kind::Page21),
        (macho::ARM64_RELOC_PAGEOFF12, 2, false) => instruction(low_bits(field)),
        // A descriptor's address takes the way of every address.
        (macho::ARM64_RELOC_GOT_LOAD_PAGE21 | macho::ARM64_RELOC_TLVP_LOAD_PAGE21, 2, true) => {
            instruction(Kind::GotPage21)
        }
        (
            macho::ARM64_RELOC_GOT_LOAD_PAGEOFF12 | macho::ARM64_RELOC_TLVP_LOAD_PAGEOFF12,
            2,
            false,
        ) => instruction(Kind::GotLow12),
        (macho::ARM64_RELOC_POINTER_TO_GOT, 2, true) => instruction(Kind::GotDelta32),
        _ => Meaning::Refused("has a form that this kind does not have"),
    }
}

/// The kind whose field an instruction has: that of an `add`, or of a load or store of so many bytes.
fn low_bits(field: &[u8]) -> Kind {
    let word = field
        .first_chunk()
        .map_or(0, |bytes| u32::from_le_bytes(*bytes));
    // Loads and stores with an unsigned offset: size in bits 30 and 31, vectors of 16 bytes in bits 23 and 26.
    if word & 0x3b00_0000 != 0x3900_0000 {
        return Kind::AddLow12;
    }
    let is_wide_vector = word & 0x0480_0000 == 0x0480_0000;
    match word >> 30 {
        0 if is_wide_vector => Kind::Access128Low12,
        0 => Kind::Access8Low12,
        1 => Kind::Access16Low12,
        2 => Kind::Access32Low12,
        _ => Kind::Access64Low12,
    }
}

const MODE: u32 = 0x0f00_0000;
const MODE_FRAMELESS: u32 = 0x0200_0000;
const MODE_DWARF: u32 = 0x0300_0000;
const MODE_FRAME: u32 = 0x0400_0000;

/// Bits for pairs of saved registers, with DWARF's number of the first of each: x19 to x28, d8 to d15.
const PAIRS: [(u32, u8); 9] = [
    (0x1, 19),
    (0x2, 21),
    (0x4, 23),
    (0x8, 25),
    (0x10, 27),
    (0x100, 72),
    (0x200, 74),
    (0x400, 76),
    (0x800, 78),
];

fn rules(encoding: u32, _: &[u8]) -> Option<Vec<u8>> {
    match encoding & MODE {
        0 => Some(Vec::new()),
        // A leaf: the return address stays in its register.
        MODE_FRAMELESS if encoding & 0xfff == 0 => {
            let mut rules = vec![0x0e];
            push_uleb(&mut rules, u64::from(encoding >> 12 & 0xfff) * 16);
            Some(rules)
        }
        MODE_FRAME => {
            // DW_CFA_def_cfa x29 16, DW_CFA_offset x29 2, DW_CFA_offset x30 1.
            let mut rules = vec![0x0c, 29, 16, 0x80 | 29, 2, 0x80 | 30, 1];
            let mut words = 3;
            for (_, register) in PAIRS.iter().filter(|(bit, _)| encoding & bit != 0) {
                push_offset(&mut rules, *register, words);
                push_offset(&mut rules, register + 1, words + 1);
                words += 2;
            }
            Some(rules)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_have_pairs_of_registers_below_them() {
        // x19 and x20, d8 and d9.
        let rules = rules(MODE_FRAME | 0x101, &[]).expect("rules");
        let frame = [0x0c, 29, 16, 0x9d, 2, 0x9e, 1];
        assert_eq!(rules[..7], frame, "cfa = x29 + 16");
        // x19 = cfa - 24, x20 = cfa - 32.
        assert_eq!(rules[7..11], [0x93, 3, 0x94, 4]);
        // Numbers beyond 63 take the long form: d8 = cfa - 40, d9 = cfa - 48.
        assert_eq!(rules[11..], [0x05, 72, 5, 0x05, 73, 6]);
    }

    #[test]
    fn leaves_have_a_size() {
        assert_eq!(rules(MODE_FRAMELESS | 3 << 12, &[]), Some(vec![0x0e, 48]));
        assert_eq!(rules(0x0500_0000, &[]), None);
    }

    #[test]
    fn low_bits_go_where_the_instruction_has_them() {
        let cases = [
            (0x9100_0000, Kind::AddLow12),          // add x0, x0, #0
            (0x3940_0000, Kind::Access8Low12),      // ldrb w0, [x0]
            (0x7940_0000, Kind::Access16Low12),     // ldrh w0, [x0]
            (0xb940_0000, Kind::Access32Low12),     // ldr w0, [x0]
            (0xf940_0000, Kind::Access64Low12),     // ldr x0, [x0]
            (0x3dc0_0000, Kind::Access128Low12),    // ldr q0, [x0]
            (0xfd40_0000_u32, Kind::Access64Low12), // ldr d0, [x0]
        ];
        for (word, kind) in cases {
            assert_eq!(low_bits(&word.to_le_bytes()), kind, "{word:#x}");
        }
    }
}
