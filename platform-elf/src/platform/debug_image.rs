//! The object file that shows linked code to debuggers.
//!
//! It looks like a shared object whose addresses are final, of which the loader has been: section headers
//! say where code and data lie, and have no bytes in the file (as in a file of debug information that was split
//! from its program). What a debugger reads from files has bytes: frames, symbols, DWARF.

use jit_core::cpu::Architecture;
use jit_core::debug::{DebugContent, DebugSection, DebugSymbol};
use jit_core::graph::SectionKind;
use object::LittleEndian as LE;
use object::elf::{
    self, FileHeader64, Ident, SectionFlags, SectionHeader64, SectionType, Sym64, SymbolSection,
};
use object::endian::{U16, U32, U64};
use object::pod::bytes_of;

use crate::machine::Machine;

/// Sections before those of the content: the null one.
const FIRST: usize = 1;

/// The null section, and the tables of symbols and names.
const OWN_SECTIONS: usize = 4;

/// Alignment of tables, in bytes.
const TABLE_ALIGN: usize = 8;

/// A file that is being written.
#[derive(Default)]
struct Image {
    bytes: Vec<u8>,
    headers: Vec<SectionHeader64<LE>>,
    names: Vec<u8>,
}

/// Writes the file; `None` for more sections than it may have.
pub(super) fn debug_image(cpu: Architecture, content: &DebugContent) -> Option<Vec<u8>> {
    let sections = content.sections.len() + content.information.len() + OWN_SECTIONS;
    if sections >= usize::from(elf::SHN_LORESERVE) {
        return None;
    }
    let mut image = Image {
        bytes: vec![0; size_of::<FileHeader64<LE>>()],
        headers: vec![header(elf::SHT_NULL, SectionFlags(0))],
        names: vec![0],
    };
    for section in &content.sections {
        image.add_loaded(section);
    }
    for (name, bytes) in &content.information {
        let header = header(elf::SHT_PROGBITS, SectionFlags(0));
        image.add(name, header, bytes, 1);
    }
    image.add_symbols(content);
    Some(image.finish(Machine::with(cpu).number))
}

fn header(kind: SectionType, flags: SectionFlags) -> SectionHeader64<LE> {
    SectionHeader64 {
        sh_name: U32::default(),
        sh_type: U32::new(LE, kind),
        sh_flags: U64::new(LE, flags),
        sh_addr: U64::default(),
        sh_offset: U64::default(),
        sh_size: U64::default(),
        sh_link: U32::default(),
        sh_info: U32::default(),
        sh_addralign: U64::new(LE, 1),
        sh_entsize: U64::default(),
    }
}

impl Image {
    /// Adds a section with bytes.
    fn add(&mut self, name: &[u8], header: SectionHeader64<LE>, bytes: &[u8], align: usize) {
        self.bytes
            .resize(self.bytes.len().next_multiple_of(align), 0);
        let offset = self.bytes.len() as u64;
        self.bytes.extend_from_slice(bytes);
        let mut header = header;
        header.sh_name = U32::new(LE, self.name(name));
        header.sh_offset = U64::new(LE, offset);
        header.sh_size = U64::new(LE, bytes.len() as u64);
        header.sh_addralign = U64::new(LE, align as u64);
        self.headers.push(header);
    }

    /// Adds a section that is in memory.
    fn add_loaded(&mut self, section: &DebugSection) {
        let kind = match section.content {
            Some(_) => elf::SHT_PROGBITS,
            None => elf::SHT_NOBITS,
        };
        let mut header = header(kind, flags(section.kind));
        header.sh_addr = U64::new(LE, section.range.start.value());
        let bytes = section.content.as_deref().unwrap_or_default();
        self.add(&section.name, header, bytes, 1);
        if let Some(header) = self.headers.last_mut() {
            header.sh_size = U64::new(LE, section.range.size());
        }
    }

    /// Adds the symbol table, local symbols first, and their names.
    fn add_symbols(&mut self, content: &DebugContent) {
        let (mut strings, mut table) = (vec![0], vec![0; size_of::<Sym64<LE>>()]);
        let mut locals = 1;
        for wanted in [true, false] {
            let symbols = content.symbols.iter();
            for symbol in symbols.filter(|symbol| symbol.is_local == wanted) {
                let Some(section) = content.section_at(symbol.address) else {
                    continue;
                };
                let name = append_string(&mut strings, &symbol.name);
                table.extend_from_slice(bytes_of(&entry(symbol, name, FIRST + section)));
                locals += u32::from(wanted);
            }
        }
        let mut header_of_table = header(elf::SHT_SYMTAB, SectionFlags(0));
        header_of_table.sh_link = U32::new(LE, self.headers.len() as u32 + 1);
        header_of_table.sh_info = U32::new(LE, locals);
        header_of_table.sh_entsize = U64::new(LE, size_of::<Sym64<LE>>() as u64);
        self.add(b".symtab", header_of_table, &table, TABLE_ALIGN);
        let header = header(elf::SHT_STRTAB, SectionFlags(0));
        self.add(b".strtab", header, &strings, 1);
    }

    /// Adds the names and headers of sections, and the header of the file.
    fn finish(mut self, machine: elf::Machine) -> Vec<u8> {
        let last = self.headers.len() as u16;
        self.name(b".shstrtab");
        let names = std::mem::take(&mut self.names);
        self.add(b"", header(elf::SHT_STRTAB, SectionFlags(0)), &names, 1);
        let own_name = names.len() - b".shstrtab\0".len();
        if let Some(header) = self.headers.last_mut() {
            header.sh_name = U32::new(LE, own_name as u32);
        }
        let table = self.bytes.len().next_multiple_of(TABLE_ALIGN);
        self.bytes.resize(table, 0);
        for header in &self.headers {
            self.bytes.extend_from_slice(bytes_of(header));
        }
        let header = file_header(machine, table as u64, self.headers.len() as u16, last);
        let header = bytes_of(&header);
        self.bytes[..header.len()].copy_from_slice(header);
        self.bytes
    }

    /// The place of a section's name.
    fn name(&mut self, name: &[u8]) -> u32 {
        append_string(&mut self.names, name)
    }
}

fn append_string(strings: &mut Vec<u8>, string: &[u8]) -> u32 {
    let at = strings.len() as u32;
    strings.extend_from_slice(string);
    strings.push(0);
    at
}

fn entry(symbol: &DebugSymbol, name: u32, section: usize) -> Sym64<LE> {
    let binding = match symbol.is_local {
        true => elf::STB_LOCAL,
        false => elf::STB_GLOBAL,
    };
    let kind = match symbol.is_function {
        true => elf::STT_FUNC,
        false => elf::STT_OBJECT,
    };
    Sym64 {
        st_name: U32::new(LE, name),
        st_info: elf::SymbolInfo::new(binding, kind),
        st_other: elf::SymbolOther(0),
        st_shndx: U16::new(LE, SymbolSection(section as u16)),
        st_value: U64::new(LE, symbol.address.value()),
        st_size: U64::new(LE, symbol.size),
    }
}

fn flags(kind: SectionKind) -> SectionFlags {
    let more = match kind {
        SectionKind::Text => elf::SHF_EXECINSTR,
        SectionKind::ReadOnly | SectionKind::RelocatedReadOnly => SectionFlags(0),
        SectionKind::ReadWrite | SectionKind::LargeReadWrite => elf::SHF_WRITE,
        SectionKind::ThreadLocal => elf::SHF_WRITE | elf::SHF_TLS,
    };
    elf::SHF_ALLOC | more
}

fn file_header(machine: elf::Machine, table: u64, count: u16, names: u16) -> FileHeader64<LE> {
    FileHeader64 {
        e_ident: Ident {
            magic: elf::ELFMAG,
            class: elf::ELFCLASS64,
            data: elf::ELFDATA2LSB,
            version: elf::EV_CURRENT,
            os_abi: elf::ELFOSABI_NONE,
            abi_version: 0,
            padding: [0; 7],
        },
        e_type: U16::new(LE, elf::ET_DYN),
        e_machine: U16::new(LE, machine),
        e_version: U32::new(LE, u32::from(elf::EV_CURRENT.0)),
        e_entry: U64::default(),
        e_phoff: U64::default(),
        e_shoff: U64::new(LE, table),
        e_flags: U32::new(LE, elf::FileFlags(0)),
        e_ehsize: U16::new(LE, size_of::<FileHeader64<LE>>() as u16),
        e_phentsize: U16::default(),
        e_phnum: U16::default(),
        e_shentsize: U16::new(LE, size_of::<SectionHeader64<LE>>() as u16),
        e_shnum: U16::new(LE, count),
        e_shstrndx: U16::new(LE, SymbolSection(names)),
    }
}

#[cfg(test)]
mod tests {
    use jit_core::debug::DebugContent;
    use object::read::elf::ElfFile64;
    use object::{Object as _, ObjectSection as _, ObjectSymbol as _};
    use orc_shared::{ExecutorAddr, ExecutorAddrRange};

    use super::*;

    fn section(name: &str, start: u64, kind: SectionKind, content: Option<&[u8]>) -> DebugSection {
        DebugSection {
            name: name.into(),
            range: ExecutorAddrRange::from_size(ExecutorAddr::new(start), 0x10),
            kind,
            content: content.map(<[u8]>::to_vec),
        }
    }

    fn symbol(name: &str, address: u64, is_local: bool) -> DebugSymbol {
        DebugSymbol {
            name: name.into(),
            address: ExecutorAddr::new(address),
            size: 4,
            is_function: is_local,
            is_local,
        }
    }

    #[test]
    fn readers_find_what_was_written() {
        let content = DebugContent {
            sections: vec![
                section(".text", 0x1000, SectionKind::Text, None),
                section(".eh_frame", 0x2000, SectionKind::ReadOnly, Some(&[7; 16])),
                section(".data", 0x3000, SectionKind::ReadWrite, None),
            ],
            information: [(b".debug_info".to_vec(), vec![1, 2, 3])].into(),
            symbols: vec![
                symbol("variable", 0x3008, false),
                symbol("function", 0x1004, true),
                symbol("nowhere", 0x9000, false),
            ],
        };
        let bytes = debug_image(Architecture::X86_64, &content).expect("few sections");
        let file = ElfFile64::<LE>::parse(&*bytes).expect("a valid file");
        let place = |name: &str| {
            let section = file.section_by_name(name).expect("is there");
            let data = section.data().expect("lies in the file").to_vec();
            (section.address(), section.size(), data)
        };
        assert_eq!(place(".text"), (0x1000, 0x10, Vec::new()));
        assert_eq!(place(".eh_frame"), (0x2000, 0x10, vec![7; 16]));
        assert_eq!(place(".debug_info"), (0, 3, vec![1, 2, 3]));
        let symbols = file.symbols().map(|symbol| {
            let name = symbol.name().expect("a name");
            (name, symbol.address(), symbol.is_local())
        });
        let symbols: Vec<_> = symbols.collect();
        let expected = [("function", 0x1004, true), ("variable", 0x3008, false)];
        assert_eq!(symbols, expected);
    }

    #[test]
    fn a_file_has_not_more_sections_than_numbers() {
        let text = section(".text", 0x1000, SectionKind::Text, None);
        let content = DebugContent {
            sections: vec![text; 0xff00],
            ..DebugContent::default()
        };
        assert_eq!(debug_image(Architecture::X86_64, &content), None);
    }
}
