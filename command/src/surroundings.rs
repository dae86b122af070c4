//! What a link takes from outside of its command line: files, and what compilers say and make.
//!
//! All of it goes through one door, so that somebody can stand there: [`super::image`] notes what a link
//! takes, writes it into one file, and lets the same link happen again from that file alone.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use jit_core::graph::InputBytes;
use orc_inputs::archive::MemberWatch;
use orc_inputs::input::{InputOpener, printable_path};
use orc_inputs::library_search;
use orc_jit::mapped::MapFiles;

use super::image::{self, Contents};
use super::link_cpu;
use super::link_line::{InputName, LinkLine};
use super::sources::{self, Language};

/// Where a link takes from what it has not been given.
pub(crate) trait Surroundings: InputOpener {
    /// The directories in which the compiler looks for libraries.
    fn compiler_directories(&self) -> Vec<PathBuf>;

    /// What the compiler `command` says, to either stream, when it is called with these arguments.
    ///
    /// # Errors
    /// When it cannot be called, or fails: then with what it says.
    fn ask_compiler(&self, command: &str, args: &[String]) -> Result<String, String>;

    /// Compiles the sources among the inputs, up to `jobs` at a time, into `dir`, and tells what
    /// stands in their places, in order.
    ///
    /// # Errors
    /// As [`sources::compile_all`] has them.
    fn compile(&self, line: &LinkLine, dir: &Path, jobs: usize) -> Result<Vec<Compiled>, String>;

    /// Who wants to hear which members of the archive at `path` are needed.
    fn watch(&self, path: &Path) -> Option<Arc<MemberWatch>>;

    /// Hears that a file has other content for this link.
    fn replaced(&self, _path: &Path, _bytes: &Arc<dyn InputBytes>) {}
}

/// What a source became.
#[derive(Clone, Debug)]
pub(crate) struct Compiled {
    /// Index of the source in [`LinkLine::inputs`].
    pub(super) input: usize,
    /// The language of the source.
    pub(super) language: Language,
    /// What stands in its place.
    pub(super) became: Became,
}

/// What stands in the place of a source.
#[derive(Clone, Debug)]
pub(crate) enum Became {
    /// The object that a compiler wrote to this path.
    Object(PathBuf),
    /// A program's command line.
    Line(Vec<OsString>),
}

/// The system's files, and the user's compilers.
#[derive(Default)]
pub(crate) struct Here {
    /// What Rust programs among the sources became: files are looked for there first.
    images: Mutex<Vec<Arc<Contents>>>,
}

/// The user's C compiler, as a linker that calls a compiler would find it.
pub(super) fn c_compiler() -> String {
    let named = std::env::var("CC").ok();
    let named = named.filter(|name| !name.trim().is_empty());
    named.unwrap_or_else(|| link_cpu::compiler("cc"))
}

impl Here {
    /// What compilers made, as it stands in the command line.
    fn became(&self, language: Language, output: PathBuf) -> Result<Became, String> {
        if language != Language::Rust {
            return Ok(Became::Object(output));
        }
        let image = image::read(&output)?.ok_or_else(|| {
            let path = printable_path(&output);
            format!("{path}: rustc did not call this command as its linker; check RUSTFLAGS")
        })?;
        let words = image.arguments().to_vec();
        let mut images = self.images.lock().unwrap_or_else(PoisonError::into_inner);
        images.push(Arc::new(image));
        Ok(Became::Line(words))
    }
}

impl InputOpener for Here {
    fn open(&self, path: &Path) -> std::io::Result<Arc<dyn InputBytes>> {
        let held = {
            let images = self.images.lock().unwrap_or_else(PoisonError::into_inner);
            images.iter().find_map(|image| image.file(path))
        };
        // Without the lock: many threads open files at a time.
        held.map_or_else(|| MapFiles.open(path), Ok)
    }
}

impl Surroundings for Here {
    fn compiler_directories(&self) -> Vec<PathBuf> {
        library_search::compiler_directories(&c_compiler())
    }

    fn ask_compiler(&self, command: &str, args: &[String]) -> Result<String, String> {
        let mut words = command.split_whitespace();
        let answer = Command::new(words.next().unwrap_or_default())
            .args(words)
            .args(args)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| error.to_string())?;
        let said = [answer.stdout, answer.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        if answer.status.success() {
            return Ok(said);
        }
        let problem = said.lines().find(|line| line.contains("error"));
        Err(problem.unwrap_or("it fails").to_owned())
    }

    fn compile(&self, line: &LinkLine, dir: &Path, jobs: usize) -> Result<Vec<Compiled>, String> {
        let compiled = sources::compile_all(line, dir, jobs)?.into_iter();
        let compiled = compiled.map(|(input, language, output)| {
            let became = self.became(language, output)?;
            Ok(Compiled {
                input,
                language,
                became,
            })
        });
        compiled.collect()
    }

    fn watch(&self, _: &Path) -> Option<Arc<MemberWatch>> {
        None
    }
}

impl LinkLine {
    /// Names everything as seen from anywhere, where it is now seen from `directory`.
    pub(super) fn seen_from(&mut self, directory: &Path) {
        for input in &mut self.inputs {
            // Standard input has no directory.
            if let InputName::File(path) = &mut input.name
                && path != Path::new("-")
            {
                *path = directory.join(&*path);
            }
        }
        for dir in &mut self.library_dirs {
            // These stand for the system root.
            let below_root = dir.starts_with('=') || dir.starts_with("$SYSROOT");
            if !below_root && let Some(path) = directory.join(&*dir).to_str() {
                *dir = path.to_owned();
            }
        }
        for dir in &mut self.link_path {
            if let Some(path) = directory.join(&*dir).to_str() {
                *dir = path.to_owned();
            }
        }
        let scripts = &mut self.tuning.version_scripts;
        let named = self.named_files.iter_mut().map(|(_, path)| path);
        for list in self.export_lists.iter_mut().chain(scripts).chain(named) {
            *list = directory.join(&*list);
        }
        if let Some(root) = &mut self.sysroot {
            *root = directory.join(&*root);
        }
    }
}
