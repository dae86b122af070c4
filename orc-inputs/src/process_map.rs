//! Names for code that the system's loader put into a process.
//!
//! A [`ProcessMap`] is made of the text of Linux's `/proc/PID/maps`, which a process can hand out
//! even while it dies. It leads from an address to a file and a place in it; the file's own
//! headers say which address of the file that is, and its tables name it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use jit_core::symbolize::{CodeFile, NativeCode};
use orc_shared::{ExecutorAddr, ExecutorAddrRange};

use crate::format::{Formats, LoadedFile};
use crate::input::InputOpener;

/// A mapping of a process.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mapping {
    /// The addresses that are mapped.
    pub range: ExecutorAddrRange,
    /// What the mapped memory may be used for, as in "r-xp".
    pub permissions: String,
    /// Where the mapping begins in its file, in bytes.
    pub offset: u64,
    /// The path of the file that is mapped, or a name as in `[stack]`; empty for anonymous memory.
    pub name: String,
}

/// What is mapped in a process, by address.
#[derive(Clone, Debug, Default)]
pub struct Mappings(Vec<Mapping>);

impl Mappings {
    /// Those that `text` describes, in the form of `/proc/PID/maps`. Lines of another form, such as a last
    /// line that was cut, are left out.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut mappings: Vec<Mapping> = text.lines().filter_map(parse_line).collect();
        mappings.sort_by_key(|mapping| mapping.range.start);
        Self(mappings)
    }

    /// The mapping that an address lies in.
    #[must_use]
    pub fn at(&self, addr: ExecutorAddr) -> Option<&Mapping> {
        let behind = self.0.partition_point(|m| m.range.start <= addr);
        let mapping = &self.0[behind.checked_sub(1)?];
        mapping.range.contains(addr).then_some(mapping)
    }
}

/// What is mapped in a process, with the files that code was loaded from.
pub struct ProcessMap {
    mappings: Mappings,
    formats: Formats,
    opener: Arc<dyn InputOpener>,
    /// Files that were opened; `None` for those that are not there or of no format that is read.
    files: Mutex<HashMap<String, Option<Arc<dyn LoadedFile>>>>,
}

impl ProcessMap {
    /// The map that `text` describes, as for [`Mappings::parse`]. Files, which are of these formats, are opened
    /// with `opener` when they are asked for.
    #[must_use]
    pub fn parse(text: &str, formats: Formats, opener: Arc<dyn InputOpener>) -> Self {
        Self {
            mappings: Mappings::parse(text),
            formats,
            opener,
            files: Mutex::default(),
        }
    }

    /// The mapping that an address lies in.
    #[must_use]
    pub fn mapping(&self, addr: ExecutorAddr) -> Option<&Mapping> {
        self.mappings.at(addr)
    }

    fn file(&self, path: &str) -> Option<Arc<dyn LoadedFile>> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = files.get(path) {
            return known.clone();
        }
        let file = self.formats.loaded_file(path, &*self.opener);
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

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: &str = "\
555555554000-555555556000 r--p 00000000 fe:00 1234                       /usr/bin/my prog
555555556000-55555555b000 r-xp 00002000 fe:00 1234                       /usr/bin/my prog
7ffff7fc1000-7ffff7fc5000 rw-p 00000000 00:00 0 
7ffff7ffd000-7ffff7fff000 rw-p 00001000 00:01 77                         /memfd:range (deleted)
7ffffffde000-7ffffffff000 rw-p 00000000 00:00 0                          [stack]
ffffffffff600000-ffffff";

    fn map() -> Mappings {
        Mappings::parse(MAP)
    }

    #[test]
    fn mappings_are_found_by_address() {
        let map = map();
        let name = |addr| map.at(ExecutorAddr::new(addr)).map(|m| m.name.as_str());
        assert_eq!(name(0x5555_5555_4000), Some("/usr/bin/my prog"));
        assert_eq!(name(0x5555_5555_afff), Some("/usr/bin/my prog"));
        assert_eq!(name(0x5555_5555_b000), None);
        assert_eq!(name(0x7fff_f7fc_1000), Some(""));
        assert_eq!(name(0x7fff_f7ff_d000), Some("/memfd:range"));
        assert_eq!(name(0x7fff_ffff_e000), Some("[stack]"));
        assert_eq!(name(0), None);
        let code = map.at(ExecutorAddr::new(0x5555_5555_6000));
        let code = code.expect("it is mapped");
        assert_eq!((code.permissions.as_str(), code.offset), ("r-xp", 0x2000));
    }

    #[test]
    fn lines_of_another_form_are_left_out() {
        assert_eq!(map().0.len(), 5);
        for line in [
            "",
            " ",
            "-",
            "1-",
            "1-2",
            "1-2 rwxp",
            "1-2 rwxp x 0 0",
            "2-1 rwxp 0 0:0 0",
        ] {
            assert_eq!(parse_line(line), None, "{line:?}");
        }
    }
}
