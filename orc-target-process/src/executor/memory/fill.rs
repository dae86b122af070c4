//! Filling an allocation with content that another process made.
//!
//! Content that comes in a file is not copied where that can be avoided: the segment's whole pages
//! become private mappings of the file, so that nothing is touched before the code itself touches
//! it, and a page of read-only data never takes memory a second time. What shares a page
//! with others is copied.

use std::ops::Range as Addresses;
use std::os::fd::OwnedFd;

use orc_shared::api::{Content, SegmentKind};

use super::allocation::{InFlight, Segment};
use crate::host;
use crate::host::MemoryError;

/// Fewer pages are copied: a mapping costs more than they do.
const MAP_FROM_PAGES: u64 = 16;

/// A file in memory that a controller has filled and nobody can change any more.
#[derive(Debug)]
pub struct SharedContent {
    file: OwnedFd,
    size: u64,
}

impl SharedContent {
    /// Takes a file over.
    ///
    /// # Errors
    /// When it could still shrink under a reader, or be written to.
    pub fn new(file: OwnedFd) -> Result<Self, MemoryError> {
        let size = host::pages::sealed_size(&file).map_err(MemoryError::Content)?;
        Ok(Self { file, size })
    }

    /// Where `size` bytes at `offset` end, if they are in the file.
    fn check(&self, offset: u64, size: u64) -> Result<(), MemoryError> {
        let end = offset.checked_add(size);
        if end.is_some_and(|end| end <= self.size) {
            return Ok(());
        }
        Err(MemoryError::Content(format!(
            "{size:#x} bytes at offset {offset:#x} of a file of {:#x} bytes",
            self.size
        )))
    }

    fn read(&self, offset: u64, to: &mut [u8]) -> Result<(), MemoryError> {
        host::pages::read_file(&self.file, offset, to)
            .map_err(|error| MemoryError::Content(error.to_string()))
    }
}

impl InFlight {
    /// Fills all segments; `file` holds what is shared.
    ///
    /// # Errors
    /// When this is not the content of these segments, or the system refuses.
    pub fn fill(
        &mut self,
        content: &[Content<'_>],
        file: Option<&SharedContent>,
    ) -> Result<(), MemoryError> {
        if content.len() != self.segments.len() {
            return Err(MemoryError::Content(format!(
                "content for {} segments, where there are {}",
                content.len(),
                self.segments.len()
            )));
        }
        for (segment, content) in self.segments.iter_mut().zip(content) {
            match (content, file) {
                (Content::Inline(bytes), _) => fill_from_bytes(segment, bytes)?,
                (Content::Shared(offset), Some(file)) => fill_from_file(segment, *offset, file)?,
                (Content::Shared(_), None) => {
                    let problem = "content in a file that did not come with the message";
                    return Err(MemoryError::Content(problem.to_owned()));
                }
            }
        }
        Ok(())
    }
}

fn fill_from_bytes(segment: &mut Segment, bytes: &[u8]) -> Result<(), MemoryError> {
    let working = segment.working_memory();
    if working.len() == bytes.len() {
        working.copy_from_slice(bytes);
        return Ok(());
    }
    Err(MemoryError::Content(format!(
        "{:#x} bytes for a segment of {:#x}",
        bytes.len(),
        working.len()
    )))
}

fn fill_from_file(
    segment: &mut Segment,
    offset: u64,
    file: &SharedContent,
) -> Result<(), MemoryError> {
    file.check(offset, segment.content_size)?;
    let start = segment.holding.addr;
    let pages = mappable_pages(segment, offset);
    let mapped = match pages {
        // A system that refuses to map executable files has them copied.
        Some(pages) => map(segment, pages, offset, file).unwrap_or(start..start),
        None => start..start,
    };
    let working = segment.working_memory();
    let until = (mapped.start - start) as usize;
    let after = (mapped.end - start).min(working.len() as u64) as usize;
    file.read(offset, &mut working[..until])?;
    file.read(offset + after as u64, &mut working[after..])
}

/// The pages of a segment that can be mapped from a file in which its content starts at `offset`.
fn mappable_pages(segment: &Segment, offset: u64) -> Option<Addresses<u64>> {
    let page = host::pages::page_size();
    let start = segment.holding.addr;
    let end = start + segment.content_size;
    if segment.staged.is_some() || start % page != offset % page {
        return None;
    }
    let first = start.next_multiple_of(page);
    // A segment with pages of its own has its last one to itself, too.
    let last = if segment.holding.want.own_pages {
        end.next_multiple_of(page)
    } else {
        end / page * page
    };
    (last >= first + MAP_FROM_PAGES * page).then_some(first..last)
}

fn map(
    segment: &mut Segment,
    pages: Addresses<u64>,
    offset: u64,
    file: &SharedContent,
) -> Option<Addresses<u64>> {
    let at = offset + (pages.start - segment.holding.addr);
    let kind = match segment.holding.want.kind {
        SegmentKind::ReadWrite => SegmentKind::ReadWrite,
        // What nobody writes to is not charged as if it could be.
        SegmentKind::Text | SegmentKind::ReadOnly => SegmentKind::ReadOnly,
    };
    host::pages::map_file(pages.clone(), kind, &file.file, at).ok()?;
    segment.mapped = Some(pages.clone());
    Some(pages)
}

/// Puts zero pages back where a file was mapped. `kind` is what the pages allow afterwards.
pub(super) fn unmap(pages: Addresses<u64>, kind: SegmentKind) -> Result<(), MemoryError> {
    host::pages::map_zero(pages, kind)
}
