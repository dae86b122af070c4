//! Memory of a table that grows: reserved whole, made writable as it fills.

use std::ops::Range;

use orc_shared::api::SegmentKind;

use crate::host;
use crate::host::MemoryError;

/// Bytes that are writable at first; doubled when they are full.
const FIRST: u64 = 64 << 10;

/// Memory that was reserved for a table.
#[derive(Debug)]
pub(crate) struct GrowingMemory {
    range: Range<u64>,
    writable_end: u64,
}

impl GrowingMemory {
    /// Takes over `range`, which is zero and not writable, and makes its beginning writable.
    pub(crate) fn new(range: Range<u64>) -> Result<Self, MemoryError> {
        let writable_end = range.end.min(range.start + FIRST);
        host::pages::protect(range.start..writable_end, SegmentKind::ReadWrite)?;
        Ok(Self {
            range,
            writable_end,
        })
    }

    pub(crate) fn start(&self) -> u64 {
        self.range.start
    }

    pub(crate) fn end(&self) -> u64 {
        self.range.end
    }

    /// Bytes in all, writable or not.
    pub(crate) fn size(&self) -> u64 {
        self.range.end - self.range.start
    }

    /// Whether everything below `end` is writable.
    pub(crate) fn is_writable_to(&self, end: u64) -> bool {
        end <= self.writable_end
    }

    /// Makes everything below `end`, which lies in the memory, writable.
    pub(crate) fn grow_to(&mut self, end: u64) -> Result<(), MemoryError> {
        if self.is_writable_to(end) {
            return Ok(());
        }
        let doubled = self.range.start + 2 * (self.writable_end - self.range.start);
        let end = end.next_multiple_of(host::pages::page_size());
        let end = end.max(doubled).min(self.range.end);
        host::pages::protect(self.writable_end..end, SegmentKind::ReadWrite)?;
        self.writable_end = end;
        Ok(())
    }
}
