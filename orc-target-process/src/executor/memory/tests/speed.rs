//! What the basic steps cost. Run with `cargo test -p orc-target-process speed -- --ignored
//! --nocapture`.

use std::time::{Duration, Instant};

use orc_shared::api::{Placement, SegmentKind};

use super::code::*;
use crate::executor::memory::{Config, MemoryManager};

fn median(mut samples: Vec<Duration>) -> f64 {
    samples.sort_unstable();
    samples[samples.len() / 2].as_secs_f64() * 1e6
}

fn timed<T>(samples: &mut Vec<Duration>, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    samples.push(start.elapsed());
    result
}

#[test]
#[ignore = "prints figures; compares nothing"]
fn speed() {
    for placement in [Placement::NearLibraries, Placement::Low2GiB] {
        let (mut opens, mut closes) = (Vec::new(), Vec::new());
        for _ in 0..101 {
            let manager = MemoryManager::new(Config::default());
            timed(&mut opens, || manager.open_range(placement, 0).unwrap());
            timed(&mut closes, || drop(manager));
        }
        println!(
            "open_range {placement:?}: {:.1} us, close {:.1} us",
            median(opens),
            median(closes)
        );
    }
    let (manager, range) = manager(Config::default());
    for (name, config) in [("staged", 64 << 10), ("own pages", 0)] {
        let (manager, range) = super::code::manager(Config {
            own_pages_from: config,
            ..Config::default()
        });
        let mut links = Vec::new();
        for _ in 0..20_000 {
            let callers = timed(&mut links, || {
                Callers::new(&manager, range, 1, thrower).finalize()
            });
            std::mem::forget(callers);
        }
        println!(
            "one function with its frame, {name}: {:.2} us",
            median(links)
        );
    }

    let (mut allocates, mut copies, mut finals, mut releases) = (vec![], vec![], vec![], vec![]);
    let source = vec![1_u8; 64 << 20];
    for _ in 0..11 {
        let requests = [segment(SegmentKind::Text, 64 << 20, 64 << 20)];
        let mut in_flight = timed(&mut allocates, || allocate(&manager, range, &requests));
        timed(&mut copies, || {
            in_flight.working_memory()[0].copy_from_slice(&source)
        });
        let linked = timed(&mut finals, || {
            in_flight.finalize(Vec::new(), None).unwrap()
        });
        timed(&mut releases, || linked.release().unwrap());
    }
    println!(
        "64 MiB of text: allocate {:.1} us, copy {:.0} us, finalize {:.0} us, release {:.0} us",
        median(allocates),
        median(copies),
        median(finals),
        median(releases)
    );
}

/// Nanoseconds of a throw through the function at `addr`, on each of `threads` threads.
fn throw_cost(addrs: &[u64], threads: usize) -> f64 {
    const THROWS: usize = 20_000;
    let start = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..threads {
            scope.spawn(move || {
                for index in 0..THROWS {
                    let addr = addrs[(index * 7919 + thread) % addrs.len()];
                    assert_eq!(catch(addr), 7);
                }
            });
        }
    });
    start.elapsed().as_secs_f64() * 1e9 / THROWS as f64
}

#[test]
#[ignore = "prints figures; compares nothing"]
fn speed_of_throws() {
    for (name, loaded_ranges) in [("frame table", true), ("registered", false)] {
        let (manager, range) = super::code::manager(Config {
            loaded_ranges,
            ..Config::default()
        });
        let (_all, starts) = Callers::new(&manager, range, 70_000, thrower).finalize();
        let native = [thrower as extern "C-unwind" fn() -> usize as usize as u64];
        for threads in [1, 2] {
            println!(
                "{name}, {threads} threads: throw through none {:.0} ns, through one of 70,000 {:.0} ns",
                throw_cost(&native, threads),
                throw_cost(&starts, threads)
            );
        }
    }
}
