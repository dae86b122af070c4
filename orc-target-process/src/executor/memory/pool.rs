//! Ranges of the process that no manager has at the moment.
//!
//! A range takes a gigabyte of addresses, a handful of mappings, a descriptor and a call of the
//! loader. So it belongs to the process: a manager borrows it, and gives it back when its client is
//! done, for the next one. A range in which something has stayed (code that was never released,
//! because threads will still call it) cannot be closed, so it is lent again, too: what stays takes
//! its own bytes, not a range.

use std::sync::Arc;

use orc_shared::api::Placement;
use parking_lot::Mutex;

use super::Config;
use super::range::Range;

/// Ranges that wait for the next manager.
#[derive(Debug)]
pub(crate) struct Pool(Mutex<Vec<Arc<Range>>>);

/// Ranges of one placement in which nothing is that are kept open. More are closed.
const KEPT_EMPTY: usize = 1;

/// A range in which something has stayed is lent again while this part of it is free.
const FREE_PART: u64 = 4;

impl Pool {
    /// A pool without ranges.
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// The pool of this process.
    #[cfg(not(test))]
    pub(crate) fn of_process() -> &'static Self {
        static POOL: Pool = Pool::new();
        &POOL
    }

    /// A pool for each test, which runs on a thread of its own: it counts what is in its ranges.
    #[cfg(test)]
    pub(crate) fn of_process() -> &'static Self {
        thread_local! {
            static POOL: &'static Pool = Box::leak(Box::new(Pool::new()));
        }
        POOL.with(|pool| *pool)
    }

    /// Whether a range of this kind waits.
    pub(crate) fn has(&self, placement: Placement, config: Config) -> bool {
        let ranges = self.0.lock();
        ranges.iter().any(|range| is_of(range, placement, config))
    }

    /// Takes a range in which `least` bytes can be allocated.
    pub(crate) fn take(
        &self,
        placement: Placement,
        least: u64,
        config: Config,
    ) -> Option<Arc<Range>> {
        let mut ranges = self.0.lock();
        let fits = |range: &Arc<Range>| {
            is_of(range, placement, config)
                && range.holds(least)
                && (range.is_empty() || range.unclaimed() / 2 >= least)
        };
        let index = ranges.iter().position(fits)?;
        Some(ranges.swap_remove(index))
    }

    /// Takes a range back. Nothing is allocated in it any more on behalf of who had it.
    pub(crate) fn give(&self, range: Arc<Range>) {
        // A range that cannot be cleaned is closed, if nothing is in it.
        let is_clean = range.clear_if_empty();
        let is_empty = range.is_empty();
        if is_empty && !is_clean {
            return;
        }
        let size = range.all.end - range.all.start;
        if !is_empty && range.unclaimed() < size / FREE_PART {
            // What is in it keeps it open.
            return;
        }
        let mut ranges = self.0.lock();
        let same = |other: &&Arc<Range>| {
            other.placement == range.placement && is_empty && other.is_empty()
        };
        if ranges.iter().filter(same).count() < KEPT_EMPTY {
            ranges.push(range);
            return;
        }
        // Closed without the lock: that calls the loader.
        drop(ranges);
        drop(range);
    }
}

/// Whether a manager of this configuration could have opened the range.
fn is_of(range: &Range, placement: Placement, config: Config) -> bool {
    range.placement == placement
        && range.is_loaded() == config.loaded_ranges
        && range.wanted_size == config.range_size
}
