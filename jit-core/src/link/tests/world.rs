//! One link from objects to bytes.

use std::sync::Arc;

use orc_shared::{ExecutorAddr, ExecutorAddrRange};

use super::mock_executor::MockExecutor;
use super::mock_host::MockHost;
use super::objects::Obj;
use crate::batch::{
    Batch, BatchUnit, DylibId, NativeBinding, ProgramLink, Resolution, TrackerId, UnitId,
};
use crate::cpu::Architecture;
use crate::error::LinkError;
use crate::executor::AllocActionPair;
use crate::executor::api::{ImportValue, NativeKind};
use crate::link::{LinkContext, link_batch};
use crate::name::NameTable;
use crate::native::{LibrarySymbol, NativeLibrary, NativeSymbol};
use crate::object::Claims;
use crate::platform::{LaidOutGroup, LinkerDefined, LinkerSection, Platform, Platforms};

pub(super) const DYLIB: DylibId = DylibId(0);

/// A platform without rules.
struct Plain;

impl Platform for Plain {
    fn linker_defined(&self, _name: &[u8]) -> Option<LinkerDefined> {
        None
    }

    fn section_rank(&self, _output: &[u8]) -> u32 {
        0
    }

    fn header_name(&self) -> &'static str {
        "header"
    }

    fn section_name(&self, section: LinkerSection) -> &'static str {
        match section {
            LinkerSection::Code => ".text",
            LinkerSection::Data => ".data",
            LinkerSection::StubPointers => ".stub_pointers",
            LinkerSection::Addresses => ".got",
            LinkerSection::WritableAddresses => ".got.plt",
            LinkerSection::Stubs => ".plt",
            LinkerSection::Copies => ".bss",
            LinkerSection::ReadOnlyCopies => ".bss.rel.ro",
            LinkerSection::ResolverTable => ".rela.iplt",
            LinkerSection::FunctionNames => ".names",
            LinkerSection::Frames => ".eh_frame",
        }
    }

    fn split_version<'a>(&self, name: &'a [u8]) -> (&'a [u8], Option<&'a [u8]>) {
        let mut parts = name.splitn(2, |byte| *byte == b'@');
        (parts.next().unwrap_or_default(), parts.next())
    }

    fn finalize_actions(
        &self,
        _group: &LaidOutGroup<'_>,
        _names: &NameTable,
    ) -> Result<Vec<AllocActionPair>, LinkError> {
        Ok(Vec::new())
    }
}

/// A library of the process.
pub(super) struct Lib {
    pub(super) path: String,
    pub(super) interposable: Vec<String>,
    pub(super) aliases: Vec<String>,
}

impl NativeLibrary for Lib {
    fn path(&self) -> &str {
        &self.path
    }

    fn loader_name(&self) -> &str {
        "lib.so.1"
    }

    fn needed(&self) -> Vec<String> {
        Vec::new()
    }

    fn find(&self, _name: &[u8]) -> Option<LibrarySymbol> {
        None
    }

    fn version(&self, name: &[u8]) -> Option<Vec<u8>> {
        (name == b"versioned").then(|| b"LIB_2".to_vec())
    }

    fn for_each_alias(&self, _file_addr: u64, each: &mut dyn FnMut(&[u8])) {
        self.aliases.iter().for_each(|alias| each(alias.as_bytes()));
    }

    fn for_each_interposable(&self, each: &mut dyn FnMut(&[u8])) {
        self.interposable
            .iter()
            .for_each(|name| each(name.as_bytes()));
    }
}

/// A link under construction and its result.
pub(super) struct World {
    pub(super) names: Arc<NameTable>,
    pub(super) executor: MockExecutor,
    context: Arc<LinkContext>,
    units: Vec<(Obj, DylibId, TrackerId)>,
    outside: Vec<(String, Resolution)>,
    pending: Vec<(String, u64)>,
    pub(super) roots: Option<Vec<String>>,
    pub(super) program: Option<ProgramLink>,
    pub(super) dependency_error: Option<LinkError>,
    pub(super) host: Arc<MockHost>,
}

impl World {
    pub(super) fn new() -> Self {
        Self::for_cpu(Architecture::X86_64)
    }

    pub(super) fn for_cpu(architecture: Architecture) -> Self {
        let names = Arc::new(NameTable::default());
        let executor = MockExecutor::default();
        executor.0.lock().architecture = Some(architecture);
        let context = LinkContext::new(
            Arc::new(executor.clone()),
            Platforms::new(Arc::new(Plain)),
            Arc::clone(&names),
        );
        Self {
            names,
            executor,
            context: Arc::new(context),
            units: Vec::new(),
            outside: Vec::new(),
            pending: Vec::new(),
            roots: None,
            program: None,
            dependency_error: None,
            host: Arc::default(),
        }
    }

    /// An empty object.
    pub(super) fn object(&self, name: &str) -> Obj {
        Obj::new(&self.names, name)
    }

    pub(super) fn add(&mut self, object: Obj) {
        self.add_to(object, DYLIB, TrackerId(0));
    }

    pub(super) fn add_to(&mut self, object: Obj, dylib: DylibId, tracker: TrackerId) {
        self.units.push((object, dylib, tracker));
    }

    /// Says what a name outside the batch means.
    pub(super) fn outside(&mut self, name: &str, resolution: Resolution) {
        self.outside.push((name.to_owned(), resolution));
    }

    /// A symbol whose unit resolves while this batch waits.
    pub(super) fn pending(&mut self, name: &str, kind: crate::object::SymbolKind, addr: u64) {
        let resolution = Resolution::Pending {
            unit: UnitId(99),
            name: self.names.intern(name.as_bytes()),
            dylib: DYLIB,
            kind,
        };
        self.outside(name, resolution);
        self.pending.push((name.to_owned(), addr));
    }

    /// A symbol of a library at file address 0x100, bound by the loader to `value`.
    pub(super) fn native(&mut self, name: &str, kind: NativeKind, bias: Option<u64>, value: u64) {
        let library = Lib {
            path: "/lib/lib.so.1".to_owned(),
            interposable: Vec::new(),
            aliases: Vec::new(),
        };
        self.native_of(name, kind, bias, value, Arc::new(library));
    }

    pub(super) fn native_of(
        &mut self,
        name: &str,
        kind: NativeKind,
        bias: Option<u64>,
        value: u64,
        library: Arc<dyn NativeLibrary>,
    ) {
        let symbol = LibrarySymbol {
            kind,
            indirect: false,
            size: 8,
            align: 32,
            file_addr: 0x100,
            read_only: false,
            weak: false,
        };
        let native = NativeSymbol {
            name: name.as_bytes().to_vec(),
            symbol,
            library: Some(library),
            load_bias: bias.map(ExecutorAddr::new),
            weak: false,
        };
        self.outside(name, Resolution::Native(Box::new(native)));
        let value = ImportValue {
            value,
            tls_offset: 0x77,
        };
        let plain = name.split('@').next().unwrap_or(name);
        let mut state = self.executor.0.lock();
        state.symbols.insert(plain.as_bytes().to_vec(), value);
    }

    /// Links what was added.
    pub(super) fn link(&mut self) -> Result<(), LinkError> {
        let mut host = MockHost {
            units: self.units.iter().map(|(o, d, _)| (*d, o.clone())).collect(),
            ..MockHost::default()
        };
        for (name, resolution) in &self.outside {
            let name = self.names.intern(name.as_bytes());
            host.outside.insert(name, resolution.clone());
        }
        for (name, addr) in &self.pending {
            let name = self.names.intern(name.as_bytes());
            host.pending.insert(name, ExecutorAddr::new(*addr));
        }
        *host.dependency_error.lock() = self.dependency_error.clone();
        self.host = Arc::new(host);
        let unit =
            |(index, (object, dylib, tracker)): (usize, &(Obj, DylibId, TrackerId))| BatchUnit {
                replaceable: None,
                id: UnitId(index as u32),
                dylib: *dylib,
                tracker: *tracker,
                object: Arc::new(object.clone()),
                stubs: Vec::new(),
                claims: Claims::default(),
            };
        let names = &self.names;
        let root = |name: &String| (DYLIB, names.intern(name.as_bytes()));
        let batch = Batch {
            units: self.units.iter().enumerate().map(unit).collect(),
            binding: match &self.program {
                Some(program) => NativeBinding::Program(program.clone()),
                None => NativeBinding::Immediate,
            },
            roots: self.roots.as_ref().map(|r| r.iter().map(root).collect()),
        };
        link_batch(&self.context, batch, self.host.clone());
        let outcome = self.host.outcome.lock();
        assert_eq!(outcome.ends, 1, "a link ends once");
        outcome.error.clone().map_or(Ok(()), Err)
    }

    /// Links what must link.
    #[track_caller]
    pub(super) fn must_link(&mut self) {
        self.link().expect("links");
    }

    /// The published address of a definition.
    #[track_caller]
    pub(super) fn address(&self, name: &str) -> u64 {
        let name = self.names.intern(name.as_bytes());
        let outcome = self.host.outcome.lock();
        let resolved = outcome.resolved.as_ref().expect("resolved");
        for ((_, object), addresses) in self.host.units.iter().zip(resolved) {
            let definitions = &crate::object::ObjectFile::interface(object).definitions;
            let at = definitions.iter().position(|d| d.name == name);
            if let Some(at) = at {
                return addresses[at].value();
            }
        }
        panic!("nothing of that name is defined");
    }

    /// Final bytes of a definition.
    pub(super) fn bytes(&self, name: &str, size: usize) -> Vec<u8> {
        self.executor.read(self.address(name), size)
    }

    /// A 32-bit displacement in a definition, as the address it leads to when it ends at `offset +
    /// 4`.
    pub(super) fn leads_to(&self, name: &str, offset: u64) -> u64 {
        self.follow(self.address(name) + offset)
    }

    /// Where the 32-bit displacement at an address leads to.
    pub(super) fn follow(&self, addr: u64) -> u64 {
        let field = self.executor.read(addr, 4);
        let field = i32::from_le_bytes(field.try_into().expect("four bytes"));
        (addr + 4).wrapping_add_signed(i64::from(field))
    }

    /// A 64-bit word at an address.
    pub(super) fn word(&self, addr: u64) -> u64 {
        u64::from_le_bytes(self.executor.read(addr, 8).try_into().expect("eight bytes"))
    }

    /// Where the link's segments lie.
    pub(super) fn segments(&self) -> Vec<ExecutorAddrRange> {
        let state = self.executor.0.lock();
        let memory = state.final_memory.iter().flat_map(|m| &m.segments);
        memory
            .map(|(_, addr, bytes)| ExecutorAddrRange::from_size(*addr, bytes.len() as u64))
            .collect()
    }
}

/// Bytes from hexadecimal text.
pub(super) fn hex(text: &str) -> Vec<u8> {
    let digits = text.chars().filter_map(|c| c.to_digit(16));
    let digits: Vec<u8> = digits.map(|d| d as u8).collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}
