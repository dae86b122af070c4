//! Removing trackers: names at once, memory when nobody needs it.

use super::mock::Fixture;
use crate::error::LinkError;
use crate::session::{Removal, Tracker};

fn add(f: &Fixture, object: super::mock::ObjectBuilder) -> Tracker {
    let tracker = f.main.new_tracker();
    tracker.add_object(object.done()).expect("no clash");
    tracker
}

#[test]
fn unused_memory_goes_at_once() {
    let f = Fixture::new();
    let a = add(&f, f.object("a.o").strong("a"));
    f.find("a").expect("links");
    assert_eq!(f.live(), 1);
    assert_eq!(a.remove().expect("releases"), Removal::Released);
    assert_eq!(f.live(), 0);
    assert!(matches!(f.find("a"), Err(LinkError::MissingSymbols(_))));
    assert_eq!(a.remove().expect("nothing left"), Removal::Released);
    assert!(matches!(
        a.add_object(f.object("b.o").done()),
        Err(LinkError::Removed { .. })
    ));
    add(&f, f.object("a.o").strong("a"));
    f.find("a").expect("links again");
}

#[test]
fn guards_keep_memory_of_what_they_use_too() {
    let f = Fixture::new();
    let a = add(&f, f.object("a.o").strong("a").needs("b"));
    let b = add(&f, f.object("b.o").strong("b"));
    let guard = f.main.lookup_one("a").expect("links");
    assert_eq!(f.live(), 2);
    let used = Removal::Deferred {
        guards: 0,
        used_by: vec!["a.o".to_owned()],
        thread_destructors: 0,
    };
    assert_eq!(b.remove().expect("is deferred"), used);
    let guarded = Removal::Deferred {
        guards: 1,
        used_by: vec![],
        thread_destructors: 0,
    };
    assert_eq!(a.remove().expect("is deferred"), guarded);
    assert_eq!(f.live(), 2);
    let other = guard.clone();
    drop(guard);
    assert_eq!(f.live(), 2);
    drop(other);
    assert_eq!(f.live(), 0);
}

#[test]
fn the_object_that_uses_it_is_named() {
    let f = Fixture::new();
    let b = add(&f, f.object("b.o").strong("b"));
    let users = f.main.new_tracker();
    for object in [
        f.object("first.o").strong("first"),
        f.object("uses.o").strong("uses").needs("b").needs("first"),
    ] {
        users.add_object(object.done()).expect("no clash");
    }
    f.find("uses").expect("links");
    let used_by = |removal| match removal {
        Ok(Removal::Deferred { used_by, .. }) => used_by,
        other => panic!("{other:?}"),
    };
    assert_eq!(used_by(b.remove()), ["uses.o"]);
    let guard = f.main.lookup_one("first").expect("is ready");
    users.remove().expect("is deferred");
    assert_eq!(used_by(b.remove()), ["uses.o (removed)"]);
    drop(guard);
    assert_eq!(b.remove().expect("went with its user"), Removal::Released);
}

#[test]
fn trackers_that_use_each_other_go_together() {
    let f = Fixture::new();
    let a = add(&f, f.object("a.o").strong("a").needs("b"));
    let b = add(&f, f.object("b.o").strong("b").needs("c"));
    let c = add(&f, f.object("c.o").strong("c").needs("a"));
    f.find("a").expect("links");
    a.remove().expect("is deferred");
    c.remove().expect("is deferred");
    assert_eq!(f.live(), 3);
    assert_eq!(b.remove().expect("releases"), Removal::Released);
    assert_eq!(f.live(), 0);
}

#[test]
fn precise_users_of_a_batch_of_many_trackers() {
    let f = Fixture::new();
    let a = add(&f, f.object("a.o").strong("a").needs("b").needs("c"));
    let b = add(&f, f.object("b.o").strong("b"));
    let c = add(&f, f.object("c.o").strong("c"));
    f.find("a").expect("links");
    assert_eq!(f.linked().len(), 1);
    b.remove().expect("is deferred");
    assert_eq!(a.remove().expect("releases"), Removal::Released);
    assert_eq!(f.live(), 1, "c lives, b went with a");
    f.find("c").expect("is ready");
    c.remove().expect("releases");
    assert_eq!(f.live(), 0);
}

#[test]
fn a_unit_uses_what_its_definition_lost_to_after_it_was_claimed() {
    let f = Fixture::new();
    let loser = f.object("a.o").strong("main").weak("w").needs("m");
    let a = add(&f, loser);
    let m = f.object("m.o").strong("m").needs("n").done();
    let n = f.object("n.o").strong("n").strong("w").done();
    let [first, second] = [("m.a", m), ("n.a", n)].map(|(name, member)| {
        let tracker = f.main.new_tracker();
        tracker
            .add_archive(f.archive(name, vec![member]))
            .expect("is live");
        tracker
    });
    f.find("main").expect("links");
    assert_eq!(f.linked(), [["a.o", "m.o", "n.o"]]);
    let Ok(Removal::Deferred { mut used_by, .. }) = second.remove() else {
        panic!("others use it");
    };
    used_by.sort();
    assert_eq!(used_by, ["a.o", "m.o"]);
    first.remove().expect("is deferred");
    assert_eq!(a.remove().expect("releases"), Removal::Released);
    assert_eq!(f.live(), 0);
}

#[test]
fn losers_come_back_into_force() {
    let f = Fixture::new();
    let a = add(&f, f.object("a.o").comdat("inl").weak("w"));
    add(&f, f.object("b.o").comdat("inl").weak("w"));
    a.remove().expect("releases");
    f.find("inl").expect("links");
    f.find("w").expect("is ready");
    assert_eq!(f.linked(), [["b.o"]]);
    let seen = f.linker.seen.lock();
    assert!(seen[0].claims[0].lost_groups.is_empty());
    assert!(seen[0].claims[0].lost_symbols.is_empty());
}

#[test]
fn a_definition_that_was_strong_gives_way_to_the_weak_one_it_beat() {
    let f = Fixture::new();
    add(&f, f.object("weak.o").weak("x"));
    let strong = add(&f, f.object("strong.o").strong("x"));
    f.find("x").expect("links");
    strong.remove().expect("releases");
    f.find("x").expect("links the weak one");
    assert_eq!(f.linked(), [["strong.o"], ["weak.o"]]);
}

#[test]
fn names_of_archives_become_lazy_again() {
    let f = Fixture::new();
    let member = f.object("m.o").strong("x").done();
    f.main
        .add_archive(f.archive("l.a", vec![member]))
        .expect("is live");
    for _ in 0..2 {
        let own = add(&f, f.object("own.o").strong("x"));
        f.find("x").expect("links");
        own.remove().expect("releases");
    }
    f.find("x").expect("pulls");
    assert_eq!(f.linked(), [["own.o"], ["own.o"], ["m.o"]]);
}

#[test]
fn archives_and_what_they_gave_are_removed() {
    let f = Fixture::new();
    let one = f.archive("1.a", vec![f.object("1.o").strong("x").strong("y").done()]);
    let two = f.archive("2.a", vec![f.object("2.o").strong("x").done()]);
    let tracker = f.main.new_tracker();
    tracker.add_archive(one).expect("is live");
    f.main.add_archive(two).expect("is live");
    f.find("y").expect("pulls");
    tracker.remove().expect("releases");
    assert_eq!(f.live(), 0);
    f.find("x").expect("pulls from the other archive");
    assert!(f.find("y").is_err());
    assert_eq!(f.linked(), [["1.o"], ["2.o"]]);
}

#[test]
fn units_are_reused_and_sessions_give_everything_back() {
    let f = Fixture::new();
    for at in 0..100 {
        let name = format!("f{at}");
        let tracker = add(&f, f.object("x.o").strong(&name).strong("same"));
        f.find(&name).expect("links");
        tracker.remove().expect("releases");
    }
    assert_eq!(f.live(), 0);
    f.add(f.object("a.o").strong("a"));
    let guard = f.main.lookup_one("a").expect("links");
    let memory = f.linker.memory.clone();
    drop(f);
    assert_eq!(memory.live.load(std::sync::atomic::Ordering::Relaxed), 1);
    drop(guard);
    assert_eq!(memory.live.load(std::sync::atomic::Ordering::Relaxed), 0);
}

#[test]
fn removed_dylibs_are_not_searched() {
    let f = Fixture::new();
    let lib = f.session.add_dylib("lib");
    lib.add_object(f.object("l.o").strong("l").done())
        .expect("no clash");
    f.main.add_to_link_order(&lib).unwrap();
    f.find("l").expect("links");
    f.session.close_dylib(&lib).expect("releases");
    assert!(f.find("l").is_err());
    assert!(f.session.find_dylib("lib").is_none());
    assert_eq!(f.main.link_order().len(), 1);
    assert_eq!(f.live(), 0);
}

#[test]
fn a_link_in_flight_of_a_removed_tracker_fails() {
    let f = Fixture::new();
    let tracker = f.main.new_tracker();
    let promise = crate::session::Promise::function(f.name("x"));
    struct Remover(Tracker);
    impl crate::session::Materializer for Remover {
        fn name(&self) -> String {
            "remover".to_owned()
        }
        fn materialize(&self, responsibility: crate::session::Responsibility) {
            self.0.remove().expect("nothing to release yet");
            let error = responsibility.resolve(&[]).expect_err("was removed");
            assert!(matches!(error, LinkError::Removed { .. }), "{error}");
        }
    }
    let unit = std::sync::Arc::new(Remover(tracker.clone()));
    tracker
        .add_materializer(unit, &[promise])
        .expect("no clash");
    f.add(f.object("a.o").strong("a").needs("x"));
    let error = f.find("a").expect_err("x is gone");
    assert_eq!(error.to_string(), "tracker 0 of dylib \"main\" was removed");
    assert_eq!(f.live(), 0);
    assert!(matches!(f.find("a"), Err(LinkError::MissingSymbols(_))));
}
