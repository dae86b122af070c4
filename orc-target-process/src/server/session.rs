//! A connection at work: who serves which call, and who waits for what.
//!
//! **Threads.** A thread of ours receives. Calls of the controller go to the thread that serves the
//! connection, the process's main one if the host is an executor, because programs expect to run
//! there; if that is busy, to another thread of ours. A thread that has called the controller serves
//! the controller's calls while it waits, on the same stack: what a call makes necessary runs under
//! the locks that its caller holds (the loader's, while it waits for a program). Only what neither
//! runs linked code nor can wait is answered by the receiving thread itself.
//!
//! **The end.** When the controller is gone, calls that are about to end may do so; then the process
//! ends, whatever its program does, because nobody is left to run it for.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use orc_shared::ExecutorAddr;
use orc_shared::remote::Opcode;
use orc_shared::remote::services::NUMBER_END;
use orc_shared::sps::{self, SpsError};
use orc_system::waiting::prepare_to_wait;
use parking_lot::{Condvar, Mutex, MutexGuard};

use super::budget::Budget;
use super::connection::{Message, Reader, ReceiveError, SendError, Writer};
use super::services::{Services, Violation};
use super::{Limits, Settings, llvm, report, services};
use crate::executor::trust::Trust;
use crate::host;
use crate::host::crash::AlternateStack;

/// How long open calls may take to end once the controller is gone. Enough for one whose result was
/// the last that the controller wanted.
const LAST_CALLS_MAX: Duration = Duration::from_millis(100);

/// How long the process's own exit handlers may take then.
const EXIT_MAX: Duration = Duration::from_secs(10);

/// How long a thread of ours waits for another call.
const IDLE_MAX: Duration = Duration::from_secs(5);

/// Why the connection ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum End {
    /// The controller has closed it, or said goodbye.
    Closed,
    /// The program has closed our descriptor.
    Gone,
    /// The controller does not keep to the protocol, or the system failed us.
    Broken(String),
}

/// Why a call to the controller gave no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    #[error(transparent)]
    Send(#[from] SendError),
    #[error("the connection to the controller has ended")]
    Ended,
}

/// A connection that is being served.
pub(super) struct Session {
    pub(super) settings: Settings,
    pub(super) writer: Writer,
    /// In the controller's addresses.
    pub(super) trust: Trust,
    pub(super) services: Services,
    pub(super) llvm: llvm::Llvm,
    /// Whether the controller is one of ours.
    pub(super) accepted: AtomicBool,
    /// See `Accept::silence_max_ms`.
    pub(super) silence_max_ms: AtomicU64,
    /// The thread that serves, and the signals that it blocks.
    main: u64,
    signals: host::thread::SignalMask,
    /// Whether somebody has begun to end it.
    ending: AtomicBool,
    state: Mutex<State>,
    main_wakes: Condvar,
    workers_wake: Condvar,
    starter_wakes: Condvar,
    call_ended: Condvar,
}

#[derive(Default)]
struct State {
    next_sequence: u64,
    /// Calls to the controller, by number.
    waiting: HashMap<u64, Waiting>,
    /// The serving thread waits, or is about to, and takes calls.
    main_is_free: bool,
    main_calls: VecDeque<Message>,
    worker_calls: VecDeque<Message>,
    idle_workers: usize,
    /// Threads to start.
    workers_wanted: usize,
    /// The numbers of the controller's calls that are not answered, and the bytes of their arguments.
    open_calls: HashSet<u64>,
    open_bytes: u64,
    ended: Option<End>,
}

/// A call to the controller.
struct Waiting {
    answer: Option<Vec<u8>>,
    /// Wakes the thread that waits; the serving thread has a condition of its own.
    wakes: Option<Arc<Condvar>>,
}

impl Session {
    /// A session that is served by this thread.
    pub(super) fn new(settings: Settings, writer: Writer, trust: Trust) -> Self {
        let budget = Budget::new(settings.limits.max_memory);
        Self {
            services: Services::new(settings.memory, Arc::clone(&budget), trust),
            llvm: llvm::Llvm::new(budget, trust),
            settings,
            writer,
            trust,
            accepted: AtomicBool::new(false),
            silence_max_ms: AtomicU64::new(0),
            main: host::thread::current(),
            signals: host::thread::SignalMask::current(),
            ending: AtomicBool::new(false),
            state: Mutex::new(State {
                main_is_free: true,
                ..State::default()
            }),
            main_wakes: Condvar::new(),
            workers_wake: Condvar::new(),
            starter_wakes: Condvar::new(),
            call_ended: Condvar::new(),
        }
    }

    /// Whether the controller is one of ours.
    pub(super) fn is_accepted(&self) -> bool {
        self.accepted.load(Ordering::Acquire)
    }

    /// Serves calls until the connection ends.
    pub(super) fn serve(self: &Arc<Self>) -> End {
        // So that an overflow of this thread's own stack can be reported.
        let _stack = AlternateStack::of_this_thread();
        let mut state = self.state.lock();
        loop {
            state.main_is_free = true;
            if let Some(call) = state.main_calls.pop_front() {
                self.run_on_main(&mut state, call);
            } else if let Some(end) = &state.ended {
                let end = end.clone();
                while !state.open_calls.is_empty() && end != End::Gone {
                    self.call_ended.wait(&mut state);
                }
                return end;
            } else {
                self.main_wakes.wait(&mut state);
            }
        }
    }

    fn run_on_main(self: &Arc<Self>, state: &mut MutexGuard<'_, State>, call: Message) {
        state.main_is_free = false;
        MutexGuard::unlocked(state, || {
            self.run(call, || {
                // Before the result is sent: what the controller calls next is for this thread.
                self.state.lock().main_is_free = true;
            });
        });
    }

    /// Calls the controller and waits for the answer; serves the controller meanwhile if this is the
    /// serving thread.
    pub(super) fn call(
        self: &Arc<Self>,
        tag: ExecutorAddr,
        arguments: &[&[u8]],
    ) -> Result<Vec<u8>, CallError> {
        if self.writer.is_forked() {
            return Err(SendError::Forked.into());
        }
        prepare_to_wait();
        let on_main = host::thread::current() == self.main;
        let wakes = (!on_main).then(|| Arc::new(Condvar::new()));
        let sequence = self.expect_answer(wakes.clone())?;
        let header = (Opcode::CallWrapper, sequence, tag);
        let sent = self.writer.send(header, arguments);
        if sent.is_err() {
            // What would have come as the answer: it wakes this thread as usual.
            let mut state = self.state.lock();
            if let Some(waiting) = state.waiting.get_mut(&sequence) {
                waiting.answer = Some(Vec::new());
            }
        }
        let answer = match wakes {
            Some(wakes) => self.wait_elsewhere(sequence, &wakes),
            None => self.wait_and_serve(sequence),
        };
        sent?;
        answer
    }

    fn expect_answer(&self, wakes: Option<Arc<Condvar>>) -> Result<u64, CallError> {
        let mut state = self.state.lock();
        if state.ended.is_some() {
            return self.after_the_end(state);
        }
        if wakes.is_none() {
            // What the controller calls because of this call must find the thread free, even if it
            // does so before the thread waits: it may hold the lock that the other call needs.
            state.main_is_free = true;
        }
        let sequence = state.next_sequence;
        state.next_sequence += 1;
        let answer = None;
        state.waiting.insert(sequence, Waiting { answer, wakes });
        Ok(sequence)
    }

    fn wait_elsewhere(&self, sequence: u64, wakes: &Condvar) -> Result<Vec<u8>, CallError> {
        let mut state = self.state.lock();
        loop {
            if let Some(answer) = take_answer(&mut state, sequence) {
                return Ok(answer);
            }
            if state.ended.is_some() {
                return self.after_the_end(state);
            }
            wakes.wait(&mut state);
        }
    }

    fn wait_and_serve(self: &Arc<Self>, sequence: u64) -> Result<Vec<u8>, CallError> {
        let mut state = self.state.lock();
        loop {
            // Calls first: once this thread goes on with its own work, nobody would serve them.
            if let Some(call) = state.main_calls.pop_front() {
                self.run_on_main(&mut state, call);
            } else if let Some(answer) = take_answer(&mut state, sequence) {
                state.main_is_free = false;
                return Ok(answer);
            } else if state.ended.is_some() {
                state.main_is_free = false;
                return self.after_the_end(state);
            } else {
                self.main_wakes.wait(&mut state);
            }
        }
    }

    /// What a call to the controller comes to when the controller is gone: nothing, if the process
    /// is about to end, for linked code would only tell its user of errors that are none.
    fn after_the_end<T>(&self, mut state: MutexGuard<'_, State>) -> Result<T, CallError> {
        while self.settings.ends_process && state.ended != Some(End::Gone) {
            self.main_wakes.wait(&mut state);
        }
        Err(CallError::Ended)
    }

    /// Serves one call and sends its result; `served` is called in between.
    fn run(self: &Arc<Self>, call: Message, served: impl FnOnce()) {
        let (sequence, size) = (call.sequence, call.body.len() as u64);
        let answer = self.answer(call);
        served();
        self.reply((sequence, size), answer);
    }

    /// Sends the result of a call with this number and size of arguments.
    fn reply(self: &Arc<Self>, (sequence, size): (u64, u64), answer: Result<Vec<u8>, Violation>) {
        match answer {
            Ok(result) => {
                let header = (Opcode::Result, sequence, ExecutorAddr::NULL);
                match self.writer.send(header, &[&result]) {
                    // The reader finds out, or has.
                    Ok(()) | Err(SendError::Ended | SendError::Io(_) | SendError::Forked) => {}
                    Err(error @ SendError::TooLarge { .. }) => {
                        self.end(End::Broken(error.to_string()));
                    }
                }
            }
            Err(Violation(problem)) => self.end(End::Broken(problem)),
        }
        let mut state = self.state.lock();
        state.open_calls.remove(&sequence);
        state.open_bytes -= size;
        let last = state.open_calls.is_empty();
        drop(state);
        self.call_ended.notify_all();
        if last && self.settings.ends_when_unused && self.llvm.is_used_up() {
            self.writer.end(None);
        }
    }

    fn answer(self: &Arc<Self>, call: Message) -> Result<Vec<u8>, Violation> {
        if let Some(answer) = services::answer(self, &call) {
            return answer;
        }
        if let Some(answer) = llvm::answer(self, &call) {
            return answer;
        }
        if call.tag.value() < NUMBER_END {
            return Err(Violation(format!(
                "call of number {}, which is no service of this executor",
                call.tag.value()
            )));
        }
        // The protocol has no place for an error beside the result.
        Ok(self
            .trust
            .call_wrapper(call.tag, &call.body)
            .unwrap_or_default())
    }

    /// Receives until the connection ends, and sees to it that the process ends then.
    pub(super) fn receive(self: &Arc<Self>, mut reader: Reader) {
        prepare_to_wait();
        let end = loop {
            let message = match reader.receive() {
                Ok(Some(message)) => message,
                Ok(None) => break End::Closed,
                Err(ReceiveError::Gone) => break End::Gone,
                Err(error) => break End::Broken(error.to_string()),
            };
            match self.take(message) {
                Ok(()) => {}
                Err(end) => break end,
            }
            let silence = self.silence_max_ms.load(Ordering::Relaxed);
            reader.silence_max = (silence > 0).then(|| Duration::from_millis(silence));
        };
        self.end(end);
        // The controller sees the end of the stream only if no half of it stays open.
        drop(reader);
        if self.settings.ends_process {
            self.end_process();
        }
    }

    /// Hands a message to whom it is for.
    fn take(self: &Arc<Self>, message: Message) -> Result<(), End> {
        match message.opcode {
            Opcode::Result => self.take_result(message),
            Opcode::Hangup => Err(match sps::decode(&message.body) {
                Ok(SpsError(_)) => End::Closed,
                Err(error) => End::Broken(format!("goodbye that cannot be read: {error}")),
            }),
            Opcode::Setup => Err(End::Broken(
                "a setup message from the controller".to_owned(),
            )),
            Opcode::CallWrapper => self.take_call(message),
        }
    }

    fn take_result(&self, message: Message) -> Result<(), End> {
        let mut state = self.state.lock();
        match state.waiting.get_mut(&message.sequence) {
            Some(waiting) if waiting.answer.is_none() => {
                waiting.answer = Some(message.body);
                match &waiting.wakes {
                    Some(wakes) => wakes.notify_all(),
                    None => self.main_wakes.notify_all(),
                };
                Ok(())
            }
            _ => Err(End::Broken(format!(
                "a result for call {}, which is not open",
                message.sequence
            ))),
        }
    }

    fn take_call(self: &Arc<Self>, message: Message) -> Result<(), End> {
        let Limits {
            max_calls,
            max_message,
            ..
        } = self.settings.limits;
        let mut state = self.state.lock();
        if !state.open_calls.insert(message.sequence) {
            return Err(End::Broken(format!(
                "a second call of number {}, which is open",
                message.sequence
            )));
        }
        state.open_bytes += message.body.len() as u64;
        if state.open_calls.len() > max_calls {
            return Err(End::Broken(format!(
                "more than {max_calls} calls at a time"
            )));
        }
        if state.open_bytes > max_message.saturating_mul(2) {
            let problem = "the arguments of all open calls take twice the size of a message";
            return Err(End::Broken(problem.to_owned()));
        }
        if services::is_quick(message.tag) {
            drop(state);
            self.run(message, || {});
        } else if !self.is_accepted() {
            drop(state);
            self.start_thread_for(message)?;
        } else if services::is_for_main(message.tag)
            || state.main_is_free && state.main_calls.is_empty()
        {
            state.main_calls.push_back(message);
            self.main_wakes.notify_all();
        } else {
            state.worker_calls.push_back(message);
            if state.idle_workers >= state.worker_calls.len() {
                self.workers_wake.notify_one();
            } else {
                state.workers_wanted += 1;
                self.starter_wakes.notify_one();
            }
        }
        Ok(())
    }

    /// Starts threads that serve calls, on a thread of its own until the connection ends: a new thread
    /// takes a lock of the loader, which the serving thread may hold while it waits for the controller,
    /// and so for the receiving thread.
    pub(super) fn start_workers(self: &Arc<Self>) {
        prepare_to_wait();
        let mut state = self.state.lock();
        while state.ended.is_none() {
            if state.workers_wanted == 0 {
                self.starter_wakes.wait(&mut state);
                continue;
            }
            state.workers_wanted -= 1;
            let session = Arc::clone(self);
            let work = move || session.work();
            let started = MutexGuard::unlocked(&mut state, || start_thread(work));
            if let Err(end) = started {
                MutexGuard::unlocked(&mut state, || self.end(end));
            }
        }
    }

    /// Serves a call of one of LLVM's controllers on a thread that ends before the result is sent.
    /// LLVM's runtime leaves destructors of thread-locals to the end of the thread, and the controller
    /// releases the program's memory once it has the result.
    fn start_thread_for(self: &Arc<Self>, call: Message) -> Result<(), End> {
        let session = Arc::clone(self);
        start_thread(move || {
            let which = (call.sequence, call.body.len() as u64);
            let serving = Arc::clone(&session);
            let serve = move || serving.signals.during(|| serving.answer(call));
            let thread = host::thread::spawn_without_signals("orc-call", serve);
            let answer = thread.and_then(|thread| thread.join().ok());
            let none = || Err(Violation("the system refuses another thread".to_owned()));
            session.reply(which, answer.unwrap_or_else(none));
        })
    }

    /// Serves calls on a thread of ours.
    fn work(self: &Arc<Self>) {
        prepare_to_wait();
        let _stack = AlternateStack::of_this_thread();
        let mut state = self.state.lock();
        loop {
            if let Some(call) = state.worker_calls.pop_front() {
                MutexGuard::unlocked(&mut state, || {
                    // Linked code may need the signals of its own faults.
                    self.signals.during(|| self.run(call, || {}));
                });
                continue;
            }
            state.idle_workers += 1;
            let timeout = self.workers_wake.wait_for(&mut state, IDLE_MAX).timed_out();
            state.idle_workers -= 1;
            let nothing = state.worker_calls.is_empty();
            if nothing && (timeout || state.ended.is_some()) {
                return;
            }
        }
    }

    /// Ends the connection, once.
    fn end(&self, end: End) {
        if self.ending.swap(true, Ordering::AcqRel) {
            return;
        }
        // The last word comes before anybody wakes, and perhaps ends the process.
        match &end {
            End::Broken(problem) => {
                let body = sps::encode(&SpsError(Err(problem.clone())));
                self.writer.end(Some(&body));
            }
            End::Closed | End::Gone => self.writer.end(None),
        }
        let mut state = self.state.lock();
        state.ended = Some(end);
        for waiting in state.waiting.values() {
            if let Some(wakes) = &waiting.wakes {
                wakes.notify_all();
            }
        }
        self.main_wakes.notify_all();
        self.workers_wake.notify_all();
        self.starter_wakes.notify_all();
    }

    /// Lets the calls that are about to end do so, then ends the process; and also if the serving
    /// thread returned, but the process's exit handlers hang.
    fn end_process(&self) {
        let mut state = self.state.lock();
        if state.ended == Some(End::Gone) {
            return;
        }
        let until = Instant::now() + LAST_CALLS_MAX;
        while !state.open_calls.is_empty()
            && !self.call_ended.wait_until(&mut state, until).timed_out()
        {}
        let hangs = !state.open_calls.is_empty();
        let end = state.ended.clone();
        drop(state);
        if !hangs {
            std::thread::sleep(EXIT_MAX);
        } else if let Some(End::Broken(problem)) = &end {
            // The serving thread, which would say so, is busy.
            report(format_args!(
                "the connection to the controller was ended: {problem}"
            ));
        }
        host::process::exit_now(i32::from(hangs || end != Some(End::Closed)));
    }
}

fn start_thread(work: impl FnOnce() + Send + 'static) -> Result<(), End> {
    match host::thread::spawn_without_signals("orc-call", work) {
        Some(_) => Ok(()),
        None => Err(End::Broken("the system refuses another thread".to_owned())),
    }
}

fn take_answer(state: &mut State, sequence: u64) -> Option<Vec<u8>> {
    state.waiting.get(&sequence)?.answer.as_ref()?;
    state.waiting.remove(&sequence)?.answer
}
