//! Figures about an executor's memory.

use orc_shared::api::SegmentKind;

/// Bytes of the segments of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KindStats {
    /// Bytes asked for by segments in use.
    pub used: u64,
    /// Bytes around them that alignment and whole pages cost.
    pub padding: u64,
    /// Bytes given back and not yet used again.
    pub free: u64,
    /// Bytes of the pages set aside for this kind.
    pub claimed: u64,
}

/// Figures of one range, or of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RangeStats {
    /// By kind, in the order of [`SegmentKind`].
    pub kinds: [KindStats; 3],
    /// Number of segments in use.
    pub segments: usize,
    /// Number of entries in the frame table, spare ones included.
    pub frame_entries: u64,
    /// Number of functions that `dladdr` names.
    pub named_functions: u64,
    /// Bytes of address space not set aside for any kind.
    pub unclaimed: u64,
    /// Number of the process's mappings (lines of `/proc/self/maps`).
    pub mappings: usize,
}

impl RangeStats {
    /// The figures of one kind.
    #[must_use]
    pub fn kind(&self, kind: SegmentKind) -> &KindStats {
        &self.kinds[kind as usize]
    }

    /// Adds the figures of another range.
    pub(crate) fn add(&mut self, other: &Self) {
        for (sum, kind) in self.kinds.iter_mut().zip(&other.kinds) {
            sum.used += kind.used;
            sum.padding += kind.padding;
            sum.free += kind.free;
            sum.claimed += kind.claimed;
        }
        self.segments += other.segments;
        self.frame_entries += other.frame_entries;
        self.named_functions += other.named_functions;
        self.unclaimed += other.unclaimed;
        self.mappings += other.mappings;
    }
}

/// Figures of all memory of a manager.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Number of open ranges.
    pub ranges: usize,
    /// Sums over them.
    pub total: RangeStats,
}
