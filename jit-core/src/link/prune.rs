//! What is reachable is kept.
//!
//! Liveness runs over the whole batch: from the roots, through edges, across graphs. Two rules are
//! not plain reachability. A frame (FDE) follows its code: what it refers to (the LSDA) is kept if
//! the code is, and it keeps nothing of the code. And sections whose bounds are referred to
//! (`__start_X`) are kept as a whole.
//!
//! Blocks of the batch are numbered through as *nodes*. A table per graph says which node each
//! symbol leads to, so that following an edge reads two small arrays. Whoever searches and has found
//! much to visit leaves half of it to other threads; marks are atomic.

use std::sync::atomic::{AtomicBool, Ordering};

use hashbrown::HashSet;
use parking_lot::Mutex;

use super::parallel;
use super::state::{Bound, External, Link, OWN, Part};
use crate::batch::{DylibId, Resolution};
use crate::error::LinkError;
use crate::graph::{BlockId, Section, SymbolId, Target};
use crate::platform::LinkerDefined;
use crate::threads;

/// How many blocks wait for a visit when half of them are left to another thread.
const MANY: usize = 512;

/// A block of the batch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Node(u32);

impl Node {
    /// The symbol lies in no block.
    const NONE: Node = Node(u32::MAX);
    /// The symbol is a bound of an output section.
    const BOUND: Node = Node(u32::MAX - 1);
}

/// What visits have found and nobody has visited.
#[derive(Default)]
struct Found {
    /// In the part that is being visited.
    here: Vec<Node>,
    /// In other parts.
    elsewhere: Vec<Node>,
    bounds: Bounds,
}

/// The part that is being visited.
struct PartView<'a> {
    part: &'a Part,
    /// Its first node.
    first: u32,
    /// The node after its last.
    end: u32,
    /// Per symbol: the node it leads to.
    nodes: &'a [Node],
}

/// Bounds of output sections that live code refers to: the dylib and the section's name.
type Bounds = Vec<(DylibId, String)>;

/// Clears `live` of every block that nothing needs. Without roots every block stays. `exported` are
/// definitions that the process's libraries take from the program.
pub(super) fn prune(link: &mut Link, exported: &[(u32, SymbolId)]) -> Result<(), LinkError> {
    let Some(roots) = &link.batch.roots else {
        return Ok(());
    };
    let search = Search::new(link);
    let mut waiting = Vec::new();
    let definitions =
        roots.iter().filter_map(
            |(dylib, name)| match link.host.own_definition(*dylib, *name) {
                Some(Resolution::InBatch { unit, symbol }) => Some((unit, symbol)),
                _ => None,
            },
        );
    for (part, symbol) in definitions.chain(exported.iter().copied()) {
        let known = search.nodes.get(part as usize);
        if let Some(node) = known.and_then(|nodes| nodes.get(symbol.0 as usize)) {
            search.mark(*node, &mut waiting);
        }
    }
    search.keep_retained(&mut waiting);
    search.run(waiting);
    let Search { marks, first, .. } = search;
    parallel::each_part(&mut link.parts, |index, part| {
        let marks = &marks[first[index as usize] as usize..];
        for (block, mark) in part.graph.blocks.iter_mut().zip(marks) {
            block.live &= mark.load(Ordering::Relaxed);
        }
        Ok(())
    })
}

struct Search<'a> {
    link: &'a Link,
    /// Per part: the node of its first block.
    first: Vec<u32>,
    /// Per node: its part.
    part_of: Vec<u32>,
    /// Per part and symbol: the node it leads to.
    nodes: Vec<Vec<Node>>,
    /// Per node: whether it is marked. Blocks that were discarded count as marked.
    marks: Vec<AtomicBool>,
}

impl<'a> Search<'a> {
    fn new(link: &'a Link) -> Self {
        let mut first = Vec::with_capacity(link.parts.len());
        let mut part_of = Vec::new();
        for (index, part) in link.parts.iter().enumerate() {
            first.push(part_of.len() as u32);
            part_of.resize(part_of.len() + part.graph.blocks.len(), index as u32);
        }
        let external = |external: &External| node_of_external(link, &first, external);
        let externals: Vec<Node> = parallel::map_externals(link, external);
        let marks: Vec<AtomicBool> = part_of.iter().map(|_| AtomicBool::new(false)).collect();
        let nodes = parallel::map_parts(&link.parts, |index, part| {
            let first = first[index as usize];
            for (mark, block) in marks[first as usize..].iter().zip(&part.graph.blocks) {
                if !block.live {
                    mark.store(true, Ordering::Relaxed);
                }
            }
            let node = |(number, symbol): (usize, &crate::graph::Symbol)| match symbol.target {
                Target::Defined { block, .. } | Target::Computed { block, .. } => {
                    Node(first + block.0)
                }
                Target::External => match part.externals[number] {
                    OWN => Node::NONE,
                    external => externals[external as usize],
                },
                Target::Absolute(_) | Target::Discarded => Node::NONE,
            };
            part.graph.symbols.iter().enumerate().map(node).collect()
        });
        Self {
            link,
            first,
            part_of,
            nodes,
            marks,
        }
    }

    fn run(&self, mut waiting: Vec<Node>) {
        let mut known_bounds = HashSet::new();
        while !waiting.is_empty() {
            let bounds = Mutex::default();
            self.visit_all(&mut waiting, &bounds);
            if !waiting.is_empty() {
                let rest = std::mem::take(&mut waiting);
                threads::share(|| rayon::scope(|scope| self.share(scope, rest, &bounds)));
            }
            for (dylib, name) in bounds.into_inner() {
                if known_bounds.insert((dylib, name.clone())) {
                    self.keep_bounded(dylib, &name, &mut waiting);
                }
            }
        }
    }

    /// Visits blocks and all they lead to, with other threads.
    fn share<'s>(
        &'s self,
        scope: &rayon::Scope<'s>,
        mut waiting: Vec<Node>,
        bounds: &'s Mutex<Bounds>,
    ) {
        // In memory order, neighbours share their part's tables.
        waiting.sort_unstable();
        loop {
            self.visit_all(&mut waiting, bounds);
            if waiting.is_empty() {
                return;
            }
            let rest = waiting.split_off(waiting.len() / 2);
            scope.spawn(move |scope| self.share(scope, rest, bounds));
        }
    }

    /// Visits blocks and all they lead to; stops early when many wait.
    fn visit_all(&self, waiting: &mut Vec<Node>, bounds: &Mutex<Bounds>) {
        let mut found = Found::default();
        while let Some(node) = waiting.pop() {
            self.visit_part(node, &mut found);
            waiting.append(&mut found.elsewhere);
            if waiting.len() >= MANY {
                break;
            }
        }
        if !found.bounds.is_empty() {
            bounds.lock().append(&mut found.bounds);
        }
    }

    /// Visits a block, and what it leads to in the same part.
    fn visit_part(&self, node: Node, found: &mut Found) {
        let index = self.part_of[node.0 as usize];
        let first = self.first[index as usize];
        let part = &self.link.parts[index as usize];
        let view = PartView {
            part,
            first,
            end: first + part.graph.blocks.len() as u32,
            nodes: &self.nodes[index as usize],
        };
        found.here.push(node);
        while let Some(node) = found.here.pop() {
            self.visit(&view, BlockId(node.0 - first), found);
        }
    }

    /// Marks what a live block needs.
    fn visit(&self, view: &PartView<'_>, block: BlockId, found: &mut Found) {
        let graph = &view.part.graph;
        let mut reach = |symbol: SymbolId| match view.nodes[symbol.0 as usize] {
            Node::BOUND => found.bounds.extend(self.bound(view.part, symbol)),
            node if (view.first..view.end).contains(&node.0) => self.mark(node, &mut found.here),
            node => self.mark(node, &mut found.elsewhere),
        };
        let frame_blocks = &view.part.frame_blocks;
        match frame_blocks.binary_search_by_key(&block, |f| f.block) {
            Ok(frame_block) => {
                for &edge in &frame_blocks[frame_block].record_edges {
                    reach(graph.edges[edge as usize].target);
                }
            }
            Err(_) => graph
                .edges_of(block)
                .iter()
                .for_each(|edge| reach(edge.target)),
        }
        let frames = graph.blocks[block.0 as usize].frames.clone();
        for frame in &graph.frames[frames.start as usize..frames.end as usize] {
            let (start, end) = frame.edges;
            // The first edge is the code itself.
            for edge in graph.edges[start as usize..end as usize].iter().skip(1) {
                reach(edge.target);
            }
        }
        for frame in &graph.frames[frames.start as usize..frames.end as usize] {
            self.mark(Node(view.first + frame.block.0), &mut found.here);
        }
    }

    /// The bound of an output section that a symbol is.
    fn bound(&self, part: &Part, symbol: SymbolId) -> Option<(DylibId, String)> {
        let external = &self.link.externals[part.external(symbol)? as usize];
        match &external.resolution {
            Resolution::Linker(
                LinkerDefined::SectionStart(name)
                | LinkerDefined::SectionEnd(name)
                | LinkerDefined::SectionSize(name),
            ) => Some((external.dylib, name.clone())),
            _ => None,
        }
    }

    fn mark(&self, node: Node, next: &mut Vec<Node>) {
        // `NONE` and `BOUND` are out of bounds of the marks.
        let Some(mark) = self.marks.get(node.0 as usize) else {
            return;
        };
        // Most edges lead to what is marked already: the plain load keeps the cache line shared.
        if !mark.load(Ordering::Relaxed) && !mark.swap(true, Ordering::Relaxed) {
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

    /// Marks the blocks that stay whatever refers to them.
    fn keep_retained(&self, next: &mut Vec<Node>) {
        for (part, first) in self.link.parts.iter().zip(&self.first) {
            for block in &part.graph.retained {
                self.mark(Node(first + block.0), next);
            }
        }
    }

    /// Marks the blocks of all sections that satisfy `keep`.
    fn keep_sections(&self, next: &mut Vec<Node>, keep: impl Fn(&Part, &Section) -> bool + Sync) {
        let nodes = parallel::map_parts(&self.link.parts, |index, part| {
            let sections = &part.graph.sections;
            if !sections.iter().any(|section| keep(part, section)) {
                return Vec::new();
            }
            let blocks = (self.first[index as usize]..).zip(&part.graph.blocks);
            let kept = blocks.filter(|(_, b)| keep(part, &sections[b.section.0 as usize]));
            kept.map(|(node, _)| Node(node)).collect()
        });
        for node in nodes.into_iter().flatten() {
            self.mark(node, next);
        }
    }
}

/// The node that an external leads to.
fn node_of_external(link: &Link, first: &[u32], external: &External) -> Node {
    match (&external.bound, &external.resolution) {
        (Bound::Part { part, symbol }, _) => {
            let to = &link.parts[*part as usize].graph;
            match to.symbols[symbol.0 as usize].target {
                Target::Defined { block, .. } | Target::Computed { block, .. } => {
                    Node(first[*part as usize] + block.0)
                }
                Target::Absolute(_) | Target::External | Target::Discarded => Node::NONE,
            }
        }
        (
            Bound::Linker,
            Resolution::Linker(
                LinkerDefined::SectionStart(_)
                | LinkerDefined::SectionEnd(_)
                | LinkerDefined::SectionSize(_),
            ),
        ) => Node::BOUND,
        _ => Node::NONE,
    }
}
