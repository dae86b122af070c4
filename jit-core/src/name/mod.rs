//! Interned symbol names.
//!
//! A session meets hundreds of thousands of names, most of them long (C++) and most of them many
//! times. Each is hashed once, when an object's symbol table is read; everything later compares
//! 32-bit ids. The table is split into shards by hash, each under its own lock, so objects are
//! read in parallel; a whole symbol table is interned with one lock per shard and chunk.
//!
//! The bytes of a name are not copied when they lie in an input that stays mapped for long (see
//! [`NameUses::intern_from`]): a program's names would otherwise dirty tens of megabytes.
//!
//! Names leave the table when they have no users any more (module `uses`), unless the table is made for a
//! link whose objects stay ([`NameTable::permanent`]), which then counts nothing.

mod room;
mod shard;
#[cfg(test)]
mod tests;
mod uses;

use std::hash::{BuildHasher, Hasher};
use std::num::NonZeroU32;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use crate::input::InputBytes;

use self::shard::{GROUP, Incoming, NO_INPUT, Names, User};
use self::uses::Leaving;
pub use self::uses::{NameGuard, NameUses};

/// An interned symbol name: equal ids mean equal names within one session.
///
/// Ids are small and nearly dense, so they can index side tables. An id of a name that has left the table
/// ([`NameUses`]) stands for another one later.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NameId(NonZeroU32);

impl NameId {
    /// The id as a number, for side tables.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0.get() as usize - 1
    }

    /// The shard that has the name, and its number there.
    const fn parts(self) -> (usize, u32) {
        let index = self.index();
        (index % SHARDS, (index / SHARDS) as u32)
    }

    /// The id of this number. There are fewer than 2^32 - 1.
    pub(crate) const fn from_index(index: u32) -> Self {
        Self(NonZeroU32::MIN.saturating_add(index))
    }
}

const _: () = assert!(size_of::<Option<NameId>>() == 4, "symbols are many");

const SHARD_BITS: u32 = 5;
const SHARDS: usize = 1 << SHARD_BITS;

/// Numbers in a shard lie below this.
const MOST_IN_SHARD: u32 = (1 << (32 - SHARD_BITS)) - 1;

/// Names interned with one pass over the shards. Large enough that a shard's lock is shared by
/// several names, small enough for the first-level cache.
const CHUNK: usize = 1024;

/// Fewer names are interned one by one, and copied: each shard would note the input for one of them.
const FEW: usize = 32;

fn are_few<T>(names: &impl Iterator<Item = T>) -> bool {
    names.size_hint().1.is_some_and(|most| most <= FEW)
}

/// Names of inputs below this size are copied: an input costs more than its names.
const KEPT_INPUT_BYTES: usize = 64 << 10;

/// The names of a session. All methods may be called from many threads at once.
pub struct NameTable {
    hasher: foldhash::fast::FixedState,
    shards: [Shard; SHARDS],
    /// Names that are about to leave; `None` if all stay.
    leaving: Option<Leaving>,
}

/// Aligned so that two threads' locks do not share a cache line.
#[repr(align(128))]
struct Shard(Mutex<Names>);

impl Default for NameTable {
    fn default() -> Self {
        Self::new(Some(Leaving::default()))
    }
}

impl NameTable {
    fn new(leaving: Option<Leaving>) -> Self {
        let shard = |_| Shard(Mutex::new(Names::new(leaving.is_some())));
        Self {
            // A fixed seed: ids, and with them all orders derived from ids, repeat from run to run.
            hasher: foldhash::fast::FixedState::with_seed(0x6a69_742d_6e61_6d65),
            shards: std::array::from_fn(shard),
            leaving,
        }
    }

    /// A table whose names all stay: for a process that links one program.
    #[must_use]
    pub fn permanent() -> Self {
        Self::new(None)
    }

    /// The id of `name`, made if new. New names are copied. The name stays for ever: what comes and goes is
    /// interned with [`NameUses`].
    pub fn intern(&self, name: &[u8]) -> NameId {
        self.intern_one(name, false)
    }

    /// Appends the ids of all `names` to `ids`, in order. New names are copied. They stay for ever.
    pub fn intern_all<'a>(&self, names: impl IntoIterator<Item = &'a [u8]>, ids: &mut Vec<NameId>) {
        let names = names.into_iter().map(|name| self.incoming(name, None));
        self.intern_chunks(names, false, None, &mut [NO_INPUT; SHARDS], ids);
    }

    /// Interns `names`, which are parts of `input`, and notes what number that has in each shard which borrows
    /// from it.
    fn intern_parts<'a>(
        &self,
        input: &Arc<dyn InputBytes>,
        names: impl IntoIterator<Item = &'a [u8]>,
        counts: bool,
        numbers: &mut [u32; SHARDS],
        ids: &mut Vec<NameId>,
    ) {
        let bytes = input.bytes();
        let names = names.into_iter();
        let kept = bytes.len() >= KEPT_INPUT_BYTES && !are_few(&names);
        let names = names.map(|name| {
            let kept = kept.then(|| offset_in(bytes, name)).flatten();
            self.incoming(name, kept)
        });
        self.intern_chunks(names, counts, Some(input), numbers, ids);
    }

    /// The id of `name` if something uses it.
    pub fn find(&self, name: &[u8]) -> Option<NameId> {
        let name = self.incoming(name, None);
        let shard = shard_of(name.hash);
        let names = self.shards[shard].0.lock();
        names.find_used(&name).map(|index| id(shard, index))
    }

    /// The name's bytes. For messages and rare paths: it copies.
    pub fn bytes(&self, id: NameId) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.append_bytes(id, &mut bytes);
        bytes
    }

    /// Appends the name's bytes to `to`.
    pub fn append_bytes(&self, id: NameId, to: &mut Vec<u8>) {
        let (shard, index) = id.parts();
        to.extend_from_slice(self.shards[shard].0.lock().bytes(index));
    }

    /// The name as text for messages, not demangled.
    pub fn text(&self, id: NameId) -> String {
        crate::demangle::shown(&self.bytes(id))
    }

    /// The name as a person reads it: demangled where it is a C++ or Rust name.
    pub fn readable(&self, id: NameId) -> String {
        crate::demangle::readable(&self.bytes(id))
    }

    /// Number of names.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|s| s.0.lock().len()).sum()
    }

    /// Whether there is no name.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn incoming<'a>(&self, bytes: &'a [u8], kept: Option<u32>) -> Incoming<'a> {
        // No symbol table can name 4 GiB; a longer name is cut so that a length fits 32 bits.
        let bytes = bytes.get(..u32::MAX as usize).unwrap_or(bytes);
        let hash = self.hash(bytes);
        Incoming { hash, bytes, kept }
    }

    fn hash(&self, name: &[u8]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(name);
        hasher.finish()
    }

    fn intern_one(&self, name: &[u8], counts: bool) -> NameId {
        let name = self.incoming(name, None);
        let mut number = NO_INPUT;
        let mut user = User {
            counts,
            input: None,
            number: &mut number,
        };
        self.intern_incoming(name, &mut user)
    }

    fn intern_incoming(&self, name: Incoming<'_>, user: &mut User<'_>) -> NameId {
        let shard = shard_of(name.hash);
        id(shard, self.shards[shard].0.lock().intern(name, user))
    }

    fn intern_chunks<'a>(
        &self,
        mut names: impl Iterator<Item = Incoming<'a>>,
        counts: bool,
        input: Option<&Arc<dyn InputBytes>>,
        numbers: &mut [u32; SHARDS],
        ids: &mut Vec<NameId>,
    ) {
        if are_few(&names) {
            ids.extend(names.map(|name| {
                let number = &mut numbers[shard_of(name.hash)];
                let mut user = User {
                    counts,
                    input,
                    number,
                };
                self.intern_incoming(name, &mut user)
            }));
            return;
        }
        let mut chunk = Vec::with_capacity(names.size_hint().0.clamp(16, CHUNK));
        let mut order = Vec::new();
        loop {
            chunk.clear();
            chunk.extend(names.by_ref().take(CHUNK));
            if chunk.is_empty() {
                return;
            }
            let ends = sort_by_shard(&chunk, &mut order);
            let first = ids.len();
            ids.resize(first + chunk.len(), NameId::from_index(0));
            self.in_each_shard(|shard, mut names| {
                let start = shard.checked_sub(1).map_or(0, |before| ends[before]);
                let mut user = User {
                    counts,
                    input,
                    number: &mut numbers[shard],
                };
                for group in order[start as usize..ends[shard] as usize].chunks(GROUP) {
                    names.intern_group(&chunk, group, &mut user, |at, index| {
                        ids[first + at as usize] = id(shard, index);
                    });
                }
            });
        }
    }

    /// Visits each shard once. Threads that went through the shards in one order would wait for each other at
    /// every one.
    fn in_each_shard(&self, mut visit: impl FnMut(usize, MutexGuard<'_, Names>)) {
        let mut taken = [false; SHARDS];
        for (shard, taken) in taken.iter_mut().enumerate() {
            match self.shards[shard].0.try_lock() {
                Some(names) => visit(shard, names),
                None => *taken = true,
            }
        }
        for shard in (0..SHARDS).filter(|&shard| taken[shard]) {
            visit(shard, self.shards[shard].0.lock());
        }
    }
}

/// Sorts the places of names in a chunk by their shards (a counting sort). Returns the end of each shard's.
fn sort_by_shard(chunk: &[Incoming<'_>], order: &mut Vec<u32>) -> [u32; SHARDS] {
    let mut ends = [0u32; SHARDS];
    for name in chunk {
        ends[shard_of(name.hash)] += 1;
    }
    let mut end = 0;
    for count in &mut ends {
        end += std::mem::replace(count, end);
    }
    order.clear();
    order.resize(chunk.len(), 0);
    for (at, name) in (0u32..).zip(chunk) {
        let slot = &mut ends[shard_of(name.hash)];
        order[*slot as usize] = at;
        *slot += 1;
    }
    ends
}

/// The top bits choose the shard, the next 32 go into its table.
fn shard_of(hash: u64) -> usize {
    (hash >> (64 - SHARD_BITS)) as usize
}

fn id(shard: usize, index: u32) -> NameId {
    NameId::from_index((index << SHARD_BITS) | shard as u32)
}

/// Offset of `part` in `whole`, if it lies there: both are slices, so their addresses tell.
fn offset_in(whole: &[u8], part: &[u8]) -> Option<u32> {
    let offset = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
    let end = offset.checked_add(part.len())?;
    (end <= whole.len())
        .then(|| u32::try_from(offset).ok())
        .flatten()
}
