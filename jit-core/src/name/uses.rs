//! Names that leave the table when nobody needs them.
//!
//! Objects that come and go have names that no other has. So who interns a name may say when it uses
//! the name no more ([`NameUses`]: an object and an archive do). A name without users may still be on its way
//! through a lookup or a link, which copy ids freely. Those take a [`NameGuard`] when they start; a name
//! leaves, and its id can stand for another one, when all guards are gone that were there when its
//! last user went. When the last session of a table ends, nothing leaves any more: the table goes as a whole.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::{NameId, NameTable, SHARDS};
use crate::input::InputBytes;

use super::shard::NO_INPUT;

/// Who waits for whom: guards, and names without users.
#[derive(Default)]
pub(super) struct Leaving {
    queue: Mutex<Queue>,
    /// Whether there was a session, and there is none any more.
    over: AtomicBool,
}

#[derive(Default)]
struct Queue {
    /// Counts the times at which names lost their last users.
    now: u64,
    /// When the guards that exist were taken, and how many were then.
    guards: BTreeMap<u64, u32>,
    /// Names that lost their last users, and when.
    names: VecDeque<(u64, Vec<NameId>)>,
    sessions: usize,
}

impl Queue {
    /// Names that no guard was there for.
    fn take_unguarded(&mut self) -> Vec<NameId> {
        let oldest = self.guards.first_key_value().map(|(taken, _)| *taken);
        let mut unguarded = Vec::new();
        while let Some((when, _)) = self.names.front()
            && oldest.is_none_or(|oldest| *when < oldest)
        {
            unguarded.extend(self.names.pop_front().unwrap_or_default().1);
        }
        unguarded
    }
}

impl Leaving {
    fn session_starts(&self) {
        let mut queue = self.queue.lock();
        queue.sessions += 1;
        self.over.store(false, Ordering::Relaxed);
    }

    fn session_ends(&self) {
        let mut queue = self.queue.lock();
        queue.sessions -= 1;
        self.over.store(queue.sessions == 0, Ordering::Relaxed);
    }

    fn guard(&self) -> u64 {
        let mut queue = self.queue.lock();
        let now = queue.now;
        *queue.guards.entry(now).or_default() += 1;
        now
    }

    fn guard_is_gone(&self, taken: u64) -> Vec<NameId> {
        let mut queue = self.queue.lock();
        if let Some(count) = queue.guards.get_mut(&taken) {
            *count -= 1;
            if *count == 0 {
                queue.guards.remove(&taken);
            }
        }
        queue.take_unguarded()
    }

    fn add(&self, names: Vec<NameId>) -> Vec<NameId> {
        let mut queue = self.queue.lock();
        let now = queue.now;
        queue.names.push_back((now, names));
        queue.now += 1;
        queue.take_unguarded()
    }
}

/// Names that somebody uses until this is dropped. In a table whose names stay it holds nothing.
pub struct NameUses {
    table: Arc<NameTable>,
    ids: Vec<NameId>,
    /// Inputs that names were borrowed from, by their numbers in each shard.
    inputs: Vec<[u32; SHARDS]>,
}

impl NameUses {
    /// Uses nothing yet.
    #[must_use]
    pub fn new(table: &Arc<NameTable>) -> Self {
        Self {
            table: table.clone(),
            ids: Vec::new(),
            inputs: Vec::new(),
        }
    }

    /// For those who use none mostly, and are moved often.
    #[must_use]
    pub fn boxed(self) -> Option<Box<Self>> {
        (!self.ids.is_empty()).then(|| Box::new(self))
    }

    /// The names.
    #[must_use]
    pub fn table(&self) -> &Arc<NameTable> {
        &self.table
    }

    /// The id of `name`, made if new. New names are copied.
    pub fn intern(&mut self, name: &[u8]) -> NameId {
        let counts = self.table.leaving.is_some();
        let id = self.table.intern_one(name, counts);
        if counts {
            self.ids.push(id);
        }
        id
    }

    /// Uses a name that somebody else uses now, too.
    pub fn keep(&mut self, id: NameId) -> NameId {
        if self.table.leaving.is_some() {
            let (shard, index) = id.parts();
            self.table.shards[shard].0.lock().keep(index);
            self.ids.push(id);
        }
        id
    }

    /// Appends the ids of all `names` to `ids`, in order. `names` are parts of `input`; if that is
    /// large (a mapped archive, a big object), it is kept as long as they are used and nothing is copied. Names
    /// that are no part of it are copied.
    pub fn intern_from<'a>(
        &mut self,
        input: &Arc<dyn InputBytes>,
        names: impl IntoIterator<Item = &'a [u8]>,
        ids: &mut Vec<NameId>,
    ) {
        let counts = self.table.leaving.is_some();
        let first = ids.len();
        let mut numbers = [NO_INPUT; SHARDS];
        self.table
            .intern_parts(input, names, counts, &mut numbers, ids);
        if counts {
            self.ids.extend_from_slice(&ids[first..]);
            if numbers.iter().any(|number| *number != NO_INPUT) {
                self.inputs.push(numbers);
            }
        }
    }
}

impl Clone for NameUses {
    /// Another use of the same names.
    fn clone(&self) -> Self {
        let mut other = Self::new(&self.table);
        for id in &self.ids {
            other.keep(*id);
        }
        other
    }
}

impl Drop for NameUses {
    fn drop(&mut self) {
        let leaving = self.table.leaving.as_ref();
        let Some(leaving) = leaving.filter(|it| !it.over.load(Ordering::Relaxed)) else {
            return;
        };
        let mut unused = Vec::new();
        for id in std::mem::take(&mut self.ids) {
            if self.table.release(id, &self.inputs) {
                unused.push(id);
            }
        }
        if !unused.is_empty() {
            let unguarded = leaving.add(unused);
            self.table.remove(&unguarded);
        }
    }
}

/// While it exists, ids that were in use when it was taken, or are interned later, mean what they meant.
pub struct NameGuard {
    table: Arc<NameTable>,
    taken: u64,
}

impl NameGuard {
    /// Guards all names that are in use now.
    #[must_use]
    pub fn new(table: &Arc<NameTable>) -> Self {
        let taken = table.leaving.as_ref().map_or(0, Leaving::guard);
        Self {
            table: table.clone(),
            taken,
        }
    }
}

impl Drop for NameGuard {
    fn drop(&mut self) {
        if let Some(leaving) = &self.table.leaving {
            let unguarded = leaving.guard_is_gone(self.taken);
            self.table.remove(&unguarded);
        }
    }
}

impl NameTable {
    /// A session uses the table, until [`Self::session_ends`].
    pub(crate) fn session_starts(&self) {
        if let Some(leaving) = &self.leaving {
            leaving.session_starts();
        }
    }

    /// A session ends: if it was the only one, names do not leave one by one any more.
    pub(crate) fn session_ends(&self) {
        if let Some(leaving) = &self.leaving {
            leaving.session_ends();
        }
    }

    /// A user does not use the name any more. Whether it was the last.
    fn release(&self, id: NameId, inputs: &[[u32; SHARDS]]) -> bool {
        let (shard, index) = id.parts();
        let mut names = self.shards[shard].0.lock();
        let of_input = inputs.iter().find(|numbers| {
            let number = numbers[shard];
            number != NO_INPUT && names.borrows_from(index, number)
        });
        let input = of_input.map_or(NO_INPUT, |numbers| numbers[shard]);
        names.release(index, input)
    }

    /// Names that nobody can need any more leave, but for those that have got users again.
    fn remove(&self, names: &[NameId]) {
        for id in names {
            let (shard, index) = id.parts();
            let mut names = self.shards[shard].0.lock();
            names.leave(index, |name| self.hash(name));
        }
    }
}
