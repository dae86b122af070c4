//! What a lookup links, and what it answers.

use std::sync::Arc;

use super::mock::{FakePlatform, Fixture};
use crate::batch::{Resolution, UnitId};
use crate::error::LinkError;
use crate::graph::SymbolId;
use crate::object::{Linkage, SymbolKind};
use crate::platform::LinkerDefined;
use crate::session::{AbsoluteSymbol, LookupOptions, ProgramOptions, Reexport};
use orc_shared::ExecutorAddr;

#[test]
fn links_what_is_needed_once() {
    let f = Fixture::new();
    f.add(f.object("a.o").strong("a").needs("b"));
    f.add(f.object("b.o").strong("b").needs("a"));
    f.add(f.object("c.o").strong("c"));
    let a = f.find("a").expect("links");
    assert_eq!(f.linked(), [["a.o", "b.o"]]);
    assert_eq!(f.find("a").expect("is ready"), a);
    assert_ne!(f.find("b").expect("is ready"), a);
    assert_eq!(f.linked().len(), 1);
    f.find("c").expect("links");
    assert_eq!(f.linked()[1], ["c.o"]);
}

#[test]
fn answers_refer_into_the_batch_or_to_addresses() {
    let f = Fixture::new();
    f.add(f.object("a.o").strong("a0").strong("a1"));
    let a1 = f.find("a1").expect("links");
    f.add(
        f.object("b.o")
            .strong("b")
            .needs("a1")
            .needs("c")
            .needs("_end")
            .may_use("nowhere"),
    );
    f.add(f.object("c.o").strong("c"));
    f.find("b").expect("links");
    assert!(matches!(
        f.meaning("a1"),
        Resolution::Address { addr, kind: SymbolKind::Function } if addr.value() == a1
    ));
    assert!(matches!(
        f.meaning("c"),
        Resolution::InBatch {
            unit: 1,
            symbol: SymbolId(10)
        }
    ));
    assert!(matches!(
        f.meaning("_end"),
        Resolution::Linker(LinkerDefined::ImageEnd)
    ));
    assert!(matches!(f.meaning("nowhere"), Resolution::Null));
}

#[test]
fn each_dylib_has_its_platform() {
    let f = Fixture::new();
    let other = Arc::new(FakePlatform("image_end"));
    let other = f.session.add_dylib_for("other", other);
    let object = f.object("o.o").strong("o").needs("image_end");
    let added = other.add_object(object.may_use("_end").done());
    added.expect("nothing is defined twice");
    other.lookup_one("o").expect("links");
    assert!(matches!(
        f.meaning("image_end"),
        Resolution::Linker(LinkerDefined::ImageEnd)
    ));
    assert!(matches!(f.meaning("_end"), Resolution::Null));
    f.add(
        f.object("m.o")
            .strong("m")
            .needs("_end")
            .may_use("image_end"),
    );
    f.find("m").expect("links");
    assert!(matches!(
        f.meaning("_end"),
        Resolution::Linker(LinkerDefined::ImageEnd)
    ));
    assert!(matches!(f.meaning("image_end"), Resolution::Null));
    f.session.close_dylib(&other).expect("it is closed");
}

#[test]
fn units_are_in_link_order() {
    let f = Fixture::new();
    for at in 0..20 {
        let (name, next) = (format!("f{at}"), format!("f{}", (at + 7) % 20));
        f.add(f.object(&format!("{at:02}.o")).strong(&name).needs(&next));
    }
    f.find("f11").expect("links");
    let linked = f.linked().concat();
    assert_eq!(linked.len(), 20);
    assert!(linked.is_sorted());
}

#[test]
fn link_order_skips_hidden_definitions() {
    let f = Fixture::new();
    let lib = f.session.add_dylib("lib");
    lib.add_object(f.object("l.o").hidden("secret").strong("open").done())
        .expect("no clash");
    f.main.add_to_link_order(&lib).unwrap();
    f.find("open").expect("links");
    let error = f.find("secret").expect_err("hidden");
    let text = error.to_string();
    assert!(
        text.contains("note: l.o of dylib \"lib\" defines it, but hidden"),
        "{text}"
    );
    lib.lookup_one("secret").expect("its own");
}

#[test]
fn absolute_symbols_and_reexports() {
    let f = Fixture::new();
    let lib = f.session.add_dylib("lib");
    let absolute = AbsoluteSymbol {
        name: f.name("abs"),
        addr: ExecutorAddr::new(0x1234),
        kind: SymbolKind::Data,
        weak: false,
    };
    lib.default_tracker()
        .add_absolute(&[absolute])
        .expect("no clash");
    lib.add_object(f.object("l.o").strong("real").done())
        .expect("no clash");
    let reexport = |alias, name| Reexport {
        alias: f.name(alias),
        dylib: lib.clone(),
        name: f.name(name),
        linkage: Linkage::Strong,
    };
    let tracker = f.main.default_tracker();
    tracker
        .add_reexports(&[reexport("alias", "real"), reexport("number", "abs")])
        .expect("no clash");
    assert_eq!(f.find("number").expect("known"), 0x1234);
    let alias = f.find("alias").expect("links");
    assert_eq!(lib.lookup_one("real").expect("ready").addr().value(), alias);
    f.add(
        f.object("u.o")
            .strong("user")
            .needs("alias")
            .needs("number"),
    );
    f.find("user").expect("links");
    assert!(
        matches!(f.meaning("number"), Resolution::Address { addr, .. } if addr.value() == 0x1234)
    );
}

#[test]
fn reexport_cycles_are_errors() {
    let f = Fixture::new();
    let reexport = |alias, name| Reexport {
        alias: f.name(alias),
        dylib: f.main.clone(),
        name: f.name(name),
        linkage: Linkage::Strong,
    };
    let tracker = f.main.default_tracker();
    tracker
        .add_reexports(&[reexport("x", "y"), reexport("y", "x")])
        .expect("no clash");
    assert!(matches!(f.find("x"), Err(LinkError::ReexportCycle { .. })));
}

#[test]
fn programs_link_every_object_and_initializers_on_request() {
    let f = Fixture::new();
    f.add(f.object("main.o").strong("main"));
    f.add(f.object("init.o").initializers());
    f.add(f.object("plain.o").strong("plain"));
    f.find("main").expect("links");
    let options = LookupOptions {
        initializers: true,
        ..LookupOptions::default()
    };
    f.main.lookup_with(&[], &options).expect("links");
    f.main.lookup_with(&[], &options).expect("nothing is left");
    let main = f.name("main");
    f.main
        .link_program(&[main], ProgramOptions::default())
        .expect("links");
    assert_eq!(f.linked(), [["main.o"], ["init.o"], ["plain.o"]]);
    assert!(f.linker.seen.lock()[2].program);
}

#[test]
fn pending_is_for_units_of_others_only() {
    let f = Fixture::new();
    f.add(f.object("a.o").strong("a").needs("a2"));
    f.add(f.object("a2.o").strong("a2"));
    f.find("a").expect("links");
    let seen = f.linker.seen.lock();
    let pending = |m: &Resolution| {
        matches!(
            m,
            Resolution::Pending {
                unit: UnitId(_),
                ..
            }
        )
    };
    assert!(!seen[0].meanings.iter().any(|(_, m)| pending(m)));
}
