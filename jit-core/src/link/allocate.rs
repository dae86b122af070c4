//! Eighth step: memory for every group, and a place in static thread-local storage.

use std::sync::Arc;

use orc_shared::ExecutorAddr;

use super::finalize;
use super::ranges;
use super::state::{Group, GroupMemory, Link};
use crate::error::LinkError;
use crate::executor::{AllocationRequest, InFlight};

/// Whether the groups have memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Allocation {
    /// They have.
    Done,
    /// A range was full and has been replaced by one that lies elsewhere: what lowering assumed no
    /// longer holds, and the link has to start again.
    Restart,
}

/// Allocates every group in its dylib's range and sets the addresses of its segments.
pub(super) fn allocate(link: &mut Link) -> Result<Allocation, LinkError> {
    let context = Arc::clone(&link.context);
    let frames = finalize::count_frames(link);
    let groups: Vec<usize> = (0..link.groups.len())
        .filter(|&index| !link.groups[index].layout.is_empty())
        .collect();
    let request = |link: &Link, index: usize| request(&link.groups[index], frames[index]);
    let requests: Vec<_> = groups.iter().map(|&i| request(link, i)).collect();
    let mut memory: Vec<_> = link.groups.iter().map(|_| None).collect();
    for (index, allocated) in zip_all(&groups, context.executor.allocate(&requests)?)? {
        let near = match allocated {
            Some(allocated) => Some(allocated),
            None if move_group(link, index)? => {
                let again = [request(link, index)];
                context
                    .executor
                    .allocate(&again)?
                    .into_iter()
                    .next()
                    .flatten()
            }
            None => None,
        };
        let Some(near) = near else {
            return Ok(Allocation::Restart);
        };
        let large = allocate_apart(link, index)?;
        let allocated = GroupMemory { near, large };
        set_places(&mut link.groups[index], &allocated)?;
        memory[index] = Some(allocated);
    }
    *link.memory.get_mut() = memory;
    Ok(Allocation::Done)
}

/// Allocates a group's large data, if that lies apart.
fn allocate_apart(link: &Link, index: usize) -> Result<Option<Box<dyn InFlight>>, LinkError> {
    let (group, context) = (&link.groups[index], &link.context);
    let segments = group.layout.requests(group.segments_apart());
    if segments.is_empty() {
        return Ok(None);
    }
    let least = segments.iter().map(|it| it.size.saturating_add(it.align));
    let least = least.fold(0, u64::saturating_add);
    let mut full = None;
    for _ in 0..2 {
        let range = context.ranges.apart(&*context.executor, full, least)?;
        let request = AllocationRequest {
            range: range.id,
            segments: segments.clone(),
            tls: None,
            frames: Some(0),
        };
        let allocated = context.executor.allocate(&[request])?;
        if let Some(memory) = allocated.into_iter().next().flatten() {
            return Ok(Some(memory));
        }
        full = Some(range.id);
    }
    let message = "the executor's new range has no room for what it was opened for";
    Err(LinkError::Internal(message.to_owned()))
}

fn request(group: &Group, frames: u64) -> AllocationRequest {
    let tls = &group.layout.tls;
    AllocationRequest {
        range: group.range,
        segments: group.layout.requests(group.near_segments()),
        tls: (tls.size > 0).then_some((tls.size, tls.align.max(1))),
        frames: Some(frames),
    }
}

/// Each group's answer.
fn zip_all<T>(
    groups: &[usize],
    answers: Vec<T>,
) -> Result<impl Iterator<Item = (usize, T)>, LinkError> {
    if groups.len() == answers.len() {
        return Ok(groups.iter().copied().zip(answers));
    }
    let message = "the executor did not answer every request for memory";
    Err(LinkError::Internal(message.to_owned()))
}

/// Gives a group whose range is full another one. Says whether what lowering assumed still holds:
/// the group is alone, and all that it reached is still in reach.
fn move_group(link: &mut Link, index: usize) -> Result<bool, LinkError> {
    let alone = link.groups.len() == 1;
    let context = &link.context;
    let group = &mut link.groups[index];
    let (of, full) = ((group.dylib, group.low), Some(group.range));
    let range = context
        .ranges
        .of_dylib(&*context.executor, of, full, link.near_size)?;
    let same_kind = ranges::is_low(range.extent) == ranges::is_low(group.extent);
    let in_reach = |addr: &ExecutorAddr| ranges::reaches(range.extent, *addr);
    group.range = range.id;
    group.extent = range.extent;
    Ok(alone && same_kind && link.assumed_near.iter().all(in_reach))
}

fn set_places(group: &mut Group, memory: &GroupMemory) -> Result<(), LinkError> {
    let segments = group.layout.segments.iter_mut();
    let used = segments.filter(|segment| segment.size > 0);
    let addresses = memory.addresses();
    let mut placed = 0;
    for (segment, address) in used.zip(addresses) {
        segment.address = address;
        placed += 1;
    }
    group.tls = memory.near.tls();
    let wanted = group.layout.segments.iter().filter(|s| s.size > 0).count();
    if placed == wanted && group.tls.is_some() == (group.layout.tls.size > 0) {
        return Ok(());
    }
    let message = "the executor returned less memory than it was asked for";
    Err(LinkError::Internal(message.to_owned()))
}
