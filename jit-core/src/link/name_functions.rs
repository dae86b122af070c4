//! Names of functions, for those who look up an address: backtraces, `dladdr`, crash handlers.
//!
//! A linked program names the functions that it exports; here all have names, those of one object
//! too. The names of one graph's functions are a block of it, C strings that go and come with the
//! code; the executor gets an entry for each. They are copied once, from the object to their place.

use rayon::prelude::*;

use super::context::LinkContext;
use super::linker_part;
use super::parallel;
use super::state::{FunctionNames, Group, Link, Named, OWN, Part};
use crate::error::LinkError;
use crate::executor::api::FunctionName;
use crate::graph::{Content, NamedFunction, SectionKind, SymbolId, Target};
use crate::name::NameId;
use crate::object::SymbolKind;
use crate::platform::LinkerSection;
use crate::threads;

/// Makes room for the names of all live functions.
pub(super) fn name_functions(link: &mut Link) -> Result<(), LinkError> {
    let context = &link.context;
    let section = |group: &Group| context.section(group.dylib, LinkerSection::FunctionNames);
    let sections: Vec<NameId> = link.groups.iter().map(section).collect();
    parallel::each_part(&mut link.parts, |_, part| {
        name_part(context, part, sections[part.group as usize]);
        Ok(())
    })
}

fn name_part(context: &LinkContext, part: &mut Part, section: NameId) {
    let (functions, size) = find_names(context, part);
    if functions.is_empty() {
        return;
    }
    let section = linker_part::new_section(section, SectionKind::ReadOnly);
    let section = linker_part::push_section(&mut part.graph, section);
    let content = Content::FunctionNames;
    let block = linker_part::push_block(&mut part.graph, section, content, size, 1);
    part.names = Some(FunctionNames { block, functions });
}

/// A part's live functions, and the size of all their names.
fn find_names(context: &LinkContext, part: &Part) -> (Vec<Named>, u64) {
    let input = part.graph.input.bytes();
    // Names that take more than their object are those of a damaged one.
    let most = input.len().min(u32::MAX as usize);
    let mut functions = Vec::with_capacity(part.graph.functions.len());
    let mut size = 0;
    for function in part.graph.functions.iter().filter(|it| is_live(part, it)) {
        let Some(name) = name_at(context, input, function.name) else {
            continue;
        };
        let end = size + name.len() + 1;
        if end > most {
            break;
        }
        functions.push(Named {
            symbol: function.symbol,
            from: function.name,
            to: size as u32,
        });
        size = end;
    }
    (functions, size as u64)
}

/// The name that begins there, without a version.
fn name_at<'a>(context: &LinkContext, input: &'a [u8], start: u32) -> Option<&'a [u8]> {
    let tail = input.get(start as usize..)?;
    let name = context.plain_name(tail.get(..memchr::memchr(0, tail)?)?);
    (!name.is_empty()).then_some(name)
}

fn is_live(part: &Part, function: &NamedFunction) -> bool {
    let index = function.symbol.0 as usize;
    let Some(symbol) = part.graph.symbols.get(index) else {
        return false;
    };
    let Target::Defined { block, .. } = symbol.target else {
        return false;
    };
    symbol.kind == SymbolKind::Function
        && part.externals[index] == OWN
        && part.graph.blocks[block.0 as usize].live
}

/// Writes the names of a part to their block's place.
pub(super) fn write(part: &Part, mut bytes: &mut [u8]) {
    let input = part.graph.input.bytes();
    let functions = part.names.iter().flat_map(|names| &names.functions);
    let mut ends = functions.clone().skip(1).map(|next| next.to);
    let mut start = 0;
    for function in functions {
        let size = ends
            .next()
            .map_or(bytes.len(), |end| (end - start) as usize);
        let (room, rest) = std::mem::take(&mut bytes).split_at_mut(size);
        if let Some((nul, room)) = room.split_last_mut() {
            let from = function.from as usize;
            room.copy_from_slice(&input[from..from + room.len()]);
            *nul = 0;
        }
        start += size as u32;
        bytes = rest;
    }
    bytes.fill(0);
}

/// The entries of a group, once everything has an address.
pub(super) fn entries(link: &Link, group: &Group) -> Vec<FunctionName> {
    let names = |&part: &u32| {
        let part = &link.parts[part as usize];
        Some((part, part.names.as_ref()?))
    };
    let parts: Vec<(&Part, &FunctionNames)> = group.parts.iter().filter_map(names).collect();
    let count = parts.iter().map(|(_, names)| names.functions.len()).sum();
    let mut entries = vec![FunctionName::default(); count];
    let mut rest = entries.as_mut_slice();
    let mut tasks = Vec::with_capacity(parts.len());
    for (part, names) in parts {
        let (room, others) = rest.split_at_mut(names.functions.len());
        tasks.push((part, names, room));
        rest = others;
    }
    if parallel::is_small(&link.parts) {
        tasks.into_iter().for_each(fill_entries);
    } else {
        let tasks = tasks.into_par_iter().with_max_len(4);
        threads::share(|| tasks.for_each(fill_entries));
    }
    entries
}

fn fill_entries((part, names, entries): (&Part, &FunctionNames, &mut [FunctionName])) {
    let strings = part.graph.blocks[names.block.0 as usize].address;
    for (entry, function) in entries.iter_mut().zip(&names.functions) {
        *entry = FunctionName {
            start: orc_shared::ExecutorAddr::new(part.value(function.symbol)),
            size: size_of(part, function.symbol),
            name: strings + u64::from(function.to),
        };
    }
}

/// A function's size; up to the end of its block where the object does not say (assembly).
fn size_of(part: &Part, symbol: SymbolId) -> u64 {
    let symbol = part.graph.symbols[symbol.0 as usize];
    let target = symbol.target;
    match target {
        Target::Defined { block, offset } if symbol.size == 0 => {
            let block = &part.graph.blocks[block.0 as usize];
            block.size.saturating_sub(offset)
        }
        _ => symbol.size,
    }
}
