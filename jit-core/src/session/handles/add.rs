//! Adding definitions to a dylib, through the tracker that can remove them again.

use std::sync::Arc;

use orc_shared::ExecutorAddr;
use rayon::prelude::*;

use crate::error::LinkError;
use crate::name::{NameId, NameUses};
use crate::native::NativeLibrary;
use crate::object::{LazyObjects, Linkage, ObjectError, ObjectFile, Scope, SymbolKind};
use crate::threads;

use crate::ids::UnitId;
use crate::session::handles::definitions::{Dylib, Materializer, Tracker};
use crate::session::handles::materializer::{Promise, made_interface};
use crate::session::messages::clash;
use crate::session::tables::state::{Native, State};
use crate::session::tables::unit::{LinkRank, Source, Unit, UnitState};

/// A symbol with a known address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AbsoluteSymbol {
    /// The name.
    pub name: NameId,
    /// Its address; for thread-locals, the offset from the thread pointer.
    pub addr: ExecutorAddr,
    /// What it names.
    pub kind: SymbolKind,
    /// Whether other definitions win over it.
    pub weak: bool,
}

/// A name that stands for another one.
#[derive(Clone, Debug)]
pub struct Reexport {
    /// The name in the dylib it is added to.
    pub alias: NameId,
    /// The dylib where the other name is looked up, as its own objects would; hidden definitions are
    /// seen from there alone.
    pub dylib: Dylib,
    /// The other name.
    pub name: NameId,
    /// How it competes with other definitions.
    pub linkage: Linkage,
}

impl Tracker {
    /// Adds an object: its definitions are in force from now on, by the rules of linkers. Nothing is
    /// linked before something needs it.
    ///
    /// # Errors
    /// [`LinkError::DuplicateDefinitions`], with all of the object's clashes; or it is for another CPU than
    /// the executor's; or the tracker was removed. Nothing is added then.
    pub fn add_object(&self, object: Arc<dyn ObjectFile>) -> Result<(), LinkError> {
        self.add_objects([object])
    }

    /// Adds objects in link order. Like [`Self::add_object`] for each, up to the first error.
    ///
    /// # Errors
    /// As there.
    pub fn add_objects(
        &self,
        objects: impl IntoIterator<Item = Arc<dyn ObjectFile>>,
    ) -> Result<(), LinkError> {
        let ours = self.session.executor.architecture();
        for object in objects {
            if let Some(architecture) = object.architecture()
                && architecture != ours
            {
                return Err(ObjectError::for_another_cpu(object.name(), architecture, ours).into());
            }
            let mut state = self.session.state.lock();
            self.add_source(&mut state, Source::Object(object), None)?;
        }
        Ok(())
    }

    /// Adds an archive: its members are linked when one of their definitions is needed. Of archives
    /// and libraries that have a name, the first one added provides it; objects win over all.
    ///
    /// # Errors
    /// When the tracker was removed.
    pub fn add_archive(&self, archive: Arc<dyn LazyObjects>) -> Result<(), LinkError> {
        let mut state = self.session.state.lock();
        let tracker = state.generation(self.id);
        state.live_tracker(tracker)?;
        let rank = state.dylib_mut(self.dylib).add_archive(archive, tracker);
        state.live_tracker(tracker)?.providers.push(rank);
        Ok(())
    }

    /// Adds every member of an archive as an object (`--whole-archive`).
    ///
    /// # Errors
    /// When a member cannot be read, and as for [`Self::add_object`].
    pub fn add_whole_archive(&self, archive: &dyn LazyObjects) -> Result<(), LinkError> {
        let members = (0..archive.len()).into_par_iter();
        let load = |member| archive.load(member);
        let members: Result<Vec<_>, _> = threads::share(|| members.map(load).collect());
        self.add_objects(members?)
    }

    /// Adds a library of the process, for names that neither an object nor an earlier archive
    /// defines. `load_bias` is its place if it is loaded already.
    ///
    /// # Errors
    /// When the tracker was removed.
    pub fn add_library(
        &self,
        library: Arc<dyn NativeLibrary>,
        load_bias: Option<ExecutorAddr>,
    ) -> Result<(), LinkError> {
        let mut state = self.session.state.lock();
        let tracker = state.generation(self.id);
        state.live_tracker(tracker)?;
        let dylib = state.dylib_mut(self.dylib);
        let rank = dylib.next_rank();
        Arc::make_mut(&mut dylib.natives).push(Native {
            rank,
            library,
            load_bias,
        });
        state.live_tracker(tracker)?.providers.push(rank);
        Ok(())
    }

    /// Adds symbols with known addresses.
    ///
    /// # Errors
    /// As for [`Self::add_object`].
    pub fn add_absolute(&self, symbols: &[AbsoluteSymbol]) -> Result<(), LinkError> {
        let promise = |symbol: &AbsoluteSymbol| Promise {
            name: symbol.name,
            linkage: linkage(symbol.weak),
            scope: Scope::Default,
            kind: symbol.kind,
        };
        let interface = made_interface(symbols.iter().map(promise));
        let source = Source::Absolute(Arc::new(interface), "absolute symbols".into());
        let addresses = symbols.iter().map(|symbol| symbol.addr).collect();
        let mut state = self.session.state.lock();
        self.add_source(&mut state, source, Some(addresses))?;
        Ok(())
    }

    /// Adds names that stand for others. A use of one is a use of the other: no code is between.
    ///
    /// # Errors
    /// As for [`Self::add_object`]; or a dylib is of another session. Whether the other name exists is
    /// found out by lookups.
    pub fn add_reexports(&self, reexports: &[Reexport]) -> Result<(), LinkError> {
        let own = self.dylib();
        if let Some(foreign) = reexports.iter().find(|r| !own.is_sibling(&r.dylib)) {
            return Err(LinkError::Client {
                who: format!("reexport from dylib \"{}\"", foreign.dylib.name()),
                message: "the dylib belongs to another session".to_owned(),
            });
        }
        let promise = |reexport: &Reexport| Promise {
            name: reexport.alias,
            linkage: reexport.linkage,
            scope: Scope::Default,
            kind: SymbolKind::None,
        };
        let interface = made_interface(reexports.iter().map(promise));
        let targets = reexports.iter().map(|r| (r.dylib.id, r.name)).collect();
        let source = Source::Reexport(Arc::new(interface), targets);
        let mut state = self.session.state.lock();
        self.add_source(&mut state, source, Some(Vec::new()))?;
        let known = &mut state.dylib_mut(self.dylib).reexported;
        for reexport in reexports {
            if !known.contains(&reexport.dylib.id) {
                known.push(reexport.dylib.id);
            }
        }
        Ok(())
    }

    /// Adds a unit of the client: `materializer` produces the promised symbols when one is needed.
    ///
    /// # Errors
    /// As for [`Self::add_object`].
    pub fn add_materializer(
        &self,
        materializer: Arc<dyn Materializer>,
        promises: &[Promise],
    ) -> Result<(), LinkError> {
        let interface = made_interface(promises.iter().copied());
        let name = materializer.name().into();
        let source = Source::Client(Arc::new(interface), name);
        let mut state = self.session.state.lock();
        let unit = self.add_source(&mut state, source, None)?;
        state.materializers.insert(unit, materializer);
        Ok(())
    }

    /// The use of the names of what is no object.
    fn uses_of(&self, source: &Source) -> Option<NameUses> {
        if let Source::Object(_) = source {
            return None;
        }
        let mut uses = NameUses::new(&self.session.names);
        for definition in &source.interface().definitions {
            uses.keep(definition.name);
        }
        if let Source::Reexport(_, targets) = source {
            for (_, name) in targets.iter() {
                uses.keep(*name);
            }
        }
        Some(uses)
    }

    /// Adds a unit; with addresses, it is ready at once.
    pub(super) fn add_source(
        &self,
        state: &mut State,
        source: Source,
        addresses: Option<Vec<ExecutorAddr>>,
    ) -> Result<UnitId, LinkError> {
        let tracker = state.generation(self.id);
        state.live_tracker(tracker)?;
        let rank: LinkRank = (state.dylib_mut(self.dylib).next_rank(), 0);
        let mut unit = Unit::new(source.clone(), self.dylib, tracker, rank, None);
        unit.names = self.uses_of(&source);
        if let Some(addresses) = addresses {
            unit.addresses = addresses;
            unit.state = UnitState::Ready;
        }
        match state.add_unit(unit, None) {
            Ok((id, _)) => Ok(id),
            Err(clashes) => {
                let name = source.name();
                Err(clash::error(&self.session, state, &name, &clashes))
            }
        }
    }
}

fn linkage(weak: bool) -> Linkage {
    if weak { Linkage::Weak } else { Linkage::Strong }
}
