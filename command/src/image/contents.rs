//! What an image holds: the command line, the files that its link took, and what compilers said.
//!
//! ```text
//! mark, where the index is       16 + 16 bytes
//! files, each on pages of its own
//! index                          words, as in a response file
//! ```

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use jit_core::graph::InputBytes;
use orc_inputs::archive::MemberWatch;
use orc_inputs::input::{InputOpener, InputPart};
use orc_inputs::library_search::LibrarySearch;
use orc_jit::mapped::MapFiles;

use super::super::link_line::LinkLine;
use super::super::response_file;
use super::super::sources::Language;
use super::super::surroundings::{Became, Compiled, Surroundings};

/// The mark. The number grows when older commands cannot read what newer ones write.
const MARK: &[u8; 16] = b"orc-jit image 2\n";
const HEADER_SIZE: u64 = 32;
const PAGE: u64 = 4096;

/// A file of an image.
pub(super) struct File {
    pub(super) path: PathBuf,
    pub(super) bytes: Arc<dyn InputBytes>,
}

/// What an image holds beside files.
#[derive(Clone, Default)]
pub(super) struct Index {
    /// The command line.
    pub(super) arguments: Vec<OsString>,
    /// Where it was given.
    pub(super) directory: PathBuf,
    /// Shared libraries by path, with their names for the loader.
    pub(super) libraries: BTreeMap<PathBuf, String>,
    /// The compiler's directories of libraries.
    pub(super) directories: Vec<PathBuf>,
    /// What compilers said to which arguments.
    pub(super) answers: BTreeMap<Vec<String>, String>,
    /// What sources became.
    pub(super) compiled: Vec<Compiled>,
}

/// An image.
pub(crate) struct Contents {
    index: Index,
    files: BTreeMap<PathBuf, InputPart>,
    /// Where the loader would look for libraries that are elsewhere now: the program's directories, and
    /// the system's.
    run_path: OnceLock<Vec<String>>,
    search: LibrarySearch,
}

/// How long an image of these files, with an index of that size, is.
pub(super) fn size(files: &[File], index: &[u8]) -> u64 {
    let end = places(files)
        .last()
        .map_or(HEADER_SIZE, |(at, size)| at + size);
    (end + index.len() as u64).next_multiple_of(8)
}

/// Where files lie, and how long they are.
fn places(files: &[File]) -> impl Iterator<Item = (u64, u64)> {
    let mut end = HEADER_SIZE;
    files.iter().map(move |file| {
        let (at, size) = (end.next_multiple_of(PAGE), file.bytes.bytes().len() as u64);
        end = at + size;
        (at, size)
    })
}

/// Writes an image.
pub(super) fn write(to: &mut dyn Write, files: &[File], index: &[u8]) -> io::Result<()> {
    let index_at = places(files)
        .last()
        .map_or(HEADER_SIZE, |(at, size)| at + size);
    to.write_all(MARK)?;
    to.write_all(&index_at.to_le_bytes())?;
    to.write_all(&(index.len() as u64).to_le_bytes())?;
    let zeros = [0; PAGE as usize];
    let mut end = HEADER_SIZE;
    for ((at, size), file) in places(files).zip(files) {
        to.write_all(&zeros[..(at - end) as usize])?;
        to.write_all(file.bytes.bytes())?;
        end = at + size;
    }
    to.write_all(index)?;
    let written = index_at + index.len() as u64;
    to.write_all(&zeros[..(size(files, index) - written) as usize])
}

impl Index {
    /// The index as words: each entry is a keyword and what belongs to it.
    pub(super) fn text(&self, files: &[File]) -> Vec<u8> {
        let number = |number: u64| OsString::from(number.to_string());
        let mut words: Vec<OsString> = vec!["directory".into(), self.directory.clone().into()];
        for (file, (at, size)) in files.iter().zip(places(files)) {
            words.extend(["file".into(), file.path.clone().into()]);
            words.extend([number(at), number(size)]);
        }
        for (path, soname) in &self.libraries {
            words.extend(["library".into(), path.clone().into(), soname.into()]);
        }
        for directory in &self.directories {
            words.extend(["search".into(), directory.clone().into()]);
        }
        for (question, answer) in &self.answers {
            words.extend(["answer".into(), number(question.len() as u64)]);
            words.extend(question.iter().map(OsString::from));
            words.push(answer.into());
        }
        for compiled in &self.compiled {
            words.extend(["compiled".into(), number(compiled.input as u64)]);
            words.push(compiled.language.name().into());
            match &compiled.became {
                Became::Object(path) => words.extend(["object".into(), path.clone().into()]),
                Became::Line(line) => {
                    words.extend(["line".into(), number(line.len() as u64)]);
                    words.extend(line.iter().cloned());
                }
            }
        }
        for argument in &self.arguments {
            words.extend(["argument".into(), argument.clone()]);
        }
        response_file::join(&words)
    }
}

/// Reads the words of an index.
struct Words(std::vec::IntoIter<OsString>);

impl Words {
    fn next(&mut self) -> Result<OsString, String> {
        self.0
            .next()
            .ok_or_else(|| "its index is cut off".to_owned())
    }

    fn text(&mut self) -> Result<String, String> {
        let word = self.next()?.into_string();
        word.map_err(|word| format!("its index has `{}`, which is no text", word.display()))
    }

    fn number(&mut self) -> Result<usize, String> {
        let text = self.text()?;
        text.parse()
            .map_err(|_| format!("its index has `{text}`, which is no number"))
    }
}

impl Contents {
    /// Reads the image `whole`.
    ///
    /// # Errors
    /// When it is damaged, or of another version of this command.
    pub(super) fn read(whole: &Arc<dyn InputBytes>, start: usize) -> Result<Self, String> {
        let bytes = whole.bytes();
        let header = bytes.get(start..start + HEADER_SIZE as usize);
        let header = header.ok_or("it is cut off")?;
        if header[..16] != *MARK {
            return Err("it was made by another version of orc-jit: link again".to_owned());
        }
        let number = |at: usize| -> Option<usize> {
            let bytes = header[at..at + 8].try_into().ok()?;
            usize::try_from(u64::from_le_bytes(bytes)).ok()
        };
        let part = |at: usize, size: usize| {
            let at = start.checked_add(at)?;
            Some(at..at.checked_add(size)?)
        };
        let index = number(16).zip(number(24));
        let index = index.and_then(|(at, size)| bytes.get(part(at, size)?));
        let words = response_file::split(index.ok_or("it is cut off")?);
        let mut words = Words(words.into_iter());
        let mut files = BTreeMap::new();
        let mut index = Index::default();
        while let Ok(keyword) = words.next() {
            if keyword == "file" {
                let path = PathBuf::from(words.next()?);
                let range = part(words.number()?, words.number()?);
                let file = range.and_then(|range| InputPart::new(whole.clone(), range));
                files.insert(path, file.ok_or("it is cut off")?);
            } else {
                index.entry(&keyword, &mut words)?;
            }
        }
        let search = LibrarySearch::new(orc_jit::formats(), Arc::new(MapFiles));
        Ok(Self {
            index,
            files,
            run_path: OnceLock::new(),
            search,
        })
    }

    /// The command line, as seen from anywhere; `origin` is the directory of the image.
    ///
    /// # Errors
    /// Those of [`LinkLine::parse`].
    pub(crate) fn line(&self, origin: Option<&Path>) -> Result<LinkLine, String> {
        let mut line = LinkLine::parse(self.index.arguments.iter().cloned(), &|_| None)?;
        line.seen_from(&self.index.directory);
        if let Some(origin) = origin.and_then(Path::to_str) {
            for dir in &mut line.run_path {
                *dir = dir.replace("${ORIGIN}", origin).replace("$ORIGIN", origin);
            }
        }
        // The line is asked for once, and so are its directories known.
        let _ = self.run_path.set(line.run_path.clone());
        Ok(line)
    }

    /// The command line's words.
    pub(crate) fn arguments(&self) -> &[OsString] {
        &self.index.arguments
    }

    /// A file that the image holds.
    pub(crate) fn file(&self, path: &Path) -> Option<Arc<dyn InputBytes>> {
        let file = self.files.get(path)?;
        Some(Arc::new(file.clone()))
    }

    /// Where a shared library is that was at `path` when the image was made. If it is gone from there, it is
    /// looked for by its name, as the loader does.
    fn library(&self, path: &Path) -> Option<PathBuf> {
        let soname = self.index.libraries.get(path)?;
        if path.exists() {
            return Some(path.to_owned());
        }
        let list = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
        let named = std::env::split_paths(&list).filter(|dir| !dir.as_os_str().is_empty());
        let run_path = self.run_path.get().into_iter().flatten().map(PathBuf::from);
        let mut files = named.chain(run_path).map(|dir| dir.join(soname));
        let found = files.find(|path| path.is_file());
        found.or_else(|| {
            let library = self.search.find_soname(soname)?;
            Some(PathBuf::from(library.path()))
        })
    }
}

impl Index {
    fn entry(&mut self, keyword: &OsStr, words: &mut Words) -> Result<(), String> {
        match keyword.as_bytes() {
            b"directory" => self.directory = PathBuf::from(words.next()?),
            b"library" => {
                let path = PathBuf::from(words.next()?);
                self.libraries.insert(path, words.text()?);
            }
            b"search" => self.directories.push(PathBuf::from(words.next()?)),
            b"answer" => {
                let count = words.number()?;
                let question: Result<_, String> = (0..count).map(|_| words.text()).collect();
                self.answers.insert(question?, words.text()?);
            }
            b"compiled" => {
                let input = words.number()?;
                let name = words.text()?;
                let language = Language::named(&name);
                let language =
                    language.ok_or_else(|| format!("its index has the language {name}"))?;
                let became = match words.text()?.as_str() {
                    "object" => Became::Object(PathBuf::from(words.next()?)),
                    _ => {
                        let count = words.number()?;
                        let line: Result<_, String> = (0..count).map(|_| words.next()).collect();
                        Became::Line(line?)
                    }
                };
                self.compiled.push(Compiled {
                    input,
                    language,
                    became,
                });
            }
            b"argument" => self.arguments.push(words.next()?),
            _ => {
                return Err(format!(
                    "its index has `{}`, which means nothing",
                    keyword.display()
                ));
            }
        }
        Ok(())
    }
}

impl InputOpener for Contents {
    /// Only what the image holds, and shared libraries: what came to other places since the image was
    /// made is no part of it.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn InputBytes>> {
        if let Some(file) = self.file(path) {
            return Ok(file);
        }
        if let Some(place) = self.library(path) {
            return MapFiles.open(&place);
        }
        let name = path.file_name().unwrap_or_default().as_bytes();
        if name.windows(4).any(|part| part == b".so.") {
            return MapFiles.open(path);
        }
        Err(io::ErrorKind::NotFound.into())
    }

    fn place(&self, path: &Path) -> PathBuf {
        self.library(path).unwrap_or_else(|| path.to_owned())
    }
}

impl Surroundings for Contents {
    fn compiler_directories(&self) -> Vec<PathBuf> {
        self.index.directories.clone()
    }

    fn ask_compiler(&self, _: &str, args: &[String]) -> Result<String, String> {
        let answer = self.index.answers.get(args).cloned();
        answer.ok_or_else(|| "the image does not have its answer".to_owned())
    }

    fn compile(&self, _: &LinkLine, _: &Path, _: usize) -> Result<Vec<Compiled>, String> {
        Ok(self.index.compiled.clone())
    }

    fn watch(&self, _: &Path) -> Option<Arc<MemberWatch>> {
        None
    }
}
