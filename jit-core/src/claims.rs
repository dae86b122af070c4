//! Claims: which of an object's definitions are in force in a dylib, applied to its graph.
//!
//! A graph is made of the object alone, so that it can be kept and linked into several dylibs, or by several
//! sessions. What another object's definition wins over is taken out by [`LinkGraph::apply`], in one pass
//! over what the claims name.

use crate::graph::{BlockId, Displaced, LinkGraph, SymbolId, Target};
use crate::object::Claims;
use crate::symbol::{Scope, SymbolKind};

impl LinkGraph {
    /// Takes out what lost to other objects: blocks of lost groups die, and what they define is another
    /// object's; symbols that lost become references to the winner; common symbols get the size and
    /// alignment to allocate. What the reader of the object has left out by the same claims already is
    /// no loss.
    pub fn apply(&mut self, claims: &Claims) {
        self.discard_groups(&claims.lost_groups);
        for &(symbol, size, align) in &claims.commons {
            if let Some(block) = self.common_block(SymbolId(symbol)) {
                let block = &mut self.blocks[block.0 as usize];
                block.size = size;
                block.align = align.max(1);
            }
        }
        for &lost in &claims.lost_symbols {
            self.lose(SymbolId(lost));
        }
    }

    fn discard_groups(&mut self, lost: &[u32]) {
        if lost.is_empty() || self.groups.is_empty() {
            return;
        }
        let mut discarded = vec![false; self.blocks.len()];
        for (block, group) in &self.groups {
            if lost.binary_search(group).is_ok() {
                discarded[block.0 as usize] = true;
                self.blocks[block.0 as usize].live = false;
            }
        }
        for symbol in &mut self.symbols {
            if let Target::Defined { block, .. } = symbol.target
                && discarded[block.0 as usize]
            {
                // The group's winner defines the names that everybody may use.
                symbol.target = match symbol.scope {
                    Scope::Local => Target::Discarded,
                    Scope::Default | Scope::Protected | Scope::Hidden => Target::External,
                };
            }
        }
    }

    /// The block of a common symbol.
    fn common_block(&self, symbol: SymbolId) -> Option<BlockId> {
        let at = self
            .commons
            .binary_search_by_key(&symbol, |common| common.0);
        Some(self.commons[at.ok()?].1)
    }

    /// Makes a definition a reference to the one that won. Where it has a place, the place is noted.
    fn lose(&mut self, lost: SymbolId) {
        let Some(symbol) = self.symbols.get_mut(lost.0 as usize) else {
            return;
        };
        let (own, kind) = (symbol.target, symbol.kind);
        symbol.target = Target::External;
        if let Some(block) = self.common_block(lost) {
            self.blocks[block.0 as usize].live = false;
            return;
        }
        // An IFUNC's place is that of a resolver.
        if let Target::Defined { block, offset } = own
            && kind != SymbolKind::IndirectFunction
        {
            self.displaced.push(Displaced {
                symbol: lost,
                block,
                offset,
            });
        }
    }
}
