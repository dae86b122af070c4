//! What a lazy program has called: how much of it was linked (`--timings`), and in which order
//! (`--record-order`), so that another run links that ahead (`--order`).

use std::fs;
use std::os::unix::fs::symlink;

use tests::command::{Behaviour, Ending};
use tests::scratch::Scratch;

/// Where programs run.
const PLACES: [&[&str]; 2] = [&[], &["--executor=spawn"]];

/// A program of several objects, one of them in an archive. What it is called with says how it ends.
fn program() -> Scratch {
    let scratch = Scratch::new();
    scratch
        .compile(
            "main.o",
            "#include <signal.h>\n#include <stdlib.h>\n#include <string.h>\n#include <unistd.h>\n\
             int second(int); int first(int); int never(int); void last(void);\n\
             int main(int count, char **with) { atexit(last); int sum = first(1) + second(2);\n\
               if (count < 2) return sum; if (!strcmp(with[1], \"never\")) return never(1);\n\
               if (!strcmp(with[1], \"fork\")) { if (!fork()) exit(never(1)); sleep(1); }\n\
               if (!strcmp(with[1], \"signal\")) raise(SIGTERM);\n\
               if (!strcmp(with[1], \"_exit\")) _exit(4);\n\
               if (!strcmp(with[1], \"cd\")) chdir(\"/\"); exit(sum); }",
        )
        .compile(
            "first.o",
            "int deep(int); int first(int x) { return deep(x) + 1; }",
        )
        .compile(
            "second.o",
            "int deep(int); int second(int x) { return deep(x) + 2; }",
        )
        .compile(
            "never.o",
            "int never(int x) { return x; } int never2(void) { return 2; }",
        )
        .compile("last.o", "void last(void) {}")
        .compile("deep.o", "int deep(int x) { return 10 * x; }")
        .archive("libdeep.a", &["deep.o"]);
    scratch
}

fn run(scratch: &Scratch, flags: &[&str], arguments: &[&str]) -> Option<Behaviour> {
    let inputs: &[&str] = &[
        "main.o",
        "never.o",
        "second.o",
        "first.o",
        "last.o",
        "libdeep.a",
        "--",
    ];
    scratch.orc_jit(&[&["run", "--lazy"], flags, inputs, arguments].concat())
}

/// The lines of a record that say something.
fn recorded(scratch: &Scratch, name: &str) -> Vec<String> {
    let text = String::from_utf8(scratch.read(name)).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(str::to_owned).collect()
}

const CALLED: [&str; 4] = [
    "first\tfirst.o",
    "deep\tlibdeep.a(deep.o)",
    "second\tsecond.o",
    "last\tlast.o",
];

#[test]
fn timings_say_how_much_of_a_lazy_program_was_linked() {
    let scratch = program();
    for place in PLACES {
        let flags = [&["--timings"], place].concat();
        let ends = [
            (
                &[][..],
                Ending::Exit(33),
                "4 of 6 functions that waited for a first call were linked, in 4 of 5 objects",
            ),
            (
                &["never"],
                Ending::Exit(1),
                "6 of 6 functions that waited for a first call were linked, in 5 of 5 objects",
            ),
        ];
        for (arguments, ending, said) in ends {
            let Some(ran) = run(&scratch, &flags, arguments) else {
                return;
            };
            let message = String::from_utf8_lossy(&ran.stderr);
            assert_eq!(ran.ending, ending, "{message}");
            assert!(message.contains(said), "{place:?}: {message}");
            assert!(message.contains("total"), "{message}");
        }
    }
}

#[test]
fn first_calls_are_recorded_however_the_program_ends_that_can_be_seen() {
    let scratch = program();
    for place in PLACES {
        let is_spawned = !place.is_empty();
        let ends = [
            ("exit", Ending::Exit(33), true),
            ("cd", Ending::Exit(33), true),
            ("fork", Ending::Exit(33), true),
            ("signal", Ending::Signal(15), is_spawned),
            ("_exit", Ending::Exit(4), is_spawned),
        ];
        for (end, ending, is_written) in ends {
            scratch.write("order", "was here\n");
            let flags = [&["--record-order", "order"], place].concat();
            let Some(ran) = run(&scratch, &flags, &[end]) else {
                return;
            };
            let message = String::from_utf8_lossy(&ran.stderr);
            assert_eq!(ran.ending, ending, "{message}");
            let called = match (is_written, end) {
                (false, _) => vec!["was here"],
                (true, "signal" | "_exit") => CALLED[..3].to_vec(),
                (true, _) => CALLED.to_vec(),
            };
            assert_eq!(recorded(&scratch, "order"), called, "{place:?} {end}");
        }
        let left = fs::read_dir(scratch.path()).unwrap().flatten();
        let left = left.filter(|it| it.file_name().to_string_lossy().starts_with(".orc"));
        assert_eq!(left.count(), 0, "nothing is left beside it");
    }
}

#[test]
fn an_order_is_linked_before_the_program_starts() {
    let scratch = program();
    for place in PLACES {
        let Some(ran) = run(
            &scratch,
            &[&["--record-order", "order"], place].concat(),
            &[],
        ) else {
            return;
        };
        assert_eq!(ran.ending, Ending::Exit(33));
        let flags = ["--timings", "--order", "order", "--record-order", "again"];
        let ran = run(&scratch, &[&flags, place].concat(), &[]).unwrap();
        let message = String::from_utf8_lossy(&ran.stderr);
        assert_eq!(ran.ending, Ending::Exit(33), "{message}");
        assert!(!message.contains("warning"), "{message}");
        assert!(
            message.contains("0 of 2 functions that waited"),
            "{message}"
        );
        assert_eq!(
            recorded(&scratch, "again"),
            ["first", "deep", "second", "last"]
        );
    }
}

#[test]
fn people_edit_orders_and_hear_of_what_is_unknown_once() {
    let scratch = program();
    scratch.write(
        "order",
        "# mine\n\nsecond  of mine\nnix\n  first\nnichts\nsecond\n",
    );
    let flags = ["--order", "order", "--record-order", "again"];
    let Some(ran) = run(&scratch, &flags, &["exit"]) else {
        return;
    };
    assert_eq!(ran.ending, Ending::Exit(33));
    let message = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(
        message,
        "orc-jit: warning: order: 2 of 4 functions are not in the program\n"
    );
    let again = recorded(&scratch, "again");
    assert_eq!(again[..2], ["second", "first"]);
    assert_eq!(again.len(), 4, "{again:?}");
    scratch.write("order", "first\n\na\\b\n");
    let message = scratch.message(&["run", "--lazy", "--order", "order", "main.o"]);
    let message = message.unwrap();
    assert!(message.contains("order:3: a backslash begins"), "{message}");
}

#[test]
fn a_record_is_written_to_what_its_name_leads_to() {
    let scratch = program();
    scratch.write("real", "");
    symlink("real", scratch.file("link")).unwrap();
    let Some(ran) = run(&scratch, &["--record-order", "link"], &[]) else {
        return;
    };
    assert_eq!(ran.ending, Ending::Exit(33));
    assert!(scratch.file("link").is_symlink());
    assert_eq!(recorded(&scratch, "real"), CALLED);
    let ran = run(&scratch, &["--record-order", "/dev/stdout"], &[]).unwrap();
    let text = String::from_utf8(ran.stdout).unwrap();
    assert_eq!(text.lines().skip(1).collect::<Vec<_>>(), CALLED);
    for place in ["no/such", "."] {
        let flags = ["run", "--lazy", "--record-order", place, "main.o"];
        let message = scratch.message(&flags).unwrap();
        assert!(
            message.contains(&format!("cannot write {place}: ")),
            "{message}"
        );
    }
    // It takes an order to be lazy.
    let message = scratch.message(&["run", "--order", "link", "main.o"]);
    assert!(message.unwrap().contains("--lazy"));
}
