//! What requests become, and the instructions that rewrites leave.

use super::super::Kind;
use super::super::fixup::fixup;
use super::super::lower::{close, lower};
use crate::cpu::{Kinds, Lowered, Place, Refusal, TargetClass, Terms, Via};
use crate::graph::{Edge, SymbolId};

const CLOSE: TargetClass = TargetClass::Near {
    low: false,
    close: true,
};
const NEAR: TargetClass = TargetClass::Near {
    low: false,
    close: false,
};
const NEAR_LOW: TargetClass = TargetClass::Near {
    low: true,
    close: false,
};

const NOP: u32 = 0xd503_201f;

fn edge(offset: u32, kind: Kind) -> Edge {
    Edge {
        offset,
        target: SymbolId(0),
        addend: 0,
        kind: kind.edge(),
    }
}

fn code(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn words(code: &[u8]) -> Vec<u32> {
    let words = code.chunks_exact(4);
    words
        .map(|word| u32::from_le_bytes(word.try_into().unwrap()))
        .collect()
}

/// Lowers the `at`-th of `edges` in `content`.
fn lowered(
    content: &[u8],
    edges: &[(u32, Kind)],
    at: usize,
    class: TargetClass,
) -> Result<Lowered<Kind>, Refusal> {
    let edges: Vec<Edge> = edges.iter().map(|&(o, k)| edge(o, k)).collect();
    let place = Place {
        content,
        next: edges.get(at + 1),
        in_text: true,
    };
    let kind = Kind::from_edge(edges[at].kind).unwrap();
    lower(&edges[at], kind, class, &place)
}

/// Lowers all edges against a thread-local variable at `offset` and writes what they become.
fn run(instructions: &[u32], edges: &[(u32, Kind)], offset: u64) -> Vec<u32> {
    let content = code(instructions);
    let mut block = content.clone();
    let mut at = 0;
    while at < edges.len() {
        let lowered = lowered(&content, edges, at, TargetClass::ThreadLocal).unwrap();
        let terms = Terms {
            s: offset,
            a: 0,
            p: 0,
            got: 0,
        };
        assert_eq!(lowered.via, Via::Direct);
        fixup(lowered.kind, &mut block, edges[at].0, terms).unwrap();
        at += if lowered.drop_next { 2 } else { 1 };
    }
    words(&block)
}

#[test]
fn branches_to_what_may_be_too_far_go_through_stubs() {
    let bl = code(&[0x9400_0000]);
    let of = |class| lowered(&bl, &[(0, Kind::Branch26)], 0, class).unwrap();
    assert_eq!(of(CLOSE), Lowered::direct(Kind::Delta26));
    assert_eq!(close(Kind::Branch26), Some(Kind::Delta26));
    for class in [NEAR, NEAR_LOW, TargetClass::Far] {
        assert_eq!(of(class), Lowered::via(Kind::Delta26, Via::Stub));
    }
    assert_eq!(of(TargetClass::Null), Lowered::direct(Kind::BranchToNop));
    assert!(lowered(&bl, &[(0, Kind::Branch26)], 0, TargetClass::ThreadLocal).is_err());
}

#[test]
fn a_load_from_the_got_next_to_its_page_becomes_an_address() {
    // adrp x3, :got:x; ldr x3, [x3, :got_lo12:x]
    let pair = code(&[0x9000_0003, 0xf940_0063]);
    let edges = [(0, Kind::GotPage21), (4, Kind::GotLow12)];
    let page = lowered(&pair, &edges, 0, NEAR).unwrap();
    let low = lowered(&pair, &edges, 1, NEAR).unwrap();
    assert_eq!(page, Lowered::direct(Kind::Page21));
    assert_eq!(low, Lowered::direct(Kind::GotLoadToAdd));
    let mut block = pair.clone();
    let terms = Terms {
        s: 0x1234,
        a: 0,
        p: 4,
        got: 0,
    };
    fixup(low.kind, &mut block, 4, terms).unwrap();
    assert_eq!(words(&block)[1], 0x9108_d063, "add x3, x3, #0x234");
}

#[test]
fn other_loads_from_the_got_stay() {
    let edges = [(0, Kind::GotPage21), (4, Kind::GotLow12)];
    // adrp x3; ldr x4, [x5]: the page is for another load.
    let apart = code(&[0x9000_0003, 0xf940_00a4]);
    // adrp x3; ldr w4, [x3]: no load of an address.
    let short = code(&[0x9000_0003, 0xb940_0064]);
    // adrp x3; ldr x4, [x3]: the page may be for another load, too.
    let page_kept = code(&[0x9000_0003, 0xf940_0064]);
    for content in [&apart, &short, &page_kept] {
        for at in [0, 1] {
            let kept = lowered(content, &edges, at, NEAR).unwrap();
            assert_eq!(kept.via, Via::Got);
        }
    }
    let pair = code(&[0x9000_0003, 0xf940_0063]);
    for class in [TargetClass::Far, TargetClass::Null, TargetClass::Small] {
        assert_eq!(lowered(&pair, &edges, 0, class).unwrap().via, Via::Got);
        assert_eq!(lowered(&pair, &edges, 1, class).unwrap().via, Via::Got);
    }
}

#[test]
fn descriptors_become_local_exec() {
    let sequence = [
        0x9000_0000, // adrp x0, :tlsdesc:x
        0xf940_0001, // ldr x1, [x0, :tlsdesc_lo12:x]
        0x9100_0000, // add x0, x0, :tlsdesc_lo12:x
        0xd63f_0020, // blr x1
    ];
    let edges = [
        (0, Kind::TlsDescriptorPage21),
        (4, Kind::TlsDescriptorLoad),
        (8, Kind::TlsDescriptorAdd),
        (12, Kind::TlsDescriptorCall),
    ];
    // movz x0, #0x12, lsl #16; movk x0, #0x3458; nop; nop
    let expected = [0xd2a0_0240, 0xf286_8b00, NOP, NOP];
    assert_eq!(run(&sequence, &edges, 0x12_3458), expected);
}

#[test]
fn general_dynamic_becomes_local_exec() {
    let sequence = [
        0x9000_0000, // adrp x0, :tlsgd:x
        0x9100_0000, // add x0, x0, :tlsgd_lo12:x
        0x9400_0000, // bl __tls_get_addr
        NOP,
    ];
    let edges = [
        (0, Kind::TlsPairPage21),
        (4, Kind::TlsPairLow12),
        (8, Kind::Branch26),
    ];
    // movz x0, #0, lsl #16; movk x0, #0x1458; mrs x1, tpidr_el0; add x0, x1, x0
    let expected = [0xd2a0_0000, 0xf282_8b00, 0xd53b_d041, 0x8b00_0020];
    assert_eq!(run(&sequence, &edges, 0x1458), expected);
    let native = lowered(&code(&sequence), &edges, 1, TargetClass::NativeThreadLocal);
    assert_eq!(native, Ok(Lowered::via(Kind::AddLow12, Via::GotTlsPair)));
}

#[test]
fn local_dynamic_becomes_the_thread_pointer() {
    let sequence = [0x9000_0000, 0x9100_0000, 0x9400_0000, NOP];
    let edges = [
        (0, Kind::TlsModulePage21),
        (4, Kind::TlsModuleLow12),
        (8, Kind::Branch26),
    ];
    // mrs x0, tpidr_el0; nop; nop; nop
    assert_eq!(run(&sequence, &edges, 0), [0xd53b_d040, NOP, NOP, NOP]);
}

#[test]
fn initial_exec_into_one_register_becomes_local_exec() {
    let edges = [(0, Kind::TlsOffsetPage21), (4, Kind::TlsOffsetLow12)];
    // adrp x2; ldr x2, [x2] → movz x2, #1, lsl #16; movk x2, #0x10
    let same = [0x9000_0002, 0xf940_0042];
    assert_eq!(run(&same, &edges, 0x1_0010), [0xd2a0_0022, 0xf280_0202]);
    // adrp x2; ldr x3, [x2]: the page may be used again.
    let other = code(&[0x9000_0002, 0xf940_0043]);
    for at in [0, 1] {
        let kept = lowered(&other, &edges, at, TargetClass::ThreadLocal).unwrap();
        assert_eq!(kept.via, Via::GotTpOffset);
    }
}

#[test]
fn descriptors_of_the_tiny_model_become_local_exec() {
    let sequence = [
        0x5800_0001, // ldr x1, :tlsdesc:x
        0x1000_0000, // adr x0, :tlsdesc:x
        0xd63f_0020, // blr x1
    ];
    let edges = [
        (0, Kind::TlsDescriptorLiteral19),
        (4, Kind::TlsDescriptorAdr21),
        (8, Kind::TlsDescriptorCall),
    ];
    // movz x0, #0x12, lsl #16; movk x0, #0x3458; nop
    let expected = [0xd2a0_0240, 0xf286_8b00, NOP];
    assert_eq!(run(&sequence, &edges, 0x12_3458), expected);
    // In another order, or with other registers, the halves would not meet.
    let edges = [
        (0, Kind::TlsDescriptorAdr21),
        (4, Kind::TlsDescriptorLiteral19),
    ];
    for others in [[0x1000_0000, 0x5800_0001], [0x5800_0002, 0x1000_0000]] {
        for at in [0, 1] {
            assert!(lowered(&code(&others), &edges, at, TargetClass::ThreadLocal).is_err());
        }
    }
}

#[test]
fn general_dynamic_of_the_tiny_model_becomes_local_exec() {
    let sequence = [
        0x1000_0000, // adr x0, :tlsgd:x
        0x9400_0000, // bl __tls_get_addr
        NOP,
    ];
    let edges = [(0, Kind::TlsPairAdr21), (4, Kind::Branch26)];
    // mrs x1, tpidr_el0; add x0, x1, #0x123, lsl #12; add x0, x0, #0x458
    let expected = [0xd53b_d041, 0x9144_8c20, 0x9111_6000];
    assert_eq!(run(&sequence, &edges, 0x12_3458), expected);
    let native = lowered(&code(&sequence), &edges, 0, TargetClass::NativeThreadLocal);
    assert_eq!(native, Ok(Lowered::via(Kind::Adr21, Via::GotTlsPair)));
    let without_nop = code(&[0x1000_0000, 0x9400_0000, 0xd65f_03c0]);
    assert!(lowered(&without_nop, &edges, 0, TargetClass::ThreadLocal).is_err());
}

#[test]
fn local_dynamic_of_the_tiny_model_becomes_the_thread_pointer() {
    let sequence = [0x1000_0000, 0x9400_0000, 0x9100_0400];
    let edges = [(0, Kind::TlsModuleAdr21), (4, Kind::Branch26)];
    // mrs x0, tpidr_el0; nop; what follows stays
    assert_eq!(run(&sequence, &edges, 0), [0xd53b_d040, NOP, 0x9100_0400]);
    let other = code(&[0x1000_0001, 0x9400_0000]);
    assert!(lowered(&other, &edges, 0, TargetClass::ThreadLocal).is_err());
}

#[test]
fn thread_local_accesses_to_other_symbols_are_refused() {
    let code = code(&[0x9100_0000]);
    for kind in [Kind::TpHigh12, Kind::TlsDescriptorAdd, Kind::TlsOffsetLow12] {
        assert!(lowered(&code, &[(0, kind)], 0, NEAR).is_err());
    }
}

#[test]
fn undefined_weak_symbols_are_zero() {
    // adrp x7, x → movz x7, #0
    let mut block = code(&[0x9000_0007]);
    let kind = lowered(&block, &[(0, Kind::Page21)], 0, TargetClass::Null).unwrap();
    assert_eq!(kind, Lowered::direct(Kind::AddressToZero));
    let terms = Terms {
        s: 0,
        a: 0,
        p: 1 << 40,
        got: 0,
    };
    fixup(kind.kind, &mut block, 0, terms).unwrap();
    assert_eq!(words(&block), [0xd280_0007]);
}
