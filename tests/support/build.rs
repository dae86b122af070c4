//! Building a case: objects by a compiler in a mode, and an executable by the system's linker.
//!
//! What was built is kept below the target directory under a name that hashes everything it was
//! made from, together with what the executable did. A second run only runs the JIT.

use std::ffi::OsString;
use std::fs;
use std::hash::{BuildHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};

use crate::case::{Case, Library, Source};
use crate::command::{Behaviour, Ending, Invocation};
use crate::target::target;
use crate::toolchain::{Compiler, Mode};

/// A case that was compiled.
#[derive(Debug)]
pub struct Built {
    /// Where its files lie.
    pub directory: PathBuf,
    /// Link inputs and `-l` flags in order, relative to the directory.
    pub inputs: Vec<String>,
    /// What the natively linked program did.
    pub native: Behaviour,
}

/// Compiles `case` with `compiler` in `mode`, links it natively and runs that.
///
/// # Errors
/// The compiler's or the linker's message.
pub fn build(case: &Case, compiler: &Compiler, mode: &Mode, cache: &Path) -> io::Result<Built> {
    let directory = cache.join(&case.name).join(format!(
        "{}-{}-{:016x}",
        compiler.name,
        mode.name,
        key(case, compiler, mode)
    ));
    let builder = Builder {
        case,
        compiler,
        mode,
        directory: &directory,
        archiver: vec![target().tool("ar")],
    };
    let inputs = builder.inputs();
    if let Some(native) = read_behaviour(&directory)? {
        return Ok(Built {
            inputs,
            native,
            directory,
        });
    }
    fs::create_dir_all(&directory)?;
    builder.write_sources()?;
    builder.compile()?;
    builder.run_build_commands()?;
    builder.link(&inputs)?;
    let argv = target().program(&directory.join("program"));
    let native = program(case, argv).run_in(&directory)?;
    write_behaviour(&directory, &native)?;
    Ok(Built {
        inputs,
        native,
        directory,
    })
}

/// Compiles `case` with another compiler than this system's, and links nothing. What the program has to do, `native`
/// says.
///
/// # Errors
/// The compiler's message.
pub fn compile_only(
    case: &Case,
    compiler: &Compiler,
    mode: &Mode,
    archiver: &[String],
    (cache, native): (&Path, &Behaviour),
) -> io::Result<Built> {
    let directory = cache.join(&case.name).join(format!(
        "{}-{}-{:016x}",
        compiler.name,
        mode.name,
        key(case, compiler, mode)
    ));
    let builder = Builder {
        case,
        compiler,
        mode,
        directory: &directory,
        archiver: archiver.to_vec(),
    };
    let inputs = builder.inputs();
    let done = directory.join("compiled");
    if !done.exists() {
        fs::create_dir_all(&directory)?;
        builder.write_sources()?;
        builder.compile()?;
        fs::write(done, "")?;
    }
    Ok(Built {
        directory,
        inputs,
        native: native.clone(),
    })
}

/// The command `argv` followed by the case's arguments, with its environment and input.
pub fn program<S: Into<OsString>>(case: &Case, argv: impl IntoIterator<Item = S>) -> Invocation {
    let mut invocation = Invocation::new(argv);
    invocation.argv.extend(case.args.iter().map(OsString::from));
    invocation.env = case.env.clone();
    invocation.stdin = case.stdin.clone();
    invocation
}

/// Which signals programs start with ignored and blocked, because this process has (under `nohup`, say):
/// what a program did then is not what it would do otherwise.
fn inherited_signals() -> Vec<String> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kept = |line: &&str| line.starts_with("SigIgn:") || line.starts_with("SigBlk:");
    status.lines().filter(kept).map(str::to_owned).collect()
}

fn key(case: &Case, compiler: &Compiler, mode: &Mode) -> u64 {
    let mut hasher = foldhash::quality::FixedState::default().build_hasher();
    (
        &case.sources,
        &case.flags,
        &case.link,
        &case.archives,
        &case.shared,
    )
        .hash(&mut hasher);
    (
        &case.build,
        &case.libs,
        &case.native,
        &case.args,
        &case.env,
        &case.stdin,
    )
        .hash(&mut hasher);
    (compiler.name, &compiler.version, mode.compile, mode.link).hash(&mut hasher);
    if !target().is_here {
        target().name.hash(&mut hasher);
    }
    inherited_signals().hash(&mut hasher);
    hasher.finish()
}

struct Builder<'a> {
    case: &'a Case,
    compiler: &'a Compiler,
    mode: &'a Mode,
    directory: &'a Path,
    /// The command that makes static archives.
    archiver: Vec<String>,
}

impl Builder<'_> {
    /// Link inputs in order: what the case says, or objects, archives, shared libraries.
    fn inputs(&self) -> Vec<String> {
        let mut inputs = self.case.link.clone();
        if inputs.is_empty() {
            let libraries = || self.case.archives.iter().chain(&self.case.shared);
            let in_library =
                |source: &Source| libraries().any(|library| library.sources.contains(&source.name));
            inputs.extend(
                self.case
                    .sources
                    .iter()
                    .filter(|source| !in_library(source))
                    .filter_map(Source::object),
            );
            inputs.extend(libraries().map(|library| library.file.clone()));
        }
        inputs.extend(self.case.libs.iter().cloned());
        inputs
    }

    fn write_sources(&self) -> io::Result<()> {
        for source in &self.case.sources {
            let path = self.directory.join(&source.name);
            fs::create_dir_all(path.parent().expect("a file lies in a directory"))?;
            fs::write(path, &source.text)?;
        }
        Ok(())
    }

    fn compile(&self) -> io::Result<()> {
        for source in &self.case.sources {
            let library = self
                .case
                .shared
                .iter()
                .any(|library| library.sources.contains(&source.name));
            if let Some(object) = source.object() {
                self.compile_source(source, &object, library)?;
            }
        }
        for archive in &self.case.archives {
            self.run(
                Invocation::new(&self.archiver)
                    .arg("rcs")
                    .arg(&archive.file),
                &self.objects_of(archive),
            )?;
        }
        for library in &self.case.shared {
            let driver = self
                .call(self.driver())
                .arg("-shared")
                .arg(format!("-Wl,-soname,{}", library.file));
            self.run(
                driver.arg("-o").arg(&library.file),
                &self.objects_of(library),
            )?;
        }
        Ok(())
    }

    fn compile_source(
        &self,
        source: &Source,
        object: &str,
        in_shared_library: bool,
    ) -> io::Result<()> {
        let compiler = match source.name.rsplit_once('.') {
            Some((_, "cpp")) => self.compiler.cxx.clone(),
            Some((_, "f90")) => PathBuf::from(target().tool("gfortran")),
            _ => self.compiler.cc.clone(),
        };
        let mut command = self.call(compiler).arg("-w").arg("-I.");
        // A shared library is what it is in every mode.
        let mode: &[&str] = if in_shared_library {
            &["-fPIC"]
        } else {
            self.mode.compile
        };
        command.argv.extend(mode.iter().map(OsString::from));
        command
            .argv
            .extend(self.case.flags.iter().map(OsString::from));
        self.run(
            command.arg("-c").arg("-o").arg(object).arg(&source.name),
            &[],
        )
    }

    fn run_build_commands(&self) -> io::Result<()> {
        for command in &self.case.build {
            let mut shell = Invocation::new(["sh", "-ec"]).arg(command);
            let compiler = self.compiler.cc.to_string_lossy().into_owned();
            let flags = target().flags_of(self.compiler.name).join(" ");
            let compiler = format!("{compiler} {flags}").trim_end().to_owned();
            shell.env.push(("CC".to_owned(), compiler));
            for (variable, tool) in [("AR", "ar"), ("LD", "ld"), ("OBJCOPY", "objcopy")] {
                shell.env.push((variable.to_owned(), target().tool(tool)));
            }
            self.run(shell, &[])?;
        }
        Ok(())
    }

    fn link(&self, inputs: &[String]) -> io::Result<()> {
        let mut command = self.call(self.driver()).arg("-w").arg("-pthread");
        command
            .argv
            .extend(self.mode.link.iter().map(OsString::from));
        command
            .argv
            .extend(self.case.native.iter().map(OsString::from));
        if self
            .case
            .native
            .iter()
            .any(|flag| flag.starts_with("-fuse-ld="))
        {
            let linkers = target().other_linkers_of(self.compiler.name);
            command.argv.extend(linkers.iter().map(OsString::from));
        }
        // Shared libraries of the case are named by path, as they are for the JIT.
        self.run(
            command.arg("-o").arg("program").arg("-Wl,-rpath,$ORIGIN"),
            inputs,
        )
    }

    /// A call of a compiler.
    fn call(&self, compiler: PathBuf) -> Invocation {
        let mut command = Invocation::new([compiler]);
        let flags = target().flags_of(self.compiler.name);
        command.argv.extend(flags.iter().map(OsString::from));
        command
    }

    fn driver(&self) -> PathBuf {
        if self.case.is_cxx() {
            self.compiler.cxx.clone()
        } else {
            self.compiler.cc.clone()
        }
    }

    fn objects_of(&self, library: &Library) -> Vec<String> {
        let sources = library
            .sources
            .iter()
            .filter_map(|name| self.case.sources.iter().find(|source| &source.name == name));
        sources.filter_map(Source::object).collect()
    }

    fn run(&self, mut command: Invocation, args: &[String]) -> io::Result<()> {
        command.argv.extend(args.iter().map(OsString::from));
        let behaviour = command.run_in(self.directory)?;
        if behaviour.ending == Ending::Exit(0) {
            return Ok(());
        }
        let message = String::from_utf8_lossy(&behaviour.stderr).into_owned();
        let place = self.directory.display();
        Err(io::Error::other(format!(
            "cd {place}; {}\n{}\n{message}",
            command.shell_line(),
            behaviour.ending
        )))
    }
}

/// Files that record what the native program did; the last one written makes the record valid.
const RECORD: [&str; 3] = ["native.stdout", "native.stderr", "native.ending"];

fn write_behaviour(directory: &Path, behaviour: &Behaviour) -> io::Result<()> {
    let ending = match behaviour.ending {
        Ending::Exit(code) => format!("exit {code}"),
        Ending::Signal(signal) => format!("signal {signal}"),
        Ending::TimedOut => return Ok(()),
    };
    fs::write(directory.join(RECORD[0]), &behaviour.stdout)?;
    fs::write(directory.join(RECORD[1]), &behaviour.stderr)?;
    fs::write(directory.join(RECORD[2]), ending)
}

fn read_behaviour(directory: &Path) -> io::Result<Option<Behaviour>> {
    let Ok(ending) = fs::read_to_string(directory.join(RECORD[2])) else {
        return Ok(None);
    };
    let ending = match ending
        .split_once(' ')
        .and_then(|(kind, number)| Some((kind, number.parse().ok()?)))
    {
        Some(("exit", code)) => Ending::Exit(code),
        Some(("signal", signal)) => Ending::Signal(signal),
        _ => return Ok(None),
    };
    let stdout = fs::read(directory.join(RECORD[0]))?;
    Ok(Some(Behaviour {
        ending,
        stdout,
        stderr: fs::read(directory.join(RECORD[1]))?,
    }))
}
