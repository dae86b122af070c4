//! LLVM's shared memory mapper: the controller writes through a mapping of its own.
//!
//! Both sides map a named shared memory object. What is written after initialization is seen by
//! forked children too, which a program may notice: our own controllers do it another way.

use std::collections::BTreeMap;

use orc_shared::{AllocAction, AllocActionPair, ExecutorAddr, impl_sps_struct};
use parking_lot::Mutex;

use super::memory::{Protection, protect, run_actions, undo_actions};
use crate::executor::Failure;
use crate::sys;

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
#[derive(Default)]
pub(super) struct SharedMemory(Mutex<State>);

#[derive(Default)]
struct State {
    reservations: BTreeMap<u64, Reservation>,
    initialized: BTreeMap<u64, Vec<AllocAction>>,
    bytes: u64,
    was_used: bool,
}

struct Reservation {
    memory: sys::shared::NamedMemory,
    /// Keys of what has been initialized, in the order of time.
    initialized: Vec<u64>,
}

impl SharedMemory {
    /// Whether there was memory, and all of it is released.
    pub(super) fn is_used_up(&self) -> bool {
        let state = self.0.lock();
        state.was_used && state.reservations.is_empty()
    }

    /// Reserves memory; the controller finds it under the name.
    pub(super) fn reserve(&self, size: u64, limit: u64) -> Result<(ExecutorAddr, String), Failure> {
        let page = sys::memory::page_size();
        let size = size.checked_next_multiple_of(page).unwrap_or(u64::MAX);
        let mut state = self.0.lock();
        if state.bytes.saturating_add(size) > limit {
            return Err(Failure(format!(
                "{size} bytes more than the {} in use exceed the executor's limit of {limit} bytes \
                 of memory",
                state.bytes
            )));
        }
        let memory = sys::shared::NamedMemory::new(size.max(page))
            .map_err(|error| Failure(format!("cannot share {size:#x} bytes: {error}")))?;
        let (start, name) = (memory.range().start, memory.name().to_owned());
        state.bytes += size;
        state.was_used = true;
        let initialized = Vec::new();
        let reservation = Reservation {
            memory,
            initialized,
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
        let page = sys::memory::page_size();
        let mut state = self.0.lock();
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
        let undo = run_actions(actions)?;
        let mut state = self.0.lock();
        let holder = state.reservations.get_mut(&base.value());
        holder.ok_or_else(|| no_memory(base))?.initialized.push(key);
        state.initialized.insert(key, undo);
        Ok(ExecutorAddr::new(key))
    }

    /// Runs the dealloc actions of initialized memory. It stays reserved.
    pub(super) fn deinitialize(&self, keys: &[ExecutorAddr]) -> Result<(), Failure> {
        let each = keys.iter().rev().map(|key| {
            let taken = {
                let mut state = self.0.lock();
                for reservation in state.reservations.values_mut() {
                    reservation.initialized.retain(|it| *it != key.value());
                }
                state.initialized.remove(&key.value())
            };
            let undo = taken
                .ok_or_else(|| Failure(format!("no shared memory was initialized at {key}")))?;
            undo_actions(&undo)
        });
        Failure::all(each.map(Result::err))
    }

    /// Runs the dealloc actions of everything in reserved memory, and gives it back.
    pub(super) fn release(&self, bases: &[ExecutorAddr]) -> Result<(), Failure> {
        // The last that was made goes first: it may be a part of what came before.
        let each = bases.iter().rev().map(|base| {
            let keys = {
                let state = self.0.lock();
                let reservation = state.reservations.get(&base.value());
                reservation
                    .ok_or_else(|| no_memory(*base))?
                    .initialized
                    .clone()
            };
            let keys: Vec<_> = keys.into_iter().map(ExecutorAddr::new).collect();
            let outcome = self.deinitialize(&keys);
            let mut state = self.0.lock();
            if let Some(reservation) = state.reservations.remove(&base.value()) {
                let range = reservation.memory.range();
                state.bytes -= range.end - range.start;
            }
            outcome
        });
        Failure::all(each.map(Result::err))
    }
}

fn no_memory(base: ExecutorAddr) -> Failure {
    Failure(format!("no shared memory was reserved at {base}"))
}
