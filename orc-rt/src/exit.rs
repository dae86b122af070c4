//! Exit handlers: `__cxa_atexit`, `atexit`, `__cxa_finalize` of JIT'd code.
//!
//! Handlers are filed with the C library, under the dylib's header as a linked library files them
//! under its `__dso_handle`. So they run in one order with those of every other library of the
//! process, at `exit()` called from anywhere, in forked children, not at `_exit` or `quick_exit`; and
//! the C library's `__cxa_finalize` runs those of one dylib when it is closed. Each goes through a
//! record, so that it can be taken back when code is freed without having been closed.
//!
//! The C library keeps what it was asked to call until the dylib is closed. A dylib may be open for ever while
//! its parts come and go: a record whose handler has run then is *idle*, and once a dylib has some of them,
//! they serve the handlers that come next. A call that comes runs the newest handler that its dylib has.

use core::ffi::{c_int, c_void};
use core::sync::atomic::{AtomicUsize, Ordering};

use orc_shared::{ExecutorAddr, ExecutorAddrRange, IDLE_CALLS_KEPT};

use crate::host::{self, ExitFunction};
use crate::registry::{self, Registry, WordMap};
use crate::sync::ThreadId;
use crate::thread_exit::Destructors;
use crate::{addr, thunk};

/// A handler of JIT'd code and its argument.
type Handler = (ExitFunction, *mut c_void);

/// A call that the C library was asked to make.
#[repr(C)]
pub struct Record {
    /// What the thunk jumps to; see [`thunk`].
    run: AtomicUsize,
    /// The handler of the JIT'd code.
    pub function: ExitFunction,
    /// Its argument.
    pub argument: *mut c_void,
    /// Header of the dylib that registered it.
    pub dylib: ExecutorAddr,
    /// Its age: larger is newer.
    pub sequence: u64,
}

/// What is pending for one dylib, by age.
pub struct Records {
    /// Exit handlers.
    pub at_exit: RecordMap,
    /// Records that the C library will still pass, and that have no handler.
    idle: RecordMap,
    /// Thread-local destructors, of all threads.
    pub at_thread_exit: Destructors,
}

/// Records by their sequence number.
pub struct RecordMap(WordMap);

impl Records {
    /// Nothing pending.
    pub const fn none() -> Self {
        Self {
            at_exit: RecordMap(WordMap::new()),
            idle: RecordMap(WordMap::new()),
            at_thread_exit: Destructors::none(),
        }
    }

    /// Takes everything back without calling it: its code goes away.
    pub fn forget(&mut self) {
        for records in [&mut self.at_exit, &mut self.idle] {
            for record in core::mem::replace(records, RecordMap(WordMap::new())).iter() {
                // SAFETY: the record was just taken out, so its call has not begun.
                unsafe { record.neutralize() };
            }
        }
        self.at_thread_exit.forget();
    }

    /// What the call for `record` runs, which was just taken out: the newest handler of its dylib. The record
    /// of that one keeps the other's.
    fn newest_instead(&mut self, record: RecordPtr) -> Handler {
        // SAFETY: the record's call is under way, and the lock is held.
        let taken = unsafe { record.get() };
        let (function, argument) = (taken.function, taken.argument);
        let (dylib, sequence) = (taken.dylib, taken.sequence);
        // SAFETY: these are in the registry, whose lock is held.
        let same = |other: &RecordPtr| unsafe { other.get().dylib == dylib };
        let Some(newest) = self.at_exit.iter().rfind(same) else {
            return (function, argument);
        };
        // SAFETY: as above.
        let other = unsafe { newest.get() };
        if other.sequence < sequence {
            return (function, argument);
        }
        let due = (other.function, other.argument);
        self.at_exit.remove(other.sequence);
        // SAFETY: as above; the reference is used no more.
        unsafe { newest.set((function, argument), sequence) };
        self.at_exit.insert(sequence, newest);
        due
    }

    /// A record of `dylib` without a handler, if there are enough of them.
    fn take_idle(&mut self, dylib: ExecutorAddr) -> Option<RecordPtr> {
        if self.idle.0.len() <= IDLE_CALLS_KEPT {
            return None;
        }
        let record = self.idle.iter().next_back()?;
        // SAFETY: the record is in the registry, whose lock the caller holds.
        let kept = unsafe { record.get() };
        if kept.dylib != dylib {
            return None;
        }
        self.idle.remove(kept.sequence);
        Some(record)
    }
}

impl RecordMap {
    /// Adds a record.
    pub fn insert(&mut self, sequence: u64, record: RecordPtr) {
        self.0
            .insert(sequence, (record.0.expose_provenance() as u64, 0));
    }

    /// Takes a record out. Whether it was there.
    pub fn remove(&mut self, sequence: u64) -> bool {
        self.0.remove(&sequence).is_some()
    }

    /// The records, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = RecordPtr> {
        let words = self.0.values();
        words.map(|&(record, _)| RecordPtr(addr::to_ptr(ExecutorAddr::new(record))))
    }
}

/// A record in memory from `malloc`.
#[derive(Clone, Copy)]
pub struct RecordPtr(*mut Record);

impl RecordPtr {
    /// A new record that `run` is called for, or nothing if there is no memory.
    pub fn new(
        run: unsafe extern "C" fn(*mut c_void),
        function: ExitFunction,
        argument: *mut c_void,
        dylib: ExecutorAddr,
        sequence: u64,
    ) -> Option<Self> {
        // SAFETY: `malloc` may be called with any size.
        let record: *mut Record = unsafe { libc::malloc(size_of::<Record>()) }.cast();
        if record.is_null() {
            return None;
        }
        let run = AtomicUsize::new((run as *const c_void).expose_provenance());
        // SAFETY: `malloc` aligns for every type, and the memory is ours.
        unsafe {
            record.write(Record {
                run,
                function,
                argument,
                dylib,
                sequence,
            });
        }
        Some(Self(record))
    }

    /// The record that the C library passes.
    pub fn from_argument(argument: *mut c_void) -> Self {
        Self(argument.cast())
    }

    /// What the C library is to pass.
    pub fn as_argument(self) -> *mut c_void {
        self.0.cast()
    }

    /// The record.
    ///
    /// # Safety
    /// It was not freed: it is in the registry, or its call by the C library is under way.
    pub unsafe fn get<'a>(self) -> &'a Record {
        // SAFETY: the caller vouches for it.
        unsafe { &*self.0 }
    }

    /// Gives it another handler.
    ///
    /// # Safety
    /// As for [`Self::get`]; the registry's lock is held, and no reference to it is in use.
    unsafe fn set(self, (function, argument): Handler, sequence: u64) {
        // SAFETY: the caller vouches for it. What the thunk reads is not touched.
        unsafe {
            (*self.0).function = function;
            (*self.0).argument = argument;
            (*self.0).sequence = sequence;
        }
    }

    /// Leaves nothing for the C library's call to do but to free the record.
    ///
    /// # Safety
    /// As for [`Self::get`]; whoever calls this took the record out of the registry.
    pub unsafe fn neutralize(self) {
        let free = (libc::free as *const c_void).expose_provenance();
        // SAFETY: the caller vouches that the record exists.
        unsafe { self.get() }.run.store(free, Ordering::Release);
    }

    /// Frees a record whose call by the C library is under way or was never asked for.
    ///
    /// # Safety
    /// Nobody uses the record any more.
    pub unsafe fn free(self) {
        // SAFETY: the memory came from `malloc`.
        unsafe { libc::free(self.0.cast()) };
    }
}

/// Files `function(argument)` under `dso`, to be called at exit or when the dylib is closed.
///
/// # Errors
/// When there is no memory, or no C library that keeps such handlers.
pub fn register(
    function: ExitFunction,
    argument: *mut c_void,
    dso: ExecutorAddr,
) -> Result<(), &'static str> {
    let mut registry = registry::lock();
    let sequence = registry.next_sequence();
    let records = registry.records(dso);
    if let Some(record) = records.take_idle(dso) {
        let handler = (function, argument);
        // SAFETY: it was idle, so the lock's holder alone has it.
        unsafe { record.set(handler, sequence) };
        records.at_exit.insert(sequence, record);
        return Ok(());
    }
    let record = RecordPtr::new(run_at_exit, function, argument, dso, sequence)
        .ok_or("no memory for an exit handler")?;
    registry.records(dso).at_exit.insert(sequence, record);
    drop(registry);
    let result = host::cxa_atexit(
        thunk::get().unwrap_or(run_at_exit),
        record.as_argument(),
        dso,
    );
    if result.is_err() {
        registry::lock().records(dso).at_exit.remove(sequence);
        // SAFETY: the C library did not take it, and it is out of the registry.
        unsafe { record.free() };
    }
    result
}

/// What the C library calls for a record, through the thunk.
///
/// # Safety
/// `argument` is a record that was registered and not yet called for.
unsafe extern "C" fn run_at_exit(argument: *mut c_void) {
    let record = RecordPtr::from_argument(argument);
    let mut registry = registry::lock();
    // SAFETY: until this call ends, the record exists, and the lock is held.
    let (dylib, sequence) = unsafe { (record.get().dylib, record.get().sequence) };
    let records = registry.records(dylib);
    // If it was taken back by another thread in this very moment, its code may be gone.
    let due = match records.at_exit.remove(sequence) {
        true => Some(records.newest_instead(record)),
        false => {
            records.idle.remove(sequence);
            None
        }
    };
    drop(registry);
    // SAFETY: the C library calls once, and the record is out of the registry.
    unsafe { record.free() };
    if let Some((function, argument)) = due {
        // SAFETY: JIT'd code registered this call, and the dylib is still there.
        unsafe { function(argument) };
    }
}

/// Calls and forgets the handlers of `dylib` that lead into one of the ranges, newest first.
///
/// # Safety
/// The handlers may be called now.
pub unsafe fn finalize_ranges(dylib: ExecutorAddr, ranges: &[ExecutorAddrRange]) {
    loop {
        let mut registry = registry::lock();
        let handlers = &registry.records(dylib).at_exit;
        let newest = handlers.iter().rfind(|record| leads_into(*record, ranges));
        let Some(record) = newest else { return };
        // SAFETY: the record is in the registry.
        let kept = unsafe { record.get() };
        let Record {
            function,
            argument,
            sequence,
            ..
        } = *kept;
        let records = registry.records(dylib);
        records.at_exit.remove(sequence);
        records.idle.insert(sequence, record);
        drop(registry);
        // SAFETY: JIT'd code registered this call, and its code is still there.
        unsafe { function(argument) };
    }
}

/// Number of thread-local destructors of `dylib` that threads still have to run; with ranges, only
/// of those that lead into one.
pub fn pending_thread_destructors(
    registry: &mut Registry,
    dylib: ExecutorAddr,
    ranges: Option<&[ExecutorAddrRange]>,
) -> u64 {
    registry.records(dylib).at_thread_exit.count(ranges)
}

/// Whether a registered record's function or object lies in one of the ranges.
fn leads_into(record: RecordPtr, ranges: &[ExecutorAddrRange]) -> bool {
    // SAFETY: the record is in the registry, whose lock the caller holds.
    let record = unsafe { record.get() };
    let function = addr::of(record.function as *const c_void);
    let argument = addr::of(record.argument.cast_const());
    let holds = |range: &ExecutorAddrRange| range.contains(function) || range.contains(argument);
    ranges.iter().any(holds)
}

/// `__cxa_atexit` of JIT'd code.
///
/// # Safety
/// As for `__cxa_atexit`: `function(argument)` may be called until the dylib with header `dso` is
/// closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_elfnix_cxa_atexit(
    function: ExitFunction,
    argument: *mut c_void,
    dso: *mut c_void,
) -> c_int {
    match register(function, argument, addr::of(dso.cast_const())) {
        Ok(()) => 0,
        Err(_) => -1,
    }
}

/// `atexit` of JIT'd code, for controllers that do not give each dylib its own. It is not told which
/// dylib calls, so it takes the one whose initializers this thread runs, else the program.
///
/// # Safety
/// As for `atexit`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_elfnix_atexit(function: ExitFunction) -> c_int {
    let registry = registry::lock();
    let current = ThreadId::current();
    let initializing = registry.initializing.iter().rev();
    let dylib = initializing
        .filter(|(thread, _)| *thread == current)
        .map(|(_, header)| *header)
        .next()
        .or(registry.program)
        .unwrap_or(registry.platform);
    drop(registry);
    // A function without arguments does not notice that it gets one.
    match register(function, core::ptr::null_mut(), dylib) {
        Ok(()) => 0,
        Err(_) => -1,
    }
}

/// `__cxa_finalize` of JIT'd code.
///
/// # Safety
/// The handlers of the dylib with header `dso` may be called now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_elfnix_cxa_finalize(dso: *mut c_void) {
    // SAFETY: the caller vouches for it.
    unsafe { host::cxa_finalize(addr::of(dso.cast_const())) };
}
