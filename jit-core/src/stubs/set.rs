//! The stubs of one object: what is behind each, and where they are.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use crate::sync::{Mutex, MutexGuard};
use orc_shared::{ExecutorAddr, ExecutorAddrRange};

use crate::cpu::{Architecture, Cpu, ForCpu};
use crate::executor::{ExecutorControl, ExecutorResult};
use crate::ids::{DylibId, TrackerId, UnitId};
use crate::name::{NameId, NameTable, NameUses};

/// Size of a pointer in bytes.
pub(super) const POINTER_SIZE: u64 = 8;

/// The stubs of functions that were added together.
pub struct StubSet {
    /// What their memory belongs to.
    pub(crate) tracker: TrackerId,
    /// The object of the stubs, once it is added.
    pub(crate) unit: OnceLock<UnitId>,
    /// Where a call goes on whose function cannot be linked; the process ends if there is none.
    pub(crate) on_failure: Option<Bound>,
    /// The functions of a lazy dylib among them.
    pub(crate) functions: Box<[NameId]>,
    /// Whether its functions were removed: what is not linked cannot be any more.
    is_removed: AtomicBool,
    /// Size of a trampoline in bytes.
    trampoline_size: u64,
    state: Mutex<StubState>,
    /// Of the names that its stubs stand for: a call may come as long as the set is there.
    _uses: NameUses,
}

/// What changes of a set.
pub(super) struct StubState {
    places: Option<Places>,
    behind: Vec<Behind>,
}

/// Where the tables are, once they are linked.
#[derive(Clone, Copy, Debug)]
struct Places {
    pointers: ExecutorAddr,
    trampolines: ExecutorAddr,
}

/// What a stub stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Behind {
    /// A name that is looked up at the first call.
    Name(DylibId, NameId),
    /// The function of that name in a lazy dylib, which stubs stand for.
    InForce(DylibId, NameId),
    /// Code.
    Code(Bound),
}

/// Code that a stub leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Bound {
    /// Its address.
    pub(crate) addr: ExecutorAddr,
    /// What its memory belongs to; none if it is the process's.
    pub(crate) tracker: Option<TrackerId>,
}

/// Whether a call found what it looked up first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Resolved {
    /// The stub leads there from now on.
    Now,
    /// The stub had got other code meanwhile, to which the call goes.
    Otherwise(ExecutorAddr),
}

impl Behind {
    /// The code, if it is known.
    pub(crate) fn code(&self) -> Option<Bound> {
        match self {
            Self::Code(bound) => Some(*bound),
            Self::Name(..) | Self::InForce(..) => None,
        }
    }
}

impl StubSet {
    /// Stubs that have no place yet.
    pub(crate) fn new(
        names: &Arc<NameTable>,
        tracker: TrackerId,
        architecture: Architecture,
        behind: Vec<Behind>,
        on_failure: Option<Bound>,
    ) -> Self {
        let functions = behind.iter().filter_map(|behind| match behind {
            Behind::InForce(_, name) => Some(*name),
            Behind::Name(..) | Behind::Code(_) => None,
        });
        let mut uses = NameUses::new(names);
        for behind in &behind {
            if let Behind::Name(_, name) | Behind::InForce(_, name) = behind {
                uses.keep(*name);
            }
        }
        Self {
            tracker,
            unit: OnceLock::new(),
            functions: functions.collect(),
            on_failure,
            is_removed: AtomicBool::new(false),
            trampoline_size: architecture.run(TrampolineSize),
            state: Mutex::new(StubState {
                places: None,
                behind,
            }),
            _uses: uses,
        }
    }

    /// The tables were linked: `addresses` are those of the object's definitions. Pointers lead to
    /// trampolines again.
    pub(crate) fn place(&self, addresses: &[ExecutorAddr]) {
        let mut state = self.state.lock();
        let count = state.behind.len();
        if let Some(&[pointers, trampolines, ..]) = addresses.get(count..) {
            state.places = Some(Places {
                pointers,
                trampolines,
            });
        }
    }

    /// Where the trampolines are, if they are linked.
    pub(super) fn trampolines(&self) -> Option<ExecutorAddrRange> {
        let state = self.state.lock();
        let size = self.trampoline_size * state.behind.len() as u64;
        let places = state.places?;
        Some(ExecutorAddrRange::from_size(places.trampolines, size))
    }

    /// The stub whose trampoline is at `addr`.
    pub(super) fn index_of(&self, addr: ExecutorAddr) -> Option<u32> {
        let trampolines = self.trampolines()?;
        let offset = addr.value().checked_sub(trampolines.start.value())?;
        let is_one = addr < trampolines.end && offset.is_multiple_of(self.trampoline_size);
        is_one.then(|| (offset / self.trampoline_size) as u32)
    }

    /// What is behind a stub, if there is one of that number. Its pointer is written again if that is code:
    /// a call came through the trampoline all the same.
    pub(crate) fn behind(
        &self,
        index: u32,
        executor: &dyn ExecutorControl,
    ) -> ExecutorResult<Option<Behind>> {
        let state = self.state.lock();
        let behind = state.behind.get(index as usize).copied();
        if let Some(Behind::Code(bound)) = behind {
            state.write(&[(index, bound.addr)], executor)?;
        }
        Ok(behind)
    }

    /// Leads a stub to code that a name stood for, unless it got other code meanwhile.
    pub(crate) fn resolve(
        &self,
        index: u32,
        code: Bound,
        executor: &dyn ExecutorControl,
    ) -> ExecutorResult<Resolved> {
        let mut state = self.state.lock();
        match state.behind.get(index as usize) {
            Some(Behind::Code(other)) => Ok(Resolved::Otherwise(other.addr)),
            _ => {
                state.write(&[(index, code.addr)], executor)?;
                state.set(index, Behind::Code(code));
                Ok(Resolved::Now)
            }
        }
    }

    /// Its functions are removed, though their memory may stay for a while.
    pub(crate) fn remove(&self) {
        self.is_removed.store(true, Ordering::Release);
    }

    /// Whether its functions were removed.
    pub(crate) fn is_removed(&self) -> bool {
        self.is_removed.load(Ordering::Acquire)
    }

    /// Its state, for whoever changes several sets at a time. Calls of its functions that go through
    /// trampolines wait meanwhile.
    pub(super) fn lock(&self) -> MutexGuard<'_, StubState> {
        self.state.lock()
    }
}

impl StubState {
    /// The code that a stub stands for, if that is known.
    pub(super) fn code(&self, index: u32) -> Option<Bound> {
        self.behind.get(index as usize)?.code()
    }

    /// Says what a stub stands for.
    pub(super) fn set(&mut self, index: u32, now: Behind) {
        if let Some(behind) = self.behind.get_mut(index as usize) {
            *behind = now;
        }
    }

    /// The pointer of a stub, once it has one.
    pub(super) fn pointer(&self, index: u32) -> Option<ExecutorAddr> {
        let places = self.places?;
        Some(places.pointers + POINTER_SIZE * u64::from(index))
    }

    /// The trampoline of a stub, once it has one.
    pub(super) fn trampoline(&self, set: &StubSet, index: u32) -> Option<ExecutorAddr> {
        let places = self.places?;
        Some(places.trampolines + set.trampoline_size * u64::from(index))
    }

    fn write(
        &self,
        targets: &[(u32, ExecutorAddr)],
        executor: &dyn ExecutorControl,
    ) -> ExecutorResult<()> {
        let places = targets
            .iter()
            .filter_map(|(index, target)| Some((self.pointer(*index)?, *target)));
        let pointers: Vec<_> = places.collect();
        match pointers.is_empty() {
            true => Ok(()),
            false => executor.write_pointers(&pointers),
        }
    }
}

/// Asks a CPU for the size of a trampoline, in bytes.
struct TrampolineSize;

impl ForCpu for TrampolineSize {
    type Output = u64;

    fn run<C: Cpu>(self) -> u64 {
        C::TRAMPOLINE.code.len() as u64
    }
}
