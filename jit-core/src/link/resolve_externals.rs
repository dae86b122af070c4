//! What every name that graphs refer to and do not define means.
//!
//! The session is asked once per name and dylib, whatever the number of graphs that refer to it.

use hashbrown::HashMap;
use parking_lot::Mutex;
use rayon::prelude::*;

use super::keep_statics::KeptSymbol;
use super::parallel;
use super::state::{Bound, External, Link, OWN, Uses, join_errors, table_of_symbols};
use crate::batch::{DylibId, Resolution};
use crate::cpu::TargetClass;
use crate::error::LinkError;
use crate::graph::{LinkGraph, Section, SymbolId, Target};
use crate::name::NameId;
use crate::name_pages::NamePages;
use crate::object::SymbolKind;
use crate::platform::{LinkerDefined, LinkerSection};
use crate::threads;

/// Names that one thread asks for at least.
const FEW: usize = 1024;

/// Fills [`Link::externals`] and every part's table of externals.
pub(super) fn resolve_externals(link: &mut Link) -> Result<(), LinkError> {
    let undefined: Vec<Vec<(SymbolId, NameId)>> = parallel::map_parts(&link.parts, |_, part| {
        let symbols = part.graph.symbols.iter().enumerate();
        symbols
            .filter(|(_, symbol)| matches!(symbol.target, Target::External))
            .filter_map(|(index, symbol)| Some((SymbolId(index as u32), symbol.name?)))
            .collect()
    });
    let mut externals = Externals::default();
    let mut numbers = Vec::with_capacity(undefined.len());
    for (index, names) in undefined.iter().enumerate() {
        let dylib = link.dylib_of(index as u32);
        let of_dylib = externals.numbers.entry(dylib).or_default();
        let number = |(_, name): &(SymbolId, NameId)| {
            let next = externals.list.len() as u32;
            let number = *of_dylib.place(*name).get_or_insert(next);
            if number == next {
                externals.list.push((dylib, *name));
            }
            number
        };
        numbers.push(names.iter().map(number).collect::<Vec<u32>>());
    }
    parallel::each_part(&mut link.parts, |index, part| {
        part.externals = table_of_symbols(part, OWN);
        let names = &undefined[index as usize];
        for ((symbol, _), number) in names.iter().zip(&numbers[index as usize]) {
            part.externals[symbol.0 as usize] = *number;
        }
        Ok(())
    })?;
    link.externals = ask(link, &externals.list)?;
    add_kept(link)
}

/// Variables that are elsewhere already are externals, each with a place of its own.
fn add_kept(link: &mut Link) -> Result<(), LinkError> {
    for index in 0..link.parts.len() {
        let Some(statics) = link.parts[index].statics.take() else {
            continue;
        };
        let dylib = link.dylib_of(index as u32);
        let name = link.context.section(dylib, LinkerSection::Data);
        for kept in statics.kept() {
            let resolution = address_of(kept);
            let bound = bind(link, name, &resolution)?;
            let number = link.externals.len() as u32;
            let external = External::new(dylib, name, resolution, &bound);
            link.externals.push(external);
            link.parts[index].externals[kept.symbol.0 as usize] = number;
        }
        link.parts[index].statics = Some(statics);
    }
    Ok(())
}

fn address_of(kept: &KeptSymbol) -> Resolution {
    let (addr, kind) = (kept.addr, kept.kind);
    Resolution::Address { addr, kind }
}

/// A variable of the batch that is elsewhere already is what it is there.
fn where_it_is(link: &Link, resolution: Resolution) -> Resolution {
    let Resolution::InBatch { unit, symbol } = resolution else {
        return resolution;
    };
    let part = link.parts.get(unit as usize);
    let kept = part.and_then(|part| part.kept(symbol));
    kept.map_or(resolution, |kept| address_of(&kept))
}

/// Asks the session what each name is, and binds it.
fn ask(link: &Link, list: &[(DylibId, NameId)]) -> Result<Vec<External>, LinkError> {
    let errors = Mutex::new(Vec::new());
    let ask = |&(dylib, name): &(DylibId, NameId)| {
        let resolution = link.host.resolve(dylib, name);
        let resolution = null_if_absent(link, dylib, resolution);
        let resolution = where_it_is(link, resolution);
        let bound = bind(link, name, &resolution).unwrap_or_else(|error| {
            errors.lock().push(error);
            Binding::of(Bound::Value(0), 0)
        });
        External::new(dylib, name, resolution, &bound)
    };
    let externals = if list.len() < FEW {
        list.iter().map(ask).collect()
    } else {
        threads::share(|| list.par_iter().with_min_len(FEW).map(ask).collect())
    };
    join_errors(errors.into_inner())?;
    Ok(externals)
}

/// The bounds of a section that no object of the dylib has are null: code asks so whether there
/// is one.
fn null_if_absent(link: &Link, dylib: DylibId, resolution: Resolution) -> Resolution {
    let Resolution::Linker(
        LinkerDefined::SectionStart(section)
        | LinkerDefined::SectionEnd(section)
        | LinkerDefined::SectionSize(section),
    ) = &resolution
    else {
        return resolution;
    };
    let platform = link.context.platforms.of(dylib);
    let table = platform.section_name(LinkerSection::ResolverTable);
    if section == table && link.has_own_c_library() {
        // It comes later.
        return resolution;
    }
    let output = link.context.names.find(section.as_bytes());
    let mut of_dylib = link
        .parts
        .iter()
        .filter(|part| link.groups[part.group as usize].dylib == dylib);
    if of_dylib.any(|part| output.is_some_and(|output| has_section(&part.graph, output))) {
        resolution
    } else {
        Resolution::Null
    }
}

/// Whether a graph has a section of this name. One of which all lost to other objects is none.
fn has_section(graph: &LinkGraph, output: NameId) -> bool {
    let is_named = |section: &Section| section.output == output;
    if !graph.sections.iter().any(is_named) {
        return false;
    }
    let live = graph.blocks.iter().filter(|block| block.live);
    live.map(|block| &graph.sections[block.section.0 as usize])
        .any(is_named)
}

/// What an external is bound to, before anything is known of ranges.
struct Binding {
    bound: Bound,
    size: u64,
    number: bool,
}

impl Binding {
    const fn of(bound: Bound, size: u64) -> Self {
        let number = false;
        Self {
            bound,
            size,
            number,
        }
    }
}

fn bind(link: &Link, name: NameId, resolution: &Resolution) -> Result<Binding, LinkError> {
    Ok(match resolution {
        Resolution::InBatch { unit, symbol } => {
            let part = link.parts.get(*unit as usize);
            let target = part.and_then(|p| p.graph.symbols.get(symbol.0 as usize));
            let (part, symbol) = (*unit, *symbol);
            match target.map(|symbol| (symbol.target, symbol.size)) {
                Some((
                    target @ (Target::Defined { .. }
                    | Target::Absolute(_)
                    | Target::Computed { .. }),
                    size,
                )) => Binding {
                    bound: Bound::Part { part, symbol },
                    size,
                    number: target.is_number(),
                },
                Some((Target::External | Target::Discarded, _)) | None => {
                    return Err(LinkError::Internal(format!(
                        "{} was resolved to a definition that its object does not make",
                        link.context.names.text(name)
                    )));
                }
            }
        }
        // What lies so low is a number, or code of a range that is low itself.
        Resolution::Address { addr, kind, .. } => Binding {
            bound: Bound::Value(addr.value()),
            size: 0,
            number: *kind != SymbolKind::ThreadLocal
                && i32::try_from(addr.value().cast_signed()).is_ok(),
        },
        Resolution::Pending { .. } => Binding::of(Bound::Pending, 0),
        Resolution::Native(native) => Binding::of(Bound::Native, native.symbol.size),
        Resolution::Linker(LinkerDefined::TlsModuleBase) | Resolution::Null => {
            Binding::of(Bound::Value(0), 0)
        }
        Resolution::Linker(defined) => Binding {
            number: matches!(defined, LinkerDefined::SectionSize(_)),
            ..Binding::of(Bound::Linker, 0)
        },
    })
}

impl External {
    fn new(dylib: DylibId, name: NameId, resolution: Resolution, binding: &Binding) -> Self {
        Self {
            name,
            dylib,
            resolution,
            bound: binding.bound,
            class: TargetClass::Far,
            size: binding.size,
            uses: Uses::empty(),
            number: binding.number,
            is_code: false,
        }
    }
}

/// Numbers (dylib, name) pairs in the order of their first appearance.
#[derive(Default)]
struct Externals {
    list: Vec<(DylibId, NameId)>,
    numbers: HashMap<DylibId, NamePages<u32>>,
}
