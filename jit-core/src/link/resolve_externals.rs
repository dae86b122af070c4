//! Second step: what every name that graphs refer to and do not define means.
//!
//! The session is asked once per name and dylib, whatever the number of graphs that refer to it.

use hashbrown::HashMap;
use rayon::prelude::*;

use super::parallel;
use super::state::{Bound, External, Link, OWN, Uses, table_of_symbols};
use crate::arch::x86_64::lower::TargetClass;
use crate::batch::{DylibId, Resolution};
use crate::error::LinkError;
use crate::graph::{SymbolId, Target};
use crate::name::NameId;
use crate::name_pages::NamePages;
use crate::platform::LinkerDefined;

/// Names that one question to the session carries, so that questions are answered in parallel.
const NAMES_AT_ONCE: usize = 4096;

/// Fills [`Link::externals`] and every part's table of externals.
pub(super) fn resolve_externals(link: &mut Link) -> Result<(), LinkError> {
    let undefined: Vec<Vec<(SymbolId, NameId)>> = parallel::map_parts(&link.parts, |_, part| {
        let symbols = part.graph.symbols.iter().enumerate();
        symbols
            .filter(|(_, symbol)| symbol.target == Target::External)
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
    let resolutions = ask(link, &externals.list);
    for ((dylib, name), resolution) in externals.list.into_iter().zip(resolutions) {
        let resolution = null_if_absent(link, dylib, resolution?);
        let external = bind(link, dylib, name, resolution)?;
        link.externals.push(external);
    }
    Ok(())
}

/// Asks the session, in runs of names of one dylib.
fn ask(link: &Link, list: &[(DylibId, NameId)]) -> Vec<Result<Resolution, LinkError>> {
    let runs: Vec<&[(DylibId, NameId)]> = list
        .chunk_by(|a, b| a.0 == b.0)
        .flat_map(|run| run.chunks(NAMES_AT_ONCE))
        .collect();
    let host = &link.host;
    let ask = |run: &&[(DylibId, NameId)]| -> Vec<Result<Resolution, LinkError>> {
        let Some(&(dylib, _)) = run.first() else {
            return Vec::new();
        };
        let names: Vec<NameId> = run.iter().map(|(_, name)| *name).collect();
        let answers = host.resolve(dylib, &names);
        if answers.len() == names.len() {
            answers.into_iter().map(Ok).collect()
        } else {
            let message = "the session left names unresolved".to_owned();
            vec![Err(LinkError::Internal(message)); names.len()]
        }
    };
    if runs.len() == 1 {
        ask(&runs[0])
    } else {
        runs.par_iter().flat_map_iter(ask).collect()
    }
}

/// The bounds of a section that no object of the dylib has are null: code asks so whether there
/// is one.
fn null_if_absent(link: &Link, dylib: DylibId, resolution: Resolution) -> Resolution {
    let Resolution::Linker(
        LinkerDefined::SectionStart(section) | LinkerDefined::SectionEnd(section),
    ) = &resolution
    else {
        return resolution;
    };
    let output = link.context.names.find(section.as_bytes());
    let mut of_dylib = link
        .parts
        .iter()
        .filter(|part| link.groups[part.group as usize].dylib == dylib)
        .flat_map(|part| &part.graph.sections);
    if of_dylib.any(|section| Some(section.output) == output) {
        resolution
    } else {
        Resolution::Null
    }
}

/// The linker's record of an external, before anything is known of ranges.
fn bind(
    link: &Link,
    dylib: DylibId,
    name: NameId,
    resolution: Resolution,
) -> Result<External, LinkError> {
    let mut size = 0;
    let bound = match &resolution {
        Resolution::InBatch { unit, symbol } => {
            let part = link.parts.get(*unit as usize);
            let target = part.and_then(|p| p.graph.symbols.get(symbol.0 as usize));
            size = target.map_or(0, |symbol| symbol.size);
            match target.map(|symbol| symbol.target) {
                Some(Target::Defined { .. } | Target::Absolute(_)) => Bound::Part {
                    part: *unit,
                    symbol: *symbol,
                },
                Some(Target::External | Target::Discarded) | None => {
                    return Err(LinkError::Internal(format!(
                        "{} was resolved to a definition that its object does not make",
                        link.context.names.text(name)
                    )));
                }
            }
        }
        Resolution::Address { addr, .. } => Bound::Value(addr.value()),
        Resolution::Pending { .. } => Bound::Pending,
        Resolution::Native(native) => {
            size = native.symbol.size;
            Bound::Native
        }
        Resolution::Linker(LinkerDefined::TlsModuleBase) | Resolution::Null => Bound::Value(0),
        Resolution::Linker(_) => Bound::Linker,
    };
    Ok(External {
        name,
        dylib,
        resolution,
        bound,
        class: TargetClass::Far,
        size,
        uses: Uses::empty(),
    })
}

/// Numbers (dylib, name) pairs in the order of their first appearance.
#[derive(Default)]
struct Externals {
    list: Vec<(DylibId, NameId)>,
    numbers: HashMap<DylibId, NamePages<u32>>,
}
