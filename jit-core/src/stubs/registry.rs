//! Which function a trampoline stands for.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use crate::sync::RwLock;
use orc_shared::ExecutorAddr;

use super::set::StubSet;

/// The stubs that are linked, by where their trampolines begin. Sets belong to their trackers: those whose
/// memory was given back are forgotten here in passing.
#[derive(Default)]
pub(crate) struct LazyCalls(RwLock<Known>);

#[derive(Default)]
struct Known {
    sets: BTreeMap<ExecutorAddr, Weak<StubSet>>,
    /// How many sets there may be before those that are gone are looked for.
    look_at: usize,
}

/// Fewer sets than this are not worth looking for those that are gone.
const FEW: usize = 64;

impl LazyCalls {
    /// A set was linked.
    pub(crate) fn add(&self, set: &Arc<StubSet>) {
        let Some(trampolines) = set.trampolines() else {
            return;
        };
        let mut known = self.0.write();
        // Whatever was there before has gone, or its link has failed.
        let (start, end) = (trampolines.start, trampolines.end);
        let there: Vec<_> = known.sets.range(start..end).map(|(at, _)| *at).collect();
        for start in there {
            known.sets.remove(&start);
        }
        known.sets.insert(start, Arc::downgrade(set));
        if known.sets.len() > known.look_at {
            known.sets.retain(|_, set| set.strong_count() > 0);
            known.look_at = FEW.max(2 * known.sets.len());
        }
    }

    /// The set, and the number in it, of the stub whose trampoline is at `addr`.
    pub(crate) fn find(&self, addr: ExecutorAddr) -> Option<(Arc<StubSet>, u32)> {
        let known = self.0.read();
        let (_, set) = known.sets.range(..=addr).next_back()?;
        let set = set.upgrade()?;
        let index = set.index_of(addr)?;
        Some((set, index))
    }
}
