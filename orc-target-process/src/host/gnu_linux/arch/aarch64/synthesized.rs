//! The parts of a synthesized object that differ per processor: relocation types and hook stub.

/// S + A
pub(crate) const R_64: u32 = 257;
/// A copy of the data of S.
pub(crate) const R_COPY: u32 = 1024;
/// S
pub(crate) const R_GLOB_DAT: u32 = 1025;
/// S, of a function.
pub(crate) const R_JUMP_SLOT: u32 = 1026;
/// Module id of S.
pub(crate) const R_DTPMOD: u32 = 1028;
/// Offset of S in its module's thread-local block.
pub(crate) const R_DTPOFF: u32 = 1029;
/// Offset of S from the thread pointer.
pub(crate) const R_TPOFF: u32 = 1030;
/// Result of calling B + A.
pub(crate) const R_IRELATIVE: u32 = 1032;

/// Size of the stubs in bytes.
pub(crate) const STUB_SIZE: usize = 96;
/// Offset of the jump stub.
pub(crate) const JUMP_STUB: usize = 80;

/// The function that the `IRELATIVE` relocation makes the loader call, placed at offset `at`, with
/// its words at offset `words`. The object is mapped from its offset 0, at a multiple of 4 KiB.
///
/// When the hook returns a message, no frame of this project is left on the stack, and the loader
/// is told of an error just as it finds one while relocating: it unwinds with `longjmp`, unloads
/// what it has loaded, runs no constructor, and `dlopen` returns null.
///
/// ```text
///    0  bti  c
///    4  stp  x29, x30, [sp, -16]!
///    8  mov  x29, sp
///   12  adrp x8, words
///   16  add  x8, x8, :lo12:words
///   20  ldr  x0, [x8]               // context
///   24  adrp x1, offset 0           // where the object lies
///   28  ldr  x9, [x8, 8]            // hook
///   32  blr  x9
///   36  ldp  x29, x30, [sp], 16
///   40  cbnz x0, 48
///   44  ret                         // null
///   48  mov  x3, x0                 // message
///   52  adrp x8, words
///   56  add  x8, x8, :lo12:words
///   60  mov  w0, 0                  // no error number
///   64  ldr  x1, [x8, 24]           // object name
///   68  mov  x2, 0                  // no occasion
///   72  ldr  x16, [x8, 16]          // _dl_signal_error
///   76  br   x16
///   80  bti  c                      // the jump stub
///   84  adrp x16, words + 40
///   88  ldr  x16, [x16, :lo12:words + 40]
///   92  br   x16
/// ```
pub(crate) fn stub(at: u64, words: u64) -> [u8; STUB_SIZE] {
    let page_of = |offset: u64, register: u32, target: u64| adrp(at + offset, register, target);
    let low = (words & 0xfff) as u32;
    let jump = words + 40;
    let instructions: [u32; STUB_SIZE / 4] = [
        BTI_C,
        0xa9bf_7bfd,
        0x9100_03fd,
        page_of(12, 8, words),
        add(8, low),
        load(0, 8, 0),
        page_of(24, 1, 0),
        load(9, 8, 8),
        0xd63f_0120,
        0xa8c1_7bfd,
        0xb500_0040,
        0xd65f_03c0,
        0xaa00_03e3,
        page_of(52, 8, words),
        add(8, low),
        0x5280_0000,
        load(1, 8, 24),
        0xd280_0002,
        load(16, 8, 16),
        BR_X16,
        BTI_C,
        page_of(84, 16, jump),
        load(16, 16, (jump & 0xfff) as u32),
        BR_X16,
    ];
    let mut code = [0; STUB_SIZE];
    for (place, instruction) in code.chunks_exact_mut(4).zip(instructions) {
        place.copy_from_slice(&instruction.to_le_bytes());
    }
    code
}

const BTI_C: u32 = 0xd503_245f;
const BR_X16: u32 = 0xd61f_0200;

/// `adrp register, target`, at `place`.
fn adrp(place: u64, register: u32, target: u64) -> u32 {
    // Page(S) - Page(P), in 21 bits: the lowest two apart from the others.
    let pages = (target >> 12).wrapping_sub(place >> 12) as u32;
    0x9000_0000 | (pages & 3) << 29 | (pages >> 2 & 0x7_ffff) << 5 | register
}

/// `add register, register, immediate`
fn add(register: u32, immediate: u32) -> u32 {
    0x9100_0000 | immediate << 10 | register << 5 | register
}

/// `ldr register, [base, offset]`, an offset that is a multiple of 8.
fn load(register: u32, base: u32, offset: u32) -> u32 {
    0xf940_0000 | (offset / 8) << 10 | base << 5 | register
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operands_lead_to_the_words() {
        let code = stub(0x1000, 0x3048);
        let at = |offset: usize| {
            let bytes = &code[offset..offset + 4];
            u32::from_le_bytes(bytes.try_into().expect("four bytes"))
        };
        // adrp x8, +2 pages; add x8, x8, 0x48; adrp x1, -1 page; ldr x16, [x16, 0x70]
        assert_eq!(at(12), 0xd000_0008);
        assert_eq!(at(16), 0x9101_2108);
        assert_eq!(at(24), 0xf0ff_ffe1);
        assert_eq!(at(88), 0xf940_3a10);
    }
}
