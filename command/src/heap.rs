//! The command's allocator: small blocks from lists per thread.
//!
//! A link makes and drops some hundred thousand small blocks. With the C library's allocator they take a tenth of a
//! link's instructions, and the heap of a second thread grows page by page, a system call each. Here a thread cuts
//! small blocks off a chunk and keeps what is freed in a list for each size. Blocks have no header, and no lock is
//! taken. Large blocks are the C library's. (Allocators that are packages were measured: docs/PERFORMANCE.md.)
//!
//! Chunks are the C library's, too. A program that runs in this process may bring LeakSanitizer, which reads what came
//! from `malloc` and can be reached: large blocks would be leaks to it if only a mapping of our own pointed to them.
//!
//! Blocks that one thread makes and another frees would pile up with the second one. So a thread with a lot in its
//! lists hands them over to all (`HANDED_OVER`), and a thread looks there before it asks the system for a chunk. A
//! thread that ends leaves its heap to the next one that begins.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr::{self, null_mut};
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

/// Blocks larger than this, in bytes, are the C library's.
const SMALL_MAX: usize = 4 << 10;
/// What every small block is aligned to.
const ALIGN: usize = 16;
/// Up to this size there is a class for each multiple of [`ALIGN`]; above, [`STEPS`] for each power of two.
const FINE_MAX: usize = 1 << 10;
const STEPS: usize = 8;
const FINE_CLASSES: usize = FINE_MAX / ALIGN;
const CLASSES: usize = FINE_CLASSES + STEPS * (SMALL_MAX / FINE_MAX).ilog2() as usize;

/// A thread that has freed so many bytes more than it has allocated hands its lists over.
const KEPT_MAX: isize = 8 << 20;
/// The first chunk, and the largest. Chunks grow with what was taken: a fourth of it.
const CHUNK_MIN: usize = 256 << 10;
const CHUNK_MAX: usize = 8 << 20;
const PAGE: usize = 4 << 10;
/// What the C library puts before a large block, and rounds up to a page with it.
const HEADER_OF_THE_C_LIBRARY: usize = 2 * size_of::<usize>();

/// Bytes of all chunks.
static TAKEN: AtomicUsize = AtomicUsize::new(0);
/// All chunks, which are never given back.
static CHUNKS: Stack = Stack::new();
/// For each class, lists that threads had too many of.
static HANDED_OVER: [Stack; CLASSES] = [const { Stack::new() }; CLASSES];
/// Heaps of threads that have ended.
static LEFT: Stack = Stack::new();

thread_local! {
    /// The thread's heap, once it has one.
    static HEAP: Cell<*mut Heap> = const { Cell::new(null_mut()) };
    /// Leaves the heap to others when the thread ends.
    static END: EndOfThread = const { EndOfThread };
}

/// The allocator.
#[derive(Debug, Clone, Copy)]
pub struct LinkHeap;

/// What is written into blocks that are free.
struct FreeBlock {
    /// The next block of the list.
    next: *mut FreeBlock,
    /// In the first block of a list, where that is in a [`Stack`]: what is below it.
    below: *mut FreeBlock,
}

/// What a thread has. It lies at the start of its first chunk.
#[repr(C)]
struct Heap {
    /// For [`LEFT`].
    link: FreeBlock,
    free: [*mut FreeBlock; CLASSES],
    /// Where the next block is cut off: an address.
    next: *mut u8,
    /// Where the chunk ends.
    end: *mut u8,
    /// Bytes that this thread has freed, less those that it has allocated, since it handed its lists over.
    kept: isize,
}

/// Lists of blocks, or heaps, that no thread has. A process that forks while a thread is in here finds no lock that is
/// held, at worst an empty stack.
struct Stack(AtomicPtr<FreeBlock>);

/// What a chunk starts with.
#[repr(C, align(16))]
struct Chunk {
    /// For [`CHUNKS`].
    link: FreeBlock,
}

struct EndOfThread;

impl Drop for EndOfThread {
    fn drop(&mut self) {
        let heap = HEAP.replace(null_mut());
        if !heap.is_null() {
            // SAFETY: the heap was this thread's alone, which has none now.
            unsafe {
                (*heap).hand_over();
                LEFT.push(heap.cast());
            }
        }
    }
}

/// The class of a block of `size` bytes.
#[inline(always)]
const fn class_of(size: usize) -> usize {
    let last = size.saturating_sub(1);
    if last < FINE_MAX {
        return last / ALIGN;
    }
    let power = last.ilog2();
    let step = last >> (power - STEPS.ilog2());
    FINE_CLASSES + (power - FINE_MAX.ilog2()) as usize * STEPS + step - STEPS
}

/// Bytes of the blocks of a class.
#[inline(always)]
const fn bytes_of(class: usize) -> usize {
    if class < FINE_CLASSES {
        return (class + 1) * ALIGN;
    }
    let above = class - FINE_CLASSES;
    let power = FINE_MAX << (above / STEPS);
    power + (above % STEPS + 1) * (power / STEPS)
}

#[inline(always)]
const fn is_small(layout: Layout) -> bool {
    layout.size() <= SMALL_MAX && layout.align() <= ALIGN
}

// SAFETY: a small block has the bytes of its class, is aligned to `ALIGN`, and is nobody else's until it comes back. The
// layout, which is the same when it does, says whose it is. Nothing here unwinds, or allocates through this allocator.
unsafe impl GlobalAlloc for LinkHeap {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !is_small(layout) {
            // SAFETY: the caller's.
            return unsafe { System.alloc(layout) };
        }
        small_block(layout.size())
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if !is_small(layout) {
            // SAFETY: `alloc` had such a block from there.
            return unsafe { System.dealloc(block, layout) };
        }
        // SAFETY: `alloc` had a block of this class for this size.
        unsafe { free_block(block, layout.size()) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if !is_small(layout) {
            // SAFETY: the caller's.
            return unsafe { System.alloc_zeroed(layout) };
        }
        let block = small_block(layout.size());
        if !block.is_null() {
            // SAFETY: the block has that many bytes.
            unsafe { block.write_bytes(0, layout.size()) };
        }
        block
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller vouches for the size.
        let new = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        match (is_small(layout), is_small(new)) {
            // SAFETY: `alloc` had such a block from there.
            (false, false) => return unsafe { System.realloc(block, layout, new_size) },
            (true, true) if stays(block, layout.size(), new_size) => return block,
            _ => {}
        }
        // SAFETY: the caller's. The new block is another one, and the old one is freed once.
        unsafe {
            let moved = self.alloc(new);
            if !moved.is_null() {
                ptr::copy_nonoverlapping(block, moved, layout.size().min(new_size));
                self.dealloc(block, layout);
            }
            moved
        }
    }
}

/// A block; null if the system has no memory.
#[inline(always)]
fn small_block(size: usize) -> *mut u8 {
    let heap = HEAP.get();
    if heap.is_null() {
        return first_block(size);
    }
    // SAFETY: the heap is this thread's, and no other reference to it is alive.
    unsafe { (*heap).allocate(size) }
}

/// # Safety
/// The block is one for this size, and nobody's.
#[inline(always)]
unsafe fn free_block(block: *mut u8, size: usize) {
    let heap = HEAP.get();
    if heap.is_null() {
        // SAFETY: the caller's.
        return unsafe { free_first(block, size) };
    }
    // SAFETY: the heap is this thread's, and no other reference to it is alive. The rest is the caller's.
    unsafe { (*heap).free(block, size) }
}

/// Whether a block can have another size where it is.
#[inline(always)]
fn stays(block: *mut u8, old_size: usize, new_size: usize) -> bool {
    let (old, new) = (class_of(old_size), class_of(new_size));
    let heap = HEAP.get();
    if old == new {
        return true;
    }
    // SAFETY: the heap, if there is one, is this thread's, and no other reference to it is alive.
    !heap.is_null() && unsafe { (*heap).grow_last(block, bytes_of(old), bytes_of(new)) }
}

#[cold]
fn first_block(size: usize) -> *mut u8 {
    if take_heap() {
        small_block(size)
    } else {
        null_mut()
    }
}

/// The first thing that a thread does may be to free another's block. Without memory for a heap the block is lost.
///
/// # Safety
/// That of [`free_block`].
#[cold]
unsafe fn free_first(block: *mut u8, size: usize) {
    if take_heap() {
        // SAFETY: the caller's.
        unsafe { free_block(block, size) }
    }
}

/// Gives the thread a heap: one that was left, or a new one. False if there is no memory.
fn take_heap() -> bool {
    let left = LEFT.pop().cast::<Heap>();
    let heap = if left.is_null() { Heap::new() } else { left };
    HEAP.set(heap);
    // A thread whose thread-locals have ended keeps the heap for good.
    let _ = END.try_with(|_| ());
    !heap.is_null()
}

impl Heap {
    /// Null if there is no memory.
    fn new() -> *mut Self {
        let (chunk, size) = new_chunk();
        if chunk.is_null() {
            return null_mut();
        }
        let heap = chunk.cast::<Self>();
        // SAFETY: the chunk is new, larger than a heap, and aligned to `ALIGN`.
        unsafe {
            let start = chunk.add(size_of::<Self>().next_multiple_of(ALIGN));
            heap.write(Self {
                link: FreeBlock {
                    next: null_mut(),
                    below: null_mut(),
                },
                free: [null_mut(); CLASSES],
                next: start,
                end: chunk.add(size),
                kept: 0,
            });
        }
        heap
    }

    #[inline(always)]
    fn allocate(&mut self, size: usize) -> *mut u8 {
        let class = class_of(size);
        let first = self.free[class];
        self.kept -= size as isize;
        if first.is_null() {
            return self.cut_off(class);
        }
        // SAFETY: what is in a list is free, and says what is next.
        self.free[class] = unsafe { (*first).next };
        first.cast()
    }

    #[inline(always)]
    fn cut_off(&mut self, class: usize) -> *mut u8 {
        let bytes = bytes_of(class);
        if self.end.addr() - self.next.addr() < bytes {
            return self.refill(class);
        }
        let block = self.next;
        // SAFETY: the bytes are between `next` and `end`, in one chunk.
        self.next = unsafe { block.add(bytes) };
        block
    }

    /// # Safety
    /// The block is one for this size, and nobody's.
    #[inline(always)]
    unsafe fn free(&mut self, block: *mut u8, size: usize) {
        // SAFETY: the caller's.
        unsafe { self.put(block, class_of(size)) };
        self.kept += size as isize;
        if self.kept > KEPT_MAX {
            self.hand_over();
        }
    }

    /// # Safety
    /// The block is of this class, and nobody's.
    #[inline(always)]
    unsafe fn put(&mut self, block: *mut u8, class: usize) {
        let block = block.cast::<FreeBlock>();
        // SAFETY: every block has room for this, and its alignment.
        unsafe { (*block).next = self.free[class] };
        self.free[class] = block;
    }

    /// Makes the block that was cut off last larger.
    #[inline(always)]
    fn grow_last(&mut self, block: *mut u8, old: usize, new: usize) -> bool {
        let room = self.end.addr() - self.next.addr();
        let grows = block.addr() + old == self.next.addr() && new > old && new - old <= room;
        if grows {
            // SAFETY: the bytes are between `next` and `end`, in one chunk.
            self.next = unsafe { self.next.add(new - old) };
        }
        grows
    }

    /// A block of a class that this thread has none of, and no room for.
    #[cold]
    #[inline(never)]
    fn refill(&mut self, class: usize) -> *mut u8 {
        let first = HANDED_OVER[class].pop();
        if !first.is_null() {
            // SAFETY: what is in a list is free, and says what is next.
            self.free[class] = unsafe { (*first).next };
            return first.cast();
        }
        if self.begin_chunk() {
            return self.cut_off(class);
        }
        null_mut()
    }

    /// Takes a new chunk, and puts what is left of the old one into a list. False if there is no memory.
    fn begin_chunk(&mut self) -> bool {
        let (chunk, size) = new_chunk();
        if chunk.is_null() {
            return false;
        }
        let left = self.end.addr() - self.next.addr();
        if left >= ALIGN {
            let class = class_of(left);
            let fits = if bytes_of(class) > left {
                class - 1
            } else {
                class
            };
            // SAFETY: nobody has these bytes; they are as many as those of the class, or more.
            unsafe { self.put(self.next, fits) };
        }
        self.next = chunk;
        // SAFETY: the chunk has `size` bytes.
        self.end = unsafe { chunk.add(size) };
        true
    }

    /// Hands all lists over.
    #[cold]
    #[inline(never)]
    fn hand_over(&mut self) {
        self.kept = 0;
        for (list, handed_over) in self.free.iter_mut().zip(&HANDED_OVER) {
            let list = std::mem::replace(list, null_mut());
            if !list.is_null() {
                // SAFETY: the list is nobody's.
                unsafe { handed_over.push(list) };
            }
        }
    }
}

impl Stack {
    const fn new() -> Self {
        Self(AtomicPtr::new(null_mut()))
    }

    /// # Safety
    /// The list is nobody's.
    unsafe fn push(&self, list: *mut FreeBlock) {
        // SAFETY: the caller's.
        unsafe { self.push_all(list, list) }
    }

    /// Pushes what is linked from `first` to `last`.
    ///
    /// # Safety
    /// All of it is nobody's.
    unsafe fn push_all(&self, first: *mut FreeBlock, last: *mut FreeBlock) {
        let mut top = self.0.load(Ordering::Relaxed);
        loop {
            // SAFETY: the caller's, until the exchange has been made.
            unsafe { (*last).below = top };
            let pushed =
                self.0
                    .compare_exchange_weak(top, first, Ordering::Release, Ordering::Relaxed);
            match pushed {
                Ok(_) => return,
                Err(now) => top = now,
            }
        }
    }

    /// What is on top; null if nothing is. Everything is taken for a moment: nobody can take and push again what
    /// somebody else has just seen on top.
    fn pop(&self) -> *mut FreeBlock {
        if self.0.load(Ordering::Relaxed).is_null() {
            return null_mut();
        }
        let top = self.0.swap(null_mut(), Ordering::Acquire);
        if top.is_null() {
            return null_mut();
        }
        // SAFETY: all of it is this thread's now, and goes back but for the top.
        unsafe {
            let first = (*top).below;
            if !first.is_null() {
                let mut last = first;
                while !(*last).below.is_null() {
                    last = (*last).below;
                }
                self.push_all(first, last);
            }
        }
        top
    }
}

/// Memory, and its size; null if there is none.
fn new_chunk() -> (*mut u8, usize) {
    let size = TAKEN.load(Ordering::Relaxed) / 4;
    let size = size.clamp(CHUNK_MIN, CHUNK_MAX).next_multiple_of(PAGE) - HEADER_OF_THE_C_LIBRARY;
    let layout = const { Layout::new::<Chunk>() };
    // SAFETY: the size is not zero, and the alignment is a chunk's.
    let block = unsafe { System.alloc(Layout::from_size_align_unchecked(size, layout.align())) };
    if block.is_null() {
        return (block, 0);
    }
    TAKEN.fetch_add(size, Ordering::Relaxed);
    // SAFETY: the block is new, aligned to `ALIGN`, and larger than what a chunk starts with.
    unsafe {
        CHUNKS.push(block.cast());
        (block.add(layout.size()), size - layout.size())
    }
}

#[cfg(test)]
mod tests;
