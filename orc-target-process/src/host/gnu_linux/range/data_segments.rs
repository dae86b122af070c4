//! Tells the process where a range has data that may be written.
//!
//! A conservative garbage collector looks for pointers in all static data of the process. It finds
//! that data through the loader (`dl_iterate_phdr`): the segments of each object with the write
//! flag. To the loader a range is an object with one segment for everything, without that flag, and
//! the collector would free what only linked code's data points to.
//!
//! So the image of a range has spare program headers of type `PT_NULL`, which everybody skips. The
//! loader does not copy program headers, it points readers to those in the range's first page. When
//! read-write pages are claimed, a spare header becomes one more `PT_LOAD` that covers them, within
//! the segment that covers everything.
//!
//! Readers take no lock that keeps us away. A header's type is therefore stored last, when its other
//! fields are complete; a segment grows by one store to its size. All that is ever covered is
//! readable memory of the range. Should there be more pieces than headers, the last one covers what
//! lies between its pieces too: code and constants, which a collector may read.

use std::ops::Range;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use orc_shared::api::SegmentKind;

use super::image::{FIRST_SPARE_HEADER, SPARE_HEADERS};
use crate::host;
use crate::host::MemoryError;

/// The spare program headers of one range, and what those in use say.
#[derive(Debug)]
pub(crate) struct DataSegments {
    /// The range's first page, which holds the program headers and is not writable.
    header_page: Range<u64>,
    /// Difference between addresses in memory and in the image.
    bias: u64,
    pieces: Vec<Range<u64>>,
}

impl DataSegments {
    /// Those of the range whose first page is `header_page`, loaded with `bias`.
    pub(crate) fn new(header_page: Range<u64>, bias: u64) -> Self {
        Self {
            header_page,
            bias,
            pieces: Vec::new(),
        }
    }

    /// Adds pages that lie above all that were added before.
    pub(crate) fn add(&mut self, pages: Range<u64>) -> Result<(), MemoryError> {
        let full = self.pieces.len() == SPARE_HEADERS;
        match self.pieces.last_mut() {
            Some(last) if full || last.end == pages.start => last.end = pages.end,
            _ => self.pieces.push(pages),
        }
        self.write_headers(|all| {
            if let Some(index) = all.pieces.len().checked_sub(1) {
                all.show(index);
            }
        })
    }

    /// Takes all back: the range has no data any more.
    pub(crate) fn clear(&mut self) -> Result<(), MemoryError> {
        if self.pieces.is_empty() {
            return Ok(());
        }
        self.write_headers(|all| {
            for index in 0..all.pieces.len() {
                all.word(Field::Type, index)
                    .store(libc::PT_NULL, Ordering::Release);
            }
        })?;
        self.pieces.clear();
        Ok(())
    }

    fn write_headers(&self, write: impl FnOnce(&Self)) -> Result<(), MemoryError> {
        host::pages::protect(self.header_page.clone(), SegmentKind::ReadWrite)?;
        write(self);
        host::pages::protect(self.header_page.clone(), SegmentKind::ReadOnly)
    }

    /// Makes a header say what its piece is; one in use changes its size alone.
    fn show(&self, index: usize) {
        let Some(piece) = self.pieces.get(index) else {
            return;
        };
        let address = piece.start.wrapping_sub(self.bias);
        for field in [Field::VirtualAddress, Field::PhysicalAddress] {
            self.long(field, index).store(address, Ordering::Relaxed);
        }
        self.long(Field::MemorySize, index)
            .store(piece.end - piece.start, Ordering::Relaxed);
        self.word(Field::Flags, index)
            .store(libc::PF_R | libc::PF_W, Ordering::Relaxed);
        self.word(Field::Type, index)
            .store(libc::PT_LOAD, Ordering::Release);
    }

    fn word(&self, field: Field, index: usize) -> &AtomicU32 {
        // SAFETY: an aligned field of a program header in the range's first page, which is mapped
        // as long as the range is; only aligned loads and atomic stores are made to it.
        unsafe { AtomicU32::from_ptr(self.place(field, index) as *mut u32) }
    }

    fn long(&self, field: Field, index: usize) -> &AtomicU64 {
        // SAFETY: as in `word`; the 8-byte fields of a program header are aligned to 8.
        unsafe { AtomicU64::from_ptr(self.place(field, index) as *mut u64) }
    }

    fn place(&self, field: Field, index: usize) -> u64 {
        assert!(index < SPARE_HEADERS, "a spare header");
        let header = index * size_of::<libc::Elf64_Phdr>() + field as usize;
        self.header_page.start + FIRST_SPARE_HEADER + header as u64
    }
}

/// Offsets in a program header.
#[derive(Clone, Copy)]
enum Field {
    Type = std::mem::offset_of!(libc::Elf64_Phdr, p_type) as isize,
    Flags = std::mem::offset_of!(libc::Elf64_Phdr, p_flags) as isize,
    VirtualAddress = std::mem::offset_of!(libc::Elf64_Phdr, p_vaddr) as isize,
    PhysicalAddress = std::mem::offset_of!(libc::Elf64_Phdr, p_paddr) as isize,
    MemorySize = std::mem::offset_of!(libc::Elf64_Phdr, p_memsz) as isize,
}
