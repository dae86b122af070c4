//! Libraries that are named more than once.
//!
//! Linking takes what it needs of a library that was named at any place. A second mention matters for
//! one thing: whether libraries in front of it need it. So of many mentions the first and the last are
//! enough.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use super::{FoundContent, FoundInput};

/// The files without mentions of libraries that say no more than others do.
pub(super) fn without(mut found: Vec<FoundInput>) -> Vec<FoundInput> {
    if found.len() < 3 {
        return found;
    }
    let key = |found: &FoundInput| -> (PathBuf, bool) { (found.path.clone(), found.as_needed) };
    let last: HashMap<_, _> = found.iter().map(key).zip(0..).collect();
    let mut told = HashSet::new();
    let mut at = 0;
    found.retain(|found| {
        let may_be_left_out = match found.content {
            FoundContent::Archive(_) | FoundContent::Shared(_) => true,
            FoundContent::Object(_) | FoundContent::Names(_) => false,
        };
        let key = key(found);
        let is_last = last.get(&key) == Some(&at);
        at += 1;
        told.insert(key) || is_last || !may_be_left_out
    });
    found
}
