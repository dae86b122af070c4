//! Names of functions, for those who look up an address: backtraces, `dladdr`, crash handlers.
//!
//! A linked program names the functions that it exports; here all have names, those of one object
//! too. The names are one block of each group, C strings that go and come with the code; the
//! executor gets an entry for each.

use super::bring_near::plain_name;
use super::linker_part::{self, NewBlock};
use super::parallel;
use super::state::{Group, Link, OWN, Part};
use crate::executor::api::FunctionName;
use crate::graph::{SectionKind, SymbolId, Target};
use crate::object::SymbolKind;

/// The output section of names.
const SECTION: &[u8] = b".orc.function_names";

/// The functions of a group, and the symbol at the start of their names.
pub(super) struct FunctionNames {
    strings: (u32, SymbolId),
    functions: Vec<NamedFunction>,
}

struct NamedFunction {
    part: u32,
    symbol: SymbolId,
    /// Offset of its name.
    name: u32,
}

/// Adds the names of all live functions.
pub(super) fn name_functions(link: &mut Link) {
    let names = &link.context.names;
    let of_parts = parallel::map_parts(&link.parts, |_, part| {
        let mut found = PartNames::default();
        let functions =
            functions_of(part).filter(|symbol| part.externals[symbol.0 as usize] == OWN);
        let mut without_name = Vec::new();
        for symbol in functions {
            match part.graph.symbols[symbol.0 as usize].name {
                Some(name) => found.add(symbol, &names.bytes(name)),
                None => without_name.push(symbol),
            }
        }
        if let Some(describe) = &part.graph.describe {
            describe.local_names(&without_name, &mut |symbol, name| found.add(symbol, name));
        }
        found
    });
    for index in 0..link.groups.len() {
        let mut strings = Vec::new();
        let mut functions = Vec::new();
        for &part in &link.groups[index].parts {
            let found = &of_parts[part as usize];
            let start = strings.len() as u32;
            strings.extend_from_slice(&found.strings);
            functions.extend(found.functions.iter().map(|&(symbol, name)| NamedFunction {
                part,
                symbol,
                name: start + name,
            }));
        }
        if functions.is_empty() {
            continue;
        }
        let section = linker_part::section(link, index as u32, SECTION, SectionKind::ReadOnly);
        let block = NewBlock::bytes(section, &strings, 1);
        let strings = linker_part::define(link, index as u32, block, SymbolKind::Data);
        link.groups[index].names = Some(FunctionNames { strings, functions });
    }
}

/// The entries of a group, once everything has an address.
pub(super) fn entries(link: &Link, group: &Group) -> Vec<FunctionName> {
    let Some(names) = &group.names else {
        return Vec::new();
    };
    let value =
        |part: u32, symbol| orc_shared::ExecutorAddr::new(link.parts[part as usize].value(symbol));
    let strings = value(names.strings.0, names.strings.1);
    let entry = |function: &NamedFunction| FunctionName {
        start: value(function.part, function.symbol),
        size: size_of(&link.parts[function.part as usize], function.symbol),
        name: strings + u64::from(function.name),
    };
    names.functions.iter().map(entry).collect()
}

#[derive(Default)]
struct PartNames {
    strings: Vec<u8>,
    functions: Vec<(SymbolId, u32)>,
}

impl PartNames {
    fn add(&mut self, symbol: SymbolId, name: &[u8]) {
        let name = plain_name(name);
        self.functions.push((symbol, self.strings.len() as u32));
        self.strings.extend_from_slice(name);
        self.strings.push(0);
    }
}

/// The live functions that a part defines.
fn functions_of(part: &Part) -> impl Iterator<Item = SymbolId> {
    let symbols = part.graph.symbols.iter().enumerate();
    symbols.filter_map(|(index, symbol)| {
        let Target::Defined { block, .. } = symbol.target else {
            return None;
        };
        let is_function =
            symbol.kind == SymbolKind::Function && part.graph.blocks[block.0 as usize].live;
        is_function.then_some(SymbolId(index as u32))
    })
}

/// A function's size; up to the end of its block where the object does not say (assembly).
fn size_of(part: &Part, symbol: SymbolId) -> u64 {
    let symbol = &part.graph.symbols[symbol.0 as usize];
    match symbol.target {
        Target::Defined { block, offset } if symbol.size == 0 => {
            let block = &part.graph.blocks[block.0 as usize];
            block.size.saturating_sub(offset)
        }
        _ => symbol.size,
    }
}
