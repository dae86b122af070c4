//! The controller's end of a connection: calls out, and calls back.
//!
//! A thread of its own receives. It never waits for anything but the socket: results go to the threads
//! that wait for them (`calls`), the executor's calls go to threads that answer them (`workers`).
//! When the connection ends, for whatever reason, that thread finds out why, once, and wakes everybody
//! with the cause. Nothing waits longer than the limit on silence.

use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use foldhash::HashMap;
use orc_shared::ExecutorAddr;
use orc_shared::remote::services::{ExitStatus, Notice};
use orc_shared::remote::{HEADER_SIZE, MessageHeader, Opcode, Setup};
use orc_shared::sps::{self, SpsError, SpsExpected};
use parking_lot::{Condvar, Mutex, RwLock};

use super::calls::{Calls, Event, Slot};
use super::incoming::{Arrival, Incoming, Message};
use super::silence::Silence;
use super::stream::{Stream, is_timeout};
use super::workers::Workers;
use crate::executor::{Crash, Disconnect, ExplainCrash};

/// Bounds of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the largest message that is accepted, header included.
    pub max_message: u64,
    /// Calls of the executor that may be open at one time.
    pub max_calls: usize,
    /// How long the executor may keep silent while somebody waits for it. `None` for ever.
    pub silence: Option<Duration>,
    /// How long it may take until the executor has introduced itself and accepted this controller.
    /// `None` for ever.
    pub start: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_message: 1 << 30,
            max_calls: 4096,
            silence: Some(Duration::from_secs(30)),
            start: Some(Duration::from_secs(20)),
        }
    }
}

/// What is known of the process at the other end beside its messages.
pub(super) trait Peer: Send + Sync {
    /// The connection has ended. `by` is what it looks like from here, `told` what the executor said
    /// before. Returns what has happened. May take a moment, but not wait for ever.
    fn ended(&self, by: Disconnect, told: &Told) -> Disconnect;

    /// Whether a debugger keeps it from answering.
    fn is_debugged(&self) -> bool {
        false
    }
}

/// What the executor said of its end.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) exit: Option<ExitStatus>,
    pub(super) crash: Option<Crash>,
}

/// Answers a call of the executor: takes packed arguments, returns packed results.
pub(super) type Handler = dyn Fn(&[u8]) -> Vec<u8> + Send + Sync;

/// Serves the executor while it serves a call: takes packed arguments, returns packed results.
pub(super) type CallBack<'a> = &'a mut dyn FnMut(&[u8]) -> Vec<u8>;

/// A connection to an executor that has introduced itself.
pub(super) struct Connection {
    /// The process that has opened it. What is forked from that has no thread that receives, and must
    /// not send either: the executor would take its messages for the other's.
    process: u32,
    /// For closing it.
    stream: Stream,
    /// For sending, one message at a time.
    writer: Mutex<Stream>,
    /// Bytes sent so far.
    written: AtomicU64,
    calls: Calls,
    /// Who answers [`Notice::Relocated`].
    program: Mutex<Option<Arc<Slot>>>,
    /// Handlers of linked code's calls, by tag.
    handlers: RwLock<HashMap<u64, Arc<Handler>>>,
    /// Handlers of notices, by tag.
    notices: RwLock<HashMap<u64, Arc<Handler>>>,
    workers: Workers,
    /// Calls of the executor that are not answered.
    answering: AtomicUsize,
    told: Mutex<Told>,
    explain_crash: Mutex<Option<ExplainCrash>>,
    /// Whether the executor knows this controller, and so what a ping is.
    accepted: AtomicBool,
    limits: Limits,
    /// Whether the receiving thread is done.
    received: Mutex<bool>,
    has_received: Condvar,
}

impl Connection {
    /// Waits until the executor has introduced itself, and starts to receive.
    ///
    /// # Errors
    /// When it does not, in time; the cause is what the peer says.
    pub(super) fn open(
        stream: Stream,
        peer: Box<dyn Peer>,
        limits: Limits,
    ) -> Result<(Arc<Self>, Setup), Disconnect> {
        let opened = Self::introduce(stream, limits);
        let (stream, incoming, setup) = opened.map_err(|by| peer.ended(by, &Told::default()))?;
        let system = |error: io::Error| Disconnect::Io(error.to_string());
        let connection = Arc::new(Self {
            process: std::process::id(),
            writer: Mutex::new(stream.try_clone().map_err(system)?),
            stream,
            written: AtomicU64::new(0),
            calls: Calls::default(),
            program: Mutex::default(),
            handlers: RwLock::default(),
            notices: RwLock::default(),
            workers: Workers::default(),
            answering: AtomicUsize::new(0),
            told: Mutex::default(),
            explain_crash: Mutex::default(),
            accepted: AtomicBool::new(false),
            limits,
            received: Mutex::new(false),
            has_received: Condvar::new(),
        });
        let receiver = Arc::clone(&connection);
        let named = thread::Builder::new().name("orc receive".to_owned());
        let started = named.spawn(move || receiver.receive(incoming, peer));
        started.map_err(system)?;
        Ok((connection, setup))
    }

    /// Reads the first message.
    fn introduce(stream: Stream, limits: Limits) -> Result<(Stream, Incoming, Setup), Disconnect> {
        let system = |error: io::Error| Disconnect::Io(error.to_string());
        let tick = |limit: Duration| (limit / 8).max(Duration::from_millis(1));
        stream.set_timeout(limits.start.map(tick)).map_err(system)?;
        let mut incoming = Incoming::new(stream.try_clone().map_err(system)?, limits.max_message);
        let start = Instant::now();
        let message = incoming.next(&mut |arrival| match (limits.start, arrival) {
            (Some(limit), _) if start.elapsed() < limit => Ok(()),
            (Some(limit), Arrival::Nothing) => Err(Disconnect::Silent(limit)),
            (Some(limit), Arrival::Bytes) => Err(late("introduce itself", limit)),
            (None, _) => Ok(()),
        })?;
        if message.header.opcode != Opcode::Setup {
            let what = format!("its first message is a {:?}", message.header.opcode);
            return Err(Disconnect::Protocol(what));
        }
        let setup = sps::decode(&message.body).map_err(|error| {
            Disconnect::Protocol(format!("its setup message cannot be read: {error}"))
        })?;
        let timeout = limits.silence.map(Silence::tick);
        stream.set_timeout(timeout).map_err(system)?;
        Ok((stream, incoming, setup))
    }

    /// The executor has accepted this controller: it can be asked for signs of life from now on.
    pub(super) fn accepted(&self) {
        self.accepted.store(true, Ordering::Relaxed);
    }

    /// Calls `tag` and waits for the result.
    ///
    /// # Errors
    /// When the connection ends.
    pub(super) fn call(&self, tag: ExecutorAddr, args: &[u8]) -> Result<Vec<u8>, Disconnect> {
        self.call_with(tag, args, &[])
    }

    /// The same, with descriptors.
    ///
    /// # Errors
    /// When the connection ends.
    pub(super) fn call_with(
        &self,
        tag: ExecutorAddr,
        args: &[u8],
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<Vec<u8>, Disconnect> {
        let slot = Arc::<Slot>::default();
        self.start(tag, args, descriptors, Some(slot.clone()))?;
        loop {
            match slot.wait() {
                Event::Result(result) => return Ok(result),
                Event::Lost(cause) => return Err(cause),
                // Only the program's slot gets calls.
                Event::Call { sequence, .. } => self.answer(sequence, &[]),
            }
        }
    }

    /// The first call, with descriptors: its result is waited for no longer than a start may take.
    ///
    /// # Errors
    /// When the connection ends.
    pub(super) fn call_first(
        &self,
        tag: ExecutorAddr,
        args: &[u8],
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<Vec<u8>, Disconnect> {
        let slot = Arc::<Slot>::default();
        let until = self.limits.start.map(|limit| Instant::now() + limit);
        self.start(tag, args, descriptors, Some(slot.clone()))?;
        match slot.wait_until(until) {
            Some(Event::Result(result)) => Ok(result),
            Some(Event::Lost(cause)) => Err(cause),
            Some(Event::Call { .. }) => Err(self.violated("it calls back too early".to_owned())),
            None => {
                let limit = self.limits.start.unwrap_or_default();
                self.calls.lose(late("accept this controller", limit));
                self.stream.close();
                Err(self.lost().unwrap_or(Disconnect::Closed))
            }
        }
    }

    /// Calls `tag` and, while it waits for the result, serves [`Notice::Relocated`] on this thread.
    ///
    /// # Errors
    /// When the connection ends.
    pub(super) fn call_program(
        &self,
        tag: ExecutorAddr,
        args: &[u8],
        relocated: CallBack<'_>,
    ) -> Result<Vec<u8>, Disconnect> {
        let slot = Arc::<Slot>::default();
        *self.program.lock() = Some(slot.clone());
        let called = self.start(tag, args, &[], Some(slot.clone()));
        let outcome = called.and_then(|()| {
            loop {
                match slot.wait() {
                    Event::Result(result) => return Ok(result),
                    Event::Lost(cause) => return Err(cause),
                    Event::Call { sequence, args } => {
                        let result = relocated(&args);
                        self.answer(sequence, &result);
                    }
                }
            }
        });
        self.program.lock().take();
        // What came between the result and now is too late.
        while let Some(event) = slot.try_next() {
            if let Event::Call { sequence, .. } = event {
                self.answer(sequence, &no_program());
            }
        }
        outcome
    }

    /// Calls `tag` without waiting for the result, which nobody wants.
    pub(super) fn tell(&self, tag: ExecutorAddr, args: &[u8]) {
        // If the connection has ended, there is nobody to be told.
        let _ = self.start(tag, args, &[], None);
    }

    fn start(
        &self,
        tag: ExecutorAddr,
        args: &[u8],
        descriptors: &[BorrowedFd<'_>],
        slot: Option<Arc<Slot>>,
    ) -> Result<(), Disconnect> {
        if self.is_forked() {
            return Err(Disconnect::Forked);
        }
        let sequence = self.calls.begin(slot)?;
        self.send(Opcode::CallWrapper, sequence, tag, args, descriptors);
        Ok(())
    }

    fn answer(&self, sequence: u64, result: &[u8]) {
        self.answering.fetch_sub(1, Ordering::Relaxed);
        self.send(Opcode::Result, sequence, ExecutorAddr::NULL, result, &[]);
    }

    /// Sends a message. If that fails, the connection ends, which the receiving thread notices.
    fn send(
        &self,
        opcode: Opcode,
        sequence: u64,
        tag: ExecutorAddr,
        body: &[u8],
        descriptors: &[BorrowedFd<'_>],
    ) {
        let header = MessageHeader {
            body_size: body.len() as u64,
            opcode,
            sequence,
            tag,
        };
        let writer = self.writer.lock();
        if let Err(error) = self.write(&writer, &header.encode(), body, descriptors) {
            tracing::debug!("sending to the executor failed: {error}");
            self.stream.close();
        }
    }

    fn write(
        &self,
        writer: &Stream,
        header: &[u8; HEADER_SIZE],
        body: &[u8],
        mut descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        let mut slices = [IoSlice::new(header), IoSlice::new(body)];
        let mut rest = &mut slices[..];
        while rest.iter().any(|slice| !slice.is_empty()) {
            match writer.send(rest, descriptors) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    descriptors = &[];
                    self.written.fetch_add(count as u64, Ordering::Relaxed);
                    IoSlice::advance_slices(&mut rest, count);
                }
                Err(error) if is_timeout(&error) && self.calls.lost().is_none() => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Sends a message if nobody else is sending one.
    fn try_ping(&self, tag: ExecutorAddr) -> Option<u64> {
        let writer = self.writer.try_lock()?;
        let sequence = self.calls.begin(None).ok()?;
        let header = MessageHeader {
            body_size: 0,
            opcode: Opcode::CallWrapper,
            sequence,
            tag,
        };
        let sent = self.write(&writer, &header.encode(), &[], &[]);
        sent.ok().map(|()| sequence)
    }

    /// Has crashes of the executor put into words by `explain`.
    pub(super) fn explain_crashes_with(&self, explain: ExplainCrash) {
        *self.explain_crash.lock() = Some(explain);
    }

    /// Answers linked code's calls that carry `tag` with `handler` from now on.
    pub(super) fn register(&self, tag: ExecutorAddr, handler: Arc<Handler>) {
        self.handlers.write().insert(tag.value(), handler);
    }

    /// Answers a notice with `handler` from now on.
    pub(super) fn on_notice(&self, notice: Notice, handler: Arc<Handler>) {
        let mut notices = self.notices.write();
        notices.insert(notice.tag().value(), handler);
    }

    /// Ends the session because of something that the executor must not do. Returns the cause, which
    /// is another one if the session had ended already.
    pub(super) fn violated(&self, what: String) -> Disconnect {
        self.calls.lose(Disconnect::Protocol(what.clone()));
        self.stream.close();
        self.lost().unwrap_or(Disconnect::Protocol(what))
    }

    /// Why the connection has ended, if it has.
    pub(super) fn lost(&self) -> Option<Disconnect> {
        match self.is_forked() {
            true => Some(Disconnect::Forked),
            false => self.calls.lost(),
        }
    }

    fn is_forked(&self) -> bool {
        self.process != std::process::id()
    }

    /// Whether descriptors can be passed.
    pub(super) fn passes_descriptors(&self) -> bool {
        self.stream.passes_descriptors()
    }

    /// Ends the session: the executor is told by the end of what it receives, and its answer, the end
    /// of what it sends, is waited for a while.
    pub(super) fn close(&self, patience: Duration) {
        // The session goes on, in the other process.
        if self.is_forked() {
            return;
        }
        self.calls.lose(Disconnect::Closed);
        self.stream.close_writing();
        let mut received = self.received.lock();
        if !*received {
            let _ = self.has_received.wait_for(&mut received, patience);
        }
        if !*received {
            self.stream.close();
            // What is left to do takes the peer a limited time.
            self.has_received.wait(&mut received);
        }
    }

    /// Receives until the connection ends.
    fn receive(self: Arc<Self>, mut incoming: Incoming, peer: Box<dyn Peer>) {
        let mut silence = Silence::new(self.limits.silence);
        let by = loop {
            let message = incoming.next(&mut |arrival| match arrival {
                Arrival::Bytes => Ok(()),
                Arrival::Nothing => silence.passed(&Watched {
                    connection: &self,
                    peer: &*peer,
                }),
            });
            silence.broken();
            if let Err(by) = message.and_then(|message| self.take(message)) {
                break by;
            }
        };
        self.stream.close();
        // If this side has ended it, that is the cause; the peer still has to go.
        let by = self.calls.lost().unwrap_or(by);
        let cause = peer.ended(by, &self.told.lock());
        self.calls.lose(cause);
        // A process of it that is still there goes now: whoever waits may end this process next.
        drop(peer);
        *self.received.lock() = true;
        self.has_received.notify_all();
    }

    /// Hands a message to whoever it is for.
    fn take(self: &Arc<Self>, message: Message) -> Result<(), Disconnect> {
        let MessageHeader { sequence, tag, .. } = message.header;
        match message.header.opcode {
            Opcode::Result => match self.calls.complete(sequence, message.body) {
                true => Ok(()),
                false => Err(Disconnect::Protocol(format!(
                    "it answers call {sequence}, which is not open"
                ))),
            },
            Opcode::CallWrapper => self.serve(sequence, tag, message.body),
            Opcode::Setup => Err(Disconnect::Protocol("it introduces itself twice".into())),
            Opcode::Hangup => Err(match sps::decode::<SpsError>(&message.body) {
                Ok(SpsError(Ok(()))) => Disconnect::EndOfFile,
                Ok(SpsError(Err(message))) => Disconnect::Hangup(message),
                Err(error) => Disconnect::Protocol(format!("its farewell: {error}")),
            }),
        }
    }

    /// Has a call of the executor answered.
    fn serve(
        self: &Arc<Self>,
        sequence: u64,
        tag: ExecutorAddr,
        args: Vec<u8>,
    ) -> Result<(), Disconnect> {
        if self.note(tag, &args)? {
            return Ok(());
        }
        if self.answering.fetch_add(1, Ordering::Relaxed) >= self.limits.max_calls {
            return Err(Disconnect::Protocol(format!(
                "more than {} of its calls are open",
                self.limits.max_calls
            )));
        }
        if tag == Notice::Relocated.tag() {
            match &*self.program.lock() {
                Some(slot) => slot.push(Event::Call { sequence, args }),
                None => self.answer_soon(sequence, |_| no_program()),
            }
            return Ok(());
        }
        self.answer_soon(sequence, move |connection| connection.result_of(tag, &args));
        Ok(())
    }

    /// Takes note of what the executor says of its end. Whether it was that.
    fn note(&self, tag: ExecutorAddr, args: &[u8]) -> Result<bool, Disconnect> {
        let unreadable = |error| Disconnect::Protocol(format!("its last notice: {error}"));
        match Notice::from_tag(tag) {
            Some(Notice::Exited) => {
                self.told.lock().exit = Some(sps::decode(args).map_err(unreadable)?);
            }
            Some(Notice::Crashed) => {
                let report = sps::decode(args).map_err(unreadable)?;
                let crash = Crash::new(report, self.explain_crash.lock().as_ref());
                self.told.lock().crash = Some(crash);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Answers a call with what `answer` returns, on a thread that may take its time.
    fn answer_soon(
        self: &Arc<Self>,
        sequence: u64,
        answer: impl FnOnce(&Self) -> Vec<u8> + Send + 'static,
    ) {
        let connection = Arc::clone(self);
        let job = Box::new(move || {
            let result = answer(&connection);
            connection.answer(sequence, &result);
        });
        if self.workers.run(job).is_err() {
            // Without threads, nothing can be answered: the executor would wait for ever.
            self.stream.close();
        }
    }

    /// The result of a call, as the executor expects it.
    fn result_of(&self, tag: ExecutorAddr, args: &[u8]) -> Vec<u8> {
        match Notice::from_tag(tag) {
            Some(Notice::Call) => {
                let call = sps::decode::<(ExecutorAddr, &[u8])>(args);
                let result = call
                    .map_err(|error| format!("a call to the controller cannot be read: {error}"))
                    .and_then(|(tag, args)| self.handle(&self.handlers, tag, args));
                sps::encode(&SpsExpected(result))
            }
            Some(_) => self.handle(&self.notices, tag, args).unwrap_or_default(),
            // An executor that was not accepted: its results have no place for an error.
            None => self.handle(&self.handlers, tag, args).unwrap_or_default(),
        }
    }

    fn handle(
        &self,
        handlers: &RwLock<HashMap<u64, Arc<Handler>>>,
        tag: ExecutorAddr,
        args: &[u8],
    ) -> Result<Vec<u8>, String> {
        let handler = handlers.read().get(&tag.value()).cloned();
        let handler = handler.ok_or_else(|| {
            format!("call to the controller with tag {tag}, for which no handler is registered")
        })?;
        // A panic of a client's code is this call's failure, not the connection's.
        catch_unwind(AssertUnwindSafe(|| handler(args)))
            .map_err(|_| format!("internal error: the handler of tag {tag} panicked"))
    }
}

/// The end of an executor that has something to do before it is in use, and does not get on with it.
fn late(what: &str, limit: Duration) -> Disconnect {
    Disconnect::Protocol(format!("it takes longer than {limit:?} to {what}"))
}

/// The answer to [`Notice::Relocated`] while nothing waits for it.
fn no_program() -> Vec<u8> {
    sps::encode(&SpsError(Err("no program is being opened".to_owned())))
}

/// What the watch over the executor's silence looks at.
struct Watched<'a> {
    connection: &'a Connection,
    peer: &'a dyn Peer,
}

impl super::silence::Watched for Watched<'_> {
    fn ended(&self) -> Option<Disconnect> {
        self.connection.calls.lost()
    }

    fn can_be_judged(&self) -> bool {
        // Before it has accepted, too: its answer to that first call is waited for.
        self.connection.calls.somebody_waits() && !self.peer.is_debugged()
    }

    fn bytes_sent(&self) -> u64 {
        self.connection.written.load(Ordering::Relaxed)
    }

    fn is_open(&self, call: u64) -> bool {
        self.connection.calls.is_open(call)
    }

    fn ping(&self) -> Option<u64> {
        if !self.connection.accepted.load(Ordering::Relaxed) {
            return None;
        }
        let ping = orc_shared::remote::services::Service::Ping;
        self.connection.try_ping(ping.tag())
    }
}
