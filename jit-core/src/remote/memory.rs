//! Memory of an executor in another process.
//!
//! Its bytes are made here. On the same host they lie in a file that both processes map, so they are
//! written once; where descriptors cannot be passed, or there are few of them, they travel
//! in the message that makes the memory final.

use std::any::Any;
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;

use orc_shared::remote::services::Service;
use orc_shared::{ExecutorAddr, ExecutorAddrRange, sps};
use orc_system::shared_memory::{SharedMemory, Slice};

use super::requests::Requests;
use crate::executor::api::{
    Allocated, Content, Finalization, SegmentRequest, TlsBlock, TlsPlace, TlsRequest, TlsRoom,
};
use crate::executor::{
    AllocationRequest, ExecutorError, ExecutorResult, FinalizeRequest, Finalized, InFlight,
};

/// Bytes of a segment from which on it is worth a page table entry and not a copy.
const SHARED_FROM: u64 = 32 << 10;

/// The bytes of one segment.
enum Bytes {
    Own(Vec<u8>),
    Shared(Slice),
    /// They lie in a sealed file, from this offset on.
    Sealed(u64),
}

impl Bytes {
    fn content(&self) -> Content<'_> {
        match self {
            Self::Own(bytes) => Content::Inline(bytes),
            Self::Shared(slice) => Content::Inline(slice),
            Self::Sealed(offset) => Content::Shared(*offset),
        }
    }

    /// The file that they lie in, if it can still be written.
    fn file(&self) -> Option<&Slice> {
        match self {
            Self::Shared(slice) => Some(slice),
            Self::Own(_) | Self::Sealed(_) => None,
        }
    }
}

/// Memory that has addresses there, and bytes here.
pub(super) struct RemoteInFlight {
    requests: Arc<Requests>,
    id: u64,
    addresses: Vec<ExecutorAddr>,
    tls: Option<TlsBlock>,
    bytes: Vec<Bytes>,
    ranges: Vec<ExecutorAddrRange>,
    /// Whether the executor has been asked to make it final, and so knows what becomes of it.
    is_settled: bool,
}

impl InFlight for RemoteInFlight {
    fn addresses(&self) -> &[ExecutorAddr] {
        &self.addresses
    }

    fn tls(&self) -> Option<TlsBlock> {
        self.tls
    }

    fn working_memory(&mut self) -> Vec<&mut [u8]> {
        let slices = self.bytes.iter_mut().map(|bytes| match bytes {
            Bytes::Own(bytes) => &mut bytes[..],
            Bytes::Shared(slice) => &mut slice[..],
            Bytes::Sealed(_) => &mut [],
        });
        slices.collect()
    }
}

impl Drop for RemoteInFlight {
    fn drop(&mut self) {
        if !self.is_settled {
            self.requests.tell(Service::Abandon, &vec![self.id]);
        }
    }
}

/// Allocates memory for all requests, or for none.
pub(super) fn allocate(
    requests: &Arc<Requests>,
    wanted: &[AllocationRequest],
    page_size: u64,
    share: bool,
) -> ExecutorResult<Vec<Option<Box<dyn InFlight>>>> {
    let allocated: Vec<Option<Allocated>> = requests.ask(Service::Allocate, &wanted)?;
    let fits = |(request, allocated): (&AllocationRequest, &Option<Allocated>)| {
        allocated.as_ref().is_none_or(|allocated| {
            allocated.addresses.len() == request.segments.len()
                && fits_tls(request.tls.as_ref(), allocated.tls.as_ref())
        })
    };
    if allocated.len() != wanted.len() || !wanted.iter().zip(&allocated).all(fits) {
        return Err(requests.violation("it allocates something else than it was asked for"));
    }
    // From here on, whatever is not handed out is given back.
    let in_flight = wanted.iter().zip(allocated).map(|(request, allocated)| {
        allocated.map(|allocated| RemoteInFlight::new(requests, request, allocated))
    });
    let mut in_flight: Vec<Option<RemoteInFlight>> = in_flight.collect();
    if share {
        share_bytes(&mut in_flight, wanted, page_size)?;
    }
    let boxed = |memory: RemoteInFlight| Box::new(memory) as Box<dyn InFlight>;
    Ok(in_flight.into_iter().map(|it| it.map(boxed)).collect())
}

/// Whether an executor may have answered so.
fn fits_tls(wanted: Option<&TlsRequest>, block: Option<&TlsBlock>) -> bool {
    match (wanted, block) {
        (None, None) => true,
        (None, Some(_)) => false,
        (Some(wanted), None) => wanted.room == TlsRoom::FixedIfFree,
        (Some(wanted), Some(block)) => {
            let is_fixed = matches!(block.place, TlsPlace::Fixed(_));
            is_fixed == (wanted.room != TlsRoom::Module)
        }
    }
}

impl RemoteInFlight {
    fn new(requests: &Arc<Requests>, request: &AllocationRequest, allocated: Allocated) -> Self {
        // Fresh zeros of large ones are not touched before they are replaced.
        let own = request.segments.iter();
        let own = own.map(|segment| Bytes::Own(vec![0; segment.content_size as usize]));
        let places = request.segments.iter().zip(&allocated.addresses);
        let ranges =
            places.map(|(segment, addr)| ExecutorAddrRange::from_size(*addr, segment.size));
        Self {
            requests: requests.clone(),
            id: allocated.id,
            bytes: own.collect(),
            ranges: ranges.collect(),
            addresses: allocated.addresses,
            tls: allocated.tls,
            is_settled: false,
        }
    }
}

/// Puts the bytes of large segments into a file, each at the place in its page that it has there.
fn share_bytes(
    in_flight: &mut [Option<RemoteInFlight>],
    wanted: &[AllocationRequest],
    page_size: u64,
) -> ExecutorResult<()> {
    let is_large = |segment: &SegmentRequest| segment.content_size >= SHARED_FROM;
    let mut places: Vec<Range<usize>> = Vec::new();
    let mut shared: Vec<&mut Bytes> = Vec::new();
    let mut end = 0u64;
    for (memory, request) in in_flight.iter_mut().zip(wanted) {
        let Some(memory) = memory else { continue };
        let segments = request.segments.iter().zip(&memory.addresses);
        for ((segment, addr), bytes) in segments.zip(&mut memory.bytes) {
            if is_large(segment) {
                let start = end.next_multiple_of(page_size) + addr.value() % page_size;
                end = start + segment.content_size;
                places.push(start as usize..end as usize);
                shared.push(bytes);
            }
        }
    }
    if places.is_empty() {
        return Ok(());
    }
    let slices = SharedMemory::slices(&places).map_err(|error| {
        ExecutorError::failed(format_args!(
            "cannot share memory with the executor: {error}"
        ))
    })?;
    for (bytes, slice) in shared.into_iter().zip(slices) {
        *bytes = Bytes::Shared(slice);
    }
    Ok(())
}

/// Makes memory final, all of it or none.
pub(super) fn finalize(
    requests: &Arc<Requests>,
    batch: Vec<(Box<dyn InFlight>, FinalizeRequest)>,
) -> ExecutorResult<Vec<Box<dyn Finalized>>> {
    let mut memories = Vec::with_capacity(batch.len());
    let mut wanted = Vec::with_capacity(batch.len());
    for (memory, request) in batch {
        let memory: Box<dyn Any> = memory;
        let memory = memory
            .downcast::<RemoteInFlight>()
            .map_err(|_| ExecutorError::failed("internal error: memory of another executor"))?;
        memories.push(*memory);
        wanted.push(request);
    }
    let file = seal_file(&mut memories).map_err(|error| {
        ExecutorError::failed(format_args!(
            "cannot share memory with the executor: {error}"
        ))
    })?;
    let finalizations = memories
        .iter()
        .zip(wanted)
        .map(|(memory, request)| Finalization {
            id: memory.id,
            content: memory.bytes.iter().map(Bytes::content).collect(),
            request,
        });
    let args = sps::encode(&finalizations.collect::<Vec<_>>());
    requests.check_size(Service::Finalize, &args)?;
    for memory in &mut memories {
        memory.is_settled = true;
    }
    let descriptors: Vec<_> = file.iter().map(|file| file.as_fd()).collect();
    let ranges: Vec<Vec<ExecutorAddrRange>> =
        requests.ask_with(Service::Finalize, &args, &descriptors)?;
    if ranges.len() != memories.len() {
        return Err(requests.violation("it finalizes something else than it was asked for"));
    }
    let finalized = memories.into_iter().map(|mut memory| {
        Box::new(RemoteFinalized {
            requests: memory.requests.clone(),
            id: memory.id,
            ranges: std::mem::take(&mut memory.ranges),
        }) as Box<dyn Finalized>
    });
    Ok(finalized.collect())
}

/// Seals the file that large segments lie in, if all of it is part of the batch: a message has
/// one file. What else there is travels in the message.
fn seal_file(memories: &mut [RemoteInFlight]) -> io::Result<Option<OwnedFd>> {
    let slices = || {
        memories
            .iter()
            .flat_map(|memory| &memory.bytes)
            .filter_map(Bytes::file)
    };
    let Some(first) = slices().next() else {
        return Ok(None);
    };
    let file = first.file();
    let is_whole = slices().filter(|slice| slice.file() == file).count() == first.parts_of_file();
    if !is_whole {
        return Ok(None);
    }
    let mut shared = None;
    for bytes in memories.iter_mut().flat_map(|memory| &mut memory.bytes) {
        let Some(slice) = bytes.file().filter(|slice| slice.file() == file) else {
            continue;
        };
        let sealed = Bytes::Sealed(slice.offset());
        if let Bytes::Shared(slice) = std::mem::replace(bytes, sealed) {
            shared = slice.into_memory().or(shared);
        }
    }
    shared.map(SharedMemory::seal).transpose()
}

/// Memory that linked code uses there.
struct RemoteFinalized {
    requests: Arc<Requests>,
    id: u64,
    ranges: Vec<ExecutorAddrRange>,
}

impl Finalized for RemoteFinalized {
    fn ranges(&self) -> &[ExecutorAddrRange] {
        &self.ranges
    }

    fn release(self: Box<Self>) -> ExecutorResult<()> {
        match self.requests.order(Service::Release, &vec![self.id]) {
            // With its process, all memory is gone.
            Err(ExecutorError::Disconnected(_)) => Ok(()),
            outcome => outcome,
        }
    }
}
