//! A program or shared library as a source of names.

use std::path::Path;
use std::sync::Arc;

use jit_core::graph::InputBytes;
use jit_core::symbolize::{CodeFile, NearSymbol, SourceLines};
use object::LittleEndian as LE;
use object::elf::{self, FileHeader64, PT_LOAD, SHF_COMPRESSED, SHT_NOBITS, Sym64};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader, SectionTable};

use orc_inputs::dwarf;
use orc_inputs::format::LoadedFile;
use orc_inputs::input::InputOpener;

use crate::machine::Machine;
use crate::object::content::{self, MAX_UNPACKED_SIZE};
use crate::symbol_at;

/// Where distributions put debug information that was split from its file, by the file's build id.
const DEBUG_DIRECTORY: &str = "/usr/lib/debug/.build-id";

/// An ELF file that a process has loaded.
pub(crate) struct ElfFile {
    path: String,
    input: Arc<dyn InputBytes>,
    /// The file with the symbol table and debug information that were split from this one.
    debug: Option<Arc<dyn InputBytes>>,
}

impl ElfFile {
    /// The file at `path`; `None` if it cannot be read, or is no ELF file of this machine's class.
    pub fn open(path: &str, opener: &dyn InputOpener) -> Option<Self> {
        let input = opener.open(Path::new(path)).ok()?;
        let sections = sections(input.bytes())?;
        let debug = debug_path(input.bytes(), &sections)
            .and_then(|path| opener.open(Path::new(&path)).ok())
            .filter(|debug| self::sections(debug.bytes()).is_some());
        Some(Self {
            path: path.to_owned(),
            input,
            debug,
        })
    }

    /// The file itself, then the one that was split from it.
    fn inputs(&self) -> impl Iterator<Item = &[u8]> {
        let split = self.debug.as_ref().map(|debug| debug.bytes());
        [self.input.bytes()].into_iter().chain(split)
    }

    /// The symbol in the tables of one kind.
    fn find(&self, kind: elf::SectionType, addr: u64) -> Option<NearSymbol> {
        self.inputs().find_map(|bytes| {
            let sections = sections(bytes)?;
            let table = sections.symbols(LE, bytes, kind).ok()?;
            let defined = |symbol: &&Sym64<LE>| {
                let section = symbol.st_shndx.get(LE);
                section != elf::SHN_UNDEF && section != elf::SHN_ABS
            };
            let best = symbol_at::best(table.symbols().iter().filter(defined), addr)?;
            let name = table.strings().get(best.st_name.get(LE)).ok()?;
            Some(NearSymbol {
                name: name.to_vec(),
                offset: addr - best.st_value.get(LE),
                size: best.st_size.get(LE),
            })
        })
    }
}

impl CodeFile for ElfFile {
    fn path(&self) -> &str {
        &self.path
    }

    fn symbol_at(&self, file_addr: u64) -> Option<NearSymbol> {
        let all = self.find(elf::SHT_SYMTAB, file_addr);
        all.or_else(|| self.find(elf::SHT_DYNSYM, file_addr))
    }

    fn source_lines(&self) -> Option<Box<dyn SourceLines>> {
        let bytes = self.inputs().find(|bytes| {
            let sections = sections(bytes);
            sections.is_some_and(|s| section(bytes, &s, ".debug_info").is_some())
        })?;
        let sections = sections(bytes)?;
        let lines = dwarf::read(|name| section(bytes, &sections, name));
        lines.unwrap_or_else(|message| {
            tracing::warn!(
                "debug information of {} cannot be used: {message}",
                self.path
            );
            None
        })
    }
}

impl LoadedFile for ElfFile {
    fn address_of(&self, offset: u64) -> Option<u64> {
        let bytes = self.input.bytes();
        let header = FileHeader64::<LE>::parse(bytes).ok()?;
        let mut segments = header.program_headers(LE, bytes).ok()?.iter();
        segments.find_map(|segment| {
            // Whole pages are mapped, so a segment begins and ends where its pages do.
            let page = segment.p_align(LE).max(1) - 1;
            let start = segment.p_offset(LE) & !page;
            let end = segment.p_offset(LE).checked_add(segment.p_filesz(LE))?;
            let end = end.checked_add(page)? & !page;
            let here = segment.p_type(LE) == PT_LOAD && (start..end).contains(&offset);
            here.then(|| {
                let distance = offset.wrapping_sub(segment.p_offset(LE));
                segment.p_vaddr(LE).wrapping_add(distance)
            })
        })
    }
}

type Sections<'a> = SectionTable<'a, FileHeader64<LE>>;

/// The section table of an ELF file for this machine.
fn sections(bytes: &[u8]) -> Option<Sections<'_>> {
    let header = FileHeader64::<LE>::parse(bytes).ok()?;
    let ours = Machine::of(header.e_machine.get(LE)).is_some() && header.is_little_endian();
    ours.then(|| header.sections(LE, bytes).ok())?
}

/// A section's content, unpacked.
fn section(bytes: &[u8], sections: &Sections<'_>, name: &str) -> Option<Vec<u8>> {
    let (_, header) = sections.section_by_name(LE, name.as_bytes())?;
    // A file whose debug information was split off keeps the headers.
    if header.sh_type(LE) == SHT_NOBITS {
        return None;
    }
    if header.sh_flags(LE).contains(SHF_COMPRESSED) {
        let unpacked = content::unpack(bytes, header, || name.to_owned(), MAX_UNPACKED_SIZE);
        return unpacked.ok().map(|unpacked| unpacked.bytes);
    }
    header.data(LE, bytes).ok().map(<[u8]>::to_vec)
}

/// Where debug information is that was split from the file, if it has a build id.
fn debug_path(bytes: &[u8], sections: &Sections<'_>) -> Option<String> {
    let mut notes = sections
        .iter()
        .filter_map(|section| section.notes(LE, bytes).ok()?);
    let id = notes.find_map(|mut notes| {
        while let Ok(Some(note)) = notes.next() {
            if note.name() == elf::ELF_NOTE_GNU && note.n_type(LE) == elf::NT_GNU_BUILD_ID {
                return Some(note.desc());
            }
        }
        None
    })?;
    let (first, rest) = id.split_first()?;
    let rest: String = rest.iter().map(|byte| format!("{byte:02x}")).collect();
    Some(format!("{DEBUG_DIRECTORY}/{first:02x}/{rest}.debug"))
}

#[cfg(test)]
mod tests;
