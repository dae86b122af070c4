//! The executor that is this process.
//!
//! Every request is a direct call of [`orc_target_process::executor`]; working memory is final
//! memory wherever that can be.

use std::any::Any;
use std::sync::Arc;

use orc_shared::{ExecutorAddr, ExecutorAddrRange};
use orc_target_process::executor::dispatch::Dispatcher;
use orc_target_process::executor::memory::MemoryManager;
use orc_target_process::executor::{self as local, LocalExecutor, Released};
use orc_target_process::host::{debugger, identity, loader};

use orc_target_process::host::thread_locals::Reserve;

use crate::cpu::Architecture;
use crate::executor::api::{
    Import, ImportValue, LoadedLibrary, Placement, ProgramIdentity, ProgramImage, RangeId,
    TlsAccess, TlsBlock,
};
use crate::executor::{
    AllocationRequest, DispatchHandler, ExecutorControl, ExecutorError, ExecutorResult,
    FinalizeRequest, Finalized, InFlight, Preparation,
};

pub use orc_target_process::executor::memory::Config as MemoryConfig;

/// Executes code in this process.
pub struct InProcessExecutor {
    local: LocalExecutor,
    dispatcher: Dispatcher,
}

impl From<local::Failure> for ExecutorError {
    fn from(failure: local::Failure) -> Self {
        Self::Failed(failure.0)
    }
}

impl InProcessExecutor {
    /// An executor whose memory is used as usual.
    #[must_use]
    pub fn new() -> Self {
        Self::with_memory(MemoryConfig::default())
    }

    /// An executor with a say in how memory is used.
    #[must_use]
    pub fn with_memory(config: MemoryConfig) -> Self {
        Self {
            local: LocalExecutor::new(config),
            dispatcher: Dispatcher::new(),
        }
    }

    /// The executor as sessions take it.
    #[must_use]
    pub fn shared() -> Arc<dyn ExecutorControl> {
        Arc::new(Self::new())
    }

    /// The memory manager, for statistics and preparation.
    #[must_use]
    pub fn memory(&self) -> &MemoryManager {
        self.local.memory()
    }

    /// Leads libraries that the program has opened to the program's definitions where it replaces
    /// those of libraries loaded before it (`malloc`). Does nothing without a program.
    ///
    /// # Errors
    /// When the system refuses to make a library's tables writable.
    pub fn redirect_new_libraries(&self) -> ExecutorResult<()> {
        Ok(self.local.redirect_new_libraries()?)
    }
}

impl Default for InProcessExecutor {
    fn default() -> Self {
        Self::new()
    }
}

impl ExecutorControl for InProcessExecutor {
    fn architecture(&self) -> Architecture {
        const OWN: Architecture = Architecture::of_this_process()
            .expect("the process runs on a CPU that code can be linked for");
        OWN
    }

    fn capabilities(&self) -> [u64; 2] {
        LocalExecutor::capabilities().into()
    }

    fn page_size(&self) -> u64 {
        self.memory().page_size()
    }

    fn open_range(
        &self,
        placement: Placement,
        least: u64,
    ) -> ExecutorResult<(RangeId, ExecutorAddrRange)> {
        Ok(self.local.open_range(placement, least)?)
    }

    fn close_range(&self, range: RangeId) {
        // It was opened here, and is closed once.
        let _closed = self.local.close_range(range);
    }

    fn exit_services(&self) -> ExecutorAddr {
        LocalExecutor::exit_services()
    }

    fn allocate(
        &self,
        requests: &[AllocationRequest],
    ) -> ExecutorResult<Vec<Option<Box<dyn InFlight>>>> {
        let allocated = self.local.allocate(requests)?;
        let boxed = |memory| Box::new(InProcessMemory(memory)) as Box<dyn InFlight>;
        Ok(allocated.into_iter().map(|it| it.map(boxed)).collect())
    }

    fn finalize(
        &self,
        batch: Vec<(Box<dyn InFlight>, FinalizeRequest)>,
    ) -> ExecutorResult<Vec<Box<dyn Finalized>>> {
        let own = batch.into_iter().map(|(memory, request)| {
            let memory: Box<dyn Any> = memory;
            let memory = memory
                .downcast::<InProcessMemory>()
                .map_err(|_| ExecutorError::failed("internal error: memory of another executor"))?;
            Ok((memory.0, request))
        });
        let own = own.collect::<ExecutorResult<Vec<_>>>()?;
        let finalized = self.local.finalize(own)?;
        let boxed = |memory| Box::new(FinalizedMemory(memory)) as Box<dyn Finalized>;
        Ok(finalized.into_iter().map(boxed).collect())
    }

    fn loaded_libraries(&self) -> ExecutorResult<Vec<LoadedLibrary>> {
        Ok(loader::loaded_libraries())
    }

    fn open_library(&self, path: &str) -> ExecutorResult<()> {
        loader::open_library(path).map_err(ExecutorError::failed)
    }

    fn bind_imports(&self, imports: &[Import]) -> ExecutorResult<Vec<Option<ImportValue>>> {
        self.local
            .bind_imports(imports)
            .map_err(ExecutorError::failed)
    }

    fn open_program(
        &self,
        image: &ProgramImage,
        relocated: &mut dyn FnMut(&[ImportValue]) -> ExecutorResult<()>,
    ) -> ExecutorResult<()> {
        let mut relocated =
            |values: &[ImportValue]| relocated(values).map_err(|error| error.to_string());
        Ok(self.local.open_program(image, &mut relocated)?)
    }

    fn call_wrapper(&self, function: ExecutorAddr, args: &[u8]) -> ExecutorResult<Vec<u8>> {
        self.local
            .call_wrapper(function, args)
            .map_err(ExecutorError::failed)
    }

    fn register_handler(&self, tag: ExecutorAddr, handler: DispatchHandler) {
        self.dispatcher.register(tag, handler);
    }

    fn dispatch_function(&self) -> (ExecutorAddr, ExecutorAddr) {
        (Dispatcher::function(), self.dispatcher.context())
    }

    fn set_program(&self, program: &ProgramIdentity) {
        identity::set_program(program);
    }

    fn write_pointers(&self, pointers: &[(ExecutorAddr, ExecutorAddr)]) -> ExecutorResult<()> {
        Ok(self.local.write_pointers(pointers)?)
    }

    fn is_debugged(&self) -> bool {
        debugger::is_attached()
    }

    fn wanted_surplus(&self) -> Option<u64> {
        Reserve::get().wanted()
    }

    fn tls_access(&self) -> ExecutorResult<TlsAccess> {
        Ok(LocalExecutor::tls_access()?)
    }
}

/// Memory of this process that is being filled.
struct InProcessMemory(local::InFlight);

impl InFlight for InProcessMemory {
    fn addresses(&self) -> &[ExecutorAddr] {
        self.0.addresses()
    }

    fn tls(&self) -> Option<TlsBlock> {
        self.0.tls()
    }

    fn working_memory(&mut self) -> Vec<&mut [u8]> {
        self.0.working_memory()
    }

    fn preparations(&self) -> Vec<Preparation> {
        let preparations = self.0.preparations();
        preparations.map(|it| Box::new(it) as Preparation).collect()
    }
}

/// Memory of this process in use.
struct FinalizedMemory(local::Finalized);

impl Finalized for FinalizedMemory {
    fn ranges(&self) -> &[ExecutorAddrRange] {
        self.0.ranges()
    }

    fn release(self: Box<Self>) -> ExecutorResult<()> {
        if self.0.release()? == Released::Kept {
            tracing::info!("libraries are bound to the program: its memory stays");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
