//! Executors that give rights up before they serve: what the program can still do.

use std::path::PathBuf;

use tests::command::{Ending, Invocation};
use tests::compare::orc_jit;
use tests::listener::Listener;
use tests::scratch::Scratch;

/// Tries what each right is for, alone and in a child process, and prints what it could do.
const PROGRAM: &str = r#"
    #include <errno.h>
    #include <fcntl.h>
    #include <stdio.h>
    #include <string.h>
    #include <sys/prctl.h>
    #include <sys/socket.h>
    #include <sys/wait.h>
    #include <unistd.h>

    static void report(const char *what, int failed) {
        printf("%s: %s\n", what, failed ? strerror(errno) : "yes");
        fflush(stdout);
    }
    static int opened(const char *path, int flags) {
        int fd = open(path, flags, 0600);
        if (fd < 0) return -1;
        return close(fd);
    }
    static void everything(void) {
        report("read", opened("here", O_RDONLY));
        report("write", opened("here", O_WRONLY));
        report("truncate", truncate("here", 1));
        report("make", opened("new", O_WRONLY | O_CREAT));
        report("remove", unlink("new"));
        report("write in the directory", opened("directory/new", O_WRONLY | O_CREAT));
        report("write to nowhere", opened("/dev/null", O_WRONLY));
        report("network", socket(AF_INET, SOCK_STREAM, 0) < 0);
        report("network of IPv6", socket(AF_INET6, SOCK_DGRAM, 0) < 0);
        report("socket", socket(AF_UNIX, SOCK_STREAM, 0) < 0);
        printf("no new privileges: %d\n", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
        fflush(stdout);
    }
    int main(void) {
        everything();
        pid_t child = fork();
        if (child == 0) {
            puts("child");
            everything();
            _exit(0);
        }
        return waitpid(child, NULL, 0) != child;
    }"#;

fn command() -> PathBuf {
    orc_jit().expect("these tests need the command")
}

/// What the program tells of itself and, the same, of its child.
#[track_caller]
fn run(scratch: &Scratch, arguments: &[&str]) -> String {
    scratch.compile("program.o", PROGRAM);
    scratch.write("here", "text");
    std::fs::create_dir_all(scratch.file("directory")).expect("a directory");
    let mut invocation = Invocation::new([command().into_os_string()]).arg("run");
    for argument in arguments.iter().chain(&["program.o"]) {
        invocation = invocation.arg(argument);
    }
    let behaviour = invocation.run_in(scratch.path()).expect("it starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let stdout = text(&behaviour.stdout);
    let stderr = text(&behaviour.stderr);
    assert_eq!(behaviour.ending, Ending::Exit(0), "{stdout}{stderr}");
    let (own, childs) = stdout.split_once("child\n").expect("it has a child");
    assert_eq!(own, childs, "what is given up stays so in a child");
    own.to_owned()
}

/// What changes of a program's abilities, as the lines that it prints.
#[track_caller]
fn loses(what: &[&str], told: &str) {
    let all = [
        "read",
        "write",
        "truncate",
        "make",
        "remove",
        "write in the directory",
        "write to nowhere",
        "network",
        "network of IPv6",
        "socket",
    ];
    for name in all {
        let line = told
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name}: ")));
        let expected = match (what.contains(&name), name) {
            (false, _) => "yes",
            // What could not be made is not there.
            (true, "remove") => "No such file or directory",
            (true, _) => "Permission denied",
        };
        assert_eq!(line, Some(expected), "{name}");
    }
}

#[test]
fn without_options_nothing_is_given_up() {
    let told = run(&Scratch::new(), &["--executor=spawn"]);
    loses(&[], &told);
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells");
    let own = status
        .lines()
        .find_map(|line| line.strip_prefix("NoNewPrivs:"));
    let own = own.expect("Linux tells").trim();
    assert!(
        told.ends_with(&format!("no new privileges: {own}\n")),
        "{told}"
    );
}

#[test]
fn files_can_be_read_only() {
    let options = ["--executor=spawn", "--executor-option=--read-only"];
    let told = run(&Scratch::new(), &options);
    let lost = [
        "write",
        "truncate",
        "make",
        "remove",
        "write in the directory",
    ];
    loses(&lost, &told);
    assert!(told.ends_with("no new privileges: 1\n"), "{told}");
}

#[test]
fn a_directory_can_stay_writable() {
    let options = [
        "--executor=spawn",
        "--executor-option",
        "--writable=directory",
    ];
    let told = run(&Scratch::new(), &options);
    loses(&["write", "truncate", "make", "remove"], &told);
}

#[test]
fn the_network_can_be_out_of_reach() {
    let options = ["--executor=spawn", "--executor-option=--no-network"];
    let told = run(&Scratch::new(), &options);
    loses(&["network", "network of IPv6"], &told);
}

#[test]
fn new_privileges_can_be_given_up_alone() {
    let options = ["--executor=spawn", "--executor-option=--no-new-privileges"];
    let told = run(&Scratch::new(), &options);
    loses(&[], &told);
    assert!(told.ends_with("no new privileges: 1\n"), "{told}");
}

#[test]
fn a_listener_confines_what_it_starts() {
    let scratch = Scratch::new();
    let place = format!("unix:{}", scratch.file("socket").display());
    let arguments = ["--listen", &place, "--read-only", "--no-network"];
    let listener = Listener::start(&command(), &arguments, None);
    let executor = format!("--executor={}", listener.place);
    // Each controller has an executor of its own.
    for _ in 0..2 {
        let told = run(&scratch, &[&executor]);
        let lost = [
            "write",
            "truncate",
            "make",
            "remove",
            "write in the directory",
            "network",
            "network of IPv6",
        ];
        loses(&lost, &told);
    }
}

#[test]
fn what_cannot_be_done_is_explained() {
    let scratch = Scratch::new();
    scratch.compile("program.o", PROGRAM);
    let says = |arguments: &[&str], expected: &str| {
        let arguments = [&["run"], arguments, &["program.o"]].concat();
        let message = scratch.message(&arguments).expect("the command");
        assert!(message.contains(expected), "{message}");
    };
    let option = "--executor-option=--writable=/no/such/directory";
    says(
        &["--executor=spawn", option],
        "--writable /no/such/directory: No such file",
    );
    let option = "--executor-option=--writable";
    says(&["--executor=spawn", option], "--writable needs a value");
    let option = "--executor-option=--frob";
    says(&["--executor=spawn", option], "unknown argument `--frob`");
    let option = "--executor-option=--read-only";
    says(
        &["--executor=unix:/nobody", option],
        "cannot be given options (--read-only)",
    );
    says(&[option], "--executor");
}
