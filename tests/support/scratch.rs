//! A directory for one test, with a compiler at hand.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::command::{Behaviour, Ending, Invocation};
use crate::compare::orc_jit;
use crate::toolchain::compilers;

/// A directory that is removed when the test ends.
#[derive(Debug)]
pub struct Scratch {
    directory: TempDir,
}

impl Scratch {
    /// An empty directory.
    ///
    /// # Panics
    /// If there is no place for one; so do the other functions when something does not work.
    #[expect(clippy::new_without_default, reason = "it makes a directory")]
    pub fn new() -> Self {
        Self {
            directory: tempfile::tempdir().expect("a temporary directory"),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The path of a file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Writes a file.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> &Self {
        fs::write(self.file(name), bytes).expect("a writable directory");
        self
    }

    /// Writes a file that can be run. Another process writes it: what a thread forks meanwhile would keep
    /// it open, and nobody can run a file that somebody writes to.
    pub fn write_executable(&self, name: &str, bytes: impl Into<Vec<u8>>) -> &Self {
        let script = "cat >\"$0\" && chmod +x \"$0\"";
        let mut invocation = Invocation::new(["sh", "-c", script, name]);
        invocation.stdin = bytes.into();
        let written = invocation.run_in(self.path()).expect("a shell starts");
        assert_eq!(written.ending, Ending::Exit(0), "{written:?}");
        self
    }

    /// Reads a file.
    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.file(name)).expect("the file is there")
    }

    /// Compiles C (or C++, if `object` starts with `cxx`) to an object.
    pub fn compile(&self, object: &str, text: &str) -> &Self {
        self.compile_with(object, text, &[])
    }

    /// Compiles with flags.
    pub fn compile_with(&self, object: &str, text: &str, flags: &[&str]) -> &Self {
        let compiler = &compilers()[0];
        let (driver, extension) = if object.starts_with("cxx") {
            (&compiler.cxx, "cpp")
        } else {
            (&compiler.cc, "c")
        };
        let source = object.replace(".o", &format!(".{extension}"));
        self.write(&source, text);
        let mut command = Command::new(driver);
        command
            .args(["-w", "-c", "-o", object])
            .args(flags)
            .arg(&source);
        let status = command
            .current_dir(self.path())
            .status()
            .expect("the compiler runs");
        assert!(status.success(), "{source} does not compile");
        self
    }

    /// Packs files into an archive.
    pub fn archive(&self, archive: &str, members: &[&str]) -> &Self {
        let mut command = Command::new("ar");
        command.arg("rcs").arg(archive).args(members);
        let status = command.current_dir(self.path()).status().expect("ar runs");
        assert!(status.success(), "{archive} cannot be made");
        self
    }

    /// Links objects to a shared library.
    pub fn shared_library(&self, library: &str, objects: &[&str]) -> &Self {
        let mut command = Command::new(&compilers()[0].cxx);
        command.args(["-shared", "-o", library]).args(objects);
        let status = command.current_dir(self.path()).status();
        let linked = status.expect("the compiler runs").success();
        assert!(linked, "{library} cannot be made");
        self
    }

    /// Runs `orc-jit` here; nothing if the tests run without it.
    pub fn orc_jit(&self, arguments: &[&str]) -> Option<Behaviour> {
        let command = orc_jit()?.into_os_string();
        let mut invocation = Invocation::new([command]);
        invocation
            .argv
            .extend(arguments.iter().map(|argument| (*argument).into()));
        Some(invocation.run_in(self.path()).expect("orc-jit starts"))
    }

    /// What a failing `orc-jit` says, with the way it ended in front.
    ///
    /// # Panics
    /// If it succeeds, is ended by a signal, panics, or prints something to standard output.
    pub fn message(&self, arguments: &[&str]) -> Option<String> {
        let behaviour = self.orc_jit(arguments)?;
        let message = String::from_utf8_lossy(&behaviour.stderr).into_owned();
        assert!(!message.contains("panicked at"), "{message}");
        assert!(behaviour.stdout.is_empty(), "messages go to standard error");
        match behaviour.ending {
            Ending::Exit(code) if code != 0 => Some(format!("exit code {code}\n{message}")),
            other => panic!("it must fail, but: {other}\n{message}"),
        }
    }
}
