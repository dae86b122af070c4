//! Which of several definitions is in force.

use super::mock::Fixture;
use crate::batch::Resolution;
use crate::error::LinkError;
use crate::object::{Claims, Linkage, SymbolKind};
use crate::session::{AbsoluteSymbol, Reexport};
use orc_shared::ExecutorAddr;

/// The claims of an object in the last batch.
fn claims(f: &Fixture, object: &str) -> Claims {
    let seen = f.linker.seen.lock();
    let last = seen.last().expect("something was linked");
    let at = last.objects.iter().position(|name| name == object);
    last.claims[at.expect("it was linked")].clone()
}

#[test]
fn strong_wins_over_weak_in_either_order() {
    for strong_first in [false, true] {
        let f = Fixture::new();
        let weak = f.object("weak.o").weak("x").strong("w").done();
        let strong = f.object("strong.o").strong("x").done();
        let mut objects = [weak, strong];
        if strong_first {
            objects.reverse();
        }
        for object in objects {
            f.main.add_object(object).expect("no clash");
        }
        f.find("x").expect("links");
        assert_eq!(f.linked(), [["strong.o"]]);
        f.find("w").expect("links");
        assert_eq!(claims(&f, "weak.o").lost_symbols, [10]);
        assert!(matches!(f.meaning("x"), Resolution::Address { .. }));
    }
}

#[test]
fn two_strong_definitions_name_both_objects_and_change_nothing() {
    let f = Fixture::new();
    f.add(f.object("a.o").strong("_Z3foov").strong("x"));
    let clash = f
        .object("b.o")
        .strong("y")
        .strong("_Z3foov")
        .strong("x")
        .done();
    let error = f.main.add_object(clash).expect_err("clashes");
    assert_eq!(
        error.to_string(),
        "duplicate definition of foo() (_Z3foov): in a.o and in b.o\n\
         duplicate definition of x: in a.o and in b.o"
    );
    assert!(f.find("y").is_err());
    f.find("x").expect("links");
    assert_eq!(f.linked(), [["a.o"]]);
}

#[test]
fn first_weak_wins_and_the_loser_refers_to_it() {
    let f = Fixture::new();
    f.add(f.object("a.o").weak("x"));
    f.add(f.object("b.o").weak("x").strong("b"));
    f.find("b").expect("links");
    assert_eq!(f.linked(), [["a.o", "b.o"]]);
    assert!(matches!(
        f.meaning("x"),
        Resolution::InBatch { unit: 0, .. }
    ));
}

#[test]
fn first_group_with_a_signature_is_kept() {
    let f = Fixture::new();
    f.add(f.object("a.o").comdat("inl").strong("a"));
    f.add(
        f.object("b.o")
            .comdat("other")
            .comdat("inl")
            .strong("b")
            .needs("a"),
    );
    f.find("b").expect("links");
    assert!(claims(&f, "a.o").lost_groups.is_empty());
    let lost = claims(&f, "b.o");
    assert_eq!(lost.lost_groups, [1]);
    assert_eq!(lost.lost_symbols, [11]);
}

#[test]
fn the_largest_common_symbol_is_allocated_by_the_first() {
    let f = Fixture::new();
    f.add(f.object("a.o").common("c", 4, 4));
    f.add(f.object("b.o").common("c", 16, 2).strong("b"));
    f.find("b").expect("links");
    assert_eq!(claims(&f, "a.o").commons, [(10, 16, 4)]);
    assert!(claims(&f, "b.o").commons.is_empty());
    let larger = f.object("c.o").common("c", 32, 4).done();
    let error = f.main.add_object(larger).expect_err("is linked");
    assert!(
        error
            .to_string()
            .contains("linked already with a smaller size"),
        "{error}"
    );
    f.add(f.object("d.o").common("c", 8, 1).strong("d"));
    f.find("d").expect("links");
    assert_eq!(claims(&f, "d.o").lost_symbols, [10]);
}

#[test]
fn any_other_definition_replaces_a_common_symbol() {
    let f = Fixture::new();
    f.add(f.object("a.o").common("c", 4, 4).strong("a"));
    f.add(f.object("b.o").strong("c"));
    f.find("a").expect("links");
    assert_eq!(f.linked(), [["a.o", "b.o"]]);
    assert_eq!(claims(&f, "a.o").lost_symbols, [10]);
}

#[test]
fn a_linked_weak_definition_stays() {
    let f = Fixture::new();
    f.add(f.object("a.o").weak("x"));
    f.find("x").expect("links");
    let strong = f.object("b.o").strong("x").done();
    let error = f.main.add_object(strong).expect_err("is linked");
    assert!(matches!(error, LinkError::DuplicateDefinitions(_)));
    assert!(error.to_string().contains("linked already"), "{error}");
}

#[test]
fn weak_absolute_symbols_and_reexports_give_way() {
    let f = Fixture::new();
    let tracker = f.main.default_tracker();
    let absolute = AbsoluteSymbol {
        name: f.name("abs"),
        addr: ExecutorAddr::new(0x1234),
        kind: SymbolKind::Data,
        weak: true,
    };
    let reexport = Reexport {
        alias: f.name("alias"),
        dylib: f.main.clone(),
        name: f.name("abs"),
        linkage: Linkage::Weak,
    };
    tracker.add_absolute(&[absolute]).expect("no clash");
    tracker.add_reexports(&[reexport]).expect("no clash");
    assert_eq!(f.find("alias").expect("known"), 0x1234);

    let strong = f.object("b.o").strong("abs").strong("alias").done();
    let later = f.main.new_tracker();
    later.add_object(strong).expect("the old ones are weak");
    let (abs, alias) = (
        f.find("abs").expect("links"),
        f.find("alias").expect("links"),
    );
    assert!(abs != 0x1234 && alias != abs, "{abs:#x} {alias:#x}");

    later.remove().expect("nothing needs it");
    assert_eq!(f.find("alias").expect("is back"), 0x1234);
}

#[test]
fn a_pulled_member_replaces_a_weak_definition_of_its_batch() {
    let f = Fixture::new();
    f.add(f.object("a.o").weak("x").strong("a").needs("m"));
    let member = f.object("m.o").strong("m").strong("x").done();
    f.main
        .add_archive(f.archive("lib.a", vec![member]))
        .expect("is live");
    f.find("a").expect("links");
    assert_eq!(f.linked(), [["a.o", "m.o"]]);
    assert_eq!(claims(&f, "a.o").lost_symbols, [10]);
    assert!(matches!(
        f.meaning("x"),
        Resolution::InBatch { unit: 1, .. }
    ));
}
