//! Option lines: the same arguments for the compiler driver and for `orc-jit run`.
//!
//! A folder below `tests/lines` is a topic: sources, and a file `lines` that says how to prepare
//! them and which command lines to compare.
//!
//! ```text
//! # What this topic holds.
//! needs: gold, lib:z
//! prepare: $CC -c main.c
//! prepare: $CC -shared -fPIC w.c -o libw.so
//! cc weak_reference: main.o -Wl,--as-needed ./libw.so
//! c++ arguments: main.o libb.a -lz -- one "two words"
//!     env: LD_LIBRARY_PATH=real
//! cc refused: main.o -Wl,--frobnicate
//!     error: unknown option
//! ```
//!
//! | Line | Meaning |
//! |---|---|
//! | `needs: …` | programs, or `lib:NAME` for static libraries, without which the topic is left out (a failure in CI) |
//! | `sources: TOPIC` | the files of another topic are there, too; the own ones win |
//! | `prepare: …` | a shell command, run once in a copy of the folder, with `$CC`, `$CXX` and `$AR` set |
//! | `DRIVER NAME: …` | a row: a driver (`cc`, `c++`, `clang`, `clang++`, `gfortran`, `musl-gcc`), the test's name, and arguments as a shell reads them; what follows `--` is for the program |
//! | `    env: NAME=VALUE` | a variable for the program of the row above (repeatable) |
//! | `    stderr` | compare standard error as well |
//! | `    executors: in-process` | run it there only (or `spawn`); a reason may follow after a comma |
//! | `    error: TEXT` | both must refuse to link, and our message says this |
//! | `    ours: …` | options for `orc-jit run` alone, such as `--entry` spelled in its own way |
//!
//! The driver links `NAME.linked` in the copy and runs it; then `orc-jit run` gets the same words.
//! Exit code or signal, and standard output, must be the same.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::case::{EXECUTORS, Executor};
use crate::command::{Behaviour, Ending, Invocation};
use crate::compare::{difference, orc_jit, without_report};
use crate::toolchain::{Compiler, compilers};

/// A folder of option lines that share their sources.
#[derive(Clone, Debug)]
pub struct Topic {
    /// The folder's name.
    pub name: String,
    /// Programs and static libraries that must be installed.
    pub needs: Vec<String>,
    /// The rows, in the order of the file.
    pub rows: Vec<Row>,
    directory: PathBuf,
    /// The folders whose files it has, too.
    sources: Vec<PathBuf>,
    prepare: Vec<String>,
}

/// One command line to compare.
#[derive(Clone, Debug)]
pub struct Row {
    /// The test's name within its topic.
    pub name: String,
    /// Where the program is run.
    pub executors: Vec<&'static Executor>,
    driver: String,
    arguments: String,
    ours: String,
    env: Vec<(String, String)>,
    error: Option<String>,
    compares_stderr: bool,
}

/// Reads all topics below `lines`, sorted by name.
///
/// # Errors
/// A folder that cannot be read, or a line that makes no sense, with its number.
pub fn read_all(lines: &Path) -> io::Result<Vec<Topic>> {
    let mut topics = Vec::new();
    for entry in fs::read_dir(lines)? {
        let directory = entry?.path();
        if directory.is_dir() {
            topics.push(Topic::read(directory)?);
        }
    }
    topics.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(topics)
}

impl Topic {
    fn read(directory: PathBuf) -> io::Result<Self> {
        let file = directory.join("lines");
        let text = fs::read_to_string(&file).map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", file.display()))
        })?;
        let name = directory.file_name().unwrap_or_default();
        let mut topic = Self {
            name: name.to_string_lossy().into_owned(),
            needs: Vec::new(),
            rows: Vec::new(),
            directory,
            sources: Vec::new(),
            prepare: Vec::new(),
        };
        for (at, line) in text.lines().enumerate() {
            topic.take_in(line).map_err(|error| {
                io::Error::other(format!("{}:{}: {error}", file.display(), at + 1))
            })?;
        }
        Ok(topic)
    }

    fn take_in(&mut self, line: &str) -> Result<(), String> {
        if line.trim().is_empty() || line.starts_with('#') {
            return Ok(());
        }
        if line.starts_with(char::is_whitespace) {
            let row = self.rows.last_mut().ok_or("no row above")?;
            return row.take_in(line.trim());
        }
        let (key, value) = line.split_once(':').ok_or("a `:` is expected")?;
        let value = value.trim().to_owned();
        match key.split_whitespace().collect::<Vec<_>>()[..] {
            ["needs"] => self
                .needs
                .extend(value.split(',').map(|it| it.trim().to_owned())),
            ["sources"] => self.sources.push(self.directory.with_file_name(value)),
            ["prepare"] => self.prepare.push(value),
            [driver, name] => {
                if self.rows.iter().any(|row| row.name == name) {
                    return Err(format!("a second row `{name}`"));
                }
                self.rows.push(Row::new(driver, name, value)?);
            }
            _ => return Err(format!("`{key}` is no key")),
        }
        Ok(())
    }

    /// Makes a copy of the folder in `parent` and prepares it.
    ///
    /// # Errors
    /// A command that fails, with what it printed.
    pub fn prepare_in(&self, parent: &Path) -> Result<PathBuf, String> {
        let place = parent.join(&self.name);
        for directory in self.sources.iter().chain([&self.directory]) {
            let copied = copy(directory, &place);
            copied.map_err(|error| format!("{}: {error}", directory.display()))?;
        }
        for command in &self.prepare {
            run_shell(command, &place)?;
        }
        Ok(place)
    }
}

impl Row {
    fn new(driver: &str, name: &str, arguments: String) -> Result<Self, String> {
        let others = ["clang", "clang++", "gfortran", "musl-gcc"];
        if driver_path(driver).is_none() && !others.contains(&driver) {
            return Err(format!("`{driver}` is no driver"));
        }
        Ok(Self {
            name: name.to_owned(),
            executors: EXECUTORS.iter().filter(|it| !it.is_lazy()).collect(),
            driver: driver.to_owned(),
            arguments,
            ours: String::new(),
            env: Vec::new(),
            error: None,
            compares_stderr: false,
        })
    }

    fn take_in(&mut self, line: &str) -> Result<(), String> {
        let (key, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.trim().to_owned();
        match key {
            "env" => {
                let (name, value) = value.split_once('=').ok_or("NAME=VALUE is expected")?;
                self.env.push((name.to_owned(), value.to_owned()));
            }
            "stderr" => self.compares_stderr = true,
            "error" => self.error = Some(value),
            "ours" => self.ours = value,
            "executors" => {
                let wanted = value.split(',').next().unwrap_or_default().trim();
                self.executors.retain(|executor| executor.name == wanted);
                if self.executors.is_empty() {
                    return Err(format!("`{wanted}` is no executor"));
                }
            }
            _ => return Err(format!("`{key}` is no key of a row")),
        }
        Ok(())
    }

    /// What a machine needs for this row beyond a C++ compiler.
    #[must_use]
    pub fn need(&self) -> Option<&str> {
        (driver_path(&self.driver).is_none()).then_some(self.driver.as_str())
    }

    /// Links and runs the row's program with the system's linker in `place`.
    ///
    /// # Errors
    /// The driver fails where it must not, or does not where it must.
    pub fn link_and_run(&self, place: &Path) -> Result<Option<Behaviour>, String> {
        let driver = driver_path(&self.driver).ok_or(format!("no {}", self.driver))?;
        let (link, arguments) = self.split();
        let output = format!("{}.linked", self.name);
        let command = format!("{} {link} -o {output}", driver.display());
        let linked = shell(&command, Vec::new(), place)?;
        match (&self.error, linked.ending) {
            (None, Ending::Exit(0)) => {
                let command = format!("exec ./{output} {arguments}");
                shell(&command, self.env.clone(), place).map(Some)
            }
            (Some(_), Ending::Exit(code)) if code != 0 => Ok(None),
            (_, ending) => Err(format!(
                "(cd {}; {command})\n{ending}\n{}",
                place.display(),
                String::from_utf8_lossy(&linked.stderr)
            )),
        }
    }

    /// Gives the row's arguments to `orc-jit run` and compares with what the linked program did.
    ///
    /// # Errors
    /// The differences, with the command to repeat the run.
    pub fn compare(
        &self,
        native: Option<&Behaviour>,
        executor: &Executor,
        place: &Path,
    ) -> Result<(), String> {
        let Some(command) = orc_jit() else {
            return Ok(());
        };
        let (link, arguments) = self.split();
        let flags = executor.flags.join(" ");
        let command = format!(
            "exec {} run {flags} {} {link} -- {arguments}",
            command.display(),
            self.ours
        );
        let mut env = self.env.clone();
        env.extend(self.compilers());
        let jit = without_report(shell(&command, env, place)?);
        let differences = match native {
            Some(native) => difference(native, &jit, self.compares_stderr),
            None => self.refusal(&jit),
        };
        if differences.is_empty() {
            return Ok(());
        }
        Err(format!(
            "(cd {}; {command})\n{differences}",
            place.display()
        ))
    }

    /// What is wrong with a refusal; nothing if it is as expected.
    fn refusal(&self, jit: &Behaviour) -> String {
        let message = String::from_utf8_lossy(&jit.stderr);
        let expected = self.error.as_deref().unwrap_or_default();
        match jit.ending {
            Ending::Exit(1..=127)
                if message.contains(expected) && !message.contains("panicked at") =>
            {
                String::new()
            }
            ending => format!("it must refuse, and say `{expected}`, but: {ending}\n{message}"),
        }
    }

    /// Arguments of the link, and those of the program.
    fn split(&self) -> (&str, &str) {
        let arguments = self.arguments.as_str();
        match arguments.split_once(" -- ") {
            Some((link, program)) => (link, program),
            None => (arguments.strip_suffix(" --").unwrap_or(arguments), ""),
        }
    }

    /// Variables through which `orc-jit run` learns which compiler the row is about.
    fn compilers(&self) -> Vec<(String, String)> {
        let family = if self.driver.starts_with("clang") {
            "clang"
        } else {
            ""
        };
        let compiler = compiler(family);
        let path = |path: &Path| path.display().to_string();
        if self.driver == "musl-gcc" {
            // It has no C++.
            return vec![
                ("CC".to_owned(), self.driver.clone()),
                ("CXX".to_owned(), String::new()),
            ];
        }
        vec![
            ("CC".to_owned(), path(&compiler.cc)),
            ("CXX".to_owned(), path(&compiler.cxx)),
        ]
    }
}

/// The compilers of a family; the first that there are if the family is not installed.
fn compiler(family: &str) -> &'static Compiler {
    let all = compilers();
    all.iter().find(|it| it.name == family).unwrap_or(&all[0])
}

fn driver_path(driver: &str) -> Option<PathBuf> {
    let clang = || compilers().iter().find(|it| it.name == "clang");
    match driver {
        "cc" => Some(compilers()[0].cc.clone()),
        "c++" => Some(compilers()[0].cxx.clone()),
        "clang" => clang().map(|it| it.cc.clone()),
        "clang++" => clang().map(|it| it.cxx.clone()),
        "gfortran" | "musl-gcc" => crate::toolchain::find_program(driver),
        _ => None,
    }
}

fn shell(command: &str, env: Vec<(String, String)>, place: &Path) -> Result<Behaviour, String> {
    let mut invocation = Invocation::new(["sh", "-c", command]);
    invocation.env = env;
    let done = invocation.run_in(place);
    done.map_err(|error| format!("{command}: {error}"))
}

fn run_shell(command: &str, place: &Path) -> Result<(), String> {
    let compiler = &compilers()[0];
    let output = Command::new("sh")
        .args(["-ec", command])
        .env("CC", &compiler.cc)
        .env("CXX", &compiler.cxx)
        .env("AR", "ar")
        .current_dir(place)
        .output()
        .map_err(|error| format!("sh: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let message = String::from_utf8_lossy(&output.stderr);
    Err(format!("(cd {}; {command})\n{message}", place.display()))
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
