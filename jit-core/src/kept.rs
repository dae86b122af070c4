//! Objects that are kept between links: read once, given to any number of sessions.
//!
//! A kept object has names of its own, in a table that belongs to whoever keeps it. A session that it is
//! given to sees it under the session's names; its graph is built once, and each link gets a copy in which
//! its names are the session's. What is in force of it is for each link to say ([`crate::claims`]).

use std::sync::Arc;

use hashbrown::HashMap;
use orc_shared::ExecutorAddr;
use parking_lot::Mutex;

use crate::cpu::Architecture;
use crate::graph::LinkGraph;
use crate::name::{NameId, NameTable, NameUses};
use crate::object::{Claims, Computation, ObjectError, ObjectFile, ObjectInterface};

/// An object with its graph and its own names.
pub struct KeptObject {
    object: Arc<dyn ObjectFile>,
    names: Arc<NameTable>,
    graph: LinkGraph,
}

impl KeptObject {
    /// Builds the object's graph, once for all links. `names` are those that the object was read with.
    ///
    /// # Errors
    /// Those of [`ObjectFile::build_graph`].
    pub fn new(object: Arc<dyn ObjectFile>, names: Arc<NameTable>) -> Result<Self, ObjectError> {
        let graph = object.build_graph(&Claims::default())?;
        Ok(Self {
            object,
            names,
            graph,
        })
    }

    /// The object for a session that has these names.
    #[must_use]
    pub fn give_to(self: &Arc<Self>, names: &Arc<NameTable>) -> GivenObject {
        let mut meanings = Meanings {
            from: Arc::clone(&self.names),
            to: NameUses::new(names),
            known: HashMap::new(),
        };
        let mut interface = self.object.interface().clone();
        let definitions = interface.definitions.iter_mut().map(|it| &mut it.name);
        let references = interface.references.iter_mut().map(|it| &mut it.name);
        for name in definitions.chain(references).chain(&mut interface.groups) {
            meanings.translate(name);
        }
        GivenObject {
            kept: Arc::clone(self),
            interface,
            names: Arc::clone(names),
            meanings: Mutex::new(meanings),
        }
    }

    /// The object's own id of a name of a session, if it has the name.
    fn own(&self, names: &NameTable, name: NameId) -> Option<NameId> {
        self.names.find(&names.bytes(name))
    }
}

/// A kept object, as one session sees it.
pub struct GivenObject {
    kept: Arc<KeptObject>,
    interface: ObjectInterface,
    names: Arc<NameTable>,
    meanings: Mutex<Meanings>,
}

impl ObjectFile for GivenObject {
    fn name(&self) -> &str {
        self.kept.object.name()
    }

    fn interface(&self) -> &ObjectInterface {
        &self.interface
    }

    fn architecture(&self) -> Option<Architecture> {
        self.kept.object.architecture()
    }

    fn spelling(&self, name: NameId) -> Option<Vec<u8>> {
        let own = self.kept.own(&self.names, name)?;
        self.kept.object.spelling(own)
    }

    fn uses(&self, names: &[NameId]) -> Vec<bool> {
        let own = names.iter().map(|name| self.kept.own(&self.names, *name));
        let own: Vec<Option<NameId>> = own.collect();
        let known: Vec<NameId> = own.iter().copied().flatten().collect();
        let mut used = self.kept.object.uses(&known).into_iter();
        let is_used = |name: &Option<NameId>| name.is_some() && used.next().unwrap_or(false);
        own.iter().map(is_used).collect()
    }

    fn build_graph(&self, _: &Claims) -> Result<LinkGraph, ObjectError> {
        let mut graph = self.kept.graph.clone();
        let mut meanings = self.meanings.lock();
        for section in &mut graph.sections {
            meanings.translate(&mut section.output);
            section
                .order_name
                .iter_mut()
                .for_each(|name| meanings.translate(name));
        }
        for symbol in &mut graph.symbols {
            // Symbols are packed: their parts cannot be borrowed.
            let mut name = symbol.name;
            name.iter_mut().for_each(|name| meanings.translate(name));
            symbol.name = name;
        }
        Ok(graph)
    }

    fn can_wait(&self) -> bool {
        self.kept.object.can_wait()
    }

    fn runs_early(&self) -> bool {
        self.kept.object.runs_early()
    }

    fn placed(&self, addresses: &[ExecutorAddr]) {
        self.kept.object.placed(addresses);
    }

    fn computation(&self) -> Option<&dyn Computation> {
        self.kept.object.computation()
    }
}

/// What names of one table are in another one, as far as it was asked for.
struct Meanings {
    from: Arc<NameTable>,
    to: NameUses,
    known: HashMap<NameId, NameId>,
}

impl Meanings {
    fn translate(&mut self, name: &mut NameId) {
        let (from, to) = (&self.from, &mut self.to);
        let meaning = self.known.entry(*name);
        *name = *meaning.or_insert_with(|| to.intern(&from.bytes(*name)));
    }
}
