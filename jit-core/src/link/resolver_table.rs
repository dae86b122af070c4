//! The table of IFUNC resolvers of a program that runs them itself.
//!
//! The start-up code of a static C library goes through `IRELATIVE` relocations, once it knows the
//! processor: each has the place of a pointer, and the function that says what it is. The C library finds them
//! between two symbols that the linker defines.

use super::linker_part::{self, NewBlock};
use super::state::{Ifunc, Link, Part};
use crate::cpu::Cpu;
use crate::graph::{EdgeKind, SectionKind};
use crate::name::NameId;
use crate::platform::LinkerSection;

/// A relocation: the pointer's place, its type, and the resolver.
const SIZE: usize = 24;

/// Adds each part's entries to the part.
pub(super) fn add<C: Cpu>(link: &mut Link) {
    for part in &mut link.parts {
        if part.ifuncs.is_empty() {
            continue;
        }
        let dylib = link.groups[part.group as usize].dylib;
        let output = link.context.section(dylib, LinkerSection::ResolverTable);
        for ifunc in std::mem::take(&mut part.ifuncs) {
            add_entry::<C>(part, output, ifunc);
        }
    }
}

fn add_entry<C: Cpu>(part: &mut Part, output: NameId, ifunc: Ifunc) {
    let graph = &mut part.graph;
    let known = graph.sections.iter().position(|s| s.output == output);
    let section = match known {
        Some(index) => crate::graph::SectionId(index as u32),
        None => {
            let section = linker_part::new_section(output, SectionKind::RelocatedReadOnly);
            linker_part::push_section(graph, section)
        }
    };
    let mut bytes = [0; SIZE];
    bytes[8..16].copy_from_slice(&C::IRELATIVE.to_le_bytes());
    let block = NewBlock::bytes(section, &bytes, 8)
        .with_edges(&[(0, EdgeKind::POINTER64, 0)], ifunc.slot)
        .with_edges(&[(16, EdgeKind::POINTER64, 0)], ifunc.resolver);
    linker_part::add_block(graph, block);
}
