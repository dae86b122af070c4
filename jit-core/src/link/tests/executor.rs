//! An executor whose memory is vectors, and whose steps can be told to fail.

use std::sync::Arc;

use hashbrown::HashMap;
use orc_shared::{ExecutorAddr, ExecutorAddrRange};
use parking_lot::Mutex;

use crate::executor::api::{
    Import, ImportKind, ImportValue, LoadedLibrary, Placement, ProgramImage, RangeId, SegmentKind,
    SegmentRequest, TlsBlock,
};
use crate::executor::{
    DispatchHandler, ExecutorControl, ExecutorError, ExecutorResult, FinalizeRequest, Finalized,
    InFlight,
};

/// Where ranges near the libraries start; they are `RANGE_SIZE` long and `RANGE_STEP` apart.
pub(super) const NEAR: u64 = 0x7f00_0000_0000;
const LOW: u64 = 0x1000_0000;
const RANGE_SIZE: u64 = 0x1000_0000;
const RANGE_STEP: u64 = 0x100_0000_0000;
const PAGE: u64 = 0x1000;

/// Memory that was finalized.
pub(super) struct FinalMemory {
    pub(super) segments: Vec<(SegmentKind, ExecutorAddr, Vec<u8>)>,
    pub(super) requests: Vec<SegmentRequest>,
    pub(super) request: FinalizeRequest,
}

#[derive(Default)]
pub(super) struct State {
    /// Per range: first and next free address, and bytes left.
    ranges: Vec<(u64, u64, u64)>,
    pub(super) final_memory: Vec<FinalMemory>,
    pub(super) in_flight: usize,
    pub(super) reserved_tls: Vec<u64>,
    pub(super) released: usize,
    pub(super) image: Option<ProgramImage>,
    /// What imports are bound to.
    pub(super) symbols: HashMap<Vec<u8>, ImportValue>,
    pub(super) loaded: Vec<String>,
    /// The step that fails.
    pub(super) failing: Option<&'static str>,
    /// Bytes that the first range has.
    pub(super) first_range_size: Option<u64>,
    pub(super) next_tp_offset: i64,
}

/// The executor. Clones share their state.
#[derive(Clone, Default)]
pub(super) struct MockExecutor(pub(super) Arc<Mutex<State>>);

impl MockExecutor {
    fn step(&self, name: &'static str) -> ExecutorResult<()> {
        if self.0.lock().failing == Some(name) {
            return Err(ExecutorError(format!("{name} was told to fail")));
        }
        Ok(())
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
    requests: Vec<SegmentRequest>,
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

    fn finalize(
        mut self: Box<Self>,
        request: FinalizeRequest,
    ) -> ExecutorResult<Box<dyn Finalized>> {
        for (block, _) in &request.tls {
            self.executor
                .0
                .lock()
                .reserved_tls
                .retain(|id| *id != block.id);
        }
        self.executor.step("finalize")?;
        let mut segments = Vec::new();
        for ((addr, request), mut bytes) in self
            .addresses
            .iter()
            .zip(&self.requests)
            .zip(std::mem::take(&mut self.bytes))
        {
            bytes.resize(request.size as usize, 0);
            segments.push((request.kind, *addr, bytes));
        }
        self.executor.0.lock().final_memory.push(FinalMemory {
            segments,
            requests: self.requests.clone(),
            request,
        });
        Ok(Box::new(MockFinal(self.executor.clone())))
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
    fn page_size(&self) -> u64 {
        PAGE
    }

    fn open_range(&self, placement: Placement) -> ExecutorResult<(RangeId, ExecutorAddrRange)> {
        self.step("open_range")?;
        let mut state = self.0.lock();
        let count = state.ranges.len() as u64;
        let start = match placement {
            Placement::NearLibraries => NEAR - count * RANGE_STEP,
            Placement::Low2GiB => LOW + count * RANGE_SIZE,
        };
        let limit = match (count, state.first_range_size) {
            (0, Some(size)) => size,
            _ => RANGE_SIZE,
        };
        state.ranges.push((start, start, start + limit));
        let range = ExecutorAddrRange::from_size(ExecutorAddr::new(start), RANGE_SIZE);
        Ok((RangeId(count as u32), range))
    }

    fn allocate(
        &self,
        range: RangeId,
        segments: &[SegmentRequest],
    ) -> ExecutorResult<Option<Box<dyn InFlight>>> {
        self.step("allocate")?;
        let mut state = self.0.lock();
        let (_, next, end) = state.ranges[range.0 as usize];
        let mut at = next;
        let mut addresses = Vec::new();
        for segment in segments {
            at = at.next_multiple_of(segment.align.max(PAGE));
            addresses.push(ExecutorAddr::new(at));
            at += segment.size;
        }
        if at > end {
            return Ok(None);
        }
        state.ranges[range.0 as usize].1 = at;
        state.in_flight += 1;
        // Garbage instead of zeros: the linker has to write every byte of the content.
        let bytes = segments.iter().map(|s| vec![0xee; s.content_size as usize]);
        Ok(Some(Box::new(MockMemory {
            executor: self.clone(),
            addresses,
            requests: segments.to_vec(),
            bytes: bytes.collect(),
        })))
    }

    fn reserve_tls(&self, size: u64, _align: u64) -> ExecutorResult<TlsBlock> {
        self.step("reserve_tls")?;
        let mut state = self.0.lock();
        state.next_tp_offset -= 0x1000;
        let id = state.next_tp_offset.unsigned_abs();
        state.reserved_tls.push(id);
        Ok(TlsBlock {
            id,
            tp_offset: state.next_tp_offset,
            size,
        })
    }

    fn release_tls(&self, block: TlsBlock) {
        self.0.lock().reserved_tls.retain(|id| *id != block.id);
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

    fn set_program_name(&self, _program: &str) {}
}
