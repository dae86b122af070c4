//! Completions of shells, and manual pages.

use std::fs;
use std::process::{Command, Output};

use tests::compare::orc_jit;
use tests::scratch::Scratch;

fn run(folder: &Scratch, arguments: &[&str]) -> Output {
    let command = orc_jit().expect("these tests need the command");
    let mut command = Command::new(command);
    command.current_dir(folder.path()).args(arguments);
    command.output().expect("it starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What bash offers for the last of these words.
fn offered(folder: &Scratch, words: &str) -> Vec<String> {
    let script = format!(
        "source ./completions; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
         _orc__jit orc-jit \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD - 1]}}\"; \
         printf '%s\\n' \"${{COMPREPLY[@]}}\""
    );
    let mut bash = Command::new("bash");
    bash.current_dir(folder.path());
    let output = bash.args(["-c", &script]).output().expect("it starts");
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout).lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_subcommands_options_and_files() {
    let folder = Scratch::new();
    let script = run(&folder, &["completions", "bash"]);
    let script = text(&script.stdout);
    folder.write("completions", &script);
    folder.write("main.o", "");
    assert_eq!(offered(&folder, "orc-jit ex"), ["explain", "executor"]);
    assert_eq!(offered(&folder, "orc-jit run --tim"), ["--timings"]);
    assert_eq!(offered(&folder, "orc-jit run --lazy --ord"), ["--order"]);
    // Of what the script offers nothing for, bash completes names of files.
    assert_eq!(offered(&folder, "orc-jit run --lazy ma"), [""]);
    assert!(script.contains("-o default orc-jit"), "{script}");
    assert_eq!(offered(&folder, "orc-jit run --order ma"), ["main.o"]);
    assert_eq!(offered(&folder, "orc-jit completions fi"), ["fish"]);
}

#[test]
fn other_shells_have_scripts_with_all_options() {
    let folder = Scratch::new();
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        let output = run(&folder, &["completions", shell]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let script = text(&output.stdout);
        for option in ["timings", "executor-token-file", "no-exec"] {
            assert!(script.contains(option), "{shell}: {option}");
        }
        assert!(
            !script.contains("link-directory"),
            "{shell} has what is hidden"
        );
    }
}

#[test]
fn a_shell_that_nobody_knows_is_an_error() {
    let output = run(&Scratch::new(), &["completions", "csh"]);
    assert_eq!(output.status.code(), Some(2));
    let expected = "orc-jit: error: invalid value 'csh' for '<SHELL>'\n  \
                    [possible values: bash, elvish, fish, powershell, zsh]\n  \
                    tip: a similar value exists: 'zsh'\n\
                    Try `orc-jit --help`.\n";
    assert_eq!(text(&output.stderr), expected);
}

#[test]
fn each_subcommand_has_a_manual_page() {
    let folder = Scratch::new();
    let output = run(&folder, &["man", "share/man1"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let entries = fs::read_dir(folder.path().join("share/man1")).expect("it is there");
    let names = entries.map(|it| it.expect("it can be read").file_name());
    let mut names: Vec<String> = names.map(|it| it.into_string().expect("text")).collect();
    names.sort();
    let expected = [
        "orc-jit-completions.1",
        "orc-jit-executor.1",
        "orc-jit-explain.1",
        "orc-jit-man.1",
        "orc-jit-run.1",
        "orc-jit-watch.1",
        "orc-jit.1",
    ];
    assert_eq!(names, expected);
    let page = text(&folder.read("share/man1/orc-jit-run.1"));
    for part in [
        "\\fBorc\\-jit run\\fR [OPTIONS] INPUT... [\\-\\- ARGS...]",
        "\\-\\-executor\\-timeout",
        ".SS \"Options of a linker that work here, alone or after -Wl,\"",
        "\n  \\-L DIR                     search DIR for libraries\n",
    ] {
        assert!(page.contains(part), "{part} is not in\n{page}");
    }
}

#[test]
fn pages_that_cannot_be_written_are_an_error() {
    let folder = Scratch::new();
    folder.write("file", "");
    let output = run(&folder, &["man", "file"]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    let expected = "orc-jit: error: cannot write manual pages to file: ";
    assert!(said.starts_with(expected), "{said}");
}
