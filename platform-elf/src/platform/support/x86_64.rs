//! Machine code of support objects for x86-64.

use jit_core::cpu::x86_64::Kind;

use super::code::{Code, SupportCode};

pub(super) static CODE: SupportCode = SupportCode {
    atexit: Code {
        bytes: &[
            0x48, 0x8d, 0x15, 0, 0, 0, 0, // lea __dso_handle(%rip), %rdx
            0x31, 0xf6, // xor %esi, %esi
            0xe9, 0, 0, 0, 0, // jmp __cxa_atexit
        ],
        first: &[(3, Kind::Delta32.edge(), -4)],
        second: &[(10, Kind::Branch32.edge(), -4)],
    },
    process_start: Code {
        bytes: &[
            0x48, 0x63, 0xff, // movslq %edi, %rdi
            0x48, 0x8d, 0x44, 0xfe, 0x08, // lea 8(%rsi,%rdi,8), %rax: the environment
            0x48, 0x83, 0x38, 0x00, // 1: cmpq $0, (%rax)
            0x48, 0x8d, 0x40, 0x08, // lea 8(%rax), %rax
            0x75, 0xf6, // jne 1b
            0x48, 0x83, 0x38, 0x00, // 2: cmpq $0, (%rax): the auxiliary vector
            0x48, 0x8d, 0x40, 0x10, // lea 16(%rax), %rax
            0x75, 0xf6, // jne 2b
            0x48, 0x89, 0xc1, // mov %rax, %rcx
            0x48, 0x29, 0xf1, // sub %rsi, %rcx: bytes of all
            0x48, 0x8d, 0x51, 0x08, // lea 8(%rcx), %rdx
            0x48, 0x29, 0xd4, // sub %rdx, %rsp
            0x48, 0x83, 0xe4, 0xf0, // and $-16, %rsp
            0x48, 0x89, 0x3c, 0x24, // mov %rdi, (%rsp)
            0x48, 0x8d, 0x7c, 0x24, 0x08, // lea 8(%rsp), %rdi
            0x48, 0xc1, 0xe9, 0x03, // shr $3, %rcx
            0xfc, // cld
            0xf3, 0x48, 0xa5, // rep movsq
            0x31, 0xd2, // xor %edx, %edx: no function to call at exit
            0x31, 0xed, // xor %ebp, %ebp: the outermost frame
            0x31, 0xc0, // xor %eax, %eax
            0x31, 0xf6, // xor %esi, %esi
            0x31, 0xff, // xor %edi, %edi
            0xe9, 0, 0, 0, 0, // jmp entry
        ],
        first: &[(73, Kind::Branch32.edge(), -4)],
        second: &[],
    },
    profile_start: Code {
        bytes: &[0xe8, 0, 0, 0, 0], // call __gmon_start__
        first: &[(1, Kind::Branch32.edge(), -4)],
        second: &[],
    },
    prologue: &[0x48, 0x83, 0xec, 0x08], // sub $8, %rsp
    epilogue: &[
        0x48, 0x83, 0xc4, 0x08, // add $8, %rsp
        0xc3, // ret
    ],
    code_align: 1,
};
