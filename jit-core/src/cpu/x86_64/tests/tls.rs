use super::*;
use crate::cpu::Via;

/// A variable at -0x40 from the thread pointer.
const VARIABLE: u64 = -0x40i64 as u64;
const LOCAL: TargetClass = TargetClass::ThreadLocal;

/// Rewrites a sequence: an edge, the call's edge if there is one, and the bytes before and after.
#[track_caller]
fn check(first: (u32, Kind), call: Option<(u32, Kind)>, before: &str, after: &str) {
    let code = hex(before);
    let next = call.map(|(offset, kind)| edge(offset, kind, -4));
    let lowered = lowered(&code, edge(first.0, first.1, -4), next, LOCAL).expect("lowered");
    assert_eq!(lowered.via, Via::Direct);
    assert_eq!(lowered.drop_next, call.is_some());
    let bytes = fixed(&code, first.0, lowered.kind, VARIABLE, -4).expect("fixed up");
    assert_eq!(bytes, hex(after), "became {bytes:02x?}");
}

#[test]
fn general_dynamic_becomes_local_exec() {
    let after = "64 48 8b 04 25 00000000  48 8d 80 c0ffffff";
    check(
        (4, Kind::TlsGeneralDynamic),
        Some((12, Kind::Branch32)),
        "66 48 8d 3d 00000000  66 66 48 e8 00000000",
        after,
    );
    check(
        (4, Kind::TlsGeneralDynamic),
        Some((12, Kind::GotDelta32Relaxable)),
        "66 48 8d 3d 00000000  66 48 ff 15 00000000",
        after,
    );
    for add in ["48 01 d8", "4c 01 f8"] {
        check(
            (3, Kind::TlsGeneralDynamic),
            Some((9, Kind::PltOffset64)),
            &format!("48 8d 3d 00000000  48 b8 0000000000000000  {add}  ff d0"),
            "64 48 8b 04 25 00000000  48 8d 80 c0ffffff  66 0f 1f 44 00 00",
        );
    }
}

#[test]
fn local_dynamic_becomes_the_thread_pointer() {
    check(
        (3, Kind::TlsLocalDynamic),
        Some((8, Kind::Branch32)),
        "48 8d 3d 00000000  e8 00000000",
        "66 66 66  64 48 8b 04 25 00000000",
    );
    check(
        (3, Kind::TlsLocalDynamic),
        Some((9, Kind::GotDelta32Relaxable)),
        "48 8d 3d 00000000  ff 15 00000000",
        "66 66 66 66  64 48 8b 04 25 00000000",
    );
    check(
        (3, Kind::TlsLocalDynamic),
        Some((9, Kind::PltOffset64)),
        "48 8d 3d 00000000  48 b8 0000000000000000  48 01 d8  ff d0",
        "66 66 66 66 2e 0f 1f 84 0000000000  64 48 8b 04 25 00000000",
    );
}

#[test]
fn initial_exec_becomes_local_exec() {
    // With REX.W, a data16 in front says nothing.
    check(
        (4, Kind::TlsInitialExec),
        None,
        "66 48 8b 05 00000000",
        "66 48 c7 c0 c0ffffff",
    );
    // mov x@gottpoff(%rip), %rax → mov $x@tpoff, %rax; the same for %r11
    let one = |kind, before, after| check((3, kind), None, before, after);
    let kind = Kind::TlsInitialExec;
    one(kind, "48 8b 05 00000000", "48 c7 c0 c0ffffff");
    one(kind, "4c 8b 1d 00000000", "49 c7 c3 c0ffffff");
    // add x@gottpoff(%rip), %rcx → add $x@tpoff, %rcx; the same for %rsp and %r12
    one(kind, "48 03 0d 00000000", "48 81 c1 c0ffffff");
    one(kind, "48 03 25 00000000", "48 81 c4 c0ffffff");
    one(kind, "4c 03 25 00000000", "49 81 c4 c0ffffff");
    let code4 = Kind::TlsInitialExecCode4;
    check(
        (4, code4),
        None,
        "d5 48 8b 0d 00000000",
        "d5 18 c7 c1 c0ffffff",
    );
    check(
        (4, code4),
        None,
        "d5 4c 03 0d 00000000",
        "d5 19 81 c1 c0ffffff",
    );
}

#[test]
fn other_initial_exec_instructions_keep_an_entry() {
    let kept = Ok(Lowered::via(Kind::Delta32, Via::GotTpOffset));
    let one = |kind, offset, code: &str, addend| {
        lowered(&hex(code), edge(offset, kind, addend), None, LOCAL)
    };
    // cmp, an EVEX add of three operands, and an addend that selects another word
    assert_eq!(one(Kind::TlsInitialExec, 3, "48 3b 05 00000000", -4), kept);
    let evex = "62 f4 fc 18 03 05 00000000";
    assert_eq!(one(Kind::TlsInitialExecCode6, 6, evex, -4), kept);
    assert_eq!(one(Kind::TlsInitialExec, 3, "48 8b 05 00000000", 4), kept);
    // No REX.W: what looks like a prefix may be the end of the instruction before.
    assert_eq!(one(Kind::TlsInitialExec, 3, "44 8b 05 00000000", -4), kept);
    assert_eq!(
        one(Kind::TlsInitialExec, 4, "67 48 8b 05 00000000", -4),
        kept
    );
    assert_eq!(
        one(Kind::TlsInitialExec, 4, "64 48 03 05 00000000", -4),
        kept
    );
}

#[test]
fn descriptors_become_local_exec() {
    let kind = Kind::TlsDescriptor;
    check((3, kind), None, "48 8d 05 00000000", "48 c7 c0 c0ffffff");
    check((3, kind), None, "4c 8d 15 00000000", "49 c7 c2 c0ffffff");
    let code4 = Kind::TlsDescriptorCode4;
    check(
        (4, code4),
        None,
        "d5 48 8d 05 00000000",
        "d5 18 c7 c0 c0ffffff",
    );
    check((0, Kind::TlsDescriptorCall), None, "ff 10", "66 90");
}

#[test]
fn unknown_sequences_are_refused() {
    let refused = |kind, offset, code: &str, call: Option<(u32, Kind)>| {
        let next = call.map(|(offset, kind)| edge(offset, kind, -4));
        let result = lowered(&hex(code), edge(offset, kind, -4), next, LOCAL);
        assert!(result.is_err(), "{code} became {result:?}");
    };
    let gd = Kind::TlsGeneralDynamic;
    // No prefix; no call; a call elsewhere; a truncated call; the wrong opcode.
    refused(
        gd,
        3,
        "48 8d 3d 00000000 e8 00000000",
        Some((8, Kind::Branch32)),
    );
    let good = "66 48 8d 3d 00000000 66 66 48 e8 00000000";
    refused(gd, 4, good, None);
    refused(gd, 4, good, Some((13, Kind::Branch32)));
    refused(
        gd,
        4,
        "66 48 8d 3d 00000000 66 66 48 e8 0000",
        Some((12, Kind::Branch32)),
    );
    refused(
        gd,
        4,
        "66 48 8d 3d 00000000 66 66 48 e9 00000000",
        Some((12, Kind::Branch32)),
    );
    let ld = Kind::TlsLocalDynamic;
    refused(
        ld,
        3,
        "48 8d 3d 00000000 90 e8 00000000",
        Some((9, Kind::Branch32)),
    );
    refused(ld, 3, "48 8d 3d 00000000", None);
    refused(Kind::TlsDescriptor, 3, "48 8b 05 00000000", None);
    refused(Kind::TlsDescriptor, 3, "44 8d 05 00000000", None);
    refused(
        Kind::TlsDescriptorCode6,
        6,
        "62 f4 fc 18 8d 05 00000000",
        None,
    );
    refused(Kind::TlsDescriptorCall, 0, "ff 13", None);
}

#[test]
fn only_thread_locals_have_offsets() {
    let one = |kind, class| lowered(&hex("48 8b 05 00000000"), edge(3, kind, -4), None, class);
    for class in [NEAR, TargetClass::Far, TargetClass::Small] {
        assert!(one(Kind::TlsInitialExec, class).is_err());
        assert!(one(Kind::TpOffset32, class).is_err());
        assert!(one(Kind::TlsGeneralDynamic, class).is_err());
    }
}

#[test]
fn a_librarys_variable_keeps_its_dynamic_call() {
    let code = hex("66 48 8d 3d 00000000  66 66 48 e8 00000000");
    let call = Some(edge(12, Kind::Branch32, -4));
    let native = TargetClass::NativeThreadLocal;
    let result = lowered(&code, edge(4, Kind::TlsGeneralDynamic, -4), call, native);
    assert_eq!(result, Ok(Lowered::via(Kind::Delta32, Via::GotTlsPair)));
    let code = hex("48 8b 05 00000000");
    let result = lowered(&code, edge(3, Kind::TlsInitialExec, -4), None, native);
    let local_exec = Kind::InitialExecMovToLocalExec;
    assert_eq!(result, Ok(Lowered::direct(local_exec)));
}
