//! Memory becomes final, with frames, thread-locals and actions.

use orc_shared::ExecutorAddrRange;
use rayon::prelude::*;

use super::drop_graphs;
use super::layout;
use super::name_functions;
use super::parallel::{self, PARALLEL_WORK};
use super::record_places;
use super::show_debugger;
use super::state::{Group, Link, Part};
use crate::batch::{NativeBinding, TrackerId};
use crate::cpu::Cpu;
use crate::error::LinkError;
use crate::executor::api::FrameEntry;
use crate::executor::{AllocAction, AllocActionPair, FinalizeRequest, Finalized};
use crate::graph::{Block, Frame};
use crate::name::NameId;
use crate::platform::{LaidOutGroup, LinkerSection};
use crate::threads;

/// What the session owns once a batch is in memory.
pub(super) type Allocations = Vec<(TrackerId, Box<dyn Finalized>)>;

/// Finalizes every group, or none.
pub(super) fn finalize<C: Cpu>(
    link: &mut Link,
    images: Vec<Vec<u8>>,
) -> Result<Allocations, LinkError> {
    let mut frames = frames_of_groups(link);
    let memory = std::mem::take(link.memory.get_mut());
    let (mut trackers, mut placed) = (Vec::new(), Vec::new());
    let mut batch = Vec::new();
    for (index, (memory, image)) in memory.into_iter().zip(images).enumerate() {
        let Some(mut memory) = memory else { continue };
        let mut request = request::<C>(link, index, std::mem::take(&mut frames[index]), image)?;
        if let Some(show) = show_debugger::show_debugger(link, &link.groups[index], &mut memory) {
            request.actions.insert(0, show);
        }
        trackers.push(link.groups[index].tracker);
        // Initializers may run, and crash, before the memory is handed over.
        placed.push(Some(record_places::record_places(link, index)));
        batch.push((memory.near, request));
        if let Some(large) = memory.large {
            trackers.push(link.groups[index].tracker);
            placed.push(None);
            batch.push((large, FinalizeRequest::default()));
        }
    }
    drop_graphs::drop_graphs(link);
    let finalized = link.context.executor.finalize(batch)?;
    if finalized.len() != trackers.len() {
        let message = "the executor did not finalize all memory";
        return Err(LinkError::Internal(message.to_owned()));
    }
    let memory = placed.into_iter().zip(finalized);
    let memory = memory.map(|(placed, memory)| match placed {
        Some(placed) => placed.tie_to(memory),
        None => memory,
    });
    Ok(trackers.into_iter().zip(memory).collect())
}

/// Releases what was finalized before a failure; further failures are joined to the first.
pub(super) fn release(done: Allocations, error: LinkError) -> LinkError {
    let mut errors = vec![error];
    for (_, finalized) in done.into_iter().rev() {
        if let Err(error) = finalized.release() {
            errors.push(error.into());
        }
    }
    match errors.len() {
        1 => errors.remove(0),
        _ => LinkError::Many(errors.into()),
    }
}

fn request<C: Cpu>(
    link: &Link,
    index: usize,
    frames: Vec<FrameEntry>,
    image: Vec<u8>,
) -> Result<FinalizeRequest, LinkError> {
    let group = &link.groups[index];
    let sections = layout::sections_in_order(group);
    let stub_pointers = link
        .context
        .section(group.dylib, LinkerSection::StubPointers);
    let writable = layout::writable(group, stub_pointers);
    let laid_out = laid_out(link, group, &sections, &writable);
    let mut actions: Vec<AllocActionPair> = run_resolvers::<C>(link, group).into_iter().collect();
    let context = &link.context;
    let platform = context.platforms.of(group.dylib);
    actions.extend(platform.finalize_actions(&laid_out, &context.names)?);
    Ok(FinalizeRequest {
        frames,
        eh_frame: eh_frame(group),
        functions: name_functions::entries(link, group),
        tls_image: image,
        actions,
    })
}

/// A group as the platform sees it.
pub(super) fn laid_out<'a>(
    link: &Link,
    group: &Group,
    sections: &'a [(NameId, ExecutorAddrRange)],
    writable: &'a [ExecutorAddrRange],
) -> LaidOutGroup<'a> {
    LaidOutGroup {
        dylib: group.dylib,
        sections,
        writable,
        header: link.header(group.dylib),
        is_program: matches!(link.batch.binding, NativeBinding::Program(_)),
    }
}

/// The output section of frames.
fn eh_frame(group: &Group) -> Option<ExecutorAddrRange> {
    let output = group.layout.outputs.iter().find(|output| output.frames)?;
    Some(ExecutorAddrRange::from_size(output.address, output.size))
}

/// The call that runs the group's IFUNC resolvers, before anything of the group runs.
fn run_resolvers<C: Cpu>(link: &Link, group: &Group) -> Option<AllocActionPair> {
    let (part, symbol) = group.run_resolvers?;
    let mut args = C::resolver_arguments(link.context.executor.capabilities());
    for &index in &group.parts {
        let part = &link.parts[index as usize];
        for ifunc in &part.ifuncs {
            args.extend(part.value(ifunc.resolver).to_le_bytes());
            args.extend(part.value(ifunc.slot).to_le_bytes());
        }
    }
    let function = orc_shared::ExecutorAddr::new(link.parts[part as usize].value(symbol));
    Some(AllocActionPair {
        finalize: AllocAction { function, args },
        dealloc: AllocAction::default(),
    })
}

/// How many frame-table entries each group will have.
pub(super) fn count_frames(link: &Link) -> Vec<u64> {
    let of_parts = parallel::map_parts(&link.parts, |_, part| live_frames(part).count());
    let mut of_groups = vec![0; link.groups.len()];
    for (part, count) in link.parts.iter().zip(of_parts) {
        of_groups[part.group as usize] += count as u64;
    }
    of_groups
}

/// The frame-table entries of each group's live code, sorted by address.
fn frames_of_groups(link: &Link) -> Vec<Vec<FrameEntry>> {
    let of_parts = parallel::map_parts(&link.parts, |_, part| frames_of(part));
    let mut of_groups: Vec<Vec<FrameEntry>> = link.groups.iter().map(|_| Vec::new()).collect();
    for (part, frames) in link.parts.iter().zip(of_parts) {
        of_groups[part.group as usize].extend(frames);
    }
    for frames in &mut of_groups {
        // A stable sort, because it makes use of the long runs that are in order already.
        if frames.len() < PARALLEL_WORK {
            frames.sort();
        } else {
            threads::share(|| frames.par_sort());
        }
    }
    of_groups
}

fn frames_of(part: &Part) -> Vec<FrameEntry> {
    let entries = live_frames(part).map(|(frame, code, holder)| FrameEntry {
        pc: code.address + frame.code_offset,
        fde: holder.address + u64::from(frame.offset),
    });
    entries.collect()
}

/// Frames of live code, with its block and the block that holds the frame. A function that is empty at the end of
/// its block has nothing to unwind through, and its place may be that of somebody else's function.
fn live_frames(part: &Part) -> impl Iterator<Item = (&Frame, &Block, &Block)> {
    let blocks = &part.graph.blocks;
    part.graph.frames.iter().filter_map(|frame| {
        let code = &blocks[frame.code.0 as usize];
        let holder = &blocks[frame.block.0 as usize];
        let is_code = code.live && frame.code_offset < code.size;
        (is_code && holder.live).then_some((frame, code, holder))
    })
}
