//! Machine code that the linker itself adds.

use super::kinds::Kind;
use crate::cpu::{FrameRules, Stub};

/// An instruction that does nothing.
pub const NOP: u8 = 0x90;

/// A PLT stub: jumps to the address in a GOT entry. It starts with `endbr64`, because its address
/// may be taken and then called indirectly with branch tracking on.
pub const STUB: Stub = Stub {
    code: &[
        0xf3, 0x0f, 0x1e, 0xfa, // endbr64
        0xff, 0x25, 0, 0, 0, 0, // jmp *entry(%rip)
        0x66, 0x0f, 0x1f, 0x44, 0, 0, // nopw 0(%rax,%rax,1)
    ],
    align: 16,
    edges: &[(6, Kind::Delta32.edge(), -4)],
    requests: &[(6, Kind::GotDelta32.edge(), -4)],
};

/// A trampoline: a call of five bytes. Nothing comes back here.
pub const TRAMPOLINE: Stub = Stub {
    code: &[
        0xe8, 0, 0, 0, 0, // call reenter
        0xcc, 0xcc, 0xcc, // int3
    ],
    align: 8,
    edges: &[(1, Kind::Branch32.edge(), -4)],
    requests: &[],
};

/// A stub has the frame of its caller from the first byte to the last, and so has a trampoline: the address that
/// its call pushes belongs to the frame of what it calls.
pub const FRAMES: FrameRules = FrameRules {
    return_address: 16,
    code_align: 1,
    entry: &[
        0x0c, 7, 8, // DW_CFA_def_cfa: rsp + 8
        0x90, 1, // DW_CFA_offset: the return address at CFA - 8
    ],
    trampoline: &[],
    distance: Kind::Delta32.edge(),
};

/// A wrapper function that runs IFUNC resolvers: its argument bytes are pairs of 64-bit addresses
/// (resolver, slot), and it stores what each resolver returns in its slot. It returns an SPS
/// `Error` of success: one zero byte, held in the result itself (`rax` the bytes, `rdx` their
/// number).
pub const RUN_RESOLVERS: [u8; 43] = [
    0xf3, 0x0f, 0x1e, 0xfa, // endbr64
    0x53, // push %rbx
    0x55, // push %rbp
    0x50, // push %rax            keeps the stack 16-byte aligned at the call
    0x48, 0x89, 0xfb, // mov %rdi, %rbx
    0x48, 0x8d, 0x2c, 0x37, // lea (%rdi,%rsi,1), %rbp
    0x48, 0x39, 0xeb, // cmp %rbp, %rbx    (offset 14)
    0x73, 0x0f, // jae done           (to 34)
    0xff, 0x13, // call *(%rbx)
    0x48, 0x8b, 0x4b, 0x08, // mov 8(%rbx), %rcx
    0x48, 0x89, 0x01, // mov %rax, (%rcx)
    0x48, 0x83, 0xc3, 0x10, // add $16, %rbx
    0xeb, 0xec, // jmp 14
    0x31, 0xc0, // xor %eax, %eax     (offset 34)
    0x8d, 0x50, 0x01, // lea 1(%rax), %edx
    0x59, // pop %rcx
    0x5d, // pop %rbp
    0x5b, // pop %rbx
    0xc3, // ret
];
