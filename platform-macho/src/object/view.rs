//! A relocatable object's tables, borrowed from its bytes and checked once.

use std::ops::Range;

use hashbrown::HashMap;
use object::LittleEndian as LE;
use object::macho::{self, MachHeader64, Nlist64, Relocation, Section64, SectionType};
use object::read::ReadRef as _;
use object::read::macho::{MachHeader as _, Nlist as _, Section as _, Segment as _};
use orc_shared::printable;

use super::system::Platforms;
use crate::format::is_authenticated;
use crate::machine::Machine;

/// A block cannot ask for more: it has to fit into a range of memory.
const MAX_ALIGN_BITS: u32 = 30;
/// Sizes above this are those of damaged files; the bound keeps sums of sizes from overflowing.
const MAX_SIZE: u64 = 1 << 40;

/// Where a symbol is defined.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// A symbolic debugging entry: no symbol.
    Debugging,
    /// Nowhere in this object.
    Undefined,
    /// A tentative definition of this size and alignment in bytes.
    Common { size: u64, align: u64 },
    /// At no place: its value is a number.
    Absolute,
    /// In the section with this index, at this offset.
    Section { section: u32, offset: u64 },
    /// Where the symbol of this number is: it is another name of that.
    Alias { of: u32 },
}

/// The tables of a relocatable object.
#[derive(Clone)]
pub(crate) struct View<'a> {
    /// The whole object.
    pub bytes: &'a [u8],
    /// The machine that the header names, which can be linked for.
    pub machine: &'static Machine,
    /// All sections; the first one has number 1 in symbols and relocations.
    pub sections: Vec<&'a Section64<LE>>,
    /// All symbols.
    pub symbols: &'a [Nlist64<LE>],
    strings: &'a [u8],
    /// Where the strings lie in the object.
    strings_at: u32,
    /// Whether sections may be taken apart at symbols.
    pub by_symbols: bool,
    /// Symbols that are other names of symbols, with the numbers of these.
    aliases: HashMap<u32, u32>,
}

impl<'a> View<'a> {
    /// Reads the load commands.
    ///
    /// # Errors
    /// What the file is instead of an object for a machine that can be linked for, or where it is damaged.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, String> {
        let header = MachHeader64::<LE>::parse(bytes, 0)
            .map_err(|_| "is no 64-bit little-endian Mach-O file: compile for x86-64 or arm64")?;
        if header.magic.get(object::BigEndian) != macho::MH_CIGAM_64 {
            return Err(
                "is no 64-bit little-endian Mach-O file: compile for x86-64 or arm64".into(),
            );
        }
        if header.filetype(LE) != macho::MH_OBJECT {
            let what = "is a linked Mach-O file: a relocatable object is needed here";
            return Err(what.into());
        }
        let number = header.cputype(LE);
        let machine = Machine::of(number).ok_or_else(|| {
            format!(
                "is a Mach-O object for the CPU type {:#x}: compile for x86-64 or arm64",
                number.0
            )
        })?;
        if is_authenticated(number, header.cpusubtype(LE).id().0) {
            let what = "is an object for arm64e, whose signed pointers are not supported: compile for arm64";
            return Err(what.into());
        }
        let mut view = Self {
            bytes,
            machine,
            sections: Vec::new(),
            symbols: &[],
            strings: &[],
            strings_at: 0,
            by_symbols: header.flags(LE).contains(macho::MH_SUBSECTIONS_VIA_SYMBOLS),
            aliases: HashMap::new(),
        };
        let mut platforms = Platforms::default();
        let damaged =
            |_| "is damaged: its load commands end beyond the file or themselves".to_owned();
        let mut commands = header.load_commands(LE, bytes, 0).map_err(damaged)?;
        while let Some(command) = commands.next().map_err(damaged)? {
            if let Some((segment, data)) = command.segment_64().map_err(damaged)? {
                view.sections
                    .extend(segment.sections(LE, data).map_err(damaged)?);
            } else if let Some(symtab) = command.symtab().map_err(damaged)? {
                view.read_symbols(symtab)?;
            } else {
                platforms.add(&command).map_err(damaged)?;
            }
        }
        platforms.check()?;
        view.check()?;
        view.read_aliases()?;
        Ok(view)
    }

    fn read_symbols(&mut self, symtab: &macho::SymtabCommand<LE>) -> Result<(), String> {
        let at = u64::from(symtab.symoff.get(LE));
        let count = symtab.nsyms.get(LE) as usize;
        self.symbols = self
            .bytes
            .read_slice_at(at, count)
            .map_err(|()| "is damaged: the symbol table ends beyond the file")?;
        self.strings_at = symtab.stroff.get(LE);
        self.strings = self
            .bytes
            .read_bytes_at(self.strings_at.into(), symtab.strsize.get(LE).into())
            .map_err(|()| "is damaged: the table of names ends beyond the file")?;
        Ok(())
    }

    /// Finds what other names stand for. The symbol table has an entry for that, too.
    fn read_aliases(&mut self) -> Result<(), String> {
        let is_alias =
            |symbol: &Nlist64<LE>| !symbol.is_stab() && symbol.n_type.typ() == macho::N_INDR;
        let symbols = self.symbols;
        if !symbols.iter().any(is_alias) {
            return Ok(());
        }
        let mut numbers = HashMap::new();
        let named = || (0u32..).zip(symbols).filter(|(_, it)| !it.is_stab());
        let (globals, locals) = (
            named().filter(|(_, it)| is_global(it)),
            named().filter(|(_, it)| !is_global(it)),
        );
        for (number, symbol) in globals.chain(locals) {
            numbers.entry(self.name(symbol)).or_insert(number);
        }
        for (number, symbol) in (0u32..).zip(symbols).filter(|(_, it)| is_alias(it)) {
            let at = usize::try_from(symbol.n_value.get(LE)).unwrap_or(usize::MAX);
            let of = numbers.get(&self.string(at)).copied();
            let of = of.filter(|of| !is_alias(&symbols[*of as usize]));
            let of = of.ok_or_else(|| {
                let name = self.symbol_text(number);
                format!(
                    "the symbol {name} is another name of a symbol that the object does not have"
                )
            })?;
            self.aliases.insert(number, of);
        }
        Ok(())
    }

    /// Numbers of symbols that are other names, and those of the symbols that they are names of. Ordered.
    pub fn aliases(&self) -> Vec<(u32, u32)> {
        let mut aliases: Vec<_> = self.aliases.iter().map(|(it, of)| (*it, *of)).collect();
        aliases.sort_unstable();
        aliases
    }

    fn check(&self) -> Result<(), String> {
        let mut relocations = 0u64;
        for section in &self.sections {
            let name = || self.text_of(section);
            if section.align.get(LE) > MAX_ALIGN_BITS {
                let bits = section.align.get(LE);
                return Err(format!(
                    "the section {} asks for an alignment of 2^{bits} bytes, more than 1 GiB",
                    name()
                ));
            }
            let (start, size) = (section.addr.get(LE), section.size.get(LE));
            if size > MAX_SIZE || start.checked_add(size).is_none() {
                return Err(format!("the section {} has an impossible size", name()));
            }
            self.relocations(section)?;
            relocations += u64::from(section.nreloc.get(LE));
        }
        // Tables of a sane file do not overlap.
        if relocations * 8 > self.bytes.len() as u64 {
            return Err("is damaged: it has more relocations than bytes for them".into());
        }
        Ok(())
    }

    /// The relocations of a section.
    ///
    /// # Errors
    /// When they end beyond the file.
    pub fn relocations(&self, section: &Section64<LE>) -> Result<&'a [Relocation<LE>], String> {
        section.relocations(LE, self.bytes).map_err(|_| {
            let name = self.text_of(section);
            format!("is damaged: the relocations of {name} end beyond the file")
        })
    }

    /// The place of a section's bytes in the file; `None` for one without.
    ///
    /// # Errors
    /// When they end beyond the file.
    pub fn content(&self, section: &Section64<LE>) -> Result<Option<Range<usize>>, String> {
        if is_zerofill(section.flags.get(LE).typ()) {
            return Ok(None);
        }
        let size = section.size.get(LE);
        if size == 0 {
            return Ok(Some(0..0));
        }
        let start = u64::from(section.offset.get(LE));
        let end = start.checked_add(size);
        match end.filter(|end| *end <= self.bytes.len() as u64) {
            Some(end) => Ok(Some(start as usize..end as usize)),
            None => Err(format!(
                "is damaged: the section {} ends beyond the file",
                self.text_of(section)
            )),
        }
    }

    /// Where a symbol is defined.
    ///
    /// # Errors
    /// When its place is none, or of a kind that is not linked.
    pub fn place(&self, index: u32, symbol: &Nlist64<LE>) -> Result<Place, String> {
        let flags = symbol.n_type;
        if flags.is_stab() {
            return Ok(Place::Debugging);
        }
        let value = symbol.n_value.get(LE);
        let text = || self.symbol_text(index);
        match flags.typ() {
            macho::N_UNDF if value != 0 && flags.is_ext() => {
                let bits = symbol.n_desc.get(LE).0 >> 8 & 0xf;
                if value > MAX_SIZE {
                    return Err(format!(
                        "the common symbol {} has an impossible size",
                        text()
                    ));
                }
                Ok(Place::Common {
                    size: value,
                    align: 1 << bits,
                })
            }
            macho::N_UNDF | macho::N_PBUD => Ok(Place::Undefined),
            macho::N_ABS => Ok(Place::Absolute),
            macho::N_SECT => {
                let number = u32::from(symbol.n_sect).wrapping_sub(1);
                let section = self.sections.get(number as usize).ok_or_else(|| {
                    format!(
                        "the symbol {} lies in section {}, of {}",
                        text(),
                        symbol.n_sect,
                        self.sections.len()
                    )
                })?;
                let offset = value.checked_sub(section.addr.get(LE));
                let offset = offset.filter(|offset| *offset <= section.size.get(LE));
                match offset {
                    Some(offset) => Ok(Place::Section {
                        section: number,
                        offset,
                    }),
                    None => Err(format!("the symbol {} lies outside its section", text())),
                }
            }
            macho::N_INDR => match self.aliases.get(&index) {
                Some(of) => Ok(Place::Alias { of: *of }),
                None => Err(format!(
                    "the symbol {} is another name of a symbol that is not known",
                    text()
                )),
            },
            other => Err(format!(
                "the symbol {} is of unknown type {}",
                text(),
                other.0
            )),
        }
    }

    /// The name of a symbol; `None` if it lies beyond the table.
    pub fn name(&self, symbol: &Nlist64<LE>) -> Option<&'a [u8]> {
        self.string(symbol.n_strx.get(LE) as usize)
    }

    /// A name by its place in the table.
    fn string(&self, at: usize) -> Option<&'a [u8]> {
        let tail = self.strings.get(at..)?;
        let end = tail.iter().position(|byte| *byte == 0);
        Some(&tail[..end.unwrap_or(tail.len())])
    }

    /// Where a symbol's name begins in the file, if it ends with a NUL.
    pub fn name_at(&self, symbol: &Nlist64<LE>) -> Option<u32> {
        let at = symbol.n_strx.get(LE);
        let tail = self.strings.get(at as usize..)?;
        tail.contains(&0).then(|| self.strings_at.checked_add(at))?
    }

    /// A symbol for messages.
    pub fn symbol_text(&self, index: u32) -> String {
        let symbol = self.symbols.get(index as usize);
        match symbol.and_then(|symbol| self.name(symbol)) {
            Some(name) if !name.is_empty() => printable(name).to_string(),
            _ => format!("{index}"),
        }
    }

    /// A section for messages, by its index.
    pub fn section_text(&self, index: u32) -> String {
        match self.sections.get(index as usize) {
            Some(section) => self.text_of(section),
            None => format!("section {index}"),
        }
    }

    /// "`__TEXT,__text`".
    fn text_of(&self, section: &Section64<LE>) -> String {
        let (segment, name) = (segment_name(section), section_name(section));
        format!("{},{}", printable(segment), printable(name))
    }
}

/// The name of a section in its segment.
pub(crate) fn section_name(section: &Section64<LE>) -> &[u8] {
    until_nul(&section.sectname)
}

/// The name of a section's segment.
pub(crate) fn segment_name(section: &Section64<LE>) -> &[u8] {
    until_nul(&section.segname)
}

fn until_nul(name: &[u8; 16]) -> &[u8] {
    let end = name.iter().position(|byte| *byte == 0);
    &name[..end.unwrap_or(name.len())]
}

/// Whether sections of this type have no bytes in the file.
pub(crate) fn is_zerofill(kind: SectionType) -> bool {
    matches!(
        kind,
        macho::S_ZEROFILL | macho::S_GB_ZEROFILL | macho::S_THREAD_LOCAL_ZEROFILL
    )
}

/// Whether a symbol can be seen by other objects.
pub(crate) fn is_global(symbol: &Nlist64<LE>) -> bool {
    !symbol.is_stab() && symbol.n_type.is_ext()
}
