//! Second step: what every name that graphs refer to and do not define means.
//!
//! The session is asked once per name and dylib, whatever the number of graphs that refer to it.

use hashbrown::HashMap;
use rayon::prelude::*;

use super::parallel::{self, PARALLEL_WORK};
use super::state::{Bound, External, Link, OWN, Uses};
use crate::arch::x86_64::lower::TargetClass;
use crate::batch::{DylibId, Resolution};
use crate::error::LinkError;
use crate::graph::{SymbolId, Target};
use crate::name::NameId;
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
    let mut externals = Externals::sized_for(&undefined);
    for (index, names) in undefined.iter().enumerate() {
        let dylib = link.dylib_of(index as u32);
        let numbers = names.iter().map(|(_, name)| externals.number(dylib, *name));
        let numbers: Vec<u32> = numbers.collect();
        let part = &mut link.parts[index];
        part.externals = vec![OWN; part.graph.symbols.len()];
        for ((symbol, _), number) in names.iter().zip(numbers) {
            part.externals[symbol.0 as usize] = number;
        }
    }
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
struct Externals {
    list: Vec<(DylibId, NameId)>,
    numbers: Numbers,
}

/// A table over all names pays where most of it is used; for a small batch in a large session a
/// hash map does.
enum Numbers {
    Dense(HashMap<DylibId, Vec<u32>>, usize),
    Hashed(HashMap<(DylibId, NameId), u32>),
}

impl Externals {
    fn sized_for(undefined: &[Vec<(SymbolId, NameId)>]) -> Self {
        let all = || undefined.iter().flatten();
        let count = all().count();
        let largest = all().map(|(_, name)| name.index()).max().unwrap_or(0);
        let numbers = if count >= PARALLEL_WORK && largest / 8 < count {
            Numbers::Dense(HashMap::new(), largest + 1)
        } else {
            Numbers::Hashed(HashMap::with_capacity(count))
        };
        Self {
            list: Vec::new(),
            numbers,
        }
    }

    fn number(&mut self, dylib: DylibId, name: NameId) -> u32 {
        let next = self.list.len() as u32;
        let number = match &mut self.numbers {
            Numbers::Dense(tables, size) => {
                let table = tables.entry(dylib).or_insert_with(|| vec![OWN; *size]);
                let number = &mut table[name.index()];
                if *number == OWN {
                    *number = next;
                }
                *number
            }
            Numbers::Hashed(map) => *map.entry((dylib, name)).or_insert(next),
        };
        if number == next {
            self.list.push((dylib, name));
        }
        number
    }
}
