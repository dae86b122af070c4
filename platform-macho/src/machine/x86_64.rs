//! Mach-O on x86-64: which edge kind each relocation is, the functions that thread-locals need, and compact unwind.
//!
//! Names are those of `mach-o/x86_64/reloc.h`. A distance counts from the end of the field, and in `SIGNED_1`, `_2` and
//! `_4` an immediate of so many bytes stands behind the field. For a section, the field holds the distance to the
//! place meant as the file has it, from the end of the instruction. For a symbol, it holds the addend less the
//! immediate: then all four compute `S + field - (P + 4)`.

use jit_core::cpu::Architecture;
use jit_core::cpu::x86_64::Kind;
use object::macho::{self, RelocationInfo};

use super::{Code, FUNCTION, Form, Machine, Meaning, TABLE, Unwinding, push_offset, push_uleb};

/// Objects for x86-64.
pub(super) static MACHINE: Machine = Machine {
    number: macho::CPU_TYPE_X86_64,
    architecture: Architecture::X86_64,
    meaning,
    names: &[
        "X86_64_RELOC_UNSIGNED",
        "X86_64_RELOC_SIGNED",
        "X86_64_RELOC_BRANCH",
        "X86_64_RELOC_GOT_LOAD",
        "X86_64_RELOC_GOT",
        "X86_64_RELOC_SUBTRACTOR",
        "X86_64_RELOC_SIGNED_1",
        "X86_64_RELOC_SIGNED_2",
        "X86_64_RELOC_SIGNED_4",
        "X86_64_RELOC_TLV",
    ],
    differences: &[
        (8, Kind::Difference64.edge()),
        (4, Kind::Difference32.edge()),
        (2, Kind::Difference16.edge()),
        (1, Kind::Difference8.edge()),
    ],
    distances: [Kind::Delta64.edge(), Kind::Delta32.edge()],
    table_distance: (Kind::GotDelta32.edge(), 0),
    thread_offset: Kind::TpOffset64.edge(),
    thread_local: &[macho::X86_64_RELOC_TLV],
    added: &ADDED,
    register: &REGISTER,
    unwinding: Unwinding {
        // Code 1, data -8, return address in column 16.
        factors: [1, 0x78, 16],
        // DW_CFA_def_cfa rsp 8, DW_CFA_offset rip 1.
        entry: &[0x0c, 7, 8, 0x90, 1],
        is_dwarf: |encoding| encoding & MODE == MODE_DWARF,
        rules,
    },
};

/// Finds a variable by its descriptor.
const FIND_THREAD_LOCAL: Code = Code {
    bytes: &[
        0x48, 0x8b, 0x47, 0x10, // mov rax, [rdi + 16]
        0x64, 0x48, 0x03, 0x04, 0x25, 0, 0, 0, 0,    // add rax, fs:[0]
        0xc3, // ret
    ],
    edges: &[],
    frame: &[],
};

/// Has a variable destroyed at the end of the thread.
const DESTROY_THREAD_LOCAL: Code = Code {
    bytes: &[
        0x48, 0x8d, 0x15, 0, 0, 0, 0, // lea rdx, [rip + __dso_handle]
        0xe9, 0, 0, 0, 0, // jmp __cxa_thread_atexit
    ],
    edges: &[
        (3, "__dso_handle", Kind::Delta32.edge(), -4),
        (8, "__cxa_thread_atexit", Kind::Branch32.edge(), -4),
    ],
    frame: &[],
};

/// Tells a function of a table.
const REGISTER: Code = Code {
    bytes: &[
        0x48, 0x8d, 0x3d, 0, 0, 0, 0, // lea rdi, [rip + table]
        0xe9, 0, 0, 0, 0, // jmp function
    ],
    edges: &[
        (3, TABLE, Kind::Delta32.edge(), -4),
        (8, FUNCTION, Kind::Branch32.edge(), -4),
    ],
    frame: &[],
};

/// Returns sine and cosine, in xmm0 and xmm1.
const SINE_AND_COSINE: Code = Code {
    bytes: &[
        0x48, 0x83, 0xec, 0x18, // sub rsp, 24
        0xf2, 0x0f, 0x11, 0x44, 0x24, 0x08, // movsd [rsp + 8], xmm0
        0xe8, 0, 0, 0, 0, // call sin
        0xf2, 0x0f, 0x11, 0x44, 0x24, 0x10, // movsd [rsp + 16], xmm0
        0xf2, 0x0f, 0x10, 0x44, 0x24, 0x08, // movsd xmm0, [rsp + 8]
        0xe8, 0, 0, 0, 0, // call cos
        0x0f, 0x28, 0xc8, // movaps xmm1, xmm0
        0xf2, 0x0f, 0x10, 0x44, 0x24, 0x10, // movsd xmm0, [rsp + 16]
        0x48, 0x83, 0xc4, 0x18, // add rsp, 24
        0xc3, // ret
    ],
    edges: &[
        (11, "sin", Kind::Branch32.edge(), -4),
        (28, "cos", Kind::Branch32.edge(), -4),
    ],
    // DW_CFA_advance_loc 4, DW_CFA_def_cfa_offset 32; at the end 8 again.
    frame: &[0x44, 0x0e, 32, 0x69, 0x0e, 8],
};

/// The same of 4 bytes each, both in xmm0.
const SINE_AND_COSINE_SHORT: Code = Code {
    bytes: &[
        0x48, 0x83, 0xec, 0x18, // sub rsp, 24
        0xf3, 0x0f, 0x11, 0x44, 0x24, 0x08, // movss [rsp + 8], xmm0
        0xe8, 0, 0, 0, 0, // call sinf
        0xf3, 0x0f, 0x11, 0x44, 0x24, 0x10, // movss [rsp + 16], xmm0
        0xf3, 0x0f, 0x10, 0x44, 0x24, 0x08, // movss xmm0, [rsp + 8]
        0xe8, 0, 0, 0, 0, // call cosf
        0xf3, 0x0f, 0x11, 0x44, 0x24, 0x14, // movss [rsp + 20], xmm0
        0xf3, 0x0f, 0x7e, 0x44, 0x24, 0x10, // movq xmm0, [rsp + 16]
        0x48, 0x83, 0xc4, 0x18, // add rsp, 24
        0xc3, // ret
    ],
    edges: &[
        (11, "sinf", Kind::Branch32.edge(), -4),
        (28, "cosf", Kind::Branch32.edge(), -4),
    ],
    frame: &[0x44, 0x0e, 32, 0x6c, 0x0e, 8],
};

const ADDED: [(&str, Code); 4] = [
    ("_tlv_bootstrap", FIND_THREAD_LOCAL),
    ("_tlv_atexit", DESTROY_THREAD_LOCAL),
    ("__sincos_stret", SINE_AND_COSINE),
    ("__sincosf_stret", SINE_AND_COSINE_SHORT),
];

fn meaning(info: &RelocationInfo, _: &[u8]) -> Meaning {
    let edge = |kind: Kind, width, end, is_data| {
        Meaning::Edge(Form {
            kind: kind.edge(),
            width,
            implicit: true,
            end,
            is_data,
        })
    };
    let field = |kind, immediate: i64| edge(kind, 4, Some((4 + immediate, 4)), false);
    match (info.r_type, info.r_length, info.r_pcrel) {
        (macho::X86_64_RELOC_UNSIGNED, 3, false) => edge(Kind::Pointer64, 8, None, true),
        (macho::X86_64_RELOC_UNSIGNED, 2, false) => edge(Kind::Pointer32, 4, None, true),
        (macho::X86_64_RELOC_UNSIGNED, 1, false) => edge(Kind::Pointer16, 2, None, true),
        (macho::X86_64_RELOC_UNSIGNED, 0, false) => edge(Kind::Pointer8, 1, None, true),
        (macho::X86_64_RELOC_SIGNED, 2, true) => field(Kind::Delta32, 0),
        (macho::X86_64_RELOC_SIGNED_1, 2, true) => field(Kind::Delta32, 1),
        (macho::X86_64_RELOC_SIGNED_2, 2, true) => field(Kind::Delta32, 2),
        (macho::X86_64_RELOC_SIGNED_4, 2, true) => field(Kind::Delta32, 4),
        (macho::X86_64_RELOC_BRANCH, 2, true) => field(Kind::Branch32, 0),
        (macho::X86_64_RELOC_BRANCH, 0, true) => edge(Kind::Delta8, 1, Some((1, 1)), false),
        (macho::X86_64_RELOC_GOT_LOAD, 2, true) if info.r_extern => {
            field(Kind::GotDelta32RexRelaxable, 0)
        }
        (macho::X86_64_RELOC_GOT, 2, true) if info.r_extern => field(Kind::GotDelta32, 0),
        // The descriptor's address takes the way of every address; what it leads to makes it thread-local.
        (macho::X86_64_RELOC_TLV, 2, true) if info.r_extern => {
            field(Kind::GotDelta32RexRelaxable, 0)
        }
        (macho::X86_64_RELOC_SUBTRACTOR, _, false) => Meaning::Subtractor,
        (macho::X86_64_RELOC_GOT_LOAD | macho::X86_64_RELOC_GOT | macho::X86_64_RELOC_TLV, ..)
            if !info.r_extern =>
        {
            Meaning::Refused("needs a symbol, and has a section")
        }
        _ => Meaning::Refused("has a form that this kind does not have"),
    }
}

const MODE: u32 = 0x0f00_0000;
const MODE_RBP_FRAME: u32 = 0x0100_0000;
const MODE_STACK_IMMEDIATE: u32 = 0x0200_0000;
const MODE_STACK_INDIRECT: u32 = 0x0300_0000;
const MODE_DWARF: u32 = 0x0400_0000;

/// DWARF numbers of the registers that encodings count: rbx, r12 to r15, rbp.
const REGISTERS: [u8; 6] = [3, 12, 13, 14, 15, 6];

fn rules(encoding: u32, code: &[u8]) -> Option<Vec<u8>> {
    match encoding & MODE {
        0 => Some(Vec::new()),
        MODE_RBP_FRAME => Some(frame_rules(encoding)),
        MODE_STACK_IMMEDIATE => {
            let size = u64::from(encoding >> 16 & 0xff) * 8;
            stack_rules(encoding, size)
        }
        MODE_STACK_INDIRECT => {
            // The size stands in the `sub rsp` of the prologue, this far in the function, less the registers.
            let at = (encoding >> 16 & 0xff) as usize;
            let field = code.get(at..at.checked_add(4)?)?;
            let size = u32::from_le_bytes(field.try_into().ok()?);
            let pushed = u64::from(encoding >> 13 & 7) * 8;
            stack_rules(encoding, u64::from(size) + pushed)
        }
        _ => None,
    }
}

/// `rbp` leads to the caller's; five registers lie below it, from this offset on.
fn frame_rules(encoding: u32) -> Vec<u8> {
    // DW_CFA_def_cfa rbp 16, DW_CFA_offset rbp 2.
    let mut rules = vec![0x0c, 6, 16, 0x86, 2];
    let first = encoding >> 16 & 0xff;
    for slot in 0..5 {
        let register = (encoding >> (3 * slot) & 7) as usize;
        // Slot 0 lies lowest, `first` words below where rbp leads to, which is 2 words below the frame.
        let words = (first + 2).checked_sub(slot);
        if let (Some(register), Some(words)) = (register.checked_sub(1), words)
            && let Some(number) = REGISTERS.get(register)
        {
            push_offset(&mut rules, *number, words);
        }
    }
    rules
}

/// No frame pointer: the stack has this many bytes with the return address.
fn stack_rules(encoding: u32, size: u64) -> Option<Vec<u8>> {
    let mut rules = vec![0x0e];
    push_uleb(&mut rules, size);
    let count = encoding >> 10 & 7;
    let saved = permutation(count, encoding & 0x3ff)?;
    // The last one pushed lies lowest; the first right below the return address.
    for (place, number) in saved.iter().enumerate() {
        push_offset(&mut rules, *number, 1 + count - place as u32);
    }
    Some(rules)
}

/// The registers that the number of a permutation means, in ascending order of where they lie.
fn permutation(count: u32, mut number: u32) -> Option<Vec<u8>> {
    if count > 6 {
        return None;
    }
    let mut left: Vec<u8> = REGISTERS.to_vec();
    let mut chosen = Vec::new();
    for place in 0..count {
        // Digits of a number whose bases go down: so many ways are left for the places behind this one.
        let ways: u32 = ((6 - count + 1)..(6 - place)).product();
        let digit = (number / ways) as usize;
        number %= ways;
        if digit >= left.len() {
            return None;
        }
        chosen.push(left.remove(digit));
    }
    Some(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_with_a_frame_pointer_have_registers_below_it() {
        // rbx at rbp - 24, r14 at rbp - 16, r15 at rbp - 8: registers 1, 4, 5 of the list.
        let encoding = MODE_RBP_FRAME | 3 << 16 | 1 | 4 << 3 | 5 << 6;
        let rules = rules(encoding, &[]).expect("rules");
        assert_eq!(
            rules,
            [0x0c, 6, 16, 0x86, 2, 0x83, 5, 0x8e, 4, 0x8f, 3],
            "cfa = rbp + 16; rbx = cfa - 40, r14 = cfa - 32, r15 = cfa - 24"
        );
    }

    #[test]
    fn frames_without_a_frame_pointer_have_a_size_and_an_order() {
        // push rbx; 16 bytes in all, one register: number 0 is rbx.
        let encoding = MODE_STACK_IMMEDIATE | 2 << 16 | 1 << 10;
        assert_eq!(rules(encoding, &[]), Some(vec![0x0e, 16, 0x83, 2]));
        // Two registers, r14 below rbx: 3 * 5 + 0.
        let encoding = MODE_STACK_IMMEDIATE | 4 << 16 | 2 << 10 | 15;
        let expected = vec![0x0e, 32, 0x8e, 3, 0x83, 2];
        assert_eq!(rules(encoding, &[]), Some(expected));
        // All six, in the order of the list.
        let encoding = MODE_STACK_IMMEDIATE | 7 << 16 | 6 << 10;
        let all = rules(encoding, &[]).expect("rules");
        assert_eq!(all[2..4], [0x83, 7], "rbx lies lowest");
        assert_eq!(all[12..14], [0x86, 2], "rbp lies highest");
    }

    #[test]
    fn large_frames_have_their_size_in_the_code() {
        // sub rsp, 0x1008 at offset 0: its immediate is at 3.
        let code = [0x48, 0x81, 0xec, 0x08, 0x10, 0, 0];
        let encoding = MODE_STACK_INDIRECT | 3 << 16 | 1 << 13;
        assert_eq!(rules(encoding, &code), Some(vec![0x0e, 0x90, 0x20]));
        assert_eq!(rules(encoding, &code[..5]), None, "beyond the function");
    }

    #[test]
    fn numbers_that_are_no_permutation_say_nothing() {
        assert_eq!(rules(MODE_STACK_IMMEDIATE | 7 << 10, &[]), None);
        assert_eq!(rules(MODE_STACK_IMMEDIATE | 1 << 10 | 6, &[]), None);
        assert_eq!(rules(0x0500_0000, &[]), None);
    }
}
