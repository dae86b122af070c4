//! Builds Mach-O objects for tests, byte by byte.

use std::sync::Arc;

use jit_core::graph::LinkGraph;
use jit_core::name::NameTable;
use jit_core::object::{Claims, ObjectError, ObjectFile as _};
use object::macho::{self, SectionFlags};
use orc_inputs::input::OwnedBytes;
use orc_inputs::wrapped::WrappedNames;

use crate::object::MachObject;
use crate::platform::{Host, PLAIN};

/// A relocation, as its fields are called.
#[derive(Clone, Copy)]
pub(crate) struct Rel {
    pub at: u32,
    pub symbol: u32,
    pub pcrel: bool,
    pub length: u8,
    pub external: bool,
    pub kind: macho::RelocationType,
}

/// A section of an object.
pub(crate) struct TestSection {
    pub segment: &'static str,
    pub name: &'static str,
    pub flags: SectionFlags,
    pub align: u32,
    pub bytes: Vec<u8>,
    /// For sections without bytes.
    pub zeros: u64,
    pub relocations: Vec<Rel>,
}

/// A symbol: name, type, section number, description, value.
pub(crate) type TestSymbol = (&'static str, u8, u8, u16, u64);

/// An object.
pub(crate) struct TestObject {
    pub sections: Vec<TestSection>,
    pub symbols: Vec<TestSymbol>,
    pub flags: u32,
    pub cpu: macho::CpuType,
}

/// A local definition, a global one, and an undefined name.
pub(crate) const LOCAL: u8 = 0xe;
pub(crate) const GLOBAL: u8 = 0xf;
pub(crate) const UNDEFINED: u8 = 1;

pub(crate) fn code(bytes: &[u8], relocations: &[Rel]) -> TestSection {
    TestSection {
        segment: "__TEXT",
        name: "__text",
        flags: macho::S_REGULAR.to_flags() | macho::S_ATTR_PURE_INSTRUCTIONS,
        align: 4,
        bytes: bytes.to_vec(),
        zeros: 0,
        relocations: relocations.to_vec(),
    }
}

pub(crate) fn data(bytes: &[u8], relocations: &[Rel]) -> TestSection {
    TestSection {
        segment: "__DATA",
        name: "__data",
        flags: macho::S_REGULAR.to_flags(),
        align: 3,
        ..code(bytes, relocations)
    }
}

pub(crate) fn object(sections: Vec<TestSection>, symbols: &[TestSymbol]) -> TestObject {
    TestObject {
        sections,
        symbols: symbols.to_vec(),
        flags: 0x2000,
        cpu: macho::CPU_TYPE_X86_64,
    }
}

impl TestObject {
    /// Where each section lies in the file's address space: one behind the other, aligned.
    pub(crate) fn addresses(&self) -> Vec<u64> {
        let mut at = 0u64;
        let mut addresses = Vec::new();
        for section in &self.sections {
            at = at.next_multiple_of(1 << section.align);
            addresses.push(at);
            at += section.bytes.len() as u64 + section.zeros;
        }
        addresses
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let count = self.sections.len();
        let commands = 72 + 80 * count + 24;
        let mut tail = Vec::new();
        let tail_at = 32 + commands;
        let mut headers = Vec::new();
        let padded = |text: &str| {
            let mut bytes = [0u8; 16];
            bytes[..text.len()].copy_from_slice(text.as_bytes());
            bytes
        };
        for (section, address) in self.sections.iter().zip(self.addresses()) {
            let offset = tail_at + tail.len();
            tail.extend(&section.bytes);
            let relocations = tail_at + tail.len();
            for rel in &section.relocations {
                tail.extend(rel.at.to_le_bytes());
                let word = rel.symbol
                    | u32::from(rel.pcrel) << 24
                    | u32::from(rel.length) << 25
                    | u32::from(rel.external) << 27
                    | u32::from(rel.kind.0) << 28;
                tail.extend(word.to_le_bytes());
            }
            headers.extend(padded(section.name));
            headers.extend(padded(section.segment));
            headers.extend(address.to_le_bytes());
            headers.extend((section.bytes.len() as u64 + section.zeros).to_le_bytes());
            let words = [
                offset as u32,
                section.align,
                relocations as u32,
                section.relocations.len() as u32,
                section.flags.0,
                0,
                0,
                0,
            ];
            headers.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        }
        let symbols_at = tail_at + tail.len();
        let mut strings = vec![0u8];
        for (name, kind, section, desc, value) in &self.symbols {
            tail.extend((strings.len() as u32).to_le_bytes());
            tail.extend([*kind, *section]);
            tail.extend(desc.to_le_bytes());
            tail.extend(value.to_le_bytes());
            strings.extend(name.bytes());
            strings.push(0);
        }
        let strings_at = tail_at + tail.len();
        tail.extend(&strings);
        let mut file = Vec::new();
        let word = |file: &mut Vec<u8>, value: u32| file.extend(value.to_le_bytes());
        for value in [
            0xfeed_facf,
            self.cpu.0,
            3,
            1,
            2,
            commands as u32,
            self.flags,
            0,
        ] {
            word(&mut file, value);
        }
        for value in [0x19, 72 + 80 * count as u32] {
            word(&mut file, value);
        }
        file.extend([0; 16 + 32]);
        for value in [7, 7, count as u32, 0] {
            word(&mut file, value);
        }
        file.extend(headers);
        let symtab = [
            2,
            24,
            symbols_at as u32,
            self.symbols.len() as u32,
            strings_at as u32,
            strings.len() as u32,
        ];
        symtab.into_iter().for_each(|value| word(&mut file, value));
        file.extend(tail);
        file
    }

    pub(crate) fn read(&self) -> Result<MachObject, ObjectError> {
        read(self.bytes())
    }

    /// The graph of an object that is right.
    pub(crate) fn graph(&self) -> LinkGraph {
        let object = self.read().expect("an object");
        object.build_graph(&Claims::default()).expect("a graph")
    }

    /// What is wrong with the object.
    pub(crate) fn error(&self) -> String {
        let graph = self
            .read()
            .and_then(|it| it.build_graph(&Claims::default()));
        graph.err().expect("an error").to_string()
    }
}

pub(crate) fn read(bytes: Vec<u8>) -> Result<MachObject, ObjectError> {
    read_for(bytes, &PLAIN)
}

/// Reads an object for programs on a host.
pub(crate) fn read_for(bytes: Vec<u8>, host: &'static Host) -> Result<MachObject, ObjectError> {
    let input = Arc::new(OwnedBytes::from(bytes));
    let names = Arc::new(NameTable::default());
    MachObject::new("a.o", input, &names, &WrappedNames::default(), host)
}
