//! Running a step over all parts, in parallel when there is enough to do.

use rayon::prelude::*;

use super::state::{Part, join_errors};
use crate::error::LinkError;

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
        parts
            .par_iter_mut()
            .enumerate()
            .with_max_len(4)
            .filter_map(run)
            .collect()
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
        parts
            .par_iter()
            .enumerate()
            .with_max_len(4)
            .map(run)
            .collect()
    }
}

/// Drops parts.
pub(super) fn drop_parts(parts: Vec<Part>) {
    if !is_small(&parts) {
        parts.into_par_iter().with_max_len(4).for_each(drop);
    }
}

fn is_small(parts: &[Part]) -> bool {
    parts.len() == 1 || parts.iter().map(Part::work).sum::<usize>() < PARALLEL_WORK
}
