//! Ranges: how one comes into the process, and what lies where in it.

use std::ops::Range as Addresses;

use orc_shared::api::Placement;
use orc_shared::{ExecutorAddr, ExecutorAddrRange};
use parking_lot::Mutex;

use super::space::Space;
use super::stats::RangeStats;
use crate::host::MemoryError;
use crate::host::leak_checker::RootRegion;
use crate::host::pages::{self, LOW_END, LOW_HINTS, Reservation};
use crate::host::range::LoadedRange;
use crate::host::range::data_segments::DataSegments;
use crate::host::range::frame_table::FrameTable;
use crate::host::range::function_names::FunctionNames;
use crate::host::range::image::RangeImage;

/// The smallest range worth opening.
const RANGE_SIZE_MIN: u64 = 4 << 20;

/// More than this need not be asked for: half of a process's address space, where that is smallest.
const LEAST_MAX: u64 = 1 << 46;

/// The table may take one part in so many of a range. With entries of 8 bytes, 32 allow a function
/// (its end included) for each 256 bytes of everything.
const TABLE_PART: u64 = 32;

/// The names of functions may take one part in so many of a range: with 24 bytes each, 32 allow a
/// function for each 768 bytes of everything.
const NAMES_PART: u64 = 32;

/// Farthest that 32-bit PC-relative references reach.
const REACH: u64 = 1 << 31;

/// What keeps a range's addresses ours.
enum Backing {
    /// A shared object; unwinders find its frame table through the loader.
    Loaded(LoadedRange),
    /// Anonymous memory; frames are registered one allocation at a time.
    Plain(Reservation),
}

/// One range of the process.
pub(crate) struct Range {
    pub(crate) placement: Placement,
    /// Its addresses, from the first to the last page.
    pub(crate) all: Addresses<u64>,
    /// Bytes that a range was to take, if there were that many.
    pub(crate) wanted_size: u64,
    pub(crate) space: Mutex<Space>,
    /// What `dladdr` knows, if the range is a shared object.
    pub(crate) names: Mutex<Option<FunctionNames>>,
    /// Withdrawn before the range goes away.
    _searched_for_leaks: Option<RootRegion>,
    /// Dropped last: unmaps everything.
    backing: Backing,
}

impl Range {
    /// Opens a range of up to `size` bytes, in which `least` bytes can be allocated. Where address space is
    /// short it is smaller; where the loader does not help (`loaded` is false, or it refuses), it has
    /// no frame table.
    pub(crate) fn open(
        placement: Placement,
        size: u64,
        least: u64,
        loaded: bool,
    ) -> Result<Self, MemoryError> {
        if least > LEAST_MAX {
            let reason = format!("{least:#x} bytes are more than any process has");
            return Err(MemoryError::NoRange { placement, reason });
        }
        let page = pages::page_size();
        let least = with_tables(least);
        let wanted_size = size;
        let size = size.clamp(RANGE_SIZE_MIN, LOW_END / 2).max(least) / page * page;
        let mut reasons = Vec::new();
        if loaded {
            match open_loaded(placement, size, least) {
                Ok(range) => return Self::over(placement, wanted_size, Backing::Loaded(range)),
                Err(reason) => reasons.push(reason),
            }
        }
        for size in sizes(size, least) {
            match Reservation::new(placement, size) {
                Ok(reservation) => {
                    return Self::over(placement, wanted_size, Backing::Plain(reservation));
                }
                Err(error) => reasons.push(format!("mmap of {size:#x} bytes: {error}")),
            }
        }
        let reason = reasons.join("; ");
        Err(MemoryError::NoRange { placement, reason })
    }

    fn over(placement: Placement, wanted_size: u64, backing: Backing) -> Result<Self, MemoryError> {
        let page = pages::page_size();
        let (all, space, names, searched_for_leaks) = match &backing {
            Backing::Loaded(range) => {
                let all = range.range();
                let table_start = all.start + page;
                let table_end = table_start + table_size(all.end - all.start);
                let table = FrameTable::new(table_start..table_end)?;
                let data = DataSegments::new(all.start..table_start, range.bias());
                let names_end = table_end + names_size(all.end - all.start);
                let names = FunctionNames::new(table_end..names_end, all.clone(), range.bias())?;
                let space = Space::new(names_end..all.end - page, Some((table, data)));
                // Its data segments say where a leak checker has to look.
                (all, space, Some(names), None)
            }
            Backing::Plain(reservation) => {
                let all = reservation.range();
                let searched = RootRegion::new(&all);
                (all.clone(), Space::new(all, None), None, searched)
            }
        };
        Ok(Self {
            placement,
            space: Mutex::new(space),
            names: Mutex::new(names),
            _searched_for_leaks: searched_for_leaks,
            all,
            wanted_size,
            backing,
        })
    }

    /// Whether the loader knows it.
    pub(crate) fn is_loaded(&self) -> bool {
        matches!(self.backing, Backing::Loaded(_))
    }

    /// Whether nothing is allocated in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.space.lock().is_empty()
    }

    /// Bytes of addresses that are set aside for nothing yet.
    pub(crate) fn unclaimed(&self) -> u64 {
        self.space.lock().unclaimed()
    }

    /// Gives all pages back to the system if nothing is allocated in it. Whether it is as if it had just
    /// been opened.
    pub(crate) fn clear_if_empty(&self) -> bool {
        self.space.lock().clear_if_empty().unwrap_or(false)
    }

    /// Its addresses.
    pub(crate) fn range(&self) -> ExecutorAddrRange {
        ExecutorAddrRange {
            start: ExecutorAddr::new(self.all.start),
            end: ExecutorAddr::new(self.all.end),
        }
    }

    /// Whether `usable` bytes can be allocated in it while it is empty.
    pub(crate) fn holds(&self, usable: u64) -> bool {
        self.all.end - self.all.start >= with_tables(usable)
    }

    /// Its figures, mappings included.
    pub(crate) fn stats(&self) -> RangeStats {
        let stats = self.space.lock().stats();
        RangeStats {
            mappings: pages::count_mappings(&self.all),
            named_functions: self.names.lock().as_ref().map_or(0, FunctionNames::named),
            ..stats
        }
    }
}

/// Bytes of the frame table of a range of `size` bytes.
fn table_size(size: u64) -> u64 {
    (size / TABLE_PART).next_multiple_of(pages::page_size())
}

/// Bytes for the names of functions in a range of `size` bytes.
fn names_size(size: u64) -> u64 {
    (size / NAMES_PART).next_multiple_of(pages::page_size())
}

/// Bytes of a range in which `usable` bytes can be allocated.
fn with_tables(usable: u64) -> u64 {
    let tables = usable / TABLE_PART + usable / NAMES_PART;
    // Of the tables themselves, and of what segments leave free between them.
    let more = tables / 8 + RANGE_SIZE_MIN / 2;
    let size = usable.saturating_add(tables).saturating_add(more);
    let page = pages::page_size();
    size.checked_next_multiple_of(page)
        .unwrap_or(u64::MAX / page * page)
}

/// Sizes to try: halved until one fits the address space that is left, or is less than the least of use.
fn sizes(size: u64, least: u64) -> impl Iterator<Item = u64> {
    let budget = pages::address_space_budget();
    let least = least.max(RANGE_SIZE_MIN).min(size);
    std::iter::successors(Some(size), |size| Some(size / 2))
        .skip_while(move |&size| size > budget && size / 2 >= least)
        .take_while(move |&size| size >= least)
        .map(|size| size.next_multiple_of(pages::page_size()))
}

fn open_loaded(placement: Placement, size: u64, least: u64) -> Result<LoadedRange, String> {
    let mut reason = String::new();
    for size in sizes(size, least) {
        let opened = match placement {
            Placement::NearLibraries | Placement::Anywhere => open_near(size),
            Placement::Low2GiB => open_low(size),
        };
        match opened {
            Ok(range) => return Ok(range),
            Err(why) => reason = format!("opening a range of {size:#x} bytes: {why}"),
        }
    }
    Err(reason)
}

fn open_at(first_address: u64, size: u64) -> Result<LoadedRange, String> {
    let page = pages::page_size();
    LoadedRange::open(&RangeImage {
        first_address,
        size,
        page,
        table_size: table_size(size),
    })
}

/// Leaves the place to the system, which puts new objects next to the others, and insists only if
/// it did not: another thread may have mapped gigabytes there.
fn open_near(size: u64) -> Result<LoadedRange, String> {
    let libraries = pages::an_address_in_a_library();
    let range = open_at(0, size)?;
    if reaches(&range.range(), libraries) {
        return Ok(range);
    }
    let Some(gap) = pages::gap_near(libraries, size, REACH) else {
        return Ok(range);
    };
    match open_at(gap, size) {
        Ok(nearer) if reaches(&nearer.range(), libraries) => Ok(nearer),
        _ => Ok(range),
    }
}

/// Whether references from anywhere in `range` reach what lies about `addr`.
fn reaches(range: &Addresses<u64>, addr: u64) -> bool {
    // Libraries are spread around the address by less than this.
    const SPREAD: u64 = 256 << 20;
    let reach = REACH - SPREAD;
    range.start.abs_diff(addr) < reach && range.end.abs_diff(addr) < reach
}

fn open_low(size: u64) -> Result<LoadedRange, String> {
    let mut reason = "no place below 2 GiB is free".to_owned();
    for hint in LOW_HINTS {
        if hint + size > LOW_END {
            continue;
        }
        match open_at(hint, size) {
            // The wish is not always granted; elsewhere the range is of no use.
            Ok(range) if range.range().end <= LOW_END => return Ok(range),
            Ok(_) => {}
            Err(why) => reason = why,
        }
    }
    Err(reason)
}

impl std::fmt::Debug for Range {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Range({:#x}..{:#x}, {:?})",
            self.all.start, self.all.end, self.placement
        )
    }
}
