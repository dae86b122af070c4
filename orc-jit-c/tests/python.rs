//! The package for Python, in an interpreter.

mod built;

use std::path::{Path, PathBuf};
use std::process::Command;

fn library() -> PathBuf {
    built::libraries().join("liborcjit.so")
}

/// What a script prints, with the package and the library where it looks for them.
fn run(script: &str, arguments: &[&Path]) -> String {
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("python");
    let mut python = Command::new("python3");
    python
        .arg("-c")
        .arg(script)
        .args(arguments)
        .env("PYTHONPATH", package)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("ORC_JIT_LIBRARY", library());
    let output = python.output().expect("python3 is installed");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let errors = text(&output.stderr);
    assert!(output.status.success(), "{errors}");
    text(&output.stdout)
}

#[test]
fn c_and_cpp_are_compiled_linked_and_called() {
    let script = r#"
import ctypes, orc_jit
jit = orc_jit.Jit()
part = jit.add_c("int f(int x) { return x * 2; } double half(double x) { return x / 2; }")
print(part.f(21))
half = jit.function("half", ctypes.c_double, ctypes.c_double)
print(half(5))
cpp = jit.add_cpp('''
    #include <stdexcept>
    #include <string>
    extern "C" int length(const char *text) {
        try { throw std::runtime_error(text); }
        catch (const std::exception &error) { return std::string(error.what()).size(); }
    }''')
print(cpp.length(b"twelve bytes"))
"#;
    assert_eq!(run(script, &[]), "42\n2.5\n12\n");
}

#[test]
fn parts_are_removed_and_replaced_while_kept_functions_keep_their_code() {
    let script = r#"
import orc_jit
jit = orc_jit.Jit()
first = jit.add_c("int f(void) { return 1; }")
kept = first.f
try:
    jit.add_c("int f(void) { return 2; }")
except orc_jit.Error as error:
    print("f" in str(error))
first.remove()
second = jit.add_c("int f(void) { return 2; }")
print(kept(), second.f(), jit.f())
second.remove()
print(hasattr(second, "f"))
"#;
    assert_eq!(run(script, &[]), "True\n1 2 2\nFalse\n");
}

#[test]
fn linked_code_calls_functions_of_python() {
    let script = r#"
import ctypes, orc_jit
jit = orc_jit.Jit()
callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(lambda x: x + 1)
variable = ctypes.c_int(100)
jit.define("callback", callback)
jit.define("variable", variable)
jit.add_c("int callback(int); extern int variable; int twice(int x) { variable++; return callback(callback(x)); }")
print(jit.twice(5), variable.value)
"#;
    assert_eq!(run(script, &[]), "7 101\n");
}

#[test]
fn errors_say_what_is_wrong() {
    let script = r#"
import orc_jit
jit = orc_jit.Jit()
for act in [
    lambda: jit.add_c("int f( {"),
    lambda: jit.add_object("/nowhere.o"),
    lambda: jit.add_object(b"four", "four.o"),
    lambda: jit.add_c("int g(void); int f(void) { return g(); }") and jit.function("f"),
    lambda: jit.add_c("", compiler="/nowhere/cc"),
]:
    try:
        act()
        print("no error")
    except orc_jit.Error as error:
        print(type(error).__name__, any(it in str(error) for it in ["source.c", "/nowhere.o", "four.o", "g", "/nowhere/cc"]))
"#;
    let expected = "CompileError True\nError True\nError True\nError True\nCompileError True\n";
    assert_eq!(run(script, &[]), expected);
}

#[test]
fn two_copies_of_the_library_live_in_one_interpreter() {
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("libanother.so");
    std::fs::copy(library(), &copy).unwrap();
    let script = r#"
import sys, threading, orc_jit
source = '''
    #include <stdexcept>
    thread_local int calls;
    struct Counted { ~Counted() { calls = 0; } };
    thread_local Counted counted;
    extern "C" int count(int x) {
        (void)&counted;
        try { throw x; } catch (int y) { return calls += y; }
    }'''
jits = [orc_jit.Jit(), orc_jit.Jit(library=sys.argv[1])]
parts = [jit.add_cpp(source) for jit in jits]
results = []
def work():
    results.append([part.count(n) for n in (1, 2) for part in parts])
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(sorted(results) == [[1, 1, 3, 3]] * 4)
for part in parts: part.remove()
for jit in jits: jit.close()
"#;
    assert_eq!(run(script, &[&copy]), "True\n");
}

#[test]
fn programs_run_in_another_process() {
    let script = r#"
import orc_jit
executor = orc_jit.Executor.spawn()
jit = orc_jit.Jit(executor)
jit.add_c('''
    #include <stdio.h>
    int main(int argc, char **argv) { printf("%s\\n", argv[1]); fflush(stdout); return 7; }''')
print(jit.run_main("program", "elsewhere"))
try:
    jit.function("main")
except orc_jit.Error as error:
    print("another process" in str(error))
executor.end()
"#;
    let text = run(script, &[]);
    assert_eq!(text, "elsewhere\n7\nTrue\n");
}

/// The blocks of Python in a page.
fn blocks(page: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(page);
    let text = std::fs::read_to_string(path).unwrap();
    let blocks = text.split("```python\n").skip(1);
    blocks.filter_map(|it| it.split("```").next()).collect()
}

#[test]
fn what_the_pages_show_runs() {
    assert_eq!(run(&blocks("README.md"), &[]), "42\n");
    assert_eq!(run(&blocks("docs/c-and-python.md"), &[]), "2.5\n7\n");
}

#[test]
fn the_wheel_is_installed_and_brings_the_library() {
    let dir = tempfile::tempdir().unwrap();
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("python");
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--no-index", "--no-build-isolation"])
        .args(["--quiet", "--root-user-action", "ignore", "--target"])
        .arg(dir.path())
        .arg(package)
        .env("ORC_JIT_LIBRARY", library());
    let output = pip.output().expect("python3 is installed");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let mut python = Command::new("python3");
    let script = "import orc_jit; print(orc_jit.__file__, orc_jit.Jit().add_c('int f(void) { return 3; }').f())";
    python
        .args(["-c", script])
        .env("PYTHONPATH", dir.path())
        .env_remove("ORC_JIT_LIBRARY");
    let output = python.output().expect("python3 is installed");
    let printed = String::from_utf8_lossy(&output.stdout);
    let installed = dir.path().join("orc_jit/__init__.py");
    assert_eq!(printed, format!("{} 3\n", installed.display()));
}
