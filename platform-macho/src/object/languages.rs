//! What objects have for the runtimes of Objective-C and Swift: lists of classes, of categories, of protocols, of references
//! to change when the code is loaded.
//!
//! On macOS, the loader tells these runtimes of a linked image and its sections. Here, an object is an image: a function of
//! the process ([`Languages::Registered`]) is told of its sections, by an initializer that the reader adds, before
//! anything else of the object runs. So objects are registered in the order in which they are linked. The
//! function gets the address of a table:
//!
//! ```c
//! struct object {
//!     const void *dylib;    // &__dso_handle
//!     uint64_t count;
//!     struct { const char *name; void *start; uint64_t size; } sections[];    // in the object's order
//! };
//! ```
//!
//! Lists stay whole, whatever symbols are in them.

use jit_core::graph::{BlockId, Content, Edge, EdgeKind, SectionKind, Symbol, SymbolId, Target};
use jit_core::object::{Scope, SymbolKind};
use object::LittleEndian as LE;
use object::macho::Section64;

use super::added::{Added, external};
use super::blocks::Blocks;
use super::symbols::Symbols;
use super::view::{View, section_name};
use crate::machine::TABLE;
use crate::platform::{Languages, Sections};

/// The name of the header of the dylib that an object is in.
const DYLIB: &str = "__dso_handle";

/// What the runtime of Objective-C is told of.
const OF_OBJECTIVE_C: &[&[u8]] = &[
    b"__objc_classlist",
    b"__objc_nlclslist",
    b"__objc_catlist",
    b"__objc_catlist2",
    b"__objc_nlcatlist",
    b"__objc_protolist",
    b"__objc_protorefs",
    b"__objc_classrefs",
    b"__objc_superrefs",
    b"__objc_selrefs",
    b"__objc_msgrefs",
    IMAGE_INFO,
];

/// The version of the compiler's interface, and flags.
const IMAGE_INFO: &[u8] = b"__objc_imageinfo";
const IMAGE_INFO_SIZE: u64 = 8;

/// What all sections begin with that the runtime of Swift is told of.
const OF_SWIFT: &[u8] = b"__swift5_";

/// Whether a runtime is told of a section.
pub(super) fn is_told_of(section: &Section64<LE>) -> bool {
    let name = section_name(section);
    OF_OBJECTIVE_C.contains(&name) || name.starts_with(OF_SWIFT)
}

/// Why a section cannot be had in a process without runtimes of languages.
pub(super) fn refusal(section: &Section64<LE>) -> Option<&'static str> {
    let name = section_name(section);
    if name.starts_with(OF_SWIFT) {
        return Some("belongs to Swift, whose runtime is not in this process");
    }
    // Names of methods are plain strings, and of the image's information alone nothing depends.
    let is_plain = name == b"__objc_methname" || name == IMAGE_INFO;
    (name.starts_with(b"__objc_") && !is_plain)
        .then_some("belongs to Objective-C, whose runtime is not in this process")
}

/// The function that is to be told of the object's sections, if there are any.
pub(super) fn told(view: &View<'_>, languages: &Languages) -> Option<&'static str> {
    let Languages::Registered(function) = languages else {
        return None;
    };
    let mut sections = view.sections.iter();
    sections
        .any(|section| is_told_of(section) && section.size.get(LE) > 0)
        .then_some(*function)
}

/// The names that an object needs whose sections a function is told of.
pub(super) fn references(function: &'static str) -> [&'static str; 2] {
    [function, DYLIB]
}

/// Adds the table and the initializer, if there is something to tell.
///
/// # Errors
/// When the information on the image is of a kind that no runtime knows.
pub(super) fn register(
    view: &View<'_>,
    parts: (&mut Blocks, &mut Symbols, &mut Vec<Edge>),
    owned: &mut Vec<u8>,
    (languages, sections): (&Languages, &Sections),
) -> Result<Option<Added>, String> {
    let Some(function) = told(view, languages) else {
        return Ok(None);
    };
    let (blocks, symbols, edges) = parts;
    let mut maker = Maker {
        blocks,
        symbols,
        edges,
        owned,
    };
    let table = maker.table(view, sections)?;
    let code = view.machine.register;
    let names = |name: &str, maker: &mut Maker<'_>| match name {
        TABLE => table,
        _ => external(maker.blocks, maker.symbols, function),
    };
    let edges = code.edges.iter().map(|&(offset, name, kind, addend)| Edge {
        offset,
        target: names(name, &mut maker),
        addend,
        kind,
    });
    let edges: Vec<Edge> = edges.collect();
    let section = (sections.code, SectionKind::Text);
    let (block, call) = maker.add(section, code.bytes, 16, &edges);
    let initializer = (sections.initializers, SectionKind::RelocatedReadOnly);
    let (initializer, _) = maker.add(initializer, &[0; 8], 8, &[pointer(0, call)]);
    maker.blocks.retained.push(initializer);
    Ok(Some(Added { block, code }))
}

/// An edge that puts an address into a word.
fn pointer(offset: usize, target: SymbolId) -> Edge {
    Edge {
        offset: offset as u32,
        target,
        addend: 0,
        kind: EdgeKind::POINTER64,
    }
}

struct Maker<'a> {
    blocks: &'a mut Blocks,
    symbols: &'a mut Symbols,
    edges: &'a mut Vec<Edge>,
    owned: &'a mut Vec<u8>,
}

impl Maker<'_> {
    /// Adds a block, and a symbol for it.
    fn add(
        &mut self,
        (section, kind): (&str, SectionKind),
        bytes: &[u8],
        align: u64,
        edges: &[Edge],
    ) -> (BlockId, SymbolId) {
        let section = self.blocks.section(section, kind, 0);
        let start = self.owned.len();
        self.owned.extend_from_slice(bytes);
        let content = Content::Owned(start..self.owned.len());
        let size = bytes.len() as u64;
        let block = self.blocks.push(section, content, size, align);
        let first = self.edges.len() as u32;
        self.edges.extend_from_slice(edges);
        self.blocks.blocks[block.0 as usize].edges = first..self.edges.len() as u32;
        let symbol = SymbolId(self.symbols.symbols.len() as u32);
        self.symbols.symbols.push(Symbol {
            name: None,
            target: Target::Defined { block, offset: 0 },
            size,
            scope: Scope::Local,
            kind: match kind {
                SectionKind::Text => SymbolKind::Function,
                _ => SymbolKind::Data,
            },
            weak: false,
        });
        (block, symbol)
    }

    /// Adds the table of the object's sections.
    fn table(&mut self, view: &View<'_>, sections: &Sections) -> Result<SymbolId, String> {
        let mut words = vec![0u64; 2];
        let dylib = external(self.blocks, self.symbols, DYLIB);
        let mut edges = vec![pointer(0, dylib)];
        for (index, section) in (0u32..).zip(&view.sections) {
            let size = section.size.get(LE);
            if !is_told_of(section) || size == 0 {
                continue;
            }
            let name = section_name(section);
            if name == IMAGE_INFO {
                check_image_info(view, index)?;
            }
            let Some((block, _)) = self.blocks.at(index, 0) else {
                continue;
            };
            let text = [name, b"\0"].concat();
            let constants = (sections.constants, SectionKind::ReadOnly);
            let (_, text) = self.add(constants, &text, 1, &[]);
            edges.push(pointer(8 * words.len(), text));
            edges.push(pointer(8 * words.len() + 8, self.symbols.of_block(block)));
            words.extend([0, 0, size]);
            words[1] += 1;
        }
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let relocated = (sections.relocated_constants, SectionKind::RelocatedReadOnly);
        Ok(self.add(relocated, &bytes, 8, &edges).1)
    }
}

/// Checks what compilers say of an object for Objective-C: its size, and a version, which is 0.
fn check_image_info(view: &View<'_>, index: u32) -> Result<(), String> {
    let section = view.sections[index as usize];
    let content = view.content(section)?.unwrap_or(0..0);
    let version = view.bytes[content]
        .first_chunk()
        .map(|it| u32::from_le_bytes(*it));
    let text = view.section_text(index);
    match (section.size.get(LE), version) {
        (IMAGE_INFO_SIZE, Some(0)) => Ok(()),
        (IMAGE_INFO_SIZE, Some(version)) => Err(format!(
            "the section {text} has version {version}, and 0 alone is known"
        )),
        (size, _) => Err(format!(
            "the section {text} has {size} bytes in place of {IMAGE_INFO_SIZE}: it is damaged, or of several objects"
        )),
    }
}
