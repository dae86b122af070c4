//! Failed links leave the session as it was.

use super::mock::{FailAt, Fixture};
use crate::error::LinkError;

const ALL: [FailAt; 5] = [
    FailAt::Start,
    FailAt::AfterResolved,
    FailAt::AfterDependencies,
    FailAt::Silently,
    FailAt::Panic,
];

#[test]
fn a_failure_at_any_step_is_rolled_back() {
    for fail_at in ALL {
        let f = Fixture::new();
        f.add(f.object("a.o").strong("a").needs("m").weak("w"));
        f.add(f.object("b.o").strong("b").needs("a"));
        let member = f.object("m.o").strong("m").done();
        let archive = f.archive("l.a", vec![member]);
        f.main.add_archive(archive).expect("is live");
        *f.linker.fail_at.lock() = fail_at;
        for _ in 0..2 {
            let error = f.find("a").expect_err("fails");
            assert!(
                matches!(error, LinkError::Internal(_)),
                "{fail_at:?}: {error}"
            );
            assert_eq!(f.live(), 0, "{fail_at:?}");
        }
        *f.linker.fail_at.lock() = FailAt::Nowhere;
        f.find("b").expect("links now");
        assert_eq!(f.linked().last().expect("some"), &["a.o", "b.o", "m.o"]);
        assert_eq!(f.live(), 1);
    }
}

#[test]
fn missing_symbols_leave_nothing_claimed() {
    let f = Fixture::new();
    f.add(f.object("a.o").strong("a").needs("b").needs("late"));
    f.add(f.object("b.o").strong("b"));
    assert!(matches!(f.find("a"), Err(LinkError::MissingSymbols(_))));
    assert!(f.linked().is_empty());
    f.find("b").expect("links alone");
    f.add(f.object("late.o").strong("late"));
    f.find("a").expect("links now");
    assert_eq!(f.linked(), [vec!["b.o"], vec!["a.o", "late.o"]]);
}

#[test]
fn a_member_pulled_in_vain_yields_to_an_object() {
    let f = Fixture::new();
    f.add(f.object("a.o").strong("a").needs("m").needs("late"));
    let member = f.object("m.o").strong("m").strong("other").done();
    f.main
        .add_archive(f.archive("l.a", vec![member]))
        .expect("is live");
    assert!(f.find("a").is_err());
    f.add(f.object("own.o").strong("m"));
    f.add(f.object("late.o").strong("late"));
    f.find("a").expect("links");
    assert_eq!(f.linked(), [["a.o", "own.o", "late.o"]]);
    let error = f.find("other").expect_err("m.o defines m a second time");
    assert_eq!(
        error.to_string(),
        "duplicate definition of m: in own.o and in m.o"
    );
}

#[test]
fn errors_of_release_reach_the_handler_or_the_caller() {
    let f = Fixture::new();
    f.add(f.object("a.o").strong("a"));
    let guard = f.main.lookup_one("a").expect("links");
    *f.linker.memory.fail_release.lock() = true;
    f.main.default_tracker().remove().expect("is deferred");
    drop(guard);
    assert_eq!(*f.errors.lock(), ["munmap failed"]);
    f.add(f.object("b.o").strong("b"));
    f.find("b").expect("links");
    let error = f.main.default_tracker().remove().expect_err("fails");
    assert_eq!(error.to_string(), "munmap failed");
    assert_eq!(f.live(), 0);
}

#[test]
fn undefined_references_can_be_allowed() {
    let f = Fixture::new();
    f.add(f.object("a.o").strong("a").needs("nowhere"));
    let options = crate::session::LookupOptions {
        undefined_allowed: true,
        ..Default::default()
    };
    f.main.lookup_with(&[f.name("a")], &options).expect("links");
    let options = crate::session::LookupOptions {
        names_may_be_missing: true,
        ..Default::default()
    };
    let names = [f.name("a"), f.name("nothing")];
    let symbols = f.main.lookup_with(&names, &options).expect("links");
    assert!(!symbols[0].addr().is_null());
    assert!(symbols[1].addr().is_null());
}
