//! Code of this process that is never unmapped: made once, however many clients there are.

use std::collections::HashMap;
use std::ops::Range;

use orc_shared::ExecutorAddr;
use orc_shared::api::SegmentKind;
use parking_lot::Mutex;

use crate::host::MemoryError;
use crate::host::arch::code;
use crate::host::code_writer::CodeWriter;
use crate::host::pages::{self, Reservation};

/// Pages that are set aside at a time.
const PAGES: u64 = 16;

/// Pieces of code start at multiples of this.
const ALIGN: u64 = 32;

/// Pieces of code lie no farther from the process's libraries than these lie from each other. So what
/// reaches the libraries reaches them.
const NEAR: u64 = 256 << 20;

#[derive(Default)]
struct Permanent {
    /// Addresses that have no code yet. They may start within a page that has some.
    free: Range<u64>,
    /// By where they lead.
    stubs: HashMap<u64, u64>,
    exit_code: Option<ExitCode>,
}

/// Functions that the C library is asked to call when a runtime may be gone. Both take one argument and
/// return nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ExitCode {
    /// Jumps to what the first word of its argument leads to.
    pub thunk: ExecutorAddr,
    /// Stores 1 to the second word of its argument.
    pub note_call: ExecutorAddr,
}

static PERMANENT: Mutex<Option<Permanent>> = Mutex::new(None);

/// Code near the process's libraries that jumps to `target`, which may be anywhere: what takes the
/// place of a library's function has to be where references to that reach. Made once for each target.
/// `None` if there is no place for it.
pub(super) fn stub_near_libraries(
    target: ExecutorAddr,
    writer: Option<&CodeWriter>,
) -> Option<ExecutorAddr> {
    let mut permanent = PERMANENT.lock();
    let permanent = permanent.get_or_insert_default();
    if let Some(stub) = permanent.stubs.get(&target.value()) {
        return Some(ExecutorAddr::new(*stub));
    }
    let stub = permanent.add(&code::jump_stub(target.value()), writer)?;
    permanent.stubs.insert(target.value(), stub);
    Some(ExecutorAddr::new(stub))
}

/// What the C library is asked to call at the end of a thread or of the process leads to this, and not
/// to a runtime that may be gone by then. `None` if there is no place for it.
pub(crate) fn exit_code() -> Option<ExitCode> {
    let mut permanent = PERMANENT.lock();
    let permanent = permanent.get_or_insert_default();
    if permanent.exit_code.is_none() {
        // Functions start at multiples of 16.
        let second = code::EXIT_THUNK.len().next_multiple_of(16);
        let mut both = code::EXIT_THUNK.to_vec();
        both.resize(second, 0);
        both.extend(code::NOTE_CALL);
        permanent.exit_code = permanent.add(&both, None).map(|place| ExitCode {
            thunk: ExecutorAddr::new(place),
            note_call: ExecutorAddr::new(place + second as u64),
        });
    }
    permanent.exit_code
}

impl Permanent {
    /// Puts code into a page that may have some, with a writer for such pages; without, into the next page
    /// that has none, for a page that code runs in never becomes writable. Where it lies.
    fn add(&mut self, code: &[u8], writer: Option<&CodeWriter>) -> Option<u64> {
        let page = pages::page_size();
        let align = if writer.is_some() { ALIGN } else { page };
        let mut start = self.free.start.next_multiple_of(align);
        if start + page > self.free.end {
            self.free = reserve(PAGES * page)?;
            start = self.free.start;
        }
        match writer {
            Some(writer) => writer.write(start, code).ok()?,
            None => write(start..start + page, code).ok()?,
        }
        self.free.start = start + code.len() as u64;
        code::flush_instruction_cache(start..self.free.start);
        Some(start)
    }
}

/// Addresses near the libraries that stay ours.
fn reserve(size: u64) -> Option<Range<u64>> {
    let libraries = pages::an_address_in_a_library();
    let is_near = |range: &Range<u64>| range.start.abs_diff(libraries) < NEAR;
    let reservation = Reservation::new(orc_shared::api::Placement::NearLibraries, size).ok()?;
    let reservation = match is_near(&reservation.range()) {
        true => reservation,
        false => {
            // A range of linked code may lie between.
            let gap = pages::gap_near(libraries, size, NEAR)?;
            Reservation::at(gap, size).ok()?
        }
    };
    let range = reservation.range();
    let found = is_near(&range).then_some(range);
    if found.is_some() {
        std::mem::forget(reservation);
    }
    found
}

/// Writes to a page that nothing runs in yet.
fn write(place: Range<u64>, code: &[u8]) -> Result<(), MemoryError> {
    pages::protect(place.clone(), SegmentKind::ReadWrite)?;
    // SAFETY: a page of ours that can be written to, and is nobody else's yet.
    unsafe {
        std::ptr::with_exposed_provenance_mut::<u8>(place.start as usize)
            .copy_from_nonoverlapping(code.as_ptr(), code.len());
    }
    pages::protect(place, SegmentKind::Text)
}
