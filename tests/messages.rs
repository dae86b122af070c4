//! What `orc-jit` says when something is wrong. `UPDATE_EXPECT=1 cargo test` rewrites the messages;
//! read them as somebody who has just typed the command.

#[path = "messages/command_line.rs"]
mod command_line;
#[path = "messages/inputs.rs"]
mod inputs;
#[path = "messages/libraries.rs"]
mod libraries;
#[path = "messages/linker_options.rs"]
mod linker_options;
#[path = "messages/names.rs"]
mod names;
#[path = "messages/undefined.rs"]
mod undefined;

use expect_test::{Expect, expect};
use tests::command::{Ending, Invocation};
use tests::compare::orc_jit;
use tests::scratch::Scratch;

/// Runs `orc-jit` with `arguments` in `scratch` and compares its message.
fn check(scratch: &Scratch, arguments: &[&str], expected: Expect) {
    if let Some(message) = scratch.message(arguments) {
        expected.assert_eq(&without_places(scratch, &message));
    }
}

/// `message` without what differs from one machine to the other: the test's directory, and the
/// directories that compilers and systems search.
fn without_places(scratch: &Scratch, message: &str) -> String {
    let directory = format!("{}/", scratch.path().display());
    let message = message.replace(&directory, "");
    let of_system = |line: &str| {
        ["    /usr/", "    /lib"]
            .iter()
            .any(|start| line.starts_with(start))
    };
    let lines = message.lines().filter(|line| !of_system(line));
    lines.map(|line| format!("{line}\n")).collect()
}

/// A directory with an object that is a program.
fn with_main() -> Scratch {
    let scratch = Scratch::new();
    scratch.compile("main.o", "int main(void) { return 0; }");
    scratch
}

#[test]
fn missing_symbols_are_listed_at_once() {
    let scratch = Scratch::new();
    scratch.compile(
        "main.o",
        "int first_missing(void), second_missing(int); extern int data_missing;
         int main(void) { return first_missing() + second_missing(data_missing); }",
    );
    scratch.compile(
        "other.o",
        "int first_missing(void); int other(void) { return first_missing(); }",
    );
    check(
        &scratch,
        &["run", "main.o", "other.o", "--no-gc-sections"],
        expect![[r#"
            exit code 1
            orc-jit: error: undefined symbol: first_missing
              referenced by main.o (in main), other.o (in other)
            undefined symbol: data_missing
              referenced by main.o (in main)
            undefined symbol: second_missing
              referenced by main.o (in main)
            searched: main (with libc.so.6, libm.so.6, libgcc_s.so.1, libstdc++.so.6, ld-linux-x86-64.so.2)
        "#]],
    );
}

#[test]
fn missing_symbols_may_be_allowed() {
    let scratch = Scratch::new();
    scratch.compile(
        "main.o",
        "int missing(void); int (*volatile maybe)(void) = missing;
         int main(void) { return maybe ? maybe() : 3; }",
    );
    check(
        &scratch,
        &["run", "main.o", "--warn-unresolved-symbols"],
        expect![[r#"
            exit code 3
            orc-jit: warning: undefined symbol: missing
              referenced by main.o (in maybe)
            searched: main (with libc.so.6, libm.so.6, libgcc_s.so.1, libstdc++.so.6, ld-linux-x86-64.so.2)
            1 undefined symbols have the address zero
        "#]],
    );
    check(
        &scratch,
        &["run", "main.o", "-Wl,--unresolved-symbols=ignore-all"],
        expect![[r#"
            exit code 3
        "#]],
    );
}

#[test]
fn profiles_of_gprof_are_written_without_a_word() {
    let scratch = Scratch::new();
    scratch.compile_with("main.o", "int main(void) { return 4; }", &["-pg"]);
    check(
        &scratch,
        &["run", "-pg", "main.o"],
        expect![[r#"
        exit code 4
    "#]],
    );
    assert!(scratch.read("gmon.out").starts_with(b"gmon"));
}

#[test]
fn missing_cxx_symbols_are_demangled_and_near_misses_named() {
    let scratch = Scratch::new();
    scratch.compile(
        "cxx_main.o",
        "namespace geometry { struct Circle { double area(double scale) const; }; }
         int compute_total(int, long);
         int main() { return geometry::Circle().area(2) + compute_total(1, 2); }",
    );
    scratch.compile(
        "cxx_other.o",
        "namespace geometry { struct Circle { double area(int scale) const; }; }
         double geometry::Circle::area(int scale) const { return scale; }
         int compute_totals(int, long) { return 0; }",
    );
    check(
        &scratch,
        &["run", "cxx_main.o", "cxx_other.o"],
        expect![[r#"
            exit code 1
            orc-jit: error: undefined symbol: geometry::Circle::area(double) const (_ZNK8geometry6Circle4areaEd)
              referenced by cxx_main.o (in main)
              did you mean geometry::Circle::area(int) const (_ZNK8geometry6Circle4areaEi), defined in cxx_other.o?
            undefined symbol: compute_total(int, long) (_Z13compute_totalil)
              referenced by cxx_main.o (in main)
              did you mean compute_totals(int, long) (_Z14compute_totalsil), defined in cxx_other.o?
            searched: main (with libc.so.6, libm.so.6, libgcc_s.so.1, libstdc++.so.6, ld-linux-x86-64.so.2)
        "#]],
    );
}

#[test]
fn duplicate_definition() {
    let scratch = with_main();
    scratch.compile("one.o", "int shared(void) { return 1; }");
    scratch.compile("two.o", "int shared(void) { return 2; }");
    check(
        &scratch,
        &["run", "main.o", "one.o", "two.o"],
        expect![[r#"
            exit code 1
            orc-jit: error: duplicate definition of shared: in one.o and in two.o
        "#]],
    );
}

#[test]
fn truncated_object() {
    let scratch = with_main();
    let bytes = scratch.read("main.o");
    scratch.write("truncated.o", &bytes[..bytes.len() / 2]);
    check(
        &scratch,
        &["run", "truncated.o"],
        expect![[r#"
        exit code 1
        orc-jit: error: truncated.o: the section header table lies outside the file: it is truncated
    "#]],
    );
}

#[test]
fn object_without_a_header() {
    let scratch = with_main();
    let bytes = scratch.read("main.o");
    scratch.write("short.o", &bytes[..40]);
    check(
        &scratch,
        &["run", "short.o"],
        expect![[r#"
        exit code 1
        orc-jit: error: short.o: the ELF header is truncated or has an unknown version
    "#]],
    );
}

#[test]
fn unsupported_relocation() {
    let scratch = Scratch::new();
    scratch.compile(
        "main.o",
        "int callee(void) { return 0; } int main(void) { return callee(); }",
    );
    let mut bytes = scratch.read("main.o");
    let entry = relocation_of(&bytes, 4);
    bytes[entry + 8] = 200;
    scratch.write("patched.o", bytes);
    check(
        &scratch,
        &["run", "patched.o"],
        expect![[r#"
            exit code 1
            orc-jit: error: patched.o: unsupported relocation of unknown type 200 against callee at .text+0x10
        "#]],
    );
}

/// Place of the first relocation of type `kind` (R_X86_64_PLT32 is 4): section headers are walked
/// by hand, since the test is about bytes.
fn relocation_of(bytes: &[u8], kind: u32) -> usize {
    let word = |at: usize, size: usize| {
        bytes[at..at + size]
            .iter()
            .rev()
            .fold(0usize, |value, byte| value << 8 | usize::from(*byte))
    };
    let (sections, count) = (word(0x28, 8), word(0x3c, 2));
    for section in (0..count).map(|index| sections + index * 64) {
        const SHT_RELA: usize = 4;
        let (offset, size) = (word(section + 0x18, 8), word(section + 0x20, 8));
        let entries = if word(section + 4, 4) == SHT_RELA {
            size / 24
        } else {
            0
        };
        let found = (0..entries)
            .map(|index| offset + index * 24)
            .find(|entry| word(entry + 8, 4) == kind as usize);
        if let Some(entry) = found {
            return entry;
        }
    }
    panic!("the compiler made no such relocation");
}

#[test]
fn wrong_architecture() {
    let scratch = with_main();
    let mut bytes = scratch.read("main.o");
    bytes[18] = 0xb7; // e_machine: EM_AARCH64
    scratch.write("arm.o", bytes);
    check(
        &scratch,
        &["run", "arm.o"],
        expect![[r#"
        exit code 1
        orc-jit: error: arm.o: is an AArch64 object, this session links x86-64: compile it for this machine
    "#]],
    );
}

#[test]
fn wrong_word_size() {
    let scratch = with_main();
    let mut bytes = scratch.read("main.o");
    bytes[4] = 1; // EI_CLASS: ELFCLASS32
    scratch.write("small.o", bytes);
    check(
        &scratch,
        &["run", "small.o"],
        expect![[r#"
        exit code 1
        orc-jit: error: small.o: is an x32 object (32-bit), only x86-64 and AArch64 objects can be linked: compile it with -m64
    "#]],
    );
}

#[test]
fn an_executable_is_not_an_object() {
    let scratch = Scratch::new();
    scratch.write(
        "program",
        std::fs::read("/proc/self/exe").expect("this test is an executable"),
    );
    check(
        &scratch,
        &["run", "program"],
        expect![[r#"
            exit code 1
            orc-jit: error: program: is an executable, linked already: run it as it is, or name the objects and libraries that it is made of
        "#]],
    );
}

#[test]
fn missing_file() {
    check(
        &with_main(),
        &["run", "main.o", "missing.o"],
        expect![[r#"
        exit code 1
        orc-jit: error: missing.o: no such file
    "#]],
    );
}

#[test]
fn missing_library() {
    check(
        &with_main(),
        &[
            "run",
            "main.o",
            "-lno_such_library",
            "-L",
            "/no/such/directory",
        ],
        expect![[r#"
            exit code 1
            orc-jit: error: cannot find -lno_such_library; searched:
                /no/such/directory
        "#]],
    );
}

#[test]
fn no_main() {
    let scratch = Scratch::new();
    scratch.compile("helper.o", "int helper(void) { return 1; }");
    check(
        &scratch,
        &["run", "helper.o"],
        expect![[r#"
        exit code 1
        orc-jit: error: no input defines `main`, where the program starts; add the object that does, or name another entry point
    "#]],
    );
}

#[test]
fn no_such_entry() {
    check(
        &with_main(),
        &["run", "--entry", "start_here", "main.o"],
        expect![[r#"
            exit code 1
            orc-jit: error: no input defines `start_here`, where the program starts; add the object that does, or name another entry point
        "#]],
    );
}

#[test]
fn directory_instead_of_a_file() {
    let scratch = with_main();
    std::fs::create_dir(scratch.file("directory.o")).expect("a writable directory");
    check(
        &scratch,
        &["run", "main.o", "directory.o"],
        expect![[r#"
        exit code 1
        orc-jit: error: directory.o: is a directory; name the objects in it, or search it for libraries with -L
    "#]],
    );
}

#[test]
fn archive_of_garbage() {
    let scratch = with_main();
    scratch.write(
        "garbage.a",
        "!<arch>\nthis is not a member header, and it goes on for more than sixty bytes\n",
    );
    check(
        &scratch,
        &["run", "main.o", "garbage.a"],
        expect![[r#"
        exit code 1
        orc-jit: error: garbage.a: the archive is truncated or damaged: Invalid archive terminator
    "#]],
    );
}

#[test]
fn archive_that_ends_early() {
    let scratch = Scratch::new();
    scratch.compile(
        "main.o",
        "int needed(void); int main(void) { return needed(); }",
    );
    scratch.compile("needed.o", "int needed(void) { return 0; }");
    scratch.archive("whole.a", &["needed.o"]);
    let bytes = scratch.read("whole.a");
    scratch.write("early.a", &bytes[..bytes.len() - 200]);
    check(
        &scratch,
        &["run", "main.o", "early.a"],
        expect![[r#"
        exit code 1
        orc-jit: error: early.a(needed.o): ends beyond the archive, which is truncated
    "#]],
    );
}

#[test]
fn a_member_that_is_no_object() {
    let scratch = with_main();
    scratch.write("notes.txt", "just a text\n");
    scratch.archive("notes.a", &["notes.txt"]);
    check(
        &scratch,
        &["run", "main.o", "--whole-archive", "notes.a"],
        expect![[r#"
            exit code 1
            orc-jit: error: notes.a(notes.txt): is a text file, not an ELF object
        "#]],
    );
}

#[test]
fn empty_file() {
    let scratch = Scratch::new();
    scratch.write("empty.o", "");
    check(
        &scratch,
        &["run", "empty.o"],
        expect![[r#"
        exit code 1
        orc-jit: error: empty.o: is empty
    "#]],
    );
}

#[test]
fn source_that_does_not_compile() {
    let scratch = Scratch::new();
    scratch.write("broken.c", "int main(void) { return; \n");
    let message = scratch.message(&["run", "broken.c"]);
    // The compiler's own words differ from one to the other.
    assert!(
        message.is_none_or(|message| message.contains("broken.c:1") && message.contains("error"))
    );
}

/// With a compiler at hand, it makes machine code of them (`tests/lines/lto`).
#[test]
fn objects_for_link_time_optimization() {
    let scratch = Scratch::new();
    scratch.compile_with("main.o", "int main(void) { return 0; }", &["-flto"]);
    let Some(orc_jit) = orc_jit() else {
        return;
    };
    let mut invocation = Invocation::new([orc_jit]).arg("run").arg("main.o");
    let variables = [("PATH", "/none"), ("CC", "cc-of-mine")];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    invocation.env.extend(variables);
    let refused = invocation.run_in(scratch.path()).unwrap();
    let message = String::from_utf8_lossy(&refused.stderr);
    expect![[r#"
        orc-jit: error: main.o: holds gcc's internal code (-flto) and no machine code, and there is no compiler to make some (looked for cc-of-mine, gcc): compile without -flto, or set CC
    "#]]
    .assert_eq(&message);
    assert_eq!(refused.ending, Ending::Exit(1));
}

#[test]
fn shared_library_in_the_programs_place() {
    let scratch = Scratch::new();
    scratch.compile_with("lib.o", "int f(void) { return 1; }", &["-fPIC"]);
    let linked = std::process::Command::new(&tests::toolchain::compilers()[0].cc)
        .args(["-shared", "lib.o", "-o", "lib.so"])
        .current_dir(scratch.path())
        .status();
    assert!(linked.expect("the compiler runs").success());
    check(
        &scratch,
        &["run", "lib.so"],
        expect![[r#"
        exit code 1
        orc-jit: error: no input defines `main`, where the program starts; add the object that does, or name another entry point
    "#]],
    );
}

#[test]
fn a_pipe() {
    let scratch = with_main();
    let made = std::process::Command::new("mkfifo")
        .arg(scratch.file("pipe.o"))
        .status();
    assert!(made.expect("mkfifo runs").success());
    check(
        &scratch,
        &["run", "main.o", "pipe.o"],
        expect![[r#"
        exit code 1
        orc-jit: error: pipe.o: is a pipe or a socket; write what comes from it into a file
    "#]],
    );
}

#[test]
fn output_that_is_no_program() {
    check(
        &with_main(),
        &["run", "-shared", "main.o"],
        expect![[r#"
            exit code 2
            orc-jit: error: -shared asks for a shared library, and `run` runs a program: leave it out
            Try `orc-jit --help`.
        "#]],
    );
}

#[test]
fn object_without_symbols() {
    let scratch = Scratch::new();
    scratch.compile("empty.o", "");
    check(
        &scratch,
        &["run", "empty.o"],
        expect![[r#"
        exit code 1
        orc-jit: error: no input defines `main`, where the program starts; add the object that does, or name another entry point
    "#]],
    );
}

#[test]
fn runtime_that_is_none() {
    let scratch = with_main();
    check(
        &scratch,
        &["run", "--orc-runtime", "main.o", "main.o"],
        expect![[r#"
            exit code 1
            orc-jit: error: main.o: is not an archive: it lacks the mark "!<arch>"
        "#]],
    );
    check(
        &scratch,
        &["run", "--orc-runtime", "missing.a", "main.o"],
        expect![[r#"
            exit code 1
            orc-jit: error: missing.a: no such file
        "#]],
    );
}

#[test]
fn nothing_runs_without_execution() {
    let scratch = Scratch::new();
    scratch.compile_with(
        "library.o",
        "#include <stdio.h>
         __attribute__((constructor)) static void made(void) { puts(\"library\"); fflush(stdout); }
         int there;",
        &["-fPIC"],
    );
    scratch.shared_library("libthere.so", &["library.o"]);
    scratch.compile(
        "main.o",
        "#include <unistd.h>
         extern int there;
         static void say(const char *what) { write(1, what, 8); }
         static void first(void) { say(\"preinit\\n\"); }
         __attribute__((section(\".preinit_array\"), used)) static void (*entry)(void) = first;
         __attribute__((constructor)) static void made(void) { say(\"initial\\n\"); }
         static int one(void) { return 1; }
         static int (*choose(void))(void) { say(\"resolve\\n\"); return one; }
         int chosen(void) __attribute__((ifunc(\"choose\")));
         int main(void) { say(\"running\\n\"); return chosen() + there; }",
    );
    for executor in [&[][..], &["--executor=spawn"]] {
        let arguments = ["run", "--no-exec", "main.o", "./libthere.so"];
        let behaviour = scratch.orc_jit(&[&arguments[..], executor].concat());
        let behaviour = behaviour.expect("the command");
        assert_eq!(behaviour.ending, Ending::Exit(0), "{behaviour:?}");
        assert_eq!(String::from_utf8_lossy(&behaviour.stdout), "");
    }
    check(
        &scratch,
        &["run", "--no-exec", "main.o"],
        expect![[r#"
            exit code 1
            orc-jit: error: undefined symbol: there
              referenced by main.o (in main)
            searched: main (with libc.so.6, libm.so.6, libgcc_s.so.1, libstdc++.so.6, ld-linux-x86-64.so.2)
        "#]],
    );
}
