//! Unwinding through linked code.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use orc_shared::api::{FrameEntry, Placement, SegmentKind};

use super::code::*;
use crate::executor::memory::{Config, MemoryError};

thread_local! {
    static SEEN: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

extern "C-unwind" fn look_up() -> usize {
    let frames = backtrace();
    SEEN.with_borrow_mut(|seen| *seen = frames);
    11
}

/// Calls `addr` and returns the backtrace from inside.
fn backtrace_through(addr: u64) -> Vec<usize> {
    assert_eq!(call(addr), 11);
    SEEN.take()
}

fn assert_walks(addr: u64) {
    let seen = backtrace_through(addr);
    let at = seen
        .iter()
        .position(|&pc| pc as u64 == addr + RETURN_OFFSET);
    let at = at.unwrap_or_else(|| panic!("{:#x} is not in {seen:x?}", addr + RETURN_OFFSET));
    assert!(
        seen.len() > at + 3,
        "the walk ends in linked code: {seen:x?}"
    );
}

#[test]
fn backtrace_and_throw_pass_through_linked_code() {
    let (manager, range) = manager(small_config());
    let (_walked, starts) = Callers::new(&manager, range, 3, look_up).finalize();
    starts.iter().for_each(|&start| assert_walks(start));
    let (_thrown, starts) = Callers::new(&manager, range, 3, thrower).finalize();
    starts.iter().for_each(|&start| assert_eq!(catch(start), 7));
    assert_eq!(manager.stats().total.frame_entries, 1 + 4 + 4);
}

#[test]
fn finalized_in_any_order() {
    let (manager, range) = manager(small_config());
    let mut in_flight: Vec<_> = (1..9)
        .map(|count| Callers::new(&manager, range, count, thrower))
        .collect();
    let mut done = Vec::new();
    for index in [3, 6, 0, 4, 0, 2, 1, 0] {
        let callers = in_flight.remove(index);
        done.push(callers.finalize());
        for (_, starts) in &done {
            starts.iter().for_each(|&start| assert_eq!(catch(start), 7));
        }
    }
    assert_eq!(
        manager.stats().total.frame_entries,
        1 + (2..10).sum::<u64>()
    );
}

#[test]
fn frames_that_were_not_announced_are_registered_if_they_do_not_fit() {
    let (manager, range) = manager(small_config());
    let segments = [
        text(4 * CALLER_SPACE),
        segment(SegmentKind::ReadOnly, eh_frame_size(4), eh_frame_size(4)),
    ];
    // Announces one frame, and has four.
    let liar = manager
        .allocate_with_frames(range, &segments, Some(1))
        .unwrap()
        .unwrap();
    let honest = Callers::new(&manager, range, 2, thrower).finalize();
    let (liar, starts) = Callers::fill(liar, 4, thrower).finalize();
    for &start in starts.iter().chain(&honest.1) {
        assert_eq!(catch(start), 7);
    }
    liar.release().unwrap();
    assert_eq!(catch(honest.1[0]), 7);
}

#[test]
fn released_code_cannot_be_walked_and_its_space_serves_again() {
    let (manager, range) = manager(small_config());
    let (below, below_starts) = Callers::new(&manager, range, 1, thrower).finalize();
    let (middle, middle_starts) = Callers::new(&manager, range, 5, thrower).finalize();
    let (_above, above_starts) = Callers::new(&manager, range, 1, thrower).finalize();
    let entries = manager.stats().total.frame_entries;
    middle.release().unwrap();
    for round in 0..4 {
        let again = Callers::new(&manager, range, 1 + round % 2, look_up);
        assert!(again.starts[0] < above_starts[0], "released space is used");
        let (again, starts) = again.finalize();
        starts.iter().for_each(|&start| assert_walks(start));
        assert!(starts[0] >= middle_starts[0]);
        assert_eq!(catch(above_starts[0]), 7);
        assert_eq!(catch(below_starts[0]), 7);
        again.release().unwrap();
    }
    assert_eq!(
        manager.stats().total.frame_entries,
        entries,
        "no new entry was needed"
    );
    below.release().unwrap();
    assert_eq!(catch(above_starts[0]), 7);
}

#[test]
fn abandoned_space_leaves_the_order_intact() {
    let (manager, range) = manager(small_config());
    let first = Callers::new(&manager, range, 2, thrower);
    let second = Callers::new(&manager, range, 2, thrower);
    let third = Callers::new(&manager, range, 2, thrower);
    let start = first.starts[0];
    drop(second);
    let (_third, starts) = third.finalize();
    drop(first);
    assert_eq!(catch(starts[1]), 7);
    let again = Callers::new(&manager, range, 2, thrower);
    assert_eq!(again.starts[0], start, "abandoned space is used again");
    let (_again, again) = again.finalize();
    assert_eq!((catch(again[1]), catch(starts[0])), (7, 7));
    // The last one to be abandoned leaves no trace.
    let last = Callers::new(&manager, range, 100, thrower);
    let place = last.starts[0];
    drop(last);
    assert_eq!(Callers::new(&manager, range, 100, thrower).starts[0], place);
}

#[test]
fn sections_are_registered_where_ranges_are_not_loaded() {
    let config = Config {
        loaded_ranges: false,
        ..small_config()
    };
    let (manager, range) = manager(config);
    for _ in 0..3 {
        let (walked, starts) = Callers::new(&manager, range, 3, look_up).finalize();
        let (thrown, throws) = Callers::new(&manager, range, 3, thrower).finalize();
        starts.iter().for_each(|&start| assert_walks(start));
        throws.iter().for_each(|&start| assert_eq!(catch(start), 7));
        thrown.release().unwrap();
        walked.release().unwrap();
    }
}

#[test]
fn low_ranges_unwind_too() {
    let (manager, _) = manager(small_config());
    for loaded_ranges in [true, false] {
        let config = Config {
            loaded_ranges,
            ..small_config()
        };
        let manager = crate::executor::memory::MemoryManager::new(config);
        let (range, place) = manager.open_range(Placement::Low2GiB, 0).unwrap();
        assert!(place.end.value() <= 1 << 31, "{place:?}");
        let (_callers, starts) = Callers::new(&manager, range, 2, thrower).finalize();
        assert!(place.contains(orc_shared::ExecutorAddr::new(starts[0])));
        assert_eq!(catch(starts[1]), 7);
    }
    assert_eq!(manager.stats().ranges, 1);
}

#[test]
fn frames_of_others_are_refused() {
    let (manager, range) = manager(small_config());
    let (_other, starts) = Callers::new(&manager, range, 1, thrower).finalize();
    let mine = allocate(&manager, range, &[text(16)]);
    let foreign = FrameEntry {
        pc: orc_shared::ExecutorAddr::new(starts[0]),
        fde: orc_shared::ExecutorAddr::new(starts[0]),
    };
    let error = mine.finalize(vec![foreign], None).unwrap_err();
    assert!(matches!(error, MemoryError::ForeignFrame { .. }), "{error}");
    assert_eq!(catch(starts[0]), 7);
}

/// Runs `work` while this thread holds a lock of the loader.
fn with_the_loader_locked(mut work: impl FnMut()) {
    unsafe extern "C" fn once(
        _: *mut libc::dl_phdr_info,
        _: usize,
        work: *mut std::ffi::c_void,
    ) -> i32 {
        // SAFETY: the pointer is the one passed below.
        let work = unsafe { &mut *work.cast::<&mut dyn FnMut()>() };
        work();
        1
    }
    let mut work: &mut dyn FnMut() = &mut work;
    // SAFETY: the callback gets the pointer it expects, which outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(once), (&raw mut work).cast()) };
}

#[test]
fn a_link_does_not_wait_for_the_loader() {
    isolated(|| {
        let (manager, _) = manager(small_config());
        let link = || {
            let (range, _) = manager.open_range(Placement::NearLibraries, 0).unwrap();
            let (_callers, starts) = Callers::new(&manager, range, 3, thrower).finalize();
            starts[1]
        };
        let mut starts = Vec::new();
        with_the_loader_locked(|| {
            // As in a constructor that calls what is linked on first call: here, and on another
            // thread.
            starts.push(link());
            let linked = std::thread::scope(|scope| {
                scope
                    .spawn(|| {
                        let start = link();
                        assert_eq!(catch(start), 7);
                        start
                    })
                    .join()
            });
            starts.push(linked.unwrap());
        });
        starts.push(link());
        starts.iter().for_each(|&start| assert_eq!(catch(start), 7));
        assert_eq!(manager.stats().ranges, 4);
    });
}

/// Threads throw and walk while others link, reuse and release around the code that they run.
#[test]
fn unwinding_never_waits_for_linking_nor_sees_half_of_it() {
    let (manager, range) = manager(small_config());
    let stop = AtomicBool::new(false);
    let links = AtomicUsize::new(0);
    let (_first, first) = Callers::new(&manager, range, 40, thrower).finalize();
    let others: Vec<_> = (0..200)
        .map(|_| Callers::new(&manager, range, 1, thrower))
        .collect();
    let mut kept = Vec::new();
    for (index, callers) in others.into_iter().enumerate() {
        // Every other one is released below, so that live code lies between space that is reused.
        let finalized = callers.finalize();
        if index % 2 == 0 {
            finalized.0.release().unwrap()
        } else {
            kept.push(finalized)
        }
    }
    std::thread::scope(|scope| {
        for seed in 0..3_usize {
            let (manager, stop, links) = (&manager, &stop, &links);
            scope.spawn(move || {
                let mut held = Vec::new();
                let mut state = seed * 7919 + 1;
                while !stop.load(Ordering::Relaxed) {
                    state = state
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1);
                    let (pick, count) = (state >> 33, 1 + (state >> 40) % 9);
                    let callers = Callers::new(manager, range, count, thrower);
                    match pick % 5 {
                        0 => drop(callers),
                        _ => held.push(callers),
                    }
                    if held.len() > 6 {
                        let (done, starts) = held.swap_remove(pick % 6).finalize();
                        assert_eq!(catch(starts[starts.len() - 1]), 7);
                        done.release().unwrap();
                    }
                    links.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(2);
        let mut throws = 0;
        while std::time::Instant::now() < deadline {
            for &start in first
                .iter()
                .chain(kept.iter().map(|(_, starts)| &starts[0]))
            {
                assert_eq!(catch(start), 7);
                throws += 1;
            }
        }
        stop.store(true, Ordering::Relaxed);
        assert!(throws > 100);
    });
    assert!(links.into_inner() > 100);
}
