//! The executor as a server: a controller in another process links code into this one.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use orc_target_process::server::Server;
//!
//! let (stream, _) = std::os::unix::net::UnixListener::bind("/tmp/jit")?.accept()?;
//! let server = Server::over_socket(stream.into())?;
//! // SAFETY: only this user can connect to the socket, so the controller is one of this user's.
//! unsafe { server.serve() }?;
//! # Ok(())
//! # }
//! ```
//!
//! The protocol is that of LLVM 22's `SimpleRemoteEPC` (`orc_shared::remote`), so LLVM's
//! controllers work too. An executor trusts its controller: it runs code for it. It does not trust
//! that bytes are what they should be: a message that cannot be read ends the connection, and nothing
//! else.
//!
//! [`Server::serve`] is for the thread that programs are to run on; those expect the
//! process's main thread. `orc-executor` is this, with a command line.

mod budget;
mod connection;
mod crash;
mod fuzz;
#[cfg(feature = "relay")]
mod listen;
#[cfg_attr(not(feature = "llvm"), path = "without_llvm.rs")]
mod llvm;
mod main_thread;
#[cfg(feature = "relay")]
mod relay;
mod services;
mod session;
mod setup;

use std::fmt;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Weak};

use orc_shared::ExecutorAddr;
use orc_shared::remote::Opcode;
use orc_shared::remote::services::Notice;
use orc_shared::sps::{self, SpsExpected};

use self::connection::{Reader, Writer};
pub use self::fuzz::fuzz_messages;
#[cfg(feature = "relay")]
pub use self::listen::{Address, Listener, Token, listen_once, serve_standard_streams};
use self::session::{End, Session};
use crate::executor::dispatch::Dispatcher;
use crate::executor::memory;
use crate::executor::trust::Trust;
use crate::host;

/// Bounds of a connection. Whoever exceeds one of the first two is no controller of good will: the
/// connection ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Bytes of the largest message that is accepted, header included.
    pub max_message: u64,
    /// Calls of the controller that may be open at one time.
    pub max_calls: usize,
    /// Bytes of memory for linked code; requests beyond it fail.
    pub max_memory: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_message: 1 << 30,
            max_calls: 1024,
            max_memory: u64::MAX,
        }
    }
}

/// How a server behaves.
#[derive(Clone, Copy, Debug)]
struct Settings {
    limits: Limits,
    memory: memory::Config,
    /// The process is there for the controller only, and ends with it.
    ends_process: bool,
    /// A parent of this process forwards the program's streams.
    forwards_streams: bool,
    /// Offer to take descriptors, where the connection can carry them.
    descriptors: bool,
    /// The connection ends when the last memory of an LLVM controller is released and no call is
    /// open.
    ends_when_unused: bool,
}

/// Why serving ended before the controller said so.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The descriptors cannot be used.
    #[error("the connection cannot be used: {0}")]
    Io(#[from] io::Error),
    /// The controller did not keep to the protocol, or the system failed.
    #[error("the connection to the controller was ended: {0}")]
    Broken(String),
}

/// One connection to a controller.
pub struct Server {
    input: OwnedFd,
    output: OwnedFd,
    settings: Settings,
}

impl Server {
    /// A server over a connected socket. Over a Unix socket it offers shared memory.
    ///
    /// # Errors
    /// When the system refuses a second descriptor.
    pub fn over_socket(socket: OwnedFd) -> io::Result<Self> {
        let output = socket.try_clone()?;
        Ok(Self::over_pipes(socket, output))
    }

    /// A server that reads `input` and writes `output`.
    #[must_use]
    pub fn over_pipes(input: OwnedFd, output: OwnedFd) -> Self {
        Self {
            input,
            output,
            settings: Settings {
                limits: Limits::default(),
                memory: memory::Config::default(),
                ends_process: false,
                forwards_streams: false,
                descriptors: true,
                ends_when_unused: false,
            },
        }
    }

    /// Sets the bounds.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.settings.limits = limits;
        self
    }

    /// Sets how memory is used.
    #[must_use]
    pub fn memory(mut self, config: memory::Config) -> Self {
        self.settings.memory = config;
        self
    }

    /// Ends the process when the connection ends while its program runs; otherwise the program's
    /// calls to the controller fail from then on.
    #[must_use]
    pub fn ends_process(mut self, ends: bool) -> Self {
        self.settings.ends_process = ends;
        self
    }

    /// Says that the process at the other end of the socket is a relay, which forwards this
    /// process's standard streams, and whether it passes descriptors on.
    #[cfg(feature = "relay")]
    #[must_use]
    fn behind_relay(mut self, passes_descriptors: bool) -> Self {
        self.settings.forwards_streams = true;
        self.settings.descriptors = passes_descriptors;
        self
    }

    /// Ends the connection once all memory that the controller reserved through LLVM's memory
    /// manager is released and no call is open. LLVM 22's `llvm-jitlink` waits for that over TCP.
    #[must_use]
    pub fn ends_when_unused(mut self, ends: bool) -> Self {
        self.settings.ends_when_unused = ends;
        self
    }

    /// Serves the controller until it closes the connection or its process ends. What was
    /// linked stays in memory.
    ///
    /// # Errors
    /// When the connection ends in another way.
    ///
    /// # Safety
    /// The controller is one that this process may trust with its memory: what it asks for is as
    /// [`Trust::in_requests`] says. So only such a one can be at the other end: the process that has
    /// started this one, or one that has shown who it is.
    pub unsafe fn serve(self) -> Result<(), ServeError> {
        // SAFETY: the caller's promise.
        let trust = unsafe { Trust::in_requests() };
        let max_message = self.settings.limits.max_message;
        let reader = Reader::new(self.input, max_message)?;
        let writer = Writer::new(self.output)?;
        let descriptors =
            self.settings.descriptors && reader.takes_descriptors() && writer.passes_descriptors();
        let session = Arc::new(Session::new(self.settings, writer, trust));
        let dispatcher = Dispatcher::forwarding(forward(Arc::downgrade(&session)));
        let setup = setup::setup(&dispatcher, descriptors, &self.settings.limits);
        let header = (Opcode::Setup, 0, ExecutorAddr::NULL);
        let sent = session.writer.send(header, &[&sps::encode(&setup)]);
        sent.map_err(|error| ServeError::Broken(error.to_string()))?;
        let receiving = Arc::clone(&session);
        let receive = move || receiving.receive(reader);
        let starting = Arc::clone(&session);
        let start = move || starting.start_workers();
        let started = host::thread::spawn_without_signals("orc-receive", receive).is_some()
            && host::thread::spawn_without_signals("orc-start", start).is_some();
        if !started {
            return Err(ServeError::Broken("the system refuses a thread".to_owned()));
        }
        if session.settings.ends_process {
            main_thread::may_end_first();
        }
        match session.serve() {
            End::Closed | End::Gone => Ok(()),
            End::Broken(problem) => Err(ServeError::Broken(problem)),
        }
    }
}

/// Takes over a descriptor that the process was started with. `None` if it is not open.
#[must_use]
pub fn inherited_descriptor(number: i32) -> Option<OwnedFd> {
    host::process::inherited(number)
}

/// Serves a connection as a process that is there for nothing else. The exit code.
///
/// # Safety
/// As for [`Server::serve`].
pub unsafe fn serve_and_report(server: Server) -> i32 {
    // SAFETY: the caller's promise.
    match unsafe { server.ends_process(true).serve() } {
        Ok(()) => 0,
        Err(error) => {
            report(format_args!("{error}"));
            1
        }
    }
}

/// What linked code's calls to the controller do.
fn forward(
    session: Weak<Session>,
) -> impl Fn(ExecutorAddr, &[u8]) -> Result<Vec<u8>, String> + Send + Sync {
    move |tag, arguments| {
        let ended = || "the connection to the controller has ended".to_owned();
        let session = session.upgrade().ok_or_else(ended)?;
        if !session.is_accepted() {
            let answer = session.call(tag, &[arguments]);
            return answer.map_err(|error| error.to_string());
        }
        let head = [sps::encode(&tag), sps::encode(&(arguments.len() as u64))].concat();
        let answer = session.call(Notice::Call.tag(), &[&head, arguments]);
        let answer = answer.map_err(|error| error.to_string())?;
        let SpsExpected(outcome) = sps::decode::<SpsExpected<&[u8]>>(&answer)
            .map_err(|error| format!("the controller's answer cannot be read: {error}"))?;
        outcome.map(<[u8]>::to_vec)
    }
}

/// Says what is wrong, on standard error. Where that cannot be written to, the exit code says it alone.
pub(crate) fn report(message: fmt::Arguments<'_>) {
    let message = message.to_string();
    let message = orc_shared::printable_lines(&message);
    let _ = io::stderr().write_all(format!("orc-executor: {message}\n").as_bytes());
}
