//! Units that a client defines: a promise to produce symbols when they are first needed.

use std::sync::Arc;

use orc_shared::{ExecutorAddr, listed};

use crate::batch::{DylibId, TrackerId, UnitId};
use crate::error::LinkError;
use crate::executor::Finalized;
use crate::name::{NameGuard, NameId};
use crate::object::{Definition, Linkage, ObjectFile, ObjectInterface, Scope, SymbolKind};

use crate::session::batches::deferred::{DeferredCalls, Garbage};
use crate::session::handles::definitions::{Dylib, Inner, Responsibility};
use crate::session::lookup::resolve::Resolver;
use crate::session::messages::clash;
use crate::session::tables::ids::{BatchKey, NameMap};
use crate::session::tables::state::State;
use crate::session::tables::unit::{Source, Unit};

/// Names that a message has; the rest are counted.
const SHOWN_MAX: usize = 20;

/// A symbol that a materializer promises.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Promise {
    /// The name.
    pub name: NameId,
    /// How it competes with other definitions.
    pub linkage: Linkage,
    /// Who sees it.
    pub scope: Scope,
    /// What it names.
    pub kind: SymbolKind,
}

impl Promise {
    /// A function that everyone sees and nobody else may define.
    #[must_use]
    pub fn function(name: NameId) -> Self {
        Self {
            name,
            linkage: Linkage::Strong,
            scope: Scope::Default,
            kind: SymbolKind::Function,
        }
    }
}

impl Responsibility {
    /// Hands a client's batch to its materializer.
    pub(in crate::session) fn start(session: &Arc<Inner>, batch: BatchKey) {
        let (responsibility, materializer) = {
            let state = session.state.lock();
            let Some((unit, requested)) = state.batches.get(&batch).and_then(|b| b.client.clone())
            else {
                return;
            };
            let Some(materializer) = state.materializers.get(&unit) else {
                return;
            };
            let state = &state.units[unit];
            let Source::Client(interface, who) = &state.source else {
                return;
            };
            let responsibility = Self {
                session: session.clone(),
                batch,
                unit,
                dylib: state.dylib,
                tracker: state.tracker,
                interface: interface.clone(),
                who: who.clone(),
                requested,
                settled: false,
                _guard: NameGuard::new(&session.names),
            };
            (responsibility, materializer.clone())
        };
        materializer.materialize(responsibility);
    }

    /// The dylib that the symbols belong to.
    #[must_use]
    pub fn dylib(&self) -> Dylib {
        Dylib {
            session: self.session.clone(),
            id: self.dylib,
        }
    }

    /// What memory for the symbols belongs to.
    #[must_use]
    pub fn tracker(&self) -> TrackerId {
        self.tracker
    }

    /// The promised names that somebody needs, as of the start. All that are in force must be
    /// produced all the same.
    #[must_use]
    pub fn requested(&self) -> &[NameId] {
        &self.requested
    }

    /// The promised names that are in force: weak ones may have lost to other definitions.
    #[must_use]
    pub fn names(&self) -> Vec<NameId> {
        self.session.state.lock().names_in_force(self.unit)
    }

    /// Publishes addresses: other code may now refer to the symbols.
    ///
    /// # Errors
    /// When a name in force has no address, or the unit was removed; the unit then fails when the
    /// responsibility is dropped.
    pub fn resolve(&self, addresses: &[(NameId, ExecutorAddr)]) -> Result<(), LinkError> {
        let by_name: NameMap<ExecutorAddr> = addresses.iter().copied().collect();
        let mut deferred = DeferredCalls::default();
        {
            let mut state = self.session.state.lock();
            state.check_alive(self.batch)?;
            let missing: Vec<String> = state
                .names_in_force(self.unit)
                .into_iter()
                .filter(|name| !by_name.contains_key(name))
                .map(|name| self.session.names.readable(name))
                .collect();
            if !missing.is_empty() {
                return Err(self.broken(format!(
                    "no address given for {}",
                    listed(&missing, ", ", SHOWN_MAX)
                )));
            }
            let definitions = self.interface.definitions.iter();
            let all = definitions.map(|d| by_name.get(&d.name).copied().unwrap_or_default());
            state.resolved(self.batch, [(self.unit, all.collect())], &mut deferred);
        }
        deferred.run(&self.session);
        Ok(())
    }

    /// Declares that the symbols refer to others: they become ready only when those are, and those
    /// stay in memory as long as these. Names that are not being linked, and not linked already,
    /// have to be looked up first.
    ///
    /// # Errors
    /// When a name is not linked and nobody links it.
    pub fn depends_on(&self, dylib: &Dylib, names: &[NameId]) -> Result<(), LinkError> {
        if !self.dylib().is_sibling(dylib) {
            return Err(self.broken("depends on a dylib of another session".to_owned()));
        }
        let outcome = self.add_dependencies(&mut self.session.state.lock(), dylib.id, names);
        // Threads that wait for this unit may find work that it now depends on.
        self.session.wake_waiting();
        outcome
    }

    fn add_dependencies(
        &self,
        state: &mut State,
        dylib: DylibId,
        names: &[NameId],
    ) -> Result<(), LinkError> {
        state.check_alive(self.batch)?;
        for name in names {
            let unit = state.dylib(dylib).defined(*name).map(|(unit, _)| unit);
            let Some(unit) = unit.filter(|unit| state.is_searched(*unit)) else {
                let name = self.session.names.readable(*name);
                return Err(self.broken(format!("depends on {name}, which nobody looked up")));
            };
            state.add_unit_dependency(self.batch, self.unit, unit);
        }
        Ok(())
    }

    /// Declares the symbols to be in memory, with what they need to be initialized done. The memory is
    /// released when the unit is removed.
    ///
    /// # Errors
    /// When the symbols have no addresses yet, or the unit was removed; the memory is released.
    pub fn emit(mut self, memory: Vec<Box<dyn Finalized>>) -> Result<(), LinkError> {
        let mut deferred = DeferredCalls::default();
        let outcome = {
            let mut state = self.session.state.lock();
            let outcome = state.check_emit(self.batch, self.unit);
            let memory = memory.into_iter().map(|memory| (self.tracker, memory));
            match &outcome {
                Ok(()) => {
                    state.emitted(&self.session, self.batch, memory.collect(), &mut deferred);
                }
                Err(error) => {
                    let order = u64::MAX;
                    let memory = memory.map(|(_, memory)| (order, memory));
                    deferred.releases.extend(memory);
                    state.fail_first_cause(self.batch, error.clone(), &mut deferred);
                }
            }
            outcome
        };
        self.settled = true;
        deferred.run(&self.session);
        outcome
    }

    /// Links an object in place of the unit: it must define every name in force. What it refers to is
    /// looked up and linked with it. Its other definitions are added to the dylib.
    ///
    /// The outcome goes to the lookups that wait for the unit.
    pub fn link(mut self, object: Arc<dyn ObjectFile>) {
        self.settled = true;
        let replaced = {
            let mut state = self.session.state.lock();
            self.replace(&mut state, object)
        };
        let object = match replaced {
            Ok(object) => object,
            Err(error) => return self.fail_with(error),
        };
        let resolver = Resolver::of_batch(&self.session, self.batch);
        if let Some(formed) = resolver.link_claimed(object) {
            formed.start();
        }
        self.session.run_own_tasks();
    }

    /// The symbols cannot be produced. Lookups that wait for them get the error; later ones try again.
    pub fn fail(mut self, error: LinkError) {
        self.settled = true;
        self.fail_with(error);
    }

    fn fail_with(&self, error: LinkError) {
        let mut deferred = DeferredCalls::default();
        self.session
            .state
            .lock()
            .fail_first_cause(self.batch, error, &mut deferred);
        deferred.run(&self.session);
    }

    fn broken(&self, message: String) -> LinkError {
        LinkError::Client {
            who: self.who.to_string(),
            message,
        }
    }

    /// Puts an object in the place of the client's unit.
    fn replace(&self, state: &mut State, object: Arc<dyn ObjectFile>) -> Result<UnitId, LinkError> {
        state.check_alive(self.batch)?;
        let mut indexes: NameMap<u32> = NameMap::default();
        for (index, definition) in (0u32..).zip(&object.interface().definitions) {
            indexes.entry(definition.name).or_insert(index);
        }
        let names = state.names_in_force(self.unit);
        let missing: Vec<String> = names
            .iter()
            .filter(|name| !indexes.contains_key(*name))
            .map(|name| self.session.names.readable(*name))
            .collect();
        if !missing.is_empty() {
            let message = format!(
                "{} does not define {}",
                object.name(),
                listed(&missing, ", ", SHOWN_MAX)
            );
            return Err(self.broken(message));
        }
        let rank = (state.units[self.unit].rank.0, 1);
        let name = object.name().to_owned();
        let mut unit = Unit::new(Source::Object(object), self.dylib, self.tracker, rank, None);
        unit.replaces = Some(self.unit);
        let handed = names.iter().map(|name| (*name, indexes[name]));
        let id = state
            .add_replacement(self.unit, unit, handed)
            .map_err(|clashes| clash::error(&self.session, state, &name, &clashes))?;
        state.claim(self.batch, id);
        Ok(id)
    }
}

impl Drop for Responsibility {
    fn drop(&mut self) {
        if !self.settled {
            let who = self.who.to_string();
            self.session
                .dropped(self.batch, |panicked| LinkError::Client {
                    who,
                    message: panicked.unwrap_or_else(|| "gave up without saying why".to_owned()),
                });
        }
    }
}

impl State {
    /// Adds the object that keeps a client's promises: it takes the names over, then its other
    /// definitions are merged. If those clash, nothing is changed.
    fn add_replacement(
        &mut self,
        client: UnitId,
        unit: Unit,
        names: impl Iterator<Item = (NameId, u32)> + Clone,
    ) -> Result<UnitId, Vec<crate::session::tables::symbol_table::Clash>> {
        let (dylib, tracker, rank) = (unit.dylib, unit.tracker, unit.rank);
        let id = self.units.add(unit);
        let state = self.dylibs.get_mut(dylib);
        for (name, index) in names.clone() {
            state.table.hand_over(name, id, index);
        }
        let merged = state.table.merge(&mut self.units, id, None);
        if !merged.clashes.is_empty() {
            let interface = self.units[client].source.clone();
            let definitions = &interface.interface().definitions;
            for (index, definition) in (0u32..).zip(definitions) {
                if state.defined_by(definition.name, id) {
                    state.table.hand_over(definition.name, client, index);
                }
            }
            // The object is still held by the error's caller.
            drop(self.units.free(id));
            return Err(merged.clashes);
        }
        state.units.insert(rank, id);
        if let Some(tracker) = self.trackers.get_mut(&tracker) {
            tracker.units.push(id);
        }
        Ok(id)
    }

    fn check_alive(&self, batch: BatchKey) -> Result<(), LinkError> {
        match self.batches.get(&batch) {
            Some(batch) => batch.doomed.clone().map_or(Ok(()), Err),
            None => Err(LinkError::Internal(
                "the unit has failed already".to_owned(),
            )),
        }
    }

    fn check_emit(&self, batch: BatchKey, unit: UnitId) -> Result<(), LinkError> {
        self.check_alive(batch)?;
        let unit = &self.units[unit];
        let definitions = &unit.source.interface().definitions;
        if unit.addresses.len() == definitions.len() {
            return Ok(());
        }
        Err(LinkError::Client {
            who: unit.source.name(),
            message: "emitted before it was resolved".to_owned(),
        })
    }

    fn is_searched(&self, unit: UnitId) -> bool {
        self.units[unit].state != crate::session::tables::unit::UnitState::NeverSearched
    }

    /// Records that a batch and the unit that it is for refer to a unit.
    fn add_unit_dependency(&mut self, batch: BatchKey, user: UnitId, unit: UnitId) {
        let of_user = self.units[user].tracker;
        let unit = &self.units[unit];
        let (tracker, state) = (unit.tracker, unit.state);
        if let crate::session::tables::unit::UnitState::InBatch(other) = state {
            self.add_batch_dependency(batch, other);
        }
        self.add_tracker_dependency(of_user, tracker, user);
    }

    /// A client's unit is ready: its materializer is not needed any more.
    pub(in crate::session) fn drop_materializer(
        &mut self,
        id: UnitId,
        deferred: &mut DeferredCalls,
    ) {
        let unit = &mut self.units[id];
        if let Source::Client(interface, who) = &unit.source {
            unit.source = Source::Absolute(interface.clone(), who.clone());
        }
        let materializer = self.materializers.remove(&id);
        deferred
            .garbage
            .extend(materializer.map(Garbage::Materializer));
    }
}

/// The symbol table of a unit that is not an object.
pub(in crate::session) fn made_interface(
    promises: impl IntoIterator<Item = Promise>,
) -> ObjectInterface {
    let definition = |(symbol, promise): (u32, Promise)| Definition {
        name: promise.name,
        symbol,
        linkage: promise.linkage,
        scope: promise.scope,
        kind: promise.kind,
        size: 0,
        group: None,
    };
    ObjectInterface {
        definitions: (0u32..).zip(promises).map(definition).collect(),
        ..ObjectInterface::default()
    }
}
