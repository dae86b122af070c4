//! Fakes: objects that are only symbol tables, a linker that hands out addresses, memory that
//! counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::sync::Mutex;
use orc_shared::{ExecutorAddr, ExecutorAddrRange};

use crate::batch::{Batch, BatchHost, BatchUnit, NativeBinding, Resolution, TrackerId};
use crate::error::LinkError;
use crate::executor::api::NativeKind;
use crate::executor::{AllocActionPair, ExecutorError, ExecutorResult, Finalized};
use crate::graph::LinkGraph;
use crate::name::{NameId, NameTable, NameUses};
use crate::native::{LibrarySymbol, NativeLibrary};
use crate::object::{
    Claims, Definition, LazyObjects, Linkage, ObjectError, ObjectFile, ObjectInterface, Reference,
    Scope, SymbolKind,
};
use crate::platform::{LaidOutGroup, LinkerDefined, LinkerSection, Platform};
use crate::session::{Dylib, Linker, Session, SessionConfig};

use super::mock_executor::FakeExecutor;

/// A fake object: its name and symbol table.
pub(super) struct FakeObject {
    pub(super) name: String,
    pub(super) interface: ObjectInterface,
    /// How often the session read the symbol table, over all objects of a test.
    pub(super) reads: Arc<AtomicUsize>,
    /// Dropped with it.
    _uses: NameUses,
}

impl ObjectFile for FakeObject {
    fn name(&self) -> &str {
        &self.name
    }

    fn interface(&self) -> &ObjectInterface {
        self.reads.fetch_add(1, Ordering::Relaxed);
        &self.interface
    }

    fn build_graph(&self, _: &Claims) -> Result<LinkGraph, ObjectError> {
        Err(ObjectError {
            object: self.name.clone(),
            message: "fake objects have no graph".to_owned(),
        })
    }
}

/// Builds fake objects of one session.
pub(super) struct ObjectBuilder {
    names: NameUses,
    name: String,
    interface: ObjectInterface,
    reads: Arc<AtomicUsize>,
}

impl ObjectBuilder {
    fn add(mut self, name: &str, linkage: Linkage, scope: Scope, group: Option<u32>) -> Self {
        let symbol = self.interface.definitions.len() as u32 + 10;
        self.interface.definitions.push(Definition {
            name: self.names.intern(name.as_bytes()),
            symbol,
            linkage,
            scope,
            kind: SymbolKind::Function,
            size: 16,
            group,
        });
        self
    }

    pub(super) fn strong(self, name: &str) -> Self {
        self.add(name, Linkage::Strong, Scope::Default, None)
    }

    pub(super) fn weak(self, name: &str) -> Self {
        self.add(name, Linkage::Weak, Scope::Default, None)
    }

    pub(super) fn hidden(self, name: &str) -> Self {
        self.add(name, Linkage::Strong, Scope::Hidden, None)
    }

    pub(super) fn common(self, name: &str, size: u64, align: u64) -> Self {
        self.add(name, Linkage::Common { size, align }, Scope::Default, None)
    }

    /// A COMDAT group with one weak definition of the signature's name.
    pub(super) fn comdat(mut self, name: &str) -> Self {
        let group = self.interface.groups.len() as u32;
        self.interface
            .groups
            .push(self.names.intern(name.as_bytes()));
        self.add(name, Linkage::Weak, Scope::Default, Some(group))
    }

    pub(super) fn needs(mut self, name: &str) -> Self {
        let name = self.names.intern(name.as_bytes());
        let weak = false;
        self.interface.references.push(Reference {
            name,
            weak,
            hidden: false,
        });
        self
    }

    pub(super) fn may_use(mut self, name: &str) -> Self {
        let name = self.names.intern(name.as_bytes());
        let weak = true;
        self.interface.references.push(Reference {
            name,
            weak,
            hidden: false,
        });
        self
    }

    pub(super) fn initializers(mut self) -> Self {
        self.interface.has_initializers = true;
        self
    }

    pub(super) fn done(self) -> Arc<dyn ObjectFile> {
        Arc::new(FakeObject {
            name: self.name,
            interface: self.interface,
            reads: self.reads,
            _uses: self.names,
        })
    }
}

/// A fake archive.
pub(super) struct FakeArchive {
    pub(super) name: String,
    pub(super) index: Vec<(NameId, u32)>,
    pub(super) members: Vec<Arc<dyn ObjectFile>>,
    pub(super) loads: AtomicUsize,
    /// Members that cannot be read.
    pub(super) broken: Mutex<Vec<u32>>,
}

impl LazyObjects for FakeArchive {
    fn name(&self) -> &str {
        &self.name
    }

    fn index(&self) -> &[(NameId, u32)] {
        &self.index
    }

    fn len(&self) -> u32 {
        self.members.len() as u32
    }

    fn load(&self, member: u32) -> Result<Arc<dyn ObjectFile>, ObjectError> {
        self.loads.fetch_add(1, Ordering::Relaxed);
        if self.broken.lock().contains(&member) {
            return Err(ObjectError {
                object: format!("{}(#{member})", self.name),
                message: "truncated".to_owned(),
            });
        }
        Ok(self.members[member as usize].clone())
    }
}

/// A fake library that defines some names.
pub(super) struct FakeLibrary {
    pub(super) name: String,
    pub(super) symbols: Vec<&'static str>,
}

impl NativeLibrary for FakeLibrary {
    fn path(&self) -> &str {
        &self.name
    }

    fn loader_name(&self) -> &str {
        &self.name
    }

    fn needed(&self) -> Vec<String> {
        Vec::new()
    }

    fn find(&self, name: &[u8]) -> Option<LibrarySymbol> {
        self.symbols
            .iter()
            .any(|symbol| symbol.as_bytes() == name)
            .then_some(LibrarySymbol {
                kind: NativeKind::Function,
                indirect: false,
                size: 8,
                align: 8,
                file_addr: 0x10,
                read_only: false,
                weak: false,
            })
    }

    fn for_each_interposable(&self, _: &mut dyn FnMut(&[u8])) {}
}

/// Where the fake linker fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum FailAt {
    Nowhere,
    Start,
    AfterResolved,
    AfterDependencies,
    /// It forgets the batch.
    Silently,
    Panic,
}

/// What the fake linker saw of one batch.
#[derive(Clone)]
pub(super) struct Seen {
    pub(super) objects: Vec<String>,
    pub(super) claims: Vec<Claims>,
    /// Every name the objects refer to, and its meaning.
    pub(super) meanings: Vec<(String, Resolution)>,
    pub(super) program: bool,
}

/// Links nothing, but tells the session everything a linker would.
pub(super) struct FakeLinker {
    names: Arc<NameTable>,
    pub(super) fail_at: Mutex<FailAt>,
    /// Links go on in a thread of their own after the symbols are resolved.
    pub(super) in_threads: bool,
    pub(super) seen: Mutex<Vec<Seen>>,
    next: AtomicUsize,
    pub(super) memory: Arc<Memory>,
}

/// Allocations that live, and the order in which they were released.
#[derive(Default)]
pub(super) struct Memory {
    pub(super) live: AtomicUsize,
    pub(super) released: Mutex<Vec<TrackerId>>,
    pub(super) fail_release: Mutex<bool>,
}

pub(super) struct FakeMemory {
    memory: Arc<Memory>,
    tracker: TrackerId,
}

impl FakeMemory {
    pub(super) fn boxed(memory: &Arc<Memory>, tracker: TrackerId) -> Box<dyn Finalized> {
        memory.live.fetch_add(1, Ordering::Relaxed);
        Box::new(Self {
            memory: memory.clone(),
            tracker,
        })
    }
}

impl Finalized for FakeMemory {
    fn ranges(&self) -> &[ExecutorAddrRange] {
        &[]
    }

    fn release(self: Box<Self>) -> ExecutorResult<()> {
        self.memory.live.fetch_sub(1, Ordering::Relaxed);
        self.memory.released.lock().push(self.tracker);
        if *self.memory.fail_release.lock() {
            return Err(ExecutorError::failed("munmap failed"));
        }
        Ok(())
    }
}

impl FakeLinker {
    fn meanings(&self, batch: &Batch, host: &dyn BatchHost) -> Vec<(String, Resolution)> {
        let mut all = Vec::new();
        for unit in &batch.units {
            for name in wanted_names(unit) {
                let meaning = host.resolve(unit.dylib, name);
                all.push((self.names.text(name), meaning));
            }
        }
        all
    }

    fn addresses(&self, unit: &BatchUnit) -> Vec<ExecutorAddr> {
        let lost = &unit.claims.lost_symbols;
        unit.object
            .interface()
            .definitions
            .iter()
            .map(|definition| {
                if lost.contains(&definition.symbol) {
                    return ExecutorAddr::NULL;
                }
                let next = self.next.fetch_add(16, Ordering::Relaxed);
                ExecutorAddr::new(0x1_0000 + next as u64)
            })
            .collect()
    }
}

/// Names the linker asks for: undefined ones, and definitions that lost.
fn wanted_names(unit: &BatchUnit) -> Vec<NameId> {
    let interface = unit.object.interface();
    let lost = interface
        .definitions
        .iter()
        .filter(|d| unit.claims.lost_symbols.contains(&d.symbol));
    let references = interface.references.iter().map(|r| r.name);
    references.chain(lost.map(|d| d.name)).collect()
}

fn error() -> LinkError {
    LinkError::Internal("injected".to_owned())
}

impl Linker for FakeLinker {
    fn link(&self, batch: Batch, host: Arc<dyn BatchHost>) {
        let fail_at = *self.fail_at.lock();
        self.seen.lock().push(Seen {
            objects: batch
                .units
                .iter()
                .map(|unit| unit.object.name().to_owned())
                .collect(),
            claims: batch.units.iter().map(|unit| unit.claims.clone()).collect(),
            meanings: self.meanings(&batch, &*host),
            program: matches!(batch.binding, NativeBinding::Program(_)),
        });
        match fail_at {
            FailAt::Start => return host.failed(error()),
            FailAt::Silently => return,
            FailAt::Panic => panic!("injected"),
            _ => {}
        }
        let addresses = batch.units.iter().map(|unit| self.addresses(unit));
        host.resolved(addresses.collect());
        if fail_at == FailAt::AfterResolved {
            return host.failed(error());
        }
        let mut trackers: Vec<TrackerId> = batch.units.iter().map(|unit| unit.tracker).collect();
        trackers.sort_unstable();
        trackers.dedup();
        let memory = self.memory.clone();
        let pending: Vec<_> = host_pending(&self.meanings(&batch, &*host));
        let answer = host.clone();
        let finish = move |outcome: Result<(), LinkError>| match outcome {
            Err(error) => answer.failed(error),
            Ok(()) if fail_at == FailAt::AfterDependencies => answer.failed(error()),
            Ok(()) => {
                for (dylib, name) in pending {
                    let addr = answer.pending_address(dylib, name);
                    assert!(addr.is_some(), "a resolved unit has addresses");
                }
                let memory = trackers
                    .iter()
                    .map(|t| (*t, FakeMemory::boxed(&memory, *t)));
                answer.emitted(memory.collect());
            }
        };
        if self.in_threads {
            std::thread::spawn(move || host.when_dependencies_resolved(Box::new(finish)));
        } else {
            host.when_dependencies_resolved(Box::new(finish));
        }
    }
}

fn host_pending(meanings: &[(String, Resolution)]) -> Vec<(crate::batch::DylibId, NameId)> {
    meanings
        .iter()
        .filter_map(|(_, meaning)| match meaning {
            Resolution::Pending { dylib, name, .. } => Some((*dylib, *name)),
            _ => None,
        })
        .collect()
}

/// Defines this symbol, as the end of the image.
pub(super) struct FakePlatform(pub(super) &'static str);

impl Platform for FakePlatform {
    fn linker_defined(&self, name: &[u8]) -> Option<LinkerDefined> {
        (name == self.0.as_bytes()).then_some(LinkerDefined::ImageEnd)
    }

    fn section_rank(&self, _: &[u8]) -> u32 {
        0
    }

    fn header_name(&self) -> &'static str {
        "__dso_handle"
    }

    fn section_name(&self, _: LinkerSection) -> &'static str {
        ""
    }

    fn split_version<'a>(&self, name: &'a [u8]) -> (&'a [u8], Option<&'a [u8]>) {
        let mut parts = name.splitn(2, |byte| *byte == b'@');
        (parts.next().unwrap_or_default(), parts.next())
    }

    fn finalize_actions(
        &self,
        _: &LaidOutGroup<'_>,
        _: &NameTable,
    ) -> Result<Vec<AllocActionPair>, LinkError> {
        Ok(Vec::new())
    }
}

/// A session of fakes with one dylib.
pub(super) struct Fixture {
    pub(super) session: Session,
    pub(super) main: Dylib,
    pub(super) linker: Arc<FakeLinker>,
    pub(super) executor: Arc<FakeExecutor>,
    pub(super) errors: Arc<Mutex<Vec<String>>>,
    pub(super) reads: Arc<AtomicUsize>,
}

impl Fixture {
    pub(super) fn new() -> Self {
        Self::with(|_| {}, false)
    }

    pub(super) fn with(configure: impl FnOnce(&mut SessionConfig), in_threads: bool) -> Self {
        let names = Arc::new(NameTable::default());
        let executor = Arc::new(FakeExecutor::default());
        let linker = Arc::new(FakeLinker {
            names: names.clone(),
            fail_at: Mutex::new(FailAt::Nowhere),
            in_threads,
            seen: Mutex::default(),
            next: AtomicUsize::new(0),
            memory: Arc::default(),
        });
        let mut config =
            SessionConfig::new(executor.clone(), Arc::new(FakePlatform("_end")), names);
        config.linker = linker.clone();
        let errors: Arc<Mutex<Vec<String>>> = Arc::default();
        let log = errors.clone();
        config.on_error = Box::new(move |error| log.lock().push(error.to_string()));
        configure(&mut config);
        let session = Session::new(config);
        let main = session.add_dylib("main");
        Self {
            session,
            main,
            linker,
            executor,
            errors,
            reads: Arc::default(),
        }
    }

    pub(super) fn object(&self, name: &str) -> ObjectBuilder {
        ObjectBuilder {
            names: NameUses::new(self.session.names()),
            name: name.to_owned(),
            interface: ObjectInterface::default(),
            reads: self.reads.clone(),
        }
    }

    /// An archive whose index lists every definition of its members.
    pub(super) fn archive(
        &self,
        name: &str,
        members: Vec<Arc<dyn ObjectFile>>,
    ) -> Arc<FakeArchive> {
        let mut index = Vec::new();
        for (at, member) in (0u32..).zip(&members) {
            let definitions = member.interface().definitions.iter();
            index.extend(definitions.map(|definition| (definition.name, at)));
        }
        Arc::new(FakeArchive {
            name: name.to_owned(),
            index,
            members,
            loads: AtomicUsize::new(0),
            broken: Mutex::default(),
        })
    }

    pub(super) fn add(&self, object: ObjectBuilder) {
        self.main.add_object(object.done()).expect("no clash");
    }

    pub(super) fn name(&self, name: &str) -> NameId {
        self.session.names().intern(name.as_bytes())
    }

    /// Looks a name up and gives its address.
    pub(super) fn find(&self, name: &str) -> Result<u64, LinkError> {
        Ok(self.main.lookup_one(name)?.addr().value())
    }

    /// Objects linked so far, per batch.
    pub(super) fn linked(&self) -> Vec<Vec<String>> {
        let seen = self.linker.seen.lock();
        seen.iter().map(|seen| seen.objects.clone()).collect()
    }

    /// What a name meant to the last batch.
    pub(super) fn meaning(&self, name: &str) -> Resolution {
        let seen = self.linker.seen.lock();
        let last = seen.last().expect("something was linked");
        let found = last.meanings.iter().find(|(n, _)| n == name);
        found.expect("it was referred to").1.clone()
    }

    pub(super) fn live(&self) -> usize {
        self.linker.memory.live.load(Ordering::Relaxed)
    }
}
