//! Debuggers that follow a script.

use std::ffi::OsString;
use std::fmt;
use std::time::Duration;

use tests::command::Invocation;
use tests::compare::orc_jit;
use tests::scratch::Scratch;

/// How long a debugger may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(180);

/// What gdb is told before each script: it asks nobody, and waits for what is not loaded yet.
const GDB_SETTINGS: &[&str] = &[
    "set confirm off",
    "set pagination off",
    "set width 0",
    "set breakpoint pending on",
    "set debuginfod enabled off",
];

/// What a debugger and its program have printed.
pub struct Transcript(String);

/// Runs `orc-jit` in gdb.
pub fn gdb(scratch: &Scratch, script: &[&str], arguments: &[&str]) -> Transcript {
    let command = orc_jit().expect("these tests need the command");
    let words = arguments.iter().map(|it| OsString::from(*it));
    let words = [OsString::from("--args"), command.into_os_string()]
        .into_iter()
        .chain(words);
    gdb_with(scratch, script, words)
}

/// Runs gdb with arguments of its own.
pub fn gdb_with(
    scratch: &Scratch,
    script: &[&str],
    arguments: impl IntoIterator<Item = OsString>,
) -> Transcript {
    let lines = GDB_SETTINGS.iter().chain(script);
    let text: String = lines.map(|line| format!("{line}\n")).collect();
    scratch.write("script.gdb", text);
    let own = ["gdb", "-nx", "-batch", "-x", "script.gdb"].map(OsString::from);
    let mut invocation = Invocation::new(own.into_iter().chain(arguments));
    invocation.limit = LIMIT;
    let behaviour = invocation.run_in(scratch.path()).expect("gdb starts");
    let text = [behaviour.stdout, behaviour.stderr].concat();
    Transcript(String::from_utf8_lossy(&text).into_owned())
}

impl Transcript {
    /// Lines contain these texts, in this order.
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

    /// No line contains this text.
    #[track_caller]
    pub fn lacks(&self, text: &str) -> &Self {
        assert!(!self.0.contains(text), "{text:?} is in:\n{self}");
        self
    }
}

impl fmt::Display for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
