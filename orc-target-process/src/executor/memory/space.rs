//! The address space of one range: stripes of text, read-only and read-write pages, and the frame
//! table's entries that go with text. Everything here happens under the range's lock, and briefly.

use std::ops::Range;

use orc_shared::api::{FrameEntry, SegmentKind};

use super::free_list::Extent;
use super::stats::{KindStats, RangeStats};
use super::stripe::{Pages, Stripe};
use super::text_order::{TextOrder, slots_wanted};
use crate::host;
use crate::host::MemoryError;
use crate::host::range::data_segments::DataSegments;
use crate::host::range::frame_table::FrameTable;

/// Stripes by kind and by whether an allocation has its pages alone.
const STRIPES: usize = 5;

/// What a segment needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Want {
    pub(crate) kind: SegmentKind,
    /// Whether it is filled in place, in pages of its own.
    pub(crate) own_pages: bool,
    pub(crate) size: u64,
    pub(crate) align: u64,
    /// For text: the number of its frames, if the client knows it.
    pub(crate) frames: Option<usize>,
}

/// Space that belongs to a segment.
#[derive(Debug)]
pub(crate) struct Holding {
    pub(crate) want: Want,
    pub(crate) addr: u64,
    pub(crate) extent: Extent,
    /// Whether others used the space before: parts of pages may hold old bytes.
    pub(crate) reused: bool,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Space {
    area: Range<u64>,
    pages: Pages,
    stripes: [Stripe; STRIPES],
    order: TextOrder,
    table: Option<FrameTable>,
    data: Option<DataSegments>,
    in_use: usize,
    kinds: [KindStats; 3],
}

impl Space {
    /// The space of the pages `area`, and what the loader knows of them if they are a shared object
    /// to it.
    pub(crate) fn new(area: Range<u64>, loaded: Option<(FrameTable, DataSegments)>) -> Self {
        let (table, data) = loaded.unzip();
        let pages = Pages {
            next: area.start,
            end: area.end,
            page: host::pages::page_size(),
        };
        Self {
            area,
            pages,
            stripes: empty_stripes(),
            order: TextOrder::default(),
            table,
            data,
            in_use: 0,
            kinds: Default::default(),
        }
    }

    /// Takes space for all of `wants`, or for none. `None` if the range is full.
    pub(crate) fn take_all(&mut self, wants: &[Want]) -> Result<Option<Vec<Holding>>, MemoryError> {
        if let Some(holdings) = self.try_take_all(wants)? {
            return Ok(Some(holdings));
        }
        if !self.is_empty() {
            return Ok(None);
        }
        // Nobody uses the range any more, so it starts over.
        self.reset()?;
        if let Some(holdings) = self.try_take_all(wants)? {
            return Ok(Some(holdings));
        }
        Err(MemoryError::TooLarge {
            size: wants.iter().map(|want| want.size).sum(),
            range_size: self.area.end - self.area.start,
        })
    }

    fn try_take_all(&mut self, wants: &[Want]) -> Result<Option<Vec<Holding>>, MemoryError> {
        let mut holdings = Vec::with_capacity(wants.len());
        let mut outcome = Ok(true);
        for &want in wants {
            match self.take(want) {
                Ok(Some(holding)) => holdings.push(holding),
                Ok(None) => outcome = Ok(false),
                Err(error) => outcome = Err(error),
            }
            if !matches!(outcome, Ok(true)) {
                break;
            }
        }
        if matches!(outcome, Ok(true)) {
            return Ok(Some(holdings));
        }
        for holding in holdings.into_iter().rev() {
            self.give_back(holding, true)?;
        }
        outcome.map(|_| None)
    }

    fn take(&mut self, want: Want) -> Result<Option<Holding>, MemoryError> {
        let ordered = want.kind == SegmentKind::Text && self.table.is_some();
        // Text is followed by a byte of padding, so that the end of its code, where its last frame
        // entry and the return address of a call in its last instruction lie, is not its
        // neighbour's.
        let Some(size) = want.size.max(1).checked_add(u64::from(ordered)) else {
            return Ok(None);
        };
        let slots = if ordered {
            slots_wanted(want.size, want.frames)
        } else {
            0
        };
        if let Some(table) = &self.table
            && self.order.promised() + u64::from(slots) > u64::from(table.room())
        {
            return Ok(None);
        }
        let index = stripe_index(want.kind, want.own_pages);
        let stripe = &mut self.stripes[index];
        let data = &mut self.data;
        let claim_all = |pages: Range<u64>| {
            claim(want, pages.clone())?;
            match data {
                Some(data) if want.kind == SegmentKind::ReadWrite => data.add(pages),
                _ => Ok(()),
            }
        };
        let Some(place) = stripe.take(&mut self.pages, (size, want.align, slots), claim_all)?
        else {
            return Ok(None);
        };
        if let Some(range) = place.left_over {
            match ordered {
                true => self.order.enter_unused(range, index),
                false => drop(stripe.free.insert(Extent { range, slots: None })),
            }
        }
        match (&place.extent.slots, &mut self.table) {
            (Some(slots), Some(table)) => {
                table.clear(slots.clone(), place.extent.range.start);
                if let Some(rest) = &place.rest {
                    lift_slots(table, rest);
                }
            }
            _ if ordered => self.order.enter(&place.extent.range, slots),
            _ => {}
        }
        if want.kind == SegmentKind::Text && want.own_pages {
            // Programs find their code below their data, and so small text does not come after all of the data of
            // the large text before it.
            let small = Want {
                own_pages: false,
                ..want
            };
            self.stripes[0].start(&mut self.pages, |pages| claim(small, pages))?;
        }
        self.in_use += 1;
        let stats = &mut self.kinds[want.kind as usize];
        stats.used += want.size;
        stats.padding += place.extent.range.end - place.extent.range.start - want.size;
        let (addr, extent, reused) = (place.addr, place.extent, place.reused);
        Ok(Some(Holding {
            want,
            addr,
            extent,
            reused,
        }))
    }

    /// Enters the frames of a text segment, sorted. False if the table cannot take them: then the
    /// segment's entries lead nowhere, and the frames have to be registered another way.
    pub(crate) fn add_frames(
        &mut self,
        holding: &mut Holding,
        frames: &[FrameEntry],
    ) -> Result<bool, MemoryError> {
        let start = holding.extent.range.start;
        let code_end = holding.addr + holding.want.size;
        if holding.extent.slots.is_none() {
            holding.extent.slots = self.order.take_given(start);
        }
        if holding.extent.slots.is_none() {
            self.move_frontier(start)?;
            self.order.leave(start);
        }
        let Some(table) = &mut self.table else {
            return Ok(false);
        };
        let Some(slots) = holding.extent.slots.clone() else {
            let appended = table.append(frames, code_end, spare_slots(&holding.want));
            let fits = appended.is_ok();
            holding.extent.slots = Some(appended.unwrap_or(0..0));
            return Ok(fits);
        };
        if (slots.len() as u64) <= frames.len() as u64 {
            return Ok(false);
        }
        table.fill(slots, frames, code_end);
        Ok(true)
    }

    /// Makes the entries of a text segment lead nowhere: its code is dead.
    pub(crate) fn remove_frames(&mut self, holding: &Holding) {
        if let (Some(table), Some(slots)) = (&mut self.table, &holding.extent.slots) {
            table.clear(slots.clone(), holding.extent.range.end - 1);
        }
    }

    /// Takes a segment's space back. Its whole pages have been given back to the system already;
    /// its parts of pages are zero if it is read-write. `clean` says that nothing was ever written.
    pub(crate) fn give_back(&mut self, holding: Holding, clean: bool) -> Result<(), MemoryError> {
        let Holding {
            want, mut extent, ..
        } = holding;
        let index = stripe_index(want.kind, want.own_pages);
        let stripe = &mut self.stripes[index];
        self.in_use -= 1;
        let stats = &mut self.kinds[want.kind as usize];
        stats.used -= want.size;
        stats.padding -= extent.range.end - extent.range.start - want.size;
        if self.order.leave(extent.range.start) {
            // Never finalized, and above everything that was: the next one may have its place.
            if stripe.fresh.start == extent.range.end && (clean || want.own_pages) {
                stripe.fresh.start = extent.range.start;
            } else {
                self.order.enter_unused(extent.range, index);
            }
            return Ok(());
        }
        if want.kind == SegmentKind::Text
            && let Some(table) = &mut self.table
        {
            let slots = extent
                .slots
                .take()
                .or_else(|| self.order.take_given(extent.range.start));
            let slots = slots.unwrap_or(0..0);
            table.clear(slots.clone(), extent.range.end - 1);
            extent.slots = Some(slots);
        }
        let given = extent.range.clone();
        let joined = stripe.free.insert(extent).range;
        self.discard_joined_pages(&given, &joined)
    }

    /// Gives back the pages at the ends of `given` that it shared with others, if all of the page
    /// is free now.
    fn discard_joined_pages(
        &self,
        given: &Range<u64>,
        joined: &Range<u64>,
    ) -> Result<(), MemoryError> {
        let page = self.pages.page;
        let first = given.start / page * page;
        let last = given.end / page * page;
        let mut ends = [first, last]
            .into_iter()
            .take(if first == last { 1 } else { 2 });
        ends.try_for_each(|start| {
            let whole = given.start <= start && start + page <= given.end;
            let free = joined.start <= start && start + page <= joined.end;
            if whole || !free {
                Ok(())
            } else {
                host::pages::discard(start..start + page)
            }
        })
    }

    /// Gives frame-table entries to all text below `frontier` that has none.
    fn move_frontier(&mut self, frontier: u64) -> Result<(), MemoryError> {
        let Some(table) = &mut self.table else {
            return Ok(());
        };
        for (index, stripe) in self.stripes.iter_mut().enumerate().take(TEXT_STRIPES) {
            if !stripe.fresh.is_empty() && stripe.fresh.start < frontier {
                self.order
                    .enter_unused(std::mem::take(&mut stripe.fresh), index);
            }
        }
        for (index, extent) in self.order.pass(frontier, table)? {
            self.stripes[index].free.insert(extent);
        }
        Ok(())
    }

    /// Whether nobody has space in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.in_use == 0
    }

    /// Bytes of pages that no stripe has taken yet.
    pub(crate) fn unclaimed(&self) -> u64 {
        self.pages.end - self.pages.next
    }

    /// Starts over if nobody has space in it, without its pages. Whether it did.
    pub(crate) fn clear_if_empty(&mut self) -> Result<bool, MemoryError> {
        if self.is_empty() {
            self.reset()?;
        }
        Ok(self.is_empty())
    }

    fn reset(&mut self) -> Result<(), MemoryError> {
        if let Some(data) = &mut self.data {
            data.clear()?;
        }
        let used = self.area.start..self.pages.next;
        if !used.is_empty() {
            host::pages::discard(used.clone())?;
            host::pages::protect(used, SegmentKind::Text)?;
        }
        self.pages.next = self.area.start;
        self.stripes = empty_stripes();
        self.order = TextOrder::default();
        if let Some(table) = &mut self.table {
            table.reset();
        }
        Ok(())
    }

    /// Figures of the range.
    pub(crate) fn stats(&self) -> RangeStats {
        let mut kinds = self.kinds;
        for (index, stripe) in self.stripes.iter().enumerate() {
            let kind = &mut kinds[STRIPE_KINDS[index] as usize];
            kind.claimed += stripe.claimed;
            kind.free += stripe.free.bytes();
        }
        RangeStats {
            kinds,
            segments: self.in_use,
            frame_entries: self
                .table
                .as_ref()
                .map_or(0, |table| u64::from(table.count())),
            named_functions: 0,
            unclaimed: self.unclaimed(),
            mappings: 0,
        }
    }
}

/// The stripes of text come first.
const TEXT_STRIPES: usize = 2;

const STRIPE_KINDS: [SegmentKind; STRIPES] = [
    SegmentKind::Text,
    SegmentKind::Text,
    SegmentKind::ReadOnly,
    SegmentKind::ReadOnly,
    SegmentKind::ReadWrite,
];

fn stripe_index(kind: SegmentKind, own_pages: bool) -> usize {
    match kind {
        SegmentKind::Text => usize::from(own_pages),
        SegmentKind::ReadOnly => 2 + usize::from(own_pages),
        SegmentKind::ReadWrite => 4,
    }
}

fn empty_stripes() -> [Stripe; STRIPES] {
    [
        Stripe::default(),
        Stripe::of_whole_pages(),
        Stripe::default(),
        Stripe::of_whole_pages(),
        Stripe::default(),
    ]
}

/// The least number of entries that a text segment gets. A small one whose client announces no
/// frames gets as many as the next of its size would ask for, so that its space can be used again.
fn spare_slots(want: &Want) -> u32 {
    const SMALL: u64 = 1024;
    match want.frames {
        None if want.size <= SMALL => slots_wanted(want.size, None),
        _ => 0,
    }
}

/// Prepares pages that a stripe takes from the range.
fn claim(want: Want, pages: Range<u64>) -> Result<(), MemoryError> {
    if want.own_pages {
        // Made writable when the allocation is filled, and final afterwards.
        return Ok(());
    }
    // Pages that are filled without being writable must be charged as if they were: the system does
    // that when they are made writable once. Pages charged and not charged would not share a
    // mapping either.
    host::pages::protect(pages.clone(), SegmentKind::ReadWrite)?;
    match want.kind {
        SegmentKind::ReadWrite => Ok(()),
        kind => host::pages::protect(pages, kind),
    }
}

/// Moves the entries of free space that start below it up to its end, so that those of the
/// allocation before it are its own alone.
fn lift_slots(table: &mut FrameTable, rest: &Extent) {
    let Some(slots) = rest.slots.clone() else {
        return;
    };
    let low = slots
        .clone()
        .take_while(|&slot| table.start_of(slot) < rest.range.start)
        .count();
    table.clear(slots.start..slots.start + low as u32, rest.range.end - 1);
}
