//! `orc-jit` in a linker's place: what it writes where the user says.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use tests::command::{Behaviour, Ending, Invocation};
use tests::compare::orc_jit;
use tests::scratch::Scratch;

const MAIN: &str = "#include <stdio.h>\nint main(void) { puts(\"runs\"); return 7; }\n";

/// An object that can be linked, and one that lacks something.
fn objects() -> Scratch {
    let scratch = Scratch::new();
    scratch.compile("main.o", MAIN);
    scratch.compile(
        "bad.o",
        "int none(void);\nint main(void) { return none(); }\n",
    );
    scratch
}

/// Links `object` to `output`; nothing if the tests run without `orc-jit`.
fn link(scratch: &Scratch, output: &str, object: &str) -> Option<Behaviour> {
    scratch.orc_jit(&["-o", output, object])
}

#[track_caller]
fn assert_runs(scratch: &Scratch, program: &str) {
    let ran = Invocation::new([scratch.file(program)]).run_in(scratch.path());
    let ran = ran.expect("what was linked can be started");
    let message = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert_eq!(ran.ending, Ending::Exit(7), "{message}");
    assert_eq!(ran.stdout, b"runs\n");
}

#[track_caller]
fn assert_linked(behaviour: &Behaviour) {
    let message = String::from_utf8_lossy(&behaviour.stderr).into_owned();
    assert_eq!(behaviour.ending, Ending::Exit(0), "{message}");
}

#[test]
fn devices_and_pipes_stay_what_they_are() {
    let scratch = objects();
    let null = scratch.file("null");
    // As root, configure scripts link to /dev/null. Here stands another such device.
    let device = mknodat(
        CWD,
        &null,
        FileType::CharacterDevice,
        Mode::from(0o666),
        makedev(1, 3),
    );
    if device.is_ok() {
        let Some(linked) = link(&scratch, "null", "main.o") else {
            return;
        };
        assert_linked(&linked);
        let there = fs::symlink_metadata(&null).unwrap().file_type();
        assert!(there.is_char_device(), "{there:?}");
    }
    let pipe = scratch.file("pipe");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::from(0o666), 0).unwrap();
    let reader = std::thread::spawn({
        let pipe = pipe.clone();
        move || fs::read(pipe).unwrap()
    });
    let Some(linked) = link(&scratch, "pipe", "main.o") else {
        // The reader waits for somebody to write.
        fs::write(&pipe, "").unwrap();
        return;
    };
    assert_linked(&linked);
    let there = fs::symlink_metadata(&pipe).unwrap().file_type();
    assert!(there.is_fifo(), "{there:?}");
    scratch.write_executable("read", reader.join().unwrap());
    assert_runs(&scratch, "read");
}

#[test]
fn links_are_written_through() {
    let scratch = objects();
    scratch.write("version-1", "old");
    symlink("version-1", scratch.file("program")).unwrap();
    let Some(linked) = link(&scratch, "program", "main.o") else {
        return;
    };
    assert_linked(&linked);
    assert!(scratch.file("program").is_symlink());
    assert!(!scratch.file("version-1").is_symlink());
    assert_runs(&scratch, "program");
    assert_runs(&scratch, "version-1");
}

#[test]
fn read_only_files_are_replaced() {
    let scratch = objects();
    scratch.write("program", "old");
    let read_only = fs::Permissions::from_mode(0o444);
    fs::set_permissions(scratch.file("program"), read_only).unwrap();
    let Some(linked) = link(&scratch, "program", "main.o") else {
        return;
    };
    assert_linked(&linked);
    assert_runs(&scratch, "program");
}

#[test]
fn what_the_link_did_not_make_stays() {
    let scratch = objects();
    fs::create_dir(scratch.file("program.objects")).unwrap();
    scratch.write("program.objects/precious", "a user's own");
    let Some(linked) = link(&scratch, "program", "main.o") else {
        return;
    };
    assert_linked(&linked);
    assert_eq!(scratch.read("program.objects/precious"), b"a user's own");
}

#[test]
fn a_failed_link_leaves_the_old_program() {
    let scratch = objects();
    let Some(linked) = link(&scratch, "program", "main.o") else {
        return;
    };
    assert_linked(&linked);
    let message = scratch.message(&["-o", "program", "bad.o"]).unwrap();
    assert!(message.contains("undefined symbol: none"), "{message}");
    assert_runs(&scratch, "program");
}

#[test]
fn an_input_is_not_overwritten() {
    let scratch = objects();
    let before = scratch.read("main.o");
    let Some(message) = scratch.message(&["-o", "main.o", "main.o"]) else {
        return;
    };
    assert!(
        message.contains("main.o is the output main.o, too"),
        "{message}"
    );
    assert_eq!(scratch.read("main.o"), before);
}

/// Runs a program with these arguments.
fn run(directory: &Path, program: &Path, arguments: &[&str]) -> Behaviour {
    let mut invocation = Invocation::new([program]);
    let arguments = arguments.iter().map(OsString::from);
    invocation.argv.extend(arguments);
    invocation.run_in(directory).expect("the program starts")
}

#[track_caller]
fn assert_says(behaviour: &Behaviour, expected: &str) {
    let message = String::from_utf8_lossy(&behaviour.stderr);
    assert_eq!(
        String::from_utf8_lossy(&behaviour.stdout),
        expected,
        "{message}"
    );
    assert_eq!(behaviour.ending, Ending::Exit(0), "{message}");
}

/// A program of an object, a source, archives of both kinds, a shared library, a linker script and a response file.
fn build_directory() -> Scratch {
    let scratch = Scratch::new();
    let main = "#include <stdio.h>\n#include <stdlib.h>\n#include <math.h>\n\
        int in_source(void), in_archive(void), in_thin(void), in_library(void), in_script(void);\n\
        static void last(void) { puts(\"last\"); }\n\
        int main(int count, char **names) {\n\
            atexit(last);\n\
            printf(\"%s %d %d%d%d%d%d\\n\", count > 1 ? names[1] : \"-\", count, in_source(),\n\
                in_archive(), in_thin(), in_library(), in_script());\n\
            return count == 1000;\n\
        }\n";
    scratch.compile("main.o", main);
    scratch.write("source.c", "int in_source(void) { return 1; }");
    scratch.compile("member.o", "int in_archive(void) { return 2; }");
    let unused = "int none(void), unused = 1; int never(void) { return none(); }";
    scratch.compile("unused.o", unused);
    scratch.archive("libarchive.a", &["unused.o", "member.o"]);
    scratch.compile("thin.o", "int in_thin(void) { return 3; }");
    let thin = ["ar", "rcsT", "libthin.a", "thin.o", "unused.o"];
    let thin = Invocation::new(thin).run_in(scratch.path()).unwrap();
    assert_eq!(thin.ending, Ending::Exit(0));
    scratch.compile_with(
        "library.o",
        "int in_library(void) { return 4; }",
        &["-fPIC"],
    );
    fs::create_dir(scratch.file("lib")).unwrap();
    scratch.shared_library(
        "lib/libshared.so",
        &["library.o", "-Wl,-soname,libshared.so"],
    );
    scratch.compile("script.o", "int in_script(void) { return 5; }");
    scratch.write("libscript.so", "INPUT(script.o)");
    let words = "main.o source.c -L. -larchive -lthin lib/libshared.so -lscript \
        -Wl,-rpath,'$ORIGIN/lib' -o program";
    scratch.write("words", words);
    scratch
}

#[test]
fn an_image_needs_nothing_of_what_it_was_made_from() {
    let build = build_directory();
    let Some(linked) = build.orc_jit(&["@words"]) else {
        return;
    };
    assert_linked(&linked);
    let there = run(build.path(), &build.file("program"), &["there"]);
    assert_says(&there, "there 2 12345\nlast\n");

    let other = Scratch::new();
    let moved = other.file("another name");
    fs::copy(build.file("program"), &moved).unwrap();
    fs::create_dir(other.file("lib")).unwrap();
    fs::copy(
        build.file("lib/libshared.so"),
        other.file("lib/libshared.so"),
    )
    .unwrap();
    drop(build);
    assert_says(&run(other.path(), &moved, &[]), "- 1 12345\nlast\n");
    assert_says(
        &run(Path::new("/"), &moved, &["a b"]),
        "a b 2 12345\nlast\n",
    );
    let mut names: Vec<_> = fs::read_dir(other.path())
        .unwrap()
        .flatten()
        .map(|e| e.file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["another name", "lib"]);
}

/// What tools for executables make of an image is one.
#[test]
fn tools_keep_the_image() {
    let scratch = objects();
    let Some(linked) = link(&scratch, "program", "main.o") else {
        return;
    };
    assert_linked(&linked);
    let tools: [&[&str]; 3] = [
        &["strip", "-o", "tooled", "program"],
        &["objcopy", "-g", "program", "tooled"],
        &["install", "-s", "program", "tooled"],
    ];
    for tool in tools {
        let made = Invocation::new(tool).run_in(scratch.path()).unwrap();
        assert_linked(&made);
        assert_runs(&scratch, "tooled");
        fs::remove_file(scratch.file("tooled")).unwrap();
    }
}

#[test]
fn the_name_that_it_is_called_by_arrives() {
    let scratch = Scratch::new();
    scratch.compile(
        "main.o",
        "#include <stdio.h>\nint main(int n, char **v) { puts(v[0]); }",
    );
    let Some(linked) = link(&scratch, "program", "main.o") else {
        return;
    };
    assert_linked(&linked);
    let called = Invocation::new(["bash", "-c", "exec -a '-another name' ./program"]);
    assert_says(&called.run_in(scratch.path()).unwrap(), "-another name\n");
    let by_path = Invocation::new(["sh", "-c", "PATH=$PWD:$PATH; program"]);
    assert_says(&by_path.run_in(scratch.path()).unwrap(), "program\n");
}

/// The command may have moved, or be gone.
#[test]
fn the_command_is_looked_for() {
    let scratch = objects();
    let Some(orc_jit) = orc_jit() else {
        return;
    };
    fs::create_dir(scratch.file("bin dir")).unwrap();
    fs::create_dir(scratch.file("elsewhere")).unwrap();
    let copy = scratch.file("bin dir/orc-jit");
    fs::copy(orc_jit, &copy).unwrap();
    let link = Invocation::new([&copy]).arg("-oprogram").arg("main.o");
    assert_linked(&link.run_in(scratch.path()).unwrap());
    assert_runs(&scratch, "program");

    fs::rename(&copy, scratch.file("elsewhere/orc-jit")).unwrap();
    let mut elsewhere = Invocation::new([scratch.file("program")]);
    let path = format!("{}:/usr/bin:/bin", scratch.file("elsewhere").display());
    elsewhere.env.push(("PATH".to_owned(), path));
    let ran = elsewhere.run_in(scratch.path()).unwrap();
    assert_eq!(
        (ran.ending, &*ran.stdout),
        (Ending::Exit(7), &b"runs\n"[..])
    );

    fs::remove_file(scratch.file("elsewhere/orc-jit")).unwrap();
    elsewhere.env[0].1 = "/usr/bin:/bin".to_owned();
    let gone = elsewhere.run_in(scratch.path()).unwrap();
    assert_eq!(gone.ending, Ending::Exit(127));
    let message = String::from_utf8_lossy(&gone.stderr).into_owned();
    let expected = format!("orc-jit, which is neither {} nor in PATH", copy.display());
    assert!(message.contains(&expected), "{message}");
}

/// Compiler drivers look for a linker named `ld` where `-B` says.
#[test]
fn a_compiler_driver_calls_it_as_its_linker() {
    let scratch = objects();
    let Some(command) = orc_jit() else { return };
    fs::create_dir(scratch.file("bin")).unwrap();
    symlink(command, scratch.file("bin/ld")).unwrap();
    let cc = |arguments: &[&str]| {
        let words = [&["cc", "-Bbin"], arguments].concat();
        Invocation::new(words).run_in(scratch.path()).unwrap()
    };
    assert_linked(&cc(&["main.o", "-o", "program"]));
    assert_runs(&scratch, "program");
    assert_linked(&cc(&["-no-pie", "main.o", "-o", "fixed"]));
    assert_runs(&scratch, "fixed");
    assert_linked(&cc(&["-static", "main.o", "-o", "static"]));
    assert_runs(&scratch, "static");
    // libtool asks so.
    let asked = Invocation::new(["bin/ld", "-m", "elf_x86_64", "--help"]);
    let asked = asked.run_in(scratch.path()).unwrap();
    assert_linked(&asked);
    assert!(
        String::from_utf8(asked.stdout)
            .unwrap()
            .contains(": supported targets: elf64")
    );
    // What is no program is made by the linker that is there.
    scratch.write("library.c", "int value(void) { return 1; }\n");
    assert_linked(&cc(&["-shared", "-fPIC", "library.c", "-o", "library.so"]));
    assert_linked(&cc(&["-r", "main.o", "-o", "again.o"]));
    assert!(
        fs::read(scratch.file("library.so"))
            .unwrap()
            .starts_with(b"\x7fELF")
    );
}

#[test]
fn build_tools_learn_what_it_is() {
    let scratch = Scratch::new();
    for question in ["-Wl,--version", "-Wl,-v", "-v", "--version"] {
        let Some(answer) = scratch.orc_jit(&[question]) else {
            return;
        };
        assert_eq!(answer.ending, Ending::Exit(0), "{question}");
        let text = String::from_utf8(answer.stdout).unwrap();
        assert!(
            text.contains("(compatible with GNU ld)"),
            "{question}: {text}"
        );
    }
    let help = scratch.orc_jit(&["-Wl,--help"]).unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    assert!(help.contains("--no-undefined") && help.contains(": supported targets: elf64"));
    let plain = scratch.orc_jit(&["--help"]).unwrap();
    let plain = String::from_utf8(plain.stdout).unwrap();
    assert!(plain.contains(": supported targets: elf64"), "{plain}");
}

#[test]
fn files_about_the_link() {
    let scratch = build_directory();
    let words = ["@words", "-Wl,-Map=map", "-Wl,--dependency-file,rules"];
    let Some(linked) = scratch.orc_jit(&words) else {
        return;
    };
    assert_linked(&linked);
    let text = |name: &str| String::from_utf8(scratch.read(name)).unwrap();
    let directory = scratch.path().canonicalize().unwrap();
    let directory = directory.display();
    let rules = text("rules");
    assert!(
        rules.starts_with(&format!("program: \\\n  {directory}/main.o \\\n")),
        "{rules}"
    );
    assert!(
        rules.contains(&format!("\n{directory}/./libarchive.a:\n")),
        "{rules}"
    );
    let map = text("map");
    assert!(map.contains("libarchive.a(member.o)\n"), "{map}");
    assert!(!map.contains("unused"), "{map}");
    assert!(map.contains("in_archive\n"), "{map}");

    let run = [
        "run",
        "main.o",
        "-L.",
        "-larchive",
        "-lthin",
        "lib/libshared.so",
        "-Wl,-rpath,$ORIGIN/lib",
        "-lscript",
    ];
    let run = [
        &run[..],
        &["source.c", "-Wl,-Map,map", "-Wl,--dependency-file=rules"],
    ]
    .concat();
    let ran = scratch.orc_jit(&run).unwrap();
    assert_says(&ran, "- 1 12345\nlast\n");
    assert!(
        text("rules").contains(" \\\n  source.c\n"),
        "{}",
        text("rules")
    );
    let map = text("map");
    let line = map
        .lines()
        .find(|line| line.ends_with(" in_archive"))
        .unwrap();
    assert!(line.contains(" 0x0000"), "{line}");
    assert!(!line.contains(" 0x0000000000000000"), "{line}");
}

/// Machine code is made when the image is, and no compiler is needed later.
#[test]
fn internal_code_of_compilers_becomes_machine_code() {
    let scratch = Scratch::new();
    let main = "#include <stdio.h>\nint f(void), g(void);\n\
        int main(void) { printf(\"%d %d\\n\", f(), g()); return 0; }\n";
    scratch.compile_with("main.o", main, &["-flto"]);
    scratch.compile_with("f.o", "int f(void) { return 1; }", &["-flto"]);
    let unused = "int none(void); int unused(void) { return none(); }";
    scratch.compile_with("unused.o", unused, &["-flto"]);
    scratch.archive("libf.a", &["unused.o", "f.o"]);
    scratch.compile("g.o", "int g(void) { return 2; }");
    let Some(linked) = scratch.orc_jit(&["-o", "program", "main.o", "libf.a", "g.o"]) else {
        return;
    };
    assert_linked(&linked);
    for gone in ["main.o", "libf.a", "g.o"] {
        fs::remove_file(scratch.file(gone)).unwrap();
    }
    let mut program = Invocation::new([scratch.file("program")]);
    program.env.push(("PATH".to_owned(), "/none".to_owned()));
    assert_says(&program.run_in(scratch.path()).unwrap(), "1 2\n");
}
