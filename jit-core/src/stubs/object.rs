//! The object that stubs, trampolines and pointers are linked from.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use orc_shared::ExecutorAddr;

use super::describe::DescribeStubs;
use super::frames::{Frames, Places};
use super::registry::LazyCalls;
use super::set::{POINTER_SIZE, StubSet};
use crate::cpu::{Architecture, Cpu, ForCpu, Stub};
use crate::graph::{
    Block, BlockId, Content, Edge, EdgeKind, InputBytes, LinkGraph, NamedFunction, Section,
    SectionId, SectionKind, Symbol, SymbolId, Target,
};
use crate::name::{NameId, NameTable, NameUses};
use crate::object::{
    Claims, Definition, Linkage, ObjectError, ObjectFile, ObjectInterface, Reference, Scope,
    SymbolKind,
};
use crate::platform::{LinkerSection, Platform};

/// The runtime's function that trampolines call.
pub(crate) const REENTER: &[u8] = b"__orc_rt_reenter";

/// The blocks, each in a section of its own number.
pub(super) const STUBS: BlockId = BlockId(0);
pub(super) const TRAMPOLINES: BlockId = BlockId(1);
const POINTERS: BlockId = BlockId(2);
const FRAMES: BlockId = BlockId(3);

/// A function that gets a stub.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StubName {
    /// The stub's name.
    pub name: NameId,
    /// The name for backtraces.
    pub shown: NameId,
    /// How it competes with other definitions.
    pub linkage: Linkage,
    /// Who sees it.
    pub scope: Scope,
}

/// Output sections of stubs, of their pointers and of their frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StubSections {
    /// Code.
    pub code: NameId,
    /// Writable data.
    pub data: NameId,
    /// How to unwind through the code.
    pub frames: NameId,
}

impl StubSections {
    /// As the format names them.
    pub(crate) fn new(platform: &dyn Platform, names: &NameTable) -> Self {
        let name = |section| names.intern(platform.section_name(section).as_bytes());
        Self {
            code: name(LinkerSection::Stubs),
            data: name(LinkerSection::StubPointers),
            frames: name(LinkerSection::Frames),
        }
    }
}

/// Stubs as an object. Its definitions are the functions, in order; then the first pointer and the
/// first trampoline, under names that no object can spell.
pub struct StubsObject {
    name: String,
    architecture: Architecture,
    sections: StubSections,
    interface: ObjectInterface,
    set: Arc<StubSet>,
    calls: Arc<LazyCalls>,
    /// The functions' names as C strings, and where each begins.
    strings: Arc<Strings>,
    starts: Vec<u32>,
    /// Of its names.
    _uses: NameUses,
}

/// C strings.
pub(super) struct Strings(pub(super) Vec<u8>);

impl InputBytes for Strings {
    fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl StubsObject {
    /// The object of a set's stubs, which are known to `calls` once they are linked. `uses` has the stubs' names.
    #[must_use]
    pub(crate) fn new(
        mut uses: NameUses,
        architecture: Architecture,
        sections: StubSections,
        stubs: &[StubName],
        set: Arc<StubSet>,
        calls: Arc<LazyCalls>,
    ) -> Self {
        /// Tells the objects apart, for names that nothing else has.
        static MADE: AtomicU64 = AtomicU64::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("<stubs {number}>");
        let places = ["pointers", "trampolines"].map(|what| {
            let name = uses.intern(format!("<{what} of stubs {number}>").as_bytes());
            (name, Linkage::Strong, Scope::Hidden, SymbolKind::None)
        });
        let functions = stubs
            .iter()
            .map(|stub| (stub.name, stub.linkage, stub.scope, SymbolKind::Function));
        let definition = |(symbol, (name, linkage, scope, kind))| Definition {
            name,
            symbol,
            linkage,
            scope,
            kind,
            size: 0,
            group: None,
        };
        let reenter = Reference {
            name: uses.intern(REENTER),
            weak: false,
            hidden: false,
        };
        let interface = ObjectInterface {
            definitions: (0u32..)
                .zip(functions.chain(places))
                .map(definition)
                .collect(),
            references: vec![reenter],
            ..ObjectInterface::default()
        };
        let mut strings = Vec::new();
        let mut starts = Vec::with_capacity(stubs.len());
        for stub in stubs {
            starts.push(strings.len() as u32);
            uses.table().append_bytes(stub.shown, &mut strings);
            strings.push(0);
        }
        Self {
            name,
            architecture,
            sections,
            interface,
            set,
            calls,
            strings: Arc::new(Strings(strings)),
            starts,
            _uses: uses,
        }
    }

    fn count(&self) -> u32 {
        self.starts.len() as u32
    }
}

impl ObjectFile for StubsObject {
    fn name(&self) -> &str {
        &self.name
    }

    fn interface(&self) -> &ObjectInterface {
        &self.interface
    }

    fn architecture(&self) -> Option<Architecture> {
        Some(self.architecture)
    }

    fn placed(&self, addresses: &[ExecutorAddr]) {
        self.set.place(addresses);
        self.calls.add(&self.set);
    }

    fn build_graph(&self, _: &Claims) -> Result<LinkGraph, ObjectError> {
        Ok(self.architecture.run(BuildGraph { object: self }))
    }
}

/// Builds the graph with the code of a CPU.
struct BuildGraph<'a> {
    object: &'a StubsObject,
}

impl ForCpu for BuildGraph<'_> {
    type Output = LinkGraph;

    fn run<C: Cpu>(self) -> LinkGraph {
        let object = self.object;
        let count = object.count();
        let symbols = self.symbols(C::STUB.code.len() as u64);
        let [pointers, trampolines, reenter] = [0, 1, 2].map(|at| SymbolId(count + at));
        let mut tables = Tables::default();
        tables.add(C::STUB, count, |index| (pointers, POINTER_SIZE * index));
        tables.add(C::TRAMPOLINE, count, |_| (reenter, 0));
        let trampoline_size = C::TRAMPOLINE.code.len() as u64;
        tables.add(POINTER, count, |index| {
            (trampolines, trampoline_size * index)
        });
        let frames = Frames::new::<C>(
            count,
            &Places {
                block: FRAMES,
                first_edge: tables.edges.len() as u32,
                stubs: SymbolId(count + 3),
                trampolines,
            },
        );
        tables.add_frames(&frames);
        let functions = (0..count).zip(&object.starts);
        let functions = functions.map(|(index, name)| NamedFunction {
            symbol: SymbolId(index),
            name: *name,
        });
        let describe = DescribeStubs {
            strings: object.strings.clone(),
            starts: object.starts.clone(),
            stub_size: C::STUB.code.len() as u64,
            trampoline_size,
        };
        LinkGraph {
            name: object.name.clone(),
            architecture: Some(object.architecture),
            input: object.strings.clone(),
            owned: tables.owned,
            sections: object.sections.list(),
            blocks: tables.blocks,
            functions: functions.collect(),
            symbols,
            edges: tables.edges,
            frames: frames.frames,
            retained: [STUBS, POINTERS, TRAMPOLINES].to_vec(),
            groups: Vec::new(),
            commons: Vec::new(),
            displaced: Vec::new(),
            executable_stack: false,
            describe: Some(Arc::new(describe)),
            uses: None,
        }
    }
}

impl BuildGraph<'_> {
    /// The functions, the tables' starts, what trampolines call, and the start of all stubs, whatever becomes of
    /// the first function's name.
    fn symbols(&self, stub_size: u64) -> Vec<Symbol> {
        let object = self.object;
        let count = object.count();
        let of_definition = |definition: &Definition| {
            let (block, offset) = match definition.symbol {
                index if index < count => (STUBS, stub_size * u64::from(index)),
                index if index == count => (POINTERS, 0),
                _ => (TRAMPOLINES, 0),
            };
            Symbol {
                name: Some(definition.name),
                target: Target::Defined { block, offset },
                size: if block == STUBS { stub_size } else { 0 },
                scope: definition.scope,
                kind: definition.kind,
                weak: false,
            }
        };
        let of_reference = |reference: &Reference| Symbol {
            name: Some(reference.name),
            target: Target::External,
            size: 0,
            scope: Scope::Default,
            kind: SymbolKind::Function,
            weak: false,
        };
        let definitions = object.interface.definitions.iter().map(of_definition);
        let references = object.interface.references.iter().map(of_reference);
        let stubs = Symbol {
            name: None,
            target: Target::Defined {
                block: STUBS,
                offset: 0,
            },
            size: 0,
            scope: Scope::Local,
            kind: SymbolKind::None,
            weak: false,
        };
        definitions.chain(references).chain([stubs]).collect()
    }
}

impl StubSections {
    /// The sections, numbered as the blocks.
    fn list(self) -> Vec<Section> {
        let section = |output, kind| Section {
            output,
            kind,
            order: 0,
            order_name: None,
            bounds_retained: false,
            mergeable: false,
        };
        vec![
            section(self.code, SectionKind::Text),
            section(self.code, SectionKind::Text),
            section(self.data, SectionKind::ReadWrite),
            section(self.frames, SectionKind::ReadOnly),
        ]
    }
}

/// A pointer, written as a piece of code is.
const POINTER: Stub = Stub {
    code: &[0; POINTER_SIZE as usize],
    align: POINTER_SIZE,
    edges: &[(0, EdgeKind::POINTER64, 0)],
    requests: &[],
};

/// Blocks of equal pieces.
#[derive(Default)]
struct Tables {
    owned: Vec<u8>,
    edges: Vec<Edge>,
    blocks: Vec<Block>,
}

impl Tables {
    /// Adds a block of `count` pieces; `target` says what the edges of each refer to, by its number.
    fn add(&mut self, piece: Stub, count: u32, target: impl Fn(u64) -> (SymbolId, u64)) {
        let (content, first) = (self.owned.len(), self.edges.len() as u32);
        let size = piece.code.len() as u32;
        for index in 0..count {
            self.owned.extend_from_slice(piece.code);
            let (target, distance) = target(index.into());
            let edges = piece.edges.iter();
            self.edges.extend(edges.map(|&(offset, kind, addend)| Edge {
                offset: index * size + offset,
                target,
                addend: addend + distance.cast_signed(),
                kind,
            }));
        }
        let size = u64::from(size) * u64::from(count);
        self.push(content, size, piece.align, first);
    }

    /// Adds the block of frames, and says which are whose.
    fn add_frames(&mut self, frames: &Frames) {
        let (content, first) = (self.owned.len(), self.edges.len() as u32);
        self.owned.extend_from_slice(&frames.bytes);
        self.edges.extend_from_slice(&frames.edges);
        self.push(content, frames.bytes.len() as u64, 8, first);
        let all = frames.frames.len() as u32;
        self.blocks[STUBS.0 as usize].frames = 0..frames.of_stubs;
        self.blocks[TRAMPOLINES.0 as usize].frames = frames.of_stubs..all;
    }

    /// Adds a block, in the section of its own number: what was added to `owned` and `edges` last.
    fn push(&mut self, content: usize, size: u64, align: u64, first_edge: u32) {
        self.blocks.push(Block {
            section: SectionId(self.blocks.len() as u32),
            content: Content::Owned(content..self.owned.len()),
            size,
            align,
            edges: first_edge..self.edges.len() as u32,
            frames: 0..0,
            live: true,
            address: ExecutorAddr::NULL,
        });
    }
}
