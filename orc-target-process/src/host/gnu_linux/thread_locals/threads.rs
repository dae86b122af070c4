//! Writing the copy of every thread that exists.
//!
//! The template is patched first, so a thread made from now on starts right. Threads in the C
//! library's lists are written. What is left is a thread that is just being made: its copy was taken
//! from the old template, and it is in no list yet. Its maker is then at work in `pthread_create`.
//! So the lists are read when every thread that existed after the patch has been seen elsewhere
//! (`quiet`): what they made before is listed by then, and what they and their descendants make
//! later is made from the new template.
//!
//! The kernel's list must hold no thread besides. If it does for longer than it takes to start or
//! end one, the thread is reached by a signal.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::OnceLock;

use super::quiet::Watch;
use super::thread_lists::{Thread, ThreadLists};
use super::{TlsError, helpers, signal};
use crate::host::loader::{lookup, probe, tables};

/// How often the lists are read while a thread in them cannot be written, or one is missing in
/// them: it may have ended, or be about to, and be on its way out of one list or the other.
const READINGS_MAX: usize = 50;

/// What has to be known to visit threads. It is looked up ahead: the loader's lock, which a lookup
/// takes, may be held by a thread that waits for a commit.
#[derive(Debug)]
pub(super) struct Threads {
    lists: Option<ThreadLists>,
    /// Where the lock of the thread lists is, and not the loader's other locks.
    list_lock: Range<u64>,
}

impl Threads {
    pub fn find() -> Self {
        let lists = ThreadLists::find();
        helpers::look();
        Self {
            lists,
            list_lock: lists.map_or(0..0, |lists| lists.lock_area()),
        }
    }

    /// Writes `bytes` at `tp_offset` from the pointer of every thread but the calling one.
    ///
    /// # Errors
    /// When a thread cannot be reached. Others may have been written.
    pub fn write_others(&self, tp_offset: i64, bytes: &[u8]) -> Result<(), TlsError> {
        if is_only_one() {
            helpers::look();
            return Ok(());
        }
        let existing = program_threads()?;
        Watch::new(&existing, self.list_lock.clone()).wait();
        match self.lists {
            Some(lists) => write_listed(lists, &existing, tp_offset, bytes),
            None => write_signalled(tp_offset, bytes),
        }
    }
}

/// Whether the C library knows that it has made no other thread.
pub(super) fn is_only_one() -> bool {
    static FLAG: OnceLock<Option<u64>> = OnceLock::new();
    // A `char` of glibc (2.32 and later): not 0 if there is one thread only.
    let flag = FLAG.get_or_init(|| lookup(c"__libc_single_threaded", None));
    flag.is_some_and(|flag| {
        // SAFETY: the variable of this name is one byte.
        unsafe { tables::read::<u8>(flag) != 0 }
    })
}

/// `existing` are the threads that have been quiet.
fn write_listed(
    lists: ThreadLists,
    existing: &[i32],
    tp_offset: i64,
    bytes: &[u8],
) -> Result<(), TlsError> {
    let mut written = HashSet::from([crate::host::arch::threads::thread_pointer()]);
    for _ in 0..READINGS_MAX {
        let Some(threads) = lists.read() else {
            return write_signalled(tp_offset, bytes);
        };
        let mut all = true;
        for thread in &threads {
            if written.contains(&thread.pointer) {
                continue;
            }
            let at = thread.pointer.wrapping_add_signed(tp_offset);
            // SAFETY: a thread's part of the reserve, in a block that is not in use yet. If the
            // thread has ended since the reading and its stack was unmapped, the write fails, and
            // the next reading does not show it.
            match unsafe { probe::write(at, bytes) } {
                true => _ = written.insert(thread.pointer),
                false => all = false,
            }
        }
        if all && missing(existing, &threads).is_empty() {
            return Ok(());
        }
        std::thread::yield_now();
    }
    let threads = lists.read().ok_or(TlsError::RestlessThreads)?;
    if let Some(thread) = threads
        .iter()
        .find(|thread| !written.contains(&thread.pointer))
    {
        return Err(TlsError::Unwritable { thread: thread.id });
    }
    missing(existing, &threads)
        .into_iter()
        .try_for_each(|thread| signal::write(thread, tp_offset, bytes))
}

/// Those of the threads `existing` that live and are not in the C library's lists.
fn missing(existing: &[i32], listed: &[Thread]) -> Vec<i32> {
    let listed: HashSet<i32> = listed.iter().map(|thread| thread.id).collect();
    let not_listed = existing.iter().filter(|id| !listed.contains(id));
    not_listed
        .copied()
        .filter(|&id| signal::is_alive(id))
        .collect()
}

/// Without lists: every thread is signalled, until a reading of the kernel's list shows none that
/// is new.
fn write_signalled(tp_offset: i64, bytes: &[u8]) -> Result<(), TlsError> {
    const ROUNDS_MAX: usize = 1000;
    let mut signalled = HashSet::new();
    for _ in 0..ROUNDS_MAX {
        let mut news = false;
        for thread in program_threads()? {
            if signalled.insert(thread) {
                news = true;
                signal::write(thread, tp_offset, bytes)?;
            }
        }
        if !news {
            return Ok(());
        }
    }
    Err(TlsError::RestlessThreads)
}

/// The same without those that no code of the process runs on.
fn program_threads() -> Result<Vec<i32>, TlsError> {
    let mut threads = other_threads()?;
    threads.retain(|&thread| !helpers::is_helper(thread));
    Ok(threads)
}

/// The ids of all threads of this process but the calling one. The kernel's list may lack a thread
/// if another ends while it is read, so it is read more than once.
pub(super) fn other_threads() -> Result<Vec<i32>, TlsError> {
    // SAFETY: no precondition.
    let this = unsafe { libc::gettid() };
    let mut threads = HashSet::new();
    let mut count = 0;
    for reading in 0..4 {
        let entries = std::fs::read_dir("/proc/self/task").map_err(TlsError::NoThreadList)?;
        let before = threads.len();
        let ids = entries
            .flatten()
            .filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok());
        let ids: Vec<i32> = ids.collect();
        let same = ids.len() == count;
        count = ids.len();
        threads.extend(ids);
        if reading > 0 && same && threads.len() == before {
            break;
        }
    }
    threads.remove(&this);
    Ok(threads.into_iter().collect())
}
