//! Thread-locals of JIT'd code, where the controller cannot place them in the process's own.
//!
//! In ELF's general dynamic model, code passes `__tls_get_addr` a pair of words from its GOT, and
//! gets the address of the calling thread's copy of a variable. The controller points the call here
//! instead, and fills the pair with a key, which is not used, and the address of the variable in its
//! object's thread-local section: the *template*. A thread's copy of a section is made when the
//! thread first asks for a variable in it.
//!
//! Each thread has a small table from template to copy, behind a pthread key: the runtime's own
//! code cannot use thread-locals, as it would be its own client. The copies are freed when the
//! thread ends, after the destructors of what is in them: the C library runs those before it clears
//! pthread keys.
//!
//! Under a controller that knows the process (ours, in process), thread-locals have fixed offsets
//! from the thread pointer, and none of this runs.

use alloc::boxed::Box;
use alloc::ffi::CString;
use alloc::format;
use core::ffi::c_void;
use core::sync::atomic::{AtomicU64, Ordering};

use orc_shared::{ExecutorAddr, ExecutorAddrRange};

use crate::addr;
use crate::registry::{self, Outcome, WordMap};

/// What `__tls_get_addr` is passed: two words in the GOT.
#[repr(C)]
pub struct TlsIndex {
    /// From `__orc_rt_elfnix_create_pthread_key`; not used.
    pub key: u64,
    /// The variable's place in the template.
    pub template: u64,
}

/// The thread-local sections that are linked, and the threads that have copies of some.
pub struct TlsRegistry {
    /// By first address: the end, and a number that no other section had.
    sections: WordMap,
    /// `ThreadState`s of all threads that have one.
    threads: WordMap,
    next_id: u64,
}

/// Counts removals of sections: what threads remember from before one may be stale.
static REMOVALS: AtomicU64 = AtomicU64::new(0);

/// The pthread key plus 1; 0 before there is one. One word with room for the error value.
static THREAD_KEY: AtomicU64 = AtomicU64::new(0);

/// How many recent answers a thread remembers.
const CACHE_SIZE: usize = 64;

/// What the runtime keeps per thread.
pub struct ThreadState {
    /// Template address and copy's address, at the index that the template address hashes to.
    cache: [(u64, u64); CACHE_SIZE],
    /// `REMOVALS` when the cache was last known to be good.
    removals: u64,
    /// This thread's copies, in memory from `posix_memalign`, by their section's number.
    copies: WordMap,
    /// The error that `dlerror` has not returned yet.
    pub error: Option<CString>,
    /// The error that it returned last, whose text the caller may still be reading.
    pub returned_error: Option<CString>,
}

impl Drop for ThreadState {
    fn drop(&mut self) {
        free_copies(&self.copies);
    }
}

impl TlsRegistry {
    /// Nothing linked yet.
    pub const fn empty() -> Self {
        Self {
            sections: WordMap::new(),
            threads: WordMap::new(),
            next_id: 0,
        }
    }

    /// Adds a section.
    pub fn add(&mut self, range: ExecutorAddrRange) -> Outcome<()> {
        let (start, end) = (range.start.value(), range.end.value());
        if end <= start || self.find(start).is_some() || self.find(end - 1).is_some() {
            return Err(format!(
                "cannot register thread data at {}..{}: not a range, or registered already",
                range.start, range.end
            ));
        }
        self.next_id += 1;
        self.sections.insert(start, (end, self.next_id));
        Ok(())
    }

    /// Removes a section. Threads free their copies when they next look for something new.
    pub fn remove(&mut self, range: ExecutorAddrRange) -> Outcome<()> {
        let start = range.start;
        REMOVALS.fetch_add(1, Ordering::AcqRel);
        match self.sections.remove(&start.value()) {
            Some(_) => Ok(()),
            None => Err(format!("no thread data is registered at {start}")),
        }
    }

    /// The section that `template` lies in: its start, end and number.
    fn find(&self, template: u64) -> Option<(u64, u64, u64)> {
        let (&start, &(end, id)) = self.sections.range(..=template).next_back()?;
        (template < end).then_some((start, end, id))
    }

    /// All threads' states, for good.
    pub fn take_threads(&mut self) -> WordMap {
        core::mem::take(&mut self.threads)
    }
}

impl ThreadState {
    fn cache_index(template: u64) -> usize {
        // Variables are mostly 8 bytes apart in one section; sections are far from each other.
        ((template >> 3) ^ (template >> 12)) as usize % CACHE_SIZE
    }

    fn lookup(&mut self, template: u64) -> *mut u8 {
        let slot = Self::cache_index(template);
        if self.removals == REMOVALS.load(Ordering::Acquire)
            && let Some(&(key, copy)) = self.cache.get(slot)
            && key == template
        {
            return addr::to_ptr(ExecutorAddr::new(copy));
        }
        let copy = self.lookup_slowly(template);
        if let (Some(entry), false) = (self.cache.get_mut(slot), copy.is_null()) {
            *entry = (template, addr::of(copy.cast_const()).value());
        }
        copy
    }

    fn lookup_slowly(&mut self, template: u64) -> *mut u8 {
        let registry = registry::lock();
        let removals = REMOVALS.load(Ordering::Acquire);
        if self.removals != removals {
            self.free_stale_copies(&registry.tls);
            self.cache = [(0, 0); CACHE_SIZE];
            self.removals = removals;
        }
        let found = registry.tls.find(template);
        drop(registry);
        let Some((start, end, id)) = found else {
            crate::log::error(&format!(
                "no thread-local section is registered for {template:#x}"
            ));
            return core::ptr::null_mut();
        };
        let copy = match self.copies.get(&id) {
            Some(&(copy, _)) => addr::to_ptr(ExecutorAddr::new(copy)),
            None => {
                let copy = copy_section(start, end);
                if copy.is_null() {
                    return copy;
                }
                let address = addr::of(copy.cast_const()).value();
                self.copies.insert(id, (address, 0));
                copy
            }
        };
        copy.wrapping_add((template - start) as usize)
    }

    /// Frees the copies of sections that were removed.
    fn free_stale_copies(&mut self, tls: &TlsRegistry) {
        let mut live = WordMap::new();
        for &(_, id) in tls.sections.values() {
            if let Some(copy) = self.copies.remove(&id) {
                live.insert(id, copy);
            }
        }
        free_copies(&core::mem::replace(&mut self.copies, live));
    }
}

/// Frees copies that no code uses any more.
fn free_copies(copies: &WordMap) {
    for &(copy, _) in copies.values() {
        let copy: *mut c_void = addr::to_ptr(ExecutorAddr::new(copy));
        // SAFETY: the copy is from `posix_memalign`, and belongs to the thread whose map this is. Its
        // section was removed, or the thread ends.
        unsafe { libc::free(copy) };
    }
}

/// A copy of the template `start..end`, or null without memory. It gets the alignment that the
/// template happens to have, up to a page: the section's own is not told, and is at most that.
fn copy_section(start: u64, end: u64) -> *mut u8 {
    let align = 1_usize << start.trailing_zeros().clamp(4, 12);
    let size = (end - start) as usize;
    let mut memory: *mut c_void = core::ptr::null_mut();
    // SAFETY: the alignment is a power of two; the template is registered, so it can be read.
    unsafe {
        if libc::posix_memalign(&mut memory, align, size) != 0 {
            return core::ptr::null_mut();
        }
        let template: *const u8 = addr::to_ptr(ExecutorAddr::new(start));
        memory.cast::<u8>().copy_from_nonoverlapping(template, size);
    }
    memory.cast()
}

/// The calling thread's state, if it has one.
pub fn known_thread_state<'a>() -> Option<&'a mut ThreadState> {
    let known = THREAD_KEY.load(Ordering::Acquire);
    let key = libc::pthread_key_t::try_from(known.checked_sub(1)?).ok()?;
    // SAFETY: the key is a live pthread key, whose values are null or `ThreadState`s.
    let known: *mut ThreadState = unsafe { libc::pthread_getspecific(key) }.cast();
    // SAFETY: only the thread itself uses its state, in one place at a time.
    unsafe { known.as_mut() }
}

/// The calling thread's state, made if it has none; nothing if the process has no pthread key left.
pub fn thread_state<'a>() -> Option<&'a mut ThreadState> {
    let key = thread_key()?;
    // SAFETY: the key is a live pthread key, whose values are null or `ThreadState`s.
    let known: *mut ThreadState = unsafe { libc::pthread_getspecific(key) }.cast();
    // SAFETY: only the thread itself uses its state, in one place at a time.
    if let Some(state) = unsafe { known.as_mut() } {
        return Some(state);
    }
    let state = Box::into_raw(Box::new(ThreadState {
        cache: [(0, 0); CACHE_SIZE],
        removals: REMOVALS.load(Ordering::Acquire),
        copies: WordMap::new(),
        error: None,
        returned_error: None,
    }));
    // SAFETY: as above; the value is given back to `free_thread_state`.
    if unsafe { libc::pthread_setspecific(key, state.cast_const().cast()) } != 0 {
        // SAFETY: `state` came from `Box::into_raw` above, and the failed call did not keep it.
        drop(unsafe { Box::from_raw(state) });
        return None;
    }
    let address = addr::of(state.cast_const()).value();
    registry::lock().tls.threads.insert(address, (0, 0));
    // SAFETY: as above.
    unsafe { state.as_mut() }
}

fn thread_key() -> Option<libc::pthread_key_t> {
    let known = THREAD_KEY.load(Ordering::Acquire);
    if known != 0 {
        return libc::pthread_key_t::try_from(known - 1).ok();
    }
    let mut key: libc::pthread_key_t = 0;
    // SAFETY: `key` is a valid place.
    if unsafe { libc::pthread_key_create(&mut key, Some(free_thread_state)) } != 0 {
        return None;
    }
    let new = u64::from(key) + 1;
    match THREAD_KEY.compare_exchange(0, new, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => Some(key),
        Err(other) => {
            // SAFETY: nobody else knows this key.
            unsafe { libc::pthread_key_delete(key) };
            libc::pthread_key_t::try_from(other - 1).ok()
        }
    }
}

/// Called by the C library when a thread ends that has a state.
///
/// # Safety
/// `state` is what was filed for the ending thread, which uses it no more.
unsafe extern "C" fn free_thread_state(state: *mut c_void) {
    let state: *mut ThreadState = state.cast();
    let address = addr::of(state.cast_const()).value();
    if registry::lock().tls.threads.remove(&address).is_some() {
        // SAFETY: the state came from a box, and was not freed yet: it was in the set.
        drop(unsafe { Box::from_raw(state) });
    }
}

/// Frees all threads' states. No JIT'd code runs any more.
pub fn shut_down(threads: WordMap) {
    let key = THREAD_KEY.swap(0, Ordering::AcqRel);
    if let Some(key) = key
        .checked_sub(1)
        .and_then(|key| libc::pthread_key_t::try_from(key).ok())
    {
        // SAFETY: the key is live, and from now on nobody uses it.
        unsafe { libc::pthread_key_delete(key) };
    }
    for state in threads.into_keys() {
        let state: *mut ThreadState = addr::to_ptr(ExecutorAddr::new(state));
        // SAFETY: states in the set were not freed, and no thread uses them any more.
        drop(unsafe { Box::from_raw(state) });
    }
}

/// What `crate::arch`'s entry points call: the address of the calling thread's copy.
///
/// # Safety
/// `index` is a pair of words that the controller made.
pub unsafe extern "C" fn tls_get_addr(index: *const TlsIndex) -> *mut u8 {
    // SAFETY: the caller vouches for it.
    let template = unsafe { (*index).template };
    match thread_state() {
        Some(state) => state.lookup(template),
        None => {
            crate::log::error("no pthread key is left for thread-locals");
            core::ptr::null_mut()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: u64, end: u64) -> ExecutorAddrRange {
        ExecutorAddrRange {
            start: ExecutorAddr::new(start),
            end: ExecutorAddr::new(end),
        }
    }

    #[test]
    fn sections_do_not_overlap_and_end_before_their_end() {
        let mut tls = TlsRegistry::empty();
        tls.add(range(0x100, 0x110)).unwrap();
        assert!(tls.add(range(0x10f, 0x120)).is_err());
        assert!(tls.add(range(0x120, 0x120)).is_err());
        tls.add(range(0x110, 0x120)).unwrap();
        assert_eq!(tls.find(0x10f).map(|found| found.0), Some(0x100));
        assert_eq!(tls.find(0x110).map(|found| found.0), Some(0x110));
        assert_eq!(tls.find(0x120), None);
        assert_eq!(tls.find(0xff), None);
        tls.remove(range(0x100, 0x110)).unwrap();
        assert_eq!(tls.find(0x100), None);
        assert!(tls.remove(range(0x100, 0x110)).is_err());
    }

    #[test]
    fn each_thread_gets_a_copy_of_the_template_and_removal_ends_it() {
        static TEMPLATE: [u64; 4] = [1, 2, 3, 4];
        let start = addr::of(TEMPLATE.as_ptr());
        let section = ExecutorAddrRange::from_size(start, 32);
        registry::lock().tls.add(section).unwrap();
        let get = move |offset: u64| {
            let index = TlsIndex {
                key: 0,
                template: start.value() + offset,
            };
            // SAFETY: the index is valid, and the section is registered.
            unsafe { tls_get_addr(&index) }.cast::<u64>()
        };
        let mine = get(16);
        // SAFETY: the copies are live until the section is removed or the thread ends.
        unsafe {
            assert_eq!(*mine, 3);
            *mine = 30;
            assert_eq!(*get(16), 30);
            assert_eq!(*get(8), 2);
            assert_eq!(get(8).add(1), mine);
            let theirs = std::thread::spawn(move || *get(16)).join().unwrap();
            assert_eq!(theirs, 3);
        }
        registry::lock().tls.remove(section).unwrap();
        assert!(get(16).is_null());
    }
}
