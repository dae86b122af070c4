//! Files and folders that are not what the command expects, and a system that gives less than usual.

use std::fs;

use tests::command::{Behaviour, Ending};
use tests::scratch::Scratch;

use super::{shell, text, with_orc_jit};

const PROGRAM: &str = r#"
    #include <stdio.h>
    int main(int argc, char **argv) {
        printf("%s %d", argv[0], argc);
        for (int at = 1; at < argc; at++) printf(" %s", argv[at]);
        return puts("") < 0;
    }"#;

fn prepared() -> Scratch {
    let scratch = Scratch::new();
    scratch.compile("main.o", PROGRAM).write("main.c", PROGRAM);
    scratch
}

#[track_caller]
fn prints(behaviour: &Behaviour, output: &str) {
    let said = text(&behaviour.stderr);
    assert_eq!(behaviour.ending, Ending::Exit(0), "{said}");
    assert_eq!(text(&behaviour.stdout), output, "{said}");
}

#[track_caller]
fn says(behaviour: &Behaviour, code: i32, message: &str) {
    let said = text(&behaviour.stderr);
    assert_eq!(behaviour.ending, Ending::Exit(code), "{said}");
    assert_eq!(said, message);
    assert_eq!(text(&behaviour.stdout), "");
}

pub fn temporary_files_find_another_place() {
    let scratch = prepared();
    for place in [
        "TMPDIR=/nonexistent",
        "TMPDIR=/proc",
        "TMPDIR= TMP=/dev/null",
    ] {
        let script = format!("{place} \"$@\"");
        let behaviour = with_orc_jit(&scratch, &script, &["run", "main.c", "--", "one"]);
        prints(&behaviour, "main 2 one\n");
    }
    let named = "mkdir place && TMPDIR=$PWD/place CC=./cc \"$@\"";
    scratch.write_executable("cc", "#!/bin/sh\necho $TMPDIR >place-was\nexec cc \"$@\"\n");
    prints(
        &with_orc_jit(&scratch, named, &["run", "main.c"]),
        "main 1\n",
    );
    let was = text(&scratch.read("place-was"));
    let place = scratch.file("place");
    assert!(
        was.starts_with(&format!("{}/orc-jit-", place.display())),
        "{was}"
    );
    assert_eq!(fs::read_dir(place).expect("a folder").count(), 0);
}

pub fn without_a_compiler() {
    let scratch = prepared();
    let nowhere = "PATH=/nonexistent; export PATH; \"$@\"";
    prints(
        &with_orc_jit(&scratch, nowhere, &["run", "main.o"]),
        "main 1\n",
    );
    let message = "orc-jit: error: main.c: cannot run the compiler `cc`: No such file or directory \
                   (os error 2); set CC to one that exists\n";
    says(
        &with_orc_jit(&scratch, nowhere, &["run", "main.c"]),
        1,
        message,
    );
}

pub fn inputs_that_are_none() {
    let scratch = prepared();
    fs::create_dir(scratch.file("folder.c")).expect("a folder");
    let ask = |arguments: &[&str], code: i32, message: &str| {
        let behaviour = with_orc_jit(&scratch, "\"$@\"", arguments);
        says(&behaviour, code, &format!("orc-jit: error: {message}\n"));
    };
    ask(
        &["run", "folder.c"],
        1,
        "folder.c: is a directory; name the sources in it",
    );
    ask(&["run", "missing.c"], 1, "missing.c: no such file");
    let empty = "an argument is empty where the name of a file is expected";
    ask(&["run", ""], 1, empty);
    ask(&["run", "main.o", ""], 1, empty);
    let input = "-: standard input is taken as a source only: say in which language, with -x";
    ask(&["run", "-"], 1, input);
    let none = "no input files: what follows `--` is for the program\nTry `orc-jit --help`.";
    ask(&["run", "--", "main.o"], 2, none);
}

pub fn a_source_on_standard_input() {
    let scratch = prepared();
    for executor in ["--threads=1", "--executor=spawn"] {
        let arguments = ["run", executor, "-x", "c", "-", "--", "one"];
        prints(
            &with_orc_jit(&scratch, "\"$@\" <main.c", &arguments),
            "a.out 2 one\n",
        );
    }
    let arguments = ["-x", "c", "-", "-o", "program"];
    let linked = with_orc_jit(&scratch, "cat main.c | \"$@\" && ./program two", &arguments);
    prints(&linked, "./program 2 two\n");
}

pub fn few_descriptors() {
    let scratch = prepared();
    for executor in ["--threads=4", "--executor=spawn"] {
        let few = with_orc_jit(
            &scratch,
            "ulimit -n 20; \"$@\"",
            &["run", executor, "main.c"],
        );
        prints(&few, "main 1\n");
    }
}

/// Arguments and names of files are bytes.
pub fn names_that_are_no_text() {
    let scratch = prepared();
    let prepare = "cp main.o $(printf 'ma\\377in.o'); cp main.c $(printf 'so\\377urce.c')
                   cc main.o -o linked && ./linked $(printf 'a\\377b') | tail -c 4 >expected";
    assert_eq!(shell(&scratch, prepare, &[]).ending, Ending::Exit(0));
    let expected = scratch.read("expected");
    for name in ["ma\\377in.o", "so\\377urce.c"] {
        for executor in ["--threads=1", "--executor=spawn"] {
            let script = format!("\"$@\" $(printf '{name}') -- $(printf 'a\\377b') | tail -c 4");
            let behaviour = with_orc_jit(&scratch, &script, &["run", executor]);
            let said = text(&behaviour.stderr);
            assert_eq!(behaviour.stdout, expected, "{name} {executor}: {said}");
        }
    }
}

/// The command through a symbolic link, by a relative path, by name, from a folder that is gone.
pub fn wherever_the_command_is() {
    let scratch = prepared();
    let prepare = "mkdir bin other && ln -s \"$1\" bin/orc-jit";
    with_orc_jit(&scratch, prepare, &[]);
    for executor in ["--threads=1", "--executor=spawn"] {
        for (script, name) in [
            ("bin/orc-jit run $2 main.o", "main"),
            ("PATH=$PWD/bin:$PATH; orc-jit run $2 main.c", "main"),
            ("cd other; ../bin/orc-jit run $2 ../main.o", "../main"),
            (
                "here=$PWD; cd other; rmdir ../other; $here/bin/orc-jit run $2 $here/main.c; mkdir $here/other",
                "",
            ),
        ] {
            let behaviour = with_orc_jit(&scratch, script, &[executor]);
            let file = scratch
                .path()
                .canonicalize()
                .expect("it is there")
                .join("main");
            let path = file.display().to_string();
            let name = if name.is_empty() { &path } else { name };
            prints(&behaviour, &format!("{name} 1\n"));
        }
    }
}
