//! Dylibs: adding to them, and looking names up in them.

use std::sync::Arc;

use crate::sync::Mutex;
use orc_shared::ExecutorAddr;

use crate::batch::{DylibId, ProgramLink};
use crate::error::LinkError;
use crate::name::{NameId, NameUses};
use crate::native::NativeLibrary;
use crate::object::{LazyObjects, ObjectFile};

use crate::session::handles::definitions::{
    Dylib, Generator, Materializer, Session, Symbol, Tracker,
};
use crate::session::handles::materializer::Promise;
use crate::session::lookup::resolve::{Extra, Need, Request, Resolver};
use crate::session::tables::ids::IdSet;
use crate::session::tables::state::Native;
use crate::session::tables::symbol_table::Entry;
use crate::session::tables::unit::UnitState;
use crate::symbol::Scope;

/// What a lookup asks for, beside the names.
#[derive(Clone, Debug, Default)]
pub struct LookupOptions {
    /// Also link the dylib's objects that have initializers: opening or running it needs them.
    pub initializers: bool,
    /// Names that nothing defines get a null address instead of being an error.
    pub names_may_be_missing: bool,
    /// References of objects that nothing defines get a null address instead of being an error.
    pub undefined_allowed: bool,
}

/// How a dylib is linked as the program.
#[derive(Clone, Default)]
pub struct ProgramOptions {
    /// What the loader has to know.
    pub link: ProgramLink,
    /// Drop what neither the names asked for nor any retained section reaches.
    pub drop_unreachable: bool,
    /// Further names to link and keep, if they are defined: archives are searched for them.
    pub keep: Vec<NameId>,
    /// References that nothing defines get a null address instead of being an error.
    pub undefined_allowed: bool,
    /// Functions that are linked with the program, though they could wait for a first call
    /// ([`Dylib::link_lazily`]). Those that are no part of the program are left alone.
    pub ahead: Vec<NameId>,
}

impl Dylib {
    /// The session's name for it.
    #[must_use]
    pub fn id(&self) -> DylibId {
        self.id
    }

    /// Its name; empty if it was closed.
    #[must_use]
    pub fn name(&self) -> String {
        self.session.state.lock().dylib(self.id).name.clone()
    }

    /// The session it belongs to.
    #[must_use]
    pub fn session(&self) -> Session {
        Session(self.session.clone())
    }

    /// Says where references of its objects are looked up, first to last. Unless it is among them,
    /// the dylib itself is not searched. Names settled before stay as they are.
    ///
    /// # Errors
    /// When a dylib is of another session; the order stays as it was.
    pub fn set_link_order(&self, dylibs: &[Dylib]) -> Result<(), LinkError> {
        for dylib in dylibs {
            self.check_is_sibling(dylib)?;
        }
        let order = dylibs.iter().map(|dylib| dylib.id).collect();
        self.session.state.lock().set_link_order(self.id, order);
        Ok(())
    }

    /// Searches another dylib too, after those searched so far.
    ///
    /// # Errors
    /// When the dylib is of another session.
    pub fn add_to_link_order(&self, dylib: &Dylib) -> Result<(), LinkError> {
        self.check_is_sibling(dylib)?;
        let mut state = self.session.state.lock();
        let known = &state.dylib(self.id).link_order;
        if !known.contains(&dylib.id) {
            let order = known.iter().copied().chain([dylib.id]).collect();
            state.set_link_order(self.id, order);
        }
        Ok(())
    }

    fn check_is_sibling(&self, other: &Dylib) -> Result<(), LinkError> {
        if self.is_sibling(other) {
            return Ok(());
        }
        Err(LinkError::Client {
            who: format!("link order of dylib \"{}\"", self.name()),
            message: format!(
                "dylib \"{}\" belongs to another session: its code cannot be linked to",
                other.name()
            ),
        })
    }

    /// Where references of its objects are looked up.
    #[must_use]
    pub fn link_order(&self) -> Vec<Dylib> {
        let order = self.session.state.lock().dylib(self.id).link_order.clone();
        let dylib = |id: &DylibId| Dylib {
            session: self.session.clone(),
            id: *id,
        };
        order.iter().map(dylib).collect()
    }

    /// The other dylibs that its references may lead to: those of its link order, then those that its
    /// reexports name, each once.
    #[must_use]
    pub fn needed(&self) -> Vec<Dylib> {
        let state = self.session.state.lock();
        let own = state.dylib(self.id);
        let mut seen = IdSet::default();
        seen.insert(self.id);
        let all = own.link_order.iter().chain(&own.reexported);
        let others = all.copied().filter(|id| seen.insert(*id));
        others
            .map(|id| Dylib {
                session: self.session.clone(),
                id,
            })
            .collect()
    }

    /// What additions belong to that name no tracker.
    #[must_use]
    pub fn default_tracker(&self) -> Tracker {
        let id = self.session.state.lock().default_tracker(self.id);
        Tracker {
            session: self.session.clone(),
            dylib: self.id,
            id,
        }
    }

    /// A new tracker, to remove what is added through it as one.
    #[must_use]
    pub fn new_tracker(&self) -> Tracker {
        let id = self.session.state.lock().add_tracker(self.id);
        Tracker {
            session: self.session.clone(),
            dylib: self.id,
            id,
        }
    }

    /// Adds an object: [`Tracker::add_object`] of the default tracker.
    ///
    /// # Errors
    /// As there.
    pub fn add_object(&self, object: Arc<dyn ObjectFile>) -> Result<(), LinkError> {
        self.default_tracker().add_object(object)
    }

    /// Adds an archive: [`Tracker::add_archive`] of the default tracker.
    ///
    /// # Errors
    /// As there.
    pub fn add_archive(&self, archive: Arc<dyn LazyObjects>) -> Result<(), LinkError> {
        self.default_tracker().add_archive(archive)
    }

    /// Adds a library: [`Tracker::add_library`] of the default tracker.
    ///
    /// # Errors
    /// As there.
    pub fn add_library(
        &self,
        library: Arc<dyn NativeLibrary>,
        load_bias: Option<ExecutorAddr>,
    ) -> Result<(), LinkError> {
        self.default_tracker().add_library(library, load_bias)
    }

    /// Adds a client's unit: [`Tracker::add_materializer`] of the default tracker.
    ///
    /// # Errors
    /// As there.
    pub fn add_materializer(
        &self,
        materializer: Arc<dyn Materializer>,
        promises: &[Promise],
    ) -> Result<(), LinkError> {
        self.default_tracker()
            .add_materializer(materializer, promises)
    }

    /// Lets several objects define a name: the first one added wins (`-z muldefs`).
    pub fn allow_multiple_definitions(&self) {
        let mut state = self.session.state.lock();
        state.dylib_mut(self.id).table.first_wins = true;
    }

    /// Lets objects define again what is linked already: what is linked from then on gets the new definition, which may
    /// be of another type; what was linked before keeps the old one. When the new one is removed, the old one is
    /// in force again. For definitions that are not linked yet, nothing changes.
    pub fn allow_shadowing(&self) {
        let mut state = self.session.state.lock();
        state.dylib_mut(self.id).table.newest_wins = true;
    }

    /// Asks a generator for names that the dylib does not define, after those added before.
    pub fn add_generator(&self, generator: Arc<dyn Generator>) {
        let mut state = self.session.state.lock();
        state.dylib_mut(self.id).generators.push(generator);
    }

    /// The libraries added to it, in order.
    #[must_use]
    pub fn libraries(&self) -> Vec<Arc<dyn NativeLibrary>> {
        let natives = self.session.state.lock().dylib(self.id).natives.clone();
        natives.iter().map(|n| n.library.clone()).collect()
    }

    /// Records where a library lies, once it is loaded. Libraries are told apart by their paths.
    pub fn set_load_bias(&self, path: &str, load_bias: ExecutorAddr) {
        let mut state = self.session.state.lock();
        let natives = Arc::make_mut(&mut state.dylib_mut(self.id).natives);
        let ours = |native: &&mut Native| native.library.path() == path;
        for native in natives.iter_mut().filter(ours) {
            native.load_bias = Some(load_bias);
        }
    }

    /// Whether the dylib defines the name, or would by an archive's member: the table alone is asked,
    /// and nothing is linked.
    #[must_use]
    pub fn defines(&self, name: NameId) -> bool {
        let state = self.session.state.lock();
        state.dylib(self.id).table.get(name).is_some()
    }

    /// The names of its definitions that others may refer to, in no order. Names that archives offer are
    /// not among them, nor stubs that the session has made.
    #[must_use]
    pub fn defined_names(&self) -> Vec<Vec<u8>> {
        let state = self.session.state.lock();
        let is_visible = |(name, entry): (NameId, &Entry)| {
            let is_made = |unit| state.units[unit].is_of_batch;
            let is_ours = entry.unit().is_some_and(|unit| !is_made(unit));
            (is_ours && entry.scope < Scope::Hidden).then_some(name)
        };
        let names = state.dylib(self.id).table.iter().filter_map(is_visible);
        names.map(|name| self.session.names.bytes(name)).collect()
    }

    /// Links what defines the names, with all it needs, and waits until it is ready. Names are looked
    /// up as an object of the dylib would: its own definitions, hidden ones included, then along the
    /// link order.
    ///
    /// A materializer or generator may look names up, but one that waits for its own symbols waits
    /// forever. The link uses the calling thread's rayon pool: a rayon job that looks names up may be
    /// run by a thread that waits within another such job's link, and if it needs the symbols of
    /// that link it gets [`LinkError::WaitsForItself`]; look up from threads of your own.
    ///
    /// # Errors
    /// All missing symbols at once, or what made the link fail. The session is as before.
    pub fn lookup(&self, names: &[NameId]) -> Result<Vec<Symbol>, LinkError> {
        self.lookup_with(names, &LookupOptions::default())
    }

    /// [`Self::lookup`] of one name, given as text.
    ///
    /// # Errors
    /// As there.
    pub fn lookup_one(&self, name: &str) -> Result<Symbol, LinkError> {
        let mut uses = NameUses::new(&self.session.names);
        let id = uses.intern(name.as_bytes());
        let mut symbols = self.lookup(&[id])?;
        symbols
            .pop()
            .ok_or_else(|| LinkError::Internal("a lookup gave no symbol".to_owned()))
    }

    /// [`Self::lookup`] with options.
    ///
    /// # Errors
    /// As there.
    pub fn lookup_with(
        &self,
        names: &[NameId],
        options: &LookupOptions,
    ) -> Result<Vec<Symbol>, LinkError> {
        self.wait(self.request(names, options))
    }

    /// [`Self::lookup_with`] without waiting: `then` gets the outcome, on whatever thread finishes
    /// the work; it may be called before this returns. Resolution happens on the calling thread, all
    /// else where the dispatcher says.
    pub fn lookup_async(
        &self,
        names: &[NameId],
        options: &LookupOptions,
        then: impl FnOnce(Result<Vec<Symbol>, LinkError>) + Send + 'static,
    ) {
        let resolver = Resolver::new(&self.session);
        if let Some(formed) = resolver.lookup(self.request(names, options), Box::new(then)) {
            formed.dispatch();
        }
        self.session.run_own_tasks();
    }

    /// Links every object that was added to the dylib, and archive members by need, as the program of
    /// the process; and gives the addresses of `names` (its entry points). Objects that were linked
    /// by earlier lookups stay as they are.
    ///
    /// # Errors
    /// As for [`Self::lookup`].
    pub fn link_program(
        &self,
        names: &[NameId],
        options: ProgramOptions,
    ) -> Result<Vec<Symbol>, LinkError> {
        let roots = names.iter().chain(&options.keep).copied().collect();
        self.wait(Request {
            dylib: self.id,
            names: names.to_vec(),
            need: Need::Strong,
            wanted: options.keep,
            extra: Extra::Objects,
            program: Some(options.link),
            roots: options.drop_unreachable.then_some(roots),
            undefined_allowed: options.undefined_allowed,
            bodies: true,
            ahead: options.ahead,
            of_call: false,
            depth: 0,
        })
    }

    /// Makes objects of this dylib that are linked from now on replaceable ([`Tracker::replace`]): all calls of
    /// their functions that other objects see, their own calls included, go through stubs, and such a
    /// function's address is its stub's.
    pub fn allow_replacement(&self) {
        let mut state = self.session.state.lock();
        state.dylib_mut(self.id).is_replaceable = true;
        state.has_stubs = true;
    }

    /// The objects that wait for a first call of one of their functions, by name, in link order.
    #[must_use]
    pub fn waiting_objects(&self) -> Vec<String> {
        let state = self.session.state.lock();
        let units = state.dylib(self.id).units.values();
        let waiting = units.map(|unit| &state.units[*unit]);
        waiting
            .filter(|unit| unit.waits && unit.state == UnitState::NeverSearched)
            .map(|unit| unit.source.name())
            .collect()
    }

    /// Links functions that stubs stand for, and gives the functions themselves.
    pub(in crate::session) fn link_bodies(
        &self,
        names: &[NameId],
    ) -> Result<Vec<Symbol>, LinkError> {
        self.link_bodies_ahead(names, 0)
    }

    /// The same, for a call of one of them. It may come from an initializer of a library of a program, before the
    /// program's link is over.
    pub(in crate::session) fn link_called(&self, name: NameId) -> Result<Vec<Symbol>, LinkError> {
        let options = LookupOptions::default();
        self.wait(Request {
            bodies: true,
            of_call: true,
            ..self.request(&[name], &options)
        })
    }

    /// The same, so many calls ahead.
    pub(in crate::session) fn link_bodies_ahead(
        &self,
        names: &[NameId],
        depth: u32,
    ) -> Result<Vec<Symbol>, LinkError> {
        let options = LookupOptions::default();
        self.wait(Request {
            bodies: true,
            depth,
            ..self.request(names, &options)
        })
    }

    /// Whether a dylib is of the same session.
    pub(in crate::session) fn is_sibling(&self, other: &Dylib) -> bool {
        Arc::ptr_eq(&self.session, &other.session)
    }

    fn request(&self, names: &[NameId], options: &LookupOptions) -> Request {
        Request {
            dylib: self.id,
            names: names.to_vec(),
            need: Need::strong_unless(options.names_may_be_missing),
            wanted: Vec::new(),
            extra: if options.initializers {
                Extra::Initializers
            } else {
                Extra::Nothing
            },
            program: None,
            roots: None,
            undefined_allowed: options.undefined_allowed,
            bodies: false,
            ahead: Vec::new(),
            of_call: false,
            depth: 0,
        }
    }

    fn wait(&self, request: Request) -> Result<Vec<Symbol>, LinkError> {
        let slot: Arc<Mutex<Option<_>>> = Arc::default();
        let (filled, waker) = (slot.clone(), self.session.clone());
        let then = move |outcome| {
            *filled.lock() = Some(outcome);
            waker.wake_waiting();
        };
        let resolver = Resolver::new(&self.session);
        let batch = resolver.batch;
        let called = request.names.first().filter(|_| request.of_call).copied();
        if let Some(formed) = resolver.lookup(request, Box::new(then)) {
            formed.start();
        }
        self.session.run_own_tasks();
        let in_place = |name| Some(Ok(vec![self.session.find_in_place(self.id, name)?]));
        let outcome = || slot.lock().take();
        let outcome = self
            .session
            .work_until(batch, || outcome().or_else(|| in_place(called?)));
        self.session.wake_speculation();
        outcome
    }
}

impl std::fmt::Debug for Dylib {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Dylib").field(&self.id.0).finish()
    }
}
