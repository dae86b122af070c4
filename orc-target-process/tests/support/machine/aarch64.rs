use std::arch::asm;

use orc_shared::ExecutorAddr;

use super::Versioned;

pub const TRIPLE: &str = "aarch64-pc-linux-gnu";

pub const VERSIONED: Versioned = Versioned {
    name: c"glob",
    versions: [c"GLIBC_2.17", c"GLIBC_2.27"],
};

/// The thread pointer of the calling thread.
pub fn thread_pointer() -> u64 {
    let pointer: u64;
    // SAFETY: reads a register that user mode may read.
    unsafe { asm!("mrs {}, tpidr_el0", out(reg) pointer) };
    pointer
}

fn bytes(instructions: &[u32]) -> Vec<u8> {
    instructions
        .iter()
        .flat_map(|it| it.to_le_bytes())
        .collect()
}

/// A wrapper function that returns one byte.
pub fn wrapper_returning(byte: u8) -> Vec<u8> {
    bytes(&[
        0xd280_0000 | u32::from(byte) << 5, // mov x0, byte
        0xd280_0021,                        // mov x1, 1
        0xd65f_03c0,                        // ret
    ])
}

/// A wrapper function that stores the first byte of its arguments at `at` and returns success.
pub fn wrapper_storing(at: ExecutorAddr) -> Vec<u8> {
    let mut code = bytes(&[
        0x3940_0002, // ldrb w2, [x0]
        0x5800_00a3, // ldr x3, 20 further
        0x3900_0062, // strb w2, [x3]
        0xd280_0000, // mov x0, 0
        0xd280_0021, // mov x1, 1
        0xd65f_03c0, // ret
    ]);
    code.extend(at.value().to_le_bytes());
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
            "fmov d7, {kept}",
            "mov {kept}, 0",
            "ldr x1, [x0]",
            "blr x1",
            "fmov {kept}, d7",
            inout("x0") descriptor => tp_offset,
            kept = inout(reg) 0x1234_5678_u64 => kept,
            out("x1") _, in("x2") 2, in("x8") 3, in("x17") 4,
            out("x30") _, out("v7") _,
        );
    }
    assert_eq!(kept, 0x1234_5678);
    tp_offset
}
