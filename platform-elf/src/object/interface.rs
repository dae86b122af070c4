//! What an object defines and needs, read from its symbol table.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jit_core::graph::InputBytes;
use jit_core::name::{NameId, NameTable, NameUses};
use jit_core::object::{Definition, Linkage, ObjectInterface, Reference, Scope, SymbolKind};
use object::LittleEndian as LE;
use object::elf::{
    self, SHF_EXCLUDE, STB_GLOBAL, STB_GNU_UNIQUE, STB_LOCAL, STB_WEAK, STT_TLS, Sym64,
};
use object::read::elf::SectionHeader;

use super::check;
use super::groups::Groups;
use super::output_section::is_initializer;
use super::view::{Place, View};
use orc_inputs::name_budget::NameBudget;
use orc_inputs::wrapped::WrappedNames;

/// What the symbol table says, and what a graph built later needs of it.
pub(super) struct Scan {
    pub interface: ObjectInterface,
    /// Names of the symbols from the first global one on.
    pub global_names: Vec<NameId>,
    pub groups: Groups,
    /// The object's use of all its names.
    pub uses: NameUses,
}

/// Reads the symbol table's global part. `input` holds the object's bytes; undefined names get the
/// meaning that `wrapped` gives them.
///
/// # Errors
/// When a table is damaged, or the object holds compiler-internal code instead of machine code.
pub(super) fn scan(
    view: &View<'_>,
    input: &Arc<dyn InputBytes>,
    names: &Arc<NameTable>,
    wrapped: &WrappedNames,
) -> Result<Scan, String> {
    check::check(view)?;
    let globals = &view.symbols[view.first_global as usize..];
    let mut budget = NameBudget::of_file(view.bytes.len());
    let own_names = globals
        .iter()
        .map(|symbol| budget.take(|| view.symbol_name(symbol).unwrap_or_default()));
    let mut global_names = Vec::with_capacity(globals.len());
    let mut uses = NameUses::new(names);
    uses.intern_from(input, own_names, &mut global_names);
    budget.check("symbols")?;
    let groups = Groups::read(view, names, &mut uses, &global_names)?;
    let mut undefined = 0;
    for (name, symbol) in global_names.iter_mut().zip(globals) {
        if symbol.st_shndx.get(LE) == elf::SHN_UNDEF {
            *name = wrapped.meaning(*name);
            undefined += 1;
        }
    }
    let mut scan = Scan {
        interface: ObjectInterface {
            definitions: Vec::with_capacity(globals.len() - undefined),
            references: Vec::with_capacity(undefined),
            groups: groups.signatures.clone(),
            has_initializers: has_initializers(view),
        },
        global_names,
        groups,
        uses,
    };
    let empty = names.intern(b"");
    for (symbol, index) in globals.iter().zip(view.first_global..) {
        let name = scan.global_names[(index - view.first_global) as usize];
        // The null symbol comes first in every table; a table of nothing else may count it global.
        if index == 0 {
            continue;
        }
        if name == empty {
            return Err(format!("the global symbol {index} has no name"));
        }
        scan.add(view, index, symbol, name)?;
    }
    if view.is_in_symbol_names(b'@') {
        scan.split_versions(view);
    }
    scan.reject_slim_lto(names)?;
    Ok(scan)
}

impl Scan {
    fn add(
        &mut self,
        view: &View<'_>,
        index: u32,
        symbol: &Sym64<LE>,
        name: NameId,
    ) -> Result<(), String> {
        let bind = symbol.st_bind();
        if !matches!(bind, STB_GLOBAL | STB_WEAK | STB_GNU_UNIQUE) {
            return Err(format!(
                "the symbol {} ({index}) has the binding {}, but stands among the global ones",
                view.symbol_text(index),
                bind.0
            ));
        }
        let place = view.place(index, symbol)?;
        let excluded = matches!(place, Place::Section(s)
            if view.sections[s as usize].sh_flags(LE).contains(SHF_EXCLUDE));
        if place == Place::Undefined || excluded {
            self.interface.references.push(Reference {
                name,
                weak: bind == STB_WEAK,
                hidden: scope(symbol) == Scope::Hidden,
            });
            return Ok(());
        }
        self.interface.definitions.push(Definition {
            name,
            symbol: index,
            linkage: linkage(symbol, index, place)?,
            scope: scope(symbol),
            kind: kind(symbol),
            size: symbol.st_size.get(LE),
            group: match place {
                Place::Section(section) => self.groups.of(section),
                _ => None,
            },
        });
        Ok(())
    }

    /// gcc marks an object without machine code by a common symbol.
    fn reject_slim_lto(&self, names: &NameTable) -> Result<(), String> {
        let is_common = |d: &Definition| matches!(d.linkage, Linkage::Common { .. });
        if !self.interface.definitions.iter().any(is_common) {
            return Ok(());
        }
        let mark = names.intern(b"__gnu_lto_slim");
        let marked = |d: &Definition| is_common(d) && d.name == mark;
        match self.interface.definitions.iter().any(marked) {
            true => Err("holds gcc's internal code (-flto) and no machine code: \
                         compile without -flto, or with -ffat-lto-objects"
                .into()),
            false => Ok(()),
        }
    }

    /// Handles names that carry a version.
    ///
    /// "foo@@VER" defines `foo` and "foo@VER", the default version of `foo`; as a reference it means
    /// the latter. "foo@VER" is a name like any other: the session knows how to look it up.
    fn split_versions(&mut self, view: &View<'_>) {
        let first = view.first_global;
        let own: HashSet<NameId> = self.interface.definitions.iter().map(|d| d.name).collect();
        let mut versioned = Vec::new();
        let uses = &mut self.uses;
        let mut split = |symbol: u32| {
            let name = view.symbol_name(view.symbols.get(symbol as usize)?)?;
            let at = default_version(name)?;
            let version = [&name[..at], &name[at + 1..]].concat();
            Some((uses.intern(&name[..at]), uses.intern(&version)))
        };
        for definition in &mut self.interface.definitions {
            let Some((plain, version)) = split(definition.symbol) else {
                continue;
            };
            // An object that also defines `foo` itself means that by the plain name.
            if own.contains(&plain) {
                definition.name = version;
            } else {
                definition.name = plain;
                versioned.push(Definition {
                    name: version,
                    ..*definition
                });
            }
            self.global_names[(definition.symbol - first) as usize] = definition.name;
        }
        self.interface.definitions.append(&mut versioned);
        let mut renamed = HashMap::new();
        for (index, name) in (first..).zip(&mut self.global_names) {
            let undefined = |s: &Sym64<LE>| view.place(index, s) == Ok(Place::Undefined);
            if view.symbols.get(index as usize).is_some_and(undefined)
                && let Some((_, version)) = split(index)
            {
                renamed.insert(*name, version);
                *name = version;
            }
        }
        for reference in &mut self.interface.references {
            reference.name = renamed
                .get(&reference.name)
                .copied()
                .unwrap_or(reference.name);
        }
    }
}

/// Where "@@" stands in "foo@@VER": the default version of `foo`, which also defines plain `foo`.
pub(crate) fn default_version(name: &[u8]) -> Option<usize> {
    let at = memchr::memchr(b'@', name)?;
    (at > 0 && name[at + 1..].starts_with(b"@")).then_some(at)
}

fn linkage(symbol: &Sym64<LE>, index: u32, place: Place) -> Result<Linkage, String> {
    if matches!(place, Place::Common { .. }) {
        let align = symbol.st_value.get(LE).max(1);
        if !align.is_power_of_two() {
            return Err(format!(
                "the common symbol {index} has the alignment {align}, which is not a power of two"
            ));
        }
        return Ok(Linkage::Common {
            size: symbol.st_size.get(LE),
            align,
        });
    }
    Ok(match symbol.st_bind() {
        STB_WEAK | STB_GNU_UNIQUE => Linkage::Weak,
        _ => Linkage::Strong,
    })
}

/// Who may refer to the symbol.
pub(super) fn scope(symbol: &Sym64<LE>) -> Scope {
    if symbol.st_bind() == STB_LOCAL {
        return Scope::Local;
    }
    match symbol.st_visibility() {
        elf::STV_PROTECTED => Scope::Protected,
        elf::STV_HIDDEN | elf::STV_INTERNAL => Scope::Hidden,
        _ => Scope::Default,
    }
}

/// What the symbol names.
pub(super) fn kind(symbol: &Sym64<LE>) -> SymbolKind {
    match symbol.st_type() {
        elf::STT_FUNC => SymbolKind::Function,
        elf::STT_GNU_IFUNC => SymbolKind::IndirectFunction,
        elf::STT_OBJECT | elf::STT_COMMON => SymbolKind::Data,
        STT_TLS => SymbolKind::ThreadLocal,
        _ => SymbolKind::None,
    }
}

fn has_initializers(view: &View<'_>) -> bool {
    view.sections.iter().any(|section| {
        section.sh_size(LE) != 0
            && section.sh_flags(LE).contains(elf::SHF_ALLOC)
            && is_initializer(view.section_name_tail(section), section.sh_type(LE))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_in_names() {
        assert_eq!(default_version(b"foo@@V1"), Some(3));
        assert_eq!(default_version(b"foo@V1"), None);
        assert_eq!(default_version(b"@@V1"), None);
        assert_eq!(default_version(b"foo"), None);
    }
}
