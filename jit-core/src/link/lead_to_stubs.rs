//! Functions that have stubs have their addresses there, also for the objects that define them.

use hashbrown::HashMap;

use crate::cpu::{Cpu, Kinds};
use crate::graph::{LinkGraph, Symbol, SymbolId, Target};
use crate::name::NameId;
use crate::object::{Scope, SymbolKind};

/// Leads what takes the address of a symbol that has a stub to the stub; calls too, if the object can be
/// `replaced`. Other calls stay, and so do frames, which describe the code itself.
pub(super) fn lead_to_stubs<C: Cpu>(
    graph: &mut LinkGraph,
    stubs: &[(SymbolId, NameId)],
    replaced: bool,
) {
    if stubs.is_empty() {
        return;
    }
    let mut instead = HashMap::with_capacity(stubs.len());
    for (function, stub) in stubs {
        instead.insert(*function, SymbolId(graph.symbols.len() as u32));
        graph.symbols.push(Symbol {
            name: Some(*stub),
            target: Target::External,
            size: 0,
            scope: Scope::Default,
            kind: SymbolKind::Function,
            weak: false,
        });
    }
    let mut in_frames = vec![false; graph.edges.len()];
    for frame in &graph.frames {
        let (start, end) = (frame.edges.0 as usize, frame.edges.1 as usize);
        if let Some(edges) = in_frames.get_mut(start..end) {
            edges.fill(true);
        }
    }
    let edges = graph.edges.iter_mut().zip(&in_frames);
    for (edge, _) in edges.filter(|(_, in_frame)| !**in_frame) {
        let is_branch = C::Kind::from_edge(edge.kind).is_some_and(|kind| kind.facts().is_branch);
        if let Some(stub) = instead.get(&{ edge.target })
            && (replaced || !is_branch)
        {
            edge.target = *stub;
        }
    }
}
