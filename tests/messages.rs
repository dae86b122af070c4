//! What `orc-jit` says when something is wrong. `UPDATE_EXPECT=1 cargo test` rewrites the messages;
//! read them as somebody who has just typed the command.

use expect_test::{Expect, expect};
use tests::scratch::Scratch;

/// Runs `orc-jit` with `arguments` in `scratch` and compares its message.
fn check(scratch: &Scratch, arguments: &[&str], expected: Expect) {
    if let Some(message) = scratch.message(arguments) {
        expected.assert_eq(&message);
    }
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
        expect![[""]],
    );
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
        expect![[""]],
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
        expect![[""]],
    );
}

#[test]
fn truncated_object() {
    let scratch = with_main();
    let bytes = scratch.read("main.o");
    scratch.write("truncated.o", &bytes[..bytes.len() / 2]);
    check(&scratch, &["run", "truncated.o"], expect![[""]]);
}

#[test]
fn object_without_a_header() {
    let scratch = with_main();
    let bytes = scratch.read("main.o");
    scratch.write("short.o", &bytes[..40]);
    check(&scratch, &["run", "short.o"], expect![[""]]);
}

#[test]
fn unsupported_relocation() {
    let scratch = Scratch::new();
    scratch.compile(
        "main.o",
        "int callee(void); int main(void) { return callee(); }",
    );
    let mut bytes = scratch.read("main.o");
    let entry = relocation_of(&bytes, 4);
    bytes[entry + 8] = 200;
    scratch.write("patched.o", bytes);
    check(&scratch, &["run", "patched.o"], expect![[""]]);
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
    check(&scratch, &["run", "arm.o"], expect![[""]]);
}

#[test]
fn wrong_word_size() {
    let scratch = with_main();
    let mut bytes = scratch.read("main.o");
    bytes[4] = 1; // EI_CLASS: ELFCLASS32
    scratch.write("small.o", bytes);
    check(&scratch, &["run", "small.o"], expect![[""]]);
}

#[test]
fn an_executable_is_not_an_object() {
    let scratch = Scratch::new();
    scratch.write(
        "program",
        std::fs::read("/proc/self/exe").expect("this test is an executable"),
    );
    check(&scratch, &["run", "program"], expect![[""]]);
}

#[test]
fn missing_file() {
    check(&with_main(), &["run", "main.o", "missing.o"], expect![[""]]);
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
        expect![[""]],
    );
}

#[test]
fn no_main() {
    let scratch = Scratch::new();
    scratch.compile("helper.o", "int helper(void) { return 1; }");
    check(&scratch, &["run", "helper.o"], expect![[""]]);
}

#[test]
fn no_such_entry() {
    check(
        &with_main(),
        &["run", "--entry", "start_here", "main.o"],
        expect![[""]],
    );
}

#[test]
fn directory_instead_of_a_file() {
    let scratch = with_main();
    std::fs::create_dir(scratch.file("directory.o")).expect("a writable directory");
    check(&scratch, &["run", "main.o", "directory.o"], expect![[""]]);
}

#[test]
fn archive_of_garbage() {
    let scratch = with_main();
    scratch.write(
        "garbage.a",
        "!<arch>\nthis is not a member header, and it goes on for more than sixty bytes\n",
    );
    check(&scratch, &["run", "main.o", "garbage.a"], expect![[""]]);
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
    check(&scratch, &["run", "main.o", "early.a"], expect![[""]]);
}

#[test]
fn a_member_that_is_no_object() {
    let scratch = with_main();
    scratch.write("notes.txt", "just a text\n");
    scratch.archive("notes.a", &["notes.txt"]);
    check(
        &scratch,
        &["run", "main.o", "--whole-archive", "notes.a"],
        expect![[""]],
    );
}

#[test]
fn text_instead_of_an_object() {
    let scratch = Scratch::new();
    scratch.write("text.o", "int main(void) { return 0; }\n");
    check(&scratch, &["run", "text.o"], expect![[""]]);
}

#[test]
fn empty_file() {
    let scratch = Scratch::new();
    scratch.write("empty.o", "");
    check(&scratch, &["run", "empty.o"], expect![[""]]);
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

#[test]
fn no_input() {
    check(&Scratch::new(), &["run"], expect![[""]]);
}

#[test]
fn unknown_option() {
    check(
        &with_main(),
        &["run", "--no-such-option", "main.o"],
        expect![[""]],
    );
}

#[test]
fn option_without_its_value() {
    check(&with_main(), &["run", "main.o", "--threads"], expect![[""]]);
}

#[test]
fn value_that_is_no_number() {
    check(
        &with_main(),
        &["run", "--threads=many", "main.o"],
        expect![[""]],
    );
}
