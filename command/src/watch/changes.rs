//! Which files a source is compiled from, and which of them have changed.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::inotify::{self, CreateFlags, Reader, WatchFlags};

/// What tells one content of a file from another.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Stamp {
    modified: Option<SystemTime>,
    size: u64,
    inode: u64,
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let there = fs::metadata(path).ok()?;
        Some(Self {
            modified: there.modified().ok(),
            size: there.len(),
            inode: there.ino(),
        })
    }
}

/// Extensions of files that sources may include.
const INCLUDED: &[&str] = &[
    "h", "hh", "hpp", "hxx", "h++", "inc", "inl", "ipp", "tpp", "def",
];

/// The sources of a program, with the files that each is compiled from.
#[derive(Clone, Default)]
pub(super) struct Sources {
    /// Per source: its files, itself among them.
    files: Vec<BTreeSet<PathBuf>>,
    /// The files as they were when they were compiled last.
    stamps: HashMap<PathBuf, Option<Stamp>>,
}

impl Sources {
    /// Sources of which nothing is known but their names.
    pub(super) fn new(sources: &[PathBuf]) -> Self {
        let mut all = Self::default();
        for source in sources {
            all.files.push(BTreeSet::from([source.clone()]));
        }
        all
    }

    /// Takes down how all files are now, which is before they are compiled.
    pub(super) fn stamp(&mut self) {
        let files: BTreeSet<&PathBuf> = self.files.iter().flatten().collect();
        let stamps = files
            .into_iter()
            .map(|file| (file.clone(), Stamp::of(file)));
        self.stamps = stamps.collect();
    }

    /// Learns from what a compiler has written which files a source is compiled from.
    pub(super) fn learn(&mut self, source: usize, rule: &str) {
        self.files[source] = prerequisites(rule).into_iter().collect();
        self.stamp_new();
    }

    /// A source that does not compile may include any header that is beside it or others: a compiler that
    /// fails tells nothing. This holds until more is learned.
    pub(super) fn suspect_headers(&mut self, source: usize) {
        let is_header = |path: &PathBuf| {
            let extension = path.extension().and_then(|it| it.to_str());
            extension.is_some_and(|it| INCLUDED.contains(&it))
        };
        for directory in self.directories() {
            let there = fs::read_dir(&directory).into_iter().flatten().flatten();
            let named = match directory == Path::new(".") {
                true => |entry: fs::DirEntry| PathBuf::from(entry.file_name()),
                false => |entry: fs::DirEntry| entry.path(),
            };
            self.files[source].extend(there.map(named).filter(is_header));
        }
        self.stamp_new();
    }

    /// Takes down how files are of which nothing is known.
    fn stamp_new(&mut self) {
        for file in self.files.iter().flatten() {
            if !self.stamps.contains_key(file) {
                self.stamps.insert(file.clone(), Stamp::of(file));
            }
        }
    }

    /// The sources that are to be compiled again.
    pub(super) fn changed(&self) -> Vec<usize> {
        let is_changed = |file: &PathBuf| {
            let known = self.stamps.get(file);
            // A file that is not there is about to be written, or an error that the compiler explains.
            known.is_some_and(|known| *known != Stamp::of(file))
        };
        let sources = self.files.iter().enumerate();
        let changed = sources.filter(|(_, files)| files.iter().any(is_changed));
        changed.map(|(at, _)| at).collect()
    }

    /// The directories that the files are in.
    pub(super) fn directories(&self) -> BTreeSet<PathBuf> {
        let parent = |file: &PathBuf| match file.parent() {
            Some(parent) if parent != Path::new("") => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        self.files.iter().flatten().map(parent).collect()
    }
}

/// The files behind the colon of a rule for `make`, as compilers write it.
fn prerequisites(rule: &str) -> Vec<PathBuf> {
    let rule = rule.replace("\\\n", " ");
    let first = rule.lines().next().unwrap_or_default();
    let Some((_, files)) = first.split_once(": ") else {
        return Vec::new();
    };
    let mut all = Vec::new();
    let mut file = String::new();
    let mut characters = files.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' if matches!(characters.peek(), Some(' ' | '#')) => file.extend(characters.next()),
            '$' if characters.peek() == Some(&'$') => file.extend(characters.next()),
            ' ' | '\t' => all.extend(Some(std::mem::take(&mut file)).filter(|it| !it.is_empty())),
            other => file.push(other),
        }
    }
    all.extend(Some(file).filter(|it| !it.is_empty()));
    all.into_iter().map(PathBuf::from).collect()
}

/// Hears of files that are written, in some directories.
pub(super) struct Listener {
    descriptor: OwnedFd,
}

impl Listener {
    /// One that hears of nothing yet.
    ///
    /// # Errors
    /// When the system has no room for it.
    pub(super) fn new() -> io::Result<Self> {
        let descriptor = inotify::init(CreateFlags::CLOEXEC)?;
        Ok(Self { descriptor })
    }

    /// Hears of files of these directories from now on, too.
    pub(super) fn listen(&self, directories: &BTreeSet<PathBuf>) {
        // Whole files: editors write another file and rename it, or this one and close it.
        let events = WatchFlags::CLOSE_WRITE | WatchFlags::MOVED_TO;
        for directory in directories {
            // One that is not there has no files that could be written.
            let _ = inotify::add_watch(&self.descriptor, directory, events);
        }
    }

    /// A second one of the same directories, to wait with.
    ///
    /// # Errors
    /// When there is no descriptor left.
    pub(super) fn try_clone(&self) -> io::Result<Self> {
        let descriptor = self.descriptor.try_clone()?;
        Ok(Self { descriptor })
    }

    /// Waits until some file was written.
    ///
    /// # Errors
    /// Those of reading.
    pub(super) fn wait(&self) -> io::Result<()> {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = Reader::new(&self.descriptor, &mut buffer);
        events.next()?;
        while !events.is_buffer_empty() {
            events.next()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_of_compilers_are_read() {
        let files = |rule: &str| -> Vec<String> {
            let files = prerequisites(rule).into_iter();
            files.map(|file| file.display().to_string()).collect()
        };
        assert_eq!(
            files("0-a.o: a.c \\\n b.h dir/c.h\n"),
            ["a.c", "b.h", "dir/c.h"]
        );
        assert_eq!(
            files("x.o: with\\ space.c $$dollar.h\n\nphony.h:\n"),
            ["with space.c", "$dollar.h"]
        );
        assert!(files("").is_empty());
    }

    #[test]
    fn a_source_changes_with_what_it_includes() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        for name in ["a.c", "b.c", "a.h"] {
            fs::write(path(name), "").unwrap();
        }
        let mut sources = Sources::new(&[path("a.c"), path("b.c")]);
        sources.stamp();
        let rule = format!("a.o: {} {}", path("a.c").display(), path("a.h").display());
        sources.learn(0, &rule);
        assert!(sources.changed().is_empty());
        fs::write(path("a.h"), "int x;").unwrap();
        assert_eq!(sources.changed(), [0]);
        sources.stamp();
        fs::remove_file(path("b.c")).unwrap();
        fs::write(path("b.c"), "int b;").unwrap();
        assert_eq!(sources.changed(), [1]);
        assert_eq!(sources.directories().len(), 1);
    }

    #[test]
    fn a_source_that_does_not_compile_may_include_any_header() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        for name in ["a.c", "a.h", "notes.txt"] {
            fs::write(path(name), "").unwrap();
        }
        let mut sources = Sources::new(&[path("a.c")]);
        sources.stamp();
        sources.suspect_headers(0);
        fs::write(path("notes.txt"), "text").unwrap();
        assert!(sources.changed().is_empty());
        fs::write(path("a.h"), "int x;").unwrap();
        assert_eq!(sources.changed(), [0]);
        sources.learn(0, &format!("a.o: {}", path("a.c").display()));
        assert!(sources.changed().is_empty());
    }
}
