//! A relocatable object's tables, borrowed from its bytes and checked once.
//!
//! Parsing a view costs a walk over the section headers and allocates nothing. It is made anew
//! for each use, because an object cannot hold references into the input it owns.

use object::LittleEndian as LE;
use object::elf::{
    self, SHN_COMMON, SHN_LORESERVE, SHN_UNDEF, SHN_XINDEX, SHT_SYMTAB, SHT_SYMTAB_SHNDX,
    SectionHeader64, Sym64, SymbolSection,
};
use object::endian::U32;
use object::read::elf::{FileHeader, SectionHeader};

use orc_shared::printable_text;

use super::identify;
use crate::machine::Machine;

/// A common symbol of the large code model lives in `.lbss` (psABI, "Large Models").
pub(crate) const SHN_X86_64_LCOMMON: SymbolSection = SymbolSection(0xff02);

/// Where a symbol is defined.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// Nowhere in this object.
    Undefined,
    /// In the section with this index in the object's table.
    Section(u32),
    /// At no place: its value is a number (`SHN_ABS`).
    Absolute,
    /// A tentative definition; `large` ones go to `.lbss`.
    Common { large: bool },
}

/// The tables of a relocatable object.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    /// The whole object.
    pub bytes: &'a [u8],
    /// The machine that the ELF header names, which can be linked for.
    pub machine: &'static Machine,
    /// All section headers, with the null one at index 0.
    pub sections: &'a [SectionHeader64<LE>],
    section_names: &'a [u8],
    /// Index of the symbol table's section, 0 if there is none.
    pub symtab: u32,
    /// All symbols, with the null one at index 0.
    pub symbols: &'a [Sym64<LE>],
    symbol_names: &'a [u8],
    /// Where those lie in the object; `None` beyond 4 GiB.
    symbol_names_at: Option<u32>,
    extended: &'a [U32<LE>],
    /// Index of the first symbol that is not local.
    pub first_global: u32,
}

impl<'a> View<'a> {
    /// Reads the tables' headers.
    ///
    /// # Errors
    /// What the file is instead of an object, or which table is damaged.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, String> {
        let (header, machine) = identify::check(bytes)?;
        let sections = header
            .section_headers(LE, bytes)
            .map_err(|_| "the section header table lies outside the file: it is truncated")?;
        if sections.is_empty() {
            return Err("has no sections: it is damaged, or was stripped of them".into());
        }
        if u32::try_from(sections.len()).is_err() {
            return Err("has more than 2^32 sections".into());
        }
        let mut view = Self {
            bytes,
            machine,
            sections,
            section_names: section_names(header, bytes, sections)?,
            symtab: 0,
            symbols: &[],
            symbol_names: &[],
            symbol_names_at: None,
            extended: &[],
            first_global: 0,
        };
        view.find_symbols()?;
        Ok(view)
    }

    fn find_symbols(&mut self) -> Result<(), String> {
        // It comes after what it describes.
        let found = self
            .sections
            .iter()
            .rposition(|s| s.sh_type(LE) == SHT_SYMTAB);
        let Some(at) = found else { return Ok(()) };
        let section = &self.sections[at];
        self.symtab = at as u32;
        let size = section.sh_size(LE);
        if !size.is_multiple_of(size_of::<Sym64<LE>>() as u64) {
            return Err(format!(
                "the symbol table's size, {size}, is not a multiple of 24"
            ));
        }
        self.symbols = section
            .data_as_array(LE, self.bytes)
            .map_err(|_| "the symbol table lies outside the file: it is truncated")?;
        if u32::try_from(self.symbols.len()).is_err() {
            return Err("has more than 2^32 symbols".into());
        }
        let strings = self.sections.get(section.sh_link(LE) as usize);
        self.symbol_names = strings_of(strings, self.bytes)
            .map_err(|what| format!("the symbol names' table {what}"))?;
        self.symbol_names_at =
            strings.and_then(|strings| u32::try_from(strings.sh_offset(LE)).ok());
        self.first_global = section.sh_info(LE);
        if self.first_global as usize > self.symbols.len() {
            return Err(format!(
                "the symbol table says that global symbols start at {}, but has {} symbols",
                self.first_global,
                self.symbols.len()
            ));
        }
        // Only many sections need one; with fewer, it is looked for where writers put it.
        let from = match self.sections.len() < usize::from(SHN_LORESERVE) {
            true => at.saturating_sub(2),
            false => 0,
        };
        let extended = |s: &&SectionHeader64<LE>| {
            s.sh_type(LE) == SHT_SYMTAB_SHNDX && s.sh_link(LE) as usize == at
        };
        if let Some(section) = self.sections[from..].iter().find(extended) {
            self.extended = section
                .data_as_array(LE, self.bytes)
                .map_err(|_| "the SHT_SYMTAB_SHNDX section lies outside the file")?;
        }
        Ok(())
    }

    /// The section's name and what follows it in the string table; empty if the offset is bad.
    ///
    /// Telling a name's beginning apart needs no search for its end.
    pub fn section_name_tail(&self, section: &SectionHeader64<LE>) -> &'a [u8] {
        self.section_names
            .get(section.sh_name(LE) as usize..)
            .unwrap_or(&[])
    }

    /// The size of the table of the sections' names.
    pub fn section_names_size(&self) -> usize {
        self.section_names.len()
    }

    /// The section's name; empty if the offset is bad.
    pub fn section_name(&self, section: &SectionHeader64<LE>) -> &'a [u8] {
        until_nul(self.section_name_tail(section)).unwrap_or(&[])
    }

    /// The section's name for messages.
    pub fn section_text(&self, index: u32) -> String {
        match self.sections.get(index as usize) {
            Some(section) => match self.section_name(section) {
                [] => format!("section {index}"),
                name => printable_text(name),
            },
            None => format!("section {index}"),
        }
    }

    /// The symbol's own name; `None` if the offset is bad.
    pub fn symbol_name(&self, symbol: &Sym64<LE>) -> Option<&'a [u8]> {
        until_nul(self.symbol_names.get(symbol.st_name.get(LE) as usize..)?)
    }

    /// Whether the symbol's name lies in the table of names; that of no name does.
    #[inline]
    pub fn has_name(&self, symbol: &Sym64<LE>) -> bool {
        let name = symbol.st_name.get(LE);
        name == 0 || (name as usize) < self.symbol_names.len()
    }

    /// Where the symbol's name begins in the object; `None` if it has none, or the offset is bad.
    #[inline]
    pub fn symbol_name_at(&self, symbol: &Sym64<LE>) -> Option<u32> {
        let name = symbol.st_name.get(LE);
        let is_there = name != 0 && (name as usize) < self.symbol_names.len();
        self.symbol_names_at?.checked_add(name).filter(|_| is_there)
    }

    /// Whether the byte occurs in any symbol's name: one search instead of one per name.
    pub fn is_in_symbol_names(&self, byte: u8) -> bool {
        memchr::memchr(byte, self.symbol_names).is_some()
    }

    /// The symbol's name for messages; a section symbol's is its section's.
    pub fn symbol_text(&self, index: u32) -> String {
        let Some(symbol) = self.symbols.get(index as usize) else {
            return format!("symbol {index}");
        };
        match self.symbol_name(symbol) {
            Some(name) if !name.is_empty() => printable_text(name),
            _ => match self.place(index, symbol) {
                Ok(Place::Section(section)) => self.section_text(section),
                _ => format!("symbol {index}"),
            },
        }
    }

    /// Where the symbol is defined. A section index is in bounds.
    ///
    /// # Errors
    /// When its section index is reserved or out of bounds.
    pub fn place(&self, index: u32, symbol: &Sym64<LE>) -> Result<Place, String> {
        let shndx = symbol.st_shndx.get(LE);
        let section = match shndx {
            SHN_UNDEF => return Ok(Place::Undefined),
            elf::SHN_ABS => return Ok(Place::Absolute),
            SHN_COMMON => return Ok(Place::Common { large: false }),
            SHN_X86_64_LCOMMON => return Ok(Place::Common { large: true }),
            SHN_XINDEX => match self.extended.get(index as usize) {
                Some(section) => section.get(LE),
                None => {
                    return Err(format!(
                        "symbol {index} has its section in a SHT_SYMTAB_SHNDX table that has no entry for it"
                    ));
                }
            },
            SymbolSection(reserved @ 0xff00..) => {
                return Err(format!(
                    "symbol {index} has the reserved section index {reserved:#x}"
                ));
            }
            SymbolSection(section) => u32::from(section),
        };
        if section as usize >= self.sections.len() {
            return Err(format!(
                "symbol {index} is defined in section {section}, but there are {}",
                self.sections.len()
            ));
        }
        Ok(if section == 0 {
            Place::Undefined
        } else {
            Place::Section(section)
        })
    }

    /// The bytes of a section that has some in the file, and where they lie.
    ///
    /// # Errors
    /// When they reach beyond the end of the file.
    pub fn content(&self, index: u32) -> Result<&'a [u8], String> {
        let data = self
            .sections
            .get(index as usize)
            .and_then(|s| s.data(LE, self.bytes).ok());
        data.ok_or_else(|| {
            format!(
                "the content of section {} lies outside the file: it is truncated",
                self.section_text(index)
            )
        })
    }
}

fn section_names<'a>(
    header: &object::elf::FileHeader64<LE>,
    bytes: &'a [u8],
    sections: &'a [SectionHeader64<LE>],
) -> Result<&'a [u8], String> {
    let index = header.section_strings_index(LE, bytes).ok();
    let section = index.and_then(|index| sections.get(index.0));
    strings_of(section, bytes).map_err(|what| format!("the section names' table {what}"))
}

/// The bytes of a table of strings, which end with a NUL: so does every string in it.
fn strings_of<'a>(
    section: Option<&SectionHeader64<LE>>,
    bytes: &'a [u8],
) -> Result<&'a [u8], &'static str> {
    let section = section.ok_or("does not exist")?;
    if section.sh_type(LE) != elf::SHT_STRTAB {
        return Err("is a section that holds no strings");
    }
    let strings = section
        .data(LE, bytes)
        .map_err(|_| "lies outside the file: it is truncated")?;
    match strings.last() {
        None | Some(0) => Ok(strings),
        Some(_) => Err("is damaged: its last string does not end"),
    }
}

fn until_nul(tail: &[u8]) -> Option<&[u8]> {
    tail.get(..memchr::memchr(0, tail)?)
}
