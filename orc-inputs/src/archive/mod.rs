//! Static archives.
//!
//! An archive is a list of members with an index in front that says which member defines which
//! name. The index is what makes linking against a large archive cheap: adding an archive reads the
//! index, and a member is read when one of its names is needed.
//!
//! There are several index formats (System V with 32- or 64-bit offsets, BSD), and archives without
//! one, whose members are then read to make it. A *thin* archive holds names of files instead of
//! their bytes; the files lie relative to the archive.
//!
//! Only members that the index names have a number: an index lists them all but for those without
//! a global symbol, which nothing can need. Walking from member to member would touch a page of
//! each. [`Archive::members`] does, for `--whole-archive`.

mod member;
mod subset;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jit_core::graph::InputBytes;
use jit_core::name::{NameId, NameUses};
use jit_core::object::{LazyObjects, ObjectError, ObjectFile};
use jit_core::threads;
use object::read::archive::{ArchiveFile, ArchiveKind};
use orc_shared::printable_text;
use rayon::prelude::*;

use crate::format::{Formats, ReadObjects};
use crate::input::{InputOpener, ReadFiles};
use crate::name_budget::NameBudget;

pub use self::member::offsets as member_offsets;
pub use self::subset::subset;

/// A member's name and its bytes.
pub type NamedBytes = (String, Arc<dyn InputBytes>);

/// Hears the offsets of the headers of members that are read.
pub type MemberWatch = dyn Fn(u64) + Send + Sync;

/// Below this many names, handing them to other threads costs more than interning them.
const NAMES_PER_TASK: usize = 8192;

/// A static archive.
pub struct Archive {
    name: String,
    input: Arc<dyn InputBytes>,
    objects: ReadObjects,
    directory: PathBuf,
    opener: Arc<dyn InputOpener>,
    index: Vec<(NameId, u32)>,
    /// The index's use of its names.
    uses: Vec<NameUses>,
    /// Offset of each numbered member's header, ascending.
    members: Vec<u64>,
    watch: Option<Arc<MemberWatch>>,
}

impl Archive {
    /// Reads an archive's index. `name` is for messages; a thin archive's members are looked up
    /// relative to its directory, and read.
    ///
    /// Its members are read with `objects`, which has to have the table of names of the session that links
    /// them. Of a universal file, the archive for the CPU of `objects` is read.
    ///
    /// # Errors
    /// When the file is no archive, or its index is damaged. A damaged member is an error when it
    /// is needed.
    pub fn new(
        name: impl Into<String>,
        input: Arc<dyn InputBytes>,
        objects: &ReadObjects,
    ) -> Result<Self, ObjectError> {
        let name = name.into();
        let directory = Path::new(&name)
            .parent()
            .unwrap_or(Path::new(""))
            .to_owned();
        Self::with_opener(name, input, objects, directory, Arc::new(ReadFiles))
    }

    /// Like [`Self::new`], with the directory of a thin archive's members and the way to open them.
    ///
    /// # Errors
    /// Those of [`Self::new`].
    pub fn with_opener(
        name: impl Into<String>,
        input: Arc<dyn InputBytes>,
        objects: &ReadObjects,
        directory: impl Into<PathBuf>,
        opener: Arc<dyn InputOpener>,
    ) -> Result<Self, ObjectError> {
        let name = printable_text(name.into().as_bytes());
        let mut archive = Self {
            input: objects.part(&name, input)?,
            name,
            objects: objects.clone(),
            directory: directory.into(),
            opener,
            index: Vec::new(),
            uses: Vec::new(),
            members: Vec::new(),
            watch: None,
        };
        archive
            .read_index()
            .map_err(|message| archive.error(message))?;
        Ok(archive)
    }

    /// What its members are read with.
    #[must_use]
    pub fn objects(&self) -> &ReadObjects {
        &self.objects
    }

    /// Lets `watch` hear which members are read because they are needed.
    #[must_use]
    pub fn watched(self, watch: Arc<MemberWatch>) -> Self {
        let watch = Some(watch);
        Self { watch, ..self }
    }

    /// Every object of the archive in file order, for `--whole-archive`. Metadata of rustc
    /// (`lib.rmeta`) is not an object.
    ///
    /// # Errors
    /// When a member is not a readable object.
    pub fn members(&self) -> Result<Vec<Arc<dyn ObjectFile>>, ObjectError> {
        let offsets = self.walk().map_err(|message| self.error(message))?;
        if let Some(watch) = &self.watch {
            offsets.iter().for_each(|&offset| watch(offset));
        }
        let load = |offset| self.load_at(offset);
        let objects: Result<Vec<_>, ObjectError> =
            threads::share(|| offsets.into_par_iter().map(load).collect());
        Ok(objects?.into_iter().flatten().collect())
    }

    /// Names and bytes of all members, whatever they are.
    ///
    /// # Errors
    /// When a member is damaged, or a thin archive's file not readable.
    pub fn contents(&self) -> Result<Vec<NamedBytes>, ObjectError> {
        let offsets = self.walk().map_err(|message| self.error(message))?;
        let members = offsets.into_iter().map(|offset| member::find(self, offset));
        members
            .map(|member| member.map(|member| (member.file_name, member.input)))
            .collect()
    }

    /// The names and the member of a damaged archive are not known: the error names the archive.
    fn error(&self, message: String) -> ObjectError {
        ObjectError {
            object: self.name.clone(),
            message,
        }
    }

    fn read_index(&mut self) -> Result<(), String> {
        let input = Arc::clone(&self.input);
        let file = parse(input.bytes())?;
        let damaged = |error| format!("the archive's index is damaged ({error}): run ranlib on it");
        let Some(symbols) = file.symbols().map_err(damaged)? else {
            return self.make_index();
        };
        let mut entries: Vec<(&[u8], u64)> = Vec::with_capacity(symbols.size_hint().0);
        let mut budget = NameBudget::of_file(input.bytes().len());
        for symbol in symbols {
            let symbol = symbol.map_err(damaged)?;
            entries.push((budget.take(|| symbol.name()), symbol.offset().0));
            if budget.is_exceeded() {
                break;
            }
        }
        budget.check("members' symbols")?;
        self.spell_plainly(&mut entries);
        let default_versions =
            split_default_versions(&self.objects.formats, input.bytes(), &mut entries);
        self.members = entries.iter().map(|entry| entry.1).collect();
        self.members.dedup();
        self.members.sort_unstable();
        self.members.dedup();
        let (members, names) = (&self.members, &self.objects.names);
        let number = |entries: &[(&[u8], u64)]| {
            let mut ids = Vec::with_capacity(entries.len());
            let mut uses = NameUses::new(names);
            uses.intern_from(&input, entries.iter().map(|entry| entry.0), &mut ids);
            // Names of one member stand together.
            let mut last = (u64::MAX, 0);
            let member = |entry: &(&[u8], u64)| {
                if entry.1 != last.0 {
                    let at = members.partition_point(|&member| member < entry.1);
                    last = (entry.1, at as u32);
                }
                last.1
            };
            let numbered = ids.into_iter().zip(entries.iter().map(member));
            (numbered.collect::<Vec<_>>(), uses)
        };
        let parts = if entries.len() <= NAMES_PER_TASK {
            vec![number(&entries)]
        } else {
            let parts = entries.par_chunks(NAMES_PER_TASK).map(number);
            threads::share(|| parts.collect())
        };
        let (parts, mut uses): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        self.index = parts.concat();
        let mut versions = NameUses::new(names);
        let versioned = default_versions.iter().map(|(name, offset)| {
            let member = members.partition_point(|member| member < offset);
            (versions.intern(name), member as u32)
        });
        self.index.extend(versioned);
        uses.push(versions);
        self.uses = uses;
        Ok(())
    }

    /// An index has names as its members' format has them.
    fn spell_plainly(&self, entries: &mut [(&[u8], u64)]) {
        let is_thin = self.input.bytes().starts_with(b"!<thin>\n");
        let Some((_, first)) = entries.first().filter(|_| !is_thin) else {
            return;
        };
        // What is wrong with the member is said when it is needed.
        let Ok(member) = member::find(self, *first) else {
            return;
        };
        let Some(format) = self.objects.formats.of(member.input.bytes()) else {
            return;
        };
        for (name, _) in entries {
            *name = format.plain_name(name);
        }
    }

    /// For an archive without an index: reads all members' symbol tables. Members that are no
    /// objects define nothing.
    fn make_index(&mut self) -> Result<(), String> {
        self.members = self.walk()?;
        let of_member = |(&offset, member): (&u64, u32)| match self.load_at(offset) {
            Ok(Some(object)) => {
                let definitions = object.interface().definitions.iter();
                let mut uses = NameUses::new(&self.objects.names);
                let index = definitions.map(|d| (uses.keep(d.name), member));
                (index.collect(), uses)
            }
            Ok(None) | Err(_) => (Vec::new(), NameUses::new(&self.objects.names)),
        };
        let numbers = 0u32..self.members.len() as u32;
        let members = self.members.par_iter().zip(numbers);
        let definitions: Vec<(Vec<(NameId, u32)>, NameUses)> =
            threads::share(|| members.map(of_member).collect());
        let (index, uses): (Vec<_>, Vec<_>) = definitions.into_iter().unzip();
        self.index = index.concat();
        self.uses = uses;
        Ok(())
    }

    /// The offsets of all members' headers.
    fn walk(&self) -> Result<Vec<u64>, String> {
        member::offsets(self.input.bytes())
    }

    /// The object whose header is at `offset`; `None` for what is known to be none.
    fn load_at(&self, offset: u64) -> Result<Option<Arc<dyn ObjectFile>>, ObjectError> {
        let member = member::find(self, offset)?;
        if member.file_name == "lib.rmeta" {
            return Ok(None);
        }
        self.objects.object(member.name, member.input).map(Some)
    }
}

/// Takes default versions off an index's names, and returns the names with the versions alone.
fn split_default_versions(
    formats: &Formats,
    archive: &[u8],
    entries: &mut [(&[u8], u64)],
) -> Vec<(Vec<u8>, u64)> {
    let mut split = Vec::new();
    // An index has its names next to each other: one search for all of them.
    let span = span_of(archive, entries);
    if span.is_some_and(|span| memchr::memchr(b'@', span).is_none()) {
        return split;
    }
    for (name, offset) in entries {
        if let Some(at) = formats.default_version(name) {
            split.push(([&name[..at], &name[at + 1..]].concat(), *offset));
            *name = &name[..at];
        }
    }
    split
}

/// The part of the archive that all names lie in.
fn span_of<'a>(archive: &'a [u8], entries: &[(&[u8], u64)]) -> Option<&'a [u8]> {
    let base = archive.as_ptr().addr();
    let starts = entries.iter().map(|(name, _)| name.as_ptr().addr());
    let ends = entries
        .iter()
        .map(|(name, _)| name.as_ptr().addr() + name.len());
    archive.get(starts.min()?.checked_sub(base)?..ends.max()?.checked_sub(base)?)
}

impl LazyObjects for Archive {
    fn name(&self) -> &str {
        &self.name
    }

    fn index(&self) -> &[(NameId, u32)] {
        &self.index
    }

    /// Number of members that define a global name; see [`Archive::members`] for the others.
    fn len(&self) -> u32 {
        self.members.len() as u32
    }

    fn load(&self, member: u32) -> Result<Arc<dyn ObjectFile>, ObjectError> {
        let offset = self.members.get(member as usize).ok_or_else(|| {
            self.error(format!(
                "has no member {member}: it has {}",
                self.members.len()
            ))
        })?;
        if let Some(watch) = &self.watch {
            watch(*offset);
        }
        match self.load_at(*offset)? {
            Some(object) => Ok(object),
            None => Err(self.error("lib.rmeta is rustc's metadata, not an object".into())),
        }
    }
}

/// Reads the archive's header and special members.
fn parse(bytes: &[u8]) -> Result<ArchiveFile<'_>, String> {
    if !bytes.starts_with(b"!<arch>\n") && !bytes.starts_with(b"!<thin>\n") {
        return Err("is not an archive: it lacks the mark \"!<arch>\"".into());
    }
    let file = ArchiveFile::parse(bytes)
        .map_err(|error| format!("the archive is truncated or damaged: {error}"))?;
    match file.kind() {
        ArchiveKind::Coff => {
            Err("is a Windows archive: its members are objects for Windows".into())
        }
        _ => Ok(file),
    }
}
