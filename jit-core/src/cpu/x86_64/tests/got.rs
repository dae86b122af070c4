use super::*;
use crate::cpu::Via;

/// Lowers and fixes up one instruction whose displacement is its last four bytes.
#[track_caller]
fn check(kind: Kind, class: TargetClass, s: u64, before: &str, after: &str) {
    let code = hex(before);
    let offset = code.len() as u32 - 4;
    let lowered = lowered(&code, edge(offset, kind, -4), None, class).expect("lowered");
    assert_eq!(lowered.via, Via::Direct, "{before} kept its GOT entry");
    let bytes = fixed(&code, offset, lowered.kind, s, -4).expect("fixed up");
    assert_eq!(bytes, hex(after), "{before} became {bytes:02x?}");
}

/// Checks that an instruction keeps its GOT entry.
#[track_caller]
fn keeps(kind: Kind, class: TargetClass, addend: i64, before: &str) {
    let code = hex(before);
    let offset = code.len() as u32 - 4;
    let lowered = lowered(&code, edge(offset, kind, addend), None, class).expect("lowered");
    assert_eq!(lowered, Lowered::via(Kind::Delta32, Via::Got), "{before}");
}

const PLAIN: Kind = Kind::GotDelta32Relaxable;
const REX: Kind = Kind::GotDelta32RexRelaxable;
const REX2: Kind = Kind::GotDelta32Code4Relaxable;

#[test]
fn near_targets_need_no_load() {
    use NEAR;
    // mov x@GOTPCREL(%rip), %rax → lea x(%rip), %rax; the code is at 0x100000 and 7 bytes long.
    check(
        REX,
        NEAR,
        0x10_1007,
        "48 8b 05 00000000",
        "48 8d 05 00100000",
    );
    // mov …, %r15 and mov …, %eax
    check(
        REX,
        NEAR,
        0x10_1007,
        "4c 8b 3d 00000000",
        "4c 8d 3d 00100000",
    );
    check(PLAIN, NEAR, 0x10_0006, "8b 05 00000000", "8d 05 00000000");
    // call *x@GOTPCREL(%rip) → addr32 call x
    check(PLAIN, NEAR, 0x0f_ff06, "ff 15 00000000", "67 e8 00ffffff");
    // jmp *x@GOTPCREL(%rip) → jmp x; nop: the jump ends one byte earlier
    check(PLAIN, NEAR, 0x10_0106, "ff 25 00000000", "e9 01010000 90");
    // mov …, %r31: REX2 stays
    check(
        REX2,
        NEAR,
        0x10_1008,
        "d5 4c 8b 3d 00000000",
        "d5 4c 8d 3d 00100000",
    );
}

#[test]
fn a_call_behind_a_rex_prefix_gets_no_other_prefix() {
    use NEAR;
    // data16 rex.W call *x@GOTPCREL(%rip), as in a call of __tls_get_addr that stays, → data16 rex.W call x;
    // nop. With an addr32 between REX.W and the opcode, the REX would be void and the branch have 16 bits.
    let before = "66 48 ff 15 00000000";
    check(PLAIN, NEAR, 0x0f_ff07, before, "66 48 e8 00ffffff 90");
    // rex.W call …; the byte 4c may also be the end of the instruction before.
    check(
        PLAIN,
        NEAR,
        0x10_0106,
        "48 ff 15 00000000",
        "48 e8 00010000 90",
    );
    check(
        PLAIN,
        NEAR,
        0x10_0106,
        "4c ff 15 00000000",
        "4c e8 00010000 90",
    );
    // notrack call, bnd call and bnd jmp keep their prefixes in front of ours.
    check(
        PLAIN,
        NEAR,
        0x10_0107,
        "3e ff 15 00000000",
        "3e 67 e8 00010000",
    );
    check(
        PLAIN,
        NEAR,
        0x10_0107,
        "f2 ff 15 00000000",
        "f2 67 e8 00010000",
    );
    check(
        PLAIN,
        NEAR,
        0x10_0106,
        "f2 ff 25 00000000",
        "f2 e9 00010000 90",
    );
    check(
        PLAIN,
        NEAR,
        0x10_0106,
        "48 ff 25 00000000",
        "48 e9 00010000 90",
    );
}

#[test]
fn prefixes_that_give_another_meaning_keep_the_entry() {
    use TargetClass::Small;
    // data16: branches and immediates would be 16 bits wide.
    keeps(PLAIN, NEAR, -4, "66 ff 15 00000000");
    keeps(PLAIN, NEAR, -4, "66 ff 25 00000000");
    keeps(PLAIN, Small, -4, "66 8b 05 00000000");
    keeps(PLAIN, Small, -4, "66 85 05 00000000");
    keeps(PLAIN, Small, -4, "2e 66 03 05 00000000");
    keeps(REX, NEAR_LOW, -4, "66 44 3b 05 00000000");
    keeps(REX2, Small, -4, "66 d5 40 8b 0d 00000000");
    // addr32, %fs and %gs belong to an address, which a lea or an immediate has none of.
    keeps(REX, NEAR, -4, "67 48 8b 05 00000000");
    keeps(REX, NEAR, -4, "64 48 8b 05 00000000");
    keeps(PLAIN, Small, -4, "65 8b 05 00000000");
    // A REX prefix that was written as an instruction of its own: its R bit would have to move.
    keeps(PLAIN, Small, -4, "4c 8b 05 00000000");
    keeps(PLAIN, Small, -4, "66 48 85 05 00000000");
    // With REX.W, data16 says nothing.
    let before = "66 48 8b 05 00000000";
    check(REX, NEAR, 0x10_1008, before, "66 48 8d 05 00100000");
    check(REX, Small, 9, before, "66 48 c7 c0 09000000");
    check(
        REX2,
        Small,
        7,
        "66 d5 48 85 0d 00000000",
        "66 d5 18 f7 c1 07000000",
    );
}

#[test]
fn small_values_become_immediates() {
    use TargetClass::{Null, Small};
    // mov x@GOTPCREL(%rip), %rax → mov $0x1234, %rax
    check(REX, Small, 0x1234, "48 8b 05 00000000", "48 c7 c0 34120000");
    // mov …, %r9: REX.R moves to REX.B
    check(REX, Null, 0, "4c 8b 0d 00000000", "49 c7 c1 00000000");
    check(PLAIN, Null, 0, "8b 1d 00000000", "c7 c3 00000000");
    // test %rbx, x@GOTPCREL(%rip) → test $x, %rbx
    check(
        REX,
        NEAR_LOW,
        0x40_0000,
        "48 85 1d 00000000",
        "48 f7 c3 00004000",
    );
    check(REX, Null, 0, "4c 85 05 00000000", "49 f7 c0 00000000");
    // sub x@GOTPCREL(%rip), %rdx → sub $x, %rdx; cmp …, %r10
    check(
        REX,
        Small,
        -2i64 as u64,
        "48 2b 15 00000000",
        "48 81 ea feffffff",
    );
    check(REX, Small, 5, "4c 3b 15 00000000", "49 81 fa 05000000");
    check(PLAIN, Small, 5, "03 0d 00000000", "81 c1 05000000");
    // mov x@GOTPCREL(%rip), %r25: R4 and R3 move to B4 and B3
    check(
        REX2,
        Small,
        7,
        "d5 4c 8b 0d 00000000",
        "d5 19 c7 c1 07000000",
    );
    check(
        REX2,
        Small,
        7,
        "d5 48 85 0d 00000000",
        "d5 18 f7 c1 07000000",
    );
    check(
        REX2,
        Small,
        7,
        "d5 48 23 0d 00000000",
        "d5 18 81 e1 07000000",
    );
}

#[test]
fn what_is_not_provable_keeps_its_entry() {
    use TargetClass::{Far, Small};
    keeps(REX, Far, -4, "48 8b 05 00000000");
    keeps(PLAIN, Far, -4, "ff 15 00000000");
    // A test or an addition needs the value itself, which is not known to fit.
    keeps(REX, NEAR, -4, "48 85 1d 00000000");
    keeps(REX, NEAR, -4, "48 03 1d 00000000");
    // Nothing calls a small value directly.
    keeps(PLAIN, Small, -4, "ff 15 00000000");
    // An addend that does not end the instruction, an operand that is not RIP-relative, an
    // instruction nobody promised, and a missing prefix.
    keeps(REX, NEAR, -8, "48 8b 05 00000000");
    keeps(REX, NEAR, -4, "48 8b 80 00000000");
    keeps(REX, NEAR, -4, "48 89 05 00000000");
    keeps(REX, NEAR, -4, "90 8b 05 00000000");
    keeps(REX2, NEAR, -4, "d5 cc 8b 05 00000000");
    keeps(
        Kind::GotDelta32Code6Relaxable,
        NEAR,
        -4,
        "62 f4 fc 18 03 05 00000000",
    );
    keeps(REX, NEAR, -4, "00000000");
    keeps(Kind::GotDelta32, NEAR, -4, "48 8b 05 00000000");
}

#[test]
fn a_far_immediate_is_refused_at_fixup() {
    let code = hex("48 8b 05 00000000");
    let s = 1 << 31;
    let result = fixed(&code, 3, Kind::GotLoadToImmediateRex, s, -4);
    let error = FixupError::OutOfRange {
        value: 1 << 31,
        bits: 32,
    };
    assert_eq!(result, Err(error));
}

#[test]
fn undefined_weak_symbols_are_null_without_a_got() {
    // lea x(%rip), %r12 → mov $0, %r12
    let null = TargetClass::Null;
    check(
        Kind::Delta32,
        null,
        0,
        "4c 8d 25 00000000",
        "49 c7 c4 00000000",
    );
    // cmpb $0, x(%rip): guarded by a test of the address, never executed
    let code = hex("80 3d 00000000 00");
    let guarded = lowered(&code, edge(2, Kind::Delta32, -5), None, null);
    assert_eq!(guarded, Ok(Lowered::direct(Kind::UnreachedNull)));
    let call = lowered(&hex("e8 00000000"), edge(1, Kind::Branch32, -4), None, null);
    assert_eq!(call, Ok(Lowered::via(Kind::Delta32, Via::Stub)));
}

#[test]
fn numbers_are_called_through_stubs() {
    use TargetClass::{Far, Small};
    let one = |code: &str, kind, addend, class| {
        let code = hex(code);
        lowered(
            &code,
            edge(code.len() as u32 - 4, kind, addend),
            None,
            class,
        )
    };
    let via = |via| Ok(Lowered::via(Kind::Delta32, via));
    for kind in [Kind::Delta32, Kind::Branch32] {
        for code in ["e8 00000000", "e9 00000000", "0f 85 00000000"] {
            for class in [Small, Far] {
                assert_eq!(one(code, kind, -4, class), via(Via::Stub));
                assert_eq!(one(code, kind, 0x1000, class), via(Via::BranchStub));
            }
            assert_eq!(one(code, kind, 0x1000, NEAR), via(Via::Direct));
        }
    }
    // lea abs+12(%rip), %rax → mov $abs+12, %rax
    let lea = one("48 8d 05 00000000", Kind::Delta32, 8, Small);
    assert_eq!(lea, Ok(Lowered::direct(Kind::LeaToImmediate)));
    // A table of distances is data, whatever the bytes in front look like; its addends stay its own.
    let code = hex("e8 00000000");
    let distance = edge(1, Kind::Branch32, 8);
    let place = Place {
        content: &code,
        next: None,
        in_text: false,
    };
    let lowered = lower(&distance, Kind::Branch32, Far, &place);
    assert_eq!(lowered, via(Via::Stub));
}

#[test]
fn only_what_cannot_be_rewritten_needs_low_code() {
    use crate::cpu::x86_64::lower::needs_low_code;
    let needs = |code: &str, kind, in_text| {
        let code = hex(code);
        let place = Place {
            content: &code,
            next: None,
            in_text,
        };
        needs_low_code(&edge(code.len() as u32 - 4, kind, -4), &place)
    };
    let delta = Kind::Delta32;
    assert!(needs("8b 05 00000000", delta, true));
    assert!(needs("80 3d 00000000", delta, true));
    assert!(!needs("48 8d 05 00000000", delta, true));
    assert!(!needs("e8 00000000", delta, true));
    assert!(!needs("0f 8f 00000000", delta, true));
    assert!(needs("e8 00000000", delta, false));
    assert!(!needs("e8 00000000", Kind::Branch32, true));
    assert!(!needs("00000000", Kind::Delta64, false));
}

#[test]
fn branches_and_tables() {
    use TargetClass::{Far, ThreadLocal};
    let one = |kind, class| lowered(&[0; 16], edge(4, kind, 0), None, class);
    let via = |kind, via| Ok(Lowered::via(kind, via));
    assert_eq!(one(Kind::Branch32, NEAR), via(Kind::Delta32, Via::Direct));
    assert_eq!(one(Kind::Branch32, Far), via(Kind::Delta32, Via::Stub));
    assert!(one(Kind::Branch32, ThreadLocal).is_err());
    assert_eq!(
        one(Kind::PltOffset64, Far),
        via(Kind::DeltaFromGot64, Via::Direct)
    );
    assert_eq!(
        one(Kind::GotOffset32, Far),
        via(Kind::DeltaFromGot32, Via::Got)
    );
    assert_eq!(
        one(Kind::GotOffset64, NEAR),
        via(Kind::DeltaFromGot64, Via::Got)
    );
    assert_eq!(
        one(Kind::GotPltOffset64, NEAR),
        via(Kind::DeltaFromGot64, Via::Got)
    );
    assert_eq!(one(Kind::GotDelta64, NEAR), via(Kind::Delta64, Via::Got));
    assert_eq!(one(Kind::Size32, Far), via(Kind::Pointer32, Via::Size));
    assert_eq!(one(Kind::Size64, Far), via(Kind::Pointer64, Via::Size));
}

#[test]
fn the_short_way_agrees_with_the_long_one() {
    for &kind in Kind::ALL {
        let Some(near) = crate::cpu::x86_64::lower::close(kind) else {
            continue;
        };
        for class in [NEAR, NEAR_LOW] {
            let lowered = lowered(&[0; 16], edge(8, kind, -4), None, class);
            assert_eq!(lowered, Ok(Lowered::direct(near)), "{}", kind.name());
        }
    }
}
