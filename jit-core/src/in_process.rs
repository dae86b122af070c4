//! The executor that is this process.
//!
//! Every request is a direct call; working memory is final memory wherever
//! [`orc_target_process::memory`] can do that.
//!
//! **The program's end.** A program that was entered into the process stays there while its memory
//! does: memory that becomes final while the loader waits for the program belongs to it. When the
//! first piece of that is released, the program is taken out of the process. If a library that stays
//! loaded is still bound to the program's definitions, its memory is left in place for good.

use std::sync::Arc;
use std::thread::{self, ThreadId};

use orc_shared::sps::{self, SpsError};
use orc_shared::{ExecutorAddr, ExecutorAddrRange};
use orc_target_process::dispatch::Dispatcher;
use orc_target_process::memory::{self, MemoryManager};
use orc_target_process::tls::Reserve;
use orc_target_process::{native, process, program, trusted};
use parking_lot::Mutex;

use crate::executor::api::{
    Import, ImportValue, LoadedLibrary, Placement, ProgramImage, RangeId, SegmentRequest, TlsBlock,
};
use crate::executor::{
    AllocAction, AllocActionPair, DispatchHandler, ExecutorControl, ExecutorError, ExecutorResult,
    FinalizeRequest, Finalized, InFlight,
};

pub use orc_target_process::memory::Config as MemoryConfig;

/// Executes code in this process.
pub struct InProcessExecutor {
    memory: MemoryManager,
    dispatcher: Dispatcher,
    program: Arc<Mutex<SharedProgram>>,
}

/// A program, shared with its memory.
type SharedProgram = Arc<Mutex<Program>>;

/// A program of this executor.
#[derive(Default)]
enum Program {
    #[default]
    None,
    /// The loader is about to run the program's libraries, on this thread.
    Entering(ThreadId),
    Open(Box<program::OpenProgram>, Box<ProgramImage>),
    /// It was taken out; false if its memory must stay.
    Closed(bool),
}

fn failed(error: impl std::fmt::Display) -> ExecutorError {
    ExecutorError(error.to_string())
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
            memory: MemoryManager::new(config),
            dispatcher: Dispatcher::new(),
            program: Arc::default(),
        }
    }

    /// The memory manager, for statistics and preparation.
    #[must_use]
    pub fn memory(&self) -> &MemoryManager {
        &self.memory
    }

    /// Leads libraries that the program has opened to the program's definitions where it replaces
    /// those of libraries loaded before it (`malloc`). Does nothing without a program.
    ///
    /// # Errors
    /// When the system refuses to make a library's tables writable.
    pub fn redirect_new_libraries(&self) -> ExecutorResult<()> {
        let program = self.program.lock().clone();
        match &mut *program.lock() {
            Program::Open(open, image) => open.redirect_new_libraries(image).map_err(failed),
            _ => Ok(()),
        }
    }
}

impl Default for InProcessExecutor {
    fn default() -> Self {
        Self::new()
    }
}

impl ExecutorControl for InProcessExecutor {
    fn page_size(&self) -> u64 {
        self.memory.page_size()
    }

    fn open_range(&self, placement: Placement) -> ExecutorResult<(RangeId, ExecutorAddrRange)> {
        self.memory.open_range(placement).map_err(failed)
    }

    fn allocate(
        &self,
        range: RangeId,
        segments: &[SegmentRequest],
    ) -> ExecutorResult<Option<Box<dyn InFlight>>> {
        let memory = self.memory.allocate(range, segments).map_err(failed)?;
        Ok(memory.map(|memory| {
            let program = Arc::clone(&self.program);
            Box::new(InProcessMemory { memory, program }) as Box<dyn InFlight>
        }))
    }

    fn reserve_tls(&self, size: u64, align: u64) -> ExecutorResult<TlsBlock> {
        Reserve::get().reserve(size, align).map_err(failed)
    }

    fn release_tls(&self, block: TlsBlock) {
        if let Err(error) = Reserve::get().release(block) {
            // Never committed, so there is nothing in it that a thread could see.
            tracing::warn!("thread-local storage is not given back: {error}");
        }
    }

    fn loaded_libraries(&self) -> ExecutorResult<Vec<LoadedLibrary>> {
        Ok(native::loaded_libraries())
    }

    fn open_library(&self, path: &str) -> ExecutorResult<()> {
        native::open_library(path).map_err(failed)
    }

    fn bind_imports(&self, imports: &[Import]) -> ExecutorResult<Vec<Option<ImportValue>>> {
        native::bind_imports(imports).map_err(failed)
    }

    fn open_program(
        &self,
        image: &ProgramImage,
        relocated: &mut dyn FnMut(&[ImportValue]) -> ExecutorResult<()>,
    ) -> ExecutorResult<()> {
        let mut relocated =
            |values: &[ImportValue]| relocated(values).map_err(|error| error.to_string());
        // A new one for each program: memory of one that has ended stays with that.
        let program = Arc::new(Mutex::new(Program::Entering(thread::current().id())));
        {
            let mut current = self.program.lock();
            if matches!(*current.lock(), Program::Entering(_) | Program::Open(..)) {
                return Err(failed(program::ProgramError::AlreadyOpen));
            }
            *current = program.clone();
        }
        // Libraries' constructors run in here, and may call back: no lock is held.
        let opened = program::open(image, &mut relocated);
        let (state, outcome) = match opened {
            Ok(open) => (
                Program::Open(Box::new(open), Box::new(image.clone())),
                Ok(()),
            ),
            Err(error) => (Program::None, Err(failed(error))),
        };
        *program.lock() = state;
        outcome
    }

    fn call_wrapper(&self, function: ExecutorAddr, args: &[u8]) -> ExecutorResult<Vec<u8>> {
        trusted::call_wrapper(function, args).map_err(failed)
    }

    fn register_handler(&self, tag: ExecutorAddr, handler: DispatchHandler) {
        self.dispatcher.register(tag, handler);
    }

    fn dispatch_function(&self) -> (ExecutorAddr, ExecutorAddr) {
        (Dispatcher::function(), self.dispatcher.context())
    }

    fn set_program_name(&self, program: &str) {
        process::set_program_name(program);
    }
}

/// Memory of this process that is being filled.
struct InProcessMemory {
    memory: memory::InFlight,
    program: Arc<Mutex<SharedProgram>>,
}

impl InFlight for InProcessMemory {
    fn addresses(&self) -> &[ExecutorAddr] {
        self.memory.addresses()
    }

    fn working_memory(&mut self) -> Vec<&mut [u8]> {
        self.memory.working_memory()
    }

    fn finalize(self: Box<Self>, request: FinalizeRequest) -> ExecutorResult<Box<dyn Finalized>> {
        let FinalizeRequest {
            frames,
            eh_frame,
            tls,
            actions,
        } = request;
        // Everything but the actions is in place before code of the allocation can run, so that the
        // order of protections, thread-locals and frames among each other cannot be seen.
        let committed = CommittedTls::commit(tls)?;
        let memory = match self.memory.finalize(frames, eh_frame) {
            Ok(memory) => memory,
            Err(error) => return Err(joined([Some(failed(error)), committed.release().err()])),
        };
        let program = self.program.lock().clone();
        let this = thread::current().id();
        let entering = matches!(*program.lock(), Program::Entering(thread) if thread == this);
        let mut done = FinalizedMemory {
            memory,
            tls: committed,
            undo: Vec::new(),
            program: entering.then_some(program),
        };
        for AllocActionPair { finalize, dealloc } in actions {
            if let Some(Err(error)) = finalize.as_ref().map(run) {
                let released = Box::new(done).release();
                return Err(joined([Some(error), released.err()]));
            }
            done.undo.extend(dealloc);
        }
        Ok(Box::new(done))
    }
}

/// Memory of this process in use.
struct FinalizedMemory {
    memory: memory::Finalized,
    tls: CommittedTls,
    /// Calls to make at release, last first.
    undo: Vec<AllocAction>,
    /// The program that this memory is a part of.
    program: Option<SharedProgram>,
}

/// Takes the program out of the process if it is still there. Whether its memory may be freed.
fn close_program(program: &Mutex<Program>) -> bool {
    let open = {
        let mut program = program.lock();
        match &*program {
            // Entering failed after this memory became final, so nothing is bound to it.
            Program::None | Program::Entering(_) => return true,
            Program::Closed(free) => return *free,
            Program::Open(..) => std::mem::replace(&mut *program, Program::Closed(false)),
        }
    };
    // Libraries' destructors run in here: no lock is held.
    let Program::Open(open, _) = open else {
        return false;
    };
    let free = open.close();
    *program.lock() = Program::Closed(free);
    free
}

impl Finalized for FinalizedMemory {
    fn ranges(&self) -> &[ExecutorAddrRange] {
        self.memory.ranges()
    }

    fn release(self: Box<Self>) -> ExecutorResult<()> {
        let undone: Vec<_> = self.undo.iter().rev().map(run).collect();
        let failures = undone.into_iter().map(Result::err);
        if let Some(program) = &self.program
            && !close_program(program)
        {
            tracing::info!("libraries are bound to the program: its memory stays");
            let error = joined(failures);
            return if error.0.is_empty() {
                Ok(())
            } else {
                Err(error)
            };
        }
        let memory = self.memory.release().map_err(failed).err();
        let error = joined(failures.chain([memory, self.tls.release().err()]));
        if error.0.is_empty() {
            Ok(())
        } else {
            Err(error)
        }
    }
}

/// Thread-local blocks that have their initial values in every thread.
#[derive(Default)]
struct CommittedTls(Vec<TlsBlock>);

impl CommittedTls {
    /// Commits all blocks, or gives all of them back.
    fn commit(blocks: Vec<(TlsBlock, Vec<u8>)>) -> ExecutorResult<Self> {
        let reserve = Reserve::get();
        let mut error = None;
        for (block, image) in &blocks {
            if error.is_none() {
                error = reserve.commit(block, image).map_err(failed).err();
            }
        }
        let committed = Self(blocks.into_iter().map(|(block, _)| block).collect());
        match error {
            None => Ok(committed),
            Some(error) => Err(joined([Some(error), committed.release().err()])),
        }
    }

    fn release(self) -> ExecutorResult<()> {
        let released = self
            .0
            .into_iter()
            .rev()
            .map(|block| Reserve::get().release(block));
        let error = joined(released.map(|outcome| outcome.map_err(failed).err()));
        if error.0.is_empty() {
            Ok(())
        } else {
            Err(error)
        }
    }
}

/// Makes an action's call and reads the SPS error that it returns.
fn run(action: &AllocAction) -> ExecutorResult<()> {
    let function = action.function;
    let bytes = trusted::call_wrapper(function, &action.args)
        .map_err(|error| ExecutorError(format!("action at {function}: {error}")))?;
    let SpsError(outcome) = sps::decode(&bytes).map_err(|error| {
        ExecutorError(format!(
            "action at {function} returned no SPS error: {error}"
        ))
    })?;
    outcome.map_err(|message| ExecutorError(format!("action at {function}: {message}")))
}

/// Several failures as one; empty if there is none.
fn joined(errors: impl IntoIterator<Item = Option<ExecutorError>>) -> ExecutorError {
    let messages: Vec<String> = errors.into_iter().flatten().map(|error| error.0).collect();
    ExecutorError(messages.join("; "))
}

impl InProcessExecutor {
    /// The executor as sessions take it.
    #[must_use]
    pub fn shared() -> Arc<dyn ExecutorControl> {
        Arc::new(Self::new())
    }
}

#[cfg(test)]
mod tests;
