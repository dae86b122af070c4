//! Archives made by hand, packed.

use ar_archive_writer::{ArchiveKind, DEFAULT_OBJECT_READER, NewArchiveMember};
use object::elf;
use object::read::archive::ArchiveFile;
use object::read::elf::ElfFile64;
use object::read::{Object as _, ObjectSection as _, ObjectSymbol as _, RelocationTarget};
use object::write::{Object, Relocation, SectionId, Symbol, SymbolId, SymbolSection};
use object::{
    Architecture, BinaryFormat, Endianness, RelocationFlags, SectionFlags, SectionKind,
    SymbolFlags, SymbolKind, SymbolScope,
};

use crate::{ArchiveError, Part};

fn pack(archive: &[u8]) -> Result<Vec<u8>, ArchiveError> {
    crate::pack(&[Part::runtime(archive)])
}

/// An object under construction.
struct Input(Object<'static>);

impl Input {
    fn new() -> Self {
        Self::of(Architecture::X86_64)
    }

    fn of(cpu: Architecture) -> Self {
        let format = BinaryFormat::Elf;
        Self(Object::new(format, cpu, object::Endianness::Little))
    }

    fn section(&mut self, name: &str, kind: SectionKind, content: &[u8]) -> SectionId {
        let id = self
            .0
            .add_section(Vec::new(), name.as_bytes().to_vec(), kind);
        self.0.append_section_data(id, content, 16);
        id
    }

    fn symbol(&mut self, name: &str, section: SymbolSection, value: u64) -> SymbolId {
        self.0.add_symbol(Symbol {
            name: name.as_bytes().to_vec(),
            value,
            size: 0,
            kind: if section == SymbolSection::Undefined {
                SymbolKind::Unknown
            } else {
                SymbolKind::Text
            },
            scope: SymbolScope::Dynamic,
            weak: false,
            section,
            flags: SymbolFlags::None,
        })
    }

    fn relocation(
        &mut self,
        section: SectionId,
        offset: u64,
        symbol: SymbolId,
        what: (elf::RelocationType, i64),
    ) {
        let (r_type, addend) = what;
        let flags = RelocationFlags::Elf { r_type };
        let relocation = Relocation {
            offset,
            symbol,
            addend,
            flags,
        };
        self.0
            .add_relocation(section, relocation)
            .expect("a valid relocation");
    }
}

fn archive(inputs: Vec<Input>) -> Vec<u8> {
    let members: Vec<NewArchiveMember<'_>> = inputs
        .into_iter()
        .enumerate()
        .map(|(index, input)| {
            let bytes = input.0.write().expect("a valid object");
            NewArchiveMember::new(bytes, &DEFAULT_OBJECT_READER, format!("{index}.o"))
        })
        .collect();
    let mut archive = std::io::Cursor::new(Vec::new());
    ar_archive_writer::write_archive_to_stream(
        &mut archive,
        &members,
        ArchiveKind::Gnu,
        false,
        None,
    )
    .expect("a valid archive");
    archive.into_inner()
}

/// An entry point that calls `helper`, in another member, and `outside`, in none.
fn two_members_and_an_unused_one() -> Vec<u8> {
    let mut entry = Input::new();
    let text = entry.section(".text.entry", SectionKind::Text, &[0x90; 16]);
    entry.symbol("__orc_rt_entry", SymbolSection::Section(text), 0);
    let helper = entry.symbol("helper", SymbolSection::Undefined, 0);
    let outside = entry.symbol("outside", SymbolSection::Undefined, 0);
    entry.relocation(text, 1, helper, (elf::R_X86_64_PLT32, -4));
    entry.relocation(text, 6, outside, (elf::R_X86_64_PLT32, -4));
    entry.relocation(text, 12, helper, (elf::R_X86_64_GOTPCREL, -4));
    let mut other = Input::new();
    let text = other.section(".text.helper", SectionKind::Text, &[0xcc; 32]);
    let data = other.section(".data.pointer", SectionKind::Data, &[0; 8]);
    let helper = other.symbol("helper", SymbolSection::Section(text), 5);
    other.relocation(data, 0, helper, (elf::R_X86_64_64, 2));
    let mut unused = Input::new();
    let text = unused.section(".text.unused", SectionKind::Text, &[0xf4; 4096]);
    unused.symbol("unused", SymbolSection::Section(text), 0);
    archive(vec![entry, unused, other])
}

#[test]
fn reachable_members_become_one_object_without_inner_names() {
    let packed = pack(&two_members_and_an_unused_one()).expect("it can be packed");
    let file = ArchiveFile::parse(&*packed).expect("an archive");
    let member = file.members().next().expect("a member").expect("a member");
    let bytes = member.data(&*packed).expect("its data");
    let elf = ElfFile64::<Endianness>::parse(bytes).expect("an object");

    let global: Vec<&str> = elf
        .symbols()
        .filter(|symbol| symbol.is_global())
        .map(|symbol| symbol.name().expect("a name"))
        .collect();
    assert_eq!(global, ["__orc_rt_entry", "outside"]);

    // Entry at 0, helper's section at 16, so `helper` is at 21: the distance from 1 is final.
    let text = elf.section_by_name(".text").expect(".text");
    let content = text.data().expect("its data");
    assert_eq!(content.len(), 48);
    assert_eq!(content[1..5], (21_i32 - 4 - 1).to_le_bytes());
    let left: Vec<_> = text.relocations().map(|(offset, _)| offset).collect();
    assert_eq!(left, [6, 12]);

    // What goes through the GOT keeps a symbol at its place; other references count from sections.
    let (_, through_got) = text
        .relocations()
        .find(|(offset, _)| *offset == 12)
        .expect("it");
    let RelocationTarget::Symbol(symbol) = through_got.target() else {
        panic!("no symbol")
    };
    let symbol = elf.symbol_by_index(symbol).expect("a symbol");
    assert_eq!((symbol.address(), through_got.addend()), (21, -4));
    let data = elf.section_by_name(".data").expect(".data");
    let (_, pointer) = data.relocations().next().expect("a relocation");
    assert_eq!(pointer.addend(), 21 + 2);
}

/// An entry point for AArch64 that calls `helper`, in another member, and refers to it in pages and through the GOT.
fn members_for_aarch64() -> Vec<u8> {
    let mut entry = Input::of(Architecture::Aarch64);
    let text = entry.section(".text.entry", SectionKind::Text, &[0x1f; 32]);
    entry.symbol("__orc_rt_entry", SymbolSection::Section(text), 0);
    let helper = entry.symbol("helper", SymbolSection::Undefined, 0);
    let outside = entry.symbol("outside", SymbolSection::Undefined, 0);
    for (at, symbol, r_type) in [
        (0, helper, elf::R_AARCH64_CALL26),
        (4, outside, elf::R_AARCH64_CALL26),
        (8, helper, elf::R_AARCH64_ADR_PREL_PG_HI21),
        (12, helper, elf::R_AARCH64_ADD_ABS_LO12_NC),
        (16, helper, elf::R_AARCH64_ADR_GOT_PAGE),
        (20, helper, elf::R_AARCH64_LD64_GOT_LO12_NC),
        (24, helper, elf::R_AARCH64_PREL32),
    ] {
        entry.relocation(text, at, symbol, (r_type, 0));
    }
    let mut other = Input::of(Architecture::Aarch64);
    let text = other.section(".text.helper", SectionKind::Text, &[0; 16]);
    other.symbol("helper", SymbolSection::Section(text), 4);
    archive(vec![entry, other])
}

#[test]
fn members_for_aarch64_become_one_object() {
    let packed = pack(&members_for_aarch64()).expect("it can be packed");
    let file = ArchiveFile::parse(&*packed).expect("an archive");
    let member = file.members().next().expect("a member").expect("a member");
    let bytes = member.data(&*packed).expect("its data");
    let elf = ElfFile64::<Endianness>::parse(bytes).expect("an object");
    assert_eq!(elf.architecture(), Architecture::Aarch64);
    let text = elf.section_by_name(".text").expect(".text");
    let left = text.relocations().map(|(offset, relocation)| {
        let (RelocationFlags::Elf { r_type }, RelocationTarget::Symbol(symbol)) =
            (relocation.flags(), relocation.target())
        else {
            panic!("not an ELF relocation against a symbol")
        };
        let symbol = elf.symbol_by_index(symbol).expect("a symbol");
        let place = symbol.address().cast_signed() + relocation.addend();
        (offset, r_type, symbol.is_undefined(), place)
    });
    // `helper` is at 32 + 4.
    let expected = [
        (0, elf::R_AARCH64_CALL26, false, 36),
        (4, elf::R_AARCH64_CALL26, true, 0),
        (8, elf::R_AARCH64_ADR_PREL_PG_HI21, false, 36),
        (12, elf::R_AARCH64_ADD_ABS_LO12_NC, false, 36),
        (16, elf::R_AARCH64_ADR_GOT_PAGE, false, 36),
        (20, elf::R_AARCH64_LD64_GOT_LO12_NC, false, 36),
    ];
    assert_eq!(left.collect::<Vec<_>>(), expected);
    // A distance is final.
    let content = text.data().expect("its data");
    assert_eq!(content[24..28], (36_i32 - 24).to_le_bytes());
}

#[test]
fn members_for_two_cpus_are_refused() {
    let mut entry = Input::new();
    let text = entry.section(".text", SectionKind::Text, &[0x90; 8]);
    entry.symbol("__orc_rt_entry", SymbolSection::Section(text), 0);
    let helper = entry.symbol("helper", SymbolSection::Undefined, 0);
    entry.relocation(text, 1, helper, (elf::R_X86_64_PLT32, -4));
    let mut other = Input::of(Architecture::Aarch64);
    let text = other.section(".text", SectionKind::Text, &[0; 8]);
    other.symbol("helper", SymbolSection::Section(text), 0);
    let error = pack(&archive(vec![entry, other])).expect_err("it is refused");
    assert!(error.to_string().contains("1.o"), "{error}");
}

#[test]
fn relocations_for_aarch64_that_few_linkers_know_are_refused() {
    let mut input = Input::of(Architecture::Aarch64);
    let text = input.section(".text", SectionKind::Text, &[0; 8]);
    let entry = input.symbol("__orc_rt_entry", SymbolSection::Section(text), 0);
    input.relocation(text, 0, entry, (elf::R_AARCH64_TLSDESC_ADR_PAGE21, 0));
    let error = pack(&archive(vec![input])).expect_err("it is refused");
    assert!(
        error.to_string().contains("cannot be linked by all"),
        "{error}"
    );
}

#[test]
fn an_archive_without_entry_point_is_refused() {
    let mut input = Input::new();
    let text = input.section(".text", SectionKind::Text, &[0x90]);
    input.symbol("helper", SymbolSection::Section(text), 0);
    assert!(matches!(
        pack(&archive(vec![input])),
        Err(ArchiveError::NoEntryPoint)
    ));
}

/// What is wrong with an object with an entry point and one more section.
fn refusal(name: &str, kind: SectionKind, flags: SectionFlags) -> String {
    let mut input = Input::new();
    let text = input.section(".text", SectionKind::Text, &[0x90]);
    input.symbol("__orc_rt_entry", SymbolSection::Section(text), 0);
    let section = input.section(name, kind, &[0; 8]);
    input.0.section_mut(section).flags = flags;
    match pack(&archive(vec![input])) {
        Err(error) => error.to_string(),
        Ok(_) => "none".to_owned(),
    }
}

#[test]
fn thread_locals_and_constructors_are_refused() {
    assert_eq!(
        refusal(".tdata", SectionKind::Tls, SectionFlags::None),
        "'0.o', section .tdata: the runtime may not have thread-locals"
    );
    let flags = SectionFlags::Elf {
        sh_type: elf::SHT_INIT_ARRAY,
        sh_flags: elf::SHF_ALLOC | elf::SHF_WRITE,
    };
    assert_eq!(
        refusal(".init_array", SectionKind::Data, flags),
        "'0.o', section .init_array: the runtime may not have such a section"
    );
    assert_eq!(
        refusal(".comment", SectionKind::OtherString, SectionFlags::None),
        "none"
    );
}

#[test]
fn relocations_that_few_linkers_know_are_refused() {
    let mut input = Input::new();
    let text = input.section(".text", SectionKind::Text, &[0; 8]);
    let entry = input.symbol("__orc_rt_entry", SymbolSection::Section(text), 0);
    input.relocation(text, 0, entry, (elf::R_X86_64_TPOFF32, 0));
    let error = pack(&archive(vec![input])).expect_err("it is refused");
    assert!(
        error.to_string().contains("cannot be linked by all"),
        "{error}"
    );
}

#[test]
fn damaged_archives_are_errors() {
    let good = two_members_and_an_unused_one();
    for end in 0..good.len() {
        // The last member's symbol names may be cut without being missed.
        let _ = pack(&good[..end]);
    }
    for index in 0..good.len() {
        let mut bad = good.clone();
        bad[index] ^= 0xff;
        let _ = pack(&bad);
    }
    assert!(pack(&good[..good.len() / 2]).is_err());
    assert!(pack(b"").is_err());
}
