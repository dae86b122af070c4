//! Machine code that tests write, and instructions that they crash with.

use std::arch::asm;
use std::ffi::c_int;

/// Bytes of a caller function, and what they are rounded up to.
pub(crate) const CALLER_SIZE: usize = 24;
pub(crate) const CALLER_SPACE: usize = 32;

/// A function that calls `target` from a frame of its own and returns what it returns.
pub(crate) fn caller(target: u64) -> [u8; CALLER_SPACE] {
    let mut code = [0; CALLER_SPACE];
    let instructions: [u32; 6] = [
        0xa9bf_7bfd, // stp x29, x30, [sp, -16]!
        0x9100_03fd, // mov x29, sp
        0x5800_0089, // ldr x9, 16 further
        0xd63f_0120, // blr x9
        0xa8c1_7bfd, // ldp x29, x30, [sp], 16
        0xd65f_03c0, // ret
    ];
    write(&mut code, &instructions);
    code[CALLER_SIZE..].copy_from_slice(&target.to_le_bytes());
    code
}

fn write(code: &mut [u8], instructions: &[u32]) {
    for (place, instruction) in code.chunks_exact_mut(4).zip(instructions) {
        place.copy_from_slice(&instruction.to_le_bytes());
    }
}

/// Offset of the return address of a caller's call.
pub(crate) const RETURN_OFFSET: u64 = 16;

/// What callers' frame descriptions have in common.
pub(crate) const CALLERS_CIE: [u8; 24] = [
    20, 0, 0, 0, // length
    0, 0, 0, 0, // id
    1, b'z', b'R', 0, // version, augmentation
    1, 0x78, 30, 1, 0x1b, // factors, return address column, pcrel | sdata4
    0x0c, 31, 0, // DW_CFA_def_cfa sp, 0
    0, 0, 0, 0,
];

/// How a caller's frame changes.
pub(crate) const CALLER_FRAME: [u8; 14] = [
    0x44, 0x0e, 16, // after stp: DW_CFA_def_cfa_offset 16
    0x9d, 2, // DW_CFA_offset x29, 2 * -8
    0x9e, 1, // DW_CFA_offset x30, 1 * -8
    0x50, 0x0e, 0, // after ldp: DW_CFA_def_cfa_offset 0
    0xdd, 0xde, // DW_CFA_restore x29, x30
    0, 0,
];

/// An instruction that returns.
pub(crate) const RETURN: &[u8] = &0xd65f_03c0_u32.to_le_bytes();

/// Bytes of [`constant`].
pub(crate) const CONSTANT_SIZE: usize = 12;

/// A function that returns a number: `movz w0, low; movk w0, high, lsl 16; ret`.
pub(crate) fn constant(value: u32) -> [u8; CONSTANT_SIZE] {
    let (low, high) = (value & 0xffff, value >> 16);
    let mut code = [0; CONSTANT_SIZE];
    let instructions = [0x5280_0000 | low << 5, 0x72a0_0000 | high << 5, 0xd65f_03c0];
    write(&mut code, &instructions);
    code
}

/// A wrapper function that returns one byte.
pub(crate) fn wrapper_returning(byte: u8) -> Vec<u8> {
    // mov x0, byte; mov x1, 1; ret
    let mut code = vec![0; 12];
    let instructions = [0xd280_0000 | u32::from(byte) << 5, 0xd280_0021, 0xd65f_03c0];
    write(&mut code, &instructions);
    code
}

/// Names of the program counter and the stack pointer in reports.
pub(crate) const COUNTER_AND_STACK: [&str; 2] = ["pc", "sp"];

/// How far below the stack pointer the fault of a function may be that has no room for its frame.
pub(crate) const FRAME_SIZE_MAX: u64 = 0x2000;

/// Instructions that raise a signal each, the signal, and whether the kernel tells their address.
/// A division by zero raises none.
pub(crate) const RAISING: [(fn(), c_int, bool); 2] = [
    // SAFETY: whoever runs these ends there, which is what tests are about.
    (|| unsafe { asm!("udf 0") }, libc::SIGILL, true),
    // SAFETY: as above.
    (|| unsafe { asm!("brk 1") }, libc::SIGTRAP, true),
];

/// Goes to `target` with this stack pointer, and with what lies there as the return address.
///
/// # Safety
/// The thread ends there.
pub(crate) unsafe fn go(target: u64, stack: u64) -> ! {
    // SAFETY: the caller says so.
    unsafe {
        asm!("mov sp, {0}", "mov x30, 0x5a5a", "br {1}", in(reg) stack, in(reg) target,
            options(noreturn))
    }
}
