//! `orc-jit run --lazy --speculate`: functions are linked before they are called, and programs notice nothing.

use tests::command::{Behaviour, Ending};
use tests::scratch::Scratch;

/// Functions of the program, each in an object of its own.
const FUNCTIONS: usize = 120;

/// A program whose `main` refers to all of its functions, each of which refers to the next one.
fn program(main: &str) -> Scratch {
    let scratch = Scratch::new();
    let mut declared = String::new();
    let mut table = String::new();
    for n in 0..FUNCTIONS {
        let next = (n + 1) % FUNCTIONS;
        let source = format!(
            "int f{next}(int); int f{n}(int x) {{ return x > 0 ? f{next}(x - 1) + 1 : {n}; }}"
        );
        scratch.write(&format!("f{n}.c"), source);
        declared += &format!("int f{n}(int);");
        table += &format!("case {n}: return f{n}(x);");
    }
    let main = format!(
        "#define _GNU_SOURCE\n#include <signal.h>\n#include <stdio.h>\n#include <stdlib.h>\n#include <sys/wait.h>\n\
         #include <unistd.h>\n{declared}\n\
         __attribute__((noipa)) static int f(int n, int x) {{ switch (n) {{ {table} }} return -1; }}\n{main}"
    );
    scratch.write("main.c", main);
    let mut compiler = std::process::Command::new("cc");
    compiler.args(["-c", "-O1", "-w", "main.c"]);
    compiler.args((0..FUNCTIONS).map(|n| format!("f{n}.c")));
    let compiled = compiler.current_dir(scratch.path()).status().unwrap();
    assert!(compiled.success());
    scratch
}

fn run(scratch: &Scratch, flags: &[&str]) -> Option<Behaviour> {
    let objects: Vec<String> = (0..FUNCTIONS).map(|n| format!("f{n}.o")).collect();
    let objects: Vec<&str> = objects.iter().map(String::as_str).collect();
    let words = ["run", "--lazy", "--speculate", "main.o"];
    scratch.orc_jit(&[&words, &objects[..], flags].concat())
}

fn message(ran: &Behaviour) -> String {
    String::from_utf8_lossy(&ran.stderr).into_owned()
}

#[test]
fn functions_are_linked_while_the_program_does_something_else() {
    let scratch = program("int main(void) { sleep(2); return f(3, 4); }");
    for place in [None, Some("--executor=spawn")] {
        let flags: Vec<&str> = ["--timings"].into_iter().chain(place).collect();
        let Some(ran) = run(&scratch, &flags) else {
            return;
        };
        let message = message(&ran);
        assert_eq!(ran.ending, Ending::Exit(11), "{message}");
        let said = format!("{FUNCTIONS} functions were linked ahead of their calls");
        assert!(message.contains(&said), "{message}");
    }
}

#[test]
fn a_program_ends_at_once_whatever_is_to_be_linked() {
    let scratch = program(
        "int main(int count, char **with) { if (count > 5) return f(0, 9); raise(SIGTERM); return 3; }",
    );
    for place in [None, Some("--executor=spawn")] {
        for (arguments, ending) in [
            (&[][..], Ending::Signal(15)),
            (&["--", "1", "2", "3", "4", "5"], Ending::Exit(18)),
        ] {
            let flags: Vec<&str> = place.into_iter().chain(arguments.iter().copied()).collect();
            let Some(ran) = run(&scratch, &flags) else {
                return;
            };
            assert_eq!(ran.ending, ending, "{}", message(&ran));
        }
    }
}

#[test]
fn a_forked_program_links_at_first_calls_in_both_processes() {
    // The child calls at once what the parent's thread is about to link.
    let scratch = program(
        "int main(void) { for (int n = 0; n < 60; n++) { int status; pid_t child = fork(); \
           if (!child) { alarm(20); _exit(f((n * 7) % 120, 2) == (n * 7 + 2) % 120 + 2 ? 0 : 1); } \
           if (n % 5 == 0 && f(n, 1) != n + 2) return 2; \
           if (waitpid(child, &status, 0) != child || status) return 3; } return 0; }",
    );
    let Some(ran) = run(&scratch, &[]) else {
        return;
    };
    assert_eq!(ran.ending, Ending::Exit(0), "{}", message(&ran));
}

#[test]
fn signals_are_for_the_programs_own_threads() {
    // The handler of a signal to the process runs on the main thread, which is the only one that takes it.
    let scratch = program(
        "static volatile int on_main; static pid_t me; \
         static void handler(int signal) { on_main += gettid() == me; } \
         int main(void) { me = gettid(); signal(SIGUSR1, handler); \
           for (int n = 0; n < 100; n++) { kill(getpid(), SIGUSR1); f(n, 0); usleep(500); } \
           return on_main == 100 ? 0 : 1; }",
    );
    let Some(ran) = run(&scratch, &[]) else {
        return;
    };
    assert_eq!(ran.ending, Ending::Exit(0), "{}", message(&ran));
}
