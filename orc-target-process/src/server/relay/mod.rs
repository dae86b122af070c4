//! A process between the controller and the executor's process.
//!
//! What a listener accepts, and what speaks through standard input and output, has such a parent. It
//! passes messages on in both directions, and adds what the program's own process cannot tell:
//! what the program writes to its standard streams, to the last byte, and how the process ended,
//! whatever ended it.
//!
//! ```text
//! controller ══ messages ══ relay ══ messages ══ executor
//!                             │ ─── input ─────▶ │
//!                             │ ◀── output ───── │
//! ```
//!
//! Each direction and each stream has a thread, which does nothing but wait. Own messages go between
//! others; a message that the executor did not finish is not passed on, unless it is a large one.

mod messages;
mod streams;

use std::convert::Infallible;
use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use orc_shared::remote::services::{ExitStatus, Notice, Stream};
use orc_shared::sps;
use parking_lot::{Condvar, Mutex};

use self::messages::{Controller, Source};
use super::{Limits, Server};
use crate::host;
use crate::host::process::Forked;
use crate::host::socket::{self, StreamKind};

/// Input that waits for the program, in messages.
const INPUTS_MAX: usize = 64;

/// How long the executor may take to end once the controller is gone.
const END_MAX: Duration = Duration::from_secs(15);

/// The descriptors of a connection to a controller.
pub(super) struct Outer {
    pub(super) input: OwnedFd,
    pub(super) output: OwnedFd,
    /// Where output of the program goes if the controller does not take it: a copy of the
    /// process's own streams.
    pub(super) copies: [OwnedFd; 2],
}

/// Serves a controller in a child process, and relays until that has ended. Ends this process as the
/// child's ended, or with its exit code. The process must have one thread.
///
/// # Safety
/// As for [`Server::serve`].
pub(super) unsafe fn serve(outer: Outer, limits: Limits) -> io::Result<Infallible> {
    let (own, inner) = socket::socket_pair()?;
    let (input, to_program) = io::pipe()?;
    let (output, program_output) = io::pipe()?;
    let (error, program_error) = io::pipe()?;
    match host::process::fork()? {
        Forked::Child => {
            let streams = [input.into(), program_output.into(), program_error.into()];
            let [first, second, third] = &streams;
            host::process::replace_standard_streams([first, second, third])?;
            let descriptors = passes_descriptors(&outer);
            drop((streams, outer, own, to_program, output, error));
            // SAFETY: the caller's promise: what comes through the relay is the controller's.
            unsafe { run_executor(inner, limits, descriptors) }
        }
        Forked::Parent(child) => {
            drop((input, program_output, program_error, inner));
            let streams = [(Stream::Output, output), (Stream::Error, error)];
            Relay::new(outer, own, limits)?.run(child, to_program, streams)
        }
    }
}

fn passes_descriptors(outer: &Outer) -> bool {
    let unix = |fd: &OwnedFd| socket::kind_of(fd) == StreamKind::UnixSocket;
    unix(&outer.input) && unix(&outer.output)
}

/// The child's part.
///
/// # Safety
/// As for [`Server::serve`].
unsafe fn run_executor(
    inner: OwnedFd,
    limits: Limits,
    descriptors: bool,
) -> io::Result<Infallible> {
    let server = Server::over_socket(inner)?
        .limits(limits)
        .behind_relay(descriptors);
    // SAFETY: the caller's promise.
    std::process::exit(unsafe { super::serve_and_report(server) })
}

/// What the threads of a relay share.
struct Relay {
    controller: Controller,
    inner: OwnedFd,
    limits: Limits,
    /// What becomes of the program's output.
    output: Mutex<Output>,
    decided: Condvar,
    /// Where it goes if the controller does not take it.
    copies: [OwnedFd; 2],
    /// At its end once the child has ended.
    ended: PipeReader,
    /// Dropped to say so.
    end: Mutex<Option<PipeWriter>>,
}

/// What becomes of the program's output.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Output {
    /// The controller has not said yet.
    Undecided,
    Forward,
    Copy,
}

impl Relay {
    fn new(outer: Outer, inner: OwnedFd, limits: Limits) -> io::Result<Self> {
        let (ended, end) = io::pipe()?;
        Ok(Self {
            controller: Controller::new(outer.input, outer.output),
            inner,
            limits,
            output: Mutex::new(Output::Undecided),
            decided: Condvar::new(),
            copies: outer.copies,
            ended,
            end: Mutex::new(Some(end)),
        })
    }

    /// Relays until the child has ended and all that it left is passed on.
    fn run(
        self,
        child: i32,
        to_program: PipeWriter,
        streams: [(Stream, PipeReader); 2],
    ) -> io::Result<Infallible> {
        let relay = Arc::new(self);
        let (inputs, waiting) = sync_channel(INPUTS_MAX);
        let it = Arc::clone(&relay);
        start("relay-input", move || it.feed(to_program, &waiting))?;
        let it = Arc::clone(&relay);
        start("relay-down", move || {
            it.pass_down(&inputs);
            // Nobody will want anything from the executor any more.
            thread::sleep(END_MAX);
            if it.end.lock().is_some() {
                host::process::kill(child);
            }
        })?;
        let it = Arc::clone(&relay);
        let mut last = vec![start("relay-up", move || it.pass_up())?];
        for (stream, pipe) in streams {
            let it = Arc::clone(&relay);
            last.push(start("relay-output", move || it.forward(stream, pipe))?);
        }
        let status = host::process::wait_for(child)?;
        relay.end.lock().take();
        relay.decide(Output::Copy);
        for thread in last {
            // One that panicked has nothing more to pass on.
            let _ = thread.join();
        }
        let exited = sps::encode(&status);
        relay.controller.tell(Notice::Exited.tag(), &[&exited]);
        end_like(status)
    }

    /// Decides what becomes of the output. False if that was decided before.
    fn decide(&self, decision: Output) -> bool {
        let mut output = self.output.lock();
        if *output != Output::Undecided {
            return false;
        }
        *output = decision;
        self.decided.notify_all();
        true
    }

    fn executor(&self) -> Source {
        Source {
            fd: self.inner.as_raw_fd(),
            ended: Some(self.ended.as_raw_fd()),
        }
    }
}

fn start(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<thread::JoinHandle<()>> {
    thread::Builder::new().name(name.to_owned()).spawn(work)
}

/// Ends this process with the exit code that a shell would have for the child.
fn end_like(status: ExitStatus) -> ! {
    let code = if status.signaled {
        128 + status.value
    } else {
        status.value
    };
    std::process::exit(code)
}
