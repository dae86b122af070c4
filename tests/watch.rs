//! `orc-jit watch`: programs whose sources change while they run.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use tests::compare::orc_jit;
use tests::scratch::Scratch;

/// How long something may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// Prints a number again and again, which other sources make, and what it is passed.
const MAIN: &str = "#include <stdio.h>\n#include <unistd.h>\n#include \"by.h\"\n int next(int); \
    int main(int argc, char **argv) { for (int i = 0; i < 100000; i++) { \
      printf(\"%d %s\\n\", next(BY), argv[argc - 1]); fflush(stdout); usleep(2000); } return 3; }";

const NEXT: &str = "static int all; int next(int by) { return all += by; }";

/// A folder with a program of two sources and a header.
fn folder() -> Scratch {
    let folder = Scratch::new();
    folder.write("main.c", MAIN).write("next.c", NEXT);
    folder.write("by.h", "#define BY 1\n");
    folder
}

/// A command that watches.
struct Watching {
    child: Child,
    output: Receiver<String>,
    messages: Receiver<String>,
}

fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

fn command(folder: &Scratch, arguments: &[&str]) -> Command {
    let mut command = Command::new(orc_jit().expect("these tests need the command"));
    command
        .current_dir(folder.path())
        .arg("watch")
        .args(arguments);
    command
}

impl Watching {
    /// Watches in a folder, without a terminal.
    fn start(folder: &Scratch, arguments: &[&str]) -> Self {
        let mut command = command(folder, arguments);
        command.stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        Self {
            output: lines(child.stdout.take().unwrap()),
            messages: lines(child.stderr.take().unwrap()),
            child,
        }
    }

    /// Waits for a number that the program prints. They do not get smaller.
    fn number(&self, wanted: impl Fn(i64) -> bool) -> i64 {
        let begun = Instant::now();
        let mut last = i64::MIN;
        while begun.elapsed() < LIMIT {
            let line = self.output.recv_timeout(LIMIT).unwrap();
            let number = line.split(' ').next().unwrap().parse().unwrap();
            assert!(number >= last, "{number} after {last}");
            last = number;
            if wanted(number) {
                return number;
            }
        }
        panic!("the last number was {last}");
    }

    /// Waits for a message that has this in it, and returns it.
    fn message(&self, part: &str) -> String {
        message(&self.messages, part)
    }

    fn end(mut self) -> ExitStatus {
        let begun = Instant::now();
        while begun.elapsed() < LIMIT {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("it does not end");
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        // One that has ended needs nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn message(messages: &Receiver<String>, part: &str) -> String {
    let begun = Instant::now();
    let mut all = String::new();
    while begun.elapsed() < LIMIT {
        let Ok(line) = messages.recv_timeout(LIMIT) else {
            break;
        };
        if line.contains(part) {
            return line;
        }
        all += &line;
        all.push('\n');
    }
    panic!("no message has {part:?}:\n{all}");
}

#[test]
fn what_is_saved_is_in_the_program_and_variables_keep_their_values() {
    let folder = folder();
    let it = Watching::start(&folder, &["main.c", "next.c", "--", "argument"]);
    it.message("started in ");
    let before = it.number(|number| number > 10);
    folder.write(
        "next.c",
        "static int all; static long more = 1000; int next(int by) { return (all += by) + more * 1000; }",
    );
    let told = it.message("replaced in");
    assert!(told.starts_with("orc-jit: next.c replaced in "), "{told}");
    assert!(told.contains(" ms, compiled in "), "{told}");
    let after = it.number(|number| number > 1_000_000);
    assert!((before..before + 100_000).contains(&(after - 1_000_000)));
    // As editors do that write another file and rename it.
    folder.write("new.c", "static int all; static long more = 1000; int next(int by) { all += by; return 2000000000; }");
    std::fs::rename(folder.file("new.c"), folder.file("next.c")).unwrap();
    it.number(|number| number == 2_000_000_000);
}

#[test]
fn a_header_is_part_of_what_includes_it() {
    let folder = folder();
    let calls = "#include \"by.h\"\nint own(void) { return 7; } static int all; \
                 int next(int by) { all += by; return BY * 1000 + own(); }";
    folder.write("next.c", calls);
    let it = Watching::start(&folder, &["main.c", "next.c"]);
    it.number(|number| number == 1007);
    folder.write("by.h", "#define BY 5\n");
    let told = it.message("replaced in");
    assert!(told.contains("main.c, next.c"), "{told}");
    it.number(|number| number == 5007);
}

#[test]
fn the_program_goes_on_when_a_change_is_none_that_it_can_take() {
    let folder = folder();
    let it = Watching::start(&folder, &["main.c", "next.c"]);
    it.number(|number| number > 3);
    folder.write(
        "next.c",
        "static int all; int next(int by) { return all += nothing; }",
    );
    it.message("nothing");
    it.message("orc-jit: error: next.c: `cc` failed");
    it.message("goes on as it was");
    folder.write(
        "next.c",
        "static long all; int next(int by) { return all += by; }",
    );
    let told = it.message("cannot replace");
    assert!(
        told.starts_with("orc-jit: error: next.c cannot replace the version that runs"),
        "{told}"
    );
    it.message("all: was 4 bytes at .bss.all+0x0, is 8 bytes at .bss.all+0x0");
    folder.write(
        "next.c",
        "int gone(void); static int all; int next(int by) { return all += gone(); }",
    );
    it.message("gone");
    let now = it.number(|_| true);
    it.number(|number| number > now);
    folder.write(
        "next.c",
        "static int all; int next(int by) { return 1000000 + (all += by); }",
    );
    it.message("replaced in");
    assert!(it.number(|number| number > 1_000_000) < 2_000_000);
}

#[test]
fn cxx_programs_are_watched_too() {
    let folder = Scratch::new();
    let source = |text: &str| {
        format!(
            "#include <iostream>\n#include <string>\n#include <vector>\n#include <unistd.h>\n \
             struct Shape {{ virtual ~Shape() = default; virtual std::string name() const; }}; \
             std::string Shape::name() const {{ return \"{text}\"; }} \
             static std::vector<std::string> seen{{\"first\"}}; \
             int main() {{ Shape shape; Shape *volatile one = &shape; for (;;) {{ \
               seen.push_back(one->name()); \
               std::cout << seen.size() << ' ' << seen.back() << std::endl; usleep(2000); }} }}"
        )
    };
    folder.write("main.cpp", source("circle"));
    let it = Watching::start(&folder, &["-O1", "main.cpp"]);
    it.number(|number| number > 5);
    folder.write("main.cpp", source("square"));
    it.message("replaced in");
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < LIMIT);
        if it.output.recv_timeout(LIMIT).unwrap().ends_with("square") {
            break;
        }
    }
}

#[test]
fn without_a_terminal_the_command_ends_with_the_program() {
    let folder = Scratch::new();
    folder.write("main.c", "int main(void) { return 41; }");
    let it = Watching::start(&folder, &["main.c"]);
    it.message("the program has ended with status 41");
    assert_eq!(it.end().code(), Some(41));
    folder.write("main.c", "#include <stdlib.h>\nint main(void) { abort(); }");
    let it = Watching::start(&folder, &["main.c"]);
    it.message("the program was ended by SIGABRT");
    assert_eq!(it.end().code(), Some(1));
}

#[test]
fn a_program_that_does_not_compile_is_started_when_it_does() {
    let folder = folder();
    folder.write("next.c", "int next(int by) { return by; ");
    let it = Watching::start(&folder, &["main.c", "next.c"]);
    it.message("orc-jit: error: next.c: `cc` failed");
    it.message("no program runs: save a source to start it anew");
    folder.write("next.c", NEXT);
    it.message("started in ");
    it.number(|number| number > 2);
}

#[test]
fn a_change_that_was_refused_comes_with_the_next_one() {
    let folder = folder();
    let source = |more: &str, value: &str| format!("#include \"by.h\"\n{more} int {value}");
    folder.write(
        "next.c",
        source(
            "int other(void); static int all;",
            "next(int by) { all += by; return other() * 1000 + WIDTH; }",
        ),
    );
    folder.write("other.c", source("", "other(void) { return WIDTH; }"));
    folder.write("by.h", "#define BY 1\n#define WIDTH 1\n");
    let it = Watching::start(&folder, &["main.c", "next.c", "other.c"]);
    it.number(|number| number == 1001);
    // Both get the new width, or none.
    folder.write(
        "by.h",
        "#define BY 1\n#define WIDTH 2\n#define all all2[WIDTH / 0]\n",
    );
    it.message("goes on as it was");
    folder.write("other.c", source("", "other(void) { return WIDTH + 5; }"));
    it.message("goes on as it was");
    assert_eq!(it.number(|_| true), 1001);
    folder.write("by.h", "#define BY 1\n#define WIDTH 3\n");
    let told = it.message("replaced in");
    assert!(told.contains("main.c, next.c, other.c"), "{told}");
    it.number(|number| number == 8003);
}

#[test]
fn a_header_that_did_not_compile_at_the_start_is_noticed() {
    let folder = folder();
    folder.write("by.h", "#define BY 1\n#error on purpose\n");
    let it = Watching::start(&folder, &["main.c", "next.c"]);
    it.message("no program runs");
    folder.write("by.h", "#define BY 1\n");
    it.number(|number| number > 2);
}

#[test]
fn what_cannot_be_watched_is_said() {
    let folder = Scratch::new();
    folder
        .write("main.rs", "fn main() {}")
        .compile("a.o", "int main(void) { return 0; }");
    let refused = |arguments: &[&str]| {
        let done = command(&folder, arguments).output().unwrap();
        assert_eq!(done.status.code(), Some(2));
        String::from_utf8(done.stderr).unwrap()
    };
    assert!(refused(&["main.rs"]).contains("main.rs: only sources in C and C++ can be watched"));
    assert!(refused(&["a.o"]).contains("nothing to watch: name sources in C or C++"));
    assert!(refused(&[]).contains("no input files"));
    folder.write("a.c", "int main(void) { return 0; }");
    let once = refused(&["--no-exec", "a.c"]);
    assert!(
        once.contains("--no-exec is an option of `orc-jit run`"),
        "{once}"
    );
    let help = command(&folder, &["--help"]).output().unwrap();
    assert!(
        String::from_utf8(help.stdout)
            .unwrap()
            .contains("orc-jit watch [OPTIONS] SOURCE")
    );
}

/// A terminal of a person, and the program's side of it.
fn terminal() -> (File, OwnedFd) {
    let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&person).unwrap();
    unlockpt(&person).unwrap();
    let path = ptsname(&person, Vec::new()).unwrap();
    let side = File::options()
        .read(true)
        .write(true)
        .open(path.to_str().unwrap())
        .unwrap();
    (File::from(person), OwnedFd::from(side))
}

#[test]
fn keys_of_a_terminal_start_the_program_anew_and_end_it() {
    let folder = Scratch::new();
    folder.write(
        "main.c",
        "#include <stdio.h>\n#include <unistd.h>\n \
         int main(void) { char c; printf(\"input has %d\\n\", (int)read(0, &c, 1)); fflush(stdout); \
         for (;;) usleep(1000); }",
    );
    let (person, side) = terminal();
    let mut command = command(&folder, &["main.c"]);
    command.env_remove("NO_COLOR");
    command.stdin(side.try_clone().unwrap());
    command.stdout(side.try_clone().unwrap()).stderr(side);
    let mut child = command.spawn().unwrap();
    drop(command);
    let seen = lines(person.try_clone().unwrap());
    let mut person = person;
    let told = message(&seen, "started in ");
    assert!(told.contains("\u{1b}["), "{told:?}");
    message(&seen, "input has 0");
    person.write_all(b"r").unwrap();
    message(&seen, "input has 0");
    person.write_all(b"q").unwrap();
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        assert!(begun.elapsed() < LIMIT, "it does not end");
        thread::sleep(Duration::from_millis(10));
    };
    assert_eq!(status.code(), Some(0));
}
