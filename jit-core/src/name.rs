//! Interned symbol names.
//!
//! A session meets hundreds of thousands of names, most of them long (C++) and most of them many
//! times. Each is hashed once, when an object's symbol table is read; everything later compares
//! 32-bit ids. The table is split into shards by hash, each under its own lock, so objects are
//! read in parallel; a whole symbol table is interned with one lock per shard and chunk.
//!
//! The bytes of a name are not copied when they lie in an input that stays mapped for long (see
//! [`NameTable::intern_from`]): a program's names would otherwise dirty tens of megabytes.

use std::hash::{BuildHasher, Hasher};
use std::num::NonZeroU32;
use std::sync::Arc;

use hashbrown::HashTable;
use parking_lot::{Mutex, MutexGuard};

use crate::input::InputBytes;

/// An interned symbol name: equal ids mean equal names within one session.
///
/// Ids are small and nearly dense, so they can index side tables.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NameId(NonZeroU32);

impl NameId {
    /// The id as a number, for side tables.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0.get() as usize - 1
    }

    /// The id of this number. There are fewer than 2^32 - 1.
    pub(crate) const fn from_index(index: u32) -> Self {
        Self(NonZeroU32::MIN.saturating_add(index))
    }
}

const _: () = assert!(size_of::<Option<NameId>>() == 4, "symbols are many");

const SHARD_BITS: u32 = 5;
const SHARDS: usize = 1 << SHARD_BITS;

/// Names interned with one pass over the shards. Large enough that a shard's lock is shared by
/// several names, small enough for the first-level cache.
const CHUNK: usize = 1024;

/// Fewer names are interned one by one.
const FEW: usize = 32;

/// Names that are searched for together, so that their cache misses overlap.
const GROUP: usize = 64;

/// Inputs below this size are not kept alive for their names: the names are copied, so that adding
/// and removing small objects for days does not accumulate them.
const KEPT_INPUT_BYTES: usize = 64 << 10;

/// In [`Place::source`]: the name lies in a chunk of its shard, not in an input.
const IN_CHUNK: u32 = 1 << 31;

/// The names of a session. All methods may be called from many threads at once.
pub struct NameTable {
    hasher: foldhash::fast::FixedState,
    shards: [Shard; SHARDS],
    /// Inputs that names borrow from; never shrinks.
    inputs: boxcar::Vec<Arc<dyn InputBytes>>,
}

/// Aligned so that two threads' locks do not share a cache line.
#[derive(Default)]
#[repr(align(128))]
struct Shard(Mutex<Names>);

/// The names of one shard.
#[derive(Default)]
struct Names {
    table: HashTable<Slot>,
    places: Vec<Place>,
    chunks: Vec<Vec<u8>>,
}

/// A hash-table slot: 32 bits of hash decide nearly every comparison without touching the name.
#[derive(Clone, Copy)]
struct Slot {
    hash: u32,
    index: u32,
}

/// Where a name's bytes lie.
#[derive(Clone, Copy)]
struct Place {
    /// An input's number, or [`IN_CHUNK`] and a chunk's number.
    source: u32,
    offset: u32,
    len: u32,
}

/// A name on its way into the table.
#[derive(Clone, Copy)]
struct Incoming<'a> {
    hash: u64,
    bytes: &'a [u8],
    /// The input's number and the offset there, if the table may borrow it.
    kept: Option<(u32, u32)>,
}

impl Default for NameTable {
    fn default() -> Self {
        Self {
            // A fixed seed: ids, and with them all orders derived from ids, repeat from run to run.
            hasher: foldhash::fast::FixedState::with_seed(0x6a69_742d_6e61_6d65),
            shards: std::array::from_fn(|_| Shard::default()),
            inputs: boxcar::Vec::new(),
        }
    }
}

impl NameTable {
    /// The id of `name`, made if new. New names are copied.
    pub fn intern(&self, name: &[u8]) -> NameId {
        self.intern_one(self.incoming(name, None))
    }

    /// Appends the ids of all `names` to `ids`, in order. New names are copied.
    pub fn intern_all<'a>(&self, names: impl IntoIterator<Item = &'a [u8]>, ids: &mut Vec<NameId>) {
        self.intern_chunks(names.into_iter().map(|name| self.incoming(name, None)), ids);
    }

    /// Appends the ids of all `names` to `ids`, in order. `names` are parts of `input`; if that is
    /// large (a mapped archive, a big object), it is kept alive as long as the table and
    /// nothing is copied. Names that are no part of it are copied.
    pub fn intern_from<'a>(
        &self,
        input: &Arc<dyn InputBytes>,
        names: impl IntoIterator<Item = &'a [u8]>,
        ids: &mut Vec<NameId>,
    ) {
        let bytes = input.bytes();
        if bytes.len() < KEPT_INPUT_BYTES {
            return self.intern_all(names, ids);
        }
        let Ok(number) = u32::try_from(self.inputs.push(input.clone())) else {
            return self.intern_all(names, ids);
        };
        if number >= IN_CHUNK {
            return self.intern_all(names, ids);
        }
        let names = names.into_iter().map(|name| {
            let kept = offset_in(bytes, name).map(|offset| (number, offset));
            self.incoming(name, kept)
        });
        self.intern_chunks(names, ids);
    }

    /// The id of `name` if it was interned before.
    pub fn find(&self, name: &[u8]) -> Option<NameId> {
        let name = self.incoming(name, None);
        let shard = shard_of(name.hash);
        let names = self.shards[shard].0.lock();
        names
            .find(&name, &self.inputs)
            .map(|index| id(shard, index))
    }

    /// The name's bytes. For messages and rare paths: it copies.
    pub fn bytes(&self, id: NameId) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.append_bytes(id, &mut bytes);
        bytes
    }

    /// Appends the name's bytes to `to`.
    pub fn append_bytes(&self, id: NameId, to: &mut Vec<u8>) {
        let names = self.shards[id.index() % SHARDS].0.lock();
        if let Some(place) = names.places.get(id.index() / SHARDS) {
            to.extend_from_slice(names.at(*place, &self.inputs));
        }
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
        self.shards.iter().map(|s| s.0.lock().places.len()).sum()
    }

    /// Whether no name was interned yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn incoming<'a>(&self, bytes: &'a [u8], kept: Option<(u32, u32)>) -> Incoming<'a> {
        // No symbol table can name 4 GiB; a longer name is cut so that a length fits 32 bits.
        let bytes = bytes.get(..u32::MAX as usize).unwrap_or(bytes);
        let mut hasher = self.hasher.build_hasher();
        hasher.write(bytes);
        let hash = hasher.finish();
        Incoming { hash, bytes, kept }
    }

    fn intern_one(&self, name: Incoming<'_>) -> NameId {
        let shard = shard_of(name.hash);
        let mut names = self.shards[shard].0.lock();
        id(shard, names.intern(name, &self.inputs))
    }

    fn intern_chunks<'a>(
        &self,
        mut names: impl Iterator<Item = Incoming<'a>>,
        ids: &mut Vec<NameId>,
    ) {
        let count = names.size_hint();
        if count.1.is_some_and(|most| most <= FEW) {
            ids.extend(names.map(|name| self.intern_one(name)));
            return;
        }
        let mut chunk = Vec::with_capacity(count.0.clamp(16, CHUNK));
        let mut order = Vec::new();
        loop {
            chunk.clear();
            chunk.extend(names.by_ref().take(CHUNK));
            if chunk.is_empty() {
                return;
            }
            self.intern_chunk(&chunk, &mut order, ids);
        }
    }

    /// Visits the names of one chunk shard by shard (a counting sort), so that each shard is
    /// locked once.
    fn intern_chunk(&self, chunk: &[Incoming<'_>], order: &mut Vec<u32>, ids: &mut Vec<NameId>) {
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
        let first = ids.len();
        ids.resize(first + chunk.len(), NameId::from_index(0));
        let mut intern = |shard: usize, mut names: MutexGuard<'_, Names>| {
            let start = shard.checked_sub(1).map_or(0, |before| ends[before]);
            for group in order[start as usize..ends[shard] as usize].chunks(GROUP) {
                names.intern_group(chunk, group, &self.inputs, |at, index| {
                    ids[first + at as usize] = id(shard, index);
                });
            }
        };
        // Threads that went through the shards in one order would wait for each other at every one.
        let mut taken = [false; SHARDS];
        for (shard, taken) in taken.iter_mut().enumerate() {
            match self.shards[shard].0.try_lock() {
                Some(names) => intern(shard, names),
                None => *taken = true,
            }
        }
        for shard in (0..SHARDS).filter(|&shard| taken[shard]) {
            intern(shard, self.shards[shard].0.lock());
        }
    }
}

impl Names {
    fn find(&self, name: &Incoming<'_>, inputs: &boxcar::Vec<Arc<dyn InputBytes>>) -> Option<u32> {
        let hash = slot_hash(name.hash);
        self.table
            .find(spread(hash), |slot| {
                slot.hash == hash
                    && self
                        .places
                        .get(slot.index as usize)
                        .is_some_and(|place| self.at(*place, inputs) == name.bytes)
            })
            .map(|slot| slot.index)
    }

    fn intern(&mut self, name: Incoming<'_>, inputs: &boxcar::Vec<Arc<dyn InputBytes>>) -> u32 {
        if let Some(index) = self.find(&name, inputs) {
            return index;
        }
        let index = self.places.len() as u32;
        assert!(index < (1 << (32 - SHARD_BITS)) - 1, "name table is full");
        let place = match name.kept {
            Some((source, offset)) => Place {
                source,
                offset,
                len: name.bytes.len() as u32,
            },
            None => self.copy(name.bytes),
        };
        self.places.push(place);
        let hash = slot_hash(name.hash);
        self.table
            .insert_unique(spread(hash), Slot { hash, index }, |slot| spread(slot.hash));
        index
    }

    /// Interns the names of `chunk` at the places `group`, at most [`GROUP`]. Nearly all of the time goes
    /// into cache misses, on the table, on the places, on the names: each of the three loops makes
    /// its misses independent of each other.
    fn intern_group(
        &mut self,
        chunk: &[Incoming<'_>],
        group: &[u32],
        inputs: &boxcar::Vec<Arc<dyn InputBytes>>,
        mut done: impl FnMut(u32, u32),
    ) {
        let mut candidates = [u32::MAX; GROUP];
        for (candidate, &at) in candidates.iter_mut().zip(group) {
            let hash = slot_hash(chunk[at as usize].hash);
            let slot = self.table.find(spread(hash), |slot| slot.hash == hash);
            *candidate = slot.map_or(u32::MAX, |slot| slot.index);
        }
        let mut places = [None; GROUP];
        for (place, candidate) in places.iter_mut().zip(&candidates[..group.len()]) {
            *place = self.places.get(*candidate as usize).copied();
        }
        for ((&at, place), candidate) in group.iter().zip(places).zip(candidates) {
            let name = chunk[at as usize];
            let known = place.is_some_and(|place| self.at(place, inputs) == name.bytes);
            let index = if known {
                candidate
            } else {
                self.intern(name, inputs)
            };
            done(at, index);
        }
    }

    /// Copies a name into the newest chunk, or into a new one when that is full.
    fn copy(&mut self, name: &[u8]) -> Place {
        let fits = |chunk: &Vec<u8>| chunk.capacity() - chunk.len() >= name.len();
        if !self.chunks.last().is_some_and(fits) {
            let size = 1024 << self.chunks.len().min(6);
            self.chunks.push(Vec::with_capacity(name.len().max(size)));
        }
        let source = IN_CHUNK | (self.chunks.len() - 1) as u32;
        let chunk = self.chunks.last_mut().expect("just made");
        let offset = chunk.len() as u32;
        chunk.extend_from_slice(name);
        Place {
            source,
            offset,
            len: name.len() as u32,
        }
    }

    fn at<'a>(&'a self, place: Place, inputs: &'a boxcar::Vec<Arc<dyn InputBytes>>) -> &'a [u8] {
        let number = (place.source & !IN_CHUNK) as usize;
        let bytes: &[u8] = if place.source & IN_CHUNK != 0 {
            self.chunks.get(number).map_or(&[], |chunk| chunk)
        } else {
            inputs.get(number).map_or(&[], |input| input.bytes())
        };
        let start = place.offset as usize;
        bytes
            .get(start..start + place.len as usize)
            .unwrap_or_default()
    }
}

/// The top bits choose the shard, the next 32 go into its table.
fn shard_of(hash: u64) -> usize {
    (hash >> (64 - SHARD_BITS)) as usize
}

fn slot_hash(hash: u64) -> u32 {
    (hash >> (32 - SHARD_BITS)) as u32
}

/// The hash that the table sees: it takes its tag from the top and its position from the bottom.
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
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

#[cfg(test)]
mod tests {
    use super::*;

    struct Buffer(Vec<u8>);
    impl InputBytes for Buffer {
        fn bytes(&self) -> &[u8] {
            &self.0
        }
    }

    #[test]
    fn equal_names_have_equal_ids() {
        let table = NameTable::default();
        let a = table.intern(b"a");
        assert_eq!(table.intern(b"a"), a);
        assert_ne!(table.intern(b"b"), a);
        assert_eq!(
            table.find(b"b").map(|id| table.bytes(id)),
            Some(b"b".to_vec())
        );
        assert_eq!(table.find(b"c"), None);
        assert_eq!(table.intern(b""), table.intern(b""));
        assert_eq!(table.text(a), "a");
        assert_eq!(table.len(), 3);
    }

    #[test]
    fn many_names_survive_growth() {
        let table = NameTable::default();
        let names: Vec<String> = (0..20_000).map(|n| format!("_Z4name{n}v")).collect();
        let mut ids = Vec::new();
        table.intern_all(names.iter().map(String::as_bytes), &mut ids);
        assert_eq!(ids.len(), names.len());
        let mut again = Vec::new();
        table.intern_all(names.iter().rev().map(String::as_bytes), &mut again);
        again.reverse();
        assert_eq!(ids, again);
        for (name, id) in names.iter().zip(&ids) {
            assert_eq!(table.bytes(*id), name.as_bytes());
            assert_eq!(table.find(name.as_bytes()), Some(*id));
        }
        let max = ids.iter().map(|id| id.index()).max().expect("some");
        assert!(max < 2 * names.len(), "ids are nearly dense: {max}");
    }

    #[test]
    fn large_inputs_are_borrowed_and_small_ones_are_not() {
        let table = NameTable::default();
        let mut text = b"foo bar".to_vec();
        let small: Arc<dyn InputBytes> = Arc::new(Buffer(text.clone()));
        text.resize(KEPT_INPUT_BYTES, b'.');
        let large: Arc<dyn InputBytes> = Arc::new(Buffer(text));
        for input in [&small, &large] {
            let bytes = input.bytes();
            let mut ids = Vec::new();
            table.intern_from(
                input,
                [&bytes[..3], &bytes[4..7], b"else".as_slice()],
                &mut ids,
            );
            let names: Vec<_> = ids.iter().map(|id| table.text(*id)).collect();
            assert_eq!(names, ["foo", "bar", "else"]);
        }
        assert_eq!(Arc::strong_count(&small), 1);
        assert_eq!(Arc::strong_count(&large), 2);
        assert_eq!(table.len(), 3);
    }

    #[test]
    fn threads_agree_on_ids() {
        let table = NameTable::default();
        let names: Vec<String> = (0..5_000).map(|n| format!("n{}", n % 1_700)).collect();
        let intern = || {
            let mut ids = Vec::new();
            table.intern_all(names.iter().map(String::as_bytes), &mut ids);
            ids
        };
        let all: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(intern)).collect();
            threads
                .into_iter()
                .map(|t| t.join().expect("joins"))
                .collect()
        });
        assert!(all.windows(2).all(|pair| pair[0] == pair[1]));
        assert_eq!(table.len(), 1_700);
    }
}
