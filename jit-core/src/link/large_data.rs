//! How much memory live blocks take, and whether large data lies apart from the rest.
//!
//! Data of the medium code model (`.ldata`, `.lbss`) is referred to with 64-bit fields by all code that
//! knows of it; so is all data of the large one. As long as there is little, it lies with the rest, where
//! 32-bit fields of other code reach it, too, as they may in a linked program.

use std::collections::BTreeSet;

use hashbrown::HashSet;

use super::linker_part;
use super::parallel;
use super::state::{Bound, External, Link, Part, Uses};
use crate::error::LinkError;
use crate::graph::{Block, BlockId, Section, SectionKind, SymbolId, Target};
use crate::object::ObjectError;

/// Bytes of everything up to which large data lies with the rest.
const TOGETHER_MAX: u64 = 512 << 20;

/// Bytes from which on other data is large, too, if nothing refers to it with 32-bit fields.
const LARGE_MIN: u64 = 16 << 20;

/// Bytes that 32-bit references reach, less what lowering and layout add.
const NEAR_MAX: u64 = 2016 << 20;

/// Bytes for what lowering and layout add, at most.
const ADDED_MAX: u64 = 64 << 20;

/// Bytes of live blocks, aligned.
#[derive(Clone, Copy, Default)]
struct Sizes {
    near: u64,
    large: u64,
}

/// Sets [`Link::near_size`], and which groups have large data that lies elsewhere.
pub(super) fn place_large_data(link: &mut Link) -> Result<(), LinkError> {
    let mut sizes = sizes(link);
    if sizes.near.saturating_add(sizes.large) > TOGETHER_MAX {
        find_large_blocks(link);
        sizes = place_apart(link);
    } else {
        sizes.near += sizes.large;
    }
    if sizes.near > NEAR_MAX {
        return Err(too_much(link, sizes.near));
    }
    // Tables, stubs and names are some percent of what refers to them.
    link.near_size = sizes.near + (sizes.near / 16).min(ADDED_MAX);
    Ok(())
}

/// The error of more than 32-bit fields reach: it names what takes most of it.
fn too_much(link: &Link, near: u64) -> LinkError {
    let blocks = link.parts.iter().flat_map(|part| {
        let blocks = (0u32..).zip(&part.graph.blocks);
        let near = blocks.filter(|(_, block)| block.live && !lies_apart(part, block));
        near.map(move |(number, block)| (block.size, part, BlockId(number)))
    });
    let largest = blocks.max_by_key(|(size, ..)| *size);
    let (object, section, size) = largest.map_or_else(Default::default, |(size, part, id)| {
        (part.graph.name.clone(), part.graph.block_name(id), size)
    });
    let message = format!(
        "section {section} takes {} MiB of the {} MiB of code and data that refer to each other with \
         32-bit fields, which reach 2 GiB: compile what uses large arrays with -mcmodel=medium",
        size >> 20,
        near >> 20
    );
    LinkError::Object(ObjectError { object, message })
}

fn lies_apart(part: &Part, block: &Block) -> bool {
    let kind = part.graph.sections[block.section.0 as usize].kind;
    matches!(kind, SectionKind::LargeReadWrite | SectionKind::ThreadLocal)
}

fn sizes(link: &Link) -> Sizes {
    let of_parts = parallel::map_parts(&link.parts, |_, part| sizes_of(part));
    of_parts.into_iter().fold(Sizes::default(), Sizes::plus)
}

/// Notes which groups have large data.
fn place_apart(link: &mut Link) -> Sizes {
    let mut all = Sizes::default();
    for part in &link.parts {
        let sizes = sizes_of(part);
        link.groups[part.group as usize].large_apart |= sizes.large > 0;
        all = all.plus(sizes);
    }
    all
}

/// Makes large data of what is large, and is not referred to with 32-bit fields.
fn find_large_blocks(link: &mut Link) {
    let direct = |external: &&External| external.uses.contains(Uses::DIRECT);
    let reached_directly: HashSet<(u32, SymbolId)> = link
        .externals
        .iter()
        .filter(direct)
        .filter_map(|external| match external.bound {
            Bound::Part { part, symbol } => Some((part, symbol)),
            _ => None,
        })
        .collect();
    for (index, part) in (0u32..).zip(&mut link.parts) {
        let mut large = large_blocks(part);
        for (number, symbol) in part.graph.symbols.iter().enumerate() {
            let Target::Defined { block, .. } = symbol.target else {
                continue;
            };
            let id = SymbolId(number as u32);
            let uses = part.uses.get(number);
            if uses.is_some_and(|uses| uses.contains(Uses::DIRECT))
                || reached_directly.contains(&(index, id))
            {
                large.remove(&block);
            }
        }
        for block in large {
            let section = part.graph.blocks[block.0 as usize].section;
            let section = Section {
                kind: SectionKind::LargeReadWrite,
                ..part.graph.sections[section.0 as usize].clone()
            };
            let section = linker_part::push_section(&mut part.graph, section);
            part.graph.blocks[block.0 as usize].section = section;
        }
    }
}

/// A part's large blocks of data, whoever refers to them.
fn large_blocks(part: &Part) -> BTreeSet<BlockId> {
    let sections = &part.graph.sections;
    let blocks = (0u32..).zip(&part.graph.blocks);
    let large = blocks.filter(|(_, block)| {
        let section = &sections[block.section.0 as usize];
        // What is referred to as a whole stays together.
        let is_large = block.size >= LARGE_MIN && section.kind == SectionKind::ReadWrite;
        block.live && is_large && !section.bounds_retained
    });
    let large = large.map(|(number, _)| BlockId(number));
    large
        .filter(|block| !part.graph.retained.contains(block))
        .collect()
}

impl Sizes {
    fn plus(self, other: Self) -> Self {
        Self {
            near: self.near.saturating_add(other.near),
            large: self.large.saturating_add(other.large),
        }
    }
}

fn sizes_of(part: &Part) -> Sizes {
    let mut sizes = Sizes::default();
    let sections = &part.graph.sections;
    for block in part.graph.blocks.iter().filter(|block| block.live) {
        let to = match sections[block.section.0 as usize].kind {
            SectionKind::LargeReadWrite => &mut sizes.large,
            SectionKind::ThreadLocal => continue,
            _ => &mut sizes.near,
        };
        *to = to
            .saturating_add(block.size)
            .saturating_add(block.align - 1);
    }
    sizes
}
