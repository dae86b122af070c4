//! Objects made by hand.

use std::sync::Arc;

use orc_shared::ExecutorAddr;

use crate::cpu::aarch64;
use crate::cpu::x86_64::Kind;
use crate::graph::{
    Block, BlockId, Content, DescribeGraph, Edge, Frame, InputBytes, LinkGraph, NamedFunction,
    Section, SectionId, SectionKind, Symbol, SymbolId, Target,
};
use crate::name::{NameId, NameTable};
use crate::object::{
    Claims, Definition, Linkage, ObjectError, ObjectFile, ObjectInterface, Scope, SymbolKind,
};

/// An edge of a hand-made block: offset, kind, name of the target, addend.
pub(super) type EdgeSpec<'a> = (u32, Kind, &'a str, i64);

/// An object under construction, and then an object file.
#[derive(Clone)]
pub(super) struct Obj {
    names: Arc<NameTable>,
    name: String,
    bytes: Vec<u8>,
    sections: Vec<Section>,
    section_names: Vec<String>,
    blocks: Vec<Block>,
    symbols: Vec<Symbol>,
    symbol_names: Vec<String>,
    edges: Vec<Edge>,
    frames: Vec<Frame>,
    functions: Vec<NamedFunction>,
    retained: Vec<BlockId>,
    interface: ObjectInterface,
    fails: bool,
}

impl Obj {
    pub(super) fn new(names: &Arc<NameTable>, name: &str) -> Self {
        Self {
            names: Arc::clone(names),
            name: name.to_owned(),
            bytes: Vec::new(),
            sections: Vec::new(),
            section_names: Vec::new(),
            blocks: Vec::new(),
            symbols: Vec::new(),
            symbol_names: Vec::new(),
            edges: Vec::new(),
            frames: Vec::new(),
            functions: Vec::new(),
            retained: Vec::new(),
            interface: ObjectInterface::default(),
            fails: false,
        }
    }

    /// Makes `build_graph` fail.
    pub(super) fn broken(mut self) -> Self {
        self.fails = true;
        self
    }

    /// Adds a section with one block, and a global symbol of its own name at the start.
    pub(super) fn block(
        self,
        output: &str,
        kind: SectionKind,
        name: &str,
        content: &[u8],
        edges: &[EdgeSpec<'_>],
    ) -> Self {
        self.add(
            output,
            kind,
            name,
            Some(content),
            content.len() as u64,
            16,
            edges,
        )
    }

    /// Adds a function.
    pub(super) fn function(self, name: &str, code: &[u8], edges: &[EdgeSpec<'_>]) -> Self {
        self.block(".text", SectionKind::Text, name, code, edges)
    }

    /// Adds data.
    pub(super) fn data(self, name: &str, content: &[u8], edges: &[EdgeSpec<'_>]) -> Self {
        self.block(".data", SectionKind::ReadWrite, name, content, edges)
    }

    /// Adds zeros.
    pub(super) fn zeros(
        self,
        output: &str,
        kind: SectionKind,
        name: &str,
        size: u64,
        align: u64,
    ) -> Self {
        self.add(output, kind, name, None, size, align, &[])
    }

    #[allow(clippy::too_many_arguments)]
    fn add(
        mut self,
        output: &str,
        kind: SectionKind,
        name: &str,
        content: Option<&[u8]>,
        size: u64,
        align: u64,
        edges: &[EdgeSpec<'_>],
    ) -> Self {
        let section = SectionId(self.sections.len() as u32);
        self.sections.push(Section {
            output: self.names.intern(output.as_bytes()),
            kind,
            order: 0,
            order_name: None,
            bounds_retained: false,
            mergeable: false,
        });
        self.section_names.push(format!("{output}.{name}"));
        let start = self.bytes.len();
        self.bytes.extend_from_slice(content.unwrap_or_default());
        let first = self.edges.len() as u32;
        for &(offset, kind, target, addend) in edges {
            let target = self.symbol(target);
            self.edges.push(Edge {
                offset,
                target,
                addend,
                kind: kind.edge(),
            });
        }
        let block = BlockId(self.blocks.len() as u32);
        self.blocks.push(Block {
            section,
            content: match content {
                Some(_) => Content::Input(start..self.bytes.len()),
                None => Content::Zero,
            },
            size,
            align,
            edges: first..self.edges.len() as u32,
            frames: 0..0,
            live: true,
            address: ExecutorAddr::NULL,
        });
        let symbol = match kind {
            SectionKind::Text => SymbolKind::Function,
            SectionKind::ThreadLocal => SymbolKind::ThreadLocal,
            _ => SymbolKind::Data,
        };
        self.define(name, Target::Defined { block, offset: 0 }, symbol, size)
    }

    /// Has backtraces call a function what stands at the end of the object's bytes, which grow by `text`.
    pub(super) fn named(mut self, function: &str, text: &[u8]) -> Self {
        let at = self.bytes.len() as u32;
        self.bytes.extend_from_slice(text);
        self.named_at(function, at)
    }

    /// The same, with the name at an offset.
    pub(super) fn named_at(mut self, function: &str, name: u32) -> Self {
        let symbol = self.symbol(function);
        self.functions.push(NamedFunction { symbol, name });
        self
    }

    /// Defines a global symbol.
    pub(super) fn define(
        mut self,
        name: &str,
        target: Target,
        kind: SymbolKind,
        size: u64,
    ) -> Self {
        let id = self.symbol(name);
        let symbol = &mut self.symbols[id.0 as usize];
        symbol.target = target;
        symbol.kind = kind;
        symbol.size = size;
        self.interface.definitions.push(Definition {
            name: self.names.intern(name.as_bytes()),
            symbol: id.0,
            linkage: Linkage::Strong,
            scope: Scope::Default,
            kind,
            size,
            group: None,
        });
        self
    }

    /// Adds an `.eh_frame` with one frame (16 bytes, the code's start at offset 8) per named block,
    /// behind a CIE of 16 bytes that refers to `personality`. The LSDA's address follows at offset
    /// 12.
    pub(super) fn frames(mut self, of: &[(&str, Option<&str>)], personality: &str) -> Self {
        let mut edges = vec![(8, Kind::Delta32, personality, 0)];
        let mut spans = Vec::new();
        let first = self.edges.len() as u32;
        for (number, (code, lsda)) in of.iter().enumerate() {
            let at = 16 + 16 * number as u32;
            let start = first + edges.len() as u32;
            edges.push((at + 8, Kind::Delta32, code, 0));
            edges.extend(lsda.map(|lsda| (at + 12, Kind::Delta32, lsda, 0)));
            spans.push((start, first + edges.len() as u32));
        }
        let size = 16 + 16 * of.len();
        self = self.block(
            ".eh_frame",
            SectionKind::ReadOnly,
            "",
            &vec![0; size],
            &edges,
        );
        self.interface.definitions.pop();
        let holder = BlockId(self.blocks.len() as u32 - 1);
        for (number, ((code, _), edges)) in of.iter().zip(spans).enumerate() {
            let Target::Defined { block: code, .. } = self.target(code) else {
                panic!("{code} is not defined before its frame");
            };
            let frame = self.frames.len() as u32;
            self.frames.push(Frame {
                block: holder,
                offset: 16 + 16 * number as u32,
                length: 16,
                edges,
                code,
                code_offset: 0,
            });
            self.blocks[code.0 as usize].frames = frame..frame + 1;
        }
        self
    }

    fn target(&mut self, name: &str) -> Target {
        let id = self.symbol(name);
        self.symbols[id.0 as usize].target
    }

    /// What a symbol that is known stands for.
    pub(super) fn symbols_target(&self, name: &str) -> Target {
        let known = self.symbol_names.iter().position(|n| n == name);
        self.symbols[known.expect("a symbol")].target
    }

    /// The symbol of this name, undefined if new.
    fn symbol(&mut self, name: &str) -> SymbolId {
        let known = self.symbol_names.iter().position(|n| n == name);
        SymbolId(known.unwrap_or_else(|| {
            self.symbol_names.push(name.to_owned());
            self.symbols.push(Symbol {
                name: Some(self.names.intern(name.as_bytes())),
                target: Target::External,
                size: 0,
                scope: Scope::Default,
                kind: SymbolKind::None,
                weak: false,
            });
            self.symbols.len() - 1
        }) as u32)
    }

    /// Adds edges of AArch64 code to the block added last.
    pub(super) fn aarch64_edges(mut self, edges: &[(u32, aarch64::Kind, &str, i64)]) -> Self {
        for &(offset, kind, target, addend) in edges {
            let target = self.symbol(target);
            self.edges.push(Edge {
                offset,
                target,
                addend,
                kind: kind.edge(),
            });
        }
        let end = self.edges.len() as u32;
        self.last_block(|block| block.edges.end = end)
    }

    /// Has the block added last stay, whatever refers to it.
    pub(super) fn retained(mut self) -> Self {
        self.retained.push(BlockId(self.blocks.len() as u32 - 1));
        self
    }

    /// Changes the section added last.
    pub(super) fn section(mut self, change: impl FnOnce(&mut Section)) -> Self {
        change(self.sections.last_mut().expect("a section"));
        self
    }

    /// Changes the block added last.
    pub(super) fn last_block(mut self, change: impl FnOnce(&mut Block)) -> Self {
        change(self.blocks.last_mut().expect("a block"));
        self
    }

    /// Changes a symbol.
    pub(super) fn alter(mut self, name: &str, change: impl FnOnce(&mut Symbol)) -> Self {
        let id = self.symbol(name);
        change(&mut self.symbols[id.0 as usize]);
        self
    }

    /// The definition of a name.
    pub(super) fn defines(&self, name: NameId) -> Option<SymbolId> {
        let mut definitions = self.interface.definitions.iter();
        let found = definitions.find(|definition| definition.name == name);
        found.map(|definition| SymbolId(definition.symbol))
    }
}

struct Bytes(Vec<u8>);

impl InputBytes for Bytes {
    fn bytes(&self) -> &[u8] {
        &self.0
    }
}

struct Described {
    sections: Vec<String>,
    symbols: Vec<String>,
}

impl DescribeGraph for Described {
    fn block_section(&self, block: BlockId) -> String {
        let name = self.sections.get(block.0 as usize).cloned();
        name.unwrap_or_else(|| "<linker>".to_owned())
    }

    fn symbol(&self, symbol: SymbolId) -> String {
        let name = self.symbols.get(symbol.0 as usize).cloned();
        name.unwrap_or_else(|| "<linker>".to_owned())
    }
}

impl ObjectFile for Obj {
    fn name(&self) -> &str {
        &self.name
    }

    fn interface(&self) -> &ObjectInterface {
        &self.interface
    }

    fn build_graph(&self, _claims: &Claims) -> Result<LinkGraph, ObjectError> {
        if self.fails {
            return Err(ObjectError {
                object: self.name.clone(),
                message: "is broken".to_owned(),
            });
        }
        Ok(LinkGraph {
            name: self.name.clone(),
            architecture: None,
            input: Arc::new(Bytes(self.bytes.clone())),
            owned: Vec::new(),
            sections: self.sections.clone(),
            blocks: self.blocks.clone(),
            symbols: self.symbols.clone(),
            edges: self.edges.clone(),
            frames: self.frames.clone(),
            functions: self.functions.clone(),
            retained: self.retained.clone(),
            groups: Vec::new(),
            commons: Vec::new(),
            displaced: Vec::new(),
            executable_stack: false,
            describe: Some(Arc::new(Described {
                sections: self.section_names.clone(),
                symbols: self.symbol_names.clone(),
            })),
            uses: None,
        })
    }
}
