//! For debuggers: an object file of what a group has in memory, made when somebody wants to debug.
//!
//! It travels with the group's first action, so that it is shown once the code is in place and before any of
//! it runs: a breakpoint that waits for the code is set then, also one in an initializer.

use orc_shared::remote::services::Action;
use orc_shared::{ExecutorAddr, ExecutorAddrRange};

use super::output_sections::Output;
use super::state::{Group, GroupMemory, Link, Part};
use crate::debug::{DebugContent, DebugSection};
use crate::executor::{AllocAction, AllocActionPair};
use crate::graph::{BlockId, SectionKind};

/// Object files that are larger are not shown: what goes to another process in one message has an end.
const LARGEST: usize = 900 << 20;

/// The action that shows a group to debuggers, and its undo. Nothing if nobody wants to debug, or if the platform
/// has no object files for debuggers.
pub(super) fn show_debugger(
    link: &Link,
    group: &Group,
    memory: &mut GroupMemory,
) -> Option<AllocActionPair> {
    if !link.context.debug {
        return None;
    }
    let key = group.layout.segments.iter().map(|it| it.address);
    let key = key.filter(|address| !address.is_null()).min()?;
    let content = content(link, group, memory);
    let platform = link.context.platforms.of(group.dylib);
    let image = platform.debug_image(link.context.architecture, &content)?;
    if image.len() > LARGEST {
        let size = image.len() >> 20;
        tracing::warn!("debuggers are not shown {size} MiB of debug information: it is too much");
        return None;
    }
    Some(AllocActionPair {
        finalize: AllocAction::new(Action::ShowToDebuggers.tag(), &(key, image)),
        dealloc: AllocAction::new(Action::HideFromDebuggers.tag(), &key),
    })
}

fn content(link: &Link, group: &Group, memory: &mut GroupMemory) -> DebugContent {
    let mut content = DebugContent {
        sections: sections(link, group, memory),
        ..DebugContent::default()
    };
    for &index in &group.parts {
        let part = &link.parts[index as usize];
        let Some(describe) = &part.graph.describe else {
            continue;
        };
        let place = |block: BlockId| place_of(part, block);
        if let Err(message) = describe.add_to_debug_content(&place, &mut content) {
            let object = &part.graph.name;
            tracing::warn!("debug information of {object} cannot be used: {message}");
        }
    }
    content
}

/// Where a block lies, if it does: that of a thread-local differs from thread to thread.
fn place_of(part: &Part, block: BlockId) -> Option<ExecutorAddr> {
    let block = part.graph.blocks.get(block.0 as usize)?;
    let kind = part.graph.sections[block.section.0 as usize].kind;
    let in_memory = block.live && block.size > 0 && kind != SectionKind::ThreadLocal;
    in_memory.then_some(block.address)
}

/// The group's output sections in the order of their addresses. Their content is in memory, but debuggers
/// read frames from files.
fn sections(link: &Link, group: &Group, memory: &mut GroupMemory) -> Vec<DebugSection> {
    let names = &link.context.names;
    let outputs = group.layout.outputs.iter();
    let in_memory =
        outputs.filter(|it| it.size > 0 && !it.address.is_null() && it.kind.segment().is_some());
    let section = |output: &Output| DebugSection {
        name: names.bytes(output.name).to_vec(),
        range: ExecutorAddrRange::from_size(output.address, output.size),
        kind: output.kind,
        content: output
            .frames
            .then(|| bytes(group, memory, output))
            .flatten(),
    };
    let mut sections: Vec<DebugSection> = in_memory.map(section).collect();
    sections.sort_by_key(|section| section.range.start);
    sections
}

/// The bytes of an output section.
fn bytes(group: &Group, memory: &mut GroupMemory, output: &Output) -> Option<Vec<u8>> {
    let wanted = output.kind.segment()?;
    let segments = group.layout.segments.iter().enumerate();
    let mut used = segments.filter(|(_, segment)| segment.size > 0);
    let number = used.position(|(index, _)| index == wanted)?;
    let segment = memory.working_memory().nth(number)?;
    let start = usize::try_from(output.offset).ok()?;
    let end = start.checked_add(usize::try_from(output.size).ok()?)?;
    segment.get(start..end).map(<[u8]>::to_vec)
}
