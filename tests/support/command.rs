//! Running a program to its end: output captured through pipes, a time limit, and the way it ended.

use std::ffi::OsString;
use std::fmt;
use std::io::{self, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// How long a test program may run. Programs end in milliseconds; this catches deadlocks.
pub const TIME_LIMIT: Duration = Duration::from_secs(60);

/// How a process ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// It returned from `main` or called `exit`.
    Exit(i32),
    /// A signal ended it.
    Signal(i32),
    /// It was still running at the time limit and was killed.
    TimedOut,
}

impl Ending {
    fn of(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Ending::Exit(code),
            (None, Some(signal)) => Ending::Signal(signal),
            (None, None) => unreachable!("a process that was waited for has ended"),
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ending::Exit(code) => write!(f, "exit code {code}"),
            Ending::Signal(signal) => write!(f, "signal {signal}"),
            Ending::TimedOut => f.write_str("no end within the time limit"),
        }
    }
}

/// What a program did, as far as another process can see.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Behaviour {
    /// How it ended.
    pub ending: Ending,
    /// What it wrote to standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error.
    pub stderr: Vec<u8>,
}

/// A program to run, with everything that it can observe.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// The program and its arguments.
    pub argv: Vec<OsString>,
    /// Variables set on top of the inherited environment.
    pub env: Vec<(String, String)>,
    /// What it reads from standard input.
    pub stdin: Vec<u8>,
    /// How long it may run.
    pub limit: Duration,
}

impl Invocation {
    /// A program and its arguments.
    pub fn new<S: Into<OsString>>(argv: impl IntoIterator<Item = S>) -> Self {
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            env: Vec::new(),
            stdin: Vec::new(),
            limit: TIME_LIMIT,
        }
    }

    /// Adds an argument.
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.argv.push(arg.into());
        self
    }

    /// The command as one could type it in a shell.
    pub fn shell_line(&self) -> String {
        let quote = |arg: &OsString| {
            let arg = arg.to_string_lossy();
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=+,:@%".contains(c);
            if !arg.is_empty() && arg.chars().all(plain) {
                arg.into_owned()
            } else {
                format!("'{}'", arg.replace('\'', r"'\''"))
            }
        };
        let variables = self
            .env
            .iter()
            .map(|(name, value)| format!("{name}='{value}'"));
        variables
            .chain(self.argv.iter().map(quote))
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// Runs the program in `directory` until it ends or the time is up.
    pub fn run_in(&self, directory: &Path) -> io::Result<Behaviour> {
        let (program, args) = self.argv.split_first().expect("a command has a program");
        let mut child = Command::new(program)
            .args(args)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .current_dir(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Its own process group, so that children it leaves behind can be ended with it.
            .process_group(0)
            .spawn()
            .map_err(|error| {
                io::Error::new(error.kind(), format!("{}: {error}", self.shell_line()))
            })?;
        let mut stdin = child.stdin.take().expect("standard input is a pipe");
        let input = self.stdin.clone();
        // A program that ends without reading its input breaks the pipe, which is its right.
        thread::spawn(move || drop(stdin.write_all(&input)));
        let stdout = collect(child.stdout.take().expect("standard output is a pipe"));
        let stderr = collect(child.stderr.take().expect("standard error is a pipe"));
        let ending = wait(child, self.limit)?;
        let take = |output: mpsc::Receiver<Vec<u8>>| {
            output
                .recv_timeout(Duration::from_secs(5))
                .unwrap_or_default()
        };
        Ok(Behaviour {
            ending,
            stdout: take(stdout),
            stderr: take(stderr),
        })
    }
}

/// Reads a pipe to its end on a thread of its own, so that the program never blocks on a full one.
fn collect(mut pipe: impl Read + Send + 'static) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read before an error is still worth showing.
        drop(pipe.read_to_end(&mut bytes));
        drop(sender.send(bytes));
    });
    receiver
}

/// Waits for `child`, and ends its process group when `limit` has passed.
fn wait(mut child: Child, limit: Duration) -> io::Result<Ending> {
    let group = child.id();
    let (sender, receiver) = mpsc::channel();
    let waiter = thread::spawn(move || sender.send(child.wait()));
    match receiver.recv_timeout(limit) {
        Ok(status) => status.map(Ending::of),
        Err(_) => {
            let killed = Command::new("sh")
                .args(["-c", &format!("kill -KILL -{group}")])
                .status();
            drop(waiter.join());
            killed.map(|_| Ending::TimedOut)
        }
    }
}
