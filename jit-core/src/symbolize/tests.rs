use std::sync::Arc;

use orc_shared::{ExecutorAddr, ExecutorAddrRange};

use super::*;
use crate::batch::DylibId;

fn part(offsets: &[u32]) -> PlacedPart {
    PlacedPart {
        object: None,
        describe: None,
        offsets: offsets.into(),
    }
}

fn group(base: u64, parts: &[&[u32]]) -> PlacedGroup {
    PlacedGroup {
        dylib: DylibId(0),
        base: ExecutorAddr::new(base),
        parts: parts.iter().map(|offsets| part(offsets)).collect(),
    }
}

fn range(start: u64, end: u64) -> ExecutorAddrRange {
    ExecutorAddrRange {
        start: ExecutorAddr::new(start),
        end: ExecutorAddr::new(end),
    }
}

#[test]
fn the_block_at_an_address_is_the_last_that_starts_before_it() {
    let group = group(0x1000, &[&[0x10, NOT_PLACED, 0x40], &[0x20]]);
    let at = |addr| group.block_at(ExecutorAddr::new(addr));
    assert_eq!(at(0x100f), None);
    assert_eq!(at(0x1010), Some((0, BlockId(0), 0)));
    assert_eq!(at(0x1025), Some((1, BlockId(0), 5)));
    assert_eq!(at(0x9000), Some((0, BlockId(2), 0x7fc0)));
    assert_eq!(at(0xfff), None);
    let place = |part, block| group.address_of(part, BlockId(block));
    assert_eq!(place(0, 2), Some(ExecutorAddr::new(0x1040)));
    assert_eq!(place(0, 1), None);
    assert_eq!(place(0, 3), None);
    assert_eq!(place(2, 0), None);
}

#[test]
fn entries_go_with_what_they_are_tied_to() {
    let code = Arc::new(PlacedCode::default());
    let find = |addr| code.find(ExecutorAddr::new(addr)).map(|group| group.base);
    let segments = [
        range(0x1000, 0x1100),
        range(0x3000, 0x3010),
        range(0x5000, 0x5000),
    ];
    let placed = code.enter(group(0x1000, &[]), &segments);
    let base = Some(ExecutorAddr::new(0x1000));
    for inside in [0x1000, 0x10ff, 0x3000, 0x300f] {
        assert_eq!(find(inside), base, "{inside:#x}");
    }
    for outside in [0, 0xfff, 0x1100, 0x2000, 0x3010, 0x5000] {
        assert_eq!(find(outside), None, "{outside:#x}");
    }
    drop(placed);
    assert_eq!(find(0x1000), None);
    assert_eq!(find(0x3000), None);
}

#[test]
fn memory_that_another_group_got_keeps_its_entry() {
    let code = Arc::new(PlacedCode::default());
    let old = code.enter(group(0x1000, &[]), &[range(0x1000, 0x2000)]);
    let new = code.enter(group(0x1800, &[]), &[range(0x1000, 0x1900)]);
    drop(old);
    let found = code.find(ExecutorAddr::new(0x1000)).expect("the new one");
    assert_eq!(found.base, ExecutorAddr::new(0x1800));
    drop(new);
    assert!(code.find(ExecutorAddr::new(0x1000)).is_none());
}

fn frame(function: &str, line: u32) -> SourceFrame {
    SourceFrame {
        function: Some(function.to_owned()),
        file: Some("a.c".to_owned()),
        line: Some(line),
        column: None,
    }
}

#[test]
fn a_location_reads_as_people_write_it() {
    let mut location = Location {
        address: ExecutorAddr::new(0x101c),
        image: Image::Linked {
            object: "libx.a(a.o)".to_owned(),
            section: ".text.outer".to_owned(),
            dylib: "app".to_owned(),
        },
        symbol: Some(SymbolPlace {
            name: "outer(int)".to_owned(),
            raw_name: b"_Z5outeri".to_vec(),
            offset: 0x1c,
            size: 0x40,
        }),
        frames: vec![frame("inner", 3), frame("outer(int)", 9)],
    };
    assert_eq!(
        location.to_string(),
        "inner at a.c:3, inlined into outer(int)+0x1c in libx.a(a.o) (app) at a.c:9"
    );
    assert_eq!(
        location.lines(),
        [
            "inner (inlined) at a.c:3",
            "outer(int)+0x1c in libx.a(a.o) (app) at a.c:9"
        ]
    );
    location.frames.clear();
    location.symbol = None;
    assert_eq!(
        location.to_string(),
        "libx.a(a.o), section .text.outer (app)"
    );
    location.image = Image::Native {
        path: "/lib/libc.so.6".to_owned(),
        file_addr: 0x1234,
    };
    assert_eq!(location.to_string(), "/lib/libc.so.6+0x1234");
}
