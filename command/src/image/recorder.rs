//! Notes what a link takes.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jit_core::graph::InputBytes;
use orc_inputs::archive::{self, MemberWatch};
use orc_inputs::file_kind::FileKind;
use orc_inputs::format::LibraryOrigin;
use orc_inputs::input::{InputOpener, OwnedBytes, printable_path};

use super::super::link_cpu;
use super::super::link_line::LinkLine;
use super::super::surroundings::{Compiled, Here, Surroundings};
use super::contents::{File, Index};

/// The surroundings of a link that an image is made of.
#[derive(Default)]
pub(crate) struct Recorder {
    here: Here,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Default)]
struct Taken {
    files: BTreeMap<PathBuf, Arc<dyn InputBytes>>,
    /// Archives, and the offsets of their members that are needed.
    members: BTreeMap<PathBuf, BTreeSet<u64>>,
    index: Index,
}

impl Recorder {
    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the files that were taken lie, and those of shared libraries that were looked into.
    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        let taken = self.taken();
        let libraries = taken.index.libraries.iter();
        let libraries = libraries.map(|(path, _)| path.clone());
        taken.files.keys().cloned().chain(libraries).collect()
    }

    /// What was taken, for a link with these arguments in that directory.
    ///
    /// # Errors
    /// With the archive that is damaged.
    pub(super) fn finish(&self, directory: &Path) -> Result<(Vec<File>, Index), String> {
        let taken = self.taken();
        let mut files = Vec::new();
        for (path, bytes) in &taken.files {
            let bytes = match taken.members.get(path) {
                Some(members) if !bytes.bytes().starts_with(b"!<thin>") => {
                    let part = archive::subset(bytes.bytes(), members);
                    let part =
                        part.map_err(|problem| format!("{}: {problem}", printable_path(&path)))?;
                    Arc::new(OwnedBytes::from(part))
                }
                _ => bytes.clone(),
            };
            let path = path.clone();
            files.push(File { path, bytes });
        }
        let mut index = taken.index.clone();
        index.directory = directory.to_owned();
        Ok((files, index))
    }
}

impl InputOpener for Recorder {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn InputBytes>> {
        let formats = orc_jit::formats();
        let whole = self.here.open(path)?;
        // Of a file for several CPUs, the image has the part that is linked. One without it is refused later.
        let part = formats.part_for(whole.clone(), link_cpu::get());
        let bytes = part.unwrap_or(whole);
        let mut taken = self.taken();
        if !matches!(formats.kind_of(bytes.bytes()), FileKind::SharedLibrary(_)) {
            taken.files.insert(path.to_owned(), bytes.clone());
        } else if let Ok(library) =
            formats.shared_library(path, bytes.clone(), LibraryOrigin::Named)
        {
            let soname = library.loader_name().to_owned();
            taken.index.libraries.insert(path.to_owned(), soname);
        }
        Ok(bytes)
    }
}

impl Surroundings for Recorder {
    fn compiler_directories(&self) -> Vec<PathBuf> {
        let directories = self.here.compiler_directories();
        self.taken().index.directories = directories.clone();
        directories
    }

    fn ask_compiler(&self, command: &str, args: &[String]) -> Result<String, String> {
        let answer = self.here.ask_compiler(command, args)?;
        let mut taken = self.taken();
        taken.index.answers.insert(args.to_vec(), answer.clone());
        Ok(answer)
    }

    fn compile(&self, line: &LinkLine, dir: &Path, jobs: usize) -> Result<Vec<Compiled>, String> {
        let compiled = self.here.compile(line, dir, jobs)?;
        self.taken().index.compiled = compiled.clone();
        Ok(compiled)
    }

    fn watch(&self, path: &Path) -> Option<Arc<MemberWatch>> {
        self.taken().members.entry(path.to_owned()).or_default();
        let (taken, path) = (self.taken.clone(), path.to_owned());
        Some(Arc::new(move |member| {
            let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(members) = taken.members.get_mut(&path) {
                members.insert(member);
            }
        }))
    }

    fn replaced(&self, path: &Path, bytes: &Arc<dyn InputBytes>) {
        let mut taken = self.taken();
        taken.files.insert(path.to_owned(), bytes.clone());
        taken.members.remove(path);
    }
}
