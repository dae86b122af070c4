//! Rust programs: run from their source, and with `orc-jit` in the place of rustc's linker.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tests::command::{Behaviour, Ending, Invocation};
use tests::compare::orc_jit;
use tests::scratch::Scratch;

/// Ways to compile a crate.
const MODES: &[&[&str]] = &[
    &[],
    &["-O"],
    &["-C", "relocation-model=static"],
    &["-C", "codegen-units=1", "-g"],
];

/// How long cargo may take to build a crate with its dependencies.
const BUILD_LIMIT: Duration = Duration::from_secs(600);

fn rustc() -> PathBuf {
    std::env::var_os("RUSTC").unwrap_or("rustc".into()).into()
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("rust")
        .join(name)
}

/// Compiles `name`, with `flags`, to a program in `scratch`.
fn compile(scratch: &Scratch, name: &str, flags: &[&str]) -> PathBuf {
    let program = scratch.file("program");
    let mut command = Invocation::new([rustc()])
        .arg("--edition=2024")
        .arg("-o")
        .arg(&program)
        .arg(source(name));
    command.argv.extend(flags.iter().map(Into::into));
    let behaviour = command.run_in(scratch.path()).expect("rustc starts");
    assert_eq!(
        behaviour.ending,
        Ending::Exit(0),
        "{}",
        String::from_utf8_lossy(&behaviour.stderr)
    );
    program
}

fn run(scratch: &Scratch, mut invocation: Invocation) -> Behaviour {
    invocation.argv.extend(["first", "second"].map(Into::into));
    invocation
        .env
        .push(("FROM_THE_HARNESS".to_owned(), "set".to_owned()));
    invocation.stdin = b"line one\nline two\n".to_vec();
    invocation
        .run_in(scratch.path())
        .expect("the program starts")
}

#[track_caller]
fn assert_same(native: &Behaviour, jit: &Behaviour) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert_eq!(
        text(&native.stdout),
        text(&jit.stdout),
        "{}",
        text(&jit.stderr)
    );
    assert_eq!(native.ending, jit.ending, "{}", text(&jit.stderr));
}

/// `rustc -C linker=orc-jit` in all modes against rustc's own choice.
fn check_as_linker(name: &str, expected: Ending) {
    for mode in MODES {
        let native_scratch = Scratch::new();
        let native = run(
            &native_scratch,
            Invocation::new([compile(&native_scratch, name, mode)]),
        );
        assert_eq!(
            native.ending,
            expected,
            "{mode:?}: {}",
            String::from_utf8_lossy(&native.stderr)
        );
        let Some(orc_jit) = orc_jit() else {
            continue;
        };
        let scratch = Scratch::new();
        let linker = format!("linker={}", orc_jit.display());
        let flags = [*mode, &["-C", &linker]].concat();
        assert_same(
            &native,
            &run(&scratch, Invocation::new([compile(&scratch, name, &flags)])),
        );
    }
}

#[test]
fn the_tour_with_orc_jit_as_linker() {
    check_as_linker("tour.rs", Ending::Exit(43));
}

#[test]
fn an_uncaught_panic_with_orc_jit_as_linker() {
    check_as_linker("uncaught_panic.rs", Ending::Exit(101));
}

#[test]
fn a_stack_overflow_with_orc_jit_as_linker() {
    const SIGABRT: i32 = 6;
    check_as_linker("stack_overflow.rs", Ending::Signal(SIGABRT));
}

#[test]
fn the_tour_from_its_source() {
    let scratch = Scratch::new();
    let native = run(
        &scratch,
        Invocation::new([compile(&scratch, "tour.rs", &[])]),
    );
    let Some(orc_jit) = orc_jit() else {
        return;
    };
    let jit = Invocation::new([orc_jit])
        .arg("run")
        .arg("--edition=2024")
        .arg(source("tour.rs"))
        .arg("--");
    assert_same(&native, &run(&scratch, jit));
}

/// A crate with dependencies, built by cargo: a procedural macro, a thread pool, a parser.
#[test]
fn a_crate_with_dependencies() {
    let Some(orc_jit) = orc_jit() else {
        return;
    };
    let directory = source("with_dependencies");
    let run_with = |linker: Option<&Path>, target: &str| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join(target);
        let cargo = std::env::var_os("CARGO").unwrap_or("cargo".into());
        let mut command = Invocation::new([cargo])
            .arg("run")
            .arg("--quiet")
            .arg("--target-dir")
            .arg(target);
        command.limit = BUILD_LIMIT;
        let linker = linker.map(|linker| linker.to_string_lossy().into_owned());
        let key = "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER".to_owned();
        command.env.extend(linker.map(|linker| (key, linker)));
        command.run_in(&directory).expect("cargo starts")
    };
    let native = run_with(None, "with_dependencies-native");
    assert_eq!(
        native.ending,
        Ending::Exit(7),
        "{}",
        String::from_utf8_lossy(&native.stderr)
    );
    assert_same(
        &native,
        &run_with(Some(&orc_jit), "with_dependencies-orc-jit"),
    );
}
