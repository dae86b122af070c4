//! Names of functions, for those who look up an address: backtraces, `dladdr`, crash handlers.
//!
//! A linked program names the functions that it exports; here all have names, those of one object
//! too. The names of one graph's functions are a block of it, C strings that go and come with the
//! code; the executor gets an entry for each.

use std::cell::RefCell;

use hashbrown::HashSet;

use super::bring_near::plain_name;
use super::linker_part;
use super::parallel;
use super::state::{Group, Link, OWN, Part};
use crate::error::LinkError;
use crate::executor::api::FunctionName;
use crate::graph::{Content, SectionKind, SymbolId, Target};
use crate::name::{NameId, NameTable};
use crate::object::SymbolKind;

/// The output section of names.
const SECTION: &[u8] = b".orc.function_names";

/// The named functions of a part, and the symbol at the start of their names.
pub(super) struct FunctionNames {
    strings: SymbolId,
    /// Each with the offset of its name.
    functions: Vec<(SymbolId, u32)>,
}

/// Adds the names of all live functions.
pub(super) fn name_functions(link: &mut Link) -> Result<(), LinkError> {
    let names = &link.context.names;
    let section = names.intern(SECTION);
    parallel::each_part(&mut link.parts, |_, part| {
        name_part(part, section, names);
        Ok(())
    })
}

/// Bytes of room for names that a thread keeps.
const COLLECTED_MAX: usize = 1 << 20;

thread_local! {
    /// Where names are collected before it is known how much room they take.
    static COLLECTED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

fn name_part(part: &mut Part, section: NameId, names: &NameTable) {
    let start = part.graph.owned.len();
    let functions = COLLECTED.with_borrow_mut(|strings| {
        strings.clear();
        let functions = collect_names(part, names, strings);
        part.graph.owned.reserve_exact(strings.len());
        part.graph.owned.extend_from_slice(strings);
        strings.shrink_to(COLLECTED_MAX);
        functions
    });
    let range = start..part.graph.owned.len();
    if functions.is_empty() {
        return;
    }
    let section = linker_part::new_section(section, SectionKind::ReadOnly);
    let section = linker_part::push_section(&mut part.graph, section);
    let size = range.len() as u64;
    let block = linker_part::push_block(&mut part.graph, section, Content::Owned(range), size, 1);
    let target = Target::Defined { block, offset: 0 };
    let strings = linker_part::add_symbol(part, target, SymbolKind::Data, size, OWN);
    part.names = Some(FunctionNames { strings, functions });
}

/// Collects the names of a part's live functions, C strings, and returns where each begins.
fn collect_names(part: &Part, names: &NameTable, strings: &mut Vec<u8>) -> Vec<(SymbolId, u32)> {
    let live: Vec<SymbolId> = functions_of(part).collect();
    let mut functions = Vec::with_capacity(live.len());
    let mut add = |functions: &mut Vec<(SymbolId, u32)>, symbol, name: &[u8]| {
        functions.push((symbol, strings.len() as u32));
        strings.extend_from_slice(plain_name(name));
        strings.push(0);
    };
    // The object has its names next to each other; the session has them wherever each was first met.
    if let Some(describe) = &part.graph.describe {
        describe.names(&live, &mut |symbol, name| add(&mut functions, symbol, name));
    }
    if functions.len() < live.len() {
        // What a pass has added, or an object that does not tell.
        let told: HashSet<SymbolId> = functions.iter().map(|(symbol, _)| *symbol).collect();
        for symbol in live.into_iter().filter(|symbol| !told.contains(symbol)) {
            if let Some(name) = part.graph.symbols[symbol.0 as usize].name {
                add(&mut functions, symbol, &names.bytes(name));
            }
        }
    }
    functions
}

/// The entries of a group, once everything has an address.
pub(super) fn entries(link: &Link, group: &Group) -> Vec<FunctionName> {
    let of_parts = parallel::map_some(&link.parts, &group.parts, |part| {
        let Some(names) = &part.names else {
            return Vec::new();
        };
        let value = |symbol| orc_shared::ExecutorAddr::new(part.value(symbol));
        let strings = value(names.strings);
        let entry = |&(symbol, name): &(SymbolId, u32)| FunctionName {
            start: value(symbol),
            size: size_of(part, symbol),
            name: strings + u64::from(name),
        };
        names.functions.iter().map(entry).collect()
    });
    of_parts.concat()
}

/// The live functions that a part defines.
fn functions_of(part: &Part) -> impl Iterator<Item = SymbolId> {
    let symbols = part.graph.symbols.iter().zip(&part.externals).enumerate();
    symbols.filter_map(|(index, (symbol, &external))| {
        let Target::Defined { block, .. } = symbol.target else {
            return None;
        };
        let is_function = symbol.kind == SymbolKind::Function && external == OWN;
        (is_function && part.graph.blocks[block.0 as usize].live).then_some(SymbolId(index as u32))
    })
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
