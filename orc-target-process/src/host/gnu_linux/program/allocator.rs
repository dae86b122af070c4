//! Two allocators in one process: the program's own, and the one the process had before.
//!
//! A program that brings its own `malloc` gets it used by all its libraries when it is linked, so
//! it may `free` what `strdup` returned. Here libc has been running for a while: it owns blocks of
//! its own heap (buffers of streams, the environment), and so does the host executable. After the
//! redirection
//!
//! - libraries allocate from the program's allocator, as in a linked program;
//! - libraries loaded before the program free through a guard: a block of libc's heap goes back to
//!   libc, any other to the program's allocator;
//! - the executable goes on allocating from libc's heap, and frees through the same guard: what
//!   `realpath` returned to it came from the program's allocator.
//!
//! The guard recognizes libc's blocks by where they lie and by the header that glibc keeps before
//! each (`malloc/malloc.c`, "chunk"): in the `brk` heap; in an arena's heap, which is aligned to
//! 64 MiB and begins with a description of itself; or mapped alone, with a page-aligned chunk.
//! It cannot be certain where the program's allocator takes memory with `sbrk` too, and keeps words
//! before its blocks that look like glibc's.

use std::sync::atomic::{AtomicU64, Ordering};

use orc_shared::api::Export;

use crate::host::loader::{Dynamic, LoadedObject, loaded_objects, lookup, probe, tables};
use crate::host::maps::{self, Mapping};

/// Why the program's allocator cannot be used beside the process's.
#[derive(Debug, thiserror::Error)]
pub enum AllocatorError {
    /// Blocks of an allocator other than glibc's cannot be recognized.
    #[error(
        "the program defines its own allocator (`{0}`), and so does this process: run the \
         program in a process whose allocator is glibc's"
    )]
    ForeignProcessAllocator(&'static str),
}

/// What a library's reference to an allocation function is led to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Guarded {
    /// What it is now.
    Leave,
    /// A guard's address.
    Through(u64),
    /// The program's definition.
    Plain,
}

/// The guards for one program, if it needs any.
#[derive(Debug, Default)]
pub(super) struct Guards {
    active: bool,
    /// Load addresses of the objects that may hold blocks of libc's heap.
    loaded_before: Vec<u64>,
}

/// Addresses of allocation functions; 0 for those that do not exist.
struct Allocator {
    malloc: AtomicU64,
    realloc: AtomicU64,
    free: AtomicU64,
    usable_size: AtomicU64,
}

impl Allocator {
    const fn new() -> Self {
        Self {
            malloc: AtomicU64::new(0),
            realloc: AtomicU64::new(0),
            free: AtomicU64::new(0),
            usable_size: AtomicU64::new(0),
        }
    }

    fn set(&self, mut find: impl FnMut(&'static std::ffi::CStr) -> u64) {
        for (slot, name) in [
            (&self.malloc, c"malloc"),
            (&self.realloc, c"realloc"),
            (&self.free, c"free"),
            (&self.usable_size, c"malloc_usable_size"),
        ] {
            slot.store(find(name), Ordering::Release);
        }
    }
}

static PROCESS: Allocator = Allocator::new();
static PROGRAM: Allocator = Allocator::new();
/// Start of the `brk` heap, and its end when the program was entered.
static HEAP_START: AtomicU64 = AtomicU64::new(0);
static HEAP_END_AT_ENTRY: AtomicU64 = AtomicU64::new(0);

impl Guards {
    /// Guards for a program with these exports, entered into a process with these objects. Must
    /// come before any slot is changed.
    pub fn new(exports: &[Export], loaded_before: &[u64]) -> Result<Self, AllocatorError> {
        let find = |name: &[u8]| {
            let named = exports.iter().find(|e| e.redirect_loaded && e.name == name);
            named.map_or(0, |export| export.addr.value())
        };
        if find(b"free") == 0 {
            return Ok(Self::default());
        }
        PROCESS.set(|name| lookup(name, None).unwrap_or(0));
        PROGRAM.set(|name| find(name.to_bytes()));
        if !is_glibc(PROCESS.free.load(Ordering::Acquire)) {
            return Err(AllocatorError::ForeignProcessAllocator("free"));
        }
        HEAP_START.store(heap_start(), Ordering::Release);
        HEAP_END_AT_ENTRY.store(current_break(), Ordering::Release);
        Ok(Self {
            active: true,
            loaded_before: loaded_before.into(),
        })
    }

    /// What an object's reference to a name that the program defines is led to.
    pub fn for_object(&self, object: &LoadedObject, name: &[u8]) -> Guarded {
        if !self.active {
            return Guarded::Plain;
        }
        let guards: [*const (); 3] = if object.is_executable {
            [
                free as *const (),
                executable_realloc as *const (),
                usable_size as *const (),
            ]
        } else if self.loaded_before.contains(&object.range().start) {
            [
                free as *const (),
                library_realloc as *const (),
                usable_size as *const (),
            ]
        } else {
            return Guarded::Plain;
        };
        match name {
            b"free" => Guarded::Through(guards[0] as u64),
            b"realloc" => Guarded::Through(guards[1] as u64),
            b"malloc_usable_size" => Guarded::Through(guards[2] as u64),
            _ if object.is_executable => Guarded::Leave,
            _ => Guarded::Plain,
        }
    }
}

type Malloc = extern "C" fn(usize) -> u64;
type Realloc = extern "C" fn(u64, usize) -> u64;
type Free = extern "C" fn(u64);
type UsableSize = extern "C" fn(u64) -> usize;

/// A function of an allocator, as its type.
macro_rules! function {
    ($slot:expr, $type:ty) => {{
        let addr = $slot.load(Ordering::Acquire);
        // SAFETY: the slot holds the address of the C function that the type describes, or 0,
        // which is `None`.
        unsafe { std::mem::transmute::<usize, Option<$type>>(addr as usize) }
    }};
}

/// `free` for the executable and for libraries that were there before the program.
extern "C" fn free(block: u64) {
    if block == 0 {
        return;
    }
    let owner = owner(block);
    if let Some(free) = function!(owner.free, Free) {
        free(block);
    }
}

/// `realloc` for the executable: blocks stay with their allocator, new ones are libc's.
extern "C" fn executable_realloc(block: u64, size: usize) -> u64 {
    let owner = if block == 0 { &PROCESS } else { owner(block) };
    function!(owner.realloc, Realloc).map_or(0, |realloc| realloc(block, size))
}

/// `realloc` for libraries that were there before: a block of libc's heap moves to the program's
/// allocator, because the result may reach the program, which frees it with its own `free`.
extern "C" fn library_realloc(block: u64, size: usize) -> u64 {
    let program = function!(PROGRAM.realloc, Realloc);
    if block == 0 || std::ptr::eq(owner(block), &PROGRAM) {
        return program.map_or(0, |realloc| realloc(block, size));
    }
    let (Some(malloc), Some(old_size)) = (
        function!(PROGRAM.malloc, Malloc),
        function!(PROCESS.usable_size, UsableSize),
    ) else {
        return executable_realloc(block, size);
    };
    if size == 0 {
        free(block);
        return 0;
    }
    let moved = malloc(size);
    if moved != 0 {
        // SAFETY: both blocks are live and at least that large, and not the same.
        unsafe {
            std::ptr::copy_nonoverlapping(
                std::ptr::with_exposed_provenance::<u8>(block as usize),
                std::ptr::with_exposed_provenance_mut::<u8>(moved as usize),
                size.min(old_size(block)),
            );
        }
        free(block);
    }
    moved
}

extern "C" fn usable_size(block: u64) -> usize {
    if block == 0 {
        return 0;
    }
    function!(owner(block).usable_size, UsableSize).map_or(0, |usable_size| usable_size(block))
}

fn owner(block: u64) -> &'static Allocator {
    if is_process_block(block) {
        &PROCESS
    } else {
        &PROGRAM
    }
}

const PAGE: u64 = 4096;
/// Size and alignment of a heap of an arena other than the main one (`HEAP_MAX_SIZE`).
const ARENA_HEAP: u64 = 64 << 20;
const PREVIOUS_IN_USE: u64 = 1;
const IS_MAPPED: u64 = 2;
const IN_OTHER_ARENA: u64 = 4;
const FLAGS: u64 = 7;

/// Whether a live block is glibc's.
fn is_process_block(block: u64) -> bool {
    if !block.is_multiple_of(16) {
        return false;
    }
    let start = HEAP_START.load(Ordering::Acquire);
    if (start..HEAP_END_AT_ENTRY.load(Ordering::Acquire)).contains(&block) {
        return true;
    }
    let Some([previous, header]) = chunk_words(block) else {
        return false;
    };
    let (size, flags) = (header & !FLAGS, header & FLAGS);
    let chunk = block - 16;
    if flags & IN_OTHER_ARENA != 0 {
        return flags & IS_MAPPED == 0 && is_in_arena_heap(block);
    }
    if flags == IS_MAPPED {
        let mapped = chunk.wrapping_sub(previous);
        return size >= PAGE
            && previous < size
            && mapped.is_multiple_of(PAGE)
            && (size + previous).is_multiple_of(PAGE);
    }
    // Grown after the program was entered: `sbrk` may have been the program's own.
    let end = current_break();
    if !(start..end).contains(&block) || size < 32 || !size.is_multiple_of(16) {
        return false;
    }
    let Some(next) = chunk.checked_add(size).filter(|next| next + 16 <= end) else {
        return false;
    };
    chunk_words(next + 16).is_some_and(|[_, header]| header & PREVIOUS_IN_USE != 0)
}

/// The two words before a block. They may be on a page that is not there.
fn chunk_words(block: u64) -> Option<[u64; 2]> {
    if block % PAGE >= 16 {
        // SAFETY: a live block's page, which the words share, is readable.
        return Some(unsafe { tables::read(block - 16) });
    }
    probe::read_words(block.checked_sub(16)?)
}

/// Arena heaps that were recognized before: their addresses, 0 for a free place.
static ARENA_HEAPS: [AtomicU64; 64] = [const { AtomicU64::new(0) }; 64];

fn is_in_arena_heap(block: u64) -> bool {
    let heap = block & !(ARENA_HEAP - 1);
    for place in &ARENA_HEAPS {
        match place.load(Ordering::Relaxed) {
            0 => break,
            known if known == heap => return true,
            _ => {}
        }
    }
    // `heap_info`: arena, previous heap of the arena, size, size that was made accessible.
    let describes_itself = |heap: u64| {
        let [arena, previous, size, accessible] = probe::read_words(heap)?;
        let fits = size <= ARENA_HEAP && size.is_multiple_of(PAGE) && accessible <= ARENA_HEAP;
        fits.then_some((arena, previous, size))
    };
    let recognized = || {
        let (arena, _, size) = describes_itself(heap)?;
        // The arena itself lies behind the description of its first heap.
        let first = arena & !(ARENA_HEAP - 1);
        let (same, previous, _) = describes_itself(first)?;
        let holds = block - heap < size && same == arena && previous == 0;
        (holds && arena - first <= 128).then_some(())
    };
    if recognized().is_none() {
        return false;
    }
    for place in &ARENA_HEAPS {
        let stored = place.compare_exchange(0, heap, Ordering::Relaxed, Ordering::Relaxed);
        if stored.is_ok() {
            break;
        }
    }
    true
}

fn current_break() -> u64 {
    // SAFETY: asking for the current end of the heap changes nothing.
    unsafe { libc::sbrk(0) }.expose_provenance() as u64
}

/// Start of the `brk` heap, or its end if there is none: then nothing lies in it.
///
/// An emulator does not name it in the list of mappings. It is what ends at the break, and may be one
/// mapping with the executable's variables.
fn heap_start() -> u64 {
    let end = current_break();
    let heap = |mapping: &Mapping<'_>| (mapping.name() == b"[heap]").then_some(mapping.range.start);
    let unnamed = |mapping: &Mapping<'_>| {
        let is_heap = mapping.range.end == end && mapping.writable && mapping.name().is_empty();
        is_heap.then_some(mapping.range.start)
    };
    if let Some(start) = maps::find(heap) {
        return start;
    }
    let objects = loaded_objects();
    let executable = objects.iter().find(|object| object.is_executable);
    let executable_end = executable.map_or(0, |object| object.range().end);
    maps::find(unnamed).map_or(end, |start| start.max(executable_end))
}

/// Whether an address lies in the C library, and that is glibc.
fn is_glibc(addr: u64) -> bool {
    loaded_objects()
        .iter()
        .filter(|object| object.range().contains(&addr))
        .filter_map(Dynamic::of)
        .any(|dynamic| dynamic.find(b"gnu_get_libc_version", None).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(size: usize) -> u64 {
        // SAFETY: plain allocation; the tests leak it or free it themselves.
        unsafe { libc::malloc(size) }.expose_provenance() as u64
    }

    fn remember_heap() {
        HEAP_START.store(heap_start(), Ordering::Release);
        HEAP_END_AT_ENTRY.store(current_break(), Ordering::Release);
    }

    #[test]
    fn blocks_of_glibc_are_recognized_wherever_they_lie() {
        remember_heap();
        for size in [1, 24, 1000, 100_000, 1 << 20, 100 << 20] {
            assert!(is_process_block(block(size)), "{size} bytes");
        }
        let other_arena = std::thread::spawn(|| [24, 5000, 200_000].map(block)).join();
        for block in other_arena.expect("does not panic") {
            assert!(is_process_block(block));
        }
        for align in [64, 4096, 1 << 16] {
            let mut aligned = std::ptr::null_mut();
            // SAFETY: `aligned` is where the answer goes.
            unsafe { libc::posix_memalign(&raw mut aligned, align, 300_000) };
            assert!(is_process_block(aligned.expose_provenance() as u64));
        }
    }

    #[test]
    fn other_memory_is_not_taken_for_glibcs() {
        remember_heap();
        static STATIC: [u64; 64] = [0x21; 64];
        let within = STATIC[8..].as_ptr().expose_provenance() as u64;
        assert!(!is_process_block(within.next_multiple_of(16)));
        // SAFETY: a fresh mapping of our own.
        let mapped = unsafe {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            let protection = libc::PROT_READ | libc::PROT_WRITE;
            libc::mmap(std::ptr::null_mut(), 1 << 20, protection, flags, -1, 0)
        };
        let mapped = mapped.expose_provenance() as u64;
        for at in [mapped, mapped + 16, mapped + 4096, mapped + 5008] {
            assert!(!is_process_block(at), "{:#x} in the mapping", at - mapped);
        }
    }
}
