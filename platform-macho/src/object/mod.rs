//! Relocatable Mach-O objects.
//!
//! [`MachObject::new`] reads the symbol table and no more. When a link needs the object,
//! [`ObjectFile::build_graph`] makes a graph of it:
//!
//! - A graph's symbol has the number of the object's symbol. Behind those follows a symbol for the beginning of each block,
//!   which relocations against sections lead to.
//! - A graph's block is an *atom*: what lies between two symbols of a section, if the object says that sections may be
//!   taken apart there, or else the whole section. Each literal is a block, which may be merged with its like. Blocks of common symbols, of functions that are added
//!   (see `added.rs`), and of frames follow.
//! - Content stays in the input. Only frames are written anew.

pub(crate) mod added;
pub(crate) mod blocks;
mod build;
mod describe;
pub(crate) mod interface;
mod languages;
mod literals;
mod output_section;
pub(crate) mod relocations;
pub(crate) mod symbols;
mod system;
#[cfg(test)]
mod tests;
pub(crate) mod view;

use std::sync::Arc;

use jit_core::cpu::Architecture;
use jit_core::graph::{InputBytes, LinkGraph};
use jit_core::name::{NameId, NameTable, NameUses};
use jit_core::object::{
    Claims, Computation, ComputationInput, ObjectError, ObjectFile, ObjectInterface,
};
use object::LittleEndian as LE;
use orc_inputs::wrapped::WrappedNames;
use orc_shared::printable_text;

use crate::platform::Host;
use view::{Place, View};

/// A relocatable Mach-O object.
pub struct MachObject {
    name: String,
    input: Arc<dyn InputBytes>,
    names: Arc<NameTable>,
    interface: ObjectInterface,
    /// Names of the symbols; that of nothing for local ones.
    global_names: Vec<NameId>,
    architecture: Architecture,
    /// Symbols that are other names of symbols, with these.
    aliases: Vec<(u32, u32)>,
    host: &'static Host,
    /// Dropped with the object: its names may leave the table then.
    _uses: NameUses,
}

impl MachObject {
    /// Reads what the object defines and needs, for programs on `host`. Undefined names get the meaning that
    /// `wrapped` gives them.
    ///
    /// `name` is for messages, as in "main.o" or "libfoo.a(bar.o)". Names are interned in `names`,
    /// which has to be the table of the session that links the object.
    ///
    /// # Errors
    /// When the file is no relocatable object for x86-64 or arm64, saying what it is and what to do; when it is
    /// truncated or damaged, or needs what the host does not have.
    pub fn new(
        name: impl Into<String>,
        input: Arc<dyn InputBytes>,
        names: &Arc<NameTable>,
        wrapped: &WrappedNames,
        host: &'static Host,
    ) -> Result<Self, ObjectError> {
        let name = printable_text(name.into().as_bytes());
        let scan = View::parse(input.bytes()).and_then(|view| {
            let scan = interface::scan(&view, &input, names, wrapped, host)?;
            Ok((view.machine.architecture, view.aliases(), scan))
        });
        match scan {
            Ok((architecture, aliases, scan)) => Ok(Self {
                name,
                input,
                names: Arc::clone(names),
                interface: scan.interface,
                global_names: scan.names,
                architecture,
                aliases,
                host,
                _uses: scan.uses,
            }),
            Err(message) => Err(ObjectError {
                object: name,
                message,
            }),
        }
    }
}

impl ObjectFile for MachObject {
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
        let known = self.names.bytes(name);
        let symbols = (0u32..).zip(view.symbols).zip(&self.global_names);
        let mut spellings = symbols
            .filter(|(_, meant)| **meant == name)
            .filter(|((index, symbol), _)| view.place(*index, symbol) == Ok(Place::Undefined))
            .filter_map(|((_, symbol), _)| view.name(symbol))
            .filter(|spelling| interface::plain_name(spelling) != known);
        spellings.next().map(<[u8]>::to_vec)
    }

    fn uses(&self, names: &[NameId]) -> Vec<bool> {
        let mut used = vec![false; names.len()];
        let Ok(view) = View::parse(self.input.bytes()) else {
            return used;
        };
        for section in &view.sections {
            for relocation in view.relocations(section).unwrap_or_default() {
                let info = relocation.info(LE);
                let name = self.global_names.get(info.r_symbolnum as usize);
                let at = names.iter().position(|asked| Some(asked) == name);
                if let Some(at) = at.filter(|_| info.r_extern) {
                    used[at] = true;
                }
            }
        }
        used
    }

    fn build_graph(&self, _: &Claims) -> Result<LinkGraph, ObjectError> {
        build::build(self).map_err(|message| ObjectError {
            object: self.name.clone(),
            message,
        })
    }

    fn computation(&self) -> Option<&dyn Computation> {
        (!self.aliases.is_empty()).then_some(self)
    }
}

/// The values of other names are those of the symbols.
impl Computation for MachObject {
    fn compute(&self, input: &dyn Fn(u32) -> ComputationInput) -> Result<Vec<(u32, u64)>, String> {
        let value = |(alias, of): &(u32, u32)| match input(*of) {
            ComputationInput::Known(value) => Ok((*alias, value)),
            ComputationInput::Undefined => Ok((*alias, 0)),
            ComputationInput::Unusable(why) => {
                let view = View::parse(self.input.bytes())?;
                let (alias, of) = (view.symbol_text(*alias), view.symbol_text(*of));
                Err(format!(
                    "the symbol {alias} is another name of {of}, which cannot be had: {why}"
                ))
            }
        };
        self.aliases.iter().map(value).collect()
    }
}

/// Reads arbitrary bytes as an object and builds its graph: the entry of the fuzz target. Never
/// panics.
pub fn fuzz_object(bytes: &[u8]) {
    let host = &crate::platform::PLAIN;
    let names = Arc::new(NameTable::default());
    let input = Arc::new(orc_inputs::input::OwnedBytes::from(bytes.to_vec()));
    let object = MachObject::new("fuzz.o", input, &names, &WrappedNames::default(), host);
    if let Ok(object) = object {
        let definitions = &object.interface.definitions;
        let all_lost = Claims {
            lost_symbols: definitions.iter().map(|d| d.symbol).collect(),
            ..Claims::default()
        };
        for claims in [Claims::default(), all_lost] {
            if let Ok(mut graph) = object.build_graph(&claims) {
                graph.apply(&claims);
                build::assert_valid(&graph);
            }
        }
    }
}
