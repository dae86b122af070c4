//! The object: symbols without content.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jit_core::graph::{
    Block, BlockId, Content, DescribeGraph, Edge, EdgeKind, InputBytes, LinkGraph, Section,
    SectionId, SectionKind, Symbol, SymbolId, Target,
};
use jit_core::name::{NameId, NameTable};
use jit_core::object::{
    Claims, Computation, Definition, Linkage, ObjectError, ObjectFile, ObjectInterface, Reference,
    Scope, SymbolKind,
};
use orc_shared::ExecutorAddr;

use super::steps::Steps;
use crate::platform::{end_of_section, start_of_section};
use orc_inputs::linker_script::{Role, Use};
use orc_inputs::wrapped::WrappedNames;

/// The object of some assignments.
pub(super) struct AssignedObject {
    pub(super) name: String,
    pub(super) steps: Steps,
    interface: ObjectInterface,
    /// Per definition: its step.
    pub(super) defined: Vec<usize>,
    /// Names of all symbols: those that are defined, then those that are referred to.
    texts: Arc<Vec<String>>,
    /// The number of a symbol that is referred to.
    pub(super) numbers: HashMap<String, u32>,
    symbols: Vec<Symbol>,
    output: NameId,
}

impl AssignedObject {
    pub(super) fn new(
        steps: Steps,
        aliases: &[(String, String)],
        names: &NameTable,
        wrapped: &WrappedNames,
    ) -> Self {
        let mut object = Self {
            name: steps.sources(),
            interface: ObjectInterface::default(),
            defined: Vec::new(),
            texts: Arc::default(),
            numbers: HashMap::new(),
            symbols: Vec::new(),
            output: names.intern(b".rodata"),
            steps,
        };
        let mut texts = Vec::new();
        let aliases: HashSet<&str> = aliases.iter().map(|(alias, _)| alias.as_str()).collect();
        for at in object.steps.last() {
            object.define(at, &aliases, names, &mut texts);
        }
        object.refer(names, wrapped, &mut texts);
        object.texts = Arc::new(texts);
        object
    }

    fn define(
        &mut self,
        at: usize,
        aliases: &HashSet<&str>,
        names: &NameTable,
        texts: &mut Vec<String>,
    ) {
        let step = &self.steps.all[at];
        let (text, hidden, linkage) = match &step.role {
            Role::Define { name, hidden } => (name, *hidden, Linkage::Override),
            Role::Provide { name, hidden } => (name, *hidden, Linkage::Weak),
            Role::Check => return,
        };
        if aliases.contains(text.as_str()) {
            return;
        }
        let scope = if hidden {
            Scope::Hidden
        } else {
            Scope::Default
        };
        let name = names.intern(text.as_bytes());
        let symbol = self.symbols.len() as u32;
        self.interface.definitions.push(Definition {
            name,
            symbol,
            linkage,
            scope,
            kind: SymbolKind::None,
            size: 0,
            group: None,
        });
        let mut looked_at = 0;
        let range = self.steps.range(&step.value, at, &mut looked_at);
        self.symbols.push(Symbol {
            name: Some(name),
            target: Target::Computed {
                block: BlockId(0),
                range,
            },
            size: 0,
            scope,
            kind: SymbolKind::None,
            weak: false,
        });
        self.defined.push(at);
        texts.push(text.clone());
    }

    /// Notes what values depend on.
    fn refer(&mut self, names: &NameTable, wrapped: &WrappedNames, texts: &mut Vec<String>) {
        for (at, step) in self.steps.all.iter().enumerate() {
            step.value.for_each_symbol(true, &mut |used, needed| {
                let text = match used {
                    Use::Symbol(name) if self.steps.step_of(name, at).is_some() => return,
                    Use::Symbol(name) => name.to_owned(),
                    Use::SectionStart(name) => start_of_section(name),
                    Use::SectionEnd(name) => end_of_section(name),
                };
                let next = self.symbols.len() as u32;
                let number = *self.numbers.entry(text.clone()).or_insert(next);
                let name = wrapped.meaning(names.intern(text.as_bytes()));
                if number == next {
                    self.symbols.push(Symbol {
                        name: Some(name),
                        target: Target::External,
                        size: 0,
                        scope: Scope::Default,
                        kind: SymbolKind::None,
                        weak: !needed,
                    });
                    self.interface.references.push(Reference {
                        name,
                        weak: !needed,
                        hidden: false,
                    });
                    texts.push(text);
                } else if needed {
                    let at = number as usize - self.defined.len();
                    self.interface.references[at].weak = false;
                    self.symbols[number as usize].weak = false;
                }
            });
        }
    }
}

impl ObjectFile for AssignedObject {
    fn name(&self) -> &str {
        &self.name
    }

    fn interface(&self) -> &ObjectInterface {
        &self.interface
    }

    fn build_graph(&self, _: &Claims) -> Result<LinkGraph, ObjectError> {
        let symbols = self.symbols.clone();
        let edge = |symbol: usize| Edge {
            offset: 0,
            target: SymbolId(symbol as u32),
            addend: 0,
            kind: EdgeKind::NONE,
        };
        let edges: Vec<Edge> = (self.defined.len()..symbols.len()).map(edge).collect();
        Ok(LinkGraph {
            name: self.name.clone(),
            architecture: None,
            input: Arc::new(NoInput),
            owned: Vec::new(),
            sections: vec![Section {
                output: self.output,
                kind: SectionKind::ReadOnly,
                order: 0,
                order_name: None,
                bounds_retained: false,
                mergeable: false,
            }],
            blocks: vec![Block {
                section: SectionId(0),
                content: Content::Zero,
                size: 0,
                align: 1,
                edges: 0..edges.len() as u32,
                frames: 0..0,
                live: true,
                address: ExecutorAddr::NULL,
            }],
            symbols,
            edges,
            frames: Vec::new(),
            functions: Vec::new(),
            // What a value depends on stays in memory.
            retained: vec![BlockId(0)],
            groups: Vec::new(),
            commons: Vec::new(),
            displaced: Vec::new(),
            executable_stack: false,
            describe: Some(Arc::new(Names(self.texts.clone()))),
            uses: None,
        })
    }

    fn computation(&self) -> Option<&dyn Computation> {
        Some(self)
    }
}

/// Names of the object's symbols, for messages.
struct Names(Arc<Vec<String>>);

impl DescribeGraph for Names {
    fn block_section(&self, _: BlockId) -> String {
        "*ABS*".to_owned()
    }

    fn symbol(&self, symbol: SymbolId) -> String {
        self.0.get(symbol.0 as usize).cloned().unwrap_or_default()
    }
}

/// There is no file.
struct NoInput;

impl InputBytes for NoInput {
    fn bytes(&self) -> &[u8] {
        &[]
    }
}
