//! The executor at the other end of a connection.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use orc_shared::remote::services::{
    Accept, Accepted, EXIT_SERVICES, Prepare, Service, Streams, VERSION, values,
};
use orc_shared::remote::{Setup, llvm};
use orc_shared::sps::{self, SpsDecode, SpsError};
use orc_shared::{ExecutorAddr, ExecutorAddrRange};
use parking_lot::Mutex;

use super::connection::{Connection, Limits};
use super::memory;
use super::requests::Requests;
use super::streams;
use crate::cpu::Architecture;
use crate::executor::api::{
    Import, ImportValue, LoadedLibrary, Placement, ProgramIdentity, ProgramImage, RangeId,
    TlsAccess,
};
use crate::executor::{
    AllocationRequest, Disconnect, DispatchHandler, ExecutorControl, ExecutorError, ExecutorResult,
    ExplainCrash, FinalizeRequest, Finalized, InFlight,
};

/// How long the executor may take to end when the session does.
const PATIENCE: Duration = Duration::from_secs(2);

/// Executes code in another process. When it is dropped, the session ends, and with it the executor's
/// process.
pub struct RemoteExecutor {
    requests: Arc<Requests>,
    architecture: Architecture,
    capabilities: [u64; 2],
    page_size: u64,
    pid: Option<u64>,
    is_debugged: bool,
    dispatch: (ExecutorAddr, ExecutorAddr),
    exit_services: ExecutorAddr,
    is_same_host: bool,
    /// Whether it is on this host, perhaps in an emulator.
    shares_paths: bool,
    /// Whether large content can be shared instead of sent.
    shares_memory: bool,
    streams: Streams,
    /// What imports were bound to: libraries that the controller has opened stay.
    bound: Mutex<HashMap<Import, ImportValue>>,
}

impl RemoteExecutor {
    /// Accepts an executor that has introduced itself.
    pub(super) fn accept(
        connection: Arc<Connection>,
        setup: &Setup,
        limits: &Limits,
        wanted: Streams,
    ) -> ExecutorResult<Self> {
        check_identity(setup)?;
        let requests = Arc::new(Requests {
            max_message: value(setup, values::MAX_MESSAGE).unwrap_or(limits.max_message),
            connection: connection.clone(),
        });
        let architecture = architecture(setup)?;
        // An emulator has another machine's files in the places of some of this one's.
        let is_own_cpu = Architecture::of_this_process() == Some(architecture);
        let shares_paths = super::same_files::is_same(setup);
        let own = Self {
            architecture,
            capabilities: value::<(u64, u64)>(setup, values::CAPABILITIES)
                .unwrap_or_default()
                .into(),
            page_size: setup.page_size,
            pid: value(setup, values::PID),
            is_debugged: value(setup, values::DEBUGGED).unwrap_or(false),
            dispatch: (
                symbol(setup, llvm::DISPATCH_FUNCTION)?,
                symbol(setup, llvm::DISPATCH_CONTEXT)?,
            ),
            exit_services: symbol(setup, EXIT_SERVICES).unwrap_or(ExecutorAddr::NULL),
            is_same_host: is_own_cpu && shares_paths,
            shares_paths,
            shares_memory: connection.passes_descriptors()
                && wanted != Streams::Forwarded
                && value(setup, values::DESCRIPTORS).unwrap_or(false),
            streams: Streams::Inherited,
            bound: Mutex::default(),
            requests,
        };
        own.introduce(limits, wanted)
    }

    /// The first call.
    fn introduce(mut self, limits: &Limits, wanted: Streams) -> ExecutorResult<Self> {
        let silence = limits.silence.filter(|_| wanted == Streams::Forwarded);
        let accept = Accept {
            version: VERSION,
            max_message: limits.max_message,
            // A socket of the same host tells that this process has ended; a network may not.
            silence_max_ms: silence.map_or(0, |limit| limit.as_millis() as u64),
            streams: wanted,
        };
        streams::receive_output(&self.requests.connection);
        let passed = match wanted {
            Streams::Passed => streams::own()?,
            Streams::Inherited | Streams::Forwarded => Vec::new(),
        };
        let descriptors: Vec<_> = passed.iter().map(std::os::fd::AsFd::as_fd).collect();
        let accepted: Accepted = self
            .requests
            .ask_first(Service::Accept, &accept, &descriptors)?;
        if accepted.version != VERSION {
            return Err(versions_differ(accepted.version));
        }
        self.streams = accepted.streams;
        self.requests.connection.accepted();
        Ok(self)
    }

    /// Its process's id, on its host.
    #[must_use]
    pub fn pid(&self) -> Option<u64> {
        self.pid
    }

    /// How the connection to it has ended, if it has.
    #[must_use]
    pub fn lost(&self) -> Option<Disconnect> {
        self.requests.connection.lost()
    }

    /// What becomes of the program's standard streams.
    #[must_use]
    pub fn streams(&self) -> Streams {
        self.streams
    }

    /// Whether its host is this one, with the same files.
    #[must_use]
    pub fn is_same_host(&self) -> bool {
        self.is_same_host
    }

    /// Ends the session, and with it the executor's process: it is given two seconds to do so by
    /// itself, then, if it is a child, it is killed.
    pub fn end(&self) {
        self.requests.connection.close(PATIENCE);
    }

    /// Gives the process what its program is to find: its working directory and environment, as
    /// far as they are given.
    ///
    /// # Errors
    /// When there is no such directory.
    pub fn prepare(&self, prepare: &Prepare) -> ExecutorResult<()> {
        self.requests.order(Service::Prepare, prepare)
    }

    /// Forwards what is on this process's standard input to the program, on a thread of its own, if
    /// the program has none of its own.
    pub fn forward_input(&self) {
        if self.streams == Streams::Forwarded {
            streams::forward_input(self.requests.clone());
        }
    }

    /// The program finds the end of its standard input, unless it has one of its own.
    pub fn end_input(&self) {
        if self.streams == Streams::Forwarded {
            self.requests.tell(Service::Input, &Vec::<u8>::new());
        }
    }

    /// Leads libraries that the program has opened to the program's definitions where it replaces
    /// those of libraries loaded before it (`malloc`). Does nothing without a program.
    ///
    /// # Errors
    /// When the executor's system refuses to make a library's tables writable.
    pub fn redirect_new_libraries(&self) -> ExecutorResult<()> {
        self.requests.order(Service::RedirectNewLibraries, &())
    }
}

/// A value of the setup message.
fn value<T: for<'a> SpsDecode<'a>>(setup: &Setup, name: &str) -> Option<T> {
    let (_, bytes) = setup.values.iter().find(|(known, _)| known == name)?;
    sps::decode(bytes).ok()
}

/// A symbol of the setup message.
fn symbol(setup: &Setup, name: &str) -> ExecutorResult<ExecutorAddr> {
    let found = setup.symbols.iter().find(|(known, _)| known == name);
    let missing = || ExecutorError::Mismatch(format!("the executor does not offer {name}"));
    found.map(|(_, addr)| *addr).ok_or_else(missing)
}

/// The executor's CPU.
fn architecture(setup: &Setup) -> ExecutorResult<Architecture> {
    Architecture::of_triple(&setup.triple).ok_or_else(|| cannot_link_for(setup))
}

fn cannot_link_for(setup: &Setup) -> ExecutorError {
    ExecutorError::Mismatch(format!(
        "the executor runs on {}, and this controller links for Linux on {} and {} only",
        setup.triple,
        Architecture::X86_64.name(),
        Architecture::Aarch64.name()
    ))
}

/// Whether this is an executor that this controller can work with.
fn check_identity(setup: &Setup) -> ExecutorResult<()> {
    let Some(version) = value::<u32>(setup, values::VERSION) else {
        return Err(ExecutorError::Mismatch(
            "the other side speaks LLVM's protocol, but is no orc-executor".to_owned(),
        ));
    };
    if version != VERSION {
        return Err(versions_differ(version));
    }
    if !setup.triple.contains("linux") {
        return Err(cannot_link_for(setup));
    }
    if !setup.page_size.is_power_of_two() || setup.page_size > 1 << 20 {
        return Err(ExecutorError::Mismatch(format!(
            "the executor claims pages of {} bytes",
            setup.page_size
        )));
    }
    Ok(())
}

fn versions_differ(version: u32) -> ExecutorError {
    ExecutorError::Mismatch(format!(
        "the executor is of version {version} of the protocol, and this controller of version \
         {VERSION}: use both from one release"
    ))
}

impl Drop for RemoteExecutor {
    fn drop(&mut self) {
        self.end();
    }
}

impl ExecutorControl for RemoteExecutor {
    fn architecture(&self) -> Architecture {
        self.architecture
    }

    fn is_debugged(&self) -> bool {
        self.is_debugged
    }

    fn capabilities(&self) -> [u64; 2] {
        self.capabilities
    }

    fn page_size(&self) -> u64 {
        self.page_size
    }

    fn open_range(
        &self,
        placement: Placement,
        least: u64,
    ) -> ExecutorResult<(RangeId, ExecutorAddrRange)> {
        self.requests.ask(Service::OpenRange, &(placement, least))
    }

    fn close_range(&self, range: RangeId) {
        self.requests.tell(Service::CloseRange, &range);
    }

    fn exit_services(&self) -> ExecutorAddr {
        self.exit_services
    }

    fn allocate(
        &self,
        requests: &[AllocationRequest],
    ) -> ExecutorResult<Vec<Option<Box<dyn InFlight>>>> {
        memory::allocate(&self.requests, requests, self.page_size, self.shares_memory)
    }

    fn finalize(
        &self,
        batch: Vec<(Box<dyn InFlight>, FinalizeRequest)>,
    ) -> ExecutorResult<Vec<Box<dyn Finalized>>> {
        memory::finalize(&self.requests, batch)
    }

    fn loaded_libraries(&self) -> ExecutorResult<Vec<LoadedLibrary>> {
        self.requests.ask(Service::Libraries, &())
    }

    fn open_library(&self, path: &str) -> ExecutorResult<()> {
        self.requests.order(Service::OpenLibrary, path)
    }

    fn bind_imports(&self, imports: &[Import]) -> ExecutorResult<Vec<Option<ImportValue>>> {
        let mut values: Vec<Option<ImportValue>> = {
            let bound = self.bound.lock();
            imports
                .iter()
                .map(|import| bound.get(import).copied())
                .collect()
        };
        let unknown = imports
            .iter()
            .zip(&values)
            .filter(|(_, value)| value.is_none());
        let unknown: Vec<&Import> = unknown.map(|(import, _)| import).collect();
        if unknown.is_empty() {
            return Ok(values);
        }
        let answer: Vec<Option<ImportValue>> = self.requests.ask(Service::BindImports, &unknown)?;
        if answer.len() != unknown.len() {
            return Err(self.requests.violation("it does not answer every import"));
        }
        let mut bound = self.bound.lock();
        for (import, value) in unknown.into_iter().zip(&answer) {
            bound.extend(value.map(|value| (import.clone(), value)));
        }
        let mut answer = answer.into_iter();
        for value in values.iter_mut().filter(|value| value.is_none()) {
            *value = answer.next().flatten();
        }
        Ok(values)
    }

    fn open_program(
        &self,
        image: &ProgramImage,
        relocated: &mut dyn FnMut(&[ImportValue]) -> ExecutorResult<()>,
    ) -> ExecutorResult<()> {
        let expected = image.imports.len();
        let mut is_relocated = false;
        self.requests.open_program(image, &mut |args| {
            if std::mem::replace(&mut is_relocated, true) {
                let error = self.requests.violation("it relocates the program twice");
                return sps::encode(&SpsError::from(Err(error)));
            }
            let outcome = match sps::decode::<Vec<ImportValue>>(args) {
                Ok(values) if values.len() == expected => relocated(&values),
                Ok(_) => Err(ExecutorError::failed("not every import has a value")),
                Err(error) => Err(ExecutorError::failed(error)),
            };
            sps::encode(&SpsError::from(outcome))
        })
    }

    fn call_wrapper(&self, function: ExecutorAddr, args: &[u8]) -> ExecutorResult<Vec<u8>> {
        self.requests.ask(Service::Call, &(function, args))
    }

    fn register_handler(&self, tag: ExecutorAddr, handler: DispatchHandler) {
        self.requests.connection.register(tag, handler.into());
    }

    fn dispatch_function(&self) -> (ExecutorAddr, ExecutorAddr) {
        self.dispatch
    }

    fn set_program(&self, program: &ProgramIdentity) {
        // Waits for the answer: while the executor's main thread is busy, calls are served by others, and
        // what follows is the program's.
        if let Err(error) = self.requests.order(Service::SetProgram, program) {
            // The link, or the call that follows, says it to somebody who can do something.
            tracing::debug!("the program is not introduced: {error}");
        }
    }

    fn wanted_surplus(&self) -> Option<u64> {
        self.requests.ask(Service::WantedSurplus, &()).ok()?
    }

    fn tls_access(&self) -> ExecutorResult<TlsAccess> {
        self.requests.ask(Service::TlsAccess, &())
    }

    fn write_pointers(&self, pointers: &[(ExecutorAddr, ExecutorAddr)]) -> ExecutorResult<()> {
        self.requests.order(Service::WritePointers, pointers)
    }

    fn is_this_process(&self) -> bool {
        false
    }

    fn has_own_files(&self) -> bool {
        !self.is_same_host
    }

    fn has_own_paths(&self) -> bool {
        !self.shares_paths
    }

    fn explain_crashes_with(&self, explain: ExplainCrash) {
        self.requests.connection.explain_crashes_with(explain);
    }

    fn read_file(&self, path: &str) -> ExecutorResult<Vec<u8>> {
        self.requests.ask(Service::ReadFile, path)
    }
}
