//! The frame table as unwinders read it, while it changes.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use orc_shared::api::{Placement, RangeId};

use super::code::*;
use crate::executor::memory::{Config, Finalized, MemoryManager};
use crate::host::range::frame_table;

/// Address of the table's header, as the loader tells it.
fn header(pc: u64) -> u64 {
    struct Search {
        pc: u64,
        header: u64,
    }
    unsafe extern "C" fn visit(
        info: *mut libc::dl_phdr_info,
        _: usize,
        search: *mut std::ffi::c_void,
    ) -> i32 {
        // SAFETY: the loader's record and the pointer passed below are valid during the call.
        let (info, search) = unsafe { (&*info, &mut *search.cast::<Search>()) };
        // SAFETY: the record says how many program headers there are.
        let headers =
            unsafe { std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)) };
        let holds = headers.iter().any(|header| {
            let start = info.dlpi_addr + header.p_vaddr;
            header.p_type == libc::PT_LOAD && (start..start + header.p_memsz).contains(&search.pc)
        });
        let frames = headers
            .iter()
            .find(|header| header.p_type == libc::PT_GNU_EH_FRAME);
        if let (true, Some(frames)) = (holds, frames) {
            search.header = info.dlpi_addr + frames.p_vaddr;
        }
        0
    }
    let mut search = Search { pc, header: 0 };
    // SAFETY: the callback gets the pointer it expects, which outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut search).cast()) };
    assert_ne!(search.header, 0, "the loader knows {pc:#x}");
    search.header
}

fn word(addr: u64) -> u32 {
    // SAFETY: callers pass addresses of the table, which is mapped and only stored to atomically.
    unsafe { AtomicU32::from_ptr(addr as *mut u32) }.load(Ordering::Relaxed)
}

/// The FDE that libgcc's search finds for `pc`. Panics where libgcc aborts.
fn search(header: u64, pc: u64) -> Option<u64> {
    assert_eq!(word(header), 0x3b03_1b01, "version and encodings");
    let count = u64::from(word(header + 8));
    let start =
        |index: u64| header.wrapping_add_signed(i64::from(word(header + 12 + index * 8) as i32));
    let fde =
        |index: u64| header.wrapping_add_signed(i64::from(word(header + 16 + index * 8) as i32));
    let mut middle = count.checked_sub(1)?;
    if pc < start(0) {
        return None;
    }
    if pc < start(middle) {
        let (mut low, mut high) = (0, middle);
        loop {
            assert!(
                low < high,
                "the search for {pc:#x} ends nowhere: libgcc aborts"
            );
            middle = low.midpoint(high);
            if pc < start(middle) {
                high = middle;
            } else if pc >= start(middle + 1) {
                low = middle + 1;
            } else {
                break;
            }
        }
    }
    let fde = fde(middle);
    let size = u64::from(word(fde + 12));
    (pc < start(middle) + size).then_some(fde)
}

/// Where an FDE of ours says that its code starts.
fn described(fde: u64) -> u64 {
    (fde + 8).wrapping_add_signed(i64::from(word(fde + 8) as i32))
}

/// Asserts that every function of `starts` is found, at its first and last byte.
fn check(header: u64, starts: &[u64]) {
    for &start in starts {
        for pc in [start, start + CALLER_SIZE as u64 - 1] {
            let fde = search(header, pc).unwrap_or_else(|| panic!("{pc:#x} has no frame"));
            assert_eq!(described(fde), start);
        }
        assert_eq!(search(header, start + CALLER_SIZE as u64), None);
    }
}

/// A deterministic stream of numbers.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }
}

/// Links, abandons and releases at random; keeps what is linked in `live`.
fn churn(
    manager: &MemoryManager,
    range: RangeId,
    random: &mut Random,
    in_flight: &mut Vec<Callers>,
    live: &mut Vec<(Finalized, Vec<u64>)>,
) {
    match random.below(10) {
        _ if live.len() > 200 => {
            live.swap_remove(random.below(live.len()))
                .0
                .release()
                .unwrap();
        }
        _ if in_flight.len() > 100 => drop(in_flight.swap_remove(random.below(in_flight.len()))),
        0..4 => {
            // Now and then a text large enough for pages of its own.
            let count = if random.below(20) == 0 {
                2500
            } else {
                1 + random.below(12)
            };
            let space = if random.below(2) == 0 {
                0
            } else {
                random.below(600)
            };
            in_flight.push(Callers::with_space(manager, range, (count, space), thrower));
        }
        4..7 if !in_flight.is_empty() => {
            let index = random.below(in_flight.len());
            live.push(in_flight.swap_remove(index).finalize());
        }
        7 if !in_flight.is_empty() => drop(in_flight.swap_remove(random.below(in_flight.len()))),
        _ if live.len() > 20 => {
            live.swap_remove(random.below(live.len()))
                .0
                .release()
                .unwrap();
        }
        _ => {}
    }
}

#[test]
fn every_live_function_is_found_after_every_step() {
    let (manager, range) = manager(Config {
        range_size: 256 << 20,
        ..Config::default()
    });
    let mut random = Random(1);
    let (mut in_flight, mut live) = (Vec::new(), Vec::new());
    let first = Callers::new(&manager, range, 3, thrower).finalize();
    let header = header(first.1[0]);
    assert_eq!(header % 8, 4, "entries are aligned");
    for _ in 0..3000 {
        churn(&manager, range, &mut random, &mut in_flight, &mut live);
        live.iter()
            .rev()
            .take(4)
            .for_each(|(_, starts)| check(header, starts));
    }
    live.iter().for_each(|(_, starts)| check(header, starts));
    check(header, &first.1);
    // All of it in order: what is not live lies between what is live.
    let count = u64::from(word(header + 8));
    assert!(count > 1000 && count == manager.stats().total.frame_entries);
}

/// Ends the other threads also when a test fails.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn searches_on_other_threads_always_end_right() {
    let (manager, range) = manager(Config {
        range_size: 256 << 20,
        ..Config::default()
    });
    let stop = AtomicBool::new(false);
    // Code that stays, with space between that is used again and again.
    let mut fixed: Vec<_> = (0..400)
        .map(|index| Callers::new(&manager, range, 1 + index % 7, thrower).finalize())
        .collect();
    let header = header(fixed[0].1[0]);
    for index in (0..200).rev() {
        fixed.swap_remove(index * 2).0.release().unwrap();
    }
    let fixed: Vec<u64> = fixed
        .iter()
        .flat_map(|(_, starts)| starts.iter().copied())
        .collect();
    std::thread::scope(|scope| {
        let _stop = StopOnDrop(&stop);
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut searches = 0_usize;
                    while !stop.load(Ordering::Relaxed) {
                        check(header, &fixed);
                        searches += fixed.len();
                    }
                    searches
                })
            })
            .collect();
        let mut random = Random(2);
        let (mut in_flight, mut live) = (Vec::new(), Vec::new());
        let end = std::time::Instant::now() + std::time::Duration::from_secs(2);
        while std::time::Instant::now() < end && !readers.iter().any(|it| it.is_finished()) {
            churn(&manager, range, &mut random, &mut in_flight, &mut live);
        }
        stop.store(true, Ordering::Relaxed);
        for reader in readers {
            assert!(reader.join().unwrap() > 10_000);
        }
    });
}

#[test]
fn header_is_what_the_loader_was_told() {
    // A manager's first range waits for the loader, however long that takes; a second one does not.
    let manager = MemoryManager::new(small_config());
    let (_, place) = manager.open_range(Placement::NearLibraries, 0).unwrap();
    let header = header(place.start.value());
    assert_eq!(
        header,
        place.start.value() + manager.page_size() + frame_table::HEADER
    );
    assert_eq!(search(header, place.end.value() - 1), None);
    assert_eq!(search(header, place.start.value()), None);
}
