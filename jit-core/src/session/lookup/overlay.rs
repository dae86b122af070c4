//! What names mean to objects that are about to replace others.
//!
//! Nobody else sees these objects before they are linked. They see each other, and all of their dylib but what
//! they replace: an overlay is a symbol table in front of the dylib's own. It starts with those of
//! the dylib's entries that the new objects compete with, so that the rules of linkers hold.

use std::sync::Arc;

use crate::batch::NativeBinding;
use crate::ids::{DylibId, UnitId};
use crate::name::NameId;
use crate::session::batches::query::Then;
use crate::session::batches::work::Formed;
use crate::session::lookup::resolve::Resolver;
use crate::session::tables::ids::{IdMap, IdSet};
use crate::session::tables::state::State;
use crate::session::tables::symbol_table::{Clash, Entry, SymbolTable};
use crate::statics::KnownStatics;

/// See the module.
pub(in crate::session) struct Overlay {
    dylib: DylibId,
    table: SymbolTable,
    replaced: IdSet<UnitId>,
    /// What each unit sees of the variables that are there.
    running: IdMap<UnitId, Arc<KnownStatics>>,
}

impl Overlay {
    /// The overlay of new units of a dylib, which the dylib does not list yet.
    pub(in crate::session) fn new(
        state: &mut State,
        dylib: DylibId,
        units: &[UnitId],
        replaced: &[UnitId],
        running: IdMap<UnitId, Arc<KnownStatics>>,
    ) -> Result<Self, (UnitId, Vec<Clash>)> {
        let replaced: IdSet<UnitId> = replaced.iter().copied().collect();
        let below = &state.dylibs.get(dylib).table;
        let mut table = SymbolTable::default();
        for unit in units {
            let interface = state.units[*unit].source.interface();
            table.seed(below, interface, &replaced);
        }
        for unit in units {
            let merged = table.merge(&mut state.units, *unit, None);
            if !merged.clashes.is_empty() {
                return Err((*unit, merged.clashes));
            }
        }
        Ok(Self {
            dylib,
            table,
            replaced,
            running,
        })
    }

    /// What a unit sees of the variables that are there.
    pub(in crate::session) fn running(&self, unit: UnitId) -> Option<Arc<KnownStatics>> {
        self.running.get(&unit).cloned()
    }
}

impl Resolver<'_> {
    /// Links units that are about to replace others, which nobody else sees yet.
    pub(in crate::session) fn link_overlay(
        mut self,
        overlay: Overlay,
        units: &[UnitId],
        then: Then,
    ) -> Option<Formed> {
        self.overlay = Some(overlay);
        {
            let session = self.session;
            let mut state = session.state.lock();
            for unit in units {
                self.undefined_allowed |= state.dylib(state.units[*unit].dylib).undefined_allowed;
                self.claim(&mut state, *unit);
            }
        }
        self.resolve();
        self.form(NativeBinding::Immediate, None, &[], Some(then))
    }

    /// What a dylib's table knows of a name, as this lookup sees it.
    pub(in crate::session) fn entry<'s>(
        &'s self,
        state: &'s State,
        dylib: DylibId,
        name: NameId,
    ) -> Option<&'s Entry> {
        let below = state.dylib(dylib).table.get(name);
        let Some(overlay) = self.overlay.as_ref().filter(|it| it.dylib == dylib) else {
            return below;
        };
        let is_replaced = |unit: UnitId| overlay.replaced.contains(&unit);
        let own = overlay.table.get(name);
        own.or(below.filter(|entry| !entry.unit().is_some_and(is_replaced)))
    }

    /// The definition in force of a name in a dylib, as this lookup sees it.
    pub(in crate::session) fn defined<'s>(
        &'s self,
        state: &'s State,
        dylib: DylibId,
        name: NameId,
    ) -> Option<(UnitId, &'s Entry)> {
        let entry = self.entry(state, dylib, name)?;
        Some((entry.unit()?, entry))
    }
}
