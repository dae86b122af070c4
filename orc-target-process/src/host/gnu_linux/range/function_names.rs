//! Names of a range's functions, for `dladdr` and `backtrace_symbols`.
//!
//! Those ask the loader which object an address lies in, and go through all of that object's dynamic
//! symbols. The number of symbols is the length of the chain array of `DT_HASH`, which is read again
//! each time; the names are offsets from `DT_STRTAB`. So a range, which is an object to the loader,
//! has a symbol table that grows, whose names lie anywhere in the range: with the code that they
//! name.
//!
//! ```text
//!  +0   DT_HASH: number of buckets (1), number of symbols; the bucket, which is empty, so that no
//!       lookup by name finds anything
//!  +24  DT_SYMTAB: the null symbol, then one entry per function
//! ```
//!
//! Readers take none of our locks. An entry's first word holds its name, its binding and its section;
//! it is stored last and cleared first, and what has no binding is skipped. The number of symbols
//! is stored after the entries. Space of names that are gone is used again.
//!
//! The file of the object says that there is one symbol (`image`): the loader, and debuggers that
//! read it, find a complete table there. Where the tables really are is written into the dynamic
//! section in memory.

use std::ops::Range;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use orc_shared::api::FunctionName;

use super::growing::GrowingMemory;
use super::image;
use crate::host;
use crate::host::MemoryError;

const COUNT: u64 = 4;
const ENTRIES: u64 = 24;
const ENTRY_SIZE: u64 = size_of::<libc::Elf64_Sym>() as u64;

/// The symbol table of one range, in memory that the loader reserved for it.
#[derive(Debug)]
pub(crate) struct FunctionNames {
    memory: GrowingMemory,
    /// Addresses of the whole object; names are offsets from its start.
    object: Range<u64>,
    /// Difference between addresses in memory and in the image.
    bias: u64,
    count: u32,
    free: Vec<u32>,
}

/// Entries of the table that belong to an allocation.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    used_again: Vec<u32>,
    fresh: Range<u32>,
}

impl FunctionNames {
    /// Makes a table in `memory`, which is zero and not writable, for the object that lies at
    /// `object`, and tells the loader of it.
    pub(crate) fn new(
        memory: Range<u64>,
        object: Range<u64>,
        bias: u64,
    ) -> Result<Self, MemoryError> {
        let table = Self {
            memory: GrowingMemory::new(memory)?,
            object,
            bias,
            count: 1,
            free: Vec::new(),
        };
        table.word(0).store(1, Ordering::Relaxed);
        table.word(COUNT).store(1, Ordering::Release);
        table.write_dynamic_section();
        Ok(table)
    }

    /// Names functions, as far as there is room.
    pub(crate) fn add(&mut self, functions: &[FunctionName]) -> Result<Slots, MemoryError> {
        let again = functions.len().min(self.free.len());
        let used_again = self.free.split_off(self.free.len() - again);
        let fresh = self.make_room(functions.len() - again)?;
        let slots = Slots { used_again, fresh };
        for (slot, function) in slots.iter().zip(functions) {
            self.store(slot, function);
        }
        self.count = self.count.max(slots.fresh.end);
        self.word(COUNT).store(self.count, Ordering::Release);
        Ok(slots)
    }

    /// Takes names back.
    pub(crate) fn remove(&mut self, slots: Slots) {
        for slot in slots.iter() {
            self.entry(slot)[0].store(0, Ordering::Release);
        }
        self.free.extend(slots.fresh);
        self.free.extend(slots.used_again);
    }

    /// Number of functions that have names.
    pub(crate) fn named(&self) -> u64 {
        u64::from(self.count) - 1 - self.free.len() as u64
    }

    fn make_room(&mut self, wanted: usize) -> Result<Range<u32>, MemoryError> {
        let capacity = (self.memory.size() - ENTRIES) / ENTRY_SIZE;
        let room = capacity.saturating_sub(u64::from(self.count));
        let end = self.count + u32::try_from(room.min(wanted as u64)).unwrap_or(0);
        let needed = self.memory.start() + ENTRIES + u64::from(end) * ENTRY_SIZE;
        self.memory.grow_to(needed)?;
        Ok(self.count..end)
    }

    fn store(&self, slot: u32, function: &FunctionName) {
        const GLOBAL_FUNCTION: u64 = 1 << 4 | 2;
        // Any section will do that is neither "undefined" nor "absolute".
        const SOME_SECTION: u64 = 1;
        let name = function.name.value();
        if !self.object.contains(&name) {
            return;
        }
        // A range is smaller than 4 GiB.
        let first = (name - self.object.start) | GLOBAL_FUNCTION << 32 | SOME_SECTION << 48;
        let [head, value, size] = self.entry(slot);
        let start = function.start.value().wrapping_sub(self.bias);
        value.store(start, Ordering::Relaxed);
        size.store(function.size, Ordering::Relaxed);
        head.store(first, Ordering::Release);
    }

    /// Leads the loader to the table. Its dynamic section holds addresses in memory or in the image,
    /// depending on the loader's version; both move by the same distance.
    fn write_dynamic_section(&self) {
        let page = host::pages::page_size();
        let section = self.object.end - page + image::DYNAMIC;
        let start = self.object.start;
        let moves = [
            (
                image::HASH_ENTRY,
                start + image::HASH_TABLE,
                self.memory.start(),
            ),
            (image::STRINGS_ENTRY, start + image::STRING_TABLE, start),
            (
                image::SYMBOLS_ENTRY,
                start + image::SYMBOL_TABLE,
                self.memory.start() + ENTRIES,
            ),
        ];
        for (entry, from, to) in moves {
            let value = long(section + entry);
            let moved = value
                .load(Ordering::Relaxed)
                .wrapping_add(to.wrapping_sub(from));
            value.store(moved, Ordering::Relaxed);
        }
        let size = self.object.end - start;
        long(section + image::STRINGS_SIZE_ENTRY).store(size, Ordering::Relaxed);
    }

    fn entry(&self, slot: u32) -> [&AtomicU64; 3] {
        let offset = ENTRIES + u64::from(slot) * ENTRY_SIZE;
        let start = self.memory.start() + offset;
        assert!(
            self.memory.is_writable_to(start + ENTRY_SIZE),
            "a slot of the table"
        );
        [0, 8, 16].map(|field| long(start + field))
    }

    fn word(&self, offset: u64) -> &AtomicU32 {
        // SAFETY: the header is in the writable part of the table, aligned to 4 bytes, and only
        // accessed atomically by us.
        unsafe { AtomicU32::from_ptr((self.memory.start() + offset) as *mut u32) }
    }
}

impl Slots {
    fn iter(&self) -> impl Iterator<Item = u32> {
        self.used_again.iter().copied().chain(self.fresh.clone())
    }
}

/// A word of the table or of the dynamic section.
fn long<'a>(addr: u64) -> &'a AtomicU64 {
    // SAFETY: callers pass aligned words of a range's writable part, which is mapped as long as the
    // range is; the loader reads them, and only we write them, atomically.
    unsafe { AtomicU64::from_ptr(addr as *mut u64) }
}
