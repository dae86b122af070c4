//! The memory of linked code, in the process that runs it.
//!
//! ```text
//! MemoryManager -- open_range --> Range: mostly 1 GiB of addresses, a shared object to the loader
//!               -- allocate ----> InFlight: has addresses, is filled
//!                                    | finalize (or drop: abandon)
//!                                 Finalized: its code runs
//!                                    | release
//! ```
//!
//! **Permissions.** No page is writable and executable at once, and none of live code ever loses
//! the permission to execute. A large segment of text or read-only data has pages of its own, which
//! are writable until it is final. A small one shares pages: its bytes are staged in a buffer and
//! written by the kernel when it becomes final (`sys::code_writer`). Read-write segments share
//! pages that stay writable.
//!
//! **Frames.** Unwinders find the frames of all code in a range through a table inside it
//! (`frame_table`, `text_order`), which the loader knows from the range's program headers
//! (`image`). Nothing is registered for an allocation, and unwinding takes no lock. Where the
//! loader cannot do this, each finalized allocation registers its `.eh_frame` section
//! (`sys::unwinder`).
//!
//! **Names.** `dladdr` and `backtrace_symbols` find the names of functions in a symbol table of the
//! range (`function_names`).
//!
//! **Cost.** Fresh pages are zero and are not touched before the linker writes to them; the zeros
//! that end a segment (`.bss`) are never touched. A range has no write permission until part of it
//! is claimed, so that a reservation counts toward no limit but that of address space.
//!
//! **Locks.** Each range has one, held for bookkeeping only: never while the loader runs, and not
//! for permissions of an allocation's own pages. In a forked child, memory is private like any
//! other.

mod allocation;
mod arch;
mod data_segments;
pub(crate) mod error;
mod fill;
pub(crate) mod frame_table;
mod free_list;
mod function_names;
mod growing;
pub(crate) mod image;
mod opener;
mod range;
mod space;
mod stats;
mod stripe;
mod text_order;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use orc_shared::{ExecutorAddr, ExecutorAddrRange};
use parking_lot::RwLock;

pub use self::allocation::{Finalized, InFlight};
use self::allocation::{Segment, fills_own_pages};
pub(crate) use self::arch::flush_instruction_cache;
pub use self::error::MemoryError;
pub use self::fill::SharedContent;
use self::opener::{Spare, open_in_time};
use self::range::Range;
use self::space::Want;
pub use self::stats::{KindStats, RangeStats, Stats};
use crate::api::{Placement, RangeId, SegmentKind, SegmentRequest};
use crate::sys;
use crate::sys::code_writer::CodeWriter;

/// How a manager uses memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Bytes of address space that a range takes, if there are that many; at most 1 GiB.
    pub range_size: u64,
    /// Text and read-only segments from this size on, in bytes, get pages of their own and are
    /// written in place. A system that refuses to write to shared pages for us makes it zero.
    pub own_pages_from: u64,
    /// Enter ranges into the process through its loader. Without, frames are registered one
    /// allocation at a time.
    pub loaded_ranges: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            range_size: 1 << 30,
            own_pages_from: 64 << 10,
            loaded_ranges: true,
        }
    }
}

/// The memory of linked code in this process. See the [module](self).
#[derive(Debug)]
pub struct MemoryManager {
    config: Config,
    writer: Option<Arc<CodeWriter>>,
    ranges: RwLock<Vec<Arc<Range>>>,
    /// Ranges opened ahead of need.
    spare: Arc<Spare>,
}

impl MemoryManager {
    /// A manager without ranges.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let writer = (config.own_pages_from > 0).then(CodeWriter::new).flatten();
        sys::unwinder::prepare();
        sys::leak_checker::prepare();
        sys::race_checker::prepare();
        Self {
            config,
            writer: writer.map(Arc::new),
            ranges: RwLock::default(),
            spare: Arc::default(),
        }
    }

    /// Page size in bytes.
    #[must_use]
    pub fn page_size(&self) -> u64 {
        sys::memory::page_size()
    }

    /// Opens a new range in which `least` bytes can be allocated, or hands out one that
    /// [`MemoryManager::prepare_range`] opened.
    ///
    /// If the loader's lock is held for long, the range is one that the loader does not know, with
    /// registered frames. The first range, and all while the process has one thread, wait for the
    /// loader.
    ///
    /// # Errors
    /// When no address space is left for the placement, with all reasons.
    pub fn open_range(
        &self,
        placement: Placement,
        least: u64,
    ) -> Result<(RangeId, ExecutorAddrRange), MemoryError> {
        let range = match self.take_spare(placement, least) {
            Some(range) => range,
            None if self.ranges.read().is_empty() || sys::thread::is_single_threaded() => {
                self.open_directly(placement, least)?
            }
            None => open_in_time(placement, least, self.config_for(placement), &self.spare)?,
        };
        let addresses = range.range();
        let mut ranges = self.ranges.write();
        let id = RangeId(u32::try_from(ranges.len()).unwrap_or(u32::MAX));
        ranges.push(Arc::new(range));
        Ok((id, addresses))
    }

    /// Opens a range ahead of need, unless one is ready, so that the next
    /// [`MemoryManager::open_range`] need not wait for the loader. Call it where nobody waits.
    ///
    /// # Errors
    /// As [`MemoryManager::open_range`].
    pub fn prepare_range(&self, placement: Placement) -> Result<(), MemoryError> {
        if self
            .spare
            .lock()
            .iter()
            .any(|range| range.placement == placement)
        {
            return Ok(());
        }
        let range = self.open_directly(placement, 0)?;
        self.spare.lock().push(range);
        Ok(())
    }

    fn take_spare(&self, placement: Placement, least: u64) -> Option<Range> {
        let mut spare = self.spare.lock();
        let fits = |range: &Range| range.placement == placement && range.holds(least);
        let index = spare.iter().position(fits)?;
        Some(spare.swap_remove(index))
    }

    fn open_directly(&self, placement: Placement, least: u64) -> Result<Range, MemoryError> {
        let config = self.config_for(placement);
        Range::open(placement, config.range_size, least, config.loaded_ranges)
    }

    /// What lies anywhere is data, of which the loader need not know.
    fn config_for(&self, placement: Placement) -> Config {
        let loaded_ranges = self.config.loaded_ranges && placement != Placement::Anywhere;
        Config {
            loaded_ranges,
            ..self.config
        }
    }

    /// Allocates segments in a range. `None` when the range is full: open another.
    ///
    /// # Errors
    /// When a request contradicts itself, could not even be met by an empty range, or the system
    /// refuses memory.
    pub fn allocate(
        &self,
        range: RangeId,
        segments: &[SegmentRequest],
    ) -> Result<Option<InFlight>, MemoryError> {
        self.allocate_with_frames(range, segments, None)
    }

    /// Like [`MemoryManager::allocate`], told how many frame entries finalize will be given. Then
    /// the entries are sure to find room in the frame table when allocations are finalized in
    /// another order than they were made, or reuse space; else their number is guessed from the
    /// size of the text, and frames that do not fit are registered as a section.
    ///
    /// # Errors
    /// As [`MemoryManager::allocate`].
    pub fn allocate_with_frames(
        &self,
        range: RangeId,
        segments: &[SegmentRequest],
        frames: Option<usize>,
    ) -> Result<Option<InFlight>, MemoryError> {
        let place = range::by_id(&self.ranges.read(), range).cloned();
        let range = place.ok_or(MemoryError::UnknownRange(range))?;
        let wants = self.wants(segments, frames)?;
        let taken = range.space.lock().take_all(&wants)?;
        let Some(holdings) = taken else {
            return Ok(None);
        };
        let segments = holdings
            .into_iter()
            .zip(segments)
            .map(|(holding, request)| {
                let stages = request.kind != SegmentKind::ReadWrite && !holding.want.own_pages;
                let staged = stages.then(|| vec![0; request.content_size as usize].into());
                Segment {
                    holding,
                    content_size: request.content_size,
                    staged,
                    mapped: None,
                }
            })
            .collect();
        InFlight::new(range, self.writer.clone(), segments).map(Some)
    }

    /// Code near the process's libraries that jumps to `target`, which may be anywhere: what
    /// takes the place of a library's function has to be where references to that reach. It stays for
    /// good. `None` if no range near the libraries is open, or it is full.
    ///
    /// # Errors
    /// When the system refuses memory.
    pub fn stub_near_libraries(
        &self,
        target: ExecutorAddr,
    ) -> Result<Option<ExecutorAddr>, MemoryError> {
        let near = |range: &Arc<Range>| range.placement == Placement::NearLibraries;
        let Some(index) = self.ranges.read().iter().position(near) else {
            return Ok(None);
        };
        let stub = arch::jump_stub(target.value());
        let request = SegmentRequest {
            kind: SegmentKind::Text,
            content_size: stub.len() as u64,
            size: stub.len() as u64,
            align: 16,
        };
        let range = RangeId(u32::try_from(index).unwrap_or(u32::MAX));
        let Some(mut memory) = self.allocate_with_frames(range, &[request], Some(0))? else {
            return Ok(None);
        };
        for bytes in memory.working_memory() {
            bytes.copy_from_slice(&stub);
        }
        // Dropped without being released, it stays.
        let finalized = memory.finalize(Vec::new(), None)?;
        Ok(finalized.ranges().first().map(|range| range.start))
    }

    fn wants(
        &self,
        segments: &[SegmentRequest],
        frames: Option<usize>,
    ) -> Result<Vec<Want>, MemoryError> {
        let limit = self.config.own_pages_from;
        segments
            .iter()
            .map(|request| {
                let &SegmentRequest {
                    kind,
                    content_size,
                    size,
                    align,
                } = request;
                if !align.is_power_of_two() || content_size > size {
                    return Err(MemoryError::BadSegment {
                        align,
                        content_size,
                        size,
                    });
                }
                let own_pages = fills_own_pages(request, limit, self.writer.is_some());
                Ok(Want {
                    kind,
                    own_pages,
                    size,
                    align,
                    frames,
                })
            })
            .collect()
    }

    /// Figures about all memory. Reads `/proc/self/maps`: not for hot paths.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let ranges = self.ranges.read();
        let mut stats = Stats {
            ranges: ranges.len(),
            ..Stats::default()
        };
        for range in ranges.iter() {
            stats.total.add(&range.stats());
        }
        stats
    }
}
