//! First values of the data of dylibs that linked code opens, for when it opens them again.
//!
//! The controller says where a dylib has data as soon as it is in memory. It is copied when the dylib is
//! opened, before anything of it runs, or at once if it is open by then. What a client has opened stays open as long as
//! it is there, so that no copy of its data is needed.

use alloc::vec::Vec;

use orc_shared::{ExecutorAddr, ExecutorAddrRange};

use crate::addr;

/// Data of one dylib, ordered by address.
pub struct SavedData(Vec<Saved>);

struct Saved {
    range: ExecutorAddrRange,
    /// Its first values, without zeros at its end; nothing if they are where they belong.
    content: Option<Vec<u8>>,
}

/// Zeros are written by pages, and only where there are other values: much of them may never have been touched.
const PAGE: usize = 4096;

impl SavedData {
    /// Nothing.
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// There is data at `range`, which has its first values. It is copied at once if the dylib is open.
    ///
    /// # Safety
    /// The range is readable until it is removed, and nobody writes to it now.
    pub unsafe fn add(&mut self, range: ExecutorAddrRange, is_open: bool) {
        let mut saved = Saved {
            range,
            content: None,
        };
        if is_open {
            // SAFETY: the caller vouches for the range.
            unsafe { saved.copy() };
        }
        let index = self.0.partition_point(|it| it.range.start < range.start);
        self.0.insert(index, saved);
    }

    /// The data that begins at `start` goes away, if it is known.
    pub fn remove(&mut self, start: ExecutorAddr) {
        if let Ok(index) = self.0.binary_search_by_key(&start, |it| it.range.start) {
            self.0.remove(index);
        }
    }

    /// The dylib is opened: data gets its first values. What was never copied is, unless this is for ever.
    ///
    /// # Safety
    /// Nothing of the dylib runs, and nobody uses its data.
    pub unsafe fn reset(&mut self, is_for_ever: bool) {
        for saved in &mut self.0 {
            // SAFETY: the caller vouches for it, and data is removed from here before its memory goes.
            unsafe {
                match &saved.content {
                    Some(content) => restore(saved.range, content),
                    None if is_for_ever => {}
                    None => saved.copy(),
                }
            }
        }
        if is_for_ever {
            self.0 = Vec::new();
        }
    }
}

impl Saved {
    /// # Safety
    /// The range is readable, and nobody writes to it.
    unsafe fn copy(&mut self) {
        // SAFETY: the caller vouches for it.
        let bytes = unsafe { bytes(self.range) };
        let used = bytes.iter().rposition(|byte| *byte != 0);
        let used = used.map_or(0, |last| last + 1);
        self.content = Some(bytes.get(..used).unwrap_or_default().to_vec());
    }
}

/// # Safety
/// The range is readable and writable, and nobody uses it.
unsafe fn restore(range: ExecutorAddrRange, content: &[u8]) {
    // SAFETY: the caller vouches for it.
    let bytes = unsafe { bytes(range) };
    let Some((start, zeros)) = bytes.split_at_mut_checked(content.len()) else {
        return;
    };
    start.copy_from_slice(content);
    for page in zeros.chunks_mut(PAGE) {
        if page.iter().any(|byte| *byte != 0) {
            page.fill(0);
        }
    }
}

/// # Safety
/// The range is readable and writable, and nobody uses it otherwise meanwhile.
unsafe fn bytes<'a>(range: ExecutorAddrRange) -> &'a mut [u8] {
    // SAFETY: the caller vouches for it.
    unsafe { core::slice::from_raw_parts_mut(addr::to_ptr(range.start), range.size() as usize) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_copied_when_its_dylib_is_opened_and_put_back_when_it_is_opened_again() {
        let mut data = [7_u8; 3 * PAGE];
        data[10..].fill(0);
        let start = addr::of(data.as_ptr());
        let range = ExecutorAddrRange::from_size(start, data.len() as u64);
        let mut saved = SavedData::none();
        // SAFETY: the array outlives this, and nobody else uses it.
        unsafe {
            saved.add(range, false);
            bytes(range)[0] = 8;
            saved.reset(false);
            bytes(range)[0] = 1;
            bytes(range)[11] = 1;
            bytes(range)[2 * PAGE + 1] = 1;
            saved.reset(false);
            let now = bytes(range);
            assert_eq!(now[..10], [8, 7, 7, 7, 7, 7, 7, 7, 7, 7]);
            assert!(now[10..].iter().all(|byte| *byte == 0));
            saved.remove(start);
            bytes(range)[0] = 1;
            saved.reset(false);
            assert_eq!(bytes(range)[0], 1);
        }
    }
}
