//! Executors in other processes: every way to reach one, from the command line and from the library,
//! and every way in which one can end.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use orc_jit::{Disconnect, Executor, Jit};
use tests::command::{Behaviour, Ending, Invocation};
use tests::compare::orc_jit;
use tests::listener::Listener;
use tests::scratch::Scratch;

/// Tells what a program finds around it, copies its input, and ends with the number it is given.
const PROGRAM: &str = "
    #define _GNU_SOURCE
    #include <errno.h>
    #include <stdio.h>
    #include <stdlib.h>
    #include <unistd.h>
    int main(int argc, char **argv) {
        char line[100], directory[1000];
        printf(\"%s %s %d\\n\", argv[0], program_invocation_name, argc);
        printf(\"%s %s\\n\", getenv(\"ORC_TEST\"), getcwd(directory, sizeof directory));
        while (fgets(line, sizeof line, stdin)) printf(\"read %s\", line);
        fprintf(stderr, \"an error message\\n\");
        return atoi(argv[1]);
    }";

fn command() -> PathBuf {
    orc_jit().expect("these tests need the command")
}

/// Runs the program above, and checks all that it tells.
#[track_caller]
fn runs(scratch: &Scratch, executor: &str, variables: &[(&str, &str)], knows_surroundings: bool) {
    scratch.compile("program.o", PROGRAM);
    let executor = format!("--executor={executor}");
    let mut invocation = Invocation::new([command().into_os_string()]);
    for argument in ["run", &executor, "program.o", "--", "7"] {
        invocation = invocation.arg(argument);
    }
    invocation.stdin = b"one\ntwo\n".to_vec();
    invocation.env = vec![("ORC_TEST".to_owned(), "value".to_owned())];
    let variables = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    invocation.env.extend(variables);
    let behaviour = invocation.run_in(scratch.path()).expect("it starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&behaviour.stdout), text(&behaviour.stderr));
    assert_eq!(behaviour.ending, Ending::Exit(7), "{stdout}{stderr}");
    let lines: Vec<&str> = stdout.lines().collect();
    assert_eq!(lines[0], "program program 2");
    if knows_surroundings {
        let directory = scratch.path().canonicalize().expect("it exists");
        assert_eq!(lines[1], format!("value {}", directory.display()));
    }
    assert_eq!(lines[2..], ["read one", "read two"]);
    assert!(stderr.contains("an error message"), "{stderr}");
}

#[test]
fn a_child_process() {
    runs(&Scratch::new(), "spawn", &[], true);
}

#[test]
fn a_command() {
    let place = format!("stdio:{} executor --stdio", command().display());
    runs(&Scratch::new(), &place, &[], true);
}

#[test]
fn a_host_with_files_of_its_own() {
    // Whoever has other mounts is taken for another host: its libraries are read there, by name.
    let unshare = match rustix::process::geteuid().is_root() {
        true => "unshare --mount",
        false => "unshare --user --map-root-user --mount",
    };
    let place = format!("stdio:{unshare} {} executor --stdio", command().display());
    let scratch = Scratch::new();
    runs(&scratch, &place, &[], true);
    let executor = Executor::connect(&place).expect("it is reached");
    assert!(!executor.is_same_host());
    // Needs what this process never loads: constants and functions of a library there.
    scratch.compile(
        "zlib.o",
        "const char *zlibVersion(void); unsigned long crc32(unsigned long, const char *, unsigned);
         int main(void) { return zlibVersion()[0] != '1' || crc32(0, \"abc\", 3) != 0x352441c2; }",
    );
    let executor = format!("--executor={place}");
    let behaviour = scratch.orc_jit(&["run", &executor, "zlib.o", "-l:libz.so.1"]);
    let behaviour = behaviour.expect("the command");
    assert_eq!(behaviour.ending, Ending::Exit(0), "{behaviour:?}");
}

#[test]
fn another_host_through_ssh() {
    let scratch = Scratch::new();
    // Takes the place of `ssh -- HOST orc-executor --stdio`.
    let script = format!(
        "#!/bin/sh\n[ \"$1 $2 $3\" = \"-- somewhere orc-executor\" ] || exit 9\nshift 3\n\
         exec {} executor \"$@\"\n",
        command().display()
    );
    scratch.write("bin-ssh", script);
    fs::create_dir(scratch.file("bin")).expect("a fresh directory");
    let ssh = scratch.file("bin/ssh");
    fs::rename(scratch.file("bin-ssh"), &ssh).expect("a fresh name");
    let made = Command::new("chmod").arg("+x").arg(&ssh).status();
    assert!(made.expect("chmod runs").success());
    let path = std::env::var("PATH").expect("there is a path");
    let path = format!("{}:{path}", scratch.file("bin").display());
    runs(&scratch, "ssh:somewhere", &[("PATH", &path)], true);
}

#[test]
fn a_unix_socket() {
    let scratch = Scratch::new();
    let place = format!("unix:{}", scratch.file("socket").display());
    let listener = Listener::start(&command(), &["--listen", &place], None);
    // Each controller has an executor of its own.
    for _ in 0..2 {
        runs(&scratch, &listener.place, &[], true);
    }
}

#[test]
fn a_tcp_port_with_a_token() {
    const TOKEN: &str = "a secret of the tests";
    let scratch = Scratch::new();
    let listener = Listener::start(&command(), &["--listen", "tcp:127.0.0.1:0"], Some(TOKEN));
    runs(
        &scratch,
        &listener.place,
        &[("ORC_EXECUTOR_TOKEN", TOKEN)],
        true,
    );
    // Without the token, and with another one, it says nothing at all.
    let executor = format!("--executor={}", listener.place);
    scratch.write("token", "not the secret of the tests");
    let token = scratch.file("token").display().to_string();
    let token = format!("--executor-token-file={token}");
    let message = scratch.message(&["run", &executor, &token, "program.o"]);
    assert!(
        message
            .expect("the command")
            .contains("closed the connection")
    );
    runs(
        &scratch,
        &listener.place,
        &[("ORC_EXECUTOR_TOKEN", TOKEN)],
        true,
    );
}

#[test]
fn wrong_places_are_explained() {
    let scratch = Scratch::new();
    scratch.compile("program.o", PROGRAM);
    let message = |executor: &str| {
        let executor = format!("--executor={executor}");
        scratch
            .message(&["run", &executor, "program.o"])
            .expect("the command")
    };
    let nowhere = message("nowhere");
    assert!(nowhere.contains("exit code 2"), "{nowhere}");
    assert!(
        nowhere.contains("unix:PATH, tcp:HOST:PORT, stdio:COMMAND"),
        "{nowhere}"
    );
    assert!(message("tcp:localhost").contains("a host and a port"));
    let gone = message("unix:/nowhere/socket");
    assert!(
        gone.contains("cannot reach the executor unix:/nowhere/socket"),
        "{gone}"
    );
    let ended = message("spawn:/bin/true");
    assert!(ended.contains("exited with code 0"), "{ended}");
    let ended = message("stdio:exit 3");
    assert!(
        ended.contains("`exit 3`, ended with exit status: 3"),
        "{ended}"
    );
    let talks = message("stdio:echo hello, I am not an executor at all");
    assert!(talks.contains("broke the protocol"), "{talks}");
}

/// What becomes of the command whose program ends like this.
fn ends(statement: &str) -> Behaviour {
    let scratch = Scratch::new();
    let text = format!(
        "#include <signal.h>\n#include <stdlib.h>\n#include <unistd.h>\nint main(void) {{ {statement} }}"
    );
    scratch.compile("program.o", &text);
    let ended = scratch.orc_jit(&["run", "--executor=spawn", "program.o"]);
    ended.expect("the command")
}

#[test]
fn the_command_ends_as_the_program_does() {
    assert_eq!(ends("return 3;").ending, Ending::Exit(3));
    assert_eq!(ends("exit(4);").ending, Ending::Exit(4));
    assert_eq!(ends("_exit(5);").ending, Ending::Exit(5));
    let crashed = ends("*(volatile int *)16 = 1; return 0;");
    assert_eq!(crashed.ending, Ending::Signal(11));
    let message = String::from_utf8_lossy(&crashed.stderr).into_owned();
    assert!(
        message.contains("the program was ended by SIGSEGV"),
        "{message}"
    );
    assert!(!message.contains("panicked"), "{message}");
    assert_eq!(ends("abort();").ending, Ending::Signal(6));
    assert_eq!(
        ends("kill(getpid(), SIGKILL); return 0;").ending,
        Ending::Signal(9)
    );
}

/// Functions of the library's clients: they take bytes and return bytes, wherever they are.
const WRAPPERS: &str = "
    #include <signal.h>
    #include <stdlib.h>
    #include <string.h>
    #include <unistd.h>
    struct result { union { char *pointer; char bytes[8]; } data; size_t size; };
    struct result twice(const char *data, size_t size) {
        struct result result = { .size = 4 };
        int number = 0;
        memcpy(&number, data, size < 4 ? size : 4);
        number *= 2;
        memcpy(result.data.bytes, &number, 4);
        return result;
    }
    struct result crash(const char *data, size_t size) { *(volatile int *)16 = 1; return twice(data, size); }
    struct result leave(const char *data, size_t size) { exit(6); return twice(data, size); }
    struct result stop(const char *data, size_t size) { kill(getpid(), SIGSTOP); return twice(data, size); }
    struct result hang(const char *data, size_t size) { for (;;) pause(); return twice(data, size); }";

/// A JIT in an executor of its own, with the functions above.
struct Fixture {
    executor: Executor,
    jit: Jit,
    app: orc_jit::Dylib,
}

impl Fixture {
    fn new(executor: Executor) -> Self {
        let scratch = Scratch::new();
        scratch.compile("wrappers.o", WRAPPERS);
        let jit = Jit::builder()
            .executor(executor.clone())
            .build()
            .expect("it starts");
        let app = jit.dylib("app").expect("a new name");
        app.add_object_bytes("wrappers.o", scratch.read("wrappers.o"))
            .expect("a good object");
        Self { executor, jit, app }
    }

    fn spawn() -> Self {
        Self::new(Executor::spawn().expect("it starts"))
    }

    fn call(&self, name: &str, number: i32) -> Result<i32, orc_jit::Error> {
        let function = self.app.symbol(name)?;
        // SAFETY: the functions above are wrapper functions, and take any bytes.
        let result = unsafe { self.jit.call_wrapper(&function, &number.to_le_bytes()) }?;
        Ok(i32::from_le_bytes(result.try_into().expect("four bytes")))
    }

    /// How the executor ends when this is called.
    fn ends(&self, name: &str) -> Disconnect {
        let start = Instant::now();
        self.call(name, 1).expect_err("it ends");
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "{:?}",
            start.elapsed()
        );
        self.executor.lost().expect("it has ended")
    }
}

#[test]
fn executors_of_one_process_do_not_affect_each_other() {
    let (first, second) = (Fixture::spawn(), Fixture::spawn());
    assert_ne!(first.executor.pid(), second.executor.pid());
    assert_eq!(first.call("twice", 3).expect("it works"), 6);
    let lost = first.ends("crash");
    assert!(
        matches!(&lost, Disconnect::Ended(status, _) if status.signaled && status.value == 11),
        "{lost}"
    );
    assert_eq!(second.call("twice", 4).expect("it works"), 8);
    // What crashed is started again, and its dylib loaded again.
    drop(first);
    let first = Fixture::spawn();
    assert_eq!(first.call("twice", 5).expect("it works"), 10);
    let lost = first.ends("leave");
    assert!(
        matches!(&lost, Disconnect::Ended(status, _) if !status.signaled && status.value == 6),
        "{lost}"
    );
    assert_eq!(second.call("twice", 6).expect("it works"), 12);
    let message = first
        .call("twice", 1)
        .expect_err("it has ended")
        .to_string();
    assert!(message.contains("exited with code 6"), "{message}");
}

#[test]
fn an_executor_that_says_nothing_is_given_up() {
    let options = Executor::options().silence_limit(Some(Duration::from_secs(1)));
    let fixture = Fixture::new(options.spawn().expect("it starts"));
    let lost = fixture.ends("stop");
    assert_eq!(lost, Disconnect::Silent(Duration::from_secs(1)));
    let pid = fixture.executor.pid().expect("its process");
    assert!(
        !fs::exists(format!("/proc/{pid}")).expect("there is /proc"),
        "it was killed"
    );
}

#[test]
fn an_executor_may_be_ended_at_any_time() {
    let fixture = Fixture::spawn();
    thread::scope(|scope| {
        let hangs = scope.spawn(|| fixture.call("hang", 1));
        thread::sleep(Duration::from_millis(300));
        assert!(fixture.executor.lost().is_none(), "waiting is no silence");
        fixture.executor.end();
        hangs.join().expect("no panic").expect_err("it was ended");
    });
    let pid = fixture.executor.pid().expect("its process");
    assert!(
        !fs::exists(format!("/proc/{pid}")).expect("there is /proc"),
        "it has ended"
    );
}

#[test]
fn nothing_is_left_of_executors() {
    let count = |directory: &str| fs::read_dir(directory).expect("there is /proc").count();
    // Whatever is made once is made.
    drop(Fixture::spawn());
    let before = count("/proc/self/fd");
    let mut processes = Vec::new();
    for round in 0..4 {
        let fixture = Fixture::spawn();
        processes.extend(fixture.executor.pid());
        match round % 2 {
            0 => assert_eq!(fixture.call("twice", round).expect("it works"), 2 * round),
            _ => drop(fixture.ends("crash")),
        }
    }
    for pid in processes {
        assert!(
            !fs::exists(format!("/proc/{pid}")).expect("there is /proc"),
            "{pid} is there"
        );
    }
    // Other tests of this process have descriptors, too, but not one for each of these executors.
    assert!(count("/proc/self/fd") < before + 100);
}

#[test]
fn code_elsewhere_is_not_called_through_a_pointer() {
    let fixture = Fixture::spawn();
    // SAFETY: never called.
    let function = unsafe { fixture.app.function::<extern "C" fn(i32) -> i32>("twice") };
    let message = function.expect_err("it is elsewhere").to_string();
    assert!(
        message.contains("in the process of another executor"),
        "{message}"
    );
}
