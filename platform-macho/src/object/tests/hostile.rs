//! Damaged objects are errors.

use object::macho;

use crate::object::fuzz_object;
use crate::test_object::{GLOBAL, LOCAL, Rel, TestSection, UNDEFINED, code, data, object};

/// An object with something of everything.
fn rich() -> Vec<u8> {
    let rel = |at, symbol, kind, length, pcrel, external| Rel {
        at,
        symbol,
        pcrel,
        length,
        external,
        kind,
    };
    let unsigned = macho::X86_64_RELOC_UNSIGNED;
    // An entry for the function at 16.
    let mut entry = [0; 32];
    entry[0] = 16;
    let sections = vec![
        code(
            &[0x90; 32],
            &[
                rel(20, 1, macho::X86_64_RELOC_BRANCH, 2, true, true),
                rel(4, 2, macho::X86_64_RELOC_SIGNED_1, 2, true, false),
            ],
        ),
        data(
            &[0; 32],
            &[
                rel(8, 0, macho::X86_64_RELOC_SUBTRACTOR, 3, false, true),
                rel(8, 1, unsigned, 3, false, true),
                rel(0, 1, unsigned, 3, false, false),
            ],
        ),
        TestSection {
            name: "__thread_data",
            flags: macho::S_THREAD_LOCAL_REGULAR.to_flags(),
            ..data(&[1, 2, 3, 4], &[])
        },
        TestSection {
            name: "__thread_vars",
            flags: macho::S_THREAD_LOCAL_VARIABLES.to_flags(),
            ..data(
                &[0; 24],
                &[
                    rel(0, 4, unsigned, 3, false, true),
                    rel(16, 3, unsigned, 3, false, false),
                ],
            )
        },
        TestSection {
            segment: "__TEXT",
            name: "__eh_frame",
            align: 7,
            ..data(&crate::eh_frame::tests::FRAMES, &[])
        },
        TestSection {
            segment: "__LD",
            name: "__compact_unwind",
            ..data(&entry, &[rel(0, 1, unsigned, 3, false, false)])
        },
    ];
    let symbols = [
        ("_f", GLOBAL, 1, 0, 0),
        ("_g", GLOBAL, 1, 0x80, 16),
        ("_v", LOCAL, 2, 0, 32),
        ("_c", UNDEFINED, 0, 0x300, 8),
        ("__tlv_bootstrap", UNDEFINED, 0, 0, 0),
    ];
    object(sections, &symbols).bytes()
}

#[test]
fn the_object_itself_is_right() {
    let object = crate::test_object::read(rich()).expect("an object");
    let graph = jit_core::object::ObjectFile::build_graph(&object, &Default::default());
    let graph = graph.expect("a graph");
    assert_eq!(
        graph.frames.len(),
        3,
        "two functions, and the one that is added"
    );
}

#[test]
fn prefixes_never_panic() {
    let whole = rich();
    for length in 0..whole.len() {
        fuzz_object(&whole[..length]);
    }
}

#[test]
fn changed_bytes_never_panic() {
    let whole = rich();
    for at in 0..whole.len() {
        for value in [
            0,
            1,
            0x7f,
            0x80,
            0xff,
            whole[at] ^ 1,
            whole[at].wrapping_add(8),
        ] {
            let mut changed = whole.clone();
            changed[at] = value;
            fuzz_object(&changed);
        }
    }
}
