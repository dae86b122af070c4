//! Taking page faults in bulk.

use crate::sys;

/// Prepares working memory that is about to be written as a whole, so that its pages are made in
/// one system call rather than with a fault each: about a quarter less time for a large copy. A
/// thread does well to prepare the piece it writes next, some hundred kilobytes. Only a hint: the
/// content does not change.
pub fn prefault(working_memory: &mut [u8]) {
    let page = sys::memory::page_size();
    let start = (working_memory.as_ptr() as u64).next_multiple_of(page);
    let end = working_memory.as_ptr_range().end as u64 / page * page;
    if end > start && end - start >= 4 * page {
        sys::memory::populate(start..end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_stays() {
        let mut memory: Vec<u8> = (0..1 << 20).map(|index| index as u8).collect();
        prefault(&mut memory);
        prefault(&mut memory[1..70_000]);
        prefault(&mut []);
        assert!(
            memory
                .iter()
                .enumerate()
                .all(|(index, &byte)| byte == index as u8)
        );
    }
}
