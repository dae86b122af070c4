//! Running a step over all parts, in parallel when there is enough to do.

use rayon::prelude::*;

use super::state::{External, Link, Part, join_errors};
use crate::error::LinkError;
use crate::threads;

/// Below this many blocks, edges and symbols a step runs on the calling thread: waking others
/// costs more than the step.
pub(super) const PARALLEL_WORK: usize = 20_000;

/// Runs `step` for every part. All parts' errors are reported.
pub(super) fn each_part<F>(parts: &mut [Part], step: F) -> Result<(), LinkError>
where
    F: Fn(u32, &mut Part) -> Result<(), LinkError> + Sync,
{
    let run = |(index, part): (usize, &mut Part)| step(index as u32, part).err();
    let errors: Vec<LinkError> = if is_small(parts) {
        parts.iter_mut().enumerate().filter_map(run).collect()
    } else {
        let parts = parts.par_iter_mut().enumerate().with_max_len(4);
        threads::share(|| parts.filter_map(run).collect())
    };
    join_errors(errors)
}

/// Maps every part to a value, in the order of the parts.
pub(super) fn map_parts<T, F>(parts: &[Part], map: F) -> Vec<T>
where
    T: Send,
    F: Fn(u32, &Part) -> T + Sync,
{
    let run = |(index, part): (usize, &Part)| map(index as u32, part);
    if is_small(parts) {
        parts.iter().enumerate().map(run).collect()
    } else {
        let parts = parts.par_iter().enumerate().with_max_len(4);
        threads::share(|| parts.map(run).collect())
    }
}

/// Maps some of the parts to values, in the order of `which`.
pub(super) fn map_some<T, F>(parts: &[Part], which: &[u32], map: F) -> Vec<T>
where
    T: Send,
    F: Fn(&Part) -> T + Sync,
{
    let run = |&index: &u32| map(&parts[index as usize]);
    if is_small(parts) {
        which.iter().map(run).collect()
    } else {
        threads::share(|| which.par_iter().with_max_len(4).map(run).collect())
    }
}

/// Maps every external to a value.
pub(super) fn map_externals<T, F>(link: &Link, map: F) -> Vec<T>
where
    T: Send,
    F: Fn(&External) -> T + Sync + Send,
{
    if link.externals.len() < PARALLEL_WORK {
        link.externals.iter().map(map).collect()
    } else {
        let externals = link.externals.par_iter().with_min_len(1024);
        threads::share(|| externals.map(map).collect())
    }
}

/// Whether there is too little to do for more than one thread.
pub(super) fn is_small(parts: &[Part]) -> bool {
    parts.len() == 1 || parts.iter().map(Part::work).sum::<usize>() < PARALLEL_WORK
}
