//! Debuggers that follow a script, and programs that wait for one.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tests::command::Invocation;
use tests::compare::orc_jit;
use tests::scratch::Scratch;

/// How long a debugger may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(180);

/// Where executors leave their files.
const CACHE: &str = "XDG_CACHE_HOME";

/// What gdb is told before each script: it asks nobody, and waits for what is not loaded yet.
const GDB_SETTINGS: &[&str] = &[
    "set confirm off",
    "set pagination off",
    "set width 0",
    "set breakpoint pending on",
    "set debuginfod enabled off",
];

/// What lldb is told before each script: it reads the list of linked code, which it does by itself on other
/// systems only.
const LLDB_SETTINGS: &[&str] = &["settings set plugin.jit-loader.gdb.enable on"];

/// What a debugger and its program have printed.
pub struct Transcript(String);

/// The command with its arguments.
fn words(arguments: &[&str]) -> Vec<OsString> {
    let command = orc_jit().expect("these tests need the command");
    let arguments = arguments.iter().map(OsString::from);
    [command.into_os_string()]
        .into_iter()
        .chain(arguments)
        .collect()
}

/// Runs `orc-jit` in gdb.
pub fn gdb(scratch: &Scratch, script: &[&str], arguments: &[&str]) -> Transcript {
    let words = words(arguments).into_iter();
    gdb_with(
        scratch,
        script,
        [OsString::from("--args")].into_iter().chain(words),
    )
}

/// Runs gdb with arguments of its own.
pub fn gdb_with(
    scratch: &Scratch,
    script: &[&str],
    arguments: impl IntoIterator<Item = OsString>,
) -> Transcript {
    let own = ["gdb", "-nx", "-batch", "-x", "script"];
    follow(scratch, [GDB_SETTINGS, script].concat(), &own, arguments)
}

/// Runs `orc-jit` in lldb.
pub fn lldb(scratch: &Scratch, script: &[&str], arguments: &[&str]) -> Transcript {
    let words = words(arguments).into_iter();
    lldb_with(
        scratch,
        script,
        [OsString::from("--")].into_iter().chain(words),
    )
}

/// Runs lldb with arguments of its own.
pub fn lldb_with(
    scratch: &Scratch,
    script: &[&str],
    arguments: impl IntoIterator<Item = OsString>,
) -> Transcript {
    let own = ["lldb-22", "--no-lldbinit", "--batch", "--source", "script"];
    follow(scratch, [LLDB_SETTINGS, script].concat(), &own, arguments)
}

fn follow(
    scratch: &Scratch,
    script: Vec<&str>,
    own: &[&str],
    arguments: impl IntoIterator<Item = OsString>,
) -> Transcript {
    let text: String = script.iter().map(|line| format!("{line}\n")).collect();
    scratch.write("script", text);
    let own = own.iter().map(OsString::from);
    run(scratch, Invocation::new(own.chain(arguments)))
}

/// Runs a line of a shell; the command with its arguments is its `"$@"`.
pub fn shell(scratch: &Scratch, line: &str, arguments: &[&str]) -> Transcript {
    let own = ["sh", "-c", line, "sh"].map(OsString::from).into_iter();
    run(scratch, Invocation::new(own.chain(words(arguments))))
}

fn run(scratch: &Scratch, mut invocation: Invocation) -> Transcript {
    invocation.limit = LIMIT;
    let cache = scratch.file("cache").display().to_string();
    invocation.env.push((CACHE.to_owned(), cache));
    let behaviour = invocation.run_in(scratch.path()).expect("it starts");
    let text = [behaviour.stdout, behaviour.stderr].concat();
    Transcript(String::from_utf8_lossy(&text).into_owned())
}

impl Transcript {
    /// These texts are in it, in this order.
    #[track_caller]
    pub fn has(&self, texts: &[&str]) -> &Self {
        let mut rest = self.0.as_str();
        for text in texts {
            let Some(at) = rest.find(text) else {
                panic!("{text:?} is missing, or before what it should follow, in:\n{self}");
            };
            rest = &rest[at + text.len()..];
        }
        self
    }
}

impl fmt::Display for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A program that has said that it is ready. It is ended when this is dropped.
pub struct Running(Child);

impl Running {
    /// Runs `orc-jit`.
    pub fn start(scratch: &Scratch, arguments: &[&str]) -> Self {
        let mut words = words(arguments).into_iter();
        let mut command = Command::new(words.next().expect("a command"));
        command.args(words).current_dir(scratch.path());
        command.env(CACHE, scratch.file("cache"));
        Self::of(command)
    }

    /// Runs a command.
    pub fn of(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        let running = Self(child);
        let mut lines = output.lines().map_while(Result::ok);
        assert!(lines.any(|line| line == "ready"), "it ends too early");
        running
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// The process that it has started.
    pub fn child(&self) -> u32 {
        let pid = self.pid();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        let children = children.expect("the system tells");
        let first = children.split_whitespace().next().expect("an executor");
        first.parse().expect("a number")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended; the executor ends with it.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
