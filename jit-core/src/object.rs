//! What the session and the linker ask of an object file, whatever its format.

use std::sync::Arc;

use orc_shared::ExecutorAddr;

use crate::cpu::Architecture;
use crate::graph::LinkGraph;
use crate::name::NameId;

pub use crate::symbol::{Linkage, Scope, SymbolKind};

/// A global definition of an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Definition {
    /// The name.
    pub name: NameId,
    /// The graph's symbol for it: the same number as [`crate::graph::SymbolId`] in the graph that
    /// [`ObjectFile::build_graph`] makes.
    pub symbol: u32,
    /// How it competes.
    pub linkage: Linkage,
    /// Who sees it.
    pub scope: Scope,
    /// What it names.
    pub kind: SymbolKind,
    /// Size in bytes, 0 when unknown.
    pub size: u64,
    /// The COMDAT group it is a member of, as an index into [`ObjectInterface::groups`].
    pub group: Option<u32>,
}

/// A global name that an object refers to and does not define.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reference {
    /// The name.
    pub name: NameId,
    /// Whether it may stay undefined (its address is then null).
    pub weak: bool,
    /// Whether its definition must be in the same program or library.
    pub hidden: bool,
}

/// What an object defines and needs, read from its symbol table alone.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ObjectInterface {
    /// Global definitions.
    pub definitions: Vec<Definition>,
    /// Undefined names.
    pub references: Vec<Reference>,
    /// Signatures of its COMDAT groups: the first group with a signature in a dylib is kept.
    pub groups: Vec<NameId>,
    /// Whether the object has initializers, so that running its dylib must link it.
    pub has_initializers: bool,
}

/// Which of an object's definitions and groups are in force; the others lost to another object.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    /// Indexes of groups (into [`ObjectInterface::groups`]) whose sections are discarded.
    /// Sorted.
    pub lost_groups: Vec<u32>,
    /// Symbols (see [`Definition::symbol`]) whose definition was overridden: they become references
    /// to the winner. Sorted.
    pub lost_symbols: Vec<u32>,
    /// For common symbols that won: (symbol, size, align) to allocate, the largest seen. Sorted.
    pub commons: Vec<(u32, u64, u64)>,
}

/// An error of reading an object: which object, where in it, what is wrong, what to do.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{object}: {message}")]
pub struct ObjectError {
    /// The object, as in "libfoo.a(bar.o)".
    pub object: String,
    /// What is wrong, with the section or symbol, and what to do about it.
    pub message: String,
}

impl ObjectError {
    /// An object for another CPU than the one that the session links for.
    #[must_use]
    pub fn for_another_cpu(object: &str, of: Architecture, session: Architecture) -> Self {
        Self {
            object: object.to_owned(),
            message: format!(
                "is an {} object, this session links {}: compile it for this machine",
                of.name(),
                session.name()
            ),
        }
    }
}

/// A relocatable object, known by its symbol table until a link needs its content.
pub trait ObjectFile: Send + Sync {
    /// The name for messages, as in "main.o" or "libfoo.a(bar.o)".
    fn name(&self) -> &str;

    /// What it defines and needs.
    fn interface(&self) -> &ObjectInterface;

    /// The CPU it is for; none for one that fits all.
    fn architecture(&self) -> Option<Architecture> {
        None
    }

    /// The name that the object itself has for a reference to `name`, if its reader was told to take
    /// the one for the other. For messages.
    fn spelling(&self, name: NameId) -> Option<Vec<u8>> {
        let _ = name;
        None
    }

    /// Which of `names`, all among its references, something in it refers to. A symbol table may list
    /// names that nothing uses. Asked for missing names only.
    fn uses(&self, names: &[NameId]) -> Vec<bool> {
        vec![true; names.len()]
    }

    /// Parses sections, symbols and relocations into a graph. Called without any lock held, from
    /// any thread, possibly more than once (after a link that failed).
    ///
    /// Claims are not applied ([`LinkGraph::apply`] does that, and the linker calls it). What they discard
    /// may be left out, as far as a reader saves work by that: with default claims, the graph is whole.
    ///
    /// # Errors
    /// When the object is malformed or uses something unsupported, naming section and symbol.
    fn build_graph(&self, claims: &Claims) -> Result<LinkGraph, ObjectError>;

    /// Whether it can be linked when one of its functions is first called, and nobody notices: nothing of it
    /// has to be in the program beside its functions and what these refer to. That is so if it has no
    /// initializers or finalizers, adds to no section whose bounds can be asked for, and needs no certain
    /// place. Asked in lazy dylibs only.
    fn can_wait(&self) -> bool {
        false
    }

    /// Whether a function of it runs while it is linked (a resolver of an indirect function): all that it refers to is
    /// linked with it. Asked in lazy dylibs only.
    fn runs_early(&self) -> bool {
        false
    }

    /// Hears where its definitions are, in the order of [`ObjectInterface::definitions`], before any code
    /// of the link can run. The link may still fail.
    fn placed(&self, addresses: &[ExecutorAddr]) {
        let _ = addresses;
    }

    /// Computes symbols of its graph ([`crate::graph::Target::Computed`]), if it has such.
    fn computation(&self) -> Option<&dyn Computation> {
        None
    }
}

/// Symbols whose values follow from those of others, once these are known.
pub trait Computation: Send + Sync {
    /// The values of all symbols that are computed, given those of the graph's other symbols.
    ///
    /// # Errors
    /// What cannot be computed, one message each.
    fn compute(&self, input: &dyn Fn(u32) -> ComputationInput) -> Result<Vec<(u32, u64)>, String>;
}

/// What is known of a symbol that others are computed from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ComputationInput {
    /// Its value.
    Known(u64),
    /// Nothing defines it.
    Undefined,
    /// It has no value that can be computed with, for this reason.
    Unusable(&'static str),
}

/// Objects that are linked only when one of their definitions is needed: a static archive.
pub trait LazyObjects: Send + Sync {
    /// The name for messages, as in "libfoo.a".
    fn name(&self) -> &str;

    /// Every (name, member) of the archive's index; the member number is for [`Self::load`].
    fn index(&self) -> &[(NameId, u32)];

    /// Number of members.
    fn len(&self) -> u32;

    /// Whether there are no members.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads a member's symbol table. Called without any lock held, in parallel for many members.
    ///
    /// # Errors
    /// When the member is not a readable object.
    fn load(&self, member: u32) -> Result<Arc<dyn ObjectFile>, ObjectError>;
}
