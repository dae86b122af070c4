//! What allocations cost in mappings and pages, and what comes back.

use orc_shared::ExecutorAddr;
use orc_shared::api::{Placement, SegmentKind, SegmentRequest};

use super::code::*;
use crate::executor::memory::{Config, MemoryManager};

/// Bytes of `range` that have pages.
fn resident(range: orc_shared::ExecutorAddrRange) -> usize {
    let start = range.start.value() / 4096 * 4096;
    let size = (range.end.value() - start) as usize;
    let mut pages = vec![0_u8; size.div_ceil(4096)];
    // SAFETY: the range is mapped and there is a byte for each page.
    let status = unsafe { libc::mincore(start as *mut _, size, pages.as_mut_ptr()) };
    assert_eq!(status, 0);
    pages.iter().filter(|&&page| page & 1 == 1).count() * 4096
}

#[test]
fn a_hundred_thousand_allocations_make_a_handful_of_mappings() {
    let (manager, range) = manager(Config::default());
    let requests = [
        text(100),
        segment(SegmentKind::ReadOnly, 60, 60),
        segment(SegmentKind::ReadWrite, 8, 16),
    ];
    let mut linked = Vec::new();
    for _ in 0..100_000 {
        let in_flight = allocate(&manager, range, &requests);
        linked.push(in_flight.finalize(Vec::new(), None).unwrap());
    }
    let stats = manager.stats();
    assert_eq!(stats.total.segments, 300_000);
    assert!(stats.total.mappings < 40, "{stats:#?}");
    let used: u64 = stats.total.kinds.iter().map(|kind| kind.used).sum();
    let padding: u64 = stats.total.kinds.iter().map(|kind| kind.padding).sum();
    assert_eq!(used, 17_600_000);
    assert!(padding < used / 5, "{stats:#?}");
    for finalized in linked {
        finalized.release().unwrap();
    }
    let stats = manager.stats();
    assert_eq!(stats.total.segments, 0);
    assert!(
        stats
            .total
            .kinds
            .iter()
            .all(|kind| (kind.used, kind.padding) == (0, 0))
    );
}

#[test]
fn code_lies_below_its_data_whatever_was_there_before() {
    for size in [100, 70 << 10] {
        let (manager, range) = manager(Config::default());
        let mut places = Vec::new();
        let mut linked = Vec::new();
        for size in [size, 100] {
            let requests = [text(size), segment(SegmentKind::ReadWrite, 8, 16)];
            let in_flight = allocate(&manager, range, &requests);
            places.push((in_flight.addresses()[0], in_flight.addresses()[1]));
            linked.push(in_flight.finalize(Vec::new(), None).unwrap());
        }
        for (code, data) in places {
            assert!(code < data, "after {size} bytes: {code} and {data}");
        }
        for finalized in linked {
            finalized.release().unwrap();
        }
    }
}

#[test]
fn large_and_small_allocations_in_turn_make_a_handful_of_mappings() {
    let (manager, range) = manager(Config::default());
    let mut linked = Vec::new();
    for round in 0..1000 {
        let size = if round % 2 == 0 { 70 << 10 } else { 100 };
        let requests = [text(size), segment(SegmentKind::ReadOnly, size, size)];
        let mut in_flight = allocate(&manager, range, &requests);
        in_flight
            .working_memory()
            .iter_mut()
            .for_each(|memory| memory.fill(1));
        linked.push(in_flight.finalize(Vec::new(), None).unwrap());
    }
    // Pages of text and of read-only data alternate; those of one large allocation adjoin those of
    // the next.
    let stats = manager.stats();
    assert!(stats.total.mappings < 1100, "{stats:#?}");
}

#[test]
fn zeros_are_not_touched() {
    let (manager, range) = manager(Config::default());
    let bss = SegmentRequest {
        kind: SegmentKind::ReadWrite,
        content_size: 0,
        size: 100 << 20,
        align: 64,
    };
    let finalized = allocate(&manager, range, &[bss])
        .finalize(Vec::new(), None)
        .unwrap();
    assert_eq!(resident(finalized.ranges()[0]), 0);
    finalized.release().unwrap();
}

#[test]
fn released_memory_goes_back_to_the_system_and_is_zero_when_used_again() {
    let (manager, range) = manager(small_config());
    let kinds = [
        SegmentKind::Text,
        SegmentKind::ReadOnly,
        SegmentKind::ReadWrite,
    ];
    for size in [24, 5000, 300 << 10] {
        let _neighbour = allocate(&manager, range, &kinds.map(|kind| segment(kind, 24, 24)))
            .finalize(Vec::new(), None)
            .unwrap();
        let mut places = Vec::new();
        for content in [size, 0, size / 2] {
            let requests = kinds.map(|kind| segment(kind, content, size));
            let in_flight = manager
                .allocate_with_frames(range, &requests, Some(0))
                .unwrap();
            let mut in_flight = in_flight.unwrap();
            for memory in in_flight.working_memory() {
                assert!(memory.iter().all(|&byte| byte == 0));
                memory.fill(0xaa);
            }
            let finalized = in_flight.finalize(Vec::new(), None).unwrap();
            for place in finalized.ranges() {
                // SAFETY: the segment is mapped and readable.
                let bytes =
                    unsafe { std::slice::from_raw_parts(place.start.value() as *const u8, size) };
                assert!(bytes[..content].iter().all(|&byte| byte == 0xaa));
                assert!(bytes[content..].iter().all(|&byte| byte == 0));
            }
            places.push(finalized.ranges().to_vec());
            finalized.release().unwrap();
        }
        assert_eq!(places[0], places[1]);
        assert_eq!(places[1], places[2]);
        let left: usize = places[0].iter().map(|&place| resident(place)).sum();
        assert!(left <= 6 * 4096, "{left:#x} bytes of {size:#x} are left");
    }
}

#[test]
fn pages_of_small_allocations_go_back_once_all_of_them_are_released() {
    let (manager, range) = manager(small_config());
    let requests = [
        text(300),
        segment(SegmentKind::ReadOnly, 300, 300),
        segment(SegmentKind::ReadWrite, 300, 300),
    ];
    let mut linked: Vec<_> = (0..1000)
        .map(|_| {
            let mut in_flight = allocate(&manager, range, &requests);
            in_flight
                .working_memory()
                .iter_mut()
                .for_each(|memory| memory.fill(1));
            in_flight.finalize(Vec::new(), None).unwrap()
        })
        .collect();
    let places: Vec<_> = linked.iter().flat_map(|it| it.ranges().to_vec()).collect();
    let pages = || places.iter().map(|&place| resident(place)).sum::<usize>();
    assert!(pages() >= places.len() * 4096);
    // In an order that joins free space from both sides.
    for index in (0..linked.len()).rev().step_by(2) {
        linked.swap_remove(index).release().unwrap();
    }
    linked.into_iter().for_each(|it| it.release().unwrap());
    // The first and the last page of each kind also hold what was never used.
    assert!(pages() <= 3 * 2 * 14 * 4096, "{} bytes are left", pages());
}

#[test]
fn a_full_range_says_so_and_starts_over_when_empty() {
    let (manager, range) = manager(Config {
        range_size: 16 << 20,
        ..Config::default()
    });
    let mut linked = Vec::new();
    while let Some(in_flight) = manager.allocate(range, &[text(1 << 20)]).unwrap() {
        linked.push(in_flight.finalize(Vec::new(), None).unwrap());
    }
    assert!(linked.len() > 10);
    let data = segment(SegmentKind::ReadWrite, 0, 8 << 20);
    assert!(manager.allocate(range, &[data]).unwrap().is_none());
    linked.into_iter().for_each(|it| it.release().unwrap());
    let data = allocate(&manager, range, &[data])
        .finalize(Vec::new(), None)
        .unwrap();
    let (_callers, starts) = Callers::new(&manager, range, 3, thrower).finalize();
    assert_eq!(catch(starts[2]), 7);
    data.release().unwrap();
    let error = manager.allocate(range, &[text(17 << 20)]).unwrap();
    assert!(error.is_none(), "the range is in use");
}

#[test]
fn alignment_is_kept() {
    let (manager, range) = manager(small_config());
    for kind in [
        SegmentKind::Text,
        SegmentKind::ReadOnly,
        SegmentKind::ReadWrite,
    ] {
        for align in [1, 2, 64, 4096, 1 << 16, 1 << 21] {
            for size in [1, 4096, 100 << 10] {
                let request = SegmentRequest {
                    align,
                    ..segment(kind, size, size)
                };
                let in_flight = allocate(&manager, range, &[request]);
                assert_eq!(in_flight.addresses()[0].value() % align, 0);
            }
        }
    }
}

#[test]
fn ranges_lie_where_they_should_and_can_be_prepared() {
    isolated(|| {
        let manager = MemoryManager::new(Config::default());
        let library = crate::host::pages::an_address_in_a_library();
        assert_ne!(library, 0);
        let (_, near) = manager.open_range(Placement::NearLibraries, 0).unwrap();
        // The ranges of tests that run at the same time may fill the neighbourhood.
        let full = crate::host::pages::gap_near(library, 1 << 30, 1 << 31).is_none();
        assert!(
            full || near.start.value().abs_diff(library) < 1 << 31,
            "{near:?}, {library:#x}"
        );
        assert_eq!(near.size(), 1 << 30);
        manager.prepare_range(Placement::Low2GiB).unwrap();
        manager.prepare_range(Placement::NearLibraries).unwrap();
        let (_, low) = manager.open_range(Placement::Low2GiB, 0).unwrap();
        assert!(low.end.value() <= 1 << 31);
        let (_, second) = manager.open_range(Placement::NearLibraries, 0).unwrap();
        assert_ne!(near, second);
        assert_eq!(manager.stats().ranges, 3);
    });
}

#[test]
fn a_range_holds_what_it_was_opened_for() {
    isolated(|| {
        let manager = MemoryManager::new(Config::default());
        for placement in [
            Placement::Low2GiB,
            Placement::NearLibraries,
            Placement::Anywhere,
        ] {
            let size: usize = 1500 << 20;
            let requests = [
                text(4000),
                segment(SegmentKind::ReadOnly, 10, 10),
                segment(SegmentKind::ReadWrite, 100, size),
            ];
            let least = size as u64 + (1 << 20);
            let (range, extent) = manager.open_range(placement, least).unwrap();
            assert!(extent.size() > least);
            let in_flight = allocate(&manager, range, &requests);
            let last = in_flight.addresses()[2].value() + size as u64 - 1;
            assert!(extent.contains(ExecutorAddr::new(last)));
            // SAFETY: the last byte of memory that is ours to write to.
            unsafe { (last as *mut u8).write(1) };
        }
        let (range, _) = manager.open_range(Placement::Anywhere, 5 << 30).unwrap();
        let large = segment(SegmentKind::ReadWrite, 0, 5 << 30);
        allocate(&manager, range, &[large]);
        for placement in [Placement::Low2GiB, Placement::NearLibraries] {
            for least in [3 << 30, u64::MAX] {
                let opened = manager.open_range(placement, least);
                let low_or_absurd = placement == Placement::Low2GiB || least == u64::MAX;
                assert_eq!(opened.is_err(), low_or_absurd, "{placement:?}, {least:#x}");
            }
        }
    });
}

#[test]
fn threads_allocate_in_parallel() {
    let (manager, range) = manager(small_config());
    std::thread::scope(|scope| {
        for thread in 0..4_u32 {
            let manager = &manager;
            scope.spawn(move || {
                for round in 0..300 {
                    let size = if round % 50 == 0 {
                        100 << 10
                    } else {
                        CONSTANT_SIZE
                    };
                    let value = thread << 16 | round;
                    let requests = [text(size), segment(SegmentKind::ReadWrite, 100, 200)];
                    let mut in_flight = allocate(manager, range, &requests);
                    let mut memory = in_flight.working_memory();
                    let code = constant(value);
                    memory[0][..code.len()].copy_from_slice(&code);
                    assert!(memory[1].iter().all(|&byte| byte == 0));
                    memory[1].fill(1);
                    let linked = in_flight.finalize(Vec::new(), None).unwrap();
                    assert_eq!(call(linked.ranges()[0].start.value()) as u32, value);
                    if round % 3 != 0 {
                        linked.release().unwrap();
                    }
                }
            });
        }
    });
    assert_eq!(manager.stats().total.segments, 4 * 100 * 2);
}
