//! Archives and libraries: members by need, order among providers.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::mock::{FakeLibrary, Fixture};
use crate::batch::Resolution;
use crate::error::LinkError;
use crate::session::{Dylib, Generator, Wanted};

fn library(name: &str, symbols: &[&'static str]) -> Arc<FakeLibrary> {
    Arc::new(FakeLibrary {
        name: name.to_owned(),
        symbols: symbols.to_vec(),
    })
}

#[test]
fn members_are_pulled_by_need() {
    let f = Fixture::new();
    f.add(f.object("a.o").strong("a").needs("m1").may_use("m3"));
    let members = vec![
        f.object("l.a(0)").strong("m0").done(),
        f.object("l.a(1)").strong("m1").needs("m2").done(),
        f.object("l.a(2)").strong("m2").needs("a").done(),
        f.object("l.a(3)").strong("m3").done(),
    ];
    let archive = f.archive("l.a", members);
    f.main.add_archive(archive.clone()).expect("is live");
    f.find("a").expect("links");
    assert_eq!(f.linked(), [["a.o", "l.a(1)", "l.a(2)"]]);
    assert_eq!(archive.loads.load(Ordering::Relaxed), 2);
    assert!(
        matches!(f.meaning("m3"), Resolution::Null),
        "weak references pull nothing"
    );
    f.find("m3").expect("links");
    assert_eq!(f.linked()[1], ["l.a(3)"]);
}

#[test]
fn a_strong_reference_after_a_weak_one_pulls() {
    let f = Fixture::new();
    f.add(f.object("a.o").strong("a").may_use("m").needs("b"));
    f.add(f.object("b.o").strong("b").needs("n"));
    let members = vec![
        f.object("m.o").strong("m").done(),
        f.object("n.o").strong("n").needs("m").done(),
    ];
    f.main
        .add_archive(f.archive("l.a", members))
        .expect("is live");
    f.find("a").expect("links");
    let linked = f.linked().concat();
    assert!(linked.contains(&"m.o".to_owned()));
    assert!(matches!(f.meaning("m"), Resolution::InBatch { .. }));
}

#[test]
fn a_weak_reference_finds_what_others_pulled() {
    let f = Fixture::new();
    f.add(f.object("a.o").strong("a").may_use("extra").needs("m"));
    let member = f.object("m.o").strong("m").strong("extra").done();
    f.main
        .add_archive(f.archive("l.a", vec![member]))
        .expect("is live");
    f.find("a").expect("links");
    assert!(matches!(
        f.meaning("extra"),
        Resolution::InBatch { unit: 1, .. }
    ));
}

#[test]
fn the_first_provider_of_a_name_wins_and_objects_win_over_all() {
    let f = Fixture::new();
    let one = f.archive("1.a", vec![f.object("1.o").strong("x").done()]);
    let two = f.archive(
        "2.a",
        vec![f.object("2.o").strong("x").strong("y").strong("z").done()],
    );
    f.main.add_archive(one).expect("is live");
    f.main
        .add_library(library("lib.so", &["x", "y", "w"]), None)
        .expect("is live");
    f.main.add_archive(two).expect("is live");
    f.add(f.object("a.o").strong("a").needs("x").needs("y").needs("w"));
    f.add(f.object("w.o").strong("w"));
    f.find("a").expect("links");
    assert_eq!(f.linked(), [["1.o", "a.o", "w.o"]]);
    let Resolution::Native(native) = f.meaning("y") else {
        panic!("the library comes before the second archive");
    };
    assert_eq!(native.name, b"y");
    assert!(!native.weak);
    let error = f.find("z").expect_err("2.o defines x a second time");
    assert!(
        matches!(error, LinkError::DuplicateDefinitions(_)),
        "{error}"
    );
}

#[test]
fn lookups_bind_library_symbols_and_open_the_library() {
    let f = Fixture::new();
    f.main
        .add_library(library("lib.so", &["open", "puts"]), None)
        .expect("is live");
    assert_eq!(f.find("puts").expect("is bound"), 0xf004);
    assert_eq!(*f.executor.opened.lock(), ["lib.so"]);
    assert!(f.linked().is_empty());
}

#[test]
fn a_broken_member_fails_the_lookup_and_nothing_else() {
    let f = Fixture::new();
    let archive = f.archive("l.a", vec![f.object("m.o").strong("m").done()]);
    f.main.add_archive(archive.clone()).expect("is live");
    f.add(f.object("a.o").strong("a").needs("m"));
    f.add(f.object("b.o").strong("b"));
    archive.broken.lock().push(0);
    let error = f.find("a").expect_err("broken");
    assert_eq!(error.to_string(), "l.a(#0): truncated");
    f.find("b").expect("links");
    archive.broken.lock().clear();
    f.find("a").expect("links now");
}

#[test]
fn an_index_that_lies_is_not_believed_twice() {
    let f = Fixture::new();
    let mut archive = f.archive("l.a", vec![f.object("m.o").strong("m").done()]);
    let ghost = f.name("ghost");
    Arc::get_mut(&mut archive)
        .expect("not shared")
        .index
        .push((ghost, 0));
    f.main.add_archive(archive).expect("is live");
    assert!(matches!(f.find("ghost"), Err(LinkError::MissingSymbols(_))));
    f.find("m").expect("links");
}

#[test]
fn names_that_a_program_keeps_pull_members() {
    let f = Fixture::new();
    f.add(f.object("main.o").strong("main").may_use("weak"));
    let members = ["kept", "weak", "other"].map(|name| {
        let object = f.object(&format!("{name}.o"));
        object.strong(name).done()
    });
    f.main
        .add_archive(f.archive("l.a", members.into()))
        .expect("is live");
    let options = crate::session::ProgramOptions {
        keep: vec![f.name("kept"), f.name("defined_nowhere")],
        ..Default::default()
    };
    f.main
        .link_program(&[f.name("main")], options)
        .expect("links: what is kept may be missing");
    assert_eq!(f.linked(), [["main.o", "kept.o"]]);
}

#[test]
fn whole_archives_are_objects() {
    let f = Fixture::new();
    let members = vec![
        f.object("0.o").initializers().done(),
        f.object("1.o").strong("m1").done(),
    ];
    let archive = f.archive("l.a", members);
    f.main
        .default_tracker()
        .add_whole_archive(&*archive)
        .expect("is readable");
    f.main
        .link_program(&[], crate::session::ProgramOptions::default())
        .expect("links");
    assert_eq!(f.linked(), [["0.o", "1.o"]]);
}

struct Numbers;

impl Generator for Numbers {
    fn name(&self) -> &str {
        "numbers"
    }

    fn generate(&self, dylib: &Dylib, wanted: &[Wanted]) -> Result<(), LinkError> {
        for wanted in wanted {
            let session = dylib.session();
            let text = session.names().text(wanted.name);
            let Some(number) = text.strip_prefix("number_") else {
                continue;
            };
            let value = number.parse().map_err(|_| LinkError::Client {
                who: "numbers".to_owned(),
                message: format!("{number} is no number"),
            })?;
            let symbol = crate::session::AbsoluteSymbol {
                name: wanted.name,
                addr: orc_shared::ExecutorAddr::new(value),
                kind: crate::object::SymbolKind::Data,
                weak: true,
            };
            dylib.default_tracker().add_absolute(&[symbol])?;
        }
        Ok(())
    }
}

#[test]
fn generators_are_asked_for_what_is_missing() {
    let f = Fixture::new();
    f.main.add_generator(Arc::new(Numbers));
    f.add(
        f.object("a.o")
            .strong("a")
            .needs("number_7")
            .may_use("number_8"),
    );
    f.find("a").expect("links");
    assert!(matches!(f.meaning("number_7"), Resolution::Address { addr, .. } if addr.value() == 7));
    assert!(matches!(f.meaning("number_8"), Resolution::Address { addr, .. } if addr.value() == 8));
    assert_eq!(
        f.find("number_x").expect_err("fails").to_string(),
        "numbers: x is no number"
    );
    assert!(matches!(
        f.find("letter"),
        Err(LinkError::MissingSymbols(_))
    ));
}

/// Looks up what it is asked for, instead of adding it.
struct Looping;

impl Generator for Looping {
    fn name(&self) -> &str {
        "looping"
    }

    fn generate(&self, dylib: &Dylib, _: &[Wanted]) -> Result<(), LinkError> {
        dylib.lookup_one("a").map(|_| ())
    }
}

#[test]
fn a_generator_that_waits_for_its_own_lookup_gets_an_error() {
    let f = Fixture::new();
    f.main.add_generator(Arc::new(Looping));
    f.add(f.object("a.o").strong("a").needs("b"));
    let error = f.find("a").expect_err("would wait for itself");
    assert!(matches!(error, LinkError::WaitsForItself), "{error}");
    f.add(f.object("b.o").strong("b"));
    f.find("a").expect("links");
}

#[test]
fn a_member_with_the_values_of_common_symbols_is_looked_into_once() {
    let f = Fixture::new();
    f.add(
        f.object("a.o")
            .strong("a")
            .common("x", 8, 8)
            .common("y", 8, 8),
    );
    let members = vec![
        f.object("tentative.o").common("x", 8, 8).done(),
        f.object("values.o").strong("x").strong("y").done(),
    ];
    let archive = f.archive("l.a", members);
    f.main.add_archive(archive.clone()).expect("is live");
    f.find("a").expect("links");
    assert_eq!(f.linked(), [["a.o", "values.o"]]);
    // Both are read for their symbols, and one again to be linked.
    assert_eq!(archive.loads.load(Ordering::Relaxed), 3);
}
