//! The C library's own lists of threads.
//!
//! glibc links the descriptors of all its threads in two lists, one for stacks that it allocated
//! and one for others, the main thread's among them. Their heads are in the loader's
//! `_rtld_global`, and debuggers find heads and fields through exported descriptions,
//! `_thread_db_*`: three 32-bit words, the last of which is an offset in bytes. So do we. The lists
//! are read through the kernel, which reports an address that is gone instead of crashing, and a
//! reading that does not come back to its head is made again.

use std::collections::HashSet;
use std::ffi::CStr;
use std::ops::Range;

use crate::host::arch::threads;
use crate::host::loader::{lookup, probe, tables};

/// A thread as its descriptor tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Thread {
    /// Its thread pointer.
    pub pointer: u64,
    /// Its kernel id; 0 before it runs and after it has ended.
    pub id: i32,
}

/// Where the lists are and how they are laid out.
#[derive(Clone, Copy, Debug)]
pub(super) struct ThreadLists {
    heads: [u64; 2],
    /// Offset of the list's links in a descriptor.
    links: u64,
    /// Offset of the pointer to the next element in the links.
    next: u64,
    /// Offset of the kernel id in a descriptor.
    id: u64,
    /// Distance of a descriptor from its thread's pointer.
    descriptor: i64,
}

const READINGS_MAX: usize = 100;

impl ThreadLists {
    /// The lists, if this C library has them and they hold the calling thread.
    pub fn find() -> Option<Self> {
        let global = lookup(c"_rtld_global", None)?;
        let lists = Self {
            heads: [
                global + offset(c"_thread_db_rtld_global__dl_stack_used")?,
                global + offset(c"_thread_db_rtld_global__dl_stack_user")?,
            ],
            links: offset(c"_thread_db_pthread_list")?,
            next: offset(c"_thread_db_list_t_next")?,
            id: offset(c"_thread_db_pthread_tid")?,
            descriptor: threads::descriptor_offset(descriptor_size()?),
        };
        lists.hold_this_thread().then_some(lists)
    }

    /// Addresses among which the lists' lock is: glibc keeps it right behind their heads.
    pub fn lock_area(&self) -> Range<u64> {
        const BEHIND: u64 = 128;
        let [first, second] = self.heads;
        first.min(second)..first.max(second) + BEHIND
    }

    fn hold_this_thread(&self) -> bool {
        let this = Thread {
            pointer: threads::thread_pointer(),
            // SAFETY: no precondition.
            id: unsafe { libc::gettid() },
        };
        self.read().is_some_and(|threads| threads.contains(&this))
    }

    /// All threads now. `None` if the lists cannot be read, or change faster than that.
    pub fn read(&self) -> Option<Vec<Thread>> {
        for _ in 0..READINGS_MAX {
            let mut threads = Vec::new();
            let mut seen = HashSet::new();
            let mut read = |&head: &u64| self.read_one(head, &mut threads, &mut seen).is_some();
            if self.heads.iter().all(&mut read) {
                return Some(threads);
            }
            std::thread::yield_now();
        }
        None
    }

    /// Follows one list until it is back at its head. An element that is taken out meanwhile, and
    /// put into the list of unused stacks, leads into that list, where the head never comes: then
    /// elements come twice.
    fn read_one(
        &self,
        head: u64,
        threads: &mut Vec<Thread>,
        seen: &mut HashSet<u64>,
    ) -> Option<()> {
        let [mut node] = probe::read_words(head + self.next)?;
        while node != head {
            if node == 0 || !seen.insert(node) {
                return None;
            }
            let descriptor = node.wrapping_sub(self.links);
            let (mut id, mut next) = ([0; 4], [0; 8]);
            let places = [
                descriptor.wrapping_add(self.id),
                node.wrapping_add(self.next),
            ];
            if !probe::read_both(places, &mut id, &mut next) {
                return None;
            }
            threads.push(Thread {
                pointer: descriptor.wrapping_sub(self.descriptor.cast_unsigned()),
                id: i32::from_ne_bytes(id),
            });
            node = u64::from_ne_bytes(next);
        }
        Some(())
    }
}

/// Bytes of a thread's descriptor.
fn descriptor_size() -> Option<u64> {
    let size = lookup(c"_thread_db_sizeof_pthread", None)?;
    // SAFETY: a variable of the C library, a 32-bit word.
    let size: u32 = unsafe { tables::read(size) };
    Some(size.into())
}

/// The offset that a description names.
fn offset(name: &CStr) -> Option<u64> {
    let description = lookup(name, None)?;
    // SAFETY: a variable of the C library, an array of three 32-bit words: size of the field in
    // bits, number of elements, offset in bytes.
    let [_bits, _count, offset]: [u32; 3] = unsafe { tables::read(description) };
    Some(offset.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_hold_this_thread_and_a_new_one() {
        let lists = ThreadLists::find().expect("glibc has them");
        let (send, receive) = std::sync::mpsc::channel();
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            // SAFETY: no precondition.
            let id = unsafe { libc::gettid() };
            send.send((threads::thread_pointer(), id))
                .expect("received");
            stopped.recv().expect("told to stop");
        });
        let (pointer, id) = receive.recv().expect("sent");
        let threads = lists.read().expect("readable");
        assert!(threads.contains(&Thread { pointer, id }));
        stop.send(()).expect("running");
        thread.join().expect("ends");
    }
}
