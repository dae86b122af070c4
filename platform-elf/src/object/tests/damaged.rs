//! Objects with one thing wrong, each of which GNU ld or lld refuses, too: nothing is lost quietly.

use crate::test_object::{Loaded, assemble, compile};

/// An object with one field to change.
struct Object(Vec<u8>);

/// Fields of a section header: offset and size.
const NAME: (usize, usize) = (0, 4);
const TYPE: (usize, usize) = (4, 4);
const FLAGS: (usize, usize) = (8, 8);
const OFFSET: (usize, usize) = (24, 8);
const SIZE: (usize, usize) = (32, 8);
const LINK: (usize, usize) = (40, 4);
const INFO: (usize, usize) = (44, 4);
const ENTRY_SIZE: (usize, usize) = (56, 8);

impl Object {
    fn new() -> Self {
        Self(compile(
            "c++",
            &["-g"],
            "#include <stdexcept>\n\
             static int s = 3; int g = 4; struct C { C() { s++; } } c;\n\
             inline __attribute__((noinline)) int f(int n) { if (n > 9) throw s; return n; }\n\
             int main() { try { return f(10); } catch (int n) { return n + g; } }\n",
        ))
    }

    fn number(&self, at: usize, size: usize) -> u64 {
        let mut bytes = [0; 8];
        bytes[..size].copy_from_slice(&self.0[at..at + size]);
        u64::from_le_bytes(bytes)
    }

    fn put(&mut self, at: usize, size: usize, value: u64) {
        self.0[at..at + size].copy_from_slice(&value.to_le_bytes()[..size]);
    }

    /// Where the header of section `index` is.
    fn header(&self, index: usize) -> usize {
        self.number(40, 8) as usize + 64 * index
    }

    fn field(&self, index: usize, (at, size): (usize, usize)) -> u64 {
        self.number(self.header(index) + at, size)
    }

    fn string(&self, table: usize, offset: u64) -> &str {
        let start = (self.field(table, OFFSET) + offset) as usize;
        let end = start + self.0[start..].iter().position(|&b| b == 0).expect("a NUL");
        std::str::from_utf8(&self.0[start..end]).expect("ASCII")
    }

    fn section(&self, name: &str) -> usize {
        let names = self.number(62, 2) as usize;
        let named = |&index: &usize| self.string(names, self.field(index, NAME)) == name;
        let mut all = 1..self.number(60, 2) as usize;
        all.find(named)
            .unwrap_or_else(|| panic!("no section {name}"))
    }

    /// Where the symbol's entry is.
    fn symbol(&self, name: &str) -> usize {
        let (table, strings) = (self.section(".symtab"), self.section(".strtab"));
        let start = self.field(table, OFFSET) as usize;
        let mut all = (start..start + self.field(table, SIZE) as usize).step_by(24);
        let named = |&at: &usize| self.string(strings, self.number(at, 4)) == name;
        all.find(named)
            .unwrap_or_else(|| panic!("no symbol {name}"))
    }

    fn content(&self, section: &str) -> usize {
        self.field(self.section(section), OFFSET) as usize
    }
}

/// The message about the object after a change.
fn message(change: impl Fn(&mut Object)) -> String {
    let mut object = Object::new();
    change(&mut object);
    match Loaded::try_new(object.0) {
        Ok(loaded) => loaded.build_error(),
        Err(error) => error.message,
    }
}

#[track_caller]
fn refused(text: &str, change: impl Fn(&mut Object)) {
    let message = message(change);
    assert!(message.contains(text), "{message}");
}

#[test]
fn headers() {
    let rows: &[(&str, (usize, usize), u64, &str)] = &[
        (".text", NAME, 0x7fff_ffff, "has its name at 0x7fffffff"),
        (".group", NAME, 0x7fff_ffff, "has its name at 0x7fffffff"),
        (
            ".text",
            TYPE,
            0x99,
            "section .text (5) has the unknown type 0x99",
        ),
        (".text", TYPE, 0x7000_0099, "has the unknown type"),
        (".text", TYPE, 0x8000_0099, "has the unknown type"),
        (".rela.text", TYPE, 0x99, "has the unknown type"),
        (".text", TYPE, 0, "which has no content"),
        (".text", TYPE, 3, "which has no content"),
        (".text", FLAGS, 4, "which is not loaded into memory"),
        (
            ".text",
            LINK,
            9999,
            "is linked to section 9999, but there are",
        ),
        (".group", LINK, 0, "refers to another symbol table"),
        (".debug_info", SIZE, 1 << 40, "lies outside the file"),
        (".comment", OFFSET, 1 << 40, "lies outside the file"),
        (
            ".rela.text",
            INFO,
            9999,
            "holds relocations for section 9999",
        ),
        (".rela.text", INFO, 0, "which has no content"),
        (".rela.text", INFO, 1, "which has no content"),
        (
            ".rela.eh_frame",
            INFO,
            9999,
            "holds relocations for section 9999",
        ),
        (
            ".rela.init_array",
            INFO,
            9999,
            "holds relocations for section 9999",
        ),
        (
            ".rela.debug_info",
            INFO,
            9999,
            "holds relocations for section 9999",
        ),
        (
            ".rela.text",
            ENTRY_SIZE,
            0,
            "has entries of 0 bytes instead of 24",
        ),
        (
            ".symtab",
            ENTRY_SIZE,
            25,
            "has entries of 25 bytes instead of 24",
        ),
        (
            ".group",
            ENTRY_SIZE,
            8,
            "has entries of 8 bytes instead of 4",
        ),
        (
            ".strtab",
            TYPE,
            1,
            "the symbol names' table is a section that holds no strings",
        ),
        (
            ".shstrtab",
            TYPE,
            1,
            "the section names' table is a section that holds no strings",
        ),
        (".shstrtab", SIZE, 0, "beyond the end of the names' table"),
        (
            ".group",
            TYPE,
            0,
            "says that it belongs to a group, but no group has it",
        ),
        (".text", FLAGS, 0x206, "says that it belongs to a group"),
    ];
    for &(section, field, value, text) in rows {
        refused(text, |object| {
            let at = object.header(object.section(section));
            object.put(at + field.0, field.1, value);
        });
    }
    refused(
        "describes another section that holds no content",
        |object| {
            let (at, symbols) = (
                object.header(object.section(".data")),
                object.section(".symtab"),
            );
            object.put(at + FLAGS.0, 8, 0x83);
            object.put(at + LINK.0, 4, symbols as u64);
        },
    );
}

#[test]
fn types_of_sections_that_machines_have_of_their_own() {
    const EM_AARCH64: u64 = 183;
    let with_type = |kind: u64, machine: u64| {
        message(move |object| {
            let header = object.header(object.section(".comment"));
            object.put(header + TYPE.0, TYPE.1, kind);
            object.put(18, 2, machine);
        })
    };
    let attributes = 0x7000_0003;
    assert!(with_type(attributes, 62).contains("has the unknown type 0x70000003"));
    // What stands then in the way is a relocation of another machine.
    let for_aarch64 = with_type(attributes, EM_AARCH64);
    assert!(!for_aarch64.contains("the unknown type"), "{for_aarch64}");
    let frames = with_type(0x7000_0001, EM_AARCH64);
    assert!(frames.contains("has the unknown type 0x70000001"));
}

#[test]
fn the_files_header() {
    refused("has no sections", |object| object.put(60, 2, 0));
    refused("has no sections", |object| object.put(40, 8, 0));
    refused("does not exist", |object| object.put(60, 2, 3));
    refused("does not exist", |object| object.put(62, 2, 9999));
    refused("holds no strings", |object| object.put(62, 2, 5));
}

#[test]
fn strings_without_end() {
    for (table, text) in [(".strtab", "symbol names"), (".shstrtab", "section names")] {
        refused(text, |object| {
            let index = object.section(table);
            let last = object.field(index, OFFSET) + object.field(index, SIZE) - 1;
            object.put(last as usize, 1, 0x41);
        });
    }
}

#[test]
fn symbols() {
    let rows: &[(&str, usize, usize, u64, &str)] = &[
        ("_ZL1s", 0, 4, 0x7fff_ffff, "has its name beyond the end"),
        ("main", 0, 4, 0x7fff_ffff, "has no name"),
        ("main", 8, 8, 1 << 62, "main"),
        (
            "main",
            6,
            2,
            1,
            "is defined in the section .group, which has no content",
        ),
    ];
    for &(symbol, at, size, value, text) in rows {
        refused(text, |object| {
            let entry = object.symbol(symbol);
            object.put(entry + at, size, value);
        });
    }
    refused("which has no content", |object| {
        let (entry, table) = (object.symbol("g"), object.section(".strtab"));
        object.put(entry + 6, 2, table as u64);
    });
}

#[test]
fn groups() {
    for flags in [2, 3, 0x1000_0000, 0xffff_ffff] {
        refused("has the unknown flags", |object| {
            object.put(object.content(".group"), 4, flags);
        });
    }
    for (member, text) in [
        (0, "names a section that does not exist"),
        (9999, "names a section that does not exist"),
        (1, "names a group as its member"),
        (5, "no group has it"),
    ] {
        refused(text, |object| {
            object.put(object.content(".group") + 4, 4, member);
        });
    }
}

#[test]
fn frames() {
    // Where the start of the code of the first frame is relocated.
    let addend = |object: &Object| object.content(".rela.eh_frame") + 16;
    for value in [1_i64 << 16, -1, i64::MIN, i64::MAX] {
        refused("describes code that lies outside its section", |object| {
            let first = (0..20).find(|n| {
                let info = object.number(addend(object) + 24 * n - 8, 8);
                // Personality routines are referred to as well; code has no name.
                info & 0xffff_ffff == 2 && object.number(addend(object) + 24 * n, 8) == 0
            });
            let at = addend(object) + 24 * first.expect("a frame");
            object.put(at, 8, value.cast_unsigned());
        });
    }
    let cie = |object: &mut Object, at: usize, value: u64| {
        object.put(object.content(".eh_frame") + at, 1, value);
    };
    refused("has an unknown version", |object| cie(object, 8, 9));
    refused("has an unknown augmentation", |object| cie(object, 9, 0x51));
}

#[test]
fn an_empty_relocation_section_may_be_for_nothing() {
    let mut object = Object::new();
    let at = object.header(object.section(".rela.debug_info"));
    object.put(at + SIZE.0, 8, 0);
    object.put(at + INFO.0, 4, 0);
    Loaded::new(object.0).graph();
}

#[test]
fn numbers_as_symbols_are_no_damage() {
    Loaded::new(assemble(
        ".globl a, b, c\na = 0x7fffffffffff\nb = -1\n.text\nc = . - 16\n.globl d\nd = . + 0x10000\nret\n",
    ))
    .graph();
}
