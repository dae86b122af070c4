//! A command that starts itself again does no work twice, and leaves nothing behind; one that cannot says why.

use std::fs;

use tests::command::{Ending, Invocation};
use tests::compare::orc_jit;
use tests::scratch::Scratch;
use tests::toolchain::compilers;

/// More thread-locals than a process keeps free, so that the command starts itself again.
const SOURCE: &str = "__thread char block[300000] = {1};\n\
    #include <stdio.h>\nint main(void) { printf(\"%d\\n\", block[0]); return 7; }\n";

/// A compiler that notes its calls.
fn counting_compiler(scratch: &Scratch) -> String {
    let log = scratch.file("calls");
    let compiler = compilers()[0].cc.display();
    let text = format!(
        "#!/bin/sh\ncase \" $* \" in *' -c '*) echo \"$*\" >> {};; esac\nexec {compiler} \"$@\"\n",
        log.display()
    );
    scratch.write_executable("counting-cc", text);
    scratch.file("counting-cc").display().to_string()
}

fn assert_compiled_once(flags: &[&str]) {
    let Some(command) = orc_jit() else {
        return;
    };
    let scratch = Scratch::new();
    fs::write(scratch.file("a.c"), SOURCE).unwrap();
    let temporary = scratch.file("temporary");
    fs::create_dir(&temporary).unwrap();
    let words = [command.as_os_str().to_owned(), "run".into()];
    let words = words.into_iter().chain(flags.iter().map(Into::into));
    let mut invocation = Invocation::new(words.chain(["a.c".into()]));
    invocation.env = vec![
        ("CC".into(), counting_compiler(&scratch)),
        ("TMPDIR".into(), temporary.display().to_string()),
    ];
    let ran = invocation.run_in(scratch.path()).expect("can be started");
    let message = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert_eq!(ran.ending, Ending::Exit(7), "{message}");
    assert_eq!(ran.stdout, b"1\n");
    let calls = fs::read_to_string(scratch.file("calls")).unwrap();
    assert_eq!(calls.lines().count(), 1, "{calls}");
    let left = fs::read_dir(temporary).unwrap().count();
    assert_eq!(left, 0, "nothing is left");
}

#[test]
fn thread_locals_that_need_another_start_are_compiled_once() {
    assert_compiled_once(&[]);
}

#[test]
fn so_they_are_for_another_process() {
    assert_compiled_once(&["--executor=spawn"]);
}

#[test]
fn a_sanitizers_program_is_compiled_once() {
    assert_compiled_once(&["-fsanitize=address"]);
}

/// The command under a name of its own, whose file is taken away while it compiles. What lies where the system
/// says that it was is `left`.
fn run_without_a_file(flags: &[&str], left: Option<&str>) -> Option<String> {
    let command = orc_jit()?;
    let scratch = Scratch::new();
    fs::write(scratch.file("a.c"), SOURCE).unwrap();
    let own = scratch.file("own-orc-jit");
    scratch.write_executable("own-orc-jit", fs::read(command).unwrap());
    if let Some(text) = left {
        scratch.write_executable("own-orc-jit (deleted)", text);
    }
    let text = format!(
        "#!/bin/sh\nrm -f {}\nexec {} \"$@\"\n",
        own.display(),
        compilers()[0].cc.display()
    );
    scratch.write_executable("removing-cc", text);
    let compiler = scratch.file("removing-cc");
    let words = [own.as_os_str().to_owned(), "run".into()];
    let words = words.into_iter().chain(flags.iter().map(Into::into));
    let mut invocation = Invocation::new(words.chain(["a.c".into()]));
    invocation.env = vec![("CC".into(), compiler.display().to_string())];
    let ran = invocation.run_in(scratch.path()).expect("can be started");
    let message = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert_eq!(ran.ending, Ending::Exit(1), "{message}");
    assert!(ran.stdout.is_empty(), "{message}");
    Some(message)
}

#[test]
fn what_cannot_be_started_again_is_named_with_the_cause() {
    for (flags, variable) in [
        (&[][..], "GLIBC_TUNABLES=glibc.rtld.optional_static_tls="),
        (&["-fsanitize=address"], "LD_PRELOAD="),
    ] {
        // As a script it would print this, and succeed.
        let left = Some("echo a shell got this\n");
        let Some(message) = run_without_a_file(flags, left) else {
            return;
        };
        let expected = format!("own-orc-jit (deleted) again, with {variable}");
        assert!(message.contains(&expected), "{message}");
        assert!(message.contains("Exec format error"), "{message}");
    }
}

#[test]
fn a_command_whose_file_has_gone_says_that_it_has_to_stay() {
    let Some(message) = run_without_a_file(&[], None) else {
        return;
    };
    assert!(message.contains("orc-jit has to stay where"), "{message}");
    assert!(
        message.contains("orc-jit: error: "),
        "the link's: {message}"
    );
}
