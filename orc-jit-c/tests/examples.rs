//! The examples, compiled by a C and a C++ compiler against both kinds of the library, and run.

mod built;

use std::path::{Path, PathBuf};
use std::process::Command;

use built::libraries;

/// What a program needs beside the archive.
const SYSTEM_LIBRARIES: &[&str] = &["-lgcc_s", "-lm", "-ldl", "-lpthread", "-lrt"];

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn printed(command: &mut Command) -> String {
    let output = command.output().expect("starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{command:?}\n{}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout)
}

/// Compiles an example, with the shared library or the archive.
fn compile(dir: &Path, compiler: &str, example: &str, shared: bool) -> PathBuf {
    let program = dir.join(format!("{example}.{shared}"));
    let mut command = Command::new(compiler);
    command
        .args(["-Wall", "-Wextra", "-Werror", "-I"])
        .arg(package().join("include"))
        .arg(package().join("examples").join(example))
        .arg("-o")
        .arg(&program);
    let libraries = libraries();
    if shared {
        command
            .arg("-L")
            .arg(&libraries)
            .arg("-lorcjit")
            .arg(format!("-Wl,-rpath,{}", libraries.display()));
    } else {
        command
            .arg(libraries.join("liborcjit.a"))
            .args(SYSTEM_LIBRARIES);
    }
    printed(&mut command);
    program
}

fn object(dir: &Path, compiler: &str, file: &str, source: &str) -> PathBuf {
    let path = dir.join(file);
    std::fs::write(&path, source).expect("can be written");
    let object = path.with_extension("o");
    let mut command = Command::new(compiler);
    printed(
        command
            .args(["-O1", "-c"])
            .arg(&path)
            .arg("-o")
            .arg(&object),
    );
    object
}

const ADD: &str = r#"
    void note(const char *);
    int add(int a, int b) { note("adding"); return a + b; }"#;

const PROGRAM: &str = r#"
    #include <cstdio>
    #include <stdexcept>
    struct Greeter {
        Greeter() { puts("constructed"); }
        ~Greeter() { puts("destructed"); fflush(stdout); }
    };
    static Greeter greeter;
    int main(int argc, char **argv) {
        try {
            throw std::runtime_error(argv[argc - 1]);
        } catch (const std::exception &error) {
            puts(error.what());
        }
        fflush(stdout);
        return 42;
    }"#;

#[test]
fn the_c_example_runs_with_the_shared_library_and_the_archive() {
    let dir = tempfile::tempdir().unwrap();
    let object = object(dir.path(), "cc", "object.c", ADD);
    for shared in [true, false] {
        let program = compile(dir.path(), "cc", "add.c", shared);
        let text = printed(Command::new(&program).arg(&object));
        let lines: Vec<&str> = text.lines().collect();
        let calls = ["note: adding", "2 + 3 = 5", "note: adding", "3 + 4 = 7"];
        assert_eq!(lines[..4], calls, "{text}");
        assert!(lines[4].contains("add"), "the message names it: {text}");
        assert_ne!(lines[4], "still there");
    }
}

#[test]
fn the_cpp_example_runs_programs_here_and_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let object = object(dir.path(), "c++", "object.cpp", PROGRAM);
    let program = compile(dir.path(), "c++", "program.cpp", true);
    let expected = "constructed\nan argument\ndestructed\nmain returned 42\n";
    assert_eq!(printed(Command::new(&program).arg(&object)), expected);
    let mut spawned = Command::new(&program);
    assert_eq!(printed(spawned.arg("--spawn").arg(&object)), expected);
}

#[test]
fn errors_have_messages_and_wrong_arguments_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    let source = r#"
        #include <orc_jit.h>
        #include <stdio.h>
        static void tell(OrcJitError *error) {
            puts(orc_jit_error_message(error));
            orc_jit_error_free(error);
        }
        int main(void) {
            OrcJit *jit;
            OrcJitDylib *dylib;
            tell(orc_jit_new(NULL));
            tell(orc_jit_dylib_new(NULL, "name", &dylib));
            tell(orc_jit_new(&jit));
            tell(orc_jit_dylib_new(jit, NULL, &dylib));
            tell(orc_jit_dylib_new(jit, "\xff", &dylib));
            tell(orc_jit_dylib_new(jit, "name", &dylib));
            tell(orc_jit_dylib_add_object_file(dylib, NULL, "/nowhere.o"));
            tell(orc_jit_dylib_add_object(dylib, NULL, "four.o", "four", 4));
            orc_jit_free(NULL);
            orc_jit_free(jit);
            orc_jit_dylib_free(dylib);
            return 0;
        }"#;
    let path = dir.path().join("errors.c");
    std::fs::write(&path, source).unwrap();
    let program = compile(dir.path(), "cc", path.to_str().unwrap(), true);
    let text = printed(&mut Command::new(program));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[..6],
        [
            "the place for the result is NULL",
            "the JIT is NULL",
            "no error",
            "the name is NULL",
            "the name is not UTF-8",
            "no error",
        ]
    );
    assert!(lines[6].contains("/nowhere.o"), "{}", lines[6]);
    assert!(lines[7].contains("four.o"), "{}", lines[7]);
}

#[test]
fn pkg_config_finds_what_is_installed() {
    let dir = tempfile::tempdir().unwrap();
    let prefix = dir.path().join("prefix");
    let copy = |file: PathBuf, to: &str| {
        let to = prefix.join(to);
        std::fs::create_dir_all(&to).unwrap();
        std::fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
    };
    copy(libraries().join("liborcjit.so"), "lib");
    copy(package().join("orcjit.pc"), "lib/pkgconfig");
    copy(package().join("include/orc_jit.h"), "include");
    let pkg_config = |options: &[&str]| {
        let mut command = Command::new("pkg-config");
        command.env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig"));
        printed(command.args(options).arg("orcjit"))
    };
    assert_eq!(
        pkg_config(&["--modversion"]).trim(),
        env!("CARGO_PKG_VERSION")
    );
    let flags = pkg_config(&["--cflags", "--libs"]);
    let program = dir.path().join("program");
    let mut cc = Command::new("cc");
    cc.arg(package().join("examples/add.c"))
        .args(flags.split_whitespace())
        .arg("-o")
        .arg(&program);
    printed(&mut cc);
    let object = object(dir.path(), "cc", "object.c", ADD);
    let mut run = Command::new(program);
    run.arg(object).env("LD_LIBRARY_PATH", prefix.join("lib"));
    assert!(printed(&mut run).contains("2 + 3 = 5"));
}
