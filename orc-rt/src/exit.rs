//! Exit handlers: `__cxa_atexit`, `atexit`, `__cxa_finalize` of JIT'd code.
//!
//! Handlers are filed with the C library, under the dylib's header as a linked library files them
//! under its `__dso_handle`. So they run in one order with those of every other library of the
//! process, at `exit()` called from anywhere, in forked children, not at `_exit` or `quick_exit`; and
//! the C library's `__cxa_finalize` runs those of one dylib when it is closed. Each goes through a
//! record, so that it can be taken back when code is freed without having been closed.

use core::ffi::{c_int, c_void};
use core::sync::atomic::{AtomicUsize, Ordering};

use orc_shared::{ExecutorAddr, ExecutorAddrRange};

use crate::host::{self, ExitFunction};
use crate::registry::{self, Registry, WordMap};
use crate::sync::ThreadId;
use crate::thread_exit::Destructors;
use crate::{addr, thunk};

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
            at_thread_exit: Destructors::none(),
        }
    }

    /// Takes everything back without calling it: its code goes away.
    pub fn forget(&mut self) {
        for record in core::mem::replace(&mut self.at_exit, RecordMap(WordMap::new())).iter() {
            // SAFETY: the record was just taken out, so its call has not begun.
            unsafe { record.neutralize() };
        }
        self.at_thread_exit.forget();
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
    // SAFETY: until this call ends, the record exists.
    let kept = unsafe { record.get() };
    let Record {
        function,
        argument,
        dylib,
        sequence,
        ..
    } = *kept;
    let pending = registry::lock().records(dylib).at_exit.remove(sequence);
    // SAFETY: the C library calls once, and the record is out of the registry.
    unsafe { record.free() };
    // If it was taken back by another thread in this very moment, its code may be gone.
    if pending {
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
        registry.records(dylib).at_exit.remove(sequence);
        // SAFETY: it was just taken out of the registry.
        unsafe { record.neutralize() };
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
