//! Functions with stubs: linked when they are first called, and led to other code at any time. See
//! [`crate::stubs`].

use std::sync::Arc;

use orc_shared::ExecutorAddr;

use super::add::Reexport;
use super::definitions::{CodeGuard, Dylib, Inner, Session, Symbol, Tracker};
use crate::error::LinkError;
use crate::ids::DylibId;
use crate::name::{NameId, NameUses};
use crate::session::batches::deferred::DeferredCalls;
use crate::session::tables::unit::Source;
use crate::stubs::object::{StubName, StubSections, StubsObject};
use crate::stubs::{Behind, Bound, Redirection, Resolved, StubSet, redirect};
use crate::symbol::{Linkage, Scope};

/// What becomes of calls of lazy functions.
#[derive(Clone, Debug, Default)]
pub struct LazyOptions {
    /// A function that takes a call whose own function cannot be linked, with the same arguments: it may
    /// return an error code, or throw. The next call tries again. Without one, the process prints why and
    /// aborts.
    pub on_failure: Option<Symbol>,
}

impl Tracker {
    /// Adds functions that are looked up when they are first called: each `alias` is a stub, which leads to
    /// what `name` is in its dylib. The stub is the function's address for all that refer to it. Calls
    /// may come from any thread, and several at once; looking up happens on that thread, and may link. The
    /// other dylib is opened then, as `dlopen` would: it is not one that this one needs.
    ///
    /// Once a stub leads to a function it keeps that function's memory. The function behind it can be
    /// changed with [`Dylib::redirect`].
    ///
    /// # Errors
    /// As for [`Tracker::add_reexports`]; when a name stands for itself; when `on_failure` is of another
    /// session.
    pub fn add_lazy_reexports(
        &self,
        reexports: &[Reexport],
        options: &LazyOptions,
    ) -> Result<(), LinkError> {
        let own = self.dylib();
        for reexport in reexports {
            if !own.is_sibling(&reexport.dylib) {
                return Err(self
                    .session
                    .refused_stub(reexport.alias, "its dylib belongs to another session"));
            }
            if reexport.dylib.id == self.dylib && reexport.name == reexport.alias {
                return Err(self
                    .session
                    .refused_stub(reexport.alias, "it stands for itself"));
            }
        }
        let stub = |reexport: &Reexport| {
            let behind = Behind::Name(reexport.dylib.id, reexport.name);
            (reexport.alias, reexport.linkage, behind)
        };
        self.add_stubs(reexports.iter().map(stub).collect(), options)
    }

    /// Adds functions that are stubs for code that is there already, so that they can be led to other code
    /// with [`Dylib::redirect`].
    ///
    /// # Errors
    /// As for [`Tracker::add_object`]; when a symbol is of another session.
    pub fn add_redirectable(&self, functions: &[(NameId, Symbol)]) -> Result<(), LinkError> {
        let stub = |(name, code): &(NameId, Symbol)| {
            let bound = self.session.bound(code);
            let bound = bound.map_err(|problem| self.session.refused_stub(*name, problem))?;
            Ok((*name, Linkage::Strong, Behind::Code(bound)))
        };
        let stubs = functions
            .iter()
            .map(stub)
            .collect::<Result<_, LinkError>>()?;
        self.add_stubs(stubs, &LazyOptions::default())
    }

    fn add_stubs(
        &self,
        stubs: Vec<(NameId, Linkage, Behind)>,
        options: &LazyOptions,
    ) -> Result<(), LinkError> {
        let on_failure = self.session.handler(options)?;
        let architecture = self.session.executor.architecture();
        let names = stubs.iter().map(|(name, linkage, _)| StubName {
            name: *name,
            shown: *name,
            linkage: *linkage,
            scope: Scope::Default,
        });
        let names: Vec<StubName> = names.collect();
        let behind: Vec<Behind> = stubs.iter().map(|(.., behind)| *behind).collect();
        let bound: Vec<Bound> = behind
            .iter()
            .filter_map(Behind::code)
            .chain(on_failure)
            .collect();
        let tracker = self.session.state.lock().generation(self.id);
        let mut uses = NameUses::new(&self.session.names);
        let set = StubSet::new(uses.table(), tracker, architecture, behind, on_failure);
        let set = Arc::new(set);
        for stub in &names {
            uses.keep(stub.name);
        }
        let platform = self.session.platforms.of(self.dylib);
        let object = StubsObject::new(
            uses,
            architecture,
            StubSections::new(&*platform, &self.session.names),
            &names,
            set.clone(),
            self.session.lazy_calls.clone(),
        );
        let mut state = self.session.state.lock();
        let unit = self.add_source(&mut state, Source::Object(Arc::new(object)), None)?;
        state.keep_stubs(unit, set.clone());
        for code in bound {
            state.bind(&set, code);
        }
        Ok(())
    }
}

impl Dylib {
    /// Links functions of this dylib when they are first called, from now on; everything else as before: names
    /// are resolved, archives' members pulled, missing symbols reported, data and what has initializers
    /// linked when they would be otherwise. What was linked already stays as it is. A call whose function cannot be
    /// linked ends the process, with the reason.
    pub fn link_lazily(&self) {
        self.set_lazy(None);
    }

    /// The same, but for a call whose function cannot be linked: it goes where `options` say. That holds for
    /// functions of which nobody has taken notice yet, and as long as the code that takes such calls is not
    /// removed.
    ///
    /// # Errors
    /// When `on_failure` is of another session.
    pub fn link_lazily_with(&self, options: &LazyOptions) -> Result<(), LinkError> {
        self.set_lazy(self.session.handler(options)?);
        Ok(())
    }

    fn set_lazy(&self, on_failure: Option<Bound>) {
        let mut state = self.session.state.lock();
        let dylib = state.dylib_mut(self.id);
        dylib.is_lazy = true;
        dylib.on_failure = on_failure;
        state.has_stubs = true;
    }

    /// Leads functions of this dylib that have stubs to other code, all in one step: whoever has entered
    /// new code gets into no old one through their stubs. Calls that are under way go on in the old code;
    /// its memory is kept no longer by the stubs.
    ///
    /// The new code takes what the old code took: callers do not notice.
    ///
    /// # Errors
    /// When a name has no stub here, or a symbol is of another session; then nothing is changed. When the
    /// executor is gone.
    pub fn redirect(&self, functions: &[(NameId, Symbol)]) -> Result<(), LinkError> {
        let redirections = self.redirections(functions)?;
        self.session.lead_elsewhere(&redirections, || Ok(()))
    }

    /// Finds the stubs, and holds the new code for them.
    fn redirections(&self, functions: &[(NameId, Symbol)]) -> Result<Vec<Redirection>, LinkError> {
        let mut codes = Vec::with_capacity(functions.len());
        for (name, code) in functions {
            let bound = self.session.bound(code);
            codes.push(bound.map_err(|problem| self.session.refused_stub(*name, problem))?);
        }
        let mut state = self.session.state.lock();
        let mut redirections = Vec::with_capacity(functions.len());
        for ((name, _), code) in functions.iter().zip(codes) {
            let found = state.dylib(self.id).defined(*name);
            let found = found.map(|(unit, entry)| (unit, entry.index));
            let stub = found.and_then(|(unit, index)| {
                let tracker = state.trackers.get(&state.units[unit].tracker)?;
                Some((tracker.stubs.get(&unit)?.clone(), index))
            });
            let Some((set, index)) = stub else {
                return Err(self.session.refused_stub(
                    *name,
                    "it has none here: only functions that were added as lazy or redirectable can be \
                     led to other code",
                ));
            };
            let behind = Behind::Code(code);
            redirections.push(Redirection { set, index, behind });
        }
        state.bind_all(&redirections);
        Ok(redirections)
    }
}

/// Where a stub leads after it was to be led somewhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Led {
    /// There.
    First(ExecutorAddr),
    /// Where somebody else had led it before.
    Before(ExecutorAddr),
}

impl Led {
    fn addr(self) -> ExecutorAddr {
        match self {
            Self::First(addr) | Self::Before(addr) => addr,
        }
    }
}

impl Session {
    /// The code that the stub with the trampoline at `trampoline` stands for: looks it up, if that was not
    /// done, has its dylib initialized, and leads the stub there. Handlers of the runtime's
    /// `__orc_rt_resolve` call this, on whatever thread the call is.
    ///
    /// # Errors
    /// In words, when there is no such trampoline; when the function cannot be linked, and nothing takes its
    /// calls then. The session's error handler hears of it in any case.
    pub fn resolve_lazy_call(
        &self,
        trampoline: ExecutorAddr,
        initialize: &dyn Fn(&Dylib) -> Result<(), LinkError>,
    ) -> Result<ExecutorAddr, String> {
        let Some((set, index)) = self.0.lazy_calls.find(trampoline) else {
            return Err("no function of this session has it, or its memory was given back".into());
        };
        let _goes_first = self.0.speculator.call();
        let executor = &*self.0.executor;
        let name = |name: NameId| self.0.names.readable(name);
        let behind = set.behind(index, executor);
        let (dylib, body, found) = match behind.map_err(|error| error.to_string())? {
            Some(Behind::Code(bound)) => return Ok(bound.addr),
            Some(Behind::Name(dylib, body)) => {
                let of = self.dylib(dylib);
                let found = of.lookup(&[body]).and_then(|symbols| {
                    initialize(&of)?;
                    Ok(symbols)
                });
                (dylib, body, found)
            }
            // Objects with initializers do not wait, so there is nothing to initialize.
            Some(Behind::InForce(dylib, body)) => (dylib, body, self.body_of(&set, dylib, body)),
            None => return Err("it is none of a function".into()),
        };
        let outcome = found.and_then(|symbols| {
            let symbol = symbols.first();
            let symbol =
                symbol.ok_or_else(|| LinkError::Internal("a lookup gave no symbol".into()))?;
            let led = self.lead(&set, index, symbol)?;
            if let Led::First(_) = led {
                self.0.note_first_call(dylib, body);
            }
            Ok(led.addr())
        });
        outcome.or_else(|error| {
            (self.0.on_error)(&error);
            let handler = self.0.handler_of(&set, index);
            handler.ok_or_else(|| format!("{} cannot be linked: {error}", name(body)))
        })
    }

    /// Links a function of a lazy dylib.
    fn body_of(
        &self,
        set: &StubSet,
        dylib: DylibId,
        body: NameId,
    ) -> Result<Vec<Symbol>, LinkError> {
        if set.is_removed() {
            return Err(LinkError::Removed {
                what: format!("{}, before its first call,", self.0.names.readable(body)),
            });
        }
        self.dylib(dylib).link_called(body)
    }

    /// Leads a stub to what was looked up for it.
    pub(super) fn lead(
        &self,
        set: &Arc<StubSet>,
        index: u32,
        symbol: &Symbol,
    ) -> Result<Led, LinkError> {
        let code = Bound::of(symbol);
        self.0.state.lock().bind(set, code);
        let outcome = match set.resolve(index, code, &*self.0.executor) {
            Ok(Resolved::Now) => return Ok(Led::First(code.addr)),
            Ok(Resolved::Otherwise(addr)) => Ok(Led::Before(addr)),
            Err(error) => Err(error.into()),
        };
        let mut deferred = DeferredCalls::default();
        let mut state = self.0.state.lock();
        state.unbind(set.tracker, code, &mut deferred);
        drop(state);
        deferred.run(&self.0);
        outcome
    }
}

impl Inner {
    /// Leads stubs to other code, which is bound to them already, in one step with `change`. What they
    /// then lead to no more may go.
    pub(super) fn lead_elsewhere(
        self: &Arc<Self>,
        redirections: &[Redirection],
        change: impl FnOnce() -> Result<(), LinkError>,
    ) -> Result<(), LinkError> {
        let outcome = redirect(redirections, &*self.executor, change);
        let (unused, outcome) = match outcome {
            Ok(old) => (old, Ok(())),
            Err(error) => (
                redirections.iter().filter_map(Redirection::led).collect(),
                Err(error),
            ),
        };
        let mut deferred = DeferredCalls::default();
        {
            let mut state = self.state.lock();
            for (tracker, code) in unused {
                state.unbind(tracker, code, &mut deferred);
            }
        }
        deferred.run(self);
        outcome
    }

    fn refused_stub(&self, name: NameId, problem: &str) -> LinkError {
        LinkError::Client {
            who: format!("stub of {}", self.names.readable(name)),
            message: problem.to_owned(),
        }
    }

    /// What takes calls whose functions cannot be linked.
    pub(super) fn handler(
        self: &Arc<Self>,
        options: &LazyOptions,
    ) -> Result<Option<Bound>, LinkError> {
        let bound = options.on_failure.as_ref().map(|it| self.bound(it));
        bound.transpose().map_err(|problem| LinkError::Client {
            who: "what takes calls of functions that cannot be linked".to_owned(),
            message: problem.to_owned(),
        })
    }

    /// What takes a call of a stub whose function cannot be linked: not that stub.
    fn handler_of(&self, set: &StubSet, index: u32) -> Option<ExecutorAddr> {
        let handler = set.on_failure?.addr;
        let state = self.state.lock();
        let stub = set.unit.get().and_then(|unit| state.address(*unit, index));
        (stub != Some(handler)).then_some(handler)
    }

    /// What a stub is led to, if that is of this session.
    fn bound(self: &Arc<Self>, code: &Symbol) -> Result<Bound, &'static str> {
        let foreign = code.guard().is_some_and(|guard| !guard.is_of(self));
        if foreign || !code.is_in(&self.executor) {
            return Err("the function that it shall lead to is of another session");
        }
        if code.addr().is_null() {
            return Err("the function that it shall lead to has no address");
        }
        Ok(Bound::of(code))
    }
}

impl Bound {
    fn of(symbol: &Symbol) -> Self {
        Self {
            addr: symbol.addr(),
            tracker: symbol.guard().map(CodeGuard::tracker),
        }
    }
}
