//! Sources that are started like programs: `#!/usr/bin/env -S orc-jit run --script`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tests::compare::orc_jit;
use tests::scratch::Scratch;

/// An executable file that starts with the line for the command and these words.
fn script(folder: &Scratch, name: &str, words: &str, text: &str) -> PathBuf {
    let command = orc_jit().expect("these tests need the command");
    let first = format!("#!/usr/bin/env -S {} run {words}", command.display());
    folder.write(name, format!("{first}\n{text}"));
    let path = folder.path().join(name);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("can be changed");
    path
}

fn run(script: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(script);
    // An option from the environment, which comes behind the script's name.
    command.env("LD_RUN_PATH", "/nowhere");
    let started = command.args(arguments).output();
    started.expect("the system starts it")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn scripts_in_c_and_cpp_get_all_that_follows_their_name() {
    let folder = Scratch::new();
    folder.write("beside.h", "#define GREETING \"hello\"\n");
    let main = "#include <stdio.h>\n#include \"beside.h\"\n\
        int main(int argc, char **argv) {\n\
          for (int i = 0; i < argc; i++) printf(\"%s \", argv[i]);\n\
          printf(\"%s %d\\n\", GREETING, __LINE__); return argc; }\n";
    for (name, words) in [
        ("s.c", "--script"),
        ("s.cpp", "-O2 --script"),
        ("plain", "-x c --script"),
    ] {
        let path = script(&folder, name, words, main);
        let output = run(&path, &["-O9", "--", "@x", "--script"]);
        let expected = format!("{} -O9 -- @x --script hello 6\n", path.display());
        assert_eq!(text(&output.stdout), expected, "{}", text(&output.stderr));
        assert_eq!(output.status.code(), Some(5));
    }
}

#[test]
fn a_source_that_can_be_read_once_is_the_compilers() {
    let command = orc_jit().expect("these tests need the command");
    let line = format!(
        "printf 'int main(void) {{ return 6; }}' | {} run -x c /dev/stdin",
        command.display()
    );
    let output = Command::new("sh").args(["-c", &line]).output();
    let output = output.expect("starts");
    assert_eq!(output.status.code(), Some(6), "{}", text(&output.stderr));
}

#[test]
fn compilers_messages_name_the_script_and_its_lines() {
    let folder = Scratch::new();
    let path = script(
        &folder,
        "bad.c",
        "--script",
        "int main(void) {\n  return nothing;\n}\n",
    );
    let output = run(&path, &[]);
    let message = text(&output.stderr);
    assert_ne!(output.status.code(), Some(0));
    assert!(
        message.contains(&format!("{}:3:", path.display())),
        "{message}"
    );
    assert!(message.contains("nothing"), "{message}");
}

#[test]
fn scripts_in_rust_run_too() {
    let folder = Scratch::new();
    let main = "fn main() { let words: Vec<String> = std::env::args().skip(1).collect(); \
        println!(\"{}\", words.join(\",\")); }\n";
    let path = script(&folder, "s.rs", "--script", main);
    let output = run(&path, &["one", "two"]);
    assert_eq!(
        text(&output.stdout),
        "one,two\n",
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn a_script_without_a_name_is_an_error() {
    let command = orc_jit().expect("these tests need the command");
    let output = Command::new(command).args(["run", "--script"]).output();
    let output = output.expect("starts");
    assert_eq!(output.status.code(), Some(2));
    let message = text(&output.stderr);
    assert!(message.contains("no input files"), "{message}");
}
