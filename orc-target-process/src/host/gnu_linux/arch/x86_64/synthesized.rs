//! The parts of a synthesized object that differ per processor: relocation types and hook stub.

/// S + A
pub(crate) const R_64: u32 = 1;
/// A copy of the data of S.
pub(crate) const R_COPY: u32 = 5;
/// S
pub(crate) const R_GLOB_DAT: u32 = 6;
/// S, of a function.
pub(crate) const R_JUMP_SLOT: u32 = 7;
/// Module id of S.
pub(crate) const R_DTPMOD: u32 = 16;
/// Offset of S in its module's thread-local block.
pub(crate) const R_DTPOFF: u32 = 17;
/// Offset of S from the thread pointer.
pub(crate) const R_TPOFF: u32 = 18;
/// Result of calling B + A.
pub(crate) const R_IRELATIVE: u32 = 37;

/// Size of the stubs in bytes.
pub(crate) const STUB_SIZE: usize = 80;
/// Offset of the jump stub.
pub(crate) const JUMP_STUB: usize = 64;

/// The function that the `IRELATIVE` relocation makes the loader call, placed at offset `at`, with
/// its words at offset `words`. The object is mapped from its offset 0.
///
/// When the hook returns a message, no frame of this project is left on the stack, and the loader
/// is told of an error just as it finds one while relocating: it unwinds with `longjmp`, unloads
/// what it has loaded, runs no constructor, and `dlopen` returns null.
///
/// ```text
///    0  f3 0f 1e fa            endbr64
///    4  48 83 ec 08            sub  rsp, 8
///    8  48 8b 3d ........      mov  rdi, [words + 0]   # context
///   15  48 8d 35 ........      lea  rsi, [offset 0]    # where the object lies
///   22  ff 15 ........         call [words + 8]        # hook
///   28  48 83 c4 08            add  rsp, 8
///   32  48 85 c0               test rax, rax
///   35  75 01                  jne  38
///   37  c3                     ret                     # null
///   38  31 ff                  xor  edi, edi           # no error number
///   40  48 8b 35 ........      mov  rsi, [words + 24]  # object name
///   47  31 d2                  xor  edx, edx           # no occasion
///   49  48 89 c1               mov  rcx, rax           # message
///   52  ff 25 ........         jmp  [words + 16]       # _dl_signal_error
///   58  cc ...                 int3
///   64  f3 0f 1e fa            endbr64                 # the jump stub
///   68  ff 25 ........         jmp  [words + 40]
///   74  cc ...                 int3
/// ```
pub(crate) fn stub(at: u64, words: u64) -> [u8; STUB_SIZE] {
    let mut code = [0xcc; STUB_SIZE];
    // `(offset in the stub, opcode bytes, target offset of a PC-relative operand)`
    let instructions: [(usize, &[u8], Option<u64>); 15] = [
        (0, &[0xf3, 0x0f, 0x1e, 0xfa], None),
        (4, &[0x48, 0x83, 0xec, 0x08], None),
        (8, &[0x48, 0x8b, 0x3d], Some(words)),
        (15, &[0x48, 0x8d, 0x35], Some(0)),
        (22, &[0xff, 0x15], Some(words + 8)),
        (28, &[0x48, 0x83, 0xc4, 0x08], None),
        (32, &[0x48, 0x85, 0xc0], None),
        (35, &[0x75, 0x01, 0xc3], None),
        (38, &[0x31, 0xff], None),
        (40, &[0x48, 0x8b, 0x35], Some(words + 24)),
        (47, &[0x31, 0xd2], None),
        (49, &[0x48, 0x89, 0xc1], None),
        (52, &[0xff, 0x25], Some(words + 16)),
        (JUMP_STUB, &[0xf3, 0x0f, 0x1e, 0xfa], None),
        (JUMP_STUB + 4, &[0xff, 0x25], Some(words + 40)),
    ];
    for (offset, opcode, target) in instructions {
        code[offset..offset + opcode.len()].copy_from_slice(opcode);
        if let Some(target) = target {
            let operand = offset + opcode.len();
            // D = T - P, where P is the address of the next instruction.
            let next = at + operand as u64 + 4;
            let distance = target.wrapping_sub(next) as u32;
            code[operand..operand + 4].copy_from_slice(&distance.to_le_bytes());
        }
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operands_are_relative_to_the_next_instruction() {
        let code = stub(0x1000, 0x2000);
        assert_eq!(code[11..15], (0x2000u32 - 0x100f).to_le_bytes());
        assert_eq!(code[18..22], 0u32.wrapping_sub(0x1016).to_le_bytes());
        assert_eq!(code[24..28], (0x2008u32 - 0x101c).to_le_bytes());
        assert_eq!(code[54..58], (0x2010u32 - 0x103a).to_le_bytes());
        assert_eq!(code[58..64], [0xcc; 6]);
        assert_eq!(code[70..74], (0x2028u32 - 0x104a).to_le_bytes());
    }
}
