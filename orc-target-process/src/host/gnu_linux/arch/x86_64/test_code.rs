//! Machine code that tests write, and instructions that they crash with.

use std::arch::asm;
use std::ffi::c_int;

/// Bytes of a caller function, and what they are rounded up to.
pub(crate) const CALLER_SIZE: usize = 18;
pub(crate) const CALLER_SPACE: usize = 32;

/// A function that calls `target` from a frame of its own and returns what it returns.
pub(crate) fn caller(target: u64) -> [u8; CALLER_SPACE] {
    let mut code = [0xcc; CALLER_SPACE];
    code[..6].copy_from_slice(&[
        0x55, // push rbp
        0x48, 0x89, 0xe5, // mov rbp, rsp
        0x48, 0xb8, // movabs rax, target
    ]);
    code[6..14].copy_from_slice(&target.to_le_bytes());
    code[14..18].copy_from_slice(&[
        0xff, 0xd0, // call rax
        0x5d, // pop rbp
        0xc3, // ret
    ]);
    code
}

/// Offset of the return address of a caller's call.
pub(crate) const RETURN_OFFSET: u64 = 16;

/// What callers' frame descriptions have in common.
pub(crate) const CALLERS_CIE: [u8; 24] = [
    20, 0, 0, 0, // length
    0, 0, 0, 0, // id
    1, b'z', b'R', 0, // version, augmentation
    1, 0x78, 16, 1, 0x1b, // factors, return address column, pcrel | sdata4
    0x0c, 7, 8, // DW_CFA_def_cfa rsp, 8
    0x90, 1, // DW_CFA_offset rip, 1 * -8
    0, 0,
];

/// How a caller's frame changes.
pub(crate) const CALLER_FRAME: [u8; 12] = [
    0x41, 0x0e, 16, // after push rbp: DW_CFA_def_cfa_offset 16
    0x86, 2, // DW_CFA_offset rbp, 2 * -8
    0x43, 0x0d, 6, // after mov: DW_CFA_def_cfa_register rbp
    0x4d, 0x0c, 7, 8, // after pop rbp: DW_CFA_def_cfa rsp, 8
];

/// An instruction that returns.
pub(crate) const RETURN: &[u8] = &[0xc3];

/// Bytes of [`constant`].
pub(crate) const CONSTANT_SIZE: usize = 6;

/// A function that returns a number: `mov eax, value; ret`.
pub(crate) fn constant(value: u32) -> [u8; CONSTANT_SIZE] {
    let [a, b, c, d] = value.to_le_bytes();
    [0xb8, a, b, c, d, 0xc3]
}

/// A wrapper function that returns one byte.
pub(crate) fn wrapper_returning(byte: u8) -> Vec<u8> {
    // mov eax, byte; mov edx, 1; ret
    vec![0xb8, byte, 0, 0, 0, 0xba, 1, 0, 0, 0, 0xc3]
}

/// Names of the program counter and the stack pointer in reports.
pub(crate) const COUNTER_AND_STACK: [&str; 2] = ["rip", "rsp"];

/// How far below the stack pointer the fault of a function may be that has no room for its frame.
pub(crate) const FRAME_SIZE_MAX: u64 = 0x2000;

/// Instructions that raise a signal each, the signal, and whether the kernel tells their address.
pub(crate) const RAISING: [(fn(), c_int, bool); 3] = [
    // SAFETY: whoever runs these ends there, which is what tests are about.
    (|| unsafe { asm!("ud2") }, libc::SIGILL, true),
    // SAFETY: as above.
    (|| unsafe { asm!("int3") }, libc::SIGTRAP, false),
    (
        // SAFETY: as above.
        || unsafe {
            asm!("xor ecx, ecx", "xor edx, edx", "idiv ecx",
                out("eax") _, out("ecx") _, out("edx") _);
        },
        libc::SIGFPE,
        true,
    ),
];

/// Goes to `target` with this stack pointer.
///
/// # Safety
/// The thread ends there.
pub(crate) unsafe fn go(target: u64, stack: u64) -> ! {
    // SAFETY: the caller says so.
    unsafe { asm!("mov rsp, {0}", "jmp {1}", in(reg) stack, in(reg) target, options(noreturn)) }
}
