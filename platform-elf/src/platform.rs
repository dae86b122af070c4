//! The ELF platform: what ELF adds to links and to the life of a dylib.
//!
//! To a link it adds the names a linker provides and the order of sections. To a dylib it adds a
//! header ([`HeaderObject`]) and, through finalize actions, what the runtime has to know: the
//! dylib itself, as soon as its header is in memory, and every batch's initializers.

mod header;
mod initializers;
mod linker_defined;
mod section_rank;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jit_core::batch::DylibId;
use jit_core::error::LinkError;
use jit_core::executor::AllocActionPair;
use jit_core::name::NameTable;
use jit_core::platform::{LaidOutGroup, LinkerDefined, Platform};
use orc_shared::ExecutorAddr;

pub use self::header::HeaderObject;
pub use self::initializers::RuntimeFunctions;
use self::initializers::{InitializerNames, InitializerRanges};

/// The ELF platform of one session.
#[derive(Default)]
pub struct ElfPlatform {
    names: InitializerNames,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    runtime: Option<RuntimeFunctions>,
    dylib_names: HashMap<DylibId, String>,
    /// What was linked before the runtime could be called: the runtime itself.
    early: Vec<EarlyGroup>,
}

struct EarlyGroup {
    header: ExecutorAddr,
    is_new: Option<String>,
    ranges: InitializerRanges,
}

impl ElfPlatform {
    /// A platform without a runtime: what is linked waits to be registered.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
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

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EarlyGroup {
    fn actions(&self, runtime: &RuntimeFunctions) -> Vec<AllocActionPair> {
        let name = self.is_new.as_ref();
        let dylib = name.map(|name| initializers::dylib_action(name, self.header, runtime));
        let ranges = self.ranges.actions(self.header, runtime);
        dylib.into_iter().chain(ranges).collect()
    }
}

impl Platform for ElfPlatform {
    fn linker_defined(&self, name: &[u8]) -> Option<LinkerDefined> {
        linker_defined::linker_defined(name)
    }

    fn section_rank(&self, output: &[u8]) -> u32 {
        section_rank::section_rank(output)
    }

    fn finalize_actions(
        &self,
        group: &LaidOutGroup<'_>,
        names: &NameTable,
    ) -> Result<Vec<AllocActionPair>, LinkError> {
        let ranges = InitializerRanges::of(group, names, &self.names);
        let Some(header) = group.header else {
            if ranges == InitializerRanges::default() {
                return Ok(Vec::new());
            }
            let message = "initializers in a dylib without a header";
            return Err(LinkError::Internal(message.to_owned()));
        };
        let mut state = self.state();
        // The group that holds the header is the dylib's first.
        let is_new = group
            .sections
            .iter()
            .any(|(_, range)| range.contains(header))
            .then(|| state.dylib_names.get(&group.dylib).cloned())
            .flatten();
        let group = EarlyGroup {
            header,
            is_new,
            ranges,
        };
        match state.runtime {
            Some(runtime) => Ok(group.actions(&runtime)),
            None => {
                state.early.push(group);
                Ok(Vec::new())
            }
        }
    }
}
