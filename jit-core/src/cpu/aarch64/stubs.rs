//! Machine code that the linker itself adds.

use super::kinds::Kind;
use crate::cpu::{FrameRules, Stub};

/// What a gap in code holds: four of them are `udf #0`, which no program executes.
pub const CODE_GAP: u8 = 0;

/// A PLT stub: jumps to the address in a GOT entry. It starts with `bti c`, because its
/// address may be taken and then called indirectly with branch targets checked. It changes `x16`
/// alone, which the procedure call standard leaves to veneers (AAPCS64, 6.1.1).
pub const STUB: Stub = Stub {
    code: &bytes::<4, 16>([
        0xd503_245f, // bti c
        0x9000_0010, // adrp x16, entry
        0xf940_0210, // ldr x16, [x16, :lo12:entry]
        0xd61f_0200, // br x16
    ]),
    align: 16,
    edges: &[
        (4, Kind::Page21.edge(), 0),
        (8, Kind::Access64Low12.edge(), 0),
    ],
    requests: &[
        (4, Kind::GotPage21.edge(), 0),
        (8, Kind::GotLow12.edge(), 0),
    ],
};

/// A veneer: jumps to where a branch does not reach, within 4 GiB. Only branches lead here.
pub const VENEER: Stub = Stub {
    code: &bytes::<4, 16>([
        0x9000_0010, // adrp x16, target
        0x9100_0210, // add x16, x16, :lo12:target
        0xd61f_0200, // br x16
        0xd503_201f, // nop
    ]),
    align: 16,
    edges: &[(0, Kind::Page21.edge(), 0), (4, Kind::AddLow12.edge(), 0)],
    requests: &[],
};

/// A trampoline: keeps the return address of the lazy call, and calls. Nothing comes back here.
pub const TRAMPOLINE: Stub = Stub {
    code: &bytes::<2, 8>([
        0xa9bf_7bfd, // stp x29, x30, [sp, #-16]!
        0x9400_0000, // bl reenter
    ]),
    align: 8,
    edges: &[(4, Kind::Branch26.edge(), 0)],
    requests: &[],
};

/// A stub has the frame of its caller from the first byte to the last. Between the two instructions of a
/// trampoline, the caller's registers are on the stack.
pub const FRAMES: FrameRules = FrameRules {
    return_address: 30,
    code_align: 4,
    entry: &[0x0c, 31, 0], // DW_CFA_def_cfa: sp
    trampoline: &[
        0x41, // DW_CFA_advance_loc: to the call
        0x0e, 16, // DW_CFA_def_cfa_offset
        0x9d, 2, // DW_CFA_offset: x29 at CFA - 16
        0x9e, 1,    // DW_CFA_offset: x30 at CFA - 8
        0x41, // DW_CFA_advance_loc: to the next trampoline
        0x0e, 0,    // DW_CFA_def_cfa_offset
        0xdd, // DW_CFA_restore: x29
        0xde, // DW_CFA_restore: x30
    ],
    distance: Kind::Delta32.edge(),
};

/// The bytes in front of the pairs that [`RUN_RESOLVERS`] takes.
pub fn resolver_arguments([hwcap, hwcap2]: [u64; 2]) -> Vec<u8> {
    /// `_IFUNC_ARG_HWCAP`: there is a second argument.
    const HAS_STRUCTURE: u64 = 1 << 62;
    const STRUCTURE_SIZE: u64 = 24;
    let words = [hwcap | HAS_STRUCTURE, STRUCTURE_SIZE, hwcap, hwcap2];
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// A wrapper function that runs IFUNC resolvers. Its argument bytes are what each resolver gets
/// (`sys/ifunc.h`): one word, `AT_HWCAP` with bit 62 set, and a structure of three (its size,
/// `AT_HWCAP`, `AT_HWCAP2`); then pairs of 64-bit addresses (resolver, slot). It stores what each
/// resolver returns in its slot, and returns an SPS `Error` of success: one zero byte, held in the
/// result itself (`x0` the bytes, `x1` their number).
pub const RUN_RESOLVERS: [u8; 96] = bytes([
    0xd503_245f, // bti c
    0xa9bd_7bfd, // stp x29, x30, [sp, #-48]!
    0x9100_03fd, // mov x29, sp
    0xa901_53f3, // stp x19, x20, [sp, #16]
    0xf900_13f5, // str x21, [sp, #32]
    0xaa00_03f5, // mov x21, x0
    0x8b01_0014, // add x20, x0, x1
    0x9100_8013, // add x19, x0, #32
    0xeb14_027f, // cmp x19, x20          (offset 32)
    0x5400_0122, // b.hs done             (to 72)
    0xf940_0268, // ldr x8, [x19]
    0xf940_02a0, // ldr x0, [x21]
    0x9100_22a1, // add x1, x21, #8
    0xd63f_0100, // blr x8
    0xf940_0668, // ldr x8, [x19, #8]
    0xf900_0100, // str x0, [x8]
    0x9100_4273, // add x19, x19, #16
    0x17ff_fff7, // b 32
    0xaa1f_03e0, // mov x0, xzr           (offset 72)
    0xd280_0021, // mov x1, #1
    0xf940_13f5, // ldr x21, [sp, #32]
    0xa941_53f3, // ldp x19, x20, [sp, #16]
    0xa8c3_7bfd, // ldp x29, x30, [sp], #48
    0xd65f_03c0, // ret
]);

/// Instructions as bytes.
#[must_use]
pub const fn bytes<const WORDS: usize, const BYTES: usize>(words: [u32; WORDS]) -> [u8; BYTES] {
    assert!(BYTES == 4 * WORDS);
    let mut bytes = [0; BYTES];
    let mut at = 0;
    while at < BYTES {
        bytes[at] = words[at / 4].to_le_bytes()[at % 4];
        at += 1;
    }
    bytes
}
