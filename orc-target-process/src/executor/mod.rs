//! An executor's services in this process: what the linker of this process calls directly, and the
//! server of a remote controller on its behalf.
//!
//! **Batches.** Allocations are made and become final together. All of a batch is in place, with
//! its thread-locals and frames, before the first action of the batch runs, because an action
//! may run code that reaches all of it. If anything fails, everything of the batch is undone.
//!
//! **The program's end.** A program that was entered into the process stays there while its memory
//! does: memory that becomes final while the loader waits for the program belongs to it. When the
//! first piece of that is released, the program is taken out of the process. If a library that stays
//! loaded is still bound to the program's definitions, its memory is left in place for good.

mod action;
mod calls;
pub mod dispatch;
mod exit_calls;
pub mod memory;
mod program;
pub(crate) mod registration;
#[cfg(test)]
mod tests;
mod tls;
pub mod trust;
pub mod wrapper;

use std::fmt::Display;
use std::sync::Arc;

use orc_shared::api::{
    AllocationRequest, Content, FinalizeRequest, Import, ImportValue, Placement, ProgramImage,
    RangeId, TlsAccess, TlsBlock,
};
use orc_shared::{AllocAction, AllocActionPair, ExecutorAddr, ExecutorAddrRange};
use parking_lot::Mutex;

#[cfg(feature = "llvm")]
pub(crate) use self::action::run_trusted;
use self::calls::{Calls, OwnMemory};
use self::memory::{MemoryManager, SharedContent};
use self::program::{Program, SharedProgram};
use self::tls::{CommittedTls, ReservedTls};
use self::trust::Trust;
use self::wrapper::CallError;
use crate::host::{self, loader, stand_ins};

/// Why a service failed, as text that names what was asked for.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Failure(pub String);

impl Failure {
    /// The failure that an error is.
    pub fn new(error: impl Display) -> Self {
        Self(error.to_string())
    }

    /// Several failures as one, if there is any.
    pub(crate) fn all(failures: impl IntoIterator<Item = Option<Self>>) -> Result<(), Self> {
        let mut failures = failures.into_iter().flatten();
        match failures.next() {
            None => Ok(()),
            Some(first) => Err(first.and(failures)),
        }
    }

    /// This failure, and those of undoing what was done before it.
    pub(crate) fn and(self, further: impl IntoIterator<Item = Self>) -> Self {
        let messages = std::iter::once(self.0).chain(further.into_iter().map(|it| it.0));
        Self(messages.collect::<Vec<String>>().join("; "))
    }
}

/// What has become of released memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Released {
    /// It is free.
    Freed,
    /// It stays in place, because libraries are bound to the program that it is a part of.
    Kept,
}

/// Memory and the program of this process. See the [module](self).
pub struct LocalExecutor {
    memory: MemoryManager,
    program: Mutex<SharedProgram>,
    calls: Calls,
}

impl LocalExecutor {
    /// An executor without memory, for the linker of this process. It calls no function but of code that it
    /// has made final.
    #[must_use]
    pub fn new(config: memory::Config) -> Self {
        Self::with_calls(config, Calls::Own(OwnMemory::default()))
    }

    /// An executor without memory that calls what its requests name.
    #[must_use]
    pub fn trusting(config: memory::Config, trust: Trust) -> Self {
        Self::with_calls(config, Calls::Trusted(trust))
    }

    fn with_calls(config: memory::Config, calls: Calls) -> Self {
        Self {
            memory: MemoryManager::new(config),
            program: Mutex::default(),
            calls,
        }
    }

    /// Calls the wrapper function at `function` with packed arguments, on this thread, and returns its
    /// packed result.
    ///
    /// # Errors
    /// The function's out-of-band error; when the address is not in code that this executor has made final.
    pub fn call_wrapper(
        &self,
        function: ExecutorAddr,
        arguments: &[u8],
    ) -> Result<Vec<u8>, CallError> {
        self.calls.wrapper(function, arguments)
    }

    /// Writes pointers in data that is final, each in one store, in their order: whoever sees one written
    /// sees those before it written. All of them, or none if one cannot be.
    ///
    /// # Errors
    /// When a place is not aligned, or not in writable data that this executor has made final.
    pub fn write_pointers(&self, pointers: &[(ExecutorAddr, ExecutorAddr)]) -> Result<(), Failure> {
        self.calls.write_pointers(pointers)
    }

    /// The memory manager, for statistics and preparation.
    #[must_use]
    pub fn memory(&self) -> &MemoryManager {
        &self.memory
    }

    /// Opens a range, in which `least` bytes can be allocated.
    ///
    /// # Errors
    /// As [`MemoryManager::open_range`].
    pub fn open_range(
        &self,
        placement: Placement,
        least: u64,
    ) -> Result<(RangeId, ExecutorAddrRange), Failure> {
        let opened = self.memory.open_range(placement, least);
        opened.map_err(Failure::new)
    }

    /// Gives a range back: nothing will be allocated in it any more.
    ///
    /// # Errors
    /// When there is no such range.
    pub fn close_range(&self, range: RangeId) -> Result<(), Failure> {
        self.memory.close_range(range).map_err(Failure::new)
    }

    /// What code needs to reach thread-locals in modules of their own.
    ///
    /// # Errors
    /// When the loader does not tell what has to be known.
    pub fn tls_access() -> Result<TlsAccess, Failure> {
        crate::host::thread_locals::access().map_err(Failure::new)
    }

    /// What the system says of the processor: `AT_HWCAP` and `AT_HWCAP2` (`getauxval(3)`).
    #[must_use]
    pub fn capabilities() -> (u64, u64) {
        host::process::capabilities()
    }

    /// What this process offers to runtimes that come and go: the address of its
    /// [`ExitServices`](orc_shared::ExitServices). Null if there is no place for their code.
    #[must_use]
    pub fn exit_services() -> ExecutorAddr {
        let services = exit_calls::services();
        services.map_or(ExecutorAddr::NULL, |it| {
            ExecutorAddr::new(std::ptr::from_ref(it).expose_provenance() as u64)
        })
    }

    /// Allocates memory and thread-local storage for all requests, or for none if one fails. `None`
    /// for those whose range is full: open another.
    ///
    /// # Errors
    /// When the system refuses memory, a request contradicts itself, or thread-local storage is
    /// used up.
    pub fn allocate(
        &self,
        requests: &[AllocationRequest],
    ) -> Result<Vec<Option<InFlight>>, Failure> {
        requests.iter().map(|it| self.allocate_one(it)).collect()
    }

    fn allocate_one(&self, request: &AllocationRequest) -> Result<Option<InFlight>, Failure> {
        let frames = request.frames.map(|count| count as usize);
        let memory = self
            .memory
            .allocate_with_frames(request.range, &request.segments, frames)
            .map_err(Failure::new)?;
        let Some(memory) = memory else {
            return Ok(None);
        };
        let tls = match &request.tls {
            Some(wanted) => ReservedTls::new(wanted)?,
            None => None,
        };
        Ok(Some(InFlight { memory, tls }))
    }

    /// Makes all of a batch final, or nothing of it.
    ///
    /// # Errors
    /// When a protection, a commit or an action fails; everything is undone.
    pub fn finalize(
        &self,
        batch: Vec<(InFlight, FinalizeRequest)>,
    ) -> Result<Vec<Finalized>, Failure> {
        let program = Program::entering(&self.program.lock());
        let mut done = Vec::with_capacity(batch.len());
        let mut actions = Vec::with_capacity(batch.len());
        for (in_flight, request) in batch {
            match in_flight.into_place(request, program.clone(), self.calls.clone()) {
                Ok((finalized, its_actions)) => {
                    done.push(finalized);
                    actions.push(its_actions);
                }
                Err(failure) => return Err(undo(done, failure)),
            }
        }
        for (index, actions) in actions.into_iter().enumerate() {
            for pair in actions {
                if let Err(failure) = done[index].act(pair) {
                    return Err(undo(done, failure));
                }
            }
        }
        Ok(done)
    }

    /// Enters a program: its libraries are loaded and bound to its exports; when all are relocated
    /// and before their constructors run, `relocated` is called with the imports' values and must
    /// leave the program's memory final.
    ///
    /// # Errors
    /// With the loader's message, or the error of `relocated`.
    pub fn open_program(
        &self,
        image: &ProgramImage,
        relocated: &mut dyn FnMut(&[ImportValue]) -> Result<(), String>,
    ) -> Result<(), Failure> {
        let mut with_stand_ins = |values: &[ImportValue]| {
            let mut values = values.to_vec();
            for (import, value) in image.imports.iter().zip(&mut values) {
                let stub_for = |target| self.memory.stub_near_libraries(target);
                stand_ins::substitute(import, value, stub_for);
            }
            relocated(&values)
        };
        Program::open(&self.program, image, &mut with_stand_ins)
    }

    /// Binds imports to what is loaded; `None` for what is not there.
    ///
    /// # Errors
    /// As [`loader::bind_imports`].
    pub fn bind_imports(
        &self,
        imports: &[Import],
    ) -> Result<Vec<Option<ImportValue>>, loader::NativeError> {
        let mut values = loader::bind_imports(imports)?;
        for (import, value) in imports.iter().zip(&mut values) {
            if let Some(value) = value {
                let stub_for = |target| self.memory.stub_near_libraries(target);
                stand_ins::substitute(import, value, stub_for);
            }
        }
        Ok(values)
    }

    /// Leads libraries that the program has opened to the program's definitions where it replaces
    /// those of libraries loaded before it (`malloc`). Does nothing without a program.
    ///
    /// # Errors
    /// When the system refuses to make a library's tables writable.
    pub fn redirect_new_libraries(&self) -> Result<(), Failure> {
        let program = Arc::clone(&self.program.lock());
        Program::redirect_new_libraries(&program)
    }
}

/// Undoes what is final of a failed batch, last first.
fn undo(done: Vec<Finalized>, failure: Failure) -> Failure {
    let released = done.into_iter().rev();
    failure.and(released.filter_map(|it| it.release().err()))
}

/// Memory that has addresses and is being filled. Dropping it abandons it.
pub struct InFlight {
    memory: memory::InFlight,
    tls: Option<ReservedTls>,
}

impl InFlight {
    /// Final addresses of the segments, in request order.
    #[must_use]
    pub fn addresses(&self) -> &[ExecutorAddr] {
        self.memory.addresses()
    }

    /// The thread-local storage, if some was asked for and there was room where it was asked for.
    #[must_use]
    pub fn tls(&self) -> Option<TlsBlock> {
        self.tls.as_ref().map(ReservedTls::block)
    }

    /// See [`memory::InFlight::preparations`].
    pub fn preparations(&self) -> impl Iterator<Item = impl FnOnce() + Send + use<>> {
        self.memory.preparations()
    }

    /// Working memory of all segments, `content_size` bytes each, in request order.
    pub fn working_memory(&mut self) -> Vec<&mut [u8]> {
        self.memory.working_memory()
    }

    /// Fills the segments with content that another process made; `file` holds what is shared.
    ///
    /// # Errors
    /// When it is not the content of these segments, or the system refuses.
    pub fn fill(
        &mut self,
        content: &[Content<'_>],
        file: Option<&SharedContent>,
    ) -> Result<(), Failure> {
        self.memory.fill(content, file).map_err(Failure::new)
    }

    /// Everything of finalizing but the actions. All of that is in place before code of the
    /// allocation can run, so that its order cannot be seen.
    fn into_place(
        self,
        request: FinalizeRequest,
        program: Option<SharedProgram>,
        calls: Calls,
    ) -> Result<(Finalized, Vec<AllocActionPair>), Failure> {
        let FinalizeRequest {
            frames,
            eh_frame,
            functions,
            tls_image,
            actions,
        } = request;
        let tls = match self.tls {
            Some(reserved) => Some(reserved.commit(&tls_image)?),
            None if tls_image.is_empty() => None,
            None => {
                let problem = "initial content for thread-local storage that was not asked for";
                return Err(Failure::new(problem));
            }
        };
        let mut memory = match self.memory.finalize(frames, eh_frame) {
            Ok(memory) => memory,
            Err(error) => {
                let released = tls.and_then(|tls| tls.release().err());
                return Err(Failure::new(error).and(released));
            }
        };
        // Code without names runs as well.
        let _unnamed = memory.name_functions(&functions);
        calls.add(&memory);
        let finalized = Finalized {
            memory,
            tls,
            undo: Vec::new(),
            program,
            calls,
        };
        Ok((finalized, actions))
    }
}

/// Memory in use by linked code. Dropping it leaves the code in place for good.
pub struct Finalized {
    memory: memory::Finalized,
    tls: Option<CommittedTls>,
    /// Calls to make at release, last first.
    undo: Vec<AllocAction>,
    /// The program that this memory is a part of.
    program: Option<SharedProgram>,
    /// What its actions may call.
    calls: Calls,
}

impl Finalized {
    /// The segments' places, in request order.
    #[must_use]
    pub fn ranges(&self) -> &[ExecutorAddrRange] {
        self.memory.ranges()
    }

    fn act(&mut self, pair: AllocActionPair) -> Result<(), Failure> {
        let AllocActionPair { finalize, dealloc } = pair;
        if !finalize.is_absent() {
            action::run(&finalize, &self.calls)?;
        }
        if !dealloc.is_absent() {
            self.undo.push(dealloc);
        }
        Ok(())
    }

    /// Runs the dealloc actions in reverse, takes frames and thread-locals back, frees the memory.
    ///
    /// # Errors
    /// All failures joined; the memory is given back as far as possible.
    pub fn release(self) -> Result<Released, Failure> {
        let undone = self.undo.iter().rev();
        let undone: Vec<_> = undone.map(|it| action::run(it, &self.calls)).collect();
        let mut failures: Vec<_> = undone.into_iter().map(Result::err).collect();
        if let Some(program) = &self.program
            && !Program::close(program)
        {
            return Failure::all(failures).map(|()| Released::Kept);
        }
        self.calls.remove(&self.memory);
        failures.push(self.memory.release().map_err(Failure::new).err());
        failures.push(self.tls.and_then(|tls| tls.release().err()));
        Failure::all(failures).map(|()| Released::Freed)
    }
}
