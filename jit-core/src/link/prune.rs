//! Third step: what is reachable is kept.
//!
//! Liveness runs over the whole batch: from the roots, through edges, across graphs. Two rules are not
//! plain reachability. A frame (FDE) follows its code: what it refers to (the LSDA) is kept if the code is,
//! and it keeps nothing of the code. And sections whose bounds are referred to (`__start_X`) are kept as a
//! whole.
//!
//! The search goes level by level: a level's blocks are visited in parallel, and marks are atomic.

use std::sync::atomic::{AtomicBool, Ordering};

use hashbrown::HashSet;
use rayon::prelude::*;

use super::parallel;
use super::state::{Bound, Link, Part};
use crate::batch::{DylibId, Resolution};
use crate::error::LinkError;
use crate::graph::{BlockId, SectionId, SymbolId, Target};
use crate::platform::LinkerDefined;

/// A block of the batch.
type Node = (u32, BlockId);

/// From how many blocks a level is visited in parallel.
const PARALLEL_LEVEL: usize = 512;

/// Clears `live` of every block that nothing needs. Without roots every block stays. `exported` are
/// definitions that the process's libraries take from the program.
pub(super) fn prune(link: &mut Link, exported: &[(u32, SymbolId)]) -> Result<(), LinkError> {
    let Some(roots) = link.batch.roots.clone() else {
        return Ok(());
    };
    let marks: Vec<Vec<AtomicBool>> = parallel::map_parts(&link.parts, |_, part| {
        part.graph
            .blocks
            .iter()
            .map(|_| AtomicBool::new(false))
            .collect()
    });
    let search = Search { link, marks };
    let mut level = Vec::new();
    for (dylib, name) in roots {
        if let Some(Resolution::InBatch { unit, symbol }) = link.host.own_definition(dylib, name) {
            search.reach(unit, symbol, &mut level, &mut Vec::new());
        }
    }
    for &(part, symbol) in exported {
        search.reach(part, symbol, &mut level, &mut Vec::new());
    }
    search.keep_sections(&mut level, |_, section| section.retained);
    search.run(level);
    let marks = search.marks;
    parallel::each_part(&mut link.parts, |index, part| {
        for (block, mark) in part.graph.blocks.iter_mut().zip(&marks[index as usize]) {
            block.live &= mark.load(Ordering::Relaxed);
        }
        Ok(())
    })
}

struct Search<'a> {
    link: &'a Link,
    marks: Vec<Vec<AtomicBool>>,
}

/// Bounds of output sections that live code refers to: the dylib and the section's name.
type Bounds = Vec<(DylibId, String)>;

impl Search<'_> {
    fn run(&self, mut level: Vec<Node>) {
        let mut known_bounds = HashSet::new();
        while !level.is_empty() {
            let visit = |(mut next, mut bounds): (Vec<Node>, Bounds), node: &Node| {
                self.visit(*node, &mut next, &mut bounds);
                (next, bounds)
            };
            let start = || (Vec::new(), Bounds::new());
            let (mut next, bounds) = if level.len() < PARALLEL_LEVEL {
                level.iter().fold(start(), visit)
            } else {
                level
                    .par_iter()
                    .with_min_len(64)
                    .fold(start, visit)
                    .reduce(start, |mut a, b| {
                        a.0.extend(b.0);
                        a.1.extend(b.1);
                        a
                    })
            };
            for (dylib, name) in bounds {
                if known_bounds.insert((dylib, name.clone())) {
                    self.keep_bounded(dylib, &name, &mut next);
                }
            }
            level = next;
        }
    }

    /// Marks what a live block needs.
    fn visit(&self, (index, block): Node, next: &mut Vec<Node>, bounds: &mut Bounds) {
        let part = &self.link.parts[index as usize];
        let graph = &part.graph;
        match part.frame_blocks.binary_search_by_key(&block, |f| f.block) {
            Ok(frame_block) => {
                for &edge in &part.frame_blocks[frame_block].record_edges {
                    self.reach(index, graph.edges[edge as usize].target, next, bounds);
                }
            }
            Err(_) => {
                for edge in graph.edges_of(block) {
                    self.reach(index, edge.target, next, bounds);
                }
            }
        }
        let frames = graph.blocks[block.0 as usize].frames.clone();
        for frame in &graph.frames[frames.start as usize..frames.end as usize] {
            self.mark((index, frame.block), next);
            let (start, end) = frame.edges;
            // The first edge is the code itself.
            for edge in graph.edges[start as usize..end as usize].iter().skip(1) {
                self.reach(index, edge.target, next, bounds);
            }
        }
    }

    /// Marks the block that a symbol lies in.
    fn reach(&self, part: u32, symbol: SymbolId, next: &mut Vec<Node>, bounds: &mut Bounds) {
        let from = &self.link.parts[part as usize];
        let target = from.graph.symbols[symbol.0 as usize].target;
        if let Target::Defined { block, .. } = target {
            self.mark((part, block), next);
        } else if let Some(external) = from.external(symbol) {
            let external = &self.link.externals[external as usize];
            match (&external.bound, &external.resolution) {
                (Bound::Part { part, symbol }, _) => {
                    let to = &self.link.parts[*part as usize].graph;
                    if let Target::Defined { block, .. } = to.symbols[symbol.0 as usize].target {
                        self.mark((*part, block), next);
                    }
                }
                (
                    Bound::Linker,
                    Resolution::Linker(
                        LinkerDefined::SectionStart(name) | LinkerDefined::SectionEnd(name),
                    ),
                ) => bounds.push((external.dylib, name.clone())),
                _ => {}
            }
        }
    }

    fn mark(&self, node: Node, next: &mut Vec<Node>) {
        let (part, block) = node;
        let live = self.link.parts[part as usize].graph.blocks[block.0 as usize].live;
        let mark = &self.marks[part as usize][block.0 as usize];
        // Most edges lead to what is marked already: the plain load keeps the cache line shared.
        if live && !mark.load(Ordering::Relaxed) && !mark.swap(true, Ordering::Relaxed) {
            next.push(node);
        }
    }

    /// Marks the blocks of an output section whose bounds are referred to.
    fn keep_bounded(&self, dylib: DylibId, name: &str, next: &mut Vec<Node>) {
        let Some(output) = self.link.context.names.find(name.as_bytes()) else {
            return;
        };
        let dylibs: Vec<bool> = self.link.groups.iter().map(|g| g.dylib == dylib).collect();
        self.keep_sections(next, |part, section| {
            dylibs[part.group as usize] && section.bounds_retained && section.output == output
        });
    }

    /// Marks the blocks of all sections that satisfy `keep`.
    fn keep_sections<F>(&self, next: &mut Vec<Node>, keep: F)
    where
        F: Fn(&Part, &crate::graph::Section) -> bool,
    {
        for (index, part) in self.link.parts.iter().enumerate() {
            let kept: Vec<bool> = part.graph.sections.iter().map(|s| keep(part, s)).collect();
            if !kept.contains(&true) {
                continue;
            }
            for (number, block) in part.graph.blocks.iter().enumerate() {
                let SectionId(section) = block.section;
                if kept[section as usize] {
                    self.mark((index as u32, BlockId(number as u32)), next);
                }
            }
        }
    }
}
