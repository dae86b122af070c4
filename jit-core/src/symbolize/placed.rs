//! Where linked code lies: which block of which object is at an address.

use std::collections::BTreeMap;
use std::sync::Arc;

use orc_shared::{ExecutorAddr, ExecutorAddrRange};
use parking_lot::RwLock;

use crate::executor::{ExecutorResult, Finalized};
use crate::graph::{BlockId, DescribeGraph};
use crate::ids::DylibId;
use crate::object::ObjectFile;

/// In [`PlacedPart::offsets`]: the block is not in memory, or has no bytes.
pub(crate) const NOT_PLACED: u32 = u32::MAX;

/// The linked code and data of a session that is in memory. Entries come before any of their code
/// runs and go when the memory is given back.
#[derive(Default)]
pub struct PlacedCode {
    /// Segments by their first address.
    segments: RwLock<BTreeMap<ExecutorAddr, (ExecutorAddr, Arc<PlacedGroup>)>>,
    /// Names of dylibs by their number.
    dylibs: RwLock<BTreeMap<u32, String>>,
}

/// What was allocated as one.
pub(crate) struct PlacedGroup {
    pub(crate) dylib: DylibId,
    /// What offsets count from.
    pub(crate) base: ExecutorAddr,
    pub(crate) parts: Vec<PlacedPart>,
}

/// One object of a group, or what the linker made for it.
pub(crate) struct PlacedPart {
    /// The object; `None` for what the linker made.
    pub(crate) object: Option<Arc<dyn ObjectFile>>,
    /// Names the parts of the object.
    pub(crate) describe: Option<Arc<dyn DescribeGraph>>,
    /// Per block, its offset from the group's base, or [`NOT_PLACED`].
    pub(crate) offsets: Box<[u32]>,
}

impl PlacedPart {
    pub(crate) fn object_name(&self) -> &str {
        self.object
            .as_ref()
            .map_or("<linker>", |object| object.name())
    }
}

impl PlacedGroup {
    /// The block that lies at an address or ends before it: part, block, and offset in the block.
    pub(crate) fn block_at(&self, addr: ExecutorAddr) -> Option<(usize, BlockId, u64)> {
        let asked = u32::try_from((addr - self.base).value()).ok()?;
        // A walk over plain numbers: a million blocks take about a millisecond.
        let mut best: Option<(u32, usize, usize)> = None;
        for (index, part) in self.parts.iter().enumerate() {
            for (block, &offset) in part.offsets.iter().enumerate() {
                let placed = offset != NOT_PLACED && offset <= asked;
                if placed && best.is_none_or(|(known, ..)| known <= offset) {
                    best = Some((offset, index, block));
                }
            }
        }
        let (offset, index, block) = best?;
        Some((index, BlockId(block as u32), u64::from(asked - offset)))
    }

    /// Where a block of a part lies, if it is in memory.
    pub(crate) fn address_of(&self, part: usize, block: BlockId) -> Option<ExecutorAddr> {
        let offset = *self.parts.get(part)?.offsets.get(block.0 as usize)?;
        (offset != NOT_PLACED).then(|| self.base + u64::from(offset))
    }
}

impl PlacedCode {
    /// Enters a group whose segments lie at `ranges`. It stays until what is returned is dropped.
    pub(crate) fn enter(
        self: &Arc<Self>,
        group: PlacedGroup,
        ranges: &[ExecutorAddrRange],
    ) -> Placed {
        let group = Arc::new(group);
        let mut segments = self.segments.write();
        let starts = ranges.iter().filter(|range| !range.is_empty());
        let starts = starts.map(|range| {
            segments.insert(range.start, (range.end, group.clone()));
            range.start
        });
        let starts = starts.collect();
        drop(segments);
        Placed {
            code: self.clone(),
            starts,
            group,
        }
    }

    /// Notes a dylib's name.
    pub(crate) fn name_dylib(&self, dylib: DylibId, name: &str) {
        self.dylibs.write().insert(dylib.0, name.to_owned());
    }

    /// Forgets a dylib's name.
    pub(crate) fn forget_dylib(&self, dylib: DylibId) {
        self.dylibs.write().remove(&dylib.0);
    }

    /// A dylib's name, empty if nobody has told it.
    pub(crate) fn dylib_name(&self, dylib: DylibId) -> String {
        let names = self.dylibs.read();
        names.get(&dylib.0).cloned().unwrap_or_default()
    }

    /// The group that an address belongs to.
    pub(crate) fn find(&self, addr: ExecutorAddr) -> Option<Arc<PlacedGroup>> {
        let segments = self.segments.read();
        let (_, (end, group)) = segments.range(..=addr).next_back()?;
        (addr < *end).then(|| group.clone())
    }
}

/// An entry of [`PlacedCode`]; dropping it removes it.
pub(crate) struct Placed {
    code: Arc<PlacedCode>,
    starts: Vec<ExecutorAddr>,
    group: Arc<PlacedGroup>,
}

impl Placed {
    /// The entry goes when this memory is given back.
    pub(crate) fn tie_to(self, memory: Box<dyn Finalized>) -> Box<dyn Finalized> {
        Box::new(PlacedMemory {
            memory,
            placed: self,
        })
    }
}

impl Drop for Placed {
    fn drop(&mut self) {
        let mut segments = self.code.segments.write();
        for start in &self.starts {
            // The memory is free by now, and another group may have got it.
            let own = |(_, group): &(_, Arc<PlacedGroup>)| Arc::ptr_eq(group, &self.group);
            if segments.get(start).is_some_and(own) {
                segments.remove(start);
            }
        }
    }
}

/// Memory in use, and its entry.
struct PlacedMemory {
    memory: Box<dyn Finalized>,
    placed: Placed,
}

impl Finalized for PlacedMemory {
    fn ranges(&self) -> &[ExecutorAddrRange] {
        self.memory.ranges()
    }

    fn release(self: Box<Self>) -> ExecutorResult<()> {
        let Self { memory, placed } = *self;
        // Finalizers run while memory is released, so the entry goes after them.
        let outcome = memory.release();
        drop(placed);
        outcome
    }
}
