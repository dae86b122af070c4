//! The boundary to the process that runs the code.

use orc_shared::{ExecutorAddr, ExecutorAddrRange};
pub use orc_target_process::api;
use orc_target_process::api::{
    FrameEntry, Import, ImportValue, LoadedLibrary, Placement, ProgramImage, RangeId,
    SegmentRequest, TlsBlock,
};

/// An error of the executor or of the connection to it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct ExecutorError(pub String);

/// Result of an executor's service.
pub type ExecutorResult<T> = Result<T, ExecutorError>;

/// A wrapper call to make when memory is finalized, and the one that undoes it at release.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllocActionPair {
    /// Called after protections are in place, in order.
    pub finalize: Option<AllocAction>,
    /// Called at release, in reverse order; only if `finalize` succeeded.
    pub dealloc: Option<AllocAction>,
}

/// One wrapper call: the function and its SPS-packed arguments. It returns an SPS `Error`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllocAction {
    /// The wrapper function.
    pub function: ExecutorAddr,
    /// Its packed arguments.
    pub args: Vec<u8>,
}

/// What is done, in this order, when an allocation is finalized: protect, flush the instruction
/// cache, commit thread-locals, add frames, run the actions. Undone in reverse at release.
#[derive(Debug, Default)]
pub struct FinalizeRequest {
    /// Frame-table entries of the allocation's code.
    pub frames: Vec<FrameEntry>,
    /// The `.eh_frame` bytes of the allocation, terminated by a zero length; used where frames
    /// have to be registered section by section.
    pub eh_frame: Option<ExecutorAddrRange>,
    /// Thread-local blocks and their initial content (shorter content is followed by zeros).
    pub tls: Vec<(TlsBlock, Vec<u8>)>,
    /// Wrapper calls.
    pub actions: Vec<AllocActionPair>,
}

/// Memory that has addresses and is being filled. Dropping it abandons it.
pub trait InFlight: Send {
    /// Final addresses of the requested segments, in request order.
    fn addresses(&self) -> &[ExecutorAddr];

    /// Working memory of all segments (each `content_size` bytes), in request order. In process it
    /// is the final memory.
    fn working_memory(&mut self) -> Vec<&mut [u8]>;

    /// Makes the memory final.
    ///
    /// # Errors
    /// When a protection or an action fails; everything done before is undone.
    fn finalize(self: Box<Self>, request: FinalizeRequest) -> ExecutorResult<Box<dyn Finalized>>;
}

/// Memory in use by linked code.
pub trait Finalized: Send + Sync {
    /// The segments' places.
    fn ranges(&self) -> &[ExecutorAddrRange];

    /// Runs the dealloc actions in reverse, takes frames and thread-locals back, frees the memory.
    ///
    /// # Errors
    /// All failures joined; the memory is given back as far as possible.
    fn release(self: Box<Self>) -> ExecutorResult<()>;
}

/// Handler of a call from executor to controller: takes packed arguments, returns packed results.
pub type DispatchHandler = Box<dyn Fn(&[u8]) -> Vec<u8> + Send + Sync>;

/// Everything the controller asks of an executor.
pub trait ExecutorControl: Send + Sync {
    /// Page size in bytes.
    fn page_size(&self) -> u64;

    /// Opens a new range.
    ///
    /// # Errors
    /// When no address space is left for the placement.
    fn open_range(&self, placement: Placement) -> ExecutorResult<(RangeId, ExecutorAddrRange)>;

    /// Allocates segments in a range. `None` when the range is full: open another.
    ///
    /// # Errors
    /// When the system refuses memory.
    fn allocate(
        &self,
        range: RangeId,
        segments: &[SegmentRequest],
    ) -> ExecutorResult<Option<Box<dyn InFlight>>>;

    /// Reserves static thread-local storage; commit it through [`FinalizeRequest::tls`], or give it
    /// back with [`Self::release_tls`].
    ///
    /// # Errors
    /// When the reserve is full or absent, naming the size option.
    fn reserve_tls(&self, size: u64, align: u64) -> ExecutorResult<TlsBlock>;

    /// Gives back a reserved block that was never committed.
    fn release_tls(&self, block: TlsBlock);

    /// The libraries loaded in the process, in the loader's global search order.
    ///
    /// # Errors
    /// When the executor cannot tell.
    fn loaded_libraries(&self) -> ExecutorResult<Vec<LoadedLibrary>>;

    /// Opens a library as `dlopen(path, RTLD_NOW | RTLD_GLOBAL)` does.
    ///
    /// # Errors
    /// With the loader's message.
    fn open_library(&self, path: &str) -> ExecutorResult<()>;

    /// Binds imports now, as `dlsym(RTLD_DEFAULT, …)` does. `None` for what is not found.
    ///
    /// # Errors
    /// When the executor cannot be asked.
    fn bind_imports(&self, imports: &[Import]) -> ExecutorResult<Vec<Option<ImportValue>>>;

    /// Enters a program: its libraries are loaded and bound to its exports; when all are relocated
    /// and before their constructors run, `relocated` is called with the imports' values and must
    /// leave the program's memory final.
    ///
    /// # Errors
    /// With the loader's message, or the error of `relocated`.
    fn open_program(
        &self,
        image: &ProgramImage,
        relocated: &mut dyn FnMut(&[ImportValue]) -> ExecutorResult<()>,
    ) -> ExecutorResult<()>;

    /// Calls a wrapper function with packed arguments on the calling thread (in process) or on a
    /// thread of the executor, and returns its packed result.
    ///
    /// # Errors
    /// The out-of-band error of the wrapper, or a lost connection.
    fn call_wrapper(&self, function: ExecutorAddr, args: &[u8]) -> ExecutorResult<Vec<u8>>;

    /// Registers the handler for calls that carry `tag` (the address of a tag symbol).
    fn register_handler(&self, tag: ExecutorAddr, handler: DispatchHandler);

    /// Address of the function that JIT'd code calls to reach the controller
    /// (`__orc_rt_jit_dispatch`), and of its context (`__orc_rt_jit_dispatch_ctx`).
    fn dispatch_function(&self) -> (ExecutorAddr, ExecutorAddr);

    /// Makes the executor process look like `argv[0]` is `program`: `program_invocation_name` and
    /// the like.
    fn set_program_name(&self, program: &str);
}
