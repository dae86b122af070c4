//! Once all is copied and known: graphs go, and inputs let go of memory.
//!
//! The graphs of a large program are tens of megabytes in thousands of pieces, and its mapped archives
//! take even more memory: the kernel maps what lies around each page that is read. Those are read for
//! messages and backtraces only from now on.

use std::sync::Arc;

use hashbrown::HashSet;

use super::parallel;
use super::state::{Link, Part};
use crate::graph::InputBytes;
use crate::threads;

/// Below this many bytes of inputs, there is little to win.
const WORTHWHILE: usize = 8 << 20;

/// Graphs that one task drops.
const AT_ONCE: usize = 64;

/// Gives back what a link does not need any more when its memory becomes final. Other threads do it
/// while this one goes on, if there are some, and there is much.
pub(super) fn drop_graphs(link: &mut Link) {
    let mut parts = std::mem::take(&mut link.parts);
    let files = large_inputs(&parts);
    if parallel::is_small(&parts) || threads::count() == 1 {
        drop(parts);
        return files.iter().for_each(|file| file.discard_cached_pages());
    }
    while !parts.is_empty() {
        let some = parts.split_off(parts.len().saturating_sub(AT_ONCE));
        threads::hand_over(move || drop(some));
    }
    for file in files {
        threads::hand_over(move || file.discard_cached_pages());
    }
}

/// The inputs of the graphs, each once, if they are so large that discarding their cached pages pays.
fn large_inputs(parts: &[Part]) -> Vec<Arc<dyn InputBytes>> {
    let mut seen = HashSet::new();
    let mut files = Vec::new();
    for part in parts {
        let input = &part.graph.input;
        let file = input.whole().unwrap_or(input);
        if seen.insert(Arc::as_ptr(file).addr()) {
            files.push(Arc::clone(file));
        }
    }
    let size: usize = files.iter().map(|file| file.bytes().len()).sum();
    if size < WORTHWHILE {
        files.clear();
    }
    files
}
