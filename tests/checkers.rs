//! The command under a tool that runs programs and checks them: what it links is checked like
//! any other code of the process.

use std::process::ExitCode;
use std::time::Duration;

use libtest_mimic::Arguments;
use tests::add_tests;
use tests::command::{Behaviour, Ending, Invocation};
use tests::compare::orc_jit;
use tests::needs::Tests;
use tests::scratch::Scratch;

/// Runs a program of one source under memcheck. `None` where there is no command to test.
fn memcheck(object: &str, text: &str) -> Option<Behaviour> {
    let scratch = Scratch::new();
    scratch.compile_with(object, text, &["-g"]);
    let command = orc_jit()?.into_os_string();
    let mut valgrind = Invocation::new(["valgrind", "--error-exitcode=99", "--leak-check=no"])
        .arg(command)
        .arg("run")
        .arg(object);
    valgrind.limit = Duration::from_secs(300);
    Some(valgrind.run_in(scratch.path()).expect("valgrind starts"))
}

fn main() -> ExitCode {
    let mut tests = Tests::default();
    add_tests!(
        tests,
        ["valgrind"],
        memcheck_finds_what_a_program_does_wrong,
        memcheck_has_nothing_to_say_of_a_correct_program,
    );
    add_tests!(
        tests,
        [],
        a_leak_checker_reads_what_a_program_has_and_no_more,
    );
    tests.run(&Arguments::from_args())
}

fn memcheck_finds_what_a_program_does_wrong() {
    let text = "#include <stdlib.h>\n\
                int main(void) { char *p = malloc(10); volatile char c = p[10]; return 0; }\n";
    let Some(behaviour) = memcheck("wrong.o", text) else {
        return;
    };
    let message = String::from_utf8_lossy(&behaviour.stderr).into_owned();
    assert_eq!(behaviour.ending, Ending::Exit(99), "{message}");
    assert!(message.contains("Invalid read of size 1"), "{message}");
    assert!(
        message.contains("0 bytes after a block of size 10"),
        "{message}"
    );
}

fn memcheck_has_nothing_to_say_of_a_correct_program() {
    let text = r#"#include <cstdio>
        #include <stdexcept>
        #include <string>
        #include <thread>
        static thread_local std::string name = "of a thread";
        struct Global { std::string text = "made first"; ~Global() { std::puts("gone last"); } } global;
        int main() {
            try { throw std::runtime_error("thrown"); }
            catch (const std::exception &error) { std::puts(error.what()); }
            std::thread([] { name += ", another's"; std::puts(name.c_str()); }).join();
            std::puts(global.text.c_str());
        }
    "#;
    let Some(behaviour) = memcheck("cxx_right.o", text) else {
        return;
    };
    let message = String::from_utf8_lossy(&behaviour.stderr).into_owned();
    assert_eq!(behaviour.ending, Ending::Exit(0), "{message}");
    let expected = "thrown\nof a thread, another's\nmade first\ngone last\n";
    assert_eq!(String::from_utf8_lossy(&behaviour.stdout), expected);
    assert!(
        message.contains("ERROR SUMMARY: 0 errors"),
        "a process may have had other reasons to end well: {message}"
    );
}

/// Each page that LeakSanitizer reads costs a page fault, and the address space that linked code lies in has
/// a quarter of a million of them.
fn a_leak_checker_reads_what_a_program_has_and_no_more() {
    let scratch = Scratch::new();
    let leak = "#include <stdlib.h>\nint main(void) { return malloc(10) == 0; }\n";
    scratch.compile_with("leak.o", leak, &["-fsanitize=address"]);
    let Some(command) = orc_jit() else {
        return;
    };
    // A shell has faults of its children counted: the 11th word, the second being its name.
    let script = "\"$@\"; echo $? $(cut -d' ' -f 11 /proc/$$/stat)";
    let words = ["sh", "-c", script, "sh"].map(Into::into);
    let link = ["run", "-fsanitize=address", "leak.o"].map(Into::into);
    let words = words.into_iter().chain([command.into_os_string()]);
    let invocation = Invocation::new(words.chain(link));
    let behaviour = invocation.run_in(scratch.path()).expect("a shell starts");
    let said = String::from_utf8_lossy(&behaviour.stderr).into_owned();
    assert!(said.contains("10 byte(s) leaked"), "{said}");
    let output = String::from_utf8_lossy(&behaviour.stdout).into_owned();
    let (code, faults) = output.trim().split_once(' ').expect("two numbers");
    let faults: u32 = faults.parse().expect("a number");
    assert_eq!(code, "1", "{said}");
    assert!(faults < 60_000, "{faults} page faults");
}
