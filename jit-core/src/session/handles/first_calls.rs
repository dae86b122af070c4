//! What of lazy dylibs was called, and linking ahead what is going to be.

use super::definitions::{Dylib, Inner, Session, Symbol};
use crate::error::LinkError;
use crate::ids::DylibId;
use crate::name::NameId;
use crate::session::tables::first_calls::{FirstCall, LazyCounts};
use crate::session::tables::unit::{Unit, UnitState};
use crate::symbol::SymbolKind;

impl Session {
    /// Records first calls of functions in lazy dylibs and of lazy reexports from now on, for
    /// [`Self::first_calls`]. A function that was linked ahead with its dylib, so that it has no stub, has none.
    pub fn record_first_calls(&self) {
        self.0.first_calls.start();
    }

    /// The first calls since [`Self::record_first_calls`], in their order.
    #[must_use]
    pub fn first_calls(&self) -> Vec<FirstCall> {
        self.0.first_calls.all()
    }
}

impl Dylib {
    /// How much of it has waited for a first call, and how much of that is linked. What was removed does not
    /// count.
    #[must_use]
    pub fn lazy_counts(&self) -> LazyCounts {
        let state = self.session.state.lock();
        let mut counts = LazyCounts::default();
        let units = state.dylib(self.id).units.values();
        for unit in units.map(|id| &state.units[*id]).filter(|it| it.waits) {
            let functions = functions_of(unit);
            counts.objects += 1;
            counts.functions += functions;
            if unit.state == UnitState::Ready {
                counts.linked_objects += 1;
                counts.linked_functions += functions;
            }
        }
        counts
    }

    /// Whether something that was added to the dylib, or an archive's member that was pulled, defines the name.
    #[must_use]
    pub fn has_definition(&self, name: NameId) -> bool {
        let state = self.session.state.lock();
        state.dylib(self.id).defined(name).is_some()
    }

    /// Links functions of a lazy dylib that wait for a first call, as one batch, and leads their stubs to them:
    /// their first calls are like all others. Names that have no definition ([`Self::has_definition`]) are left
    /// alone; returns how many these were.
    ///
    /// # Errors
    /// When they cannot be linked: then they are as before, and each is tried again by a call.
    pub fn link_ahead(&self, names: &[NameId]) -> Result<usize, LinkError> {
        let known: Vec<NameId> = {
            let state = self.session.state.lock();
            let known = names
                .iter()
                .filter(|name| state.dylib(self.id).defined(**name).is_some());
            known.copied().collect()
        };
        if !known.is_empty() {
            let bodies = self.link_bodies(&known)?;
            let leads_to = known.iter().zip(&bodies);
            for (name, body) in leads_to {
                self.lead_ahead(*name, body)?;
            }
        }
        Ok(names.len() - known.len())
    }

    /// Leads the stub of a function to its body, which is linked, unless it leads somewhere already.
    pub(in crate::session) fn lead_ahead(
        &self,
        name: NameId,
        body: &Symbol,
    ) -> Result<(), LinkError> {
        let found = {
            let state = self.session.state.lock();
            let stub = state.dylib(self.id).stubs.get(&name);
            // Before that, its pointer is not there to be written.
            let is_ready = stub.is_some_and(|it| state.units[it.unit].state == UnitState::Ready);
            state.stub_of(self.id, name).filter(|_| is_ready)
        };
        match found {
            Some((set, index)) => self.session().lead(&set, index, body).map(drop),
            None => Ok(()),
        }
    }
}

impl Inner {
    /// A function was called first.
    pub(in crate::session) fn note_first_call(&self, dylib: DylibId, name: NameId) {
        if !self.first_calls.are_recorded() {
            return;
        }
        let object = {
            let state = self.state.lock();
            let definer = state.dylib(dylib).defined(name);
            definer.map(|(unit, _)| state.units[unit].source.name())
        };
        let call = FirstCall {
            dylib,
            name: self.names.bytes(name),
            object: object.unwrap_or_default(),
        };
        self.first_calls.add(call);
    }
}

/// How many functions of a unit are in force.
fn functions_of(unit: &Unit) -> usize {
    let definitions = (0u32..).zip(&unit.source.interface().definitions);
    let functions = definitions.filter(|(index, definition)| {
        definition.kind == SymbolKind::Function && !unit.lost.contains(index)
    });
    functions.count()
}
