//! Standard input, output and error, each open or closed when the command starts: a program finds those
//! closed that a linked program finds closed, and what it prints goes nowhere else.

use std::fs;

use tests::command::{Behaviour, Ending};
use tests::listener::Listener;
use tests::scratch::Scratch;

use super::{command, shell, text, with_orc_jit};

/// Notes which streams are open when code of a library, a constructor and `main` runs, what number a file
/// gets that is opened, and whether it can print. Prints much, so that nothing else arrives in its
/// place.
const PROGRAM: &str = r#"
    #include <fcntl.h>
    #include <stdio.h>
    #include <string.h>
    #include <unistd.h>
    static char notes[500];
    #define NOTE(...) sprintf(notes + strlen(notes), __VA_ARGS__)
    void look(const char *who) {
        NOTE("%s:", who);
        for (int stream = 0; stream < 3; stream++)
            NOTE(" %s", fcntl(stream, F_GETFD) < 0 ? "closed" : "open");
        NOTE("\n");
    }
    #ifdef LARGE
    _Thread_local char large[100000] = {1};
    #endif
    __attribute__((constructor)) static void constructor(void) { look("constructor"); }
    int main(int argc, char **argv) {
        look("main");
        int file = open("/", O_RDONLY);
        NOTE("a file: %d\n", file);
        close(file);
        char byte;
        NOTE("reads: %d\n", (int)read(0, &byte, 1));
        for (int line = 0; line < 3000; line++)
            if (write(1, "this is the output\n", 19) < 0) { NOTE("no output\n"); break; }
        if (write(2, "this is an error\n", 17) < 0) NOTE("no error\n");
        FILE *kept = fopen(argv[1], "w");
        fputs(notes, kept);
        return fclose(kept) ? 1 : 7;
    }"#;

const LIBRARY: &str = r#"
    extern void look(const char *);
    __attribute__((constructor)) static void constructor(void) { look("library"); }
    int used(void) { return 0; }"#;

const CLOSINGS: [&str; 8] = [
    "",
    "<&-",
    ">&-",
    "2>&-",
    "<&- >&-",
    "<&- 2>&-",
    ">&- 2>&-",
    "<&- >&- 2>&-",
];

fn prepared() -> Scratch {
    let scratch = Scratch::new();
    scratch.compile_with("library.o", LIBRARY, &["-fPIC"]);
    scratch.shared_library("library.so", &["library.o"]);
    scratch.compile("main.o", PROGRAM);
    scratch.compile_with("large.o", PROGRAM, &["-DLARGE"]);
    scratch.write("main.c", PROGRAM);
    let link = "cc -rdynamic main.o -Wl,--no-as-needed ./library.so -o linked";
    assert_eq!(shell(&scratch, link, &[]).ending, Ending::Exit(0));
    scratch
}

/// What happened, and what the program noted.
type Seen = (Behaviour, String);

fn linked(scratch: &Scratch, closing: &str) -> Seen {
    let behaviour = shell(scratch, &format!("./linked notes {closing}"), &[]);
    (behaviour, notes(scratch))
}

fn notes(scratch: &Scratch) -> String {
    let notes = scratch.file("notes");
    let text = fs::read_to_string(&notes).unwrap_or_default();
    let _ = fs::remove_file(notes);
    text
}

fn ours(scratch: &Scratch, closing: &str, options: &[&str], input: &str) -> Seen {
    let mut arguments = vec!["run"];
    arguments.extend(options);
    arguments.extend([
        "-rdynamic",
        input,
        "-Wl,--no-as-needed",
        "./library.so",
        "--",
        "notes",
    ]);
    let behaviour = with_orc_jit(scratch, &format!("exec \"$@\" {closing}"), &arguments);
    (behaviour, notes(scratch))
}

#[track_caller]
fn assert_same(linked: &Seen, ours: &Seen, what: &str) {
    assert_eq!(
        ours.0.ending,
        linked.0.ending,
        "{what}: {}",
        text(&ours.0.stderr)
    );
    assert_eq!(ours.1, linked.1, "{what}");
    assert_eq!(text(&ours.0.stdout), text(&linked.0.stdout), "{what}");
    assert_eq!(text(&ours.0.stderr), text(&linked.0.stderr), "{what}");
}

pub fn a_program_finds_closed_streams_closed() {
    let scratch = prepared();
    let socket = format!("unix:{}", scratch.file("socket").display());
    let listener = Listener::start(&command(), &["--listen", &socket], None);
    let passed = format!("--executor={}", listener.place);
    for closing in CLOSINGS {
        let linked = linked(&scratch, closing);
        assert_eq!(linked.0.ending, Ending::Exit(7));
        for options in [&[][..], &["--executor=spawn"], &[&passed]] {
            let ours = ours(&scratch, closing, options, "main.o");
            assert_same(&linked, &ours, &format!("{closing} {options:?}"));
        }
        // A compiler runs first; the command starts again with more room for thread-locals.
        for (options, input) in [("--threads=2", "main.c"), ("--threads=1", "large.o")] {
            let ours = ours(&scratch, closing, &[options], input);
            assert_same(&linked, &ours, &format!("{closing} {input}"));
        }
    }
}

pub fn llvms_executor_prints_nowhere_else() {
    let scratch = prepared();
    for closing in CLOSINGS {
        let linked = linked(&scratch, closing);
        let ours = ours(&scratch, closing, &["--executor=llvm"], "main.o");
        assert_same(&linked, &ours, closing);
    }
}

/// Where streams are forwarded the program has its own. What it prints for a stream that is closed here
/// is lost, and nothing else is.
pub fn forwarded_streams_that_are_closed_here_lead_nowhere() {
    let scratch = prepared();
    let token = "a secret that is long enough for everybody";
    let listener = Listener::start(&command(), &["--listen", "tcp:127.0.0.1:0"], Some(token));
    scratch.write("token", token);
    let reached = format!("--executor={}", listener.place);
    let through = format!("--executor=stdio:{} executor --stdio", command().display());
    for closing in CLOSINGS {
        let linked = linked(&scratch, closing);
        for executor in [&reached, &through] {
            let options = [executor.as_str(), "--executor-token-file=token"];
            let ours = ours(&scratch, closing, &options, "main.o");
            let what = format!("{closing} {executor}: {}", text(&ours.0.stderr));
            assert_eq!(ours.0.ending, linked.0.ending, "{what}");
            assert_eq!(ours.0.stdout, linked.0.stdout, "{what}");
            assert_eq!(ours.0.stderr, linked.0.stderr, "{what}");
            assert!(ours.1.contains("main: open open open"), "{what}");
        }
    }
}

/// An executor that is started by somebody who has closed its streams.
pub fn a_listener_without_streams() {
    let scratch = prepared();
    let start = "\"$@\" <&- >&- 2>&- & echo $!";
    let listener = with_orc_jit(&scratch, start, &["executor", "--listen", "unix:socket"]);
    let pid = text(&listener.stdout);
    // It cannot say where it listens, and so does not.
    shell(&scratch, "sleep 1", &[]);
    assert!(!scratch.file("socket").exists());
    shell(&scratch, &format!("kill {}", pid.trim()), &[]);
    let start = "\"$@\" <&- >/dev/null 2>&- & echo $!";
    let listener = with_orc_jit(&scratch, start, &["executor", "--listen", "unix:socket"]);
    let pid = text(&listener.stdout);
    shell(&scratch, "until [ -S socket ]; do sleep 0.05; done", &[]);
    for closing in ["", "<&- >&- 2>&-"] {
        let linked = linked(&scratch, closing);
        let ours = ours(&scratch, closing, &["--executor=unix:socket"], "main.o");
        assert_same(&linked, &ours, closing);
    }
    shell(&scratch, &format!("kill {}", pid.trim()), &[]);
}
