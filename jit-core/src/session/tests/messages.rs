//! Error texts, as a person reads them.

use super::mock::Fixture;
use crate::error::LinkError;

#[test]
fn all_missing_symbols_are_told_at_once() {
    let f = Fixture::new();
    for at in 0..8 {
        let object = format!("o{at}.o");
        let next = format!("f{}", at + 1);
        f.add(
            f.object(&object)
                .strong(&format!("f{at}"))
                .needs("_Z3fooi")
                .needs(&next),
        );
    }
    f.add(
        f.object("f8.o")
            .strong("f8")
            .needs("zlibVersion")
            .strong("_Z3fool"),
    );
    let members = vec![f.object("z.o").strong("zlibVersions").done()];
    f.main
        .add_archive(f.archive("libz.a", members))
        .expect("is live");
    let libc = f.session.add_dylib("process");
    f.main.add_to_link_order(&libc).unwrap();
    let error = f.find("f0").expect_err("two are missing");
    assert_eq!(
        error.to_string(),
        "\
undefined symbol: foo(int) (_Z3fooi)
  referenced by o0.o, o1.o, o2.o, o3.o, o4.o and 3 more
  did you mean foo(long) (_Z3fool), defined in f8.o?
undefined symbol: zlibVersion
  referenced by f8.o
  did you mean zlibVersions, defined in libz.a?
searched: main, process"
    );
    let LinkError::MissingSymbols(missing) = error else {
        panic!("wrong kind");
    };
    assert_eq!(missing.symbols.len(), 2);
    assert_eq!(missing.symbols[0].name, b"_Z3fooi");
    assert_eq!(missing.symbols[0].more_references, 3);
}

#[test]
fn the_same_function_with_other_parameters_is_suggested() {
    let f = Fixture::new();
    f.add(f.object("def.o").strong("_ZN2ns4openEPKcib"));
    f.add(f.object("use.o").strong("use").needs("_ZN2ns4openEv"));
    let text = f.find("use").expect_err("is missing").to_string();
    assert!(
        text.contains(
            "did you mean ns::open(char const*, int, bool) (_ZN2ns4openEPKcib), defined in def.o?"
        ),
        "{text}"
    );
}

#[test]
fn a_name_that_only_the_client_wants() {
    let f = Fixture::new();
    let error = f.find("main").expect_err("is missing");
    assert_eq!(error.to_string(), "undefined symbol: main\nsearched: main");
}

#[test]
fn suggestions_are_bounded() {
    let f = Fixture::new();
    let mut object = f.object("many.o");
    for at in 0..60_000 {
        object = object.strong(&format!("a_rather_long_name_of_a_function_{at}"));
    }
    f.add(object);
    let mut user = f.object("user.o").strong("user");
    for at in 0..200 {
        user = user.needs(&format!("a_rather_long_name_of_a_functiom_{at}"));
    }
    f.add(user);
    let start = std::time::Instant::now();
    let error = f.find("user").expect_err("all are missing");
    assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
    let LinkError::MissingSymbols(missing) = error else {
        panic!("wrong kind");
    };
    assert_eq!(missing.symbols.len(), 200);
}
