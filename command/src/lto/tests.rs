//! Symbol tables as compilers write them, and damaged.

use super::surrogate;
use super::symbols::{Producer, Sort, Summary, Symbol, read};

/// What this source's symbols are to a compiler's LTO.
const SOURCE: &str = "int plain(int), null(void) __attribute__((weak));\n\
    __attribute__((weak)) int weak(void) { return plain(1); }\n\
    int defined = 1; int common __attribute__((common));\n\
    static int local(void) { return null ? null() : weak(); }\n\
    int main(void) { return local() + defined + common; }\n";

fn compile(compiler: &str, flags: &[&str]) -> Option<Vec<u8>> {
    let dir = tempfile::tempdir().unwrap();
    let (source, object) = (dir.path().join("a.c"), dir.path().join("a.o"));
    std::fs::write(&source, SOURCE).unwrap();
    let mut command = std::process::Command::new(compiler);
    command
        .args(flags)
        .arg("-c")
        .arg(&source)
        .arg("-o")
        .arg(&object);
    let compiled = command.status().ok()?.success();
    compiled.then(|| std::fs::read(object).unwrap())
}

#[track_caller]
fn check(bytes: &[u8], producer: impl Fn(Producer) -> bool) {
    let summary = read(bytes).expect("internal code").expect("a table");
    assert!(producer(summary.producer), "{summary:?}");
    let mut found: Vec<(String, Sort)> = summary
        .symbols
        .iter()
        .map(|Symbol { name, sort }| (String::from_utf8(name.clone()).unwrap(), *sort))
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    let expected = [
        ("common", Sort::Common),
        ("defined", Sort::Defined),
        ("main", Sort::Defined),
        ("null", Sort::WeaklyUndefined),
        ("plain", Sort::Undefined),
        ("weak", Sort::WeaklyDefined),
    ];
    assert_eq!(found, expected.map(|(name, sort)| (name.to_owned(), sort)));
    for size in 0..bytes.len() {
        // Whatever is left of it: an answer.
        let _: Option<Result<Summary, String>> = read(&bytes[..size]);
    }
}

#[test]
fn gccs_table() {
    if let Some(bytes) = compile("gcc", &["-flto"]) {
        check(&bytes, |producer| producer == Producer::Gcc);
    }
    if let Some(fat) = compile("gcc", &["-flto", "-ffat-lto-objects"]) {
        assert_eq!(read(&fat), None);
    }
    if let Some(plain) = compile("gcc", &[]) {
        assert_eq!(read(&plain), None);
    }
}

#[test]
fn llvms_table() {
    for flags in [
        ["-flto", "-O1"],
        ["-flto=thin", "-O0"],
        ["-emit-llvm", "-O2"],
    ] {
        if let Some(bytes) = compile("clang-22", &flags) {
            check(&bytes, |producer| producer == Producer::Llvm(Some(22)));
        }
    }
}

#[test]
fn surrogates_have_the_symbols() {
    let names = Default::default();
    let symbol = |name: &str, sort| Symbol {
        name: name.into(),
        sort,
    };
    let symbols = [
        symbol("a", Sort::Defined),
        symbol("b", Sort::WeaklyDefined),
        symbol("c", Sort::Undefined),
        symbol("d", Sort::WeaklyUndefined),
        symbol("e", Sort::Common),
    ];
    let (archive, places) = surrogate::archive([
        (
            "a name of more than sixteen letters.o",
            &surrogate::object(&symbols)[..],
        ),
        ("odd", b"odd"),
        ("b.o", &surrogate::object(&[])),
    ]);
    let input = std::sync::Arc::new(orc_inputs::input::OwnedBytes::from(archive));
    let objects = orc_inputs::format::ReadObjects::new(orc_jit::formats(), &names);
    let archive = orc_inputs::archive::Archive::new("s.a", input, &objects).unwrap();
    let contents = archive.contents().unwrap();
    assert_eq!((contents.len(), places.len()), (3, 3));
    assert_eq!(contents[0].0, "a name of more than sixteen letters.o");
    assert_eq!(contents[1].1.bytes(), b"odd");
    use jit_core::object::LazyObjects as _;
    let object = archive.load(0).unwrap();
    let interface = object.interface();
    let defined = interface.definitions.iter().map(|d| names.text(d.name));
    assert_eq!(defined.collect::<Vec<_>>(), ["a", "b", "e"]);
    let referred = interface
        .references
        .iter()
        .map(|r| (names.text(r.name), r.weak));
    let expected = [("c", false), ("d", true)].map(|(name, weak)| (name.to_owned(), weak));
    assert_eq!(referred.collect::<Vec<_>>(), expected);
}
