//! The launcher's code for AArch64.

/// `e_machine` of the file (`EM_AARCH64`).
pub(in crate::image) const MACHINE: u16 = 183;

std::arch::global_asm!(
    r#"
    .pushsection .rodata.orc_jit_launcher, "a", @progbits
    .balign 4
    .hidden orc_jit_launcher_start, orc_jit_launcher_end
    .globl orc_jit_launcher_start, orc_jit_launcher_end
orc_jit_launcher_start:
    mov     x19, sp
    ldr     x20, [x19]
    add     x21, x19, x20, lsl 3
    add     x21, x21, 16                // the environment
    mov     x22, x21
1:  ldr     x0, [x22], 8
    cbnz    x0, 1b
    mov     x23, 0
2:  ldr     x0, [x22]                   // the auxiliary vector
    cbz     x0, 4f
    cmp     x0, 31                      // AT_EXECFN
    b.eq    3f
    add     x22, x22, 16
    b       2b
3:  ldr     x23, [x22, 8]
4:  add     x0, x20, 9                  // room, by two words at a time
    and     x0, x0, -2
    sub     sp, sp, x0, uxtx 3
    add     x24, sp, 16                 // below is room for a shell's first arguments
    adr     x1, orc_jit_launcher_end
    adr     x2, 10f
    stp     x1, x2, [x24]
    str     x23, [x24, 16]
    add     x3, x24, 24
    add     x4, x19, 8
5:  ldr     x0, [x4], 8                 // the arguments, and a null
    str     x0, [x3], 8
    cbnz    x0, 5b
    mov     x0, x1
    mov     x1, x24
    mov     x2, x21
    mov     x8, 221                     // execve
    svc     0

    adr     x0, 11f
    adr     x1, 12f
    stp     x0, x1, [x24, -16]
    adr     x1, 13f
    adr     x2, orc_jit_launcher_end    // $0
    stp     x1, x2, [x24]
    sub     x1, x24, 16
    mov     x2, x21
    mov     x8, 221
    svc     0
    mov     x0, 127                     // as a shell that finds no command
    mov     x8, 93                      // exit
    svc     0
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
