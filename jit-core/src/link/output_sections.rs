//! The output sections and segments of a group, and where they lie.

use std::ops::Range;

use orc_shared::{ExecutorAddr, ExecutorAddrRange};

use crate::executor::api::{SegmentKind, SegmentRequest};
use crate::graph::{BlockId, SectionId, SectionKind};
use crate::name::NameId;

/// Segments in the order they are requested.
pub(super) const SEGMENTS: [SegmentKind; 4] = [
    SegmentKind::Text,
    SegmentKind::ReadOnly,
    SegmentKind::ReadWrite,
    SegmentKind::ReadWrite,
];

/// Which of them is that of large data.
pub(super) const LARGE: usize = 3;

/// An output section of a group.
pub(super) struct Output {
    pub(super) name: NameId,
    pub(super) kind: SectionKind,
    pub(super) rank: u32,
    /// Whether it is nothing but zeros.
    pub(super) zero: bool,
    pub(super) ordered: bool,
    /// Whether it holds frames.
    pub(super) frames: bool,
    pub(super) align: u64,
    /// Size in bytes.
    pub(super) size: u64,
    /// Offset in its segment; in the TLS image, if thread-local.
    pub(super) offset: u64,
    /// Its blocks, in address order.
    pub(super) blocks: Vec<(u32, BlockId)>,
    /// Where tasks of the fix-up step begin: index of the first block, and its offset.
    pub(super) chunks: Vec<(u32, u64)>,
    /// Bytes and edges of the last task so far.
    pub(super) chunk_weight: u64,
    /// Its address.
    pub(super) address: ExecutorAddr,
}

/// A segment of a group.
#[derive(Clone, Copy, Default)]
pub(super) struct Segment {
    pub(super) content_size: u64,
    pub(super) size: u64,
    pub(super) align: u64,
    pub(super) address: ExecutorAddr,
}

/// The layout of a group.
#[derive(Default)]
pub(super) struct Layout {
    pub(super) outputs: Vec<Output>,
    /// Indexes of the outputs in address order, thread-local ones last.
    pub(super) order: Vec<u32>,
    /// As in [`SEGMENTS`].
    pub(super) segments: [Segment; 4],
    /// The image of thread-local storage.
    pub(super) tls: Segment,
}

impl SectionKind {
    /// The segment that sections of this kind lie in, as an index into [`SEGMENTS`]; `None` for
    /// thread-local ones.
    pub(super) fn segment(self) -> Option<usize> {
        match self {
            SectionKind::Text => Some(0),
            SectionKind::ReadOnly | SectionKind::RelocatedReadOnly => Some(1),
            SectionKind::ReadWrite => Some(2),
            SectionKind::LargeReadWrite => Some(LARGE),
            SectionKind::ThreadLocal => None,
        }
    }
}

impl Layout {
    /// What some of the segments ask for, as far as there is anything in them.
    pub(super) fn requests(&self, which: Range<usize>) -> Vec<SegmentRequest> {
        let segments = SEGMENTS[which.clone()].iter().zip(&self.segments[which]);
        segments
            .filter(|(_, segment)| segment.size > 0)
            .map(|(kind, segment)| SegmentRequest {
                kind: *kind,
                content_size: segment.content_size,
                size: segment.size,
                align: segment.align,
            })
            .collect()
    }

    /// Whether nothing of the group is live.
    pub(super) fn is_empty(&self) -> bool {
        self.tls.size == 0 && self.segments.iter().all(|segment| segment.size == 0)
    }

    /// The place of the output section of this name; of the lowest, if several permissions have
    /// one.
    pub(super) fn section(&self, name: NameId) -> Option<ExecutorAddrRange> {
        let outputs = self
            .order
            .iter()
            .map(|&index| &self.outputs[index as usize]);
        let mut named =
            outputs.filter(|output| output.name == name && output.kind != SectionKind::ThreadLocal);
        let first = named.next()?;
        Some(ExecutorAddrRange::from_size(first.address, first.size))
    }
}

/// A live block on its way to its place: what layout has to know of it, without the block.
#[derive(Clone, Copy)]
pub(super) struct Placement {
    pub(super) block: BlockId,
    pub(super) section: SectionId,
    pub(super) size: u64,
    /// Its offset in its output section.
    pub(super) offset: u64,
    pub(super) edges: u32,
    /// Binary logarithm of the alignment.
    pub(super) align: u8,
    /// Whether it is nothing but zeros that no fixup changes.
    pub(super) zero: bool,
}

const _: () = assert!(size_of::<Placement>() <= 32, "a link has many");
