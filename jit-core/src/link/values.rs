//! Every symbol gets its value, in a table per graph that fixups index.

use orc_shared::ExecutorAddr;

use super::layout;
use super::output_sections::LARGE;
use super::parallel;
use super::state::{Bound, EXTERNAL, Link, OWN, Part, TLS_MODULE, TLS_OFFSET};
use super::tls_words;
use crate::batch::{Resolution, UnitAddresses};
use crate::error::LinkError;
use crate::executor::api::ImportValue;
use crate::graph::{SectionKind, SymbolId, Target};
use crate::platform::{LinkerDefined, LinkerSection};

/// Values of an external: its own, and the pair for `__tls_get_addr`.
#[derive(Clone, Copy, Default)]
pub(super) struct ExternalValue {
    pub(super) value: u64,
    pub(super) pair: ImportValue,
}

/// Fills the values of all symbols that graphs define, and the GOT bases.
pub(super) fn set_own_values(link: &mut Link) -> Result<(), LinkError> {
    for group in &mut link.groups {
        let got = (link.context).section(group.dylib, LinkerSection::Addresses);
        let section = group.layout.section(got);
        let segments = group.layout.segments[..LARGE].iter();
        let anchor = segments.rev().find(|s| s.size > 0).map(|s| s.address);
        let base = section.map(|range| range.start).or(anchor);
        group.got_base = base.unwrap_or_default().value();
    }
    let groups = &link.groups;
    parallel::each_part(&mut link.parts, |_, part| {
        let tls = groups[part.group as usize].tls;
        let tls = tls.map_or(0, |block| block.place.value());
        let graph = &part.graph;
        let value = |symbol: &crate::graph::Symbol| match symbol.target {
            Target::Defined { block, offset } => {
                let block = &graph.blocks[block.0 as usize];
                let kind = graph.sections[block.section.0 as usize].kind;
                let address = block.address.value().wrapping_add(offset);
                match kind {
                    _ if !block.live => 0,
                    SectionKind::ThreadLocal => address.wrapping_add(tls),
                    _ => address,
                }
            }
            Target::Absolute(value) => value,
            Target::Computed { .. } | Target::External | Target::Discarded => 0,
        };
        part.values = graph.symbols.iter().map(value).collect();
        Ok(())
    })
}

/// The addresses of every unit's definitions.
pub(super) fn unit_addresses(link: &Link) -> Vec<UnitAddresses> {
    let units = &link.batch.units;
    let parts = &link.parts[..units.len()];
    parallel::map_parts(parts, |index, part| {
        let unit = &units[index as usize];
        let definitions = unit.object.interface().definitions.iter();
        definitions
            .map(|definition| {
                let lost = unit.claims.lost_symbols.binary_search(&definition.symbol);
                let value = part.values.get(definition.symbol as usize);
                if let Some(kept) = part.kept(SymbolId(definition.symbol)) {
                    return kept.addr;
                }
                match (lost, value) {
                    (Err(_), Some(&value)) => ExecutorAddr::new(value),
                    (Ok(_), _) => displaced_address(part, definition.symbol),
                    _ => ExecutorAddr::NULL,
                }
            })
            .collect()
    })
}

/// Where a definition is that lost to another object's; null if it is not in memory, or not at one
/// place.
fn displaced_address(part: &Part, symbol: u32) -> ExecutorAddr {
    let displaced = &part.graph.displaced;
    let found = displaced.binary_search_by_key(&symbol, |displaced| displaced.symbol.0);
    let Some(found) = found.ok().map(|at| displaced[at]) else {
        return ExecutorAddr::NULL;
    };
    let block = &part.graph.blocks[found.block.0 as usize];
    let kind = part.graph.sections[block.section.0 as usize].kind;
    match block.live && kind != SectionKind::ThreadLocal {
        true => ExecutorAddr::new(block.address.value().wrapping_add(found.offset)),
        false => ExecutorAddr::NULL,
    }
}

/// The values of all externals, given those of imports; `natives` comes in the order of the
/// externals.
pub(super) fn external_values(
    link: &Link,
    natives: &[ExternalValue],
) -> Result<Vec<ExternalValue>, LinkError> {
    let mut values = natives.to_vec();
    values.resize(link.externals.len(), ExternalValue::default());
    for (index, external) in link.externals.iter().enumerate() {
        let value = match (&external.bound, &external.resolution) {
            (Bound::Part { part, symbol }, _) => {
                link.parts[*part as usize].values[symbol.0 as usize]
            }
            (Bound::Value(value), _) => *value,
            (Bound::Native, _) => continue,
            (Bound::Pending, Resolution::Pending { dylib, name, .. }) => {
                let address = link.host.pending_address(*dylib, *name);
                address
                    .ok_or_else(|| missing(link, external.name, "was not resolved"))?
                    .value()
            }
            (Bound::Linker, Resolution::Linker(LinkerDefined::DylibHeader)) => {
                let header = link.header(external.dylib);
                header
                    .ok_or_else(|| missing(link, external.name, "names no header in its dylib"))?
                    .value()
            }
            // The place depends on the group, so parts compute it themselves.
            (Bound::Linker | Bound::Pending, _) => continue,
        };
        values[index].value = value;
    }
    Ok(values)
}

fn missing(link: &Link, name: crate::name::NameId, what: &str) -> LinkError {
    LinkError::Internal(format!("{} {what}", link.context.names.text(name)))
}

/// Fills the values of all symbols that graphs take from outside.
pub(super) fn set_external_values(
    link: &mut Link,
    values: &[ExternalValue],
) -> Result<(), LinkError> {
    let (groups, externals) = (&link.groups, &link.externals);
    let (names, access) = (&link.context.names, link.tls_access);
    parallel::each_part(&mut link.parts, |_, part| {
        let group = &groups[part.group as usize];
        for index in 0..part.externals.len() {
            let number = part.externals[index];
            if number == OWN {
                continue;
            }
            let external = &externals[(number & EXTERNAL) as usize];
            let known = &values[(number & EXTERNAL) as usize];
            part.values[index] = match &external.resolution {
                Resolution::Linker(defined) if external.bound == Bound::Linker => {
                    let place = layout::linker_defined(group, names, defined);
                    place.map_or(known.value, ExecutorAddr::value)
                }
                Resolution::Linker(LinkerDefined::TlsModuleBase) => match group.tls {
                    Some(block) if group.tls_in_module => block.place.value(),
                    _ => 0,
                },
                _ if number & TLS_MODULE != 0 => known.pair.value,
                _ if number & TLS_OFFSET != 0 => known.pair.tls_offset,
                _ => known.value,
            };
        }
        tls_words::fill(part, access)
    })
}

impl Part {
    /// The value of a symbol; zero before values are set.
    pub(super) fn value(&self, symbol: SymbolId) -> u64 {
        self.values.get(symbol.0 as usize).copied().unwrap_or(0)
    }
}
