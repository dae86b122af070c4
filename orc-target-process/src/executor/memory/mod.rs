//! The memory of linked code, in the process that runs it.
//!
//! ```text
//! MemoryManager -- open_range --> Range: mostly 1 GiB of addresses, a shared object to the loader
//!               -- allocate ----> InFlight: has addresses, is filled
//!                                    | finalize (or drop: abandon)
//!                                 Finalized: its code runs
//!                                    | release
//!               -- close_range --> the process's pool of open ranges, for the next manager
//! ```
//!
//! **What outlives a client** belongs to the process, once: ranges (`pool`), and code that nobody can
//! say how long it will be called (`permanent`).
//!
//! **Permissions.** No page is writable and executable at once, and none of live code ever loses
//! the permission to execute. A large segment of text or read-only data has pages of its own, which
//! are writable until it is final. A small one shares pages: its bytes are staged in a buffer and
//! written by the kernel when it becomes final (`host::code_writer`). Read-write segments share
//! pages that stay writable.
//!
//! **Frames.** Unwinders find the frames of all code in a range through a table inside it
//! (`host::range::frame_table`, `text_order`), which the loader knows from the range's program headers
//! (`host::range::image`). Nothing is registered for an allocation, and unwinding takes no lock. Where the
//! loader cannot do this, each finalized allocation registers its `.eh_frame` section
//! (`host::unwinder`).
//!
//! **Names.** `dladdr` and `backtrace_symbols` find the names of functions in a symbol table of the
//! range (`host::range::function_names`).
//!
//! **Cost.** Fresh pages are zero and are not touched before the linker writes to them; the zeros
//! that end a segment (`.bss`) are never touched. A range has no write permission until part of it
//! is claimed, so that a reservation counts toward no limit but that of address space.
//!
//! **Locks.** Each range has one, held for bookkeeping only: never while the loader runs, and not
//! for permissions of an allocation's own pages. In a forked child, memory is private like any
//! other.

mod allocation;
mod fill;
mod free_list;
mod opener;
mod permanent;
mod pool;
mod range;
mod space;
mod stats;
mod stripe;
mod text_order;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use orc_shared::api::{Placement, RangeId, SegmentKind, SegmentRequest};
use orc_shared::{ExecutorAddr, ExecutorAddrRange};
use parking_lot::RwLock;

pub use self::allocation::{Finalized, InFlight};
use self::allocation::{Segment, fills_own_pages};
pub use self::fill::SharedContent;
use self::opener::open_in_time;
pub(crate) use self::permanent::exit_code;
use self::permanent::stub_near_libraries;
use self::pool::Pool;
use self::range::Range;
use self::space::Want;
pub use self::stats::{KindStats, RangeStats, Stats};
use crate::host;
pub use crate::host::MemoryError;
use crate::host::code_writer::CodeWriter;

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
    /// By id. The place of a range that was closed is the next one's.
    ranges: RwLock<Vec<Option<Arc<Range>>>>,
    pool: &'static Pool,
}

impl MemoryManager {
    /// A manager without ranges.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self::with_pool(config, Pool::of_process())
    }

    /// A manager that borrows its ranges there.
    pub(crate) fn with_pool(config: Config, pool: &'static Pool) -> Self {
        let writer = (config.own_pages_from > 0).then(CodeWriter::new).flatten();
        host::unwinder::prepare();
        host::leak_checker::prepare();
        host::race_checker::prepare();
        Self {
            config,
            writer: writer.map(Arc::new),
            ranges: RwLock::default(),
            pool,
        }
    }

    /// Page size in bytes.
    #[must_use]
    pub fn page_size(&self) -> u64 {
        host::pages::page_size()
    }

    /// Code near the process's libraries that jumps to `target`. It stays when the manager goes.
    /// `None` if there is no place for it.
    pub(crate) fn stub_near_libraries(&self, target: ExecutorAddr) -> Option<ExecutorAddr> {
        stub_near_libraries(target, self.writer.as_deref())
    }

    /// Opens a range in which `least` bytes can be allocated, or takes one that the process has open
    /// and nobody uses.
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
        let config = self.config_for(placement);
        let range = match self.pool.take(placement, least, config) {
            Some(range) => range,
            None if self.has_no_range() || host::thread::is_single_threaded() => {
                Arc::new(self.open_directly(placement, least)?)
            }
            None => Arc::new(open_in_time(placement, least, config, self.pool)?),
        };
        let addresses = range.range();
        let mut ranges = self.ranges.write();
        let free = ranges.iter().position(Option::is_none);
        let index = free.unwrap_or_else(|| {
            ranges.push(None);
            ranges.len() - 1
        });
        ranges[index] = Some(range);
        let id = RangeId(u32::try_from(index).unwrap_or(u32::MAX));
        Ok((id, addresses))
    }

    /// Gives a range back to the process. What is allocated in it stays until it is released; nothing
    /// can be allocated in it any more.
    ///
    /// # Errors
    /// When there is no such range.
    pub fn close_range(&self, id: RangeId) -> Result<(), MemoryError> {
        let range = {
            let mut ranges = self.ranges.write();
            let place = usize::try_from(id.0).ok().and_then(|at| ranges.get_mut(at));
            place.and_then(Option::take)
        };
        let range = range.ok_or(MemoryError::UnknownRange(id))?;
        self.pool.give(range);
        Ok(())
    }

    /// Opens a range ahead of need, unless one is ready, so that the next
    /// [`MemoryManager::open_range`] need not wait for the loader. Call it where nobody waits.
    ///
    /// # Errors
    /// As [`MemoryManager::open_range`].
    pub fn prepare_range(&self, placement: Placement) -> Result<(), MemoryError> {
        if !self.pool.has(placement, self.config_for(placement)) {
            let range = self.open_directly(placement, 0)?;
            self.pool.give(Arc::new(range));
        }
        Ok(())
    }

    fn has_no_range(&self) -> bool {
        self.ranges.read().iter().all(Option::is_none)
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
        let at = usize::try_from(range.0).ok();
        let place = at.and_then(|at| self.ranges.read().get(at).cloned().flatten());
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
        let mut stats = Stats::default();
        for range in ranges.iter().flatten() {
            stats.ranges += 1;
            stats.total.add(&range.stats());
        }
        stats
    }
}

impl Drop for MemoryManager {
    fn drop(&mut self) {
        let ranges = std::mem::take(self.ranges.get_mut());
        for range in ranges.into_iter().flatten() {
            self.pool.give(range);
        }
    }
}
