//! The allocator.

use std::sync::mpsc;
use std::thread;

use super::*;

/// A block of the heap that knows what was written into it.
struct Filled {
    block: *mut u8,
    layout: Layout,
    byte: u8,
}

// SAFETY: a block is its owner's, in whatever thread.
unsafe impl Send for Filled {}

impl Filled {
    fn new(size: usize, byte: u8) -> Self {
        let layout = Layout::from_size_align(size, 8).unwrap();
        // SAFETY: no layout here has size 0.
        let block = unsafe { LinkHeap.alloc(layout) };
        assert!(!block.is_null() && block.addr().is_multiple_of(ALIGN));
        // SAFETY: the block has that many bytes.
        unsafe { block.write_bytes(byte, size) };
        Self {
            block,
            layout,
            byte,
        }
    }

    fn holds(&self, size: usize) -> bool {
        // SAFETY: so many bytes were written.
        let bytes = unsafe { std::slice::from_raw_parts(self.block, size) };
        bytes.iter().all(|byte| *byte == self.byte)
    }

    fn resize(&mut self, size: usize) {
        let old = self.layout.size();
        // SAFETY: the block is of this layout, and ours.
        unsafe {
            self.block = LinkHeap.realloc(self.block, self.layout, size);
            self.layout = Layout::from_size_align(size, 8).unwrap();
            assert!(self.holds(old.min(size)), "{old} to {size}");
            self.block.write_bytes(self.byte, size);
        }
    }
}

impl Drop for Filled {
    fn drop(&mut self) {
        assert!(self.holds(self.layout.size()), "{:?}", self.layout);
        // SAFETY: the block is of this layout, and ours.
        unsafe { LinkHeap.dealloc(self.block, self.layout) };
    }
}

/// Numbers that look random (xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 as usize % limit
    }

    /// Small ones more often than large ones, as in a link.
    fn size(&mut self) -> usize {
        let limit = [64, 512, 4 << 10, 80 << 10][self.below(4)];
        1 + self.below(limit)
    }
}

#[test]
fn a_class_has_room_for_its_sizes_and_little_more() {
    for size in 1..=SMALL_MAX {
        let class = class_of(size);
        let bytes = bytes_of(class);
        assert!(class < CLASSES && bytes >= size, "{size}");
        assert!(bytes.is_multiple_of(ALIGN), "{size}");
        assert!(class == 0 || bytes_of(class - 1) < size, "{size}");
        assert!(bytes - size < ALIGN.max(size / STEPS + 1), "{size}");
    }
    assert_eq!(class_of(SMALL_MAX), CLASSES - 1);
}

#[test]
fn blocks_keep_what_is_in_them_among_threads() {
    let (to_others, from_others) = mpsc::channel::<Filled>();
    let from_others = std::sync::Mutex::new(from_others);
    thread::scope(|scope| {
        for number in 1..=4 {
            let to_others = to_others.clone();
            let from_others = &from_others;
            scope.spawn(move || {
                let mut numbers = Numbers(number);
                let mut mine: Vec<Filled> = Vec::new();
                for round in 0..40_000_u32 {
                    match numbers.below(8) {
                        0..=3 => mine.push(Filled::new(numbers.size(), round as u8)),
                        4 if !mine.is_empty() => {
                            let which = numbers.below(mine.len());
                            mine[which].resize(numbers.size());
                        }
                        5 if !mine.is_empty() => {
                            let which = numbers.below(mine.len());
                            to_others.send(mine.swap_remove(which)).unwrap();
                        }
                        6 => drop(from_others.lock().unwrap().try_recv()),
                        _ if mine.len() > 500 => mine.truncate(200),
                        _ => drop(mine.pop()),
                    }
                }
            });
        }
    });
}

#[test]
fn zeroed_blocks_are_zero_after_others_were_freed() {
    for size in [1, 24, 1000, 5000, SMALL_MAX, SMALL_MAX + 1] {
        drop(Filled::new(size, 0xee));
        let layout = Layout::from_size_align(size, 8).unwrap();
        // SAFETY: the block has that many bytes, and is freed once.
        unsafe {
            let block = LinkHeap.alloc_zeroed(layout);
            let bytes = std::slice::from_raw_parts(block, size);
            assert!(bytes.iter().all(|byte| *byte == 0), "{size}");
            LinkHeap.dealloc(block, layout);
        }
    }
}

#[test]
fn what_another_thread_frees_is_used_again() {
    const BLOCK: usize = 1000;
    let (to_other, in_other) = mpsc::sync_channel::<Filled>(100);
    let freeing = thread::spawn(move || in_other.into_iter().for_each(drop));
    let before = TAKEN.load(Ordering::Relaxed);
    // A gigabyte goes by.
    for round in 0..1_000_000_u32 {
        to_other.send(Filled::new(BLOCK, round as u8)).unwrap();
    }
    drop(to_other);
    freeing.join().unwrap();
    let taken = TAKEN.load(Ordering::Relaxed) - before;
    // Other tests run at the same time.
    assert!(taken < 100 << 20, "{taken}");
}

#[test]
fn threads_that_end_leave_their_memory() {
    let before = TAKEN.load(Ordering::Relaxed);
    for round in 0..2_000_u32 {
        let thread = thread::spawn(move || {
            let blocks: Vec<_> = (1..60).map(|n| Filled::new(n * 16, round as u8)).collect();
            blocks.len()
        });
        assert_eq!(thread.join().unwrap(), 59);
    }
    let taken = TAKEN.load(Ordering::Relaxed) - before;
    assert!(taken < 200 << 20, "{taken}");
}
