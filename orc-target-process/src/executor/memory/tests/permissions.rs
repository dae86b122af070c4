//! Permissions of pages, and what a forked process sees.

use std::sync::atomic::Ordering;

use orc_shared::api::{Placement, SegmentKind, SegmentRequest};

use super::code::*;
use crate::executor::memory::{Config, MemoryManager};
use crate::host::maps::{self, Mapping};

/// What a mapping allows, as in "r-xp".
fn permissions_of(mapping: &Mapping<'_>) -> String {
    let mut words = mapping.line.split(|&byte| byte == b' ');
    let word = words.nth(1).expect("the second word of every line");
    String::from_utf8_lossy(word).into_owned()
}

/// Permissions of the mapping that holds `addr`.
fn permissions(addr: u64) -> String {
    let of_addr = |mapping: &Mapping<'_>| {
        let holds = mapping.range.contains(&addr);
        holds.then(|| permissions_of(mapping))
    };
    maps::find(of_addr).expect("a mapping")
}

fn assert_no_page_is_writable_and_executable() {
    let bad = |mapping: &Mapping<'_>| {
        let bad = permissions_of(mapping).contains("wx");
        bad.then(|| String::from_utf8_lossy(mapping.line).into_owned())
    };
    assert_eq!(maps::find(bad), None);
}

#[test]
fn each_kind_has_its_permissions_at_every_step() {
    let (manager, range) = manager(small_config());
    for size in [100, 200 << 10] {
        let kinds = [
            SegmentKind::Text,
            SegmentKind::ReadOnly,
            SegmentKind::ReadWrite,
        ];
        let requests = kinds.map(|kind| segment(kind, size, size + 5000));
        let mut in_flight = allocate(&manager, range, &requests);
        for memory in in_flight.working_memory() {
            assert_eq!(memory.len(), size);
            assert!(memory.iter().all(|&byte| byte == 0));
            for place in memory.chunks_exact_mut(RETURN.len()) {
                place.copy_from_slice(RETURN);
            }
        }
        assert_no_page_is_writable_and_executable();
        let finalized = in_flight.finalize(Vec::new(), None).unwrap();
        assert_no_page_is_writable_and_executable();
        for (place, expected) in finalized.ranges().iter().zip(["r-xp", "r--p", "rw-p"]) {
            assert_eq!(place.size(), size as u64 + 5000);
            assert_eq!(permissions(place.start.value()), expected);
            assert_eq!(permissions(place.end.value() - 1), expected);
            // SAFETY: the segment is mapped and readable.
            let bytes = unsafe {
                std::slice::from_raw_parts(place.start.value() as *const u8, size + 5000)
            };
            let mut content = bytes[..size].chunks_exact(RETURN.len());
            assert!(content.all(|bytes| bytes == RETURN));
            assert!(bytes[size..].iter().all(|&byte| byte == 0));
        }
        call(finalized.ranges()[0].start.value() + 48); // An instruction that returns.
        finalized.release().unwrap();
        assert_no_page_is_writable_and_executable();
    }
}

#[test]
fn small_functions_share_pages_and_neighbours_keep_running() {
    let (manager, range) = manager(small_config());
    let mut linked = Vec::new();
    for value in 0..200 {
        let mut in_flight = allocate(&manager, range, &[text(CONSTANT_SIZE)]);
        in_flight.working_memory()[0].copy_from_slice(&constant(value));
        linked.push(in_flight.finalize(Vec::new(), None).unwrap());
        for (value, linked) in linked.iter().enumerate() {
            assert_eq!(call(linked.ranges()[0].start.value()) as u32, value as u32);
        }
    }
    let first = linked[0].ranges()[0].start.value();
    let last = linked[199].ranges()[0].start.value();
    assert!(last - first < 200 * 32);
}

#[test]
fn without_a_code_writer_allocations_have_their_own_pages() {
    let config = Config {
        own_pages_from: 0,
        ..small_config()
    };
    let (manager, range) = manager(config);
    let (_kept, starts) = Callers::new(&manager, range, 2, thrower).finalize();
    let (_more, more) = Callers::new(&manager, range, 2, thrower).finalize();
    assert_ne!(starts[0] / 4096, more[0] / 4096);
    assert_eq!((catch(starts[1]), catch(more[0])), (7, 7));
    assert_no_page_is_writable_and_executable();
}

/// Runs `child` in a forked process and returns its exit code.
fn in_child(child: impl FnOnce() -> i32) -> i32 {
    // SAFETY: the child only runs `child` and leaves without returning to the test harness.
    match unsafe { libc::fork() } {
        0 => {
            let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child));
            // SAFETY: ends the child.
            unsafe { libc::_exit(code.unwrap_or(101)) }
        }
        pid => {
            assert!(pid > 0);
            let mut status = 0;
            // SAFETY: waits for the child just made.
            assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
            assert!(
                libc::WIFEXITED(status),
                "the child was killed: status {status:#x}"
            );
            libc::WEXITSTATUS(status)
        }
    }
}

#[test]
fn a_forked_child_has_its_own_copy_and_can_link() {
    isolated(|| {
        let (manager, range) = manager(small_config());
        let requests = [text(CONSTANT_SIZE), segment(SegmentKind::ReadWrite, 4, 4)];
        let link = |value: u32| {
            let mut in_flight = allocate(&manager, range, &requests);
            in_flight.working_memory()[0].copy_from_slice(&constant(value));
            in_flight.finalize(Vec::new(), None).unwrap()
        };
        let before = link(1);
        let data = before.ranges()[1].start.value() as *const std::sync::atomic::AtomicU32;
        // SAFETY: the segment is mapped, writable and aligned to 16 bytes.
        let data = unsafe { &*data };
        let code = in_child(|| {
            data.store(5, Ordering::Relaxed);
            let child = link(2);
            let (callers, starts) = Callers::new(&manager, range, 1, thrower).finalize();
            let sum = call(before.ranges()[0].start.value()) * 100
                + call(child.ranges()[0].start.value()) * 10
                + catch(starts[0]);
            callers.release().unwrap();
            // A range of its own, whose name holds the child's process id.
            let (second, _) = manager.open_range(Placement::NearLibraries, 0).unwrap();
            let (_callers, starts) = Callers::new(&manager, second, 1, thrower).finalize();
            i32::try_from(sum + catch(starts[0]) - 7).unwrap()
        });
        assert_eq!(code, 127);
        assert_eq!(data.load(Ordering::Relaxed), 0);
        // What the child linked at the same address did not reach the parent.
        let parent = link(3);
        assert_eq!(call(parent.ranges()[0].start.value()), 3);
        assert_eq!(call(before.ranges()[0].start.value()), 1);
    });
}

#[test]
fn descriptors_closed_or_reused_by_the_program_are_not_written_to() {
    isolated(|| {
        let (manager, range) = manager(small_config());
        let code = in_child(|| {
            // SAFETY: closes what the program does not know, as daemons do.
            unsafe { libc::close_range(3, u32::MAX, 0) };
            let mine: Vec<_> = (0..1000)
                .map_while(|_| std::fs::File::open("/dev/null").ok())
                .collect();
            let mut in_flight = allocate(&manager, range, &[text(CONSTANT_SIZE)]);
            in_flight.working_memory()[0].copy_from_slice(&constant(9));
            let Err(_) = in_flight.finalize(Vec::new(), None) else {
                return 1;
            };
            drop(mine);
            let mut in_flight = allocate(&manager, range, &[text(CONSTANT_SIZE)]);
            in_flight.working_memory()[0].copy_from_slice(&constant(9));
            let linked = in_flight.finalize(Vec::new(), None).unwrap();
            i32::try_from(call(linked.ranges()[0].start.value())).unwrap()
        });
        assert!([1, 9].contains(&code), "{code}");
    });
}

#[test]
fn a_limit_of_address_space_makes_ranges_smaller() {
    isolated(|| {
        let code = in_child(|| {
            let limit = 1_u64 << 30;
            let limits = libc::rlimit {
                rlim_cur: limit,
                rlim_max: limit,
            };
            // SAFETY: limits the child only.
            let status = unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limits) };
            assert_eq!(status, 0);
            let manager = MemoryManager::new(Config::default());
            let (range, place) = manager.open_range(Placement::NearLibraries, 0).unwrap();
            assert!(
                place.size() <= limit / 4 && place.size() >= 4 << 20,
                "{place:?}"
            );
            let (_callers, starts) = Callers::new(&manager, range, 1, thrower).finalize();
            i32::try_from(catch(starts[0])).unwrap()
        });
        assert_eq!(code, 7);
    });
}

#[test]
fn strictly_accounted_memory_is_charged_only_when_claimed() {
    isolated(|| {
        let charged = || {
            let status = std::fs::read_to_string("/proc/self/smaps").unwrap();
            let mut bytes = 0_u64;
            let mut size = 0;
            for line in status.lines() {
                let number = || {
                    line.split_whitespace()
                        .nth(1)
                        .and_then(|word| word.parse().ok())
                };
                if line.starts_with("Size:") {
                    size = number().unwrap_or(0_u64);
                }
                // "ac": the mapping is accounted.
                if line.starts_with("VmFlags:") && line.contains(" ac") {
                    bytes += size << 10;
                }
            }
            bytes
        };
        let before = charged();
        let manager = MemoryManager::new(Config::default());
        manager.open_range(Placement::NearLibraries, 0).unwrap();
        let after = charged();
        assert!(
            after.saturating_sub(before) < 64 << 20,
            "{before:#x} then {after:#x}"
        );
    });
}

#[test]
fn bad_requests_are_errors() {
    let (manager, range) = manager(small_config());
    let good = text(16);
    for bad in [
        SegmentRequest { align: 0, ..good },
        SegmentRequest { align: 24, ..good },
        SegmentRequest {
            content_size: 17,
            ..good
        },
    ] {
        manager.allocate(range, &[good, bad]).unwrap_err();
    }
    let huge = SegmentRequest {
        size: u64::MAX,
        content_size: 0,
        ..good
    };
    manager.allocate(range, &[huge]).unwrap_err();
    manager
        .allocate(orc_shared::api::RangeId(99), &[good])
        .unwrap_err();
    assert_eq!(manager.stats().total.segments, 0);
}
