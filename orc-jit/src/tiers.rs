//! Functions in several versions, of which linked code itself asks for the better ones.
//!
//! Code of one version counts, and calls the runtime's `__orc_rt_reoptimize(unit, version)` when a better version would
//! pay. That is LLVM's entry point: `void (uint64_t unit, uint32_t version)`, which keeps all registers. The thread that
//! asks compiles the next version and puts it in place; all others go on meanwhile. A version replaces the one
//! before it as [`crate::Tracker::replace`] does: callers and pointers get into it, and variables keep their values.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jit_core::object::ObjectFile;
use jit_core::session::{Removal, ReplaceOptions, Replaced, Tracker};

use crate::dylib::Dylib;
use crate::error::Error;
use crate::jit::Jit;

/// Compiles versions of a unit: functions that are compiled and replaced together.
pub trait TierCompiler: Send + Sync {
    /// What it is called in messages.
    fn name(&self) -> String;

    /// The objects of a version, 0 being the first: they define the same functions, and may call others.
    /// `None` if there is no better one than the version before. `unit` and `version` are what the code
    /// passes on to ask for the next one. Objects are read with [`crate::ObjectReader`]; those that take each
    /// other's place have the same name.
    ///
    /// Called on the thread that asks, without any lock; it may look symbols up.
    ///
    /// # Errors
    /// In words. The version that is there then stays.
    fn compile(&self, unit: u64, version: u32) -> Result<Option<Vec<Arc<dyn ObjectFile>>>, String>;
}

/// A unit of functions in versions. A handle, cheap to clone; dropping it removes nothing.
#[derive(Clone)]
pub struct Tiered {
    jit: Jit,
    unit: Arc<Unit>,
}

struct Unit {
    number: u64,
    compiler: Arc<dyn TierCompiler>,
    /// Of the session: a handle of this crate would keep the JIT, which keeps the unit.
    tracker: Tracker,
    state: Mutex<State>,
}

/// How far a unit has come.
#[derive(Default)]
struct State {
    version: u32,
    /// A thread compiles the next one.
    is_busy: bool,
    /// There is no next one.
    is_last: bool,
    failure: Option<String>,
    /// Versions that may still run.
    old: Vec<Replaced>,
}

/// The units of a JIT, by number.
#[derive(Default)]
pub(crate) struct Units(Mutex<Numbered>);

#[derive(Default)]
struct Numbered {
    last: u64,
    units: HashMap<u64, Arc<Unit>>,
}

impl Dylib {
    /// Adds a unit of functions whose code may ask for better versions of itself. The first version is compiled
    /// now. The dylib allows replacement from now on ([`Dylib::allow_replacement`]).
    ///
    /// # Errors
    /// When the first version cannot be compiled, or defines what is defined already.
    ///
    /// # Safety
    /// Callers of each function may call any version of it, and what a version does with variables of the one before is
    /// right.
    pub unsafe fn add_tiered(&self, compiler: Arc<dyn TierCompiler>) -> Result<Tiered, Error> {
        self.allow_replacement();
        let tiers = &self.jit.0.tiers;
        let unit = Arc::new(Unit {
            number: tiers.next_number(),
            compiler,
            tracker: self.session_dylib().new_tracker(),
            state: Mutex::default(),
        });
        let failed = |message| Error::Tier {
            compiler: unit.compiler.name(),
            message,
        };
        let objects = unit.compile(0).map_err(failed)?;
        let objects = objects.ok_or_else(|| failed("there is no first version".to_owned()))?;
        unit.tracker.add_objects(objects)?;
        tiers.lock().units.insert(unit.number, unit.clone());
        let jit = self.jit.clone();
        Ok(Tiered { jit, unit })
    }
}

impl Tiered {
    /// The number by which the code asks for better versions.
    #[must_use]
    pub fn unit(&self) -> u64 {
        self.unit.number
    }

    /// The version that is called now.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.unit.state().version
    }

    /// Why the last version that was asked for is not there.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.unit.state().failure.clone()
    }

    /// Gives versions back that were replaced.
    ///
    /// # Errors
    /// When memory cannot be given back.
    ///
    /// # Safety
    /// Nobody runs them any more, and nothing points to their constants.
    pub unsafe fn retire_old(&self) -> Result<(), Error> {
        let old = std::mem::take(&mut self.unit.state().old);
        for version in old {
            let _removal: Removal = version.retire()?;
        }
        Ok(())
    }

    /// Removes the functions, in all versions; they are asked for no more.
    ///
    /// # Errors
    /// When memory cannot be given back; the names are gone all the same.
    pub fn remove(&self) -> Result<Removal, Error> {
        self.jit.0.tiers.lock().units.remove(&self.unit.number);
        self.unit.state().is_last = true;
        Ok(self.unit.tracker.remove()?)
    }
}

impl Unit {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn compile(&self, version: u32) -> Result<Option<Vec<Arc<dyn ObjectFile>>>, String> {
        let compile = AssertUnwindSafe(|| self.compiler.compile(self.number, version));
        catch_unwind(compile).unwrap_or_else(|_| Err("it panicked".to_owned()))
    }

    /// Code of this version asks for the next one.
    fn ask(&self, version: u32) {
        {
            let mut state = self.state();
            // It may have asked before, or be an old one that still runs.
            if state.is_busy || state.is_last || state.version != version {
                return;
            }
            state.is_busy = true;
        }
        let next = self.compile(version + 1);
        let replaced = next.and_then(|objects| {
            let replace =
                |objects: Vec<_>| self.tracker.replace(&objects, ReplaceOptions::default());
            let replaced = objects.map(replace).transpose();
            replaced.map_err(|error| error.to_string())
        });
        let mut state = self.state();
        state.is_busy = false;
        match replaced {
            Ok(Some(old)) => {
                state.version += 1;
                state.old.push(old);
            }
            Ok(None) => state.is_last = true,
            Err(message) => {
                let name = self.compiler.name();
                tracing::error!("{name}: no version {} of a unit: {message}", version + 1);
                state.failure = Some(message);
                state.is_last = true;
            }
        }
    }
}

impl Units {
    fn lock(&self) -> MutexGuard<'_, Numbered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_number(&self) -> u64 {
        let mut numbered = self.lock();
        numbered.last += 1;
        numbered.last
    }

    /// Code of a unit asks for a better version.
    pub(crate) fn ask(&self, unit: u64, version: u32) {
        // The unit may have been removed, and its code still run.
        let unit = self.lock().units.get(&unit).cloned();
        if let Some(unit) = unit {
            unit.ask(version);
        }
    }
}
