//! Memory for every group, and a place in static thread-local storage.

use std::sync::Arc;

use orc_shared::ExecutorAddr;

use super::finalize;
use super::ranges;
use super::state::{Group, GroupMemory, Link, PendingExport};
use crate::batch::NativeBinding;
use crate::error::LinkError;
use crate::executor::api::{NativeKind, TlsBlock, TlsPlace, TlsRequest, TlsRoom};
use crate::executor::{AllocationRequest, InFlight};

/// Whether the groups have memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Allocation {
    /// They have.
    Done,
    /// A range was full and has been replaced by one that lies elsewhere, or thread-locals are elsewhere
    /// than assumed: what lowering assumed no longer holds, and the link has to start again.
    Restart,
}

/// Allocates every group in its dylib's range and sets the addresses of its segments.
pub(super) fn allocate(link: &mut Link) -> Result<Allocation, LinkError> {
    let context = Arc::clone(&link.context);
    let frames = finalize::count_frames(link);
    let groups: Vec<usize> = (0..link.groups.len())
        .filter(|&index| !link.groups[index].layout.is_empty())
        .collect();
    let request = |link: &Link, index: usize| request(link, index, frames[index]);
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
        if near.tls().is_none() && !link.groups[index].tls_in_module && has_tls(link, index) {
            let group = &link.groups[index];
            link.in_modules.push((group.dylib, group.tracker));
            continue;
        }
        let large = allocate_apart(link, index)?;
        let allocated = GroupMemory { near, large };
        set_places(&mut link.groups[index], &allocated)?;
        memory[index] = Some(allocated);
    }
    link.groups.iter_mut().for_each(place_empty_segments);
    if link
        .groups
        .iter()
        .any(|group| !group.tls_in_module && is_in_module(link, group))
    {
        return Ok(Allocation::Restart);
    }
    *link.memory.get_mut() = memory;
    Ok(Allocation::Done)
}

fn has_tls(link: &Link, index: usize) -> bool {
    link.groups[index].layout.tls.size > 0
}

fn is_in_module(link: &Link, group: &Group) -> bool {
    link.in_modules.contains(&(group.dylib, group.tracker))
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

fn request(link: &Link, index: usize, frames: u64) -> AllocationRequest {
    let group = &link.groups[index];
    let tls = &group.layout.tls;
    let wanted = TlsRequest {
        size: tls.size,
        align: tls.align.max(1),
        room: room_for_tls(link, index),
    };
    AllocationRequest {
        range: group.range,
        segments: group.layout.requests(group.near_segments()),
        tls: (tls.size > 0).then_some(wanted),
        frames: Some(frames),
    }
}

/// Where a group's thread-locals may be. What libraries refer to has to be at a fixed offset: they find it
/// through an object of the executor's that counts from there.
fn room_for_tls(link: &Link, index: usize) -> TlsRoom {
    let exported = |pending: &PendingExport| {
        pending.export.kind == NativeKind::ThreadLocal
            && link.parts[pending.part as usize].group as usize == index
    };
    match &link.batch.binding {
        _ if link.groups[index].tls_in_module => TlsRoom::Module,
        NativeBinding::Program(program) if program.fixed_thread_locals => TlsRoom::Fixed,
        _ if link.exports.iter().any(exported) => TlsRoom::Fixed,
        _ => TlsRoom::FixedIfFree,
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

/// Names of places without bytes have an address, too, where all bytes of their kind are none.
fn place_empty_segments(group: &mut Group) {
    let segments = &mut group.layout.segments;
    let somewhere = segments.iter().find(|segment| segment.size > 0);
    let somewhere = somewhere.map_or(group.extent.start, |segment| segment.address);
    for segment in segments.iter_mut().filter(|segment| segment.size == 0) {
        segment.address = somewhere;
    }
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
    let is_in_module = |tls: TlsBlock| matches!(tls.place, TlsPlace::Module { .. });
    let has_tls = match group.tls {
        None => group.layout.tls.size == 0,
        Some(tls) => is_in_module(tls) == group.tls_in_module,
    };
    if placed == wanted && has_tls {
        return Ok(());
    }
    let message = "the executor returned less memory than it was asked for";
    Err(LinkError::Internal(message.to_owned()))
}
