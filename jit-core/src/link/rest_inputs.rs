//! After the last step: inputs let go of memory.
//!
//! Mapped archives of a large program take more memory than its graphs: the kernel maps what lies
//! around each page that is read. Once everything is copied, they are read for messages and backtraces
//! only.

use std::sync::Arc;

use hashbrown::HashSet;

use super::state::Link;

/// Below this many bytes of inputs, there is little to win.
const WORTHWHILE: usize = 8 << 20;

/// Tells the inputs, if they are large, that they may rest. Another thread does it while this one goes
/// on, if there is one.
pub(super) fn rest_inputs(link: &Link) {
    let mut seen = HashSet::new();
    let mut files = Vec::new();
    for part in &link.parts {
        let input = &part.graph.input;
        let file = input.whole().unwrap_or(input);
        if seen.insert(Arc::as_ptr(file).addr()) {
            files.push(Arc::clone(file));
        }
    }
    let size: usize = files.iter().map(|file| file.bytes().len()).sum();
    if size < WORTHWHILE {
        return;
    }
    let rest = move || files.iter().for_each(|file| file.rest());
    if rayon::current_num_threads() > 1 {
        rayon::spawn(rest);
    } else {
        rest();
    }
}
