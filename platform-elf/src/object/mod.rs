//! Relocatable ELF objects.
//!
//! [`ElfObject::new`] reads the symbol table's global part and no more. When a link needs the
//! object, [`ObjectFile::build_graph`] makes a graph of it:
//!
//! - A graph's symbol has the number of the ELF symbol. A few symbols may follow that the object
//!   does not have (see `keep_alive.rs`).
//! - A graph's block is one allocated section; blocks are numbered in section order, without the
//!   sections that are not in memory or lost to another object's group. Blocks of common symbols
//!   follow.
//! - Content stays in the input. Only compressed sections and `.ctors` are copied.

mod blocks;
mod build;
mod can_wait;
mod check;
pub(crate) mod content;
mod describe;
mod groups;
mod identify;
pub(crate) mod interface;
mod keep_alive;
mod output_section;
mod relocations;
mod symbols;
#[cfg(test)]
mod tests;
mod uses;
pub(crate) mod view;

use std::sync::Arc;

use jit_core::cpu::Architecture;
use jit_core::graph::{InputBytes, LinkGraph};
use jit_core::name::{NameId, NameTable, NameUses};
use jit_core::object::{Claims, ObjectError, ObjectFile, ObjectInterface};
use object::LittleEndian as LE;
use object::elf::SHN_UNDEF;
use orc_inputs::wrapped::WrappedNames;
use orc_shared::printable_text;

use groups::Groups;
use view::View;

/// A relocatable ELF object.
pub struct ElfObject {
    name: String,
    input: Arc<dyn InputBytes>,
    names: Arc<NameTable>,
    interface: ObjectInterface,
    /// Names of the symbols from the first global one on.
    global_names: Vec<NameId>,
    groups: Groups,
    architecture: Architecture,
    /// Dropped with the object: its names may leave the table then.
    _uses: NameUses,
}

/// A text that a linker prints when something refers to the symbol (`.gnu.warning.SYMBOL`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SymbolWarning {
    /// The symbol's name.
    pub symbol: Vec<u8>,
    /// What the object's author has to say, printable.
    pub text: String,
}

impl ElfObject {
    /// Reads what the object defines and needs.
    ///
    /// `name` is for messages, as in "main.o" or "libfoo.a(bar.o)". Names are interned in `names`,
    /// which has to be the table of the session that links the object.
    ///
    /// # Errors
    /// When the file is no relocatable object for x86-64 or AArch64, saying what it is and what to do; when it is
    /// truncated or damaged.
    pub fn new(
        name: impl Into<String>,
        input: Arc<dyn InputBytes>,
        names: &Arc<NameTable>,
    ) -> Result<Self, ObjectError> {
        Self::with_wrapped(name, input, names, &WrappedNames::default())
    }

    /// Like [`Self::new`], with symbols that are wrapped (`--wrap`).
    ///
    /// # Errors
    /// Those of [`Self::new`].
    pub fn with_wrapped(
        name: impl Into<String>,
        input: Arc<dyn InputBytes>,
        names: &Arc<NameTable>,
        wrapped: &WrappedNames,
    ) -> Result<Self, ObjectError> {
        let name = printable_text(name.into().as_bytes());
        let scan = View::parse(input.bytes()).and_then(|view| {
            let scan = interface::scan(&view, &input, names, wrapped)?;
            Ok((view.machine.architecture, scan))
        });
        match scan {
            Ok((
                architecture,
                interface::Scan {
                    interface,
                    global_names,
                    groups,
                    uses,
                },
            )) => Ok(Self {
                architecture,
                name,
                input,
                names: Arc::clone(names),
                interface,
                global_names,
                groups,
                _uses: uses,
            }),
            Err(message) => Err(ObjectError {
                object: name,
                message,
            }),
        }
    }

    /// The warnings that the object attaches to symbols.
    #[must_use]
    pub fn warnings(&self) -> Vec<SymbolWarning> {
        let Ok(view) = View::parse(self.input.bytes()) else {
            return Vec::new();
        };
        let warning = |(index, section): (usize, _)| {
            let symbol = view.section_name(section).strip_prefix(b".gnu.warning.")?;
            let text = view.content(index as u32).ok()?;
            let end = text.iter().rposition(|byte| *byte != 0);
            let text = printable_text(&text[..end.map_or(0, |last| last + 1)]);
            Some(SymbolWarning {
                symbol: symbol.to_vec(),
                text,
            })
        };
        view.sections
            .iter()
            .enumerate()
            .filter_map(warning)
            .collect()
    }
}

impl ObjectFile for ElfObject {
    fn name(&self) -> &str {
        &self.name
    }

    fn architecture(&self) -> Option<Architecture> {
        Some(self.architecture)
    }

    fn interface(&self) -> &ObjectInterface {
        &self.interface
    }

    fn spelling(&self, name: NameId) -> Option<Vec<u8>> {
        let view = View::parse(self.input.bytes()).ok()?;
        let globals = (view.first_global..).zip(&self.global_names);
        let spellings = globals
            .filter(|(_, meant)| **meant == name)
            .filter_map(|(index, _)| view.symbols.get(index as usize))
            .filter(|symbol| symbol.st_shndx.get(LE) == SHN_UNDEF)
            .filter_map(|symbol| view.symbol_name(symbol));
        let known = self.names.bytes(name);
        let mut others = spellings.filter(|spelling| *spelling != known);
        others.next().map(<[u8]>::to_vec)
    }

    fn uses(&self, names: &[NameId]) -> Vec<bool> {
        uses::of(self, names)
    }

    fn can_wait(&self) -> bool {
        can_wait::of(self)
    }

    fn runs_early(&self) -> bool {
        can_wait::runs_early(self)
    }

    fn build_graph(&self, claims: &Claims) -> Result<LinkGraph, ObjectError> {
        build::build(self, claims).map_err(|message| ObjectError {
            object: self.name.clone(),
            message,
        })
    }
}

/// Reads arbitrary bytes as an object and builds its graph: the entry of the fuzz target. Never
/// panics.
pub fn fuzz_object(bytes: &[u8]) {
    let names = Arc::new(NameTable::default());
    let input = Arc::new(orc_inputs::input::OwnedBytes::from(bytes.to_vec()));
    if let Ok(object) = ElfObject::new("fuzz.o", input, &names) {
        let all_lost = Claims {
            lost_groups: (0..object.interface.groups.len() as u32).collect(),
            lost_symbols: object
                .interface
                .definitions
                .iter()
                .map(|d| d.symbol)
                .collect(),
            commons: Vec::new(),
        };
        for claims in [Claims::default(), all_lost] {
            if let Ok(mut graph) = object.build_graph(&claims) {
                graph.apply(&claims);
                crate::object::build::assert_valid(&graph);
            }
        }
    }
}
