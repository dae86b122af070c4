//! Where objects refer to what is missing: the function or variable, and the line, as far as the objects
//! tell. Asked for errors only, so objects are read once more.

use orc_shared::{ExecutorAddr, printable_text};

use crate::demangle;
use crate::graph::{BlockId, LinkGraph, SectionKind, SymbolId, Target};
use crate::name::NameId;
use crate::object::{Claims, ObjectFile};
use crate::symbolize::SourceLines;

use crate::session::tables::ids::{IdSet, NameMap};
use crate::session::tables::unit::Source;

/// Objects that are read for one error: enough to see what is wrong.
const OBJECTS_MAX: u32 = 20;
/// Every block gets addresses of its own, this far from the next one's.
const BLOCK_DISTANCE: u64 = 1 << 32;

/// Finds places, as long as that is worth it.
pub(in crate::session) struct Referrers {
    objects_left: u32,
}

impl Default for Referrers {
    fn default() -> Self {
        Self {
            objects_left: OBJECTS_MAX,
        }
    }
}

impl Referrers {
    /// The object and, behind its name, how and where it refers to each of the names.
    pub(in crate::session) fn describe(
        &mut self,
        source: &Source,
        names: &[NameId],
    ) -> Vec<String> {
        let object = source.name();
        let Source::Object(file) = source else {
            return names.iter().map(|_| object.clone()).collect();
        };
        let mut places = NameMap::default();
        if self.objects_left > 0 && !names.is_empty() {
            self.objects_left -= 1;
            places = places_in(&**file, names);
        }
        let describe = |name: &NameId| {
            let written = file.spelling(*name);
            let written = written.map(|written| format!("as {}", demangle::describe(&written)));
            let place = places.get(name).cloned();
            let details: Vec<String> = written.into_iter().chain(place).collect();
            match details.is_empty() {
                true => object.clone(),
                false => format!("{object} ({})", details.join(", ")),
            }
        };
        names.iter().map(describe).collect()
    }
}

/// Per name: "in FUNCTION at FILE:LINE". What cannot be read has no place; the link tells why.
fn places_in(file: &dyn ObjectFile, names: &[NameId]) -> NameMap<String> {
    let mut places = NameMap::default();
    let Ok(graph) = file.build_graph(&Claims::default()) else {
        return places;
    };
    let uses = first_uses(&graph, names);
    let Some(describe) = graph.describe.as_ref().filter(|_| !uses.is_empty()) else {
        return places;
    };
    let address = |block: BlockId| (u64::from(block.0) + 1) * BLOCK_DISTANCE;
    let lines = describe.source_lines(&|block| Some(ExecutorAddr::new(address(block))));
    let lines = lines.ok().flatten();
    for (name, (block, offset)) in uses {
        let symbol = describe.symbol_at(block, offset);
        let symbol = symbol.map(|symbol| format!("in {}", demangle::readable(&symbol.name)));
        let line = lines
            .as_ref()
            .and_then(|lines| line(&**lines, address(block) + offset));
        let place: Vec<String> = symbol.into_iter().chain(line).collect();
        if !place.is_empty() {
            places.insert(name, place.join(" "));
        }
    }
    places
}

fn line(lines: &dyn SourceLines, address: u64) -> Option<String> {
    let frame = lines.frames(address).into_iter().next()?;
    let file = printable_text(frame.file?.as_bytes());
    Some(match frame.line {
        Some(line) => format!("at {file}:{line}"),
        None => format!("at {file}"),
    })
}

/// The first place, of code if there is any, where a graph refers to each of the names.
fn first_uses(graph: &LinkGraph, names: &[NameId]) -> Vec<(NameId, (BlockId, u64))> {
    let names: IdSet<NameId> = names.iter().copied().collect();
    let mut wanted = vec![None; graph.symbols.len()];
    for (symbol, wanted) in graph.symbols.iter().zip(&mut wanted) {
        *wanted = match symbol.target {
            Target::External => symbol.name.filter(|name| names.contains(name)),
            _ => None,
        };
    }
    let mut uses: NameMap<(bool, BlockId, u64)> = NameMap::default();
    for (index, block) in graph.blocks.iter().enumerate() {
        let id = BlockId(index as u32);
        let in_code = graph.sections[block.section.0 as usize].kind == SectionKind::Text;
        for edge in graph.edges_of(id) {
            let SymbolId(target) = edge.target;
            let Some(Some(name)) = wanted.get(target as usize) else {
                continue;
            };
            let known = uses
                .entry(*name)
                .or_insert((in_code, id, u64::from(edge.offset)));
            if in_code && !known.0 {
                *known = (true, id, u64::from(edge.offset));
            }
        }
    }
    let uses = uses.into_iter();
    uses.map(|(name, (_, block, offset))| (name, (block, offset)))
        .collect()
}
