//! LLVM's shared memory mapper: the controller writes through a mapping of its own.
//!
//! Both sides map a named shared memory object. What is written after initialization is seen by
//! forked children too, which a program may notice: our own controllers do it another way.

use std::collections::BTreeMap;
use std::sync::Arc;

use orc_shared::{AllocAction, AllocActionPair, ExecutorAddr, impl_sps_struct};
use parking_lot::Mutex;

use super::super::budget::{Budget, Share};
use super::memory::{Protection, protect, run_actions, undo_actions};
use crate::executor::Failure;
use crate::executor::trust::Trust;
use crate::host;

/// One segment: the controller has written its content, zeros follow.
pub(super) struct Segment {
    protection: u8,
    addr: ExecutorAddr,
    size: u64,
}
impl_sps_struct!(Segment {
    protection: u8,
    addr: ExecutorAddr,
    size: u64,
});

/// What to do with a part of reserved memory.
pub(super) struct InitializeRequest {
    segments: Vec<Segment>,
    actions: Vec<AllocActionPair>,
}
impl_sps_struct!(InitializeRequest {
    segments: Vec<Segment>,
    actions: Vec<AllocActionPair>,
});

/// Reservations by their first address.
pub(super) struct SharedMemory {
    budget: Arc<Budget>,
    trust: Trust,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    reservations: BTreeMap<u64, Reservation>,
    initialized: BTreeMap<u64, Vec<AllocAction>>,
    was_used: bool,
}

struct Reservation {
    memory: host::named_memory::NamedMemory,
    /// Keys of what has been initialized, in the order of time.
    initialized: Vec<u64>,
    /// The bytes of it.
    _share: Share,
}

impl SharedMemory {
    pub(super) fn new(budget: Arc<Budget>, trust: Trust) -> Self {
        Self {
            budget,
            trust,
            state: Mutex::default(),
        }
    }

    /// Whether there was memory, and all of it is released.
    pub(super) fn is_used_up(&self) -> bool {
        let state = self.state.lock();
        state.was_used && state.reservations.is_empty()
    }

    /// Reserves memory; the controller finds it under the name.
    pub(super) fn reserve(&self, size: u64) -> Result<(ExecutorAddr, String), Failure> {
        let page = host::pages::page_size();
        let size = size.max(page).checked_next_multiple_of(page);
        let size = size.unwrap_or(u64::MAX);
        let share = self.budget.take(size)?;
        let memory = host::named_memory::NamedMemory::new(size)
            .map_err(|error| Failure(format!("cannot share {size:#x} bytes: {error}")))?;
        let (start, name) = (memory.range().start, memory.name().to_owned());
        let mut state = self.state.lock();
        state.was_used = true;
        let initialized = Vec::new();
        let reservation = Reservation {
            memory,
            initialized,
            _share: share,
        };
        state.reservations.insert(start, reservation);
        Ok((ExecutorAddr::new(start), name))
    }

    /// Protects segments and runs the actions. The key is the lowest address.
    pub(super) fn initialize(
        &self,
        base: ExecutorAddr,
        request: InitializeRequest,
    ) -> Result<ExecutorAddr, Failure> {
        let InitializeRequest { segments, actions } = request;
        let page = host::pages::page_size();
        let mut state = self.state.lock();
        let holder = state.reservations.get_mut(&base.value());
        let holder = holder.ok_or_else(|| no_memory(base))?;
        let all = holder.memory.range();
        let mut key = all.end;
        for segment in &segments {
            let start = segment.addr.value();
            let size = segment.size.checked_next_multiple_of(page);
            let end = size.and_then(|size| start.checked_add(size));
            let range = end.map(|end| start..end).filter(|range| {
                all.start <= range.start && range.end <= all.end && start.is_multiple_of(page)
            });
            let range = range.ok_or_else(|| {
                Failure(format!(
                    "a segment of {:#x} bytes at {start:#x} is not in shared memory",
                    segment.size
                ))
            })?;
            key = key.min(start);
            protect(range, Protection(segment.protection)).map_err(Failure::new)?;
        }
        drop(state);
        // Linked code runs in here, and may ask for more memory.
        let undo = run_actions(actions, self.trust)?;
        let mut state = self.state.lock();
        let holder = state.reservations.get_mut(&base.value());
        holder.ok_or_else(|| no_memory(base))?.initialized.push(key);
        state.initialized.insert(key, undo);
        Ok(ExecutorAddr::new(key))
    }

    /// Runs the dealloc actions of initialized memory. It stays reserved.
    pub(super) fn deinitialize(&self, keys: &[ExecutorAddr]) -> Result<(), Failure> {
        let each = keys.iter().rev().map(|key| {
            let taken = {
                let mut state = self.state.lock();
                for reservation in state.reservations.values_mut() {
                    reservation.initialized.retain(|it| *it != key.value());
                }
                state.initialized.remove(&key.value())
            };
            let undo = taken
                .ok_or_else(|| Failure(format!("no shared memory was initialized at {key}")))?;
            undo_actions(&undo, self.trust)
        });
        Failure::all(each.map(Result::err))
    }

    /// Runs the dealloc actions of everything in reserved memory, and gives it back.
    pub(super) fn release(&self, bases: &[ExecutorAddr]) -> Result<(), Failure> {
        // The last that was made goes first: it may be a part of what came before.
        let each = bases.iter().rev().map(|base| {
            let keys = {
                let state = self.state.lock();
                let reservation = state.reservations.get(&base.value());
                reservation
                    .ok_or_else(|| no_memory(*base))?
                    .initialized
                    .clone()
            };
            let keys: Vec<_> = keys.into_iter().map(ExecutorAddr::new).collect();
            let outcome = self.deinitialize(&keys);
            // Unmapped without the lock.
            let reservation = self.state.lock().reservations.remove(&base.value());
            drop(reservation);
            outcome
        });
        Failure::all(each.map(Result::err))
    }
}

fn no_memory(base: ExecutorAddr) -> Failure {
    Failure(format!("no shared memory was reserved at {base}"))
}
