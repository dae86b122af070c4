//! An allocation's life: in flight while the linker fills it, finalized while its code is used.

use std::ops::Range as Addresses;
use std::sync::Arc;

use orc_shared::api::{FrameEntry, FunctionName, SegmentKind, SegmentRequest};
use orc_shared::{ExecutorAddr, ExecutorAddrRange};

use super::fill::unmap;
use super::range::Range;
use super::space::Holding;
use crate::host;
use crate::host::MemoryError;
use crate::host::arch::code;
use crate::host::code_writer::CodeWriter;
use crate::host::range::function_names::Slots;
use crate::host::unwinder::RegisteredFrames;

/// A segment and how its bytes get to their place.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) holding: Holding,
    /// Bytes that the linker writes.
    pub(crate) content_size: u64,
    /// For segments that share pages nobody may write to: the bytes until they are final.
    pub(crate) staged: Option<Box<[u8]>>,
    /// Pages that are mapped from a file.
    pub(crate) mapped: Option<Addresses<u64>>,
}

impl Segment {
    fn range(&self) -> ExecutorAddrRange {
        let start = ExecutorAddr::new(self.holding.addr);
        ExecutorAddrRange::from_size(start, self.holding.want.size)
    }

    fn kind(&self) -> SegmentKind {
        self.holding.want.kind
    }

    /// Working memory: the final place, or the stage.
    pub(super) fn working_memory(&mut self) -> &mut [u8] {
        if let Some(staged) = &mut self.staged {
            return staged;
        }
        // SAFETY: the segment's place belongs to it alone, and is mapped and writable until it
        // is finalized or dropped (pages of a file that are not are never written to through this,
        // see `fill`); the slice borrows the segment. Fresh pages are zero, others hold
        // old bytes; both are initialized.
        unsafe {
            std::slice::from_raw_parts_mut(self.holding.addr as *mut u8, self.content_size as usize)
        }
    }

    /// Pages that the segment has to itself and that change permission when it becomes final.
    fn own_pages(&self) -> Option<Addresses<u64>> {
        self.holding
            .want
            .own_pages
            .then(|| self.holding.extent.range.clone())
    }
}

/// Consecutive parts of addresses, each of this size but for the last.
fn parts(all: Addresses<u64>, size: u64) -> impl Iterator<Item = Addresses<u64>> {
    let end = all.end;
    all.step_by(size as usize)
        .map(move |start| start..end.min(start + size))
}

/// Memory that has addresses and is being filled. Dropping it abandons it.
#[derive(Debug)]
pub struct InFlight {
    range: Arc<Range>,
    writer: Option<Arc<CodeWriter>>,
    pub(super) segments: Vec<Segment>,
    addresses: Vec<ExecutorAddr>,
    /// Whether staged bytes may have reached their place.
    written: bool,
}

impl InFlight {
    /// Wraps segments that hold their space. Pages of their own are made writable here.
    pub(crate) fn new(
        range: Arc<Range>,
        writer: Option<Arc<CodeWriter>>,
        segments: Vec<Segment>,
    ) -> Result<Self, MemoryError> {
        let addresses = segments
            .iter()
            .map(|it| ExecutorAddr::new(it.holding.addr))
            .collect();
        let new = Self {
            range,
            writer,
            segments,
            addresses,
            written: false,
        };
        for segment in &new.segments {
            if let Some(pages) = segment.own_pages() {
                host::pages::protect(pages, SegmentKind::ReadWrite)?;
            }
        }
        Ok(new)
    }

    /// Final addresses of the segments, in request order.
    #[must_use]
    pub fn addresses(&self) -> &[ExecutorAddr] {
        &self.addresses
    }

    /// Working memory of all segments, `content_size` bytes each, in request order. It reads as
    /// zero at first. Large segments and read-write ones are written in their final place.
    pub fn working_memory(&mut self) -> Vec<&mut [u8]> {
        self.segments
            .iter_mut()
            .map(Segment::working_memory)
            .collect()
    }

    /// What can be done before segments are written to, by all threads: the pages of large ones are made,
    /// which saves whoever writes to them a fault each.
    pub fn preparations(&self) -> impl Iterator<Item = impl FnOnce() + Send + use<>> {
        /// Bytes for which it pays, and bytes of a piece.
        const LARGE: u64 = 1 << 20;
        /// Bytes in one system call, until whose end nobody else can change mappings: no heap can grow.
        const AT_ONCE: u64 = 64 << 10;
        let page = host::pages::page_size();
        let large = |segment: &&Segment| segment.content_size >= LARGE;
        let pages = move |segment: &Segment| {
            let start = segment.holding.addr;
            start.next_multiple_of(page)..(start + segment.content_size) / page * page
        };
        let large = self.segments.iter().filter(large).map(pages);
        let pieces = large.flat_map(|pages| parts(pages, LARGE));
        pieces.map(|piece| {
            // Addresses of the range are nobody else's as long as it is there.
            let range = Arc::clone(&self.range);
            move || {
                parts(piece, AT_ONCE).for_each(host::pages::populate);
                drop(range);
            }
        })
    }

    /// Makes the memory final: bytes in place, permissions set, instruction cache flushed, frames
    /// (in any order) known to unwinders. `eh_frame` is the allocation's `.eh_frame` section with
    /// a zero length behind it, for where frames must be registered by section.
    ///
    /// # Errors
    /// When the system refuses, a frame is not of this allocation, or frames need a
    /// section and there is none. The memory is abandoned then.
    pub fn finalize(
        mut self,
        mut frames: Vec<FrameEntry>,
        eh_frame: Option<ExecutorAddrRange>,
    ) -> Result<Finalized, MemoryError> {
        self.written = true;
        self.write_staged()?;
        self.protect_final()?;
        if !frames.is_sorted() {
            frames.sort_unstable();
        }
        self.check_frames(&frames)?;
        let registered = self.add_frames(&frames, eh_frame)?;
        let ranges = self.segments.iter().map(Segment::range).collect();
        let segments = std::mem::take(&mut self.segments);
        Ok(Finalized {
            range: Some(self.range.clone()),
            segments,
            ranges,
            registered,
            names: None,
        })
    }

    fn write_staged(&mut self) -> Result<(), MemoryError> {
        for segment in &mut self.segments {
            let Some(staged) = segment.staged.take() else {
                continue;
            };
            let Some(writer) = &self.writer else { continue };
            let addr = segment.holding.addr;
            writer.write(addr, &staged)?;
            let zeros = segment.holding.want.size - segment.content_size;
            // Space used before may hold old bytes where the segment wants zeros.
            if segment.holding.reused && zeros != 0 {
                writer.write(addr + segment.content_size, &vec![0; zeros as usize])?;
            }
        }
        Ok(())
    }

    fn protect_final(&self) -> Result<(), MemoryError> {
        for segment in &self.segments {
            if let Some(pages) = segment.own_pages() {
                host::pages::protect(pages, segment.kind())?;
            }
            if segment.kind() == SegmentKind::Text {
                let start = segment.holding.addr;
                code::flush_instruction_cache(start..start + segment.content_size);
            }
        }
        Ok(())
    }

    /// Every frame must describe code of this allocation; one of another's would spoil its order.
    fn check_frames(&self, frames: &[FrameEntry]) -> Result<(), MemoryError> {
        let mut texts: Vec<_> = self.texts().map(Segment::range).collect();
        texts.sort_unstable_by_key(|text| text.start);
        let all = self.range.range();
        for frame in frames {
            let above = texts.partition_point(|text| text.start <= frame.pc);
            let within = above.checked_sub(1).and_then(|index| texts.get(index));
            if !within.is_some_and(|text| text.contains(frame.pc)) || !all.contains(frame.fde) {
                return Err(MemoryError::ForeignFrame {
                    pc: frame.pc,
                    fde: frame.fde,
                    range_start: all.start.value(),
                    range_end: all.end.value(),
                });
            }
        }
        Ok(())
    }

    fn texts(&self) -> impl Iterator<Item = &Segment> {
        self.segments
            .iter()
            .filter(|segment| segment.kind() == SegmentKind::Text)
    }

    /// The frames by the text that they are of.
    fn texts_of<'a>(
        &self,
        frames: &'a [FrameEntry],
    ) -> impl Iterator<Item = (Addresses<u64>, &'a [FrameEntry])> {
        self.texts().map(move |text| {
            let range = text.range();
            let first = frames.partition_point(|frame| frame.pc < range.start);
            let end = frames.partition_point(|frame| frame.pc < range.end);
            let addresses = range.start.value()..range.end.value();
            (addresses, &frames[first..end])
        })
    }

    /// Enters the frames in the range's table; registers the section if there is no table, or no
    /// room in it.
    fn add_frames(
        &mut self,
        frames: &[FrameEntry],
        eh_frame: Option<ExecutorAddrRange>,
    ) -> Result<Option<RegisteredFrames>, MemoryError> {
        let code = self.texts().next().map_or(0, |text| text.holding.addr);
        let mut in_order: Vec<&mut Segment> = self
            .segments
            .iter_mut()
            .filter(|segment| segment.kind() == SegmentKind::Text)
            .collect();
        in_order.sort_unstable_by_key(|segment| segment.holding.addr);
        let mut entered = true;
        let mut space = self.range.space.lock();
        for segment in in_order {
            let range = segment.range();
            let first = frames.partition_point(|frame| frame.pc < range.start);
            let end = frames.partition_point(|frame| frame.pc < range.end);
            entered &= space.add_frames(&mut segment.holding, &frames[first..end])?;
        }
        drop(space);
        if entered || frames.is_empty() {
            return Ok(None);
        }
        let missing = |reason| MemoryError::Frames { code, reason };
        let section = eh_frame.ok_or_else(|| missing("their .eh_frame section is not given"))?;
        let registered = RegisteredFrames::new(section.start.value(), || self.texts_of(frames));
        registered
            .map(Some)
            .ok_or_else(|| missing("the process has no unwinder that takes sections"))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let segments = std::mem::take(&mut self.segments);
        // An abandoned allocation reports its own failure; one of giving memory back has no reader.
        let _ = give_back(&self.range, segments, !self.written);
    }
}

/// Memory in use by linked code. Dropping it without [`Finalized::release`] leaves the code in
/// place for good.
#[derive(Debug)]
pub struct Finalized {
    range: Option<Arc<Range>>,
    segments: Vec<Segment>,
    ranges: Vec<ExecutorAddrRange>,
    registered: Option<RegisteredFrames>,
    names: Option<Slots>,
}

impl Finalized {
    /// The segments' places, in request order.
    #[must_use]
    pub fn ranges(&self) -> &[ExecutorAddrRange] {
        &self.ranges
    }

    /// The places of segments that are code.
    pub(crate) fn code(&self) -> impl Iterator<Item = ExecutorAddrRange> {
        let texts = self.segments.iter();
        texts
            .filter(|segment| segment.kind() == SegmentKind::Text)
            .map(Segment::range)
    }

    /// The places of segments that code may write to.
    pub(crate) fn data(&self) -> impl Iterator<Item = ExecutorAddrRange> {
        let data = self.segments.iter();
        data.filter(|segment| segment.kind() == SegmentKind::ReadWrite)
            .map(Segment::range)
    }

    /// Tells `dladdr` the names of functions of this memory, which are C strings in it. Where the
    /// loader does not know the range, or there is no room for more names, nothing happens.
    ///
    /// # Errors
    /// When the system refuses memory for the table.
    pub fn name_functions(&mut self, functions: &[FunctionName]) -> Result<(), MemoryError> {
        if let Some(range) = &self.range
            && !functions.is_empty()
            && let Some(names) = &mut *range.names.lock()
        {
            let more = names.add(functions)?;
            if let Some(before) = self.names.replace(more) {
                names.remove(before);
            }
        }
        Ok(())
    }

    /// Takes the names and the frames back and frees the memory. Nothing may run in it any more, or return into
    /// it.
    ///
    /// # Errors
    /// All failures joined; the memory is given back as far as possible.
    pub fn release(mut self) -> Result<(), MemoryError> {
        let Some(range) = self.range.take() else {
            return Ok(());
        };
        let segments = std::mem::take(&mut self.segments);
        if let (Some(slots), Some(names)) = (self.names.take(), &mut *range.names.lock()) {
            names.remove(slots);
        }
        {
            let mut space = range.space.lock();
            for segment in &segments {
                space.remove_frames(&segment.holding);
            }
        }
        drop(self.registered.take());
        for text in segments.iter().filter(|it| it.kind() == SegmentKind::Text) {
            let range = text.range();
            host::unwinder::forget(range.start.value()..range.end.value());
        }
        give_back(&range, segments, false)
    }
}

impl Drop for Finalized {
    fn drop(&mut self) {
        // Code that may still run must stay, with its range and its frames.
        std::mem::forget(self.range.take());
        std::mem::forget(self.registered.take());
    }
}

/// Gives the segments' memory back to the system where it fills pages, and to the range.
fn give_back(range: &Range, segments: Vec<Segment>, clean: bool) -> Result<(), MemoryError> {
    let page = host::pages::page_size();
    let mut failures = Vec::new();
    for segment in &segments {
        failures.extend(wipe(segment, page).err());
    }
    let mut space = range.space.lock();
    for segment in segments.into_iter().rev() {
        failures.extend(space.give_back(segment.holding, clean).err());
    }
    MemoryError::all(failures)
}

/// Discards the segment's whole pages and, where others can, zeroes the rest.
fn wipe(segment: &Segment, page: u64) -> Result<(), MemoryError> {
    let extent = &segment.holding.extent.range;
    let first_page = extent.start.next_multiple_of(page);
    let last_page = extent.end / page * page;
    if segment.kind() == SegmentKind::ReadWrite {
        let used = segment.range();
        let (start, end) = (used.start.value(), used.end.value());
        zero(start..end.min(first_page.max(start)));
        zero(start.max(last_page.min(end))..end);
    }
    if let Some(pages) = &segment.mapped {
        unmap(pages.clone(), segment.kind())?;
    }
    if first_page < last_page {
        host::pages::discard(first_page..last_page)?;
    }
    if let Some(pages) = segment.own_pages() {
        // Abandoned memory is still writable.
        host::pages::protect(pages, segment.kind())?;
    }
    Ok(())
}

/// Zeroes read-write memory.
fn zero(range: Addresses<u64>) {
    if range.is_empty() {
        return;
    }
    // SAFETY: the bytes belong to a read-write segment that is being given back.
    unsafe {
        std::ptr::write_bytes(
            range.start as *mut u8,
            0,
            (range.end - range.start) as usize,
        );
    }
}

/// How a request is filled: staged if it is small text or read-only data and a writer exists.
pub(crate) fn fills_own_pages(request: &SegmentRequest, limit: u64, writer: bool) -> bool {
    request.kind != SegmentKind::ReadWrite && (request.size >= limit || !writer)
}
