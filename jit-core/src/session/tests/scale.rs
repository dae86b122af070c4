//! Costs are linear in what is linked, and do not depend on what the session holds: held by counting
//! how often symbol tables are read, not by the clock.

use std::sync::atomic::Ordering;

use super::mock::{FailAt, Fixture};

/// A ladder: object `n` defines `f<n>` and an inline function all share, and calls `f<n+1>`.
fn add_ladder(f: &Fixture, from: usize, count: usize, width: usize) {
    for at in from..from + count {
        let mut object = f
            .object(&format!("{at}.o"))
            .strong(&format!("f{at}"))
            .comdat("inl");
        for next in at + 1..=(at + width).min(from + count - 1) {
            object = object.needs(&format!("f{next}"));
        }
        f.add(object.needs("inl"));
    }
}

fn reads_of_a_lookup(f: &Fixture, name: &str) -> usize {
    let before = f.reads.load(Ordering::Relaxed);
    f.find(name).expect("links");
    f.reads.load(Ordering::Relaxed) - before
}

#[test]
fn a_lookup_is_linear_in_objects() {
    let mut costs = Vec::new();
    for count in [1_000, 10_000] {
        let f = Fixture::new();
        add_ladder(&f, 0, count, 30);
        costs.push(reads_of_a_lookup(&f, "f0"));
        assert_eq!(f.linked().concat().len(), count);
    }
    assert!(costs[1] <= costs[0] * 11, "{costs:?}");
}

#[test]
fn a_chain_that_needs_a_wave_per_object() {
    let f = Fixture::new();
    add_ladder(&f, 0, 10_000, 1);
    let cost = reads_of_a_lookup(&f, "f0");
    assert!(cost < 40 * 10_000, "{cost}");
}

#[test]
fn adding_one_object_costs_the_same_in_a_full_session() {
    let f = Fixture::new();
    add_ladder(&f, 0, 1, 1);
    let empty = reads_of_a_lookup(&f, "f0");
    add_ladder(&f, 1, 20_000, 30);
    f.find("f1").expect("links");
    let before = f.reads.load(Ordering::Relaxed);
    add_ladder(&f, 50_000, 1, 1);
    let added = f.reads.load(Ordering::Relaxed) - before;
    assert!(added < 30, "{added}");
    let full = reads_of_a_lookup(&f, "f50000");
    assert!(full <= empty + 10, "{empty} {full}");
}

#[test]
fn a_large_batch_fails_and_recovers() {
    let f = Fixture::new();
    add_ladder(&f, 0, 5_000, 10);
    *f.linker.fail_at.lock() = FailAt::AfterResolved;
    assert!(f.find("f0").is_err());
    *f.linker.fail_at.lock() = FailAt::Nowhere;
    f.find("f0").expect("links");
    f.session.close().expect("releases");
    assert_eq!(f.live(), 0);
}
