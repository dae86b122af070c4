//! Machine code of support objects for AArch64.

use jit_core::cpu::aarch64::Kind;
use jit_core::cpu::aarch64::stubs::bytes;

use super::code::{Code, SupportCode};

pub(super) static CODE: SupportCode = SupportCode {
    atexit: Code {
        bytes: &bytes::<5, 20>([
            0xd503_245f, // bti c
            0x9000_0002, // adrp x2, __dso_handle
            0x9100_0042, // add x2, x2, :lo12:__dso_handle
            0xd280_0001, // mov x1, #0
            0x1400_0000, // b __cxa_atexit
        ]),
        first: &[(4, Kind::Page21.edge(), 0), (8, Kind::AddLow12.edge(), 0)],
        second: &[(16, Kind::Branch26.edge(), 0)],
    },
    process_start: Code {
        bytes: &bytes::<23, 92>([
            0x9340_7c00, // sxtw x0, w0
            0x8b00_0c22, // add x2, x1, x0, lsl #3
            0x9100_2042, // add x2, x2, #8: the environment
            0xf840_8443, // 1: ldr x3, [x2], #8
            0xb5ff_ffe3, // cbnz x3, 1b
            0xa8c1_1043, // 2: ldp x3, x4, [x2], #16: the auxiliary vector
            0xb5ff_ffe3, // cbnz x3, 2b
            0xcb01_0043, // sub x3, x2, x1: bytes of all
            0x9100_2064, // add x4, x3, #8
            0x9100_03e5, // mov x5, sp
            0xcb04_00a5, // sub x5, x5, x4
            0x927c_eca5, // and x5, x5, #-16
            0x9100_00bf, // mov sp, x5
            0xf800_84a0, // str x0, [x5], #8
            0xf840_8420, // 3: ldr x0, [x1], #8
            0xf800_84a0, // str x0, [x5], #8
            0xf100_2063, // subs x3, x3, #8
            0x54ff_ffa1, // b.ne 3b
            0xd280_0000, // mov x0, #0: no function to call at exit
            0xd280_001d, // mov x29, #0: the outermost frame
            0xd280_001e, // mov x30, #0
            0xd280_0001, // mov x1, #0
            0x1400_0000, // b entry
        ]),
        first: &[(88, Kind::Branch26.edge(), 0)],
        second: &[],
    },
    profile_start: Code {
        bytes: &bytes::<1, 4>([0x9400_0000]), // bl __gmon_start__
        first: &[(0, Kind::Branch26.edge(), 0)],
        second: &[],
    },
    prologue: &bytes::<2, 8>([
        0xa9bf_7bfd, // stp x29, x30, [sp, #-16]!
        0x9100_03fd, // mov x29, sp
    ]),
    epilogue: &bytes::<2, 8>([
        0xa8c1_7bfd, // ldp x29, x30, [sp], #16
        0xd65f_03c0, // ret
    ]),
    code_align: 4,
};
