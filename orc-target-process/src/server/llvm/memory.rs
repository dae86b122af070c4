//! LLVM's simple memory manager: address space is reserved, parts of it are initialized.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use orc_shared::{AllocAction, AllocActionPair, ExecutorAddr, impl_sps_struct};
use parking_lot::Mutex;

use super::super::budget::{Budget, Share};
use crate::executor::trust::Trust;
use crate::executor::{Failure, run_trusted};
use crate::host;
use crate::host::MemoryError;

/// What the pages of a segment allow, as bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Protection(pub(super) u8);

impl Protection {
    pub(super) const READ: u8 = 1;
    pub(super) const WRITE: u8 = 2;
    pub(super) const EXECUTE: u8 = 4;

    pub(super) fn allows(self, bit: u8) -> bool {
        self.0 & bit != 0
    }
}

/// One segment of a request: its content, then zeros.
pub(super) struct Segment {
    /// The lowest bits are a [`Protection`]; another says that the memory is not needed
    /// after initialization, which is no promise.
    protection: u8,
    addr: ExecutorAddr,
    size: u64,
    content: Vec<u8>,
}
impl_sps_struct!(Segment {
    protection: u8,
    addr: ExecutorAddr,
    size: u64,
    content: Vec<u8>,
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
pub(super) struct SimpleMemory {
    budget: Arc<Budget>,
    trust: Trust,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    reservations: BTreeMap<u64, Reservation>,
    was_used: bool,
}

struct Reservation {
    memory: host::pages::Reservation,
    /// What has been initialized, by its first address, in the order of time.
    initialized: Vec<(u64, Vec<AllocAction>)>,
    /// The bytes of it.
    _share: Share,
}

impl State {
    /// The reservation that all of a range lies in.
    fn holder(&mut self, range: &Range<u64>) -> Option<&mut Reservation> {
        let (_, holder) = self.reservations.range_mut(..=range.start).next_back()?;
        (range.end <= holder.memory.range().end).then_some(holder)
    }
}

impl SimpleMemory {
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

    pub(super) fn reserve(&self, size: u64) -> Result<ExecutorAddr, Failure> {
        let page = host::pages::page_size();
        let size = size.max(page).checked_next_multiple_of(page);
        let size = size.unwrap_or(u64::MAX);
        let share = self.budget.take(size)?;
        let memory = host::pages::Reservation::writable(size)
            .map_err(|error| Failure(format!("cannot reserve {size:#x} bytes: {error}")))?;
        let start = memory.range().start;
        let mut state = self.state.lock();
        state.was_used = true;
        let initialized = Vec::new();
        let reservation = Reservation {
            memory,
            initialized,
            _share: share,
        };
        state.reservations.insert(start, reservation);
        Ok(ExecutorAddr::new(start))
    }

    /// Fills and protects segments and runs the actions. The key is the lowest address.
    pub(super) fn initialize(&self, request: InitializeRequest) -> Result<ExecutorAddr, Failure> {
        let InitializeRequest { segments, actions } = request;
        let key = segments.iter().map(|it| it.addr.value()).min();
        let key = key.ok_or_else(|| Failure("a request without segments".to_owned()))?;
        let mut state = self.state.lock();
        for segment in &segments {
            state.place(segment, self.trust)?;
        }
        drop(state);
        // Linked code runs in here, and may ask for more memory.
        let undo = run_actions(actions, self.trust)?;
        let mut state = self.state.lock();
        let holder = state.holder(&(key..key)).ok_or_else(|| {
            Failure(format!(
                "the memory at {key:#x} was released while it was initialized"
            ))
        })?;
        holder.initialized.push((key, undo));
        Ok(ExecutorAddr::new(key))
    }

    /// Runs the dealloc actions of initialized memory. It stays reserved.
    pub(super) fn deinitialize(&self, keys: &[ExecutorAddr]) -> Result<(), Failure> {
        let each = keys.iter().rev().map(|key| {
            let key = key.value();
            let taken = {
                let mut state = self.state.lock();
                let holder = state.holder(&(key..key));
                holder.and_then(|holder| {
                    let at = holder.initialized.iter().position(|(it, _)| *it == key)?;
                    Some(holder.initialized.remove(at).1)
                })
            };
            let undo =
                taken.ok_or_else(|| Failure(format!("no memory was initialized at {key:#x}")))?;
            undo_actions(&undo, self.trust)
        });
        Failure::all(each.map(Result::err))
    }

    /// Runs the dealloc actions of everything in reserved memory, and gives it back.
    pub(super) fn release(&self, bases: &[ExecutorAddr]) -> Result<(), Failure> {
        // The last that was made goes first: it may be a part of what came before.
        let each = bases.iter().rev().map(|base| {
            let initialized = {
                let mut state = self.state.lock();
                let reservation = state.reservations.get_mut(&base.value());
                reservation.map(|it| std::mem::take(&mut it.initialized))
            };
            let initialized =
                initialized.ok_or_else(|| Failure(format!("no memory was reserved at {base}")))?;
            let undone = initialized.iter().rev();
            let undone = undone.map(|(_, undo)| undo_actions(undo, self.trust));
            let outcome = Failure::all(undone.map(Result::err));
            // Unmapped without the lock.
            let reservation = self.state.lock().reservations.remove(&base.value());
            drop(reservation);
            outcome
        });
        Failure::all(each.map(Result::err))
    }
}

impl State {
    /// Fills a segment, and lets it be used.
    fn place(&mut self, segment: &Segment, trust: Trust) -> Result<(), Failure> {
        let page = host::pages::page_size();
        let start = segment.addr.value();
        let size = segment.size.checked_next_multiple_of(page);
        let end = size.and_then(|size| start.checked_add(size));
        let fits = segment.content.len() as u64 <= segment.size && start.is_multiple_of(page);
        let range = end.map(|end| start..end).filter(|_| fits);
        let range = range.filter(|range| self.holder(range).is_some());
        let Some(range) = range else {
            return Err(Failure(format!(
                "a segment of {:#x} bytes at {start:#x}, with {:#x} bytes of content, is not in reserved \
                 memory",
                segment.size,
                segment.content.len()
            )));
        };
        let failed = |error: MemoryError| Failure::new(error);
        // It may have been initialized before.
        let writable = Protection(Protection::READ | Protection::WRITE);
        protect(range.clone(), writable).map_err(failed)?;
        trust.write_bytes(segment.addr, &segment.content);
        let rest = segment.size - segment.content.len() as u64;
        trust.zero(segment.addr + segment.content.len() as u64, rest as usize);
        protect(range, Protection(segment.protection)).map_err(failed)
    }
}

/// Lets pages be used as the bits say.
pub(super) fn protect(range: Range<u64>, protection: Protection) -> Result<(), MemoryError> {
    let bits = [Protection::READ, Protection::WRITE, Protection::EXECUTE];
    host::pages::protect_as(range.clone(), bits.map(|bit| protection.allows(bit)))?;
    if protection.allows(Protection::EXECUTE) {
        host::arch::code::flush_instruction_cache(range);
    }
    Ok(())
}

/// Runs finalize actions in order; what undoes them. If one fails, those before it are undone.
pub(super) fn run_actions(
    actions: Vec<AllocActionPair>,
    trust: Trust,
) -> Result<Vec<AllocAction>, Failure> {
    let mut undo = Vec::new();
    for AllocActionPair { finalize, dealloc } in actions {
        if !finalize.is_absent()
            && let Err(failure) = run_trusted(&finalize, trust)
        {
            return Err(failure.and(undo_actions(&undo, trust).err()));
        }
        if !dealloc.is_absent() {
            undo.push(dealloc);
        }
    }
    Ok(undo)
}

/// Runs dealloc actions in reverse.
pub(super) fn undo_actions(undo: &[AllocAction], trust: Trust) -> Result<(), Failure> {
    let undone = undo.iter().rev();
    let undone: Vec<_> = undone.map(|it| run_trusted(it, trust)).collect();
    Failure::all(undone.into_iter().map(Result::err))
}
