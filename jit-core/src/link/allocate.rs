//! Eighth step: memory for every group, and a place in static thread-local storage.

use std::sync::Arc;

use orc_shared::ExecutorAddr;

use super::ranges;
use super::state::{Group, Link};
use crate::error::LinkError;

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
    for index in 0..link.groups.len() {
        let group = &mut link.groups[index];
        if group.layout.is_empty() {
            link.memory.get_mut().push(None);
            continue;
        }
        if group.layout.tls.size > 0 {
            let tls = &group.layout.tls;
            group.tls = Some(context.executor.reserve_tls(tls.size, tls.align.max(1))?);
        }
        let requests = group.layout.requests();
        let memory = match context.executor.allocate(group.range, &requests)? {
            Some(memory) => memory,
            None => {
                if !move_group(link, index)? {
                    return Ok(Allocation::Restart);
                }
                let range = link.groups[index].range;
                match context.executor.allocate(range, &requests)? {
                    Some(memory) => memory,
                    None => return Ok(Allocation::Restart),
                }
            }
        };
        set_addresses(&mut link.groups[index], memory.addresses())?;
        link.memory.get_mut().push(Some(memory));
    }
    Ok(Allocation::Done)
}

/// Gives a group whose range is full another one. Says whether what lowering assumed still holds:
/// the group is alone, and all that it reached is still in reach.
fn move_group(link: &mut Link, index: usize) -> Result<bool, LinkError> {
    let alone = link.groups.len() == 1;
    let context = &link.context;
    let group = &mut link.groups[index];
    let range = context
        .ranges
        .replace(&*context.executor, group.dylib, group.range, group.low)?;
    let same_kind = ranges::is_low(range.extent) == ranges::is_low(group.extent);
    let in_reach = |addr: &ExecutorAddr| ranges::reaches(range.extent, *addr);
    group.range = range.id;
    group.extent = range.extent;
    Ok(alone && same_kind && link.assumed_near.iter().all(in_reach))
}

fn set_addresses(group: &mut Group, addresses: &[ExecutorAddr]) -> Result<(), LinkError> {
    let segments = group.layout.segments.iter_mut();
    let mut used = segments.filter(|segment| segment.size > 0);
    for address in addresses {
        match used.next() {
            Some(segment) => segment.address = *address,
            None => break,
        }
    }
    match used.next() {
        None => Ok(()),
        Some(_) => Err(LinkError::Internal(
            "the executor returned fewer segments than it was asked for".to_owned(),
        )),
    }
}
