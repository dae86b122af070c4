//! The boundary to the process that runs the code.

mod crash;
mod disconnect;

use std::any::Any;
use std::fmt;

pub use orc_shared::api;
pub use orc_shared::api::{AllocationRequest, FinalizeRequest, ProgramIdentity};
use orc_shared::api::{
    Import, ImportValue, LoadedLibrary, Placement, ProgramImage, RangeId, TlsAccess, TlsBlock,
};
pub use orc_shared::{AllocAction, AllocActionPair};
use orc_shared::{ExecutorAddr, ExecutorAddrRange};

use crate::cpu::Architecture;

pub use crash::{Crash, ExplainCrash};
pub use disconnect::{Disconnect, signal_name};

/// An error of the executor or of the connection to it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ExecutorError {
    /// A request failed. The executor is as it was before.
    #[error("{0}")]
    Failed(String),
    /// The executor is gone, with everything that was linked into it.
    #[error("the executor is gone: {0}")]
    Disconnected(Disconnect),
    /// What was started or reached did not become an executor.
    #[error(
        "the executor {place} did not start: {how}{}",
        match how {
            Disconnect::Ended(..) | Disconnect::EndOfFile => "; is it an orc-executor?",
            _ => "",
        }
    )]
    NotStarted {
        /// Where it was to be, as users write it.
        place: String,
        /// How the connection ended.
        how: Disconnect,
    },
    /// The other side is no executor for this controller.
    #[error("{0}")]
    Mismatch(String),
}

impl ExecutorError {
    /// The failure of a request, as an error says it.
    pub fn failed(error: impl fmt::Display) -> Self {
        Self::Failed(error.to_string())
    }

    /// Several errors as one, if there is any. That the executor is gone says more than what
    /// failed because of it.
    ///
    /// # Errors
    /// If there is any.
    pub fn joined(errors: impl IntoIterator<Item = Self>) -> ExecutorResult<()> {
        let mut messages = Vec::new();
        for error in errors {
            match error {
                Self::Failed(message) => messages.push(message),
                Self::Disconnected(_) | Self::NotStarted { .. } | Self::Mismatch(_) => {
                    return Err(error);
                }
            }
        }
        if messages.is_empty() {
            return Ok(());
        }
        Err(Self::Failed(messages.join("; ")))
    }
}

/// Result of an executor's service.
pub type ExecutorResult<T> = Result<T, ExecutorError>;

/// Memory that has addresses and is being filled. Dropping it abandons it, with its thread-local
/// storage. [`ExecutorControl::finalize`] of the executor that made it makes it final.
pub trait InFlight: Any + Send {
    /// Final addresses of the requested segments, in request order.
    fn addresses(&self) -> &[ExecutorAddr];

    /// The thread-local storage, if some was asked for and there was room where it was asked for.
    fn tls(&self) -> Option<TlsBlock>;

    /// Working memory of all segments (each `content_size` bytes), in request order. In process it
    /// is the final memory.
    fn working_memory(&mut self) -> Vec<&mut [u8]>;

    /// What makes writing to the working memory take less time, where that pays: pieces of work for all
    /// threads, which may be done at any time, also when the memory is gone.
    fn preparations(&self) -> Vec<Preparation> {
        Vec::new()
    }
}

/// Work for any thread. See [`InFlight::preparations`].
pub type Preparation = Box<dyn FnOnce() + Send>;

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
    /// The CPU that the code runs on.
    fn architecture(&self) -> Architecture;

    /// What the system says of the processor (`AT_HWCAP` and `AT_HWCAP2`, `getauxval(3)`), for IFUNC
    /// resolvers that are told.
    fn capabilities(&self) -> [u64; 2];

    /// Page size in bytes.
    fn page_size(&self) -> u64;

    /// Opens a range, in which `least` bytes can be allocated, for the caller alone.
    ///
    /// # Errors
    /// When no address space is left for the placement.
    fn open_range(
        &self,
        placement: Placement,
        least: u64,
    ) -> ExecutorResult<(RangeId, ExecutorAddrRange)>;

    /// Gives a range back to the process: nothing will be allocated in it any more on behalf of who
    /// opened it. What is in it stays until it is released.
    fn close_range(&self, range: RangeId);

    /// What the process offers for calls that are made when a runtime may be gone: the address of its
    /// [`ExitServices`](orc_shared::ExitServices). Null if it has none.
    fn exit_services(&self) -> ExecutorAddr {
        ExecutorAddr::NULL
    }

    /// Allocates memory and thread-local storage for all requests, in their order, or for none if
    /// one fails. `None` for those whose range is full: open another. One round trip.
    ///
    /// # Errors
    /// When the system refuses memory, or there is not enough thread-local storage, naming the size
    /// option.
    fn allocate(
        &self,
        requests: &[AllocationRequest],
    ) -> ExecutorResult<Vec<Option<Box<dyn InFlight>>>>;

    /// Makes memory that this executor allocated final, all of it or none: first all content,
    /// protections, frames and thread-locals, then all actions, in order. One round trip.
    ///
    /// # Errors
    /// When a protection or an action fails; everything done before is undone.
    fn finalize(
        &self,
        batch: Vec<(Box<dyn InFlight>, FinalizeRequest)>,
    ) -> ExecutorResult<Vec<Box<dyn Finalized>>>;

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
    /// thread of the executor, and returns its packed result. In process, the function has to lie in code
    /// that this executor has made final and not released: another address is refused.
    ///
    /// # Errors
    /// The out-of-band error of the wrapper, a refused address, or a lost connection.
    fn call_wrapper(&self, function: ExecutorAddr, args: &[u8]) -> ExecutorResult<Vec<u8>>;

    /// Registers the handler for calls that carry `tag` (the address of a tag symbol).
    fn register_handler(&self, tag: ExecutorAddr, handler: DispatchHandler);

    /// Address of the function that JIT'd code calls to reach the controller
    /// (`__orc_rt_jit_dispatch`), and of its context (`__orc_rt_jit_dispatch_ctx`).
    fn dispatch_function(&self) -> (ExecutorAddr, ExecutorAddr);

    /// Makes the executor process look as if this program had been started.
    fn set_program(&self, program: &ProgramIdentity);

    /// Writes pointers in data that is final: `(place, value)`. Each is written in one store, in their order:
    /// code that sees one written sees those before it written. One round trip.
    ///
    /// # Errors
    /// When a place is not aligned, or not in writable data that this executor has made final; nothing is
    /// written then.
    fn write_pointers(&self, pointers: &[(ExecutorAddr, ExecutorAddr)]) -> ExecutorResult<()>;

    /// How large the loader's surplus of static thread-local storage would have to be when the
    /// process starts, in bytes, for what was refused last to be granted. `None` if nothing was refused.
    fn wanted_surplus(&self) -> Option<u64> {
        None
    }

    /// What code needs to reach thread-locals in modules of their own.
    ///
    /// # Errors
    /// When the executor has no such thread-locals.
    fn tls_access(&self) -> ExecutorResult<TlsAccess> {
        let message = "the executor cannot have thread-locals in modules of their own";
        Err(ExecutorError::failed(message))
    }

    /// Whether a debugger was attached to the process when it became an executor, or is now.
    fn is_debugged(&self) -> bool {
        false
    }

    /// Whether code runs in this process, so that its addresses can be called here.
    fn is_this_process(&self) -> bool {
        true
    }

    /// Whether the files of the executor's host are others than those of this one.
    fn has_own_files(&self) -> bool {
        false
    }

    /// Whether paths of this host mean nothing there. An emulator on this host has another machine's files at
    /// the system's paths, and this one's at all others.
    fn has_own_paths(&self) -> bool {
        self.has_own_files()
    }

    /// Crashes of the executor are put into words by `explain` from now on. Without a process of its
    /// own, there will be none.
    fn explain_crashes_with(&self, explain: ExplainCrash) {
        drop(explain);
    }

    /// Reads a file of the executor's host.
    ///
    /// # Errors
    /// When it cannot be read.
    fn read_file(&self, path: &str) -> ExecutorResult<Vec<u8>> {
        let failed = |error| ExecutorError::failed(format_args!("{path}: {error}"));
        if !std::fs::metadata(path).map_err(failed)?.is_file() {
            return Err(ExecutorError::failed(format_args!(
                "{path}: it is no regular file"
            )));
        }
        std::fs::read(path).map_err(failed)
    }
}
