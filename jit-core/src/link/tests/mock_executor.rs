//! An executor whose memory is vectors, and whose steps can be told to fail.

use std::any::Any;
use std::sync::Arc;

use hashbrown::HashMap;
use orc_shared::{ExecutorAddr, ExecutorAddrRange};
use parking_lot::Mutex;

use crate::cpu::Architecture;
use crate::executor::api::{
    Import, ImportKind, ImportValue, LoadedLibrary, Placement, ProgramIdentity, ProgramImage,
    RangeId, SegmentKind, SegmentRequest, TlsAccess, TlsBlock, TlsPlace, TlsRoom,
};
use crate::executor::{
    AllocationRequest, DispatchHandler, ExecutorControl, ExecutorError, ExecutorResult,
    FinalizeRequest, Finalized, InFlight,
};

/// Where ranges near the libraries start; they are `RANGE_SIZE` long and `RANGE_STEP` apart.
pub(super) const NEAR: u64 = 0x7f00_0000_0000;
const LOW: u64 = 0x1000_0000;
/// Where those start that may lie anywhere.
pub(super) const FAR: u64 = 0x1000_0000_0000;
/// Bytes of a segment up to which its zeros can be read.
const ZEROS_KEPT: u64 = 16 << 20;
const RANGE_SIZE: u64 = 0x1000_0000;
const RANGE_STEP: u64 = 0x100_0000_0000;
const PAGE: u64 = 0x1000;

/// Memory that was finalized.
pub(super) struct FinalMemory {
    pub(super) segments: Vec<(SegmentKind, ExecutorAddr, Vec<u8>)>,
    pub(super) requests: Vec<SegmentRequest>,
    pub(super) tls: Option<TlsBlock>,
    pub(super) request: FinalizeRequest,
}

/// What code is told of thread-locals in modules.
pub(super) const TLS_ACCESS: TlsAccess = TlsAccess {
    module: 2,
    tp_offset: -0x90,
    descriptor_function: ExecutorAddr::new(0x7777_0000),
};

#[derive(Default)]
pub(super) struct State {
    /// Per range: first and next free address, and bytes left.
    ranges: Vec<(u64, u64, u64)>,
    pub(super) final_memory: Vec<FinalMemory>,
    pub(super) in_flight: usize,
    /// How often memory was asked for, and how often it was finalized.
    pub(super) round_trips: (usize, usize),
    pub(super) released: usize,
    pub(super) image: Option<ProgramImage>,
    /// What imports are bound to.
    pub(super) symbols: HashMap<Vec<u8>, ImportValue>,
    pub(super) loaded: Vec<String>,
    /// The step that fails.
    pub(super) failing: Option<&'static str>,
    /// The CPU, if not x86-64.
    pub(super) architecture: Option<Architecture>,
    /// Bytes that the first range has.
    pub(super) first_range_size: Option<u64>,
    pub(super) next_tp_offset: i64,
    /// Whether there is no room for thread-locals at fixed offsets.
    pub(super) no_fixed_tls: bool,
}

/// The executor. Clones share their state.
#[derive(Clone, Default)]
pub(super) struct MockExecutor(pub(super) Arc<Mutex<State>>);

impl MockExecutor {
    fn step(&self, name: &'static str) -> ExecutorResult<()> {
        if self.0.lock().failing == Some(name) {
            return Err(ExecutorError::Failed(format!("{name} was told to fail")));
        }
        Ok(())
    }

    fn allocate_one(
        &self,
        request: &AllocationRequest,
    ) -> ExecutorResult<Option<Box<dyn InFlight>>> {
        let mut state = self.0.lock();
        let (_, next, end) = state.ranges[request.range.0 as usize];
        let mut at = next;
        let mut addresses = Vec::new();
        for segment in &request.segments {
            at = at.next_multiple_of(segment.align.max(PAGE));
            addresses.push(ExecutorAddr::new(at));
            at += segment.size;
        }
        if at > end {
            return Ok(None);
        }
        state.ranges[request.range.0 as usize].1 = at;
        let tls = request.tls.and_then(|tls| {
            state.next_tp_offset -= 0x1000;
            let id = state.next_tp_offset.unsigned_abs();
            let place = match tls.room {
                TlsRoom::Fixed => TlsPlace::Fixed(state.next_tp_offset),
                TlsRoom::FixedIfFree if state.no_fixed_tls => return None,
                TlsRoom::FixedIfFree => TlsPlace::Fixed(state.next_tp_offset),
                TlsRoom::Module => TlsPlace::Module {
                    module: (id >> 12) as u32,
                    offset: 0,
                },
            };
            let size = tls.size;
            Some(TlsBlock { id, place, size })
        });
        state.in_flight += 1;
        // Garbage instead of zeros: the linker has to write every byte of the content.
        let garbage = |s: &SegmentRequest| vec![0xee; s.content_size as usize];
        Ok(Some(Box::new(MockMemory {
            executor: self.clone(),
            addresses,
            bytes: request.segments.iter().map(garbage).collect(),
            request: request.clone(),
            tls,
        })))
    }

    /// Final bytes at an address.
    pub(super) fn read(&self, addr: u64, size: usize) -> Vec<u8> {
        let state = self.0.lock();
        let segments = state.final_memory.iter().flat_map(|m| &m.segments);
        for (_, start, bytes) in segments {
            let offset = addr.wrapping_sub(start.value()) as usize;
            if let Some(found) = bytes.get(offset..offset.saturating_add(size)) {
                return found.to_vec();
            }
        }
        panic!("nothing is at {addr:#x}");
    }
}

struct MockMemory {
    executor: MockExecutor,
    addresses: Vec<ExecutorAddr>,
    request: AllocationRequest,
    tls: Option<TlsBlock>,
    bytes: Vec<Vec<u8>>,
}

impl Drop for MockMemory {
    fn drop(&mut self) {
        self.executor.0.lock().in_flight -= 1;
    }
}

impl InFlight for MockMemory {
    fn addresses(&self) -> &[ExecutorAddr] {
        &self.addresses
    }

    fn working_memory(&mut self) -> Vec<&mut [u8]> {
        self.bytes.iter_mut().map(|b| &mut b[..]).collect()
    }

    fn tls(&self) -> Option<TlsBlock> {
        self.tls
    }
}

impl MockMemory {
    fn finalize(mut self, request: FinalizeRequest) -> FinalMemory {
        let announced = self.request.frames;
        assert_eq!(announced, Some(request.frames.len() as u64), "frames");
        let bytes = std::mem::take(&mut self.bytes);
        let places = self.addresses.iter().zip(&self.request.segments);
        let segments = places.zip(bytes).map(|((addr, segment), mut bytes)| {
            // Of gigabytes of zeros, the first ones will do.
            let zeros_end = segment.size.min(ZEROS_KEPT) as usize;
            bytes.resize(zeros_end.max(bytes.len()), 0);
            (segment.kind, *addr, bytes)
        });
        FinalMemory {
            segments: segments.collect(),
            requests: self.request.segments.clone(),
            tls: self.tls,
            request,
        }
    }
}

struct MockFinal(MockExecutor);

impl Finalized for MockFinal {
    fn ranges(&self) -> &[ExecutorAddrRange] {
        &[]
    }

    fn release(self: Box<Self>) -> ExecutorResult<()> {
        self.0.0.lock().released += 1;
        self.0.step("release")
    }
}

impl ExecutorControl for MockExecutor {
    fn architecture(&self) -> Architecture {
        self.0.lock().architecture.unwrap_or(Architecture::X86_64)
    }

    fn capabilities(&self) -> [u64; 2] {
        [0; 2]
    }

    fn page_size(&self) -> u64 {
        PAGE
    }

    fn close_range(&self, _: RangeId) {}

    fn open_range(
        &self,
        placement: Placement,
        least: u64,
    ) -> ExecutorResult<(RangeId, ExecutorAddrRange)> {
        self.step("open_range")?;
        let mut state = self.0.lock();
        let count = state.ranges.len() as u64;
        let start = match placement {
            Placement::NearLibraries => NEAR - count * RANGE_STEP,
            Placement::Low2GiB => LOW + count * RANGE_SIZE,
            Placement::Anywhere => FAR + count * RANGE_STEP,
        };
        let size = least.max(RANGE_SIZE);
        let limit = match (count, state.first_range_size) {
            (0, Some(size)) => size,
            _ => size,
        };
        state.ranges.push((start, start, start + limit));
        let range = ExecutorAddrRange::from_size(ExecutorAddr::new(start), size);
        Ok((RangeId(count as u32), range))
    }

    fn allocate(
        &self,
        requests: &[AllocationRequest],
    ) -> ExecutorResult<Vec<Option<Box<dyn InFlight>>>> {
        self.0.lock().round_trips.0 += 1;
        self.step("allocate")?;
        requests.iter().map(|it| self.allocate_one(it)).collect()
    }

    fn finalize(
        &self,
        batch: Vec<(Box<dyn InFlight>, FinalizeRequest)>,
    ) -> ExecutorResult<Vec<Box<dyn Finalized>>> {
        self.0.lock().round_trips.1 += 1;
        self.step("finalize")?;
        let mut finalized: Vec<Box<dyn Finalized>> = Vec::new();
        for (memory, request) in batch {
            let memory: Box<dyn Any> = memory;
            let memory = memory
                .downcast::<MockMemory>()
                .expect("memory of this executor");
            let memory = memory.finalize(request);
            self.0.lock().final_memory.push(memory);
            finalized.push(Box::new(MockFinal(self.clone())));
        }
        Ok(finalized)
    }

    fn loaded_libraries(&self) -> ExecutorResult<Vec<LoadedLibrary>> {
        let state = self.0.lock();
        let loaded = state.loaded.iter().map(|path| LoadedLibrary {
            path: path.clone(),
            load_bias: ExecutorAddr::NULL,
            range: ExecutorAddrRange::default(),
        });
        Ok(loaded.collect())
    }

    fn open_library(&self, _path: &str) -> ExecutorResult<()> {
        Ok(())
    }

    fn bind_imports(&self, imports: &[Import]) -> ExecutorResult<Vec<Option<ImportValue>>> {
        self.step("bind_imports")?;
        let state = self.0.lock();
        let bound = imports.iter().map(|i| state.symbols.get(&i.name).copied());
        Ok(bound.collect())
    }

    fn tls_access(&self) -> ExecutorResult<TlsAccess> {
        self.step("tls_access")?;
        Ok(TLS_ACCESS)
    }

    fn open_program(
        &self,
        image: &ProgramImage,
        relocated: &mut dyn FnMut(&[ImportValue]) -> ExecutorResult<()>,
    ) -> ExecutorResult<()> {
        self.0.lock().image = Some(image.clone());
        self.step("load")?;
        let values: Vec<ImportValue> = {
            let state = self.0.lock();
            let known = |import: &Import| state.symbols.get(&import.name).copied();
            image
                .imports
                .iter()
                .map(|i| known(i).unwrap_or_default())
                .collect()
        };
        debug_assert!(
            image
                .imports
                .iter()
                .all(|i| i.kind != ImportKind::TpOffset || !i.weak)
        );
        relocated(&values)?;
        self.step("constructors")
    }

    fn call_wrapper(&self, _function: ExecutorAddr, _args: &[u8]) -> ExecutorResult<Vec<u8>> {
        Ok(Vec::new())
    }

    fn register_handler(&self, _tag: ExecutorAddr, _handler: DispatchHandler) {}

    fn dispatch_function(&self) -> (ExecutorAddr, ExecutorAddr) {
        (ExecutorAddr::NULL, ExecutorAddr::NULL)
    }

    fn set_program(&self, _program: &ProgramIdentity) {}

    fn write_pointers(&self, _pointers: &[(ExecutorAddr, ExecutorAddr)]) -> ExecutorResult<()> {
        Err(ExecutorError::failed("nothing is written after finalize"))
    }
}
