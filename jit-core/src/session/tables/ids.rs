//! Small helpers of the session's tables: hashing of ids, keys of batches.

use std::hash::{BuildHasher, Hasher};

use crate::name::NameId;

/// Names a batch in flight. Never reused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(in crate::session) struct BatchKey(pub(in crate::session) u64);

/// Hashes ids by multiplication: they are dense already, so their low bits spread perfectly and
/// only the tag in the top bits needs mixing.
#[derive(Clone, Copy, Default)]
pub(in crate::session) struct IdHash;

/// State of [`IdHash`].
#[derive(Default)]
pub(in crate::session) struct IdHasher(u64);

impl BuildHasher for IdHash {
    type Hasher = IdHasher;
    fn build_hasher(&self) -> IdHasher {
        IdHasher::default()
    }
}

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u32(&mut self, value: u32) {
        self.write_u64(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0.rotate_left(23) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// A map keyed by ids.
pub(in crate::session) type IdMap<K, V> = hashbrown::HashMap<K, V, IdHash>;
/// A set of ids.
pub(in crate::session) type IdSet<K> = hashbrown::HashSet<K, IdHash>;
/// A map keyed by names.
pub(in crate::session) type NameMap<V> = IdMap<NameId, V>;
