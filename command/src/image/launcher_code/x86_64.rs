//! The launcher's code for x86-64.

/// `e_machine` of the file (`EM_X86_64`).
pub(in crate::image) const MACHINE: u16 = 62;

std::arch::global_asm!(
    r#"
    .pushsection .rodata.orc_jit_launcher, "a", @progbits
    .hidden orc_jit_launcher_start, orc_jit_launcher_end
    .globl orc_jit_launcher_start, orc_jit_launcher_end
orc_jit_launcher_start:
    mov     rbp, rsp
    mov     rbx, [rbp]
    lea     r12, [rbp + 8*rbx + 16]     # the environment
    mov     r13, r12
1:  add     r13, 8
    cmp     qword ptr [r13 - 8], 0
    jne     1b
    xor     r14d, r14d
2:  mov     rax, [r13]                  # the auxiliary vector
    test    rax, rax
    jz      4f
    cmp     rax, 31                     # AT_EXECFN
    je      3f
    add     r13, 16
    jmp     2b
3:  mov     r14, [r13 + 8]
4:  mov     rcx, rbx
5:  push    qword ptr [rbp + 8*rcx + 8] # a null, and the arguments from the last one
    dec     rcx
    jns     5b
    push    r14
    lea     rax, [rip + 10f]
    push    rax
    lea     rdi, [rip + orc_jit_launcher_end]
    push    rdi
    mov     rsi, rsp
    mov     rdx, r12
    mov     eax, 59                     # execve
    syscall

    lea     rdi, [rip + orc_jit_launcher_end]
    mov     [rsp + 8], rdi              # $0
    lea     rax, [rip + 13f]
    mov     [rsp], rax
    lea     rax, [rip + 12f]
    push    rax
    lea     rdi, [rip + 11f]
    push    rdi
    mov     rsi, rsp
    mov     rdx, r12
    mov     eax, 59
    syscall
    mov     edi, 127                    # as a shell that finds no command
    mov     eax, 60                     # exit
    syscall
10: .asciz  "run-image"
11: .asciz  "/bin/sh"
12: .asciz  "-c"
13: .ascii  "command -v orc-jit >/dev/null || {{ echo \"orc-jit: error: this program is run "
    .ascii  "by orc-jit, which is neither $0 nor in PATH\" >&2; exit 127; }}; "
    .asciz  "exec orc-jit run-image \"$@\""
orc_jit_launcher_end:
    .popsection
    "#
);
