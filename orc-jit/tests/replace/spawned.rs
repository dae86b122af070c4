//! Replacements in another process, while threads of it call.

use std::collections::VecDeque;

use orc_jit::{Executor, Removal, ReplaceOptions, Replaced, Symbol};

use super::Fixture;
use super::stress::{Set, VERSIONS, sets};

const ROUNDS: usize = 1000;
const THREADS: usize = 8;

/// Threads that call functions of one set after another, and check which versions answer. Wrapper functions: `start` takes the
/// addresses of the functions and each set's first function; `look` gives how often each thread has passed by, and
/// how many wrong answers there were; `count` tells of a replacement's begin and end.
const LOAD: &str = r#"
    #include <pthread.h>
    #include <stdatomic.h>
    #include <stdlib.h>
    #include <string.h>
    enum { THREADS = 8, FUNCTIONS = 50, SETS = 8, VERSIONS = 3 };
    struct result { char *bytes; size_t size; };
    typedef int (*function)(int);
    static function functions[FUNCTIONS];
    static long first[SETS + 1];
    static atomic_long passed[THREADS], wrong, stop, replaced[SETS];
    static pthread_t threads[THREADS];
    static void call_on(int set, unsigned seed) {
        long before = replaced[set], size = first[set + 1] - first[set];
        int last = -1;
        for (unsigned step = 0; step < 8; step++) {
            int seen = functions[first[set] + (seed * 7 + step * 5) % size](step % 4);
            if (seen < 0 || seen >= VERSIONS) wrong++;
            int ahead = last < 0 ? 0 : (seen - last + VERSIONS) % VERSIONS;
            /* At most one replacement was under way, and nobody got back behind it. */
            if (before == replaced[set] && ahead > before % 2) wrong++;
            last = seen;
        }
    }
    static void *run(void *number) {
        unsigned seed = (long)number;
        while (!stop) {
            seed = (seed * 31 + 7) % 10007;
            call_on(seed % SETS, seed);
            passed[(long)number]++;
            sched_yield();
        }
        return 0;
    }
    struct result start(const char *data, size_t size) {
        memcpy(functions, data, sizeof functions);
        memcpy(first, data + sizeof functions, sizeof first);
        for (long n = 0; n < THREADS; n++) pthread_create(&threads[n], 0, run, (void *)n);
        return (struct result){0, 0};
    }
    struct result look(const char *data, size_t size) {
        long *seen = malloc((THREADS + 1) * sizeof *seen);
        for (int n = 0; n < THREADS; n++) seen[n] = passed[n];
        seen[THREADS] = wrong;
        return (struct result){(char *)seen, (THREADS + 1) * sizeof *seen};
    }
    struct result count(const char *data, size_t size) { replaced[(int)data[0]]++; return (struct result){0, 0}; }
    struct result end(const char *data, size_t size) {
        stop = 1;
        for (int n = 0; n < THREADS; n++) pthread_join(threads[n], 0);
        return (struct result){0, 0};
    }
"#;

/// Calls wrapper functions of the load.
struct Load<'a> {
    it: &'a Fixture,
    functions: [Symbol; 4],
}

impl<'a> Load<'a> {
    fn start(it: &'a Fixture, sets: &[Set]) -> Self {
        let load = it.jit.dylib("load").unwrap();
        let object = it.object("load.c", LOAD);
        load.session_tracker().add_object(object).unwrap();
        let functions = ["start", "look", "count", "end"].map(|it| load.symbol(it).unwrap());
        let ends = sets.iter().map(|set| set.functions.end);
        let firsts = [0].into_iter().chain(ends);
        let count = sets.last().unwrap().functions.end;
        let addr = |n| it.app.symbol(&format!("f{n}")).unwrap().addr().value();
        let words = (0..count).map(addr).chain(firsts.map(|n| n as u64));
        let words: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
        let load = Self { it, functions };
        load.call(0, &words);
        load
    }

    fn call(&self, function: usize, args: &[u8]) -> Vec<u8> {
        // SAFETY: the source above.
        unsafe { self.it.jit.call_wrapper(&self.functions[function], args) }.unwrap()
    }

    /// How often each thread has passed by, once nothing is wrong.
    fn look(&self) -> Vec<u64> {
        let seen = self.call(1, &[]);
        let words = seen.chunks(8).map(|word| word.try_into().unwrap());
        let mut words: Vec<u64> = words.map(u64::from_le_bytes).collect();
        assert_eq!(words.pop(), Some(0), "wrong answers");
        assert_eq!(words.len(), THREADS);
        words
    }
}

#[test]
fn a_thousand_replacements_in_another_process_are_seen_whole() {
    let it = Fixture::on(Executor::spawn().unwrap());
    let sets = sets(&it);
    let load = Load::start(&it, &sets);
    let mut old: VecDeque<(Replaced, Vec<u64>)> = VecDeque::new();
    for round in 0..ROUNDS {
        let set = round % sets.len();
        let version = (round / sets.len() + 1) % VERSIONS as usize;
        load.call(2, &[set as u8]);
        // SAFETY: the functions have one type.
        let replaced = unsafe {
            let objects = &sets[set].versions[version];
            sets[set]
                .tracker
                .replace(objects, ReplaceOptions::default())
        };
        load.call(2, &[set as u8]);
        old.push_back((replaced.unwrap(), load.look()));
        let now = load.look();
        // Twice: what was seen may have been the end of a turn that began before.
        let is_left = |then: &Vec<u64>| then.iter().zip(&now).all(|(then, now)| *now > then + 1);
        while old.front().is_some_and(|(_, then)| is_left(then)) {
            let removal = old.pop_front().unwrap().0.retire().unwrap();
            assert!(matches!(
                removal,
                Removal::Released | Removal::Deferred { guards: 0, .. }
            ));
        }
        assert!(it.app.symbol(&format!("f{}", round % sets.len())).is_ok());
    }
    load.call(3, &[]);
    load.look();
}

#[test]
fn variables_keep_their_values_in_another_process() {
    let it = Fixture::on(Executor::spawn().unwrap());
    let source = |step: i32| {
        format!(
            "struct result {{ long value; unsigned long size; }}; static long count; static _Thread_local long mine = 5; \
             struct result next(const char *data, unsigned long size) \
             {{ count += {step}; mine++; return (struct result){{count * 1000 + mine, 8}}; }}"
        )
    };
    let tracker = it.tracker(&[("next.c", &source(1))]);
    let next = it.app.symbol("next").unwrap();
    let call = || {
        // SAFETY: the source above.
        let answer = unsafe { it.jit.call_wrapper(&next, &[]) }.unwrap();
        u64::from_le_bytes(answer.try_into().unwrap())
    };
    assert_eq!((call(), call()), (1006, 2007));
    let old = it.replace(&tracker, &[("next.c", &source(100))]).unwrap();
    assert_eq!(call(), 102_008);
    let _ = old.retire().unwrap();
    let other = "struct result { long value; unsigned long size; }; static int count[5]; \
                 struct result next(const char *data, unsigned long size) { return (struct result){++count[3], 8}; }";
    let refused = it.replace(&tracker, &[("next.c", other)]).err().unwrap();
    assert!(refused.to_string().contains("count"), "{refused}");
    assert_eq!(call(), 202_009);
}
