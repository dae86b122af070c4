use std::arch::asm;

use orc_shared::ExecutorAddr;

use super::Versioned;

pub const TRIPLE: &str = "x86_64-pc-linux-gnu";

pub const VERSIONED: Versioned = Versioned {
    name: c"memcpy",
    versions: [c"GLIBC_2.2.5", c"GLIBC_2.14"],
};

/// The thread pointer of the calling thread.
pub fn thread_pointer() -> u64 {
    let pointer: u64;
    // SAFETY: reads the word that the psABI has there.
    unsafe { asm!("mov {}, fs:0", out(reg) pointer) };
    pointer
}

/// A wrapper function that returns one byte.
pub fn wrapper_returning(byte: u8) -> Vec<u8> {
    // mov eax, byte; mov edx, 1; ret
    vec![0xb8, byte, 0, 0, 0, 0xba, 1, 0, 0, 0, 0xc3]
}

/// A wrapper function that stores the first byte of its arguments at `at` and returns success.
pub fn wrapper_storing(at: ExecutorAddr) -> Vec<u8> {
    let mut code = vec![0x0f, 0xb6, 0x07, 0x48, 0xb9]; // movzx eax, byte [rdi]; movabs rcx, at
    code.extend(at.value().to_le_bytes());
    code.extend([0x88, 0x01]); // mov [rcx], al
    code.extend([0x31, 0xc0, 0xba, 1, 0, 0, 0, 0xc3]); // xor eax, eax; mov edx, 1; ret
    code
}

/// What the function of a TLS descriptor returns, called as compilers do. It changes no other register.
///
/// # Safety
/// It is the first word of `descriptor`.
pub unsafe fn by_descriptor(descriptor: &[u64; 2]) -> u64 {
    let (tp_offset, kept): (u64, u64);
    // SAFETY: the caller says so. The vector register is one that calls may change.
    unsafe {
        asm!(
            "movq xmm7, {kept}",
            "xor {kept:e}, {kept:e}",
            "call [rax]",
            "movq {kept}, xmm7",
            inout("rax") descriptor => tp_offset,
            kept = inout(reg) 0x1234_5678_u64 => kept,
            in("rdi") 1, in("rsi") 2, in("r8") 3, in("r11") 4,
            out("xmm7") _,
        );
    }
    assert_eq!(kept, 0x1234_5678);
    tp_offset
}
