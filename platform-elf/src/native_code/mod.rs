//! Names for code that the system's loader put into a process.
//!
//! A [`ProcessMap`] is made of the text of Linux's `/proc/PID/maps`, which a process can hand out
//! even while it dies. It leads from an address to a file and a place in it; the file's own
//! program headers say which address of the file that is, and its tables name it.

mod file;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use jit_core::symbolize::{CodeFile, NativeCode};
use orc_shared::{ExecutorAddr, ExecutorAddrRange};

use crate::input::InputOpener;

use file::ElfFile;

/// A mapping of a process.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mapping {
    /// Its place in memory.
    pub range: ExecutorAddrRange,
    /// What it allows, as in "r-xp".
    pub permissions: String,
    /// The offset in its file, in bytes.
    pub offset: u64,
    /// Its file's path, or a name as in `[stack]`; empty for anonymous memory.
    pub name: String,
}

/// What is mapped in a process.
pub struct ProcessMap {
    mappings: Vec<Mapping>,
    opener: Arc<dyn InputOpener>,
    /// Files that were opened; `None` for those that are not there or are no ELF files.
    files: Mutex<HashMap<String, Option<Arc<ElfFile>>>>,
}

impl ProcessMap {
    /// The map that `text` describes, in the form of `/proc/PID/maps`. Lines of another form, such as
    /// a last line that was cut, are left out. Files are opened with `opener` when they are asked
    /// for.
    #[must_use]
    pub fn parse(text: &str, opener: Arc<dyn InputOpener>) -> Self {
        let mut mappings: Vec<Mapping> = text.lines().filter_map(parse_line).collect();
        mappings.sort_by_key(|mapping| mapping.range.start);
        Self {
            mappings,
            opener,
            files: Mutex::default(),
        }
    }

    /// The mapping that an address lies in.
    #[must_use]
    pub fn mapping(&self, addr: ExecutorAddr) -> Option<&Mapping> {
        let behind = self.mappings.partition_point(|m| m.range.start <= addr);
        let mapping = &self.mappings[behind.checked_sub(1)?];
        mapping.range.contains(addr).then_some(mapping)
    }

    fn file(&self, path: &str) -> Option<Arc<ElfFile>> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = files.get(path) {
            return known.clone();
        }
        let file = ElfFile::open(path, &*self.opener).map(Arc::new);
        files.insert(path.to_owned(), file.clone());
        file
    }
}

impl NativeCode for ProcessMap {
    fn find(&self, addr: ExecutorAddr) -> Option<(Arc<dyn CodeFile>, u64)> {
        let mapping = self.mapping(addr)?;
        if !Path::new(&mapping.name).is_absolute() {
            return None;
        }
        let file = self.file(&mapping.name)?;
        let into = (addr - mapping.range.start).value().cast_unsigned();
        let file_addr = file.address_of(mapping.offset.checked_add(into)?)?;
        Some((file, file_addr))
    }
}

/// "start-end permissions offset device inode name", numbers in hexadecimal.
fn parse_line(line: &str) -> Option<Mapping> {
    let mut rest = line;
    let mut field = || {
        let (field, after) = rest.split_once(' ').unwrap_or((rest, ""));
        rest = after.trim_start_matches(' ');
        field
    };
    let number = |text: &str| u64::from_str_radix(text, 16).ok();
    let (start, end) = field().split_once('-')?;
    let (start, end) = (number(start)?, number(end)?);
    let permissions = field();
    let offset = number(field())?;
    let (_device, inode) = (field(), field());
    if start > end || permissions.len() != 4 || inode.is_empty() {
        return None;
    }
    Some(Mapping {
        range: ExecutorAddrRange {
            start: ExecutorAddr::new(start),
            end: ExecutorAddr::new(end),
        },
        permissions: permissions.to_owned(),
        offset,
        name: rest.trim_end_matches(" (deleted)").to_owned(),
    })
}
