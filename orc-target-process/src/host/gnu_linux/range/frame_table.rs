//! A range's frame table: the binary-search table of an `.eh_frame_hdr` that grows while unwinders
//! read it.
//!
//! An unwinder that meets an address in the range asks the loader for the range's
//! `PT_GNU_EH_FRAME`, reads the entry count, and searches the entries, each a pair of signed 32-bit
//! offsets from the header: where code starts, and the FDE that describes it. It takes no lock, and
//! it may do so on any thread at any moment, a signal handler included. So every state between two
//! stores must be right for every reader, even for one that has read some entries before a store
//! and reads others after it.
//!
//! libgcc aborts the process when its search ends nowhere, which happens if what it concluded from
//! one entry no longer holds for the next. So **no entry may change sides for an address that can
//! be unwound through**: whether an entry's start is above or not above `pc` must stay as it is,
//! for every `pc` in live code. Moving entries up to make room is therefore impossible, as is
//! swapping the table for another. What is possible, and all that is done here:
//!
//! - *Append.* Entries beyond the count are written first, the count last. A reader sees the old
//!   count or the new one; the start of what is appended is above all live code with an entry.
//! - *Change an entry of dead space.* An entry belongs to an extent of text (`text_order`), and
//!   while no code in that extent can be on a stack (before it is published, after it is released),
//!   the entry's start may take any value inside the extent: for an address outside, it stays on
//!   the same side.
//! - *Redirect.* The FDE of an entry may be replaced by the empty one when its code is dead.
//!
//! Each extent's entries end with one that starts where its code ends and leads to the empty FDE.
//! So an address in code without an FDE behind it finds that entry, and never an FDE whose memory
//! is being released.
//!
//! A thread that runs new code learned its address after the code was published, hence after its
//! entries were stored; from then on its reads see them. Reads of entries depend on the count that
//! was read before, so weakly ordered CPUs keep that order too.

use std::ops::Range;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use orc_shared::api::FrameEntry;

use super::growing::GrowingMemory;
use crate::host::MemoryError;
use crate::host::arch::code::RETURN_ADDRESS_COLUMN;

/// Offset of the header (`PT_GNU_EH_FRAME`) in the table's memory. Entries follow 12 bytes later
/// and are then aligned to 8 bytes, so that one store writes an entry.
pub(crate) const HEADER: u64 = 52;
const COUNT: u64 = HEADER + 8;
const ENTRIES: u64 = HEADER + 12;
const ENTRY_SIZE: u64 = 8;

/// Offset of the empty FDE in the table's memory.
const EMPTY_FDE: u64 = 20;

/// The table of one range, in memory that the loader reserved for it.
#[derive(Debug)]
pub(crate) struct FrameTable {
    memory: GrowingMemory,
    count: u32,
}

impl FrameTable {
    /// Makes a table in `memory`, which is zero and not writable.
    pub(crate) fn new(memory: Range<u64>) -> Result<Self, MemoryError> {
        let mut table = Self {
            memory: GrowingMemory::new(memory)?,
            count: 0,
        };
        let section = empty_section();
        let header = header();
        // The version, the header's first byte, is what makes unwinders look further. Until it is
        // stored they find version 0 and turn away.
        table.store_bytes(0, &section);
        table.store_bytes(HEADER + 4, &header[4..]);
        // An entry that starts before all code: the search always has something to end at.
        table.store(0, table.memory.start() + HEADER, None);
        table.publish(1);
        let first_word = u32::from_le_bytes([header[0], header[1], header[2], header[3]]);
        table
            .atomic_u32(HEADER)
            .store(first_word, Ordering::Release);
        Ok(table)
    }

    /// Number of entries that unwinders see.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// Number of entries that still fit.
    pub(crate) fn room(&self) -> u32 {
        let capacity = (self.memory.size() - ENTRIES) / ENTRY_SIZE;
        u32::try_from(capacity).unwrap_or(u32::MAX) - self.count
    }

    /// Appends `count` entries for dead space that starts at `pc`, above all entries there are.
    pub(crate) fn append_empty(&mut self, count: u32, pc: u64) -> Result<Range<u32>, MemoryError> {
        let slots = self.make_room(count)?;
        for slot in slots.clone() {
            self.store(slot, pc, None);
        }
        self.publish(slots.end);
        Ok(slots)
    }

    /// Appends the entries of an extent: `frames`, sorted, the one at `code_end`, and as many spare
    /// ones as make `count_min`.
    pub(crate) fn append(
        &mut self,
        frames: &[FrameEntry],
        code_end: u64,
        count_min: u32,
    ) -> Result<Range<u32>, MemoryError> {
        let count = u32::try_from(frames.len() + 1).unwrap_or(u32::MAX);
        let count = count.max(count_min);
        let slots = self.make_room(count)?;
        self.write(slots.clone(), frames, code_end);
        self.publish(slots.end);
        Ok(slots)
    }

    /// Fills the slots of an extent in which no code lives yet. Slots that are too many repeat the
    /// first entry, so that a search that ends at any of them ends right.
    ///
    /// The caller has made sure that there are enough.
    pub(crate) fn fill(&mut self, slots: Range<u32>, frames: &[FrameEntry], code_end: u64) {
        self.write(slots, frames, code_end);
    }

    /// Makes the slots of an extent whose code is dead start at `pc` and lead nowhere.
    pub(crate) fn clear(&mut self, slots: Range<u32>, pc: u64) {
        for slot in slots {
            self.store(slot, pc, None);
        }
    }

    /// Takes all entries back. Only when no code of the range lives.
    pub(crate) fn reset(&mut self) {
        self.publish(1);
    }

    /// Where the entry at `slot` starts.
    pub(crate) fn start_of(&self, slot: u32) -> u64 {
        let entry = self.entry(slot).load(Ordering::Relaxed);
        self.header()
            .wrapping_add_signed(i64::from(entry as u32 as i32))
    }

    fn write(&mut self, slots: Range<u32>, frames: &[FrameEntry], code_end: u64) {
        let Some(last) = slots.end.checked_sub(1).filter(|last| slots.contains(last)) else {
            return;
        };
        let needed = u32::try_from(frames.len()).unwrap_or(u32::MAX);
        let first = last.saturating_sub(needed);
        debug_assert!(first >= slots.start, "the caller counted the slots");
        for spare in slots.start..first {
            match frames.first() {
                Some(frame) => self.store(spare, frame.pc.value(), Some(frame.fde.value())),
                None => self.store(spare, code_end, None),
            }
        }
        for (slot, frame) in (first..last).zip(frames) {
            self.store(slot, frame.pc.value(), Some(frame.fde.value()));
        }
        self.store(last, code_end, None);
    }

    fn make_room(&mut self, count: u32) -> Result<Range<u32>, MemoryError> {
        let end = self.count.saturating_add(count);
        let needed = self.memory.start() + ENTRIES + u64::from(end) * ENTRY_SIZE;
        if needed > self.memory.end() {
            return Err(MemoryError::Frames {
                code: self.memory.end(),
                reason: "the range's frame table is full",
            });
        }
        self.memory.grow_to(needed)?;
        Ok(self.count..end)
    }

    fn publish(&mut self, count: u32) {
        self.count = count;
        self.atomic_u32(COUNT).store(count, Ordering::Release);
    }

    fn store(&self, slot: u32, pc: u64, fde: Option<u64>) {
        let fde = fde.unwrap_or(self.memory.start() + EMPTY_FDE);
        let start = u64::from(self.offset(pc));
        self.entry(slot)
            .store(start | u64::from(self.offset(fde)) << 32, Ordering::Release);
    }

    /// `addr` as the table's signed 32-bit offset; a range is small enough for every address in it.
    fn offset(&self, addr: u64) -> u32 {
        addr.wrapping_sub(self.header()) as u32
    }

    fn header(&self) -> u64 {
        self.memory.start() + HEADER
    }

    fn entry(&self, slot: u32) -> &AtomicU64 {
        let offset = ENTRIES + u64::from(slot) * ENTRY_SIZE;
        assert!(
            self.memory
                .is_writable_to(self.memory.start() + offset + ENTRY_SIZE),
            "a slot of the table"
        );
        // SAFETY: the entry is in the writable part of the table, aligned, and only accessed
        // atomically.
        unsafe { AtomicU64::from_ptr((self.memory.start() + offset) as *mut u64) }
    }

    fn atomic_u32(&self, offset: u64) -> &AtomicU32 {
        // SAFETY: the header is in the writable part of the table, aligned to 4 bytes, and after
        // its first publication only accessed atomically.
        unsafe { AtomicU32::from_ptr((self.memory.start() + offset) as *mut u32) }
    }

    fn store_bytes(&mut self, offset: u64, bytes: &[u8]) {
        // SAFETY: only called for the first few bytes of the table, before the header's version
        // is stored: nobody else reads them yet.
        unsafe {
            std::ptr::copy_nonoverlapping(
                bytes.as_ptr(),
                (self.memory.start() + offset) as *mut u8,
                bytes.len(),
            );
        }
    }
}

/// `.eh_frame_hdr` up to its entries (LSB, "Exception Frames"), its count zero.
fn header() -> [u8; 12] {
    const PCREL_SDATA4: u8 = 0x1b;
    const UDATA4: u8 = 0x03;
    const DATAREL_SDATA4: u8 = 0x3b;
    let mut header = [
        1,
        PCREL_SDATA4,
        UDATA4,
        DATAREL_SDATA4,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
    ];
    let section = -(HEADER as i32 + 4);
    header[4..8].copy_from_slice(&section.to_le_bytes());
    header
}

/// An `.eh_frame` section of a CIE, an FDE that covers no code, and the end mark. Unwinders that do
/// not trust the table scan the section that its header names.
fn empty_section() -> [u8; HEADER as usize] {
    let mut section = [0; HEADER as usize];
    section[0..4].copy_from_slice(&16_u32.to_le_bytes()); // CIE: length,
    section[8] = 1; // version (after the id, 0),
    section[9..12].copy_from_slice(b"zR\0"); // augmentation,
    section[12] = 1; // code alignment factor,
    section[13] = 0x78; // data alignment factor, -8,
    section[14] = RETURN_ADDRESS_COLUMN;
    section[15] = 1; // augmentation data: length,
    section[16] = 0x1b; // pointers are pcrel | sdata4. DW_CFA_nop is 0.
    section[20..24].copy_from_slice(&16_u32.to_le_bytes()); // FDE: length,
    section[24..28].copy_from_slice(&24_u32.to_le_bytes()); // distance to the CIE,
    section // start and size of the code, and augmentation length: all zero.
}
