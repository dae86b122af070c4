//! What the reader adds to an object: the functions of its thread-locals, and others of macOS that are a few
//! instructions.
//!
//! A Mach-O thread-local is reached through a *descriptor* of three words: a function, a number for the loader, and
//! the place of the initial value. Code loads the descriptor's address into the first argument's register and calls
//! the function, which returns the address of the calling thread's variable and keeps all other registers. The
//! compiler has the first word lead to `_tlv_bootstrap`, for the loader to replace.
//!
//! Here, thread-locals lie at fixed distances from the thread pointer. The third word gets that distance, and
//! the first leads to a function of three instructions that adds it. Destructors are filed with `_tlv_atexit`, which
//! is not told of which library they are; each object has its own one, which tells.

use jit_core::graph::{BlockId, Content, Edge, Section, SectionKind, Symbol, SymbolId, Target};
use jit_core::object::{Scope, SymbolKind};
use object::LittleEndian as LE;

use super::blocks::Blocks;
use super::interface::plain_name;
use super::relocations::DESCRIPTORS;
use super::symbols::Symbols;
use super::view::{self, Place, View};
use crate::machine::{Code, Machine};
use crate::platform::Sections;

/// Bytes of a descriptor, and where its third word is.
const DESCRIPTOR_SIZE: u64 = 24;
const DISTANCE_AT: u64 = 16;

/// A function that was added.
pub(crate) struct Added {
    /// Its block.
    pub block: BlockId,
    /// What it is.
    pub code: &'static Code,
}

/// What the reader has for a name that an object refers to.
pub(super) fn code_for(machine: &'static Machine, name: &[u8]) -> Option<&'static Code> {
    let mut added = machine.added.iter();
    let found = added.find(|(known, _)| known.as_bytes() == name)?;
    Some(&found.1)
}

/// Adds the functions that the object refers to, and has its descriptors say where variables are. Returns the
/// functions.
///
/// # Errors
/// When a descriptor is damaged.
pub(super) fn add(
    view: &View<'_>,
    (blocks, symbols, edges): (&mut Blocks, &mut Symbols, &mut Vec<Edge>),
    owned: &mut Vec<u8>,
    sections: &Sections,
) -> Result<Vec<Added>, String> {
    lower_descriptors(view, blocks, symbols, edges)?;
    let mut added = Vec::new();
    for (index, symbol) in (0u32..).zip(view.symbols) {
        if !view::is_global(symbol) || view.place(index, symbol)? != Place::Undefined {
            continue;
        }
        let name = plain_name(view.name(symbol).unwrap_or_default());
        let Some(code) = code_for(view.machine, name) else {
            continue;
        };
        let section = blocks.section(sections.code, SectionKind::Text, 0);
        let start = owned.len();
        owned.extend_from_slice(code.bytes);
        let content = Content::Owned(start..owned.len());
        let block = blocks.push(section, content, code.bytes.len() as u64, 16);
        let first = edges.len() as u32;
        for &(offset, name, kind, addend) in code.edges {
            let target = external(blocks, symbols, name);
            edges.push(Edge {
                offset,
                target,
                addend,
                kind,
            });
        }
        blocks.blocks[block.0 as usize].edges = first..edges.len() as u32;
        let symbol = &mut symbols.symbols[index as usize];
        symbol.name = None;
        symbol.scope = Scope::Local;
        symbol.weak = false;
        symbol.kind = SymbolKind::Function;
        symbol.target = Target::Defined { block, offset: 0 };
        added.push(Added { block, code });
    }
    Ok(added)
}

/// A new symbol for a name that others define.
pub(super) fn external(blocks: &mut Blocks, symbols: &mut Symbols, name: &str) -> SymbolId {
    let id = SymbolId(symbols.symbols.len() as u32);
    symbols.symbols.push(Symbol {
        name: Some(blocks.uses.intern(name.as_bytes())),
        target: Target::External,
        size: 0,
        scope: Scope::Default,
        kind: SymbolKind::None,
        weak: false,
    });
    id
}

/// Has the third word of each descriptor say how far the variable is from the thread pointer.
fn lower_descriptors(
    view: &View<'_>,
    blocks: &Blocks,
    symbols: &Symbols,
    edges: &mut [Edge],
) -> Result<(), String> {
    for (block, (section, start)) in blocks.blocks.iter().zip(&blocks.origins) {
        let header = view.sections[*section as usize];
        if header.flags.get(LE).typ() != DESCRIPTORS {
            continue;
        }
        let own = block.edges.start as usize..block.edges.end as usize;
        for edge in &mut edges[own] {
            let offset = start + u64::from(edge.offset);
            let place = offset % DESCRIPTOR_SIZE;
            if place == 0 {
                continue;
            }
            let target = symbols.symbols.get(edge.target.0 as usize);
            let leads_to_value =
                target.is_some_and(|target| is_thread_local(target.target, blocks));
            if place != DISTANCE_AT || !leads_to_value {
                return Err(format!(
                    "the descriptor at {}+{offset:#x} does not lead to a thread-local's initial value",
                    view.section_text(*section)
                ));
            }
            edge.kind = view.machine.thread_offset;
        }
    }
    Ok(())
}

fn is_thread_local(target: Target, blocks: &Blocks) -> bool {
    let Target::Defined { block, .. } = target else {
        return false;
    };
    let section: Option<&Section> = blocks
        .blocks
        .get(block.0 as usize)
        .and_then(|block| blocks.sections.get(block.section.0 as usize));
    section.is_some_and(|section| section.kind == SectionKind::ThreadLocal)
}
