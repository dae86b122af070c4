//! Objects that every dylib gets: what a compiler driver would link from its start-up files.
//!
//! - *The header.* Compilers pass the address of `__dso_handle` to `__cxa_atexit`, so that a
//!   library's destructors can be run when it is closed; the runtime identifies a dylib by that
//!   address. What stands there is, by convention, the address itself, and not an ELF header.
//! - *`atexit`.* The C library's own is linked into every program and library, because it has to
//!   pass that library's `__dso_handle` on.
//! - *`_DYNAMIC`.* Linkers define it in everything that a loader loads, hidden; programs walk the table
//!   there to the loader's list of what is in the process (`DT_DEBUG`, `struct r_debug`). No file is behind linked
//!   code, so the table has no entries that describe one.
//! - *Start and end of `.init` and `.fini`.* Old assembly contributes fragments of code to these
//!   sections, which are concatenated into two functions. `crti.o` and `crtn.o` bring the functions' first and
//!   last instructions; here they are called through the initializer arrays.
//!
//! They are objects like any other, made in memory.

mod aarch64;
mod code;
mod x86_64;

use std::sync::Arc;

use jit_core::cpu::{Architecture, StubEdge};
use jit_core::graph::{
    Block, BlockId, Content, Edge, EdgeKind, InputBytes, LinkGraph, Section, SectionId,
    SectionKind, Symbol, SymbolId, Target,
};
use jit_core::name::NameTable;
use jit_core::object::{
    Claims, Definition, Linkage, ObjectError, ObjectFile, ObjectInterface, Reference, Scope,
    SymbolKind,
};
use orc_shared::ExecutorAddr;

use self::code::SupportCode;

/// The name of what calls a program's entry point as the kernel would.
pub(super) const PROCESS_START: &str = "__orc_process_start";

/// The name of a dylib's header.
pub(super) const HEADER: &str = "__dso_handle";

/// The function that starts a profile (`-pg`).
pub(super) const PROFILE_START: &str = "__gmon_start__";

/// The name of a dylib's table for the loader.
pub(super) const DYNAMIC: &str = "_DYNAMIC";

/// What marks a dylib that has [`SupportObject::init_and_fini`]. No object can spell it.
pub(super) const PROGRAM_START: &str = "<.init and .fini>";

/// An object made in memory.
pub struct SupportObject {
    name: &'static str,
    architecture: Option<Architecture>,
    interface: ObjectInterface,
    sections: Vec<Section>,
    blocks: Vec<Block>,
    symbols: Vec<Symbol>,
    edges: Vec<Edge>,
    content: Vec<u8>,
    /// Blocks that stay, whatever refers to them.
    retained: Vec<BlockId>,
}

impl SupportObject {
    /// Defines `__dso_handle`: 8 bytes that hold their own address.
    #[must_use]
    pub fn header(names: &NameTable) -> Self {
        let mut made = Builder::new("<dylib header>", names, None);
        let handle = made.define(HEADER, SymbolKind::Data, Linkage::Strong, 8);
        let block = made.block(".orc_header", SectionKind::RelocatedReadOnly, 0, 8, &[0; 8]);
        made.edges(&[(0, EdgeKind::POINTER64, 0)], handle);
        made.place(handle, block);
        made.finish()
    }

    /// Defines `atexit`, weakly: the C library's static part has one too.
    #[must_use]
    pub fn atexit(names: &NameTable, architecture: Architecture) -> Self {
        let code = &SupportCode::of(architecture).atexit;
        let mut made = Builder::new("<atexit>", names, Some(architecture));
        let size = code.bytes.len() as u64;
        let atexit = made.define("atexit", SymbolKind::Function, Linkage::Weak, size);
        let handle = made.refer(HEADER);
        let cxa_atexit = made.refer("__cxa_atexit");
        let block = made.block(".text", SectionKind::Text, 0, 16, code.bytes);
        made.edges(code.first, handle);
        made.edges(code.second, cxa_atexit);
        made.place(atexit, block);
        made.finish()
    }

    /// Defines `_DYNAMIC`: an entry that leads to the loader's `_r_debug`, and the end.
    #[must_use]
    pub fn dynamic_section(names: &NameTable) -> Self {
        /// A tag and a value each: `DT_DEBUG`, `DT_NULL`.
        const TABLE: [u64; 4] = [21, 0, 0, 0];
        let mut made = Builder::new("<dynamic section>", names, None);
        let table = made.define(DYNAMIC, SymbolKind::Data, Linkage::Weak, 32);
        let debug = made.refer_weakly("_r_debug");
        let bytes = TABLE.map(u64::to_le_bytes).concat();
        let block = made.block(".dynamic", SectionKind::RelocatedReadOnly, 0, 8, &bytes);
        made.edges(&[(8, EdgeKind::POINTER64, 0)], debug);
        made.place(table, block);
        made.finish()
    }

    /// Defines a function of `main`'s type that jumps to `entry` with the stack that the kernel gives a
    /// process (psABI, process initialization): the number of arguments, the arguments, the
    /// environment and the auxiliary vector, up from the stack pointer. The vectors lie in one piece
    /// behind the arguments that the runtime passes.
    #[must_use]
    pub fn process_start(names: &NameTable, architecture: Architecture, entry: &str) -> Self {
        let code = &SupportCode::of(architecture).process_start;
        let mut made = Builder::new("<process start>", names, Some(architecture));
        let size = code.bytes.len() as u64;
        let start = made.define(PROCESS_START, SymbolKind::Function, Linkage::Strong, size);
        let entry = made.refer(entry);
        let block = made.block(".text", SectionKind::Text, 0, 16, code.bytes);
        made.edges(code.first, entry);
        made.place(start, block);
        made.finish()
    }

    /// Calls `__gmon_start__` in `.init`, where `crti.o` does: what a start-up file for profiles (`gcrt1.o`)
    /// has to do before anything else.
    #[must_use]
    pub fn profile_start(names: &NameTable, architecture: Architecture) -> Self {
        let code = SupportCode::of(architecture);
        let mut made = Builder::new("<profile start>", names, Some(architecture));
        let start = made.refer(PROFILE_START);
        let call = &code.profile_start;
        made.block(".init", SectionKind::Text, 0, code.code_align, call.bytes);
        made.edges(call.first, start);
        made.interface.has_initializers = true;
        made.finish()
    }

    /// Brackets the fragments in `.init` and `.fini` and has them called: `.init` before all other
    /// initializers, `.fini` after all other finalizers.
    #[must_use]
    pub fn init_and_fini(names: &NameTable, architecture: Architecture) -> Self {
        let code = SupportCode::of(architecture);
        let (prologue, align) = (code.prologue, code.code_align);
        let size = prologue.len() as u64;
        let mut made = Builder::new(PROGRAM_START, names, Some(architecture));
        let init = made.define("_init", SymbolKind::Function, Linkage::Weak, size);
        let fini = made.define("_fini", SymbolKind::Function, Linkage::Weak, size);
        for (symbol, section) in [(init, ".init"), (fini, ".fini")] {
            let start = made.block(section, SectionKind::Text, 0, align, prologue);
            made.place(symbol, start);
            made.block(section, SectionKind::Text, u32::MAX, align, code.epilogue);
        }
        // Finalizers run from the last to the first.
        for (symbol, array) in [(init, ".init_array"), (fini, ".fini_array")] {
            made.block(array, SectionKind::RelocatedReadOnly, 0, 8, &[0; 8]);
            made.edges(&[(0, EdgeKind::POINTER64, 0)], symbol);
        }
        let marker = made.define(PROGRAM_START, SymbolKind::None, Linkage::Strong, 0);
        made.place(marker, BlockId(0));
        made.interface.has_initializers = true;
        made.finish()
    }
}

impl ObjectFile for SupportObject {
    fn name(&self) -> &str {
        self.name
    }

    fn architecture(&self) -> Option<Architecture> {
        self.architecture
    }

    fn interface(&self) -> &ObjectInterface {
        &self.interface
    }

    fn build_graph(&self, _: &Claims) -> Result<LinkGraph, ObjectError> {
        Ok(LinkGraph {
            name: self.name.to_owned(),
            architecture: self.architecture,
            input: Arc::new(NoInput),
            owned: self.content.clone(),
            sections: self.sections.clone(),
            blocks: self.blocks.clone(),
            symbols: self.symbols.clone(),
            edges: self.edges.clone(),
            frames: Vec::new(),
            functions: Vec::new(),
            retained: self.retained.clone(),
            groups: Vec::new(),
            commons: Vec::new(),
            displaced: Vec::new(),
            executable_stack: false,
            describe: None,
            uses: None,
        })
    }
}

/// Puts such an object together.
struct Builder<'a> {
    names: &'a NameTable,
    made: SupportObject,
}

impl std::ops::Deref for Builder<'_> {
    type Target = SupportObject;
    fn deref(&self) -> &SupportObject {
        &self.made
    }
}

impl std::ops::DerefMut for Builder<'_> {
    fn deref_mut(&mut self) -> &mut SupportObject {
        &mut self.made
    }
}

impl<'a> Builder<'a> {
    fn new(name: &'static str, names: &'a NameTable, architecture: Option<Architecture>) -> Self {
        let made = SupportObject {
            name,
            architecture,
            interface: ObjectInterface::default(),
            sections: Vec::new(),
            blocks: Vec::new(),
            symbols: Vec::new(),
            edges: Vec::new(),
            content: Vec::new(),
            retained: Vec::new(),
        };
        Self { names, made }
    }

    fn symbol(&mut self, name: &str, kind: SymbolKind, size: u64) -> SymbolId {
        let id = SymbolId(self.symbols.len() as u32);
        let name = self.names.intern(name.as_bytes());
        self.symbols.push(Symbol {
            name: Some(name),
            target: Target::External,
            size,
            scope: Scope::Hidden,
            kind,
            weak: false,
        });
        id
    }

    /// A hidden definition; [`Self::place`] says where.
    fn define(&mut self, name: &str, kind: SymbolKind, linkage: Linkage, size: u64) -> SymbolId {
        let id = self.symbol(name, kind, size);
        let name = self.names.intern(name.as_bytes());
        self.interface.definitions.push(Definition {
            name,
            symbol: id.0,
            linkage,
            scope: Scope::Hidden,
            kind,
            size,
            group: None,
        });
        id
    }

    fn refer(&mut self, name: &str) -> SymbolId {
        self.refer_to(name, false)
    }

    fn refer_weakly(&mut self, name: &str) -> SymbolId {
        self.refer_to(name, true)
    }

    fn refer_to(&mut self, name: &str, weak: bool) -> SymbolId {
        let id = self.symbol(name, SymbolKind::None, 0);
        if let Some(symbol) = self.symbols.last_mut() {
            symbol.scope = Scope::Default;
            symbol.weak = weak;
        }
        let name = self.names.intern(name.as_bytes());
        self.interface.references.push(Reference {
            name,
            weak,
            hidden: false,
        });
        id
    }

    /// A block in a section of its own, retained unless it is something to refer to.
    fn block(
        &mut self,
        output: &str,
        kind: SectionKind,
        order: u32,
        align: u64,
        content: &[u8],
    ) -> BlockId {
        let section = SectionId(self.sections.len() as u32);
        let output_name = self.names.intern(output.as_bytes());
        self.sections.push(Section {
            output: output_name,
            kind,
            order,
            order_name: None,
            bounds_retained: false,
            mergeable: false,
        });
        let start = self.content.len();
        self.content.extend_from_slice(content);
        let end = self.content.len();
        let edges = self.edges.len() as u32;
        self.blocks.push(Block {
            section,
            content: Content::Owned(start..end),
            size: content.len() as u64,
            align,
            edges: edges..edges,
            frames: 0..0,
            live: true,
            address: ExecutorAddr::NULL,
        });
        if !matches!(output, ".text" | ".dynamic") {
            self.made.retained.push(BlockId(section.0));
        }
        BlockId(section.0)
    }

    /// Edges of the newest block.
    fn edges(&mut self, edges: &[StubEdge], target: SymbolId) {
        let edges = edges.iter().map(|&(offset, kind, addend)| Edge {
            offset,
            target,
            addend,
            kind,
        });
        self.made.edges.extend(edges);
        let end = self.edges.len() as u32;
        if let Some(block) = self.blocks.last_mut() {
            block.edges.end = end;
        }
    }

    /// The symbol is defined at the block's start.
    fn place(&mut self, symbol: SymbolId, block: BlockId) {
        if let Some(symbol) = self.symbols.get_mut(symbol.0 as usize) {
            symbol.target = Target::Defined { block, offset: 0 };
        }
    }

    fn finish(self) -> SupportObject {
        self.made
    }
}

/// These objects borrow nothing.
struct NoInput;

impl InputBytes for NoInput {
    fn bytes(&self) -> &[u8] {
        &[]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_definition_has_a_place_and_every_edge_a_block() {
        let names = NameTable::default();
        let cpus = [Architecture::X86_64, Architecture::Aarch64];
        let of_cpu = |cpu| {
            [
                SupportObject::atexit(&names, cpu),
                SupportObject::process_start(&names, cpu, "_start"),
                SupportObject::init_and_fini(&names, cpu),
                SupportObject::profile_start(&names, cpu),
            ]
        };
        let of_all = [
            SupportObject::header(&names),
            SupportObject::dynamic_section(&names),
        ];
        let made = cpus.into_iter().flat_map(of_cpu);
        for object in made.chain(of_all) {
            let graph = object.build_graph(&Claims::default()).unwrap();
            for definition in &object.interface().definitions {
                let symbol = &graph.symbols[definition.symbol as usize];
                assert_eq!({ symbol.name }, Some(definition.name));
                assert!(matches!(symbol.target, Target::Defined { .. }));
            }
            for reference in &object.interface().references {
                let of_name = |s: &&Symbol| s.name == Some(reference.name);
                let symbol = graph.symbols.iter().find(of_name).unwrap();
                assert_eq!({ symbol.target }, Target::External);
            }
            let of_blocks: usize = graph.blocks.iter().map(|b| b.edges.len()).sum();
            assert_eq!(of_blocks, graph.edges.len());
        }
    }

    #[test]
    fn a_lost_definition_becomes_a_reference() {
        let names = NameTable::default();
        let claims = Claims {
            lost_symbols: vec![0],
            ..Claims::default()
        };
        let mut graph = SupportObject::atexit(&names, Architecture::X86_64)
            .build_graph(&claims)
            .unwrap();
        graph.apply(&claims);
        assert_eq!({ graph.symbols[0].target }, Target::External);
    }
}
