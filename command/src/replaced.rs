//! Surroundings in which some files are others.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jit_core::graph::InputBytes;
use orc_inputs::archive::MemberWatch;
use orc_inputs::input::{InputOpener, OwnedBytes};

use super::link_line::LinkLine;
use super::surroundings::{Compiled, Surroundings};

/// Surroundings with other content at some paths.
pub(super) struct Replaced {
    base: Arc<dyn Surroundings>,
    files: BTreeMap<PathBuf, Arc<dyn InputBytes>>,
}

impl Replaced {
    /// The surroundings `base` with other content of some files, which the link takes from now on: whoever watches `base`
    /// hears so.
    pub(super) fn new(base: &Arc<dyn Surroundings>, files: BTreeMap<PathBuf, Vec<u8>>) -> Self {
        let replaced = Self::unnoted(base, files);
        for (path, bytes) in &replaced.files {
            base.replaced(path, bytes);
        }
        replaced
    }

    /// The surroundings `base` with other content of some files, to find something out: nobody hears so.
    pub(super) fn unnoted(base: &Arc<dyn Surroundings>, files: BTreeMap<PathBuf, Vec<u8>>) -> Self {
        let file = |(path, bytes)| -> (PathBuf, Arc<dyn InputBytes>) {
            (path, Arc::new(OwnedBytes::from(bytes)))
        };
        Self {
            base: base.clone(),
            files: files.into_iter().map(file).collect(),
        }
    }
}

impl InputOpener for Replaced {
    fn open(&self, path: &Path) -> std::io::Result<Arc<dyn InputBytes>> {
        match self.files.get(path) {
            Some(bytes) => Ok(bytes.clone()),
            None => self.base.open(path),
        }
    }

    fn place(&self, path: &Path) -> PathBuf {
        self.base.place(path)
    }
}

impl Surroundings for Replaced {
    fn compiler_directories(&self) -> Vec<PathBuf> {
        self.base.compiler_directories()
    }

    fn ask_compiler(&self, command: &str, args: &[String]) -> Result<String, String> {
        self.base.ask_compiler(command, args)
    }

    fn compile(&self, line: &LinkLine, dir: &Path, jobs: usize) -> Result<Vec<Compiled>, String> {
        self.base.compile(line, dir, jobs)
    }

    fn watch(&self, path: &Path) -> Option<Arc<MemberWatch>> {
        self.base.watch(path)
    }

    fn replaced(&self, path: &Path, bytes: &Arc<dyn InputBytes>) {
        self.base.replaced(path, bytes);
    }
}
