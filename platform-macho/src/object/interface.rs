//! What an object defines and needs, read from its symbol table.

use std::sync::Arc;

use jit_core::graph::InputBytes;
use jit_core::name::{NameId, NameTable, NameUses};
use jit_core::object::{Definition, Linkage, ObjectInterface, Reference, Scope, SymbolKind};
use object::LittleEndian as LE;
use object::macho::{self, Nlist64};
use orc_inputs::name_budget::NameBudget;
use orc_inputs::wrapped::WrappedNames;

use super::added;
use super::languages;
use super::symbols::{is_weak_reference, scope};
use super::view::{self, Place, View};
use crate::platform::{Host, Meaning};

/// What the symbol table says, and what a graph built later needs of it.
pub(super) struct Scan {
    pub interface: ObjectInterface,
    /// The name of each symbol, as the session knows it; that of nothing for local ones.
    pub names: Vec<NameId>,
    /// The object's use of all its names.
    pub uses: NameUses,
}

/// Reads the symbol table. `input` holds the object's bytes; undefined names get the meaning that `wrapped` gives
/// them.
///
/// # Errors
/// When the table is damaged, or the object needs what `host` does not have.
pub(super) fn scan(
    view: &View<'_>,
    input: &Arc<dyn InputBytes>,
    table: &Arc<NameTable>,
    wrapped: &WrappedNames,
    host: &Host,
) -> Result<Scan, String> {
    let mut budget = NameBudget::of_file(view.bytes.len());
    let mut names = Vec::with_capacity(view.symbols.len());
    let mut uses = NameUses::new(table);
    let own = view
        .symbols
        .iter()
        .map(|symbol| match view::is_global(symbol) {
            true => budget.take(|| plain_name(view.name(symbol).unwrap_or_default())),
            false => &[],
        });
    uses.intern_from(input, own, &mut names);
    budget.check("symbols")?;
    let mut scan = Scan {
        interface: ObjectInterface {
            has_initializers: has_initializers(view),
            ..ObjectInterface::default()
        },
        names,
        uses,
    };
    for (index, symbol) in (0u32..).zip(view.symbols) {
        let place = view.place(index, symbol)?;
        if !view::is_global(symbol) {
            continue;
        }
        if view.name(symbol).is_none_or(<[u8]>::is_empty) {
            return Err(format!(
                "the global symbol {index} has no name in the table of names"
            ));
        }
        match place {
            Place::Undefined => scan.refer(view, index, symbol, (wrapped, host))?,
            _ => scan.define(view, index, symbol, place),
        }
    }
    if let Some(function) = languages::told(view, &host.languages) {
        scan.add_references(languages::references(function));
        scan.interface.has_initializers = true;
    }
    Ok(scan)
}

impl Scan {
    fn refer(
        &mut self,
        view: &View<'_>,
        index: u32,
        symbol: &Nlist64<LE>,
        (wrapped, host): (&WrappedNames, &Host),
    ) -> Result<(), String> {
        let spelled = plain_name(view.name(symbol).unwrap_or_default());
        if let Some(code) = added::code_for(view.machine, spelled) {
            self.add_references(code.edges.iter().map(|(_, name, ..)| *name));
            return Ok(());
        }
        let name = &mut self.names[index as usize];
        match (host.meaning)(view.machine.architecture, spelled) {
            Meaning::Itself => {}
            Meaning::Other(other) => *name = self.uses.intern(other.as_bytes()),
            Meaning::Refused(why) => {
                return Err(format!("needs {}, which {why}", view.symbol_text(index)));
            }
        }
        *name = wrapped.meaning(*name);
        let name = *name;
        self.interface.references.push(Reference {
            name,
            weak: is_weak_reference(symbol),
            hidden: scope(symbol) == Scope::Hidden,
        });
        Ok(())
    }

    /// The names that something needs which the reader adds.
    fn add_references(&mut self, names: impl IntoIterator<Item = &'static str>) {
        for name in names {
            let name = self.uses.intern(name.as_bytes());
            self.interface.references.push(Reference {
                name,
                weak: false,
                hidden: false,
            });
        }
    }

    fn define(&mut self, view: &View<'_>, index: u32, symbol: &Nlist64<LE>, place: Place) {
        let section = match place {
            Place::Section { section, .. } => view.sections.get(section as usize),
            _ => None,
        };
        let is_weak = symbol.n_desc.get(LE).contains(macho::N_WEAK_DEF);
        let (linkage, size) = match place {
            Place::Common { size, align } => (Linkage::Common { size, align }, size),
            _ if is_weak => (Linkage::Weak, 0),
            _ => (Linkage::Strong, 0),
        };
        let flags = section.map(|section| section.flags.get(LE));
        let kind = match flags.map(|flags| (flags, flags.typ())) {
            Some((_, macho::S_THREAD_LOCAL_REGULAR | macho::S_THREAD_LOCAL_ZEROFILL)) => {
                SymbolKind::ThreadLocal
            }
            Some((flags, _))
                if flags.contains(macho::S_ATTR_PURE_INSTRUCTIONS)
                    || flags.contains(macho::S_ATTR_SOME_INSTRUCTIONS) =>
            {
                SymbolKind::Function
            }
            Some(_) => SymbolKind::Data,
            None if size > 0 => SymbolKind::Data,
            None => SymbolKind::None,
        };
        self.interface.definitions.push(Definition {
            name: self.names[index as usize],
            symbol: index,
            linkage,
            scope: scope(symbol),
            kind,
            size,
            group: None,
        });
    }
}

/// A name as C spells it: without the underscore that Mach-O puts in front of all names of C.
pub(crate) fn plain_name(name: &[u8]) -> &[u8] {
    name.strip_prefix(b"_").unwrap_or(name)
}

fn has_initializers(view: &View<'_>) -> bool {
    view.sections.iter().any(|section| {
        let kind = section.flags.get(LE).typ();
        section.size.get(LE) != 0
            && matches!(
                kind,
                macho::S_MOD_INIT_FUNC_POINTERS | macho::S_MOD_TERM_FUNC_POINTERS
            )
    })
}
