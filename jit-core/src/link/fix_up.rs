//! Content is copied and fixed up, in parallel, straight into working memory.
//!
//! A task is a run of blocks of one output section, some 128 KiB of bytes and edges. Tasks own
//! disjoint slices of memory. Zero blocks at the end of a segment belong to no task: their pages
//! are not touched.

use rayon::prelude::*;

use super::name_functions;
use super::output_sections::{Output, SEGMENTS};
use super::parallel::PARALLEL_WORK;
use super::state::{GroupMemory, Link, Part, join_errors};
use crate::batch::Resolution;
use crate::cpu::{Cpu, FixupError, Kinds, NEEDS_FIXED_OFFSET, Terms};
use crate::demangle;
use crate::error::LinkError;
use crate::error::references::{OutOfRange, UnsupportedEdge};
use crate::executor::api::TlsPlace;
use crate::graph::{BlockId, Content, Edge, EdgeKind, SectionKind, SymbolId, Target};
use crate::object::{ObjectError, SymbolKind};
use crate::threads;
use orc_shared::ExecutorAddr;

/// Failures reported per task; the rest are counted.
const FAILURES_PER_TASK: usize = 20;

/// A run of blocks, and the memory they go to.
struct Task<'a> {
    bytes: &'a mut [u8],
    /// Offset of `bytes` in the output section.
    start: u64,
    output: &'a Output,
    blocks: &'a [(u32, BlockId)],
    got_base: u64,
}

/// A fixup that failed.
struct Failure {
    part: u32,
    block: BlockId,
    edge: u32,
    error: FixupError,
}

/// Writes all content, and returns each group's image of thread-local storage.
pub(super) fn fix_up<C: Cpu>(link: &mut Link) -> Result<Vec<Vec<u8>>, LinkError> {
    let mut memory = std::mem::take(link.memory.get_mut());
    prepare(&memory);
    let result = fix_up_memory::<C>(link, &mut memory);
    *link.memory.get_mut() = memory;
    result
}

/// Has memory made ready to be written to, where that pays. Not earlier: whoever changes mappings, as the
/// loader does, would have to wait.
fn prepare(memory: &[Option<GroupMemory>]) {
    let memory = memory.iter().flatten();
    let memory = memory.flat_map(|it| [Some(&it.near), it.large.as_ref()]);
    let preparations: Vec<_> = memory.flatten().flat_map(|it| it.preparations()).collect();
    // Not asked of other threads where there is little to do: that may start them.
    match preparations.len() {
        0..=1 => preparations.into_iter().for_each(|prepare| prepare()),
        _ => threads::share(|| preparations.into_par_iter().for_each(|prepare| prepare())),
    }
}

fn fix_up_memory<C: Cpu>(
    link: &Link,
    memory: &mut [Option<GroupMemory>],
) -> Result<Vec<Vec<u8>>, LinkError> {
    let mut images: Vec<Vec<u8>> = link
        .groups
        .iter()
        .map(|group| vec![0; group.layout.tls.content_size as usize])
        .collect();
    let mut tasks = Vec::new();
    for ((group, memory), image) in link.groups.iter().zip(memory).zip(&mut images) {
        let mut slices = memory.iter_mut().flat_map(GroupMemory::working_memory);
        for (index, segment) in group.layout.segments.iter().enumerate() {
            if segment.size > 0 {
                let bytes = slices.next().unwrap_or_default();
                split(group, Some(index), bytes, &mut tasks)?;
            }
        }
        split(group, None, image, &mut tasks)?;
    }
    let parts = &link.parts;
    let failures: Vec<Failure> = if is_small(&tasks) {
        tasks
            .into_iter()
            .flat_map(|task| run::<C>(parts, task))
            .collect()
    } else {
        let tasks = tasks.into_par_iter().with_max_len(1);
        threads::share(|| tasks.flat_map_iter(|task| run::<C>(parts, task)).collect())
    };
    let errors = failures.iter().map(|failure| describe::<C>(link, failure));
    join_errors(errors.collect())?;
    Ok(images)
}

/// Whether waking other threads costs more than the tasks.
fn is_small(tasks: &[Task<'_>]) -> bool {
    tasks.iter().map(|task| task.bytes.len()).sum::<usize>() < 2 * PARALLEL_WORK
}

/// Cuts the content of a segment (or of the TLS image, for `None`) into tasks.
fn split<'a>(
    group: &'a super::state::Group,
    segment: Option<usize>,
    bytes: &'a mut [u8],
    tasks: &mut Vec<Task<'a>>,
) -> Result<(), LinkError> {
    debug_assert!(segment.is_none_or(|index| index < SEGMENTS.len()));
    let mut rest = bytes;
    let mut at = 0;
    let layout = &group.layout;
    let outputs = layout.order.iter().map(|&i| &layout.outputs[i as usize]);
    let content = outputs.filter(|o| o.kind.segment() == segment && !o.zero && o.size > 0);
    for output in content {
        take(&mut rest, output.offset - at)?;
        at = output.offset;
        for (number, &(first, start)) in output.chunks.iter().enumerate() {
            let next = output.chunks.get(number + 1);
            let (last, end) = next
                .copied()
                .unwrap_or((output.blocks.len() as u32, output.size));
            tasks.push(Task {
                bytes: take(&mut rest, end - start)?,
                start,
                output,
                blocks: &output.blocks[first as usize..last as usize],
                got_base: group.got_base,
            });
        }
        at += output.size;
    }
    Ok(())
}

/// Takes the first `count` bytes off a slice.
fn take<'a>(rest: &mut &'a mut [u8], count: u64) -> Result<&'a mut [u8], LinkError> {
    let all = std::mem::take(rest);
    match all.split_at_mut_checked(count as usize) {
        Some((first, others)) => {
            *rest = others;
            Ok(first)
        }
        None => Err(LinkError::Internal(
            "the executor's working memory is smaller than what was asked for".to_owned(),
        )),
    }
}

/// Copies and fixes up the blocks of a task.
fn run<C: Cpu>(parts: &[Part], task: Task<'_>) -> Vec<Failure> {
    let gap = if task.output.kind == SectionKind::Text {
        C::CODE_GAP
    } else {
        0
    };
    let base = task.output.address + task.start;
    let mut failures = Vec::new();
    let mut at = 0;
    for &(index, id) in task.blocks {
        let part = &parts[index as usize];
        let block = &part.graph.blocks[id.0 as usize];
        let start = (block.address - base).value() as usize;
        let end = start + block.size as usize;
        task.bytes[at..start].fill(gap);
        at = end;
        let bytes = &mut task.bytes[start..end];
        if block.content == Content::FunctionNames {
            name_functions::write(part, bytes);
            continue;
        }
        let content = part.graph.content(id);
        let (copied, zeros) = bytes.split_at_mut(content.len());
        copied.copy_from_slice(content);
        zeros.fill(0);
        let mut subtrahend = None;
        for (number, edge) in block.edges.clone().zip(part.graph.edges_of(id)) {
            if edge.kind == EdgeKind::SUBTRAHEND {
                subtrahend = Some(part.values[edge.target.0 as usize]);
                continue;
            }
            let place = block.address.value().wrapping_add(u64::from(edge.offset));
            let from = subtrahend.take().unwrap_or(place);
            if let Err(error) = fix_edge::<C>(part, edge, bytes, from, task.got_base)
                && failures.len() < FAILURES_PER_TASK
            {
                failures.push(Failure {
                    part: index,
                    block: id,
                    edge: number,
                    error,
                });
            }
        }
    }
    task.bytes[at..].fill(gap);
    failures
}

/// Writes an edge's fixup; `from` is its place, or what it subtracts.
#[inline]
fn fix_edge<C: Cpu>(
    part: &Part,
    edge: &Edge,
    bytes: &mut [u8],
    from: u64,
    got: u64,
) -> Result<(), FixupError> {
    let kind = C::Kind::from_edge(edge.kind).ok_or(FixupError::NotLowered)?;
    let terms = Terms {
        s: part.values[edge.target.0 as usize],
        a: edge.addend,
        p: from,
        got,
    };
    C::fixup(kind, bytes, edge.offset, terms)
}

/// The error of a failed fixup.
fn describe<C: Cpu>(link: &Link, failure: &Failure) -> LinkError {
    let part = &link.parts[failure.part as usize];
    let graph = &part.graph;
    let edge = &graph.edges[failure.edge as usize];
    let kind = C::Kind::from_edge(edge.kind).map_or("unknown", Kinds::name);
    let place = (graph.block_name(failure.block), u64::from(edge.offset));
    let (value, bits) = match failure.error {
        FixupError::OutOfRange { value, bits } => (value, bits),
        FixupError::OutsideBlock => {
            return LinkError::Object(ObjectError {
                object: graph.name.clone(),
                message: format!(
                    "section {}: the relocation at offset {:#x} ({kind}) reaches over the section's \
                     end",
                    place.0, place.1
                ),
            });
        }
        FixupError::Misaligned { value, align } => {
            return LinkError::Object(ObjectError {
                object: graph.name.clone(),
                message: format!(
                    "section {}: the relocation at offset {:#x} ({kind}) against {} needs a value that is \
                     a multiple of {align}, and it is {value:#x}",
                    place.0,
                    place.1,
                    target_name(link, part, edge)
                ),
            });
        }
        FixupError::NotLowered => {
            return LinkError::Internal(format!(
                "{}: section {}+{:#x}: {kind} reached the fixups",
                graph.name, place.0, place.1
            ));
        }
    };
    let target = TlsPlace::from_value(part.value(edge.target));
    if is_thread_local(link, part, edge.target) && matches!(target, TlsPlace::Module { .. }) {
        return LinkError::UnsupportedEdge(
            UnsupportedEdge {
                object: graph.name.clone(),
                place,
                target: target_name(link, part, edge),
                kind,
                reason: NEEDS_FIXED_OFFSET,
            }
            .into(),
        );
    }
    let block = &graph.blocks[failure.block.0 as usize];
    let native = part.external(edge.target).is_some_and(|external| {
        let resolution = &link.externals[external as usize].resolution;
        matches!(resolution, Resolution::Native(_))
    });
    LinkError::OutOfRange(
        OutOfRange {
            object: graph.name.clone(),
            place,
            near: nearest_symbol(part, failure.block, edge.offset),
            place_address: block.address + u64::from(edge.offset),
            target: target_name(link, part, edge),
            target_address: ExecutorAddr::new(part.value(edge.target)),
            kind,
            value,
            bits,
            help: match is_number(link, part, edge.target) {
                _ if C::Kind::from_edge(edge.kind).is_some_and(|kind| kind.facts().subtracts) => {
                    FAR_APART
                }
                true => FAR_NUMBER,
                false => help(bits, native),
            },
        }
        .into(),
    )
}

const FAR_APART: &str = "the field holds the distance of two symbols, and they lie too far apart: use a \
     wider field";

const FAR_NUMBER: &str = "the value is a number, no place in an object, and too far from where code can \
     lie: take it with a 64-bit instruction (movabs)";

/// Whether the symbol is a thread-local that another batch defines.
fn is_thread_local(link: &Link, part: &Part, symbol: SymbolId) -> bool {
    part.external(symbol).is_some_and(|external| {
        let resolution = &link.externals[external as usize].resolution;
        matches!(
            resolution,
            Resolution::Pending {
                kind: SymbolKind::ThreadLocal,
                ..
            }
        )
    })
}

/// Whether the symbol is a number, and no place.
fn is_number(link: &Link, part: &Part, symbol: SymbolId) -> bool {
    match part.external(symbol) {
        Some(external) => link.externals[external as usize].number,
        None => {
            let target = part.graph.symbols[symbol.0 as usize].target;
            target.is_number()
        }
    }
}

fn help(bits: u32, native: bool) -> &'static str {
    match (bits, native) {
        (32, true) => {
            "the object refers directly to a variable of a shared library that lies too far away: \
             recompile it with -fPIC, or run it as a program, where it gets a copy of the variable"
        }
        (32, false) => "recompile the object with -fPIC or -mcmodel=large",
        _ => "the field is too small for any address in this process",
    }
}

fn target_name(link: &Link, part: &Part, edge: &Edge) -> String {
    match part.external(edge.target) {
        Some(external) => {
            let name = link.externals[external as usize].name;
            demangle::describe(&link.context.names.bytes(name))
        }
        None => part.symbol_text(edge.target),
    }
}

/// The symbol that lies closest before a place in its block.
fn nearest_symbol(part: &Part, block: BlockId, offset: u32) -> Option<(String, u64)> {
    let symbols = part.graph.symbols.iter().enumerate();
    let before = symbols.filter_map(|(index, symbol)| {
        let target = symbol.target;
        match target {
            Target::Defined {
                block: b,
                offset: o,
            } if b == block && o <= u64::from(offset) => Some((o, index)),
            _ => None,
        }
    });
    // Among symbols at one place a named one says more than the section's own symbol.
    let (at, index) =
        before.max_by_key(|&(o, index)| (o, part.graph.symbols[index].name.is_some(), index))?;
    let name = part.symbol_text(SymbolId(index as u32));
    Some((name, u64::from(offset) - at))
}
