//! A program that crashes in another process leaves a description that a person can work with: what
//! happened, to which address, and by which calls, with names, files and lines.

use expect_test::{Expect, expect};
use tests::command::Ending;
use tests::scratch::Scratch;

/// Options that make debug information of all compilers alike.
const DEBUG: &[&str] = &["-g", "-O0", "-gno-column-info"];

/// Runs a program of one C source in another process and compares what is said of its crash.
#[track_caller]
fn check(name: &str, text: &str, signal: i32, expected: &Expect) {
    let scratch = Scratch::new();
    let object = format!("{name}.o");
    scratch.compile_with(&object, text, DEBUG);
    check_in(&scratch, &[&object], signal, expected);
}

#[track_caller]
fn check_in(scratch: &Scratch, inputs: &[&str], signal: i32, expected: &Expect) {
    let arguments = [&["run", "--executor=spawn"], inputs].concat();
    let Some(behaviour) = scratch.orc_jit(&arguments) else {
        return;
    };
    let message = String::from_utf8_lossy(&behaviour.stderr).into_owned();
    assert_eq!(behaviour.ending, Ending::Signal(signal), "{message}");
    expected.assert_eq(&normalized(&message, scratch));
}

/// The message without what differs from run to run, from compiler to compiler and from one C library
/// to another: numbers, and frames of libraries without sources here.
fn normalized(message: &str, scratch: &Scratch) -> String {
    let directory = format!("{}/", scratch.path().display());
    let lines = message.lines().filter_map(|line| {
        let is_frame = line.trim_start().starts_with('#');
        let is_own = line.contains(&directory) || line.contains("where nothing is");
        // What compilers put around initializers has other names in each of their versions.
        let is_start = line.contains("__static_init") || line.contains("_GLOBAL__sub");
        if is_frame && (!is_own || is_start) {
            return None;
        }
        let line = line.replace(&directory, "");
        let words: Vec<String> = line.split(' ').map(without_numbers).collect();
        Some(words.join(" ") + "\n")
    });
    lines.collect()
}

/// A word with its number left out: "+0x1c", an address, "#3".
fn without_numbers(word: &str) -> String {
    if let Some((name, _)) = word.split_once("+0x") {
        return format!("{name}+…");
    }
    let is_address = word
        .strip_prefix("0x")
        .is_some_and(|digits| digits.len() > 8);
    let is_number = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    match word {
        _ if is_address => "0x…".to_owned(),
        _ if is_number => "…".to_owned(),
        _ if word.starts_with('#') => "#".to_owned(),
        _ => word.to_owned(),
    }
}

#[test]
fn a_null_pointer() {
    check(
        "null",
        "struct node { long key, weight; };
static long weigh(struct node *node) {
  return node->weight;
}
int main(void) { return (int)weigh(0); }
",
        11,
        &expect![[r#"
            orc-jit: error: the program was ended by SIGSEGV (segmentation fault) in thread … (null): nothing is mapped there
              the access was to 0x8, a null pointer
              #  0x… weigh+… in null.o (main) at null.c:3
              #  0x… main+… in null.o (main) at null.c:5
        "#]],
    );
}

#[test]
fn a_stack_overflow() {
    check(
        "deep",
        "int deep(int n) { volatile char room[256]; room[0] = (char)n; return deep(n + 1) + room[0]; }
int main(void) { return deep(0); }
",
        11,
        &expect![[r#"
            orc-jit: error: the program was ended by SIGSEGV (segmentation fault) in thread … (deep): nothing is mapped there
              the access was to 0x… next to the stack pointer: the stack has overflowed
              #  0x… deep+… in deep.o (main) at deep.c:1
              #  0x… deep+… in deep.o (main) at deep.c:1
        "#]],
    );
}

#[test]
fn a_failed_assertion() {
    check(
        "claim",
        "#include <assert.h>
static void claim(int n) { assert(n > 0); }
int main(void) {
  claim(0);
}
",
        6,
        &expect![[r#"
            claim: claim.c:2: claim: Assertion `n > 0' failed.
            orc-jit: error: the program was ended by SIGABRT (aborted) in thread … (claim): the program aborted itself
              #  0x… claim+… in claim.o (main) at claim.c:2
              #  0x… main+… in claim.o (main) at claim.c:4
        "#]],
    );
}

#[test]
fn a_jump_to_nowhere() {
    check(
        "nowhere",
        "static void go(void (*where)(void)) {
  where();
}
int main(void) { go((void (*)(void))0x77123456780); }
",
        11,
        &expect![[r#"
            orc-jit: error: the program was ended by SIGSEGV (segmentation fault) in thread … (nowhere): nothing is mapped there
              the jump was to 0x… where nothing is
              #  0x… where nothing is
              #  0x… go+… in nowhere.o (main) at nowhere.c:2
              #  0x… main+… in nowhere.o (main) at nowhere.c:4
        "#]],
    );
}

#[test]
fn a_write_to_a_constant() {
    check(
        "constant",
        "const int limit = 3;
int main(void) {
  *(int *)&limit = 4;
}
",
        11,
        &expect![[r#"
            orc-jit: error: the program was ended by SIGSEGV (segmentation fault) in thread … (constant): the memory there does not allow it
              the access was to 0x… limit+… in constant.o (main), which is mapped r--p
              #  0x… main+… in constant.o (main) at constant.c:3
        "#]],
    );
}

#[test]
fn a_second_thread() {
    check(
        "thread",
        "#include <pthread.h>
static void *work(void *n) {
  return (void *)(long)(100 / *(volatile int *)n);
}
int main(void) {
  static int zero;
  pthread_t thread;
  pthread_create(&thread, 0, work, &zero);
  pthread_join(thread, 0);
}
",
        8,
        &expect![[r#"
            orc-jit: error: the program was ended by SIGFPE (arithmetic exception) in thread … (thread): an integer division by zero, or one whose result has no place
              #  0x… work+… in thread.o (main) at thread.c:3
        "#]],
    );
}

#[test]
fn an_initializer() {
    check(
        "cxx_init",
        "static int *none;
static int read() { return *none; }
static int value = read();
int main() { return value; }
",
        11,
        &expect![[r#"
            orc-jit: error: the program was ended by SIGSEGV (segmentation fault) in thread … (cxx_init): nothing is mapped there
              the access was to 0x0, a null pointer
              #  0x… read()+… in cxx_init.o (main) at cxx_init.cpp:2
        "#]],
    );
}

#[test]
fn a_constructor_of_a_library() {
    let scratch = Scratch::new();
    let library = "void crash(volatile int *p) { *p = 1; }
__attribute__((constructor)) static void begin(void) {
  crash(0);
}
";
    let flags = [DEBUG, &["-fPIC"]].concat();
    scratch.compile_with("library.o", library, &flags);
    scratch.shared_library("libbad.so", &["library.o"]);
    let main = "void crash(volatile int *); int main(int argc) { if (argc > 9) crash(0); }";
    scratch.compile_with("main.o", main, DEBUG);
    let inputs = ["main.o", "-L.", "-lbad", "-Wl,-rpath,$ORIGIN"];
    check_in(
        &scratch,
        &inputs,
        11,
        &expect![[r#"
            orc-jit: error: the program was ended by SIGSEGV (segmentation fault) in thread … (main): nothing is mapped there
              the access was to 0x0, a null pointer
              #  0x… crash+… in libbad.so at library.c:1
              #  0x… begin+… in libbad.so at library.c:3
        "#]],
    );
}
