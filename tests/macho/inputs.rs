//! What linkers for macOS take beside plain objects and archives.

use std::path::{Path, PathBuf};

use tests::command::{Ending, Invocation};
use tests::compare::orc_jit;
use tests::conformance;
use tests::needs::Tests;

use super::run;

/// Compilers for each CPU, by macOS's names of the CPUs.
pub const TARGETS: [(&str, &str); 2] = [("x86_64", "x86_64-macos"), ("arm64", "aarch64-macos")];

/// A test: its name, what it needs, what it does, in an empty directory.
type Test = (&'static str, &'static [&'static str], fn(&Path));

/// Adds the tests.
pub fn add(tests: &mut Tests) {
    let alone: [Test; 8] = [
        (
            "of_universal_files_the_part_for_the_cpu_is_linked",
            &["ziglang", "llvm-lipo-22"],
            universal,
        ),
        (
            "other_names_of_symbols_stand_for_them",
            &["ziglang"],
            aliases,
        ),
        (
            "objects_for_other_systems_of_apple_are_refused_by_name",
            &["clang-22"],
            other_systems,
        ),
        (
            "literals_of_all_objects_with_the_same_bytes_are_one",
            &["ziglang"],
            literals,
        ),
        (
            "damaged_objects_are_errors",
            &["ziglang"],
            super::damaged::damaged,
        ),
        (
            "libraries_of_macos_are_there_or_refused_with_what_they_provide",
            &["ziglang"],
            super::stubs::stubs,
        ),
        (
            "runtimes_of_languages_are_told_of_objects_in_their_order",
            &["clang-22"],
            super::languages::languages,
        ),
        (
            "libraries_that_objects_ask_for_are_linked",
            &["ziglang"],
            asked_for,
        ),
    ];
    for (name, needs, test) in alone {
        let run = move || {
            let directory = directory(name);
            test(&directory);
            // One that panics holds nothing.
            conformance::record_for_macos(name, &directory, true);
        };
        tests.add_if(name, needs.iter().copied(), run);
    }
}

/// An empty directory for a test.
fn directory(name: &str) -> PathBuf {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join("macho")
        .join(name);
    // It may not be there yet.
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).expect("a directory");
    directory
}

pub fn write(directory: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        std::fs::write(directory.join(name), text).expect("a file");
    }
}

/// Runs zig with these words.
pub fn zig(directory: &Path, words: &[&str]) {
    let words = [&["-m", "ziglang"], words].concat();
    run(directory, Path::new("python3"), &words);
}

/// What the command says of inputs that it refuses.
pub fn refusal(directory: &Path, words: &[&str]) -> String {
    let jit = orc_jit().expect("it was built");
    let mut command = Invocation::new([jit.as_os_str()]);
    command.argv.extend(words.iter().map(Into::into));
    let ran = command.run_in(directory).expect("it starts");
    assert_eq!(ran.ending, Ending::Exit(1), "{}", command.shell_line());
    String::from_utf8_lossy(&ran.stderr).into_owned()
}

/// A universal object, a universal archive that is named, and one that is looked for.
fn universal(directory: &Path) {
    write(
        directory,
        &[
            (
                "main.c",
                "int f(void); int g(void); int puts(const char *);\n\
                        int main(void) { puts(CPU); return f() - g(); }",
            ),
            ("f.c", "int f(void) { return 12; }"),
            ("g.c", "int g(void) { return 12; }"),
        ],
    );
    let object = |name: &str, cpu: &str| format!("{name}-{cpu}.o");
    for (cpu, target) in TARGETS {
        let define = format!("-DCPU=\"{cpu}\"");
        for name in ["main", "f", "g"] {
            let (source, object) = (format!("{name}.c"), object(name, cpu));
            zig(
                directory,
                &[
                    "cc", "-O1", "-target", target, &define, "-c", &source, "-o", &object,
                ],
            );
        }
        for name in ["f", "g"] {
            zig(
                directory,
                &["ar", "rcs", &format!("{name}-{cpu}.a"), &object(name, cpu)],
            );
        }
    }
    let lipo = |output: &str, options: &[&str], parts: &[&str]| {
        let words = [&["-create", "-output", output], options, parts].concat();
        run(directory, Path::new("llvm-lipo-22"), &words);
    };
    lipo("main.o", &[], &["main-x86_64.o", "main-arm64.o"]);
    lipo("f.a", &["-fat64"], &["f-arm64.a", "f-x86_64.a"]);
    lipo("libg.a", &[], &["g-x86_64.a", "g-arm64.a"]);
    lipo("arm.o", &[], &["main-arm64.o"]);
    let jit = orc_jit().expect("it was built");
    for executor in [&[][..], &["--executor=spawn"]] {
        let words = [&["run"], executor, &["main.o", "f.a", "-L.", "-lg"]].concat();
        assert_eq!(run(directory, &jit, &words), "x86_64\n");
    }
    // What is made of the link has the parts that were linked.
    run(
        directory,
        &jit,
        &["main.o", "f.a", "-L.", "-lg", "-o", "program"],
    );
    std::fs::create_dir(directory.join("elsewhere")).expect("a directory");
    for input in ["main.o", "f.a", "libg.a"] {
        let elsewhere = directory.join("elsewhere").join(input);
        std::fs::rename(directory.join(input), elsewhere).expect("it is there");
    }
    assert_eq!(run(directory, Path::new("./program"), &[]), "x86_64\n");
    let said = refusal(directory, &["run", "arm.o"]);
    let expected = "arm.o: is a universal file without code for x86_64: it has arm64";
    assert!(said.contains(expected), "{said}");
}

/// Names that an object gives to what another object has (`N_INDR`), used by both.
fn aliases(directory: &Path) {
    write(
        directory,
        &[
            (
                "names.c",
                "int original(int); extern int number; int other(int); extern int same;\n\
                 __asm__(\".globl _other\\n_other = _original\\n.globl _same\\n_same = _number\");\n\
                 int through_names(void) { return other(1) + same; }",
            ),
            (
                "original.c",
                "int number = 40; int original(int by) { return number += by; }",
            ),
            (
                "main.c",
                "int printf(const char *, ...); int other(int), original(int), through_names(void);\n\
                 extern int same, number;\n\
                 int main(void) {\n\
                   same = 20; int sum = through_names();\n\
                   int *volatile data[] = {&same, &number}; int (*volatile code[])(int) = {other, original};\n\
                   printf(\"%d %d %d %d\\n\", sum, number, data[0] == data[1], code[0] == code[1]);\n\
                 }",
            ),
            (
                "of_library.c",
                "int puts(const char *); int write_line(const char *);\n\
                 __asm__(\".globl _write_line\\n_write_line = _puts\");\n\
                 int main(void) { return write_line(\"line\"); }",
            ),
        ],
    );
    for name in ["names", "original", "main", "of_library"] {
        let words = [
            "cc",
            "-O0",
            "-fno-sanitize=all",
            "-target",
            TARGETS[0].1,
            "-c",
        ];
        zig(directory, &[&words[..], &[&format!("{name}.c")]].concat());
    }
    let jit = orc_jit().expect("it was built");
    for executor in [&[][..], &["--executor=spawn"]] {
        let words = [&["run"], executor, &["main.o", "names.o", "original.o"]].concat();
        assert_eq!(run(directory, &jit, &words), "42 21 1 1\n");
    }
    let said = refusal(directory, &["run", "of_library.o"]);
    let expected = "of_library.o: the symbol _write_line is another name of _puts, which cannot be \
                    had: a shared library defines it";
    assert!(said.contains(expected), "{said}");
}

fn other_systems(directory: &Path) {
    write(directory, &[("main.c", "int main(void) { return 0; }")]);
    let systems = [
        ("x86_64-apple-ios16-simulator", "the simulator of iOS"),
        ("x86_64-apple-ios16-macabi", "Mac Catalyst"),
        ("x86_64-apple-tvos9-simulator", "tvOS"),
    ];
    for (target, name) in systems {
        let words = ["-target", target, "-c", "main.c"];
        run(directory, Path::new("clang-22"), &words);
        let said = refusal(directory, &["run", "main.o"]);
        let expected = format!("main.o: is an object for {name}, which is not macOS");
        assert!(said.contains(&expected), "{said}");
    }
}

/// What a `#pragma` asks for: an archive, and what nobody has.
fn asked_for(directory: &Path) {
    write(
        directory,
        &[
            ("f.c", "int f(void) { return 7; }"),
            (
                "main.c",
                "__asm__(\".linker_option \\\"-lf\\\"\\n\"\n\
                 \".linker_option \\\"-lnowhere\\\"\\n\"\n\
                 \".linker_option \\\"-lSystem\\\"\\n\"\n\
                 \".linker_option \\\"-framework\\\", \\\"Cocoa\\\"\");\n\
                 int f(void); int main(void) { return f(); }",
            ),
        ],
    );
    for name in ["f", "main"] {
        let source = format!("{name}.c");
        zig(
            directory,
            &["cc", "-O1", "-target", TARGETS[0].1, "-c", &source],
        );
    }
    zig(directory, &["ar", "rcs", "libf.a", "f.o"]);
    let jit = orc_jit().expect("it was built");
    let mut command = Invocation::new([jit.as_os_str()]);
    command
        .argv
        .extend(["run", "main.o", "-L."].map(Into::into));
    let ran = command.run_in(directory).expect("it starts");
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert_eq!(ran.ending, Ending::Exit(7), "{said}");
    let expected = [
        "warning: main.o asks for the framework Cocoa of macOS, which no process here has",
        "warning: main.o asks for a library: cannot find -lnowhere",
    ];
    for expected in expected {
        assert!(said.contains(expected), "{said}");
    }
    assert!(!said.contains("System"), "{said}");
}

/// Strings and numbers that two objects have.
fn literals(directory: &Path) {
    let other = "const char *text(void) { return \"the same text\"; }\n\
                 const void *wide(void) { return u\"wide\"; }\n\
                 const char *longer(void) { return \"not the same text\"; }\n\
                 double third(double x) { return x / 3.25; }";
    write(
        directory,
        &[
            ("a.c", other),
            (
                "main.c",
                "int printf(const char *, ...);\n\
                 const char *text(void), *longer(void); const void *wide(void); double third(double);\n\
                 int main(void) {\n\
                   const char *volatile own = \"the same text\"; const void *volatile own_wide = u\"wide\";\n\
                   printf(\"%d %d %d \", own == text(), own_wide == wide(), own == longer() + 4);\n\
                   printf(\"%s %s %.1f\\n\", text(), longer(), third(6.5) + 3.25);\n\
                 }",
            ),
        ],
    );
    for name in ["main.c", "a.c"] {
        let words = ["cc", "-O1", "-target", TARGETS[0].1, "-c", name];
        zig(directory, &words);
    }
    let jit = orc_jit().expect("it was built");
    for executor in [&[][..], &["--executor=spawn"]] {
        let words = [&["run"], executor, &["main.o", "a.o"]].concat();
        assert_eq!(
            run(directory, &jit, &words),
            "1 1 0 the same text not the same text 5.2\n"
        );
    }
}
