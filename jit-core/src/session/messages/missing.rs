//! Names that nothing defines, as an error for a person: all of them at once, who needs each, where
//! it was looked for, and what the writer may have meant.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use orc_shared::{listed, printable};

use crate::error::LinkError;
use crate::name::NameId;

use crate::session::lookup::resolve::{Answer, Need, Resolver};
use crate::session::messages::hints;
use crate::session::messages::referrers::Referrers;
use crate::session::tables::ids::{IdSet, NameMap};
use crate::session::tables::state::State;
use crate::session::tables::unit::Source;

/// Missing symbols that a message has; the rest are counted.
const SHOWN_MAX: usize = 500;
/// Libraries that a message has for a dylib that was searched.
const LIBRARIES_MAX: usize = 50;
/// Objects named per missing symbol; the rest are counted.
const REFERRERS_MAX: usize = 5;
/// Missing symbols that get suggestions.
const SUGGESTED_FOR_MAX: usize = 20;
/// Suggestions per missing symbol.
const SUGGESTIONS_MAX: usize = 3;
/// Defined names that are compared at most, and byte pairs: suggestions are not worth a pause.
const CANDIDATES_MAX: usize = 50_000;
const COMPARED_BYTES_MAX: usize = 20_000_000;

/// Every missing symbol of a lookup.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MissingSymbols {
    /// The symbols, in the order they were met.
    pub symbols: Vec<MissingSymbol>,
    /// Dylibs that were searched, in order, with the files of their libraries.
    pub searched: Vec<String>,
}

/// One missing symbol.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MissingSymbol {
    /// The name as in the objects.
    pub name: Vec<u8>,
    /// Objects that refer to it: the first few. Empty if only the lookup asked for it.
    pub referenced_by: Vec<String>,
    /// Number of further objects that refer to it.
    pub more_references: usize,
    /// Similar names that are defined: the name and the object or archive that defines it.
    pub suggestions: Vec<(Vec<u8>, String)>,
    /// Why a definition that exists cannot be used.
    pub note: Option<String>,
}

impl fmt::Display for MissingSymbols {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for symbol in self.symbols.iter().take(SHOWN_MAX) {
            writeln!(
                f,
                "undefined symbol: {}",
                crate::demangle::describe(&symbol.name)
            )?;
            match (symbol.referenced_by.as_slice(), symbol.more_references) {
                ([], _) => {}
                (objects, 0) => writeln!(f, "  referenced by {}", objects.join(", "))?,
                (objects, more) => {
                    writeln!(f, "  referenced by {} and {more} more", objects.join(", "))?;
                }
            }
            for (name, owner) in &symbol.suggestions {
                let name = crate::demangle::describe(name);
                writeln!(f, "  did you mean {name}, defined in {owner}?")?;
            }
            if let Some(note) = &symbol.note {
                writeln!(f, "  note: {note}")?;
            }
        }
        let more = self.symbols.len().saturating_sub(SHOWN_MAX);
        if more > 0 {
            writeln!(f, "… and {more} more undefined symbols")?;
        }
        write!(f, "searched: {}", self.searched.join(", "))
    }
}

impl Resolver<'_> {
    /// The error for all names that are needed and not defined, if there are any.
    pub(in crate::session) fn missing_symbols(&self) -> Option<LinkError> {
        let mut missing: Vec<usize> = (0..self.slots.len())
            .filter(|at| {
                let slot = &self.slots[*at];
                let needed = slot.need == Need::Strong && !self.undefined_allowed;
                needed && matches!(slot.answer, Answer::Null)
            })
            .collect();
        if !missing.is_empty() {
            self.keep_used(&mut missing);
        }
        if missing.is_empty() {
            return None;
        }
        let mut report = MissingSymbols::default();
        let mut by_name: NameMap<usize> = NameMap::default();
        for at in &missing {
            let name = self.slots[*at].name;
            by_name.entry(name).or_insert_with(|| {
                let name = self.session.names.bytes(name);
                report.symbols.push(MissingSymbol {
                    note: hints::hint(&name),
                    name,
                    ..MissingSymbol::default()
                });
                report.symbols.len() - 1
            });
        }
        self.add_referrers(&mut report, &by_name);
        let candidates = {
            let state = self.session.state.lock();
            self.add_notes(&state, &missing, &by_name, &mut report);
            report.searched = self.searched(&state, &missing);
            let similar = Similar::to(&report.symbols);
            self.candidates(&state, &missing, &similar)
        };
        report.add_suggestions(&candidates);
        Some(LinkError::MissingSymbols(Arc::new(report)))
    }

    /// Drops names that are listed in symbol tables only: nothing refers to them, and nobody misses
    /// them.
    fn keep_used(&self, missing: &mut Vec<usize>) {
        let names: IdSet<NameId> = missing.iter().map(|at| self.slots[*at].name).collect();
        let mut used: IdSet<NameId> = IdSet::default();
        for source in self.sources() {
            let Source::Object(object) = &source else {
                continue;
            };
            let references = object.interface().references.iter().map(|r| r.name);
            let asked: Vec<NameId> = references.filter(|name| names.contains(name)).collect();
            if !asked.is_empty() {
                let answers = object.uses(&asked).into_iter();
                used.extend(
                    asked
                        .iter()
                        .zip(answers)
                        .filter(|(_, uses)| *uses)
                        .map(|(name, _)| *name),
                );
            }
        }
        missing.retain(|at| {
            let slot = &self.slots[*at];
            !slot.by_object || used.contains(&slot.name) || self.asked_for.contains(&(*at as u32))
        });
    }

    /// What the claimed units are made of.
    fn sources(&self) -> Vec<Source> {
        let state = self.session.state.lock();
        let units = self.units.iter();
        units.map(|id| state.units[*id].source.clone()).collect()
    }

    fn add_referrers(&self, report: &mut MissingSymbols, by_name: &NameMap<usize>) {
        let mut referrers = Referrers::default();
        for source in self.sources() {
            // An object may have two names for what it refers to.
            let mut told = IdSet::default();
            let (mut names, mut symbols) = (Vec::new(), Vec::new());
            for reference in &source.interface().references {
                let Some(symbol) = by_name.get(&reference.name) else {
                    continue;
                };
                if !told.insert(*symbol) {
                    continue;
                }
                if report.symbols[*symbol].referenced_by.len() < REFERRERS_MAX {
                    names.push(reference.name);
                    symbols.push(*symbol);
                } else {
                    report.symbols[*symbol].more_references += 1;
                }
            }
            for (symbol, text) in symbols.into_iter().zip(referrers.describe(&source, &names)) {
                report.symbols[symbol].referenced_by.push(text);
            }
        }
    }

    /// Explains definitions that exist and were not used.
    fn add_notes(
        &self,
        state: &State,
        missing: &[usize],
        by_name: &NameMap<usize>,
        report: &mut MissingSymbols,
    ) {
        for slot in missing.iter().map(|at| &self.slots[*at]) {
            if slot.hidden
                && let Some(symbol) = by_name.get(&slot.name)
            {
                let note = "it is referred to as hidden, so no library's definition is meant";
                report.symbols[*symbol].note.get_or_insert(note.to_owned());
            }
            for dylib in state.dylib(slot.dylib).link_order.iter() {
                let Some((unit, _)) = state.dylib(*dylib).defined(slot.name) else {
                    continue;
                };
                let owner = state.unit_name(unit);
                let note = if *dylib == slot.dylib {
                    format!("{owner} defines it, but it was dropped as unreachable when linked")
                } else {
                    let dylib = &state.dylib(*dylib).name;
                    format!("{owner} of dylib \"{dylib}\" defines it, but hidden")
                };
                if let Some(symbol) = by_name.get(&slot.name) {
                    report.symbols[*symbol].note = Some(note);
                }
            }
        }
    }

    /// The dylibs that missing names were looked for in, each once.
    fn searched(&self, state: &State, missing: &[usize]) -> Vec<String> {
        let mut dylibs = Vec::new();
        for slot in missing.iter().map(|at| &self.slots[*at]) {
            for dylib in state.dylib(slot.dylib).link_order.iter() {
                if !dylibs.contains(dylib) {
                    dylibs.push(*dylib);
                }
            }
        }
        let describe = |dylib: &crate::batch::DylibId| {
            let dylib = state.dylib(*dylib);
            let sonames = dylib.natives.iter().map(|native| native.library.soname());
            let mut told = HashSet::new();
            let sonames = sonames.filter(|soname| told.insert(*soname));
            let sonames = sonames.map(|soname| printable(soname.as_bytes()));
            match listed(sonames, ", ", LIBRARIES_MAX) {
                libraries if libraries.is_empty() => dylib.name.clone(),
                libraries => format!("{} (with {libraries})", dylib.name),
            }
        };
        dylibs.iter().map(describe).collect()
    }

    /// Names that are defined where missing ones were looked for and look like them, with who defines
    /// them.
    fn candidates(
        &self,
        state: &State,
        missing: &[usize],
        similar: &Similar,
    ) -> Vec<(Vec<u8>, String)> {
        let mut dylibs: Vec<_> = missing.iter().map(|at| self.slots[*at].dylib).collect();
        dylibs.sort_unstable();
        dylibs.dedup();
        let orders = dylibs
            .iter()
            .flat_map(|d| state.dylib(*d).link_order.iter())
            .map(|dylib| state.dylib(*dylib));
        orders
            .flat_map(|dylib| dylib.table.iter().map(move |entry| (dylib, entry)))
            .take(CANDIDATES_MAX)
            .map(|(dylib, (name, entry))| (dylib, self.session.names.bytes(name), entry))
            .filter(|(_, name, _)| similar.may_be_meant(name))
            .map(|(dylib, name, entry)| {
                let owner = match entry.unit() {
                    Some(unit) => state.unit_name(unit),
                    None => dylib
                        .archives
                        .get(&entry.owner)
                        .map_or_else(String::new, |a| a.objects.name().to_owned()),
                };
                (name, owner)
            })
            .collect()
    }
}

impl MissingSymbols {
    fn add_suggestions(&mut self, candidates: &[(Vec<u8>, String)]) {
        let names: Vec<_> = candidates
            .iter()
            .map(|(name, _)| String::from_utf8_lossy(name))
            .collect();
        let mut budget = COMPARED_BYTES_MAX;
        for symbol in self.symbols.iter_mut().take(SUGGESTED_FOR_MAX) {
            let missing = String::from_utf8_lossy(&symbol.name).into_owned();
            let function = function_part(&symbol.name);
            let far = match missing.len() {
                0..=3 => 1,
                4..=7 => 2,
                _ => 3,
            };
            let mut near = Vec::new();
            for (name, (raw, owner)) in names.iter().zip(candidates) {
                if *name == missing {
                    continue;
                }
                let same_function = function.is_some_and(|part| raw.starts_with(part));
                if name.len().abs_diff(missing.len()) >= far && !same_function {
                    continue;
                }
                let Some(left) = budget.checked_sub(name.len() * missing.len()) else {
                    return;
                };
                budget = left;
                let distance = strsim::osa_distance(name, &missing);
                if distance < far || same_function {
                    near.push((distance, raw, owner));
                }
            }
            near.sort();
            let best = near.into_iter().take(SUGGESTIONS_MAX);
            symbol.suggestions = best
                .map(|(_, name, owner)| (name.clone(), owner.clone()))
                .collect();
        }
    }
}

/// What names must look like to be worth comparing with missing ones.
struct Similar {
    lengths: [bool; 256],
    functions: Vec<Vec<u8>>,
}

impl Similar {
    fn to(symbols: &[MissingSymbol]) -> Self {
        let mut similar = Self {
            lengths: [false; 256],
            functions: Vec::new(),
        };
        for symbol in symbols.iter().take(SUGGESTED_FOR_MAX) {
            let length = symbol.name.len();
            for near in length.saturating_sub(2)..=length + 2 {
                if let Some(wanted) = similar.lengths.get_mut(near) {
                    *wanted = true;
                }
            }
            let function = function_part(&symbol.name);
            similar.functions.extend(function.map(<[u8]>::to_vec));
        }
        similar
    }

    fn may_be_meant(&self, name: &[u8]) -> bool {
        let length = self.lengths.get(name.len()).copied().unwrap_or(false);
        length || self.functions.iter().any(|part| name.starts_with(part))
    }
}

/// The part of a C++ function's mangled name before its parameters, as far as it is a plain, possibly
/// qualified name: functions that share it differ in their parameters only.
fn function_part(name: &[u8]) -> Option<&[u8]> {
    let nested = name.starts_with(b"_ZN");
    let mut at = if nested { 3 } else { 2 };
    if !name.starts_with(b"_Z") {
        return None;
    }
    loop {
        let digits = name.get(at..)?.iter().take_while(|b| b.is_ascii_digit());
        let end = at + digits.count();
        if end == at {
            break;
        }
        let length: usize = std::str::from_utf8(name.get(at..end)?).ok()?.parse().ok()?;
        at = end.checked_add(length)?;
        if !nested {
            break;
        }
    }
    if nested && name.get(at) != Some(&b'E') {
        return None;
    }
    let end = at + usize::from(nested);
    name.get(..end).filter(|part| part.len() > 3)
}

#[cfg(test)]
mod tests {
    use super::function_part;

    #[test]
    fn the_part_of_a_mangled_name_before_the_parameters() {
        let part = |name: &'static str| {
            function_part(name.as_bytes()).map(|part| str::from_utf8(part).expect("is text"))
        };
        assert_eq!(part("_Z3fooi"), Some("_Z3foo"));
        assert_eq!(part("_ZN2ns3fooERKSs"), Some("_ZN2ns3fooE"));
        assert_eq!(part("_ZN2ns3fooIiEEvT_"), None);
        assert_eq!(part("_ZNSt6vectorE"), None);
        assert_eq!(part("_Z99999999999999999999999foo"), None);
        assert_eq!(part("_Z9foo"), None);
        assert_eq!(part("_Z"), None);
        assert_eq!(part("foo"), None);
    }
}
