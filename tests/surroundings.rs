//! The command under adverse conditions: a process that lacks something, inputs without an end, signals that are
//! not the terminal's, secrets in the environment.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tests::command::{Ending, Invocation};
use tests::compare::orc_jit;
use tests::listener::Listener;
use tests::scratch::Scratch;

const HELLO: &str = "#include <stdio.h>\nint main(void) { puts(\"hello\"); return 0; }";

fn command() -> PathBuf {
    orc_jit().expect("these tests need the command")
}

/// What `script` says, run by a shell in the scratch directory with `$JIT` set.
fn shell(scratch: &Scratch, script: &str) -> (Ending, String, String) {
    let script = format!("JIT={}; {script}", command().display());
    let shell = Invocation::new(["sh", "-c", script.as_str()]);
    let behaviour = shell.run_in(scratch.path()).expect("a shell");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (
        behaviour.ending,
        text(behaviour.stdout),
        text(behaviour.stderr),
    )
}

fn hello() -> Scratch {
    let scratch = Scratch::new();
    scratch.compile("hello.o", HELLO);
    scratch
}

#[test]
fn inputs_without_an_end_are_refused() {
    let scratch = hello();
    scratch.write("script.ld", "INPUT(/dev/zero)");
    for (arguments, expected) in [
        ("/dev/zero", "/dev/zero: is a device"),
        (
            "hello.o script.ld",
            "script.ld: names /dev/zero, which cannot be opened: is a device",
        ),
        ("@/dev/zero", "no input files"),
    ] {
        let (ending, _, message) = shell(&scratch, &format!("$JIT run {arguments}"));
        assert_ne!(ending, Ending::Exit(0), "{message}");
        assert!(message.contains(expected), "{message}");
    }
}

/// Prints "seen" where it finds the secret: in its environment, or in what others see of it, also of its parent.
const LOOKS_FOR_A_SECRET: &str = r#"
    #include <stdio.h>
    #include <stdlib.h>
    #include <string.h>
    #include <unistd.h>
    static void look(const char *path) {
        char text[1 << 16];
        FILE *file = fopen(path, "r");
        size_t size = file ? fread(text, 1, sizeof text, file) : 0;
        if (size == 0) printf("nothing to see in %s\n", path);
        if (memmem(text, size, "a secret of the tests", 21)) printf("seen in %s\n", path);
    }
    int main(void) {
        char parent[64];
        if (getenv("ORC_EXECUTOR_TOKEN")) puts("seen");
        look("/proc/self/environ");
        snprintf(parent, sizeof parent, "/proc/%d/environ", (int)getppid());
        if (getenv("LOOK_AT_PARENT")) look(parent);
        puts("looked");
        return 0;
    }"#;

#[test]
fn a_program_does_not_find_the_token() {
    const TOKEN: &str = "a secret of the tests";
    let scratch = Scratch::new();
    scratch.compile_with("looks.o", LOOKS_FOR_A_SECRET, &["-D_GNU_SOURCE"]);
    let listener = Listener::start(&command(), &["--listen", "tcp:127.0.0.1:0"], Some(TOKEN));
    for executor in [
        "",
        "--executor=spawn",
        &format!("--executor={}", listener.place),
    ] {
        let look = if executor == "--executor=spawn" {
            "LOOK_AT_PARENT=1"
        } else {
            ""
        };
        let script = format!("{look} ORC_EXECUTOR_TOKEN='{TOKEN}' $JIT run {executor} looks.o");
        let (ending, output, message) = shell(&scratch, &script);
        let seen = (ending, output.as_str(), message.as_str());
        assert_eq!(seen, (Ending::Exit(0), "looked\n", ""), "{executor}");
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let scratch = Scratch::new();
    let endless = "#include <stdio.h>\nint main(void) { for (;;) puts(\"y\"); }";
    scratch.compile("endless.o", endless);
    for executor in ["", "--executor=spawn"] {
        let script = format!("$JIT run {executor} endless.o | head -1");
        let seen = shell(&scratch, &script);
        assert_eq!(seen, (Ending::Exit(0), "y\n".to_owned(), String::new()));
    }
}

/// Waits for signals, and prints the number of each, with the value that it was sent with.
const COUNTS_SIGNALS: &str = r#"
    #include <signal.h>
    #include <stdio.h>
    #include <unistd.h>
    int main(void) {
        sigset_t all;
        siginfo_t info;
        sigfillset(&all);
        sigprocmask(SIG_BLOCK, &all, 0);
        puts("ready");
        fflush(stdout);
        for (;;) {
            int signal = sigwaitinfo(&all, &info);
            if (signal == SIGCHLD) continue;
            printf("%d %d\n", signal, info.si_code == SI_QUEUE ? info.si_value.sival_int : 0);
            fflush(stdout);
            if (signal == SIGTERM) return 7;
        }
    }"#;

#[test]
fn signals_of_other_processes_are_passed_on() {
    pass_signals("--default-signal=INT,QUIT,HUP,WINCH,USR1,TERM");
}

/// As under `nohup`: a program may handle what it was started to ignore.
#[test]
fn so_are_those_that_are_ignored_when_the_command_starts() {
    pass_signals("--ignore-signal=INT,QUIT,HUP,WINCH,USR1,TERM");
}

/// Sends signals to the command, which is started by `env` with an option.
#[track_caller]
fn pass_signals(dispositions: &str) {
    let scratch = Scratch::new();
    scratch.compile("counts.o", COUNTS_SIGNALS);
    let mut running = Command::new("env")
        .arg(dispositions)
        .arg(command())
        .args(["run", "--executor=spawn", "counts.o"])
        .current_dir(scratch.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut output = BufReader::new(running.stdout.take().expect("a pipe"));
    let mut line = String::new();
    output.read_line(&mut line).expect("it says that it waits");
    assert_eq!(line, "ready\n");
    for (signal, expected) in [
        ("-INT", "2 0\n"),
        ("-QUIT", "3 0\n"),
        ("-HUP", "1 0\n"),
        ("-WINCH", "28 0\n"),
        ("-USR1 -q 42", "10 42\n"),
        ("-RTMIN+3", "37 0\n"),
        ("-TERM", "15 0\n"),
    ] {
        let id = running.id().to_string();
        // The program is told of, not this command's name for it: /bin/kill knows values.
        let kill = Command::new("/bin/kill")
            .args(signal.split(' '))
            .arg(&id)
            .status();
        assert!(kill.expect("kill runs").success(), "{signal}");
        line.clear();
        output.read_line(&mut line).expect("it says what has come");
        assert_eq!(line, expected, "{signal}");
    }
    assert_eq!(running.wait().expect("it ends").code(), Some(7));
}

#[test]
fn a_limit_on_files_is_named() {
    let scratch = hello();
    for executor in ["", "--executor=spawn"] {
        let (ending, _, message) = shell(
            &scratch,
            &format!("ulimit -f 1; $JIT run {executor} hello.o"),
        );
        assert_eq!(ending, Ending::Exit(1), "{message}");
        assert!(message.contains("(ulimit -f)"), "{message}");
    }
}

#[test]
fn a_process_that_may_not_execute_what_it_wrote_is_named() {
    let scratch = hello();
    let start = "#include <sys/prctl.h>\n#include <unistd.h>
                 int main(int argc, char **argv) {
                     if (prctl(65, 1, 0, 0, 0)) return 77;
                     execv(argv[1], argv + 1);
                     return 78;
                 }";
    scratch.compile("start.o", start);
    for executor in ["", "--executor=spawn"] {
        let script = format!("cc start.o -o start && ./start $JIT run {executor} hello.o");
        let (ending, _, message) = shell(&scratch, &script);
        if ending == Ending::Exit(77) {
            eprintln!("left out: this kernel (before Linux 6.3) has no PR_SET_MDWE");
            return;
        }
        assert_eq!(ending, Ending::Exit(1), "{message}");
        assert!(message.contains("PR_SET_MDWE"), "{message}");
    }
}

#[test]
fn a_process_without_proc_is_named() {
    let scratch = hello();
    let (ending, ..) = shell(&scratch, "unshare -rm mount -t tmpfs none /proc");
    if ending != Ending::Exit(0) {
        eprintln!("left out: this system lets nobody unmount /proc for a process (unshare -rm)");
        return;
    }
    for executor in ["", "--executor=spawn"] {
        let script = format!("$JIT run {executor} hello.o");
        let script = format!("unshare -rm sh -c \"mount -t tmpfs none /proc; {script}\"");
        let (ending, _, message) = shell(&scratch, &script);
        assert_eq!(ending, Ending::Exit(1), "{message}");
        assert!(message.contains("/proc"), "{message}");
    }
}

#[test]
fn a_library_that_there_is_no_memory_for_is_not_absent() {
    let scratch = Scratch::new();
    let text = "double cos(double); int main(int argc, char **argv) { return (int)cos(argc) * 0; }";
    scratch.compile("uses.o", text);
    let mut lacked = 0;
    // Somewhere on the way from too little for anything to enough.
    for kilobytes in (20_000..320_000).step_by(30_000) {
        let script = format!("ulimit -v {kilobytes}; $JIT run uses.o -lm");
        let (_, _, message) = shell(&scratch, &script);
        assert!(
            !message.contains("undefined symbol"),
            "{kilobytes}: {message}"
        );
        assert!(
            !message.contains("cannot find -l"),
            "{kilobytes}: {message}"
        );
        lacked += u32::from(message.contains("annot allocate memory"));
    }
    assert!(lacked > 0, "no limit was ever in the way");
}

/// An executor whose introduction never ends, and one that is refused, end with the command.
#[test]
fn executors_that_do_not_start_do_not_stay() {
    let scratch = hello();
    let mark = format!("61.{}", std::process::id());
    let start = Instant::now();
    let mut running = Command::new(command())
        .args(["run", "--executor-timeout=1"])
        .arg(format!(
            "--executor=stdio:while printf x; do sleep 0.1; done; sleep {mark}"
        ))
        .arg("hello.o")
        .current_dir(scratch.path())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut message = String::new();
    let mut errors = running.stderr.take().expect("a pipe");
    errors.read_to_string(&mut message).expect("text");
    let status = running.wait().expect("it ends");
    assert_eq!(
        (status.code(), status.signal()),
        (Some(1), None),
        "{message}"
    );
    assert!(
        message.contains("takes longer than 1s to introduce itself"),
        "{message}"
    );
    assert!(start.elapsed() < Duration::from_secs(30));
    let command = format!("sleep\0{mark}");
    let processes = std::fs::read_dir("/proc").expect("Linux has it").flatten();
    let mut lines = processes.filter_map(|it| std::fs::read(it.path().join("cmdline")).ok());
    assert!(!lines.any(|line| line.starts_with(command.as_bytes())));
}
