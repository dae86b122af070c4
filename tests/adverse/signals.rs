//! Signals while compilers work: the command ends by them, and leaves neither a compiler nor a file.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tests::command::Ending;
use tests::processes::{wait_until_gone, with_variable};
use tests::scratch::Scratch;

use super::{command, shell, text};

/// Long enough for a machine with much to do.
const LIMIT: Duration = Duration::from_secs(20);

/// A compiler that starts another process, as drivers do, leaves files where they are wanted, and does not
/// come to an end. It says when it has got there.
const COMPILER: &str = "#!/bin/sh
case \"$*\" in *-print*) exec cc \"$@\" ;; esac
sleep 1000 &
echo >\"$TMPDIR/left-behind.s\"
mkdir -p \"$TMPDIR/folder\"; echo >\"$TMPDIR/folder/too\"
echo >started
wait
";

struct Compiling {
    scratch: Scratch,
    variable: String,
    child: Child,
}

impl Compiling {
    /// Starts the command as `prefix` says, and waits until its compiler works.
    fn start(name: &str, prefix: &str, arguments: &[&str]) -> Self {
        let scratch = Scratch::new();
        scratch
            .write_executable("slow", COMPILER)
            .write("main.c", "int main(void) { return 0; }");
        fs::create_dir(scratch.file("tmp")).expect("a folder");
        let value = format!("{name}-{}", std::process::id());
        // Whoever runs the tests may ignore signals, as `nohup` does.
        let mut child = Command::new("env");
        child.args(["--default-signal=HUP,INT,QUIT,TERM", "sh", "-c"]);
        child
            .arg(format!("{prefix} exec \"$0\" \"$@\""))
            .arg(command())
            .args(arguments)
            .current_dir(scratch.path());
        child.env("CC", "./slow").env("TMPDIR", scratch.file("tmp"));
        child.env("ORC_TEST_SIGNALS", &value);
        let child = child.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let compiling = Self {
            variable: format!("ORC_TEST_SIGNALS={value}"),
            child: child.expect("it starts"),
            scratch,
        };
        let start = Instant::now();
        while !compiling.scratch.file("started").exists() {
            assert!(start.elapsed() < LIMIT, "no compiler was started");
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(compiling.left().len() == 1, "{:?}", compiling.left());
        compiling
    }

    fn signal(&self, signal: &str) {
        let line = format!("kill -{signal} {}", self.child.id());
        assert_eq!(shell(&self.scratch, &line, &[]).ending, Ending::Exit(0));
    }

    fn wait(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            if start.elapsed() > LIMIT {
                let _ = self.child.kill();
                panic!("it does not end");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What lies where temporary things do.
    fn left(&self) -> Vec<String> {
        let entries = fs::read_dir(self.scratch.file("tmp")).expect("a folder");
        entries
            .map(|entry| {
                entry
                    .expect("an entry")
                    .file_name()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect()
    }
}

impl Drop for Compiling {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        for pid in with_variable(&self.variable) {
            let _ = Command::new("kill").args(["-9", &pid.to_string()]).status();
        }
    }
}

pub fn nothing_is_left_when_a_signal_ends_the_command() {
    for (signal, number) in [("HUP", 1), ("INT", 2), ("QUIT", 3), ("TERM", 15)] {
        for arguments in [&["run", "main.c"][..], &["explain", "main", "main.c"]] {
            let mut compiling = Compiling::start(signal, "", arguments);
            compiling.signal(signal);
            assert_eq!(compiling.wait().signal(), Some(number), "{signal}");
            assert_eq!(compiling.left(), Vec::<String>::new(), "{signal}");
            let running = wait_until_gone(&compiling.variable, LIMIT);
            assert_eq!(running, Vec::<u32>::new(), "{signal}");
        }
    }
}

/// As under `nohup`.
pub fn what_is_ignored_stays_ignored() {
    let mut compiling = Compiling::start("ignored", "trap '' HUP;", &["run", "main.c"]);
    compiling.signal("HUP");
    std::thread::sleep(Duration::from_millis(300));
    assert!(compiling.child.try_wait().expect("a child").is_none());
    compiling.signal("TERM");
    assert_eq!(compiling.wait().signal(), Some(15));
    assert_eq!(compiling.left(), Vec::<String>::new());
}

pub fn what_a_killed_command_has_left_is_found_again() {
    let mut compiling = Compiling::start("killed", "", &["run", "main.c"]);
    compiling.signal("KILL");
    compiling.wait();
    let left = compiling.left();
    assert_eq!(left.len(), 1);
    let age = format!("touch -d '-1 hour' tmp/{}", left[0]);
    shell(&compiling.scratch, &age, &[]);
    let again = "TMPDIR=$PWD/tmp \"$@\"";
    let again = super::with_orc_jit(&compiling.scratch, again, &["run", "main.c"]);
    assert_eq!(again.ending, Ending::Exit(0), "{}", text(&again.stderr));
    assert_eq!(compiling.left(), Vec::<String>::new());
}

/// Signals do in the program what they do in a linked one: nothing of this is left then.
pub fn a_compiled_program_finds_signals_as_they_are() {
    let scratch = Scratch::new();
    let program = r#"
        #include <signal.h>
        #include <stdio.h>
        int main(void) {
            sigset_t blocked;
            struct sigaction action;
            sigprocmask(SIG_BLOCK, 0, &blocked);
            for (int signal = 1; signal < 32; signal++) {
                sigaction(signal, 0, &action);
                printf("%d %d %d\n", signal, sigismember(&blocked, signal), action.sa_handler != SIG_DFL);
            }
            return 0;
        }"#;
    scratch.write("main.c", program);
    let linked = shell(&scratch, "cc main.c -o main && ./main", &[]);
    let ours = super::with_orc_jit(&scratch, "\"$@\"", &["run", "main.c"]);
    assert_eq!(text(&ours.stdout), text(&linked.stdout));
}
