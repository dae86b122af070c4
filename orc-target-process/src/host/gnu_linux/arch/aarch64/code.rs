//! AArch64: data and instruction caches may differ, so new code is cleaned to the point of
//! unification and stale instructions are invalidated (Arm ARM, "Synchronization and coherency
//! issues between data and instruction accesses").

use std::arch::asm;
use std::ops::Range;

/// `e_machine` of the CPU's ELF files (`EM_AARCH64`).
pub(crate) const ELF_MACHINE: u16 = 183;

/// DWARF number of the return address column (`x30`).
pub(crate) const RETURN_ADDRESS_COLUMN: u8 = 30;

/// Makes code that was written to `range` visible to instruction fetch.
pub(crate) fn flush_instruction_cache(range: Range<u64>) {
    let cache_type: u64;
    // SAFETY: CTR_EL0 may be read in user mode and has no effect.
    unsafe { asm!("mrs {}, ctr_el0", out(reg) cache_type, options(nomem, nostack)) };
    let instruction_line = 4_u64 << (cache_type & 0xf);
    let data_line = 4_u64 << ((cache_type >> 16) & 0xf);
    let mut line = range.start & !(data_line - 1);
    while line < range.end {
        // SAFETY: the line is mapped; cleaning it changes no memory.
        unsafe { asm!("dc cvau, {}", in(reg) line, options(nostack)) };
        line += data_line;
    }
    // SAFETY: a barrier orders memory accesses, and changes no memory and no register.
    unsafe { asm!("dsb ish", options(nostack)) };
    let mut line = range.start & !(instruction_line - 1);
    while line < range.end {
        // SAFETY: the line is mapped; invalidating it changes no memory.
        unsafe { asm!("ic ivau, {}", in(reg) line, options(nostack)) };
        line += instruction_line;
    }
    // SAFETY: as of the barrier above.
    unsafe { asm!("dsb ish", "isb", options(nostack)) };
}

/// Code that jumps to `target`, wherever that is, and what lies behind the code:
///
/// ```text
///    0  5f 24 03 d5            bti  c
///    4  70 00 00 58            ldr  x16, 16
///    8  00 02 1f d6            br   x16
///   16  .quad target
/// ```
pub(crate) fn jump_stub(target: u64) -> Vec<u8> {
    let mut stub = vec![
        0x5f, 0x24, 0x03, 0xd5, 0x70, 0, 0, 0x58, 0, 0x02, 0x1f, 0xd6,
    ];
    stub.resize(16, 0);
    stub.extend(target.to_le_bytes());
    stub
}

/// Code that jumps to what the first word of its argument leads to:
///
/// ```text
///    0  5f 24 03 d5            bti  c
///    4  10 00 40 f9            ldr  x16, [x0]
///    8  00 02 1f d6            br   x16
/// ```
pub(crate) const EXIT_THUNK: &[u8] = &[
    0x5f, 0x24, 0x03, 0xd5, 0x10, 0, 0x40, 0xf9, 0, 0x02, 0x1f, 0xd6,
];

/// Code that stores 1 to the second word of its argument:
///
/// ```text
///    0  5f 24 03 d5            bti  c
///    4  21 00 80 d2            mov  x1, 1
///    8  00 20 00 91            add  x0, x0, 8
///   12  01 fc 9f c8            stlr x1, [x0]
///   16  c0 03 5f d6            ret
/// ```
pub(crate) const NOTE_CALL: &[u8] = &[
    0x5f, 0x24, 0x03, 0xd5, 0x21, 0, 0x80, 0xd2, 0, 0x20, 0, 0x91, 0x01, 0xfc, 0x9f, 0xc8, 0xc0,
    0x03, 0x5f, 0xd6,
];
