//! x86-64: instruction fetch is coherent with stores.

use std::ops::Range;

/// `e_machine` of the CPU's ELF files (`EM_X86_64`).
pub(crate) const ELF_MACHINE: u16 = 62;

/// DWARF number of the return address column.
pub(crate) const RETURN_ADDRESS_COLUMN: u8 = 16;

/// Makes code that was written to `range` visible to instruction fetch. Nothing to do here.
pub(crate) fn flush_instruction_cache(_range: Range<u64>) {}

/// Code that jumps to `target`, wherever that is, and what lies behind the code:
///
/// ```text
///    0  f3 0f 1e fa            endbr64
///    4  ff 25 06 00 00 00      jmp  *6(%rip)
///   16  .quad target
/// ```
pub(crate) fn jump_stub(target: u64) -> Vec<u8> {
    let mut stub = vec![0xf3, 0x0f, 0x1e, 0xfa, 0xff, 0x25, 0x06, 0, 0, 0];
    stub.resize(16, 0xcc);
    stub.extend(target.to_le_bytes());
    stub
}

/// Code that jumps to what the first word of its argument leads to:
///
/// ```text
///    0  f3 0f 1e fa            endbr64
///    4  ff 27                  jmp  *(%rdi)
/// ```
pub(crate) const EXIT_THUNK: &[u8] = &[0xf3, 0x0f, 0x1e, 0xfa, 0xff, 0x27];

/// Code that stores 1 to the second word of its argument:
///
/// ```text
///    0  f3 0f 1e fa                endbr64
///    4  48 c7 47 08 01 00 00 00    movq $1, 8(%rdi)
///   12  c3                         ret
/// ```
pub(crate) const NOTE_CALL: &[u8] = &[
    0xf3, 0x0f, 0x1e, 0xfa, 0x48, 0xc7, 0x47, 0x08, 1, 0, 0, 0, 0xc3,
];
