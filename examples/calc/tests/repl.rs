//! The REPL, as a person at a terminal sees it, and as a pipe does.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

const LIMIT: Duration = Duration::from_secs(60);

/// A person: what they type, and what they have seen.
struct Person {
    terminal: File,
    child: Child,
    seen: String,
}

impl Person {
    fn sits_down(arguments: &[&str]) -> Self {
        let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&person).unwrap();
        unlockpt(&person).unwrap();
        let path = ptsname(&person, Vec::new()).unwrap();
        let mut options = File::options();
        let side = options.read(true).write(true);
        let side: OwnedFd = side.open(path.to_str().unwrap()).unwrap().into();
        let mut command = Command::new(env!("CARGO_BIN_EXE_calc"));
        command
            .args(arguments)
            .env("TERM", "xterm")
            .env_remove("NO_COLOR");
        command.stdin(side.try_clone().unwrap());
        command.stdout(side.try_clone().unwrap()).stderr(side);
        let child = command.spawn().unwrap();
        Self {
            terminal: File::from(person),
            child,
            seen: String::new(),
        }
    }

    /// Types when it is their turn: keys that come before the prompt may be lost with the mode of the terminal.
    fn types(&mut self, keys: &str) {
        self.sees("> ");
        self.terminal.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until the terminal shows that, after all that was seen before.
    fn sees(&mut self, text: &str) {
        let begun = Instant::now();
        while !self.seen.contains(text) {
            let left = LIMIT.saturating_sub(begun.elapsed());
            assert!(!left.is_zero(), "{text:?} is not in {:?}", self.seen);
            let timeout = Timespec::try_from(left).unwrap();
            let mut fds = [PollFd::new(&self.terminal, PollFlags::IN)];
            poll(&mut fds, Some(&timeout)).unwrap();
            let mut bytes = [0; 4096];
            let count = self.terminal.read(&mut bytes).unwrap_or(0);
            assert!(count > 0, "it ended: {text:?} is not in {:?}", self.seen);
            self.seen += &String::from_utf8_lossy(&bytes[..count]);
        }
        let end = self.seen.find(text).unwrap() + text.len();
        self.seen.drain(..end);
    }

    fn enters(&mut self, line: &str, answer: &str) {
        self.types(&format!("{line}\r"));
        self.sees(answer);
    }

    fn leaves(mut self) {
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(begun.elapsed() < LIMIT, "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        };
        assert!(status.success(), "{status}");
    }
}

#[test]
fn a_person_defines_calculates_and_undoes() {
    let mut person = Person::sits_down(&[]);
    person.sees("A calculator. :help says what it can do.\r\n");
    person.enters("square(x) = x ^ 2", "square(x) is defined\r\n");
    person.enters("square(12)", "\n144\r\n");
    person.enters("square(x) = x ^ 2 + 1", "square(x) has a new body\r\n");
    person.enters("square(12)", "\n145\r\n");
    person.enters(":undo", "square(x) is as it was before\r\n");
    person.enters("square(12)", "\n144\r\n");
    // The key that completes a name.
    person.enters("squ\t(3)", "\n9\r\n");
    person.enters(":time", "times are on\r\n");
    person.enters("1 + 1", "\n2\r\ncompiled in ");
    person.sees("linked and run in ");
    person.enters(":asm square", "square(x):\r\n");
    person.sees("ret");
    person.enters(":help", "takes the last definition back");
    person.enters(":list", "\nsquare(x)\r\n");
    person.enters(":what", ":what is no command");
    person.types("\u{4}");
    person.leaves();
}

#[test]
fn errors_point_at_the_column() {
    let mut person = Person::sits_down(&["--here"]);
    let arrow = "      \u{1b}[31m^ no function is called cube\u{1b}[0m\r\n";
    person.enters("1 + cube(2)", &format!("\n  1 + cube(2)\r\n{arrow}"));
    person.enters("show(5)", "\n5\r\n5\r\n");
    person.enters(":quit", "");
    person.leaves();
}

#[test]
fn it_goes_on_when_a_calculation_ends_its_process() {
    let mut person = Person::sits_down(&[]);
    person.enters("f(x) = 1 + f(x)", "f(x) is defined\r\n");
    person.enters("f(1)", "A new process has all functions again.");
    person.enters("2 + 2", "\n4\r\n");
    person.types("\u{4}");
    person.leaves();
}

#[test]
fn lines_come_through_a_pipe() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_calc"));
    let child = child.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = child.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"f(x) = x * 2\n\nf(21)\n1 +\n").unwrap();
    drop(input);
    let done = child.wait_with_output().unwrap();
    let text = String::from_utf8(done.stdout).unwrap();
    assert!(done.status.success());
    let told = "f(x) is defined\n42\n  1 +\n     ^ a number, a name or `(` was expected here\n";
    assert_eq!(text, told);
}

#[test]
fn unknown_options_are_refused() {
    let command = Command::new(env!("CARGO_BIN_EXE_calc"))
        .arg("--nowhere")
        .output();
    let done = command.unwrap();
    assert_eq!(done.status.code(), Some(2));
    let told = String::from_utf8(done.stderr).unwrap();
    assert!(told.starts_with("usage: calc"), "{told}");
}
