//! What linkers for macOS take beside plain objects and archives.

use std::path::{Path, PathBuf};

use tests::command::{Ending, Invocation};
use tests::compare::orc_jit;
use tests::needs::Tests;

use super::run;

/// Compilers for each CPU, by macOS's names of the CPUs.
const TARGETS: [(&str, &str); 2] = [("x86_64", "x86_64-macos"), ("arm64", "aarch64-macos")];

/// A test: its name, what it needs, what it does.
type Test = (&'static str, &'static [&'static str], fn());

/// Adds the tests.
pub fn add(tests: &mut Tests) {
    let alone: [Test; 1] = [(
        "of_universal_files_the_part_for_the_cpu_is_linked",
        &["ziglang", "llvm-lipo-22"],
        universal,
    )];
    for (name, needs, test) in alone {
        tests.add_if(name, needs.iter().copied(), test);
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

fn write(directory: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        std::fs::write(directory.join(name), text).expect("a file");
    }
}

/// Runs zig with these words.
fn zig(directory: &Path, words: &[&str]) {
    let words = [&["-m", "ziglang"], words].concat();
    run(directory, Path::new("python3"), &words);
}

/// What the command says of inputs that it refuses.
fn refusal(directory: &Path, words: &[&str]) -> String {
    let jit = orc_jit().expect("it was built");
    let mut command = Invocation::new([jit.as_os_str()]);
    command.argv.extend(words.iter().map(Into::into));
    let ran = command.run_in(directory).expect("it starts");
    assert_eq!(ran.ending, Ending::Exit(1), "{}", command.shell_line());
    String::from_utf8_lossy(&ran.stderr).into_owned()
}

/// A universal object, a universal archive that is named, and one that is looked for.
fn universal() {
    let directory = directory("universal");
    write(
        &directory,
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
                &directory,
                &[
                    "cc", "-O1", "-target", target, &define, "-c", &source, "-o", &object,
                ],
            );
        }
        for name in ["f", "g"] {
            zig(
                &directory,
                &["ar", "rcs", &format!("{name}-{cpu}.a"), &object(name, cpu)],
            );
        }
    }
    let lipo = |output: &str, options: &[&str], parts: &[&str]| {
        let words = [&["-create", "-output", output], options, parts].concat();
        run(&directory, Path::new("llvm-lipo-22"), &words);
    };
    lipo("main.o", &[], &["main-x86_64.o", "main-arm64.o"]);
    lipo("f.a", &["-fat64"], &["f-arm64.a", "f-x86_64.a"]);
    lipo("libg.a", &[], &["g-x86_64.a", "g-arm64.a"]);
    lipo("arm.o", &[], &["main-arm64.o"]);
    let jit = orc_jit().expect("it was built");
    for executor in [&[][..], &["--executor=spawn"]] {
        let words = [&["run"], executor, &["main.o", "f.a", "-L.", "-lg"]].concat();
        assert_eq!(run(&directory, &jit, &words), "x86_64\n");
    }
    // What is made of the link has the parts that were linked.
    run(
        &directory,
        &jit,
        &["main.o", "f.a", "-L.", "-lg", "-o", "program"],
    );
    for input in ["main.o", "f.a", "libg.a"] {
        std::fs::remove_file(directory.join(input)).expect("it is there");
    }
    assert_eq!(run(&directory, Path::new("./program"), &[]), "x86_64\n");
    let said = refusal(&directory, &["run", "arm.o"]);
    let expected = "arm.o: is a universal file without code for x86_64: it has arm64";
    assert!(said.contains(expected), "{said}");
}
