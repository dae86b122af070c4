//! Literals of the same bytes are one in memory.
//!
//! Some sections say that nobody can tell their blocks from others with the same bytes
//! ([`crate::graph::Section::mergeable`]): strings, numbers. In each group, the first of such blocks in link order
//! gets a place. The others are not laid out: they get the address of the first, and symbols and edges lead to
//! them as ever.

use std::hash::{BuildHasher as _, Hash as _, Hasher as _};

use hashbrown::{DefaultHashBuilder, HashTable};
use orc_shared::ExecutorAddr;

use super::parallel;
use super::state::{Link, Merged, Part};
use crate::error::LinkError;
use crate::graph::{Block, BlockId, Content, Section};

/// A block that may be merged, with a hash of all that has to be the same.
type Literal = (BlockId, u64);

/// Finds the blocks that get no place of their own.
pub(super) fn merge_literals(link: &mut Link) {
    let hasher = DefaultHashBuilder::default();
    let literals = parallel::map_parts(&link.parts, |_, part| literals(part, &hasher));
    if literals.iter().all(Vec::is_empty) {
        return;
    }
    for group in &link.groups {
        let mut known: HashTable<(u32, BlockId, u64)> = HashTable::new();
        for &number in &group.parts {
            for &(block, hash) in &literals[number as usize] {
                let part = &link.parts[number as usize];
                let is_same = |it: &(u32, BlockId, u64)| {
                    it.2 == hash && is_same((&link.parts[it.0 as usize], it.1), (part, block))
                };
                let Some(&(first_part, first, _)) = known.find(hash, is_same) else {
                    known.insert_unique(hash, (number, block, hash), |it| it.2);
                    continue;
                };
                let align = part.graph.blocks[block.0 as usize].align;
                let own = &mut link.parts[number as usize].merged;
                own.push((block, (first_part, first)));
                let first = &mut link.parts[first_part as usize].graph.blocks[first.0 as usize];
                first.align = first.align.max(align);
            }
        }
    }
}

/// The blocks of a part that may be merged, in their order.
fn literals(part: &Part, hasher: &DefaultHashBuilder) -> Vec<Literal> {
    let graph = &part.graph;
    if !graph.sections.iter().any(is_mergeable) {
        return Vec::new();
    }
    let blocks = (0u32..).map(BlockId).zip(&graph.blocks);
    let literals = blocks.filter(|(_, block)| {
        let section = &graph.sections[block.section.0 as usize];
        is_mergeable(section) && is_literal(block)
    });
    let hash = |(id, block): (BlockId, &Block)| {
        let section = &graph.sections[block.section.0 as usize];
        let mut state = hasher.build_hasher();
        (section.output, section.kind).hash(&mut state);
        graph.content(id).hash(&mut state);
        (id, state.finish())
    };
    literals.map(hash).collect()
}

/// Whether a section's blocks may be merged: of one whose bounds code may ask for, all have their places.
fn is_mergeable(section: &Section) -> bool {
    section.mergeable && !section.bounds_retained
}

/// Whether a block is nothing but bytes.
fn is_literal(block: &Block) -> bool {
    let has_bytes = matches!(block.content, Content::Input(_) | Content::Owned(_));
    block.live && has_bytes && block.edges.is_empty() && block.frames.is_empty() && block.size > 0
}

/// Whether two blocks that may be merged can be one.
fn is_same(first: (&Part, BlockId), second: (&Part, BlockId)) -> bool {
    let section = |(part, block): (&Part, BlockId)| {
        let section = part.graph.blocks[block.0 as usize].section;
        let section = &part.graph.sections[section.0 as usize];
        (section.output, section.kind)
    };
    section(first) == section(second)
        && first.0.graph.content(first.1) == second.0.graph.content(second.1)
}

/// Gives merged blocks the addresses of those that they are merged with.
pub(super) fn assign_addresses(link: &mut Link) -> Result<(), LinkError> {
    if link.parts.iter().all(|part| part.merged.is_empty()) {
        return Ok(());
    }
    let address = |&(_, (part, block)): &Merged| -> ExecutorAddr {
        let first = &link.parts[part as usize].graph;
        first.blocks[block.0 as usize].address
    };
    let addresses: Vec<Vec<ExecutorAddr>> = parallel::map_parts(&link.parts, |_, part| {
        part.merged.iter().map(address).collect()
    });
    parallel::each_part(&mut link.parts, |index, part| {
        for ((block, _), address) in part.merged.iter().zip(&addresses[index as usize]) {
            part.graph.blocks[block.0 as usize].address = *address;
        }
        Ok(())
    })
}

impl Part {
    /// Whether another block has a place for this one as well.
    pub(super) fn is_merged(&self, block: BlockId) -> bool {
        self.merged
            .binary_search_by_key(&block, |merged| merged.0)
            .is_ok()
    }
}
