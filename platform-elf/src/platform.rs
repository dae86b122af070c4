//! The ELF platform: what ELF adds to links and to the life of a dylib.
//!
//! To a link it adds the names a linker provides and the order of sections. To a dylib it adds a
//! header ([`SupportObject::header`]) and, through finalize actions, what the runtime has to know:
//! the dylib itself, as soon as its header is in memory, and every batch's initializers.

mod debug_image;
mod handlers;
mod initializers;
mod lazy_calls;
mod linker_defined;
mod opening;
mod runtime;
mod runtime_names;
mod section_rank;
mod spelling;
mod support;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jit_core::batch::DylibId;
use jit_core::cpu::Architecture;
use jit_core::debug::DebugContent;
use jit_core::error::LinkError;
use jit_core::executor::{AllocActionPair, ExecutorControl, ExecutorError, ExecutorResult};
use jit_core::name::NameTable;
use jit_core::platform::{
    LaidOutGroup, LinkerDefined, LinkerSection, Passes, Platform, ReleaseCause,
};
use orc_shared::sps::{self, SpsExpected};
use orc_shared::{ExecutorAddr, ExecutorAddrRange};

pub use self::initializers::RuntimeFunctions;
use self::initializers::{InitializerNames, InitializerRanges};
pub(crate) use self::linker_defined::{end_of_section, linker_defined, start_of_section};
use self::opening::Waiting;
pub use self::runtime::{ElfRuntime, ProcessLibrary, ProgramCall, ProgramStart};
pub use self::support::SupportObject;

/// Adds passes of a client to the links of a dylib.
pub type AddPasses = Box<dyn Fn(DylibId, &mut Passes) + Send + Sync>;

/// The ELF platform of one session.
#[derive(Default)]
pub struct ElfPlatform {
    names: InitializerNames,
    add_passes: Vec<AddPasses>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    runtime: Option<RuntimeFunctions>,
    /// The runtime's own dylib.
    runtime_dylib: Option<DylibId>,
    dylib_names: HashMap<DylibId, String>,
    headers: HashMap<ExecutorAddr, DylibId>,
    header_of: HashMap<DylibId, ExecutorAddr>,
    waiting: Waiting,
    /// What was linked before the runtime could be called: the runtime itself.
    early: Vec<KnownGroup>,
}

/// What the runtime has to know of a group.
struct KnownGroup {
    header: ExecutorAddr,
    /// The dylib's name, if this group holds its header.
    is_new: Option<String>,
    ranges: InitializerRanges,
}

impl ElfPlatform {
    /// A platform without a runtime: what is linked waits to be registered.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds passes of the client to every link.
    pub fn add_passes(&mut self, add: AddPasses) {
        self.add_passes.push(add);
    }

    /// Tells the name under which the runtime is to know a dylib. Call it before linking into it.
    pub fn name_dylib(&self, dylib: DylibId, name: &str) {
        self.state().dylib_names.insert(dylib, name.to_owned());
    }

    /// The runtime can be called from now on. Returns the calls that were due before, in order.
    #[must_use]
    pub fn runtime_ready(&self, runtime: RuntimeFunctions) -> Vec<AllocActionPair> {
        let mut state = self.state();
        state.runtime = Some(runtime);
        let early = std::mem::take(&mut state.early);
        let actions = early.iter().flat_map(|group| group.actions(&runtime));
        actions.collect()
    }

    /// Tells which dylib the runtime is linked in: it is opened before there is a runtime to call.
    pub(crate) fn set_runtime_dylib(&self, dylib: DylibId) {
        self.state().runtime_dylib = Some(dylib);
    }

    /// The runtime is about to stop: nothing of it may be called any more.
    pub(crate) fn runtime_stops(&self) {
        self.state().runtime = None;
    }

    /// The dylib that has its header at this address.
    #[must_use]
    pub fn dylib_of(&self, header: ExecutorAddr) -> Option<DylibId> {
        self.state().headers.get(&header).copied()
    }

    /// The header of a dylib, once it is in memory.
    #[must_use]
    pub fn header_of(&self, dylib: DylibId) -> Option<ExecutorAddr> {
        self.state().header_of.get(&dylib).copied()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KnownGroup {
    fn actions(&self, runtime: &RuntimeFunctions) -> Vec<AllocActionPair> {
        let name = self.is_new.as_ref();
        let dylib = name.map(|name| initializers::dylib_action(name, self.header, runtime));
        let ranges = self.ranges.actions(self.header, runtime);
        dylib.into_iter().chain(ranges).collect()
    }
}

impl Platform for ElfPlatform {
    fn configure_passes(&self, dylib: DylibId, passes: &mut Passes) {
        for add in &self.add_passes {
            add(dylib, passes);
        }
    }

    fn linker_defined(&self, name: &[u8]) -> Option<LinkerDefined> {
        linker_defined(name)
    }

    fn section_rank(&self, output: &[u8]) -> u32 {
        section_rank::section_rank(output)
    }

    fn header_name(&self) -> &'static str {
        support::HEADER
    }

    fn section_name(&self, section: LinkerSection) -> &'static str {
        spelling::section_name(section)
    }

    fn split_version<'a>(&self, name: &'a [u8]) -> (&'a [u8], Option<&'a [u8]>) {
        spelling::split_version(name)
    }

    fn is_initializer_section(&self, output: &[u8]) -> bool {
        initializers::SECTIONS.contains(&output)
    }

    fn preinit_arrays(
        &self,
        group: &LaidOutGroup<'_>,
        names: &NameTable,
    ) -> Vec<ExecutorAddrRange> {
        initializers::preinit_arrays(group, names)
    }

    fn finalize_actions(
        &self,
        group: &LaidOutGroup<'_>,
        names: &NameTable,
    ) -> Result<Vec<AllocActionPair>, LinkError> {
        let mut ranges = InitializerRanges::of(group, names, &self.names);
        let Some(header) = group.header else {
            if !ranges.has_functions() {
                return Ok(Vec::new());
            }
            let message = "initializers in a dylib without a header";
            return Err(LinkError::Internal(message.to_owned()));
        };
        let mut state = self.state();
        // The group that holds the header is the dylib's first.
        let holds_header = group.sections.iter().any(|(_, r)| r.contains(header));
        if holds_header {
            if let Some(gone) = state.headers.insert(header, group.dylib) {
                state.header_of.remove(&gone);
            }
            state.header_of.insert(group.dylib, header);
        }
        // What the client has opened is not closed before it goes; a program is opened once.
        if !group.is_program && !state.waiting.is_open(group.dylib) {
            ranges.data = group.writable.to_vec();
        }
        let has_own = ranges.has_functions();
        state.waiting.linked(group.dylib, holds_header, has_own);
        let name = state.dylib_names.get(&group.dylib).cloned();
        let known = KnownGroup {
            header,
            is_new: name.filter(|_| holds_header),
            ranges,
        };
        match state.runtime {
            Some(runtime) => Ok(known.actions(&runtime)),
            None => {
                state.early.push(known);
                Ok(Vec::new())
            }
        }
    }

    fn before_release(
        &self,
        executor: &dyn ExecutorControl,
        dylib: DylibId,
        ranges: &[ExecutorAddrRange],
        cause: ReleaseCause,
    ) -> ExecutorResult<u64> {
        let runtime = self.state().runtime;
        let function = runtime.and_then(|runtime| match cause {
            ReleaseCause::Removal => runtime.remove_ranges,
            ReleaseCause::LastUser => runtime.finalize_ranges,
        });
        let (Some(function), Some(header)) = (function, self.header_of(dylib)) else {
            return Ok(0);
        };
        let answer = executor.call_wrapper(function, &sps::encode(&(header, ranges)))?;
        let count: SpsExpected<u64> =
            sps::decode(&answer).map_err(|error| ExecutorError::Failed(error.to_string()))?;
        count.0.map_err(ExecutorError::Failed)
    }

    fn debug_image(&self, cpu: Architecture, content: &DebugContent) -> Option<Vec<u8>> {
        debug_image::debug_image(cpu, content)
    }

    fn forget_dylib(&self, dylib: DylibId) {
        let mut state = self.state();
        state.dylib_names.remove(&dylib);
        state.waiting.forget(dylib);
        if let Some(header) = state.header_of.remove(&dylib)
            // Another dylib may have got its place.
            && state.headers.get(&header) == Some(&dylib)
        {
            state.headers.remove(&header);
        }
    }
}
