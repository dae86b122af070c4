//! Replacements while many threads call.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};

use orc_jit::{ObjectFile, Removal, ReplaceOptions, Replaced, Tracker};

use super::{Call, Fixture, SEPARATE};

/// Objects of each set.
const SETS: [usize; 8] = [1, 2, 3, 4, 5, 6, 9, 20];
const FUNCTIONS: usize = 50;
const THREADS: usize = 8;
const ROUNDS: usize = 1000;
/// Versions of each set; numbers of versions count modulo this.
pub const VERSIONS: i32 = 3;

/// A set of objects that are replaced together.
pub struct Set {
    pub functions: std::ops::Range<usize>,
    pub tracker: Tracker,
    pub versions: Vec<Vec<Arc<dyn ObjectFile>>>,
    /// Twice the number of replacements, and one more during one.
    replaced: AtomicI32,
}

/// The source of a function, which says what version it is after some calls of others of its set.
fn source(n: usize, set: &std::ops::Range<usize>, version: i32) -> String {
    let next = set.start + (n + 1 - set.start) % set.len();
    format!(
        "int f{next}(int); int calls{n}; static _Thread_local int mine{n}; \
         int f{n}(int x) {{ calls{n} |= 1; mine{n}++; return x > 0 ? f{next}(x - 1) : {version}; }} \
         int mine{n}_(int x) {{ return mine{n}; }}"
    )
}

/// Compiles all functions of a version at once.
fn compile(
    it: &Fixture,
    version: i32,
    sets: &[std::ops::Range<usize>],
) -> Vec<Arc<dyn ObjectFile>> {
    let directory = it.scratch.path().join(format!("{version}"));
    std::fs::create_dir(&directory).unwrap();
    let mut compiler = Command::new("cc");
    compiler.current_dir(&directory).args(SEPARATE).arg("-c");
    for set in sets {
        for n in set.clone() {
            let name = format!("f{n}.c");
            std::fs::write(directory.join(&name), source(n, set, version)).unwrap();
            compiler.arg(name);
        }
    }
    assert!(compiler.status().unwrap().success());
    let read = |n| {
        let bytes = std::fs::read(directory.join(format!("f{n}.o"))).unwrap();
        it.jit.objects().read(&format!("f{n}.c"), bytes).unwrap()
    };
    (0..FUNCTIONS).map(read).collect()
}

pub fn sets(it: &Fixture) -> Vec<Set> {
    let mut ranges = Vec::new();
    let mut start = 0;
    for size in SETS {
        ranges.push(start..start + size);
        start += size;
    }
    assert_eq!(start, FUNCTIONS);
    let versions: Vec<_> = (0..VERSIONS).map(|v| compile(it, v, &ranges)).collect();
    let set = |functions: std::ops::Range<usize>| {
        let tracker = it.app.tracker();
        let of_set = |version: &Vec<Arc<dyn ObjectFile>>| version[functions.clone()].to_vec();
        let versions: Vec<_> = versions.iter().map(of_set).collect();
        let first = versions[0].iter().cloned();
        tracker.session_tracker().add_objects(first).unwrap();
        Set {
            functions,
            tracker,
            versions,
            replaced: AtomicI32::new(0),
        }
    };
    ranges.into_iter().map(set).collect()
}

/// Resident memory of this process, in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.unwrap().trim().trim_end_matches(" kB");
    number.parse().unwrap()
}

fn mappings() -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines().count()
}

/// Old versions, and how often each thread had passed by when they were replaced.
#[derive(Default)]
struct Old(VecDeque<(Replaced, Vec<u64>)>);

impl Old {
    /// Gives those back that every thread has left.
    fn retire(&mut self, passed: &[AtomicU64]) {
        let now: Vec<u64> = passed.iter().map(|it| it.load(Ordering::SeqCst)).collect();
        let is_left = |then: &Vec<u64>| then.iter().zip(&now).all(|(then, now)| now > then);
        while self.0.front().is_some_and(|(_, then)| is_left(then)) {
            let (old, _) = self.0.pop_front().unwrap();
            // The first version has the variables, and stays.
            let removal = old.retire().unwrap();
            assert!(matches!(
                removal,
                Removal::Released | Removal::Deferred { guards: 0, .. }
            ));
        }
    }
}

/// Calls functions of one set until told to stop, and checks which versions answer.
fn call_on(functions: &[orc_jit::Function<Call>], set: &Set, seed: usize) {
    let before = set.replaced.load(Ordering::SeqCst);
    let mut last = None;
    for step in 0..8 {
        let n = set.functions.start + (seed * 7 + step * 5) % set.functions.len();
        let seen = functions[n].call((step % 4) as i32);
        assert!((0..VERSIONS).contains(&seen));
        let ahead = (seen - last.unwrap_or(seen)).rem_euclid(VERSIONS);
        if before == set.replaced.load(Ordering::SeqCst) {
            // At most one replacement was under way, and nobody got back behind it.
            assert!(ahead <= before % 2, "version {seen} after {last:?}");
        }
        last = Some(seen);
    }
}

#[test]
fn a_thousand_replacements_under_load_are_seen_whole_and_leave_nothing() {
    let it = Fixture::new();
    let sets = sets(&it);
    let functions: Vec<_> = (0..FUNCTIONS)
        // SAFETY: the sources above.
        .map(|n| unsafe { it.app.function::<Call>(&format!("f{n}")) }.unwrap())
        .collect();
    let stop = AtomicBool::new(false);
    let passed: Vec<AtomicU64> = (0..THREADS).map(|_| AtomicU64::new(0)).collect();
    let mut held = Vec::new();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (functions, sets, stop, passed) = (&functions, &sets, &stop, &passed);
            scope.spawn(move || {
                let mut seed = thread;
                while !stop.load(Ordering::Relaxed) {
                    seed = seed.wrapping_mul(31).wrapping_add(7) % 10_007;
                    call_on(functions, &sets[seed % sets.len()], seed);
                    passed[thread].fetch_add(1, Ordering::SeqCst);
                    std::thread::yield_now();
                }
            });
        }
        let mut old = Old::default();
        for round in 0..ROUNDS {
            let set = &sets[round % sets.len()];
            let version = (round / sets.len() + 1) % VERSIONS as usize;
            set.replaced.fetch_add(1, Ordering::SeqCst);
            // SAFETY: the functions have one type.
            let replaced = unsafe {
                let version = &set.versions[version];
                set.tracker.replace(version, ReplaceOptions::default())
            };
            set.replaced.fetch_add(1, Ordering::SeqCst);
            let then = passed.iter().map(|it| it.load(Ordering::SeqCst) + 1);
            old.0.push_back((replaced.unwrap(), then.collect()));
            old.retire(&passed);
            assert!(it.app.symbol(&format!("f{}", round % FUNCTIONS)).is_ok());
            if round % 100 == 99 {
                held.push((resident(), mappings()));
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    let mut text = String::new();
    for (kib, mappings) in &held {
        writeln!(text, "{kib} KiB, {mappings} mappings").unwrap();
    }
    // Old versions wait for threads, how many at a time is chance.
    let (first, last) = (held[1], held[held.len() - 1]);
    assert!(last.0 < first.0 + 16 * 1024, "{text}");
    assert!(last.1 < first.1 + 64, "{text}");
    for set in &sets {
        for n in set.functions.clone() {
            assert_eq!(
                it.call(&format!("mine{n}_"), 0),
                0,
                "this thread called none"
            );
        }
    }
}
