//! Destructors of thread-locals: `__cxa_thread_atexit` of JIT'd code.
//!
//! The C library is asked for a *call* at the end of the thread, so that a thread that ends runs
//! destructors in one order with those of every other library. The main thread ends in two ways:
//! through `exit()`, where the C library makes its calls before the exit handlers, and by returning
//! from `main` to the controller, which goes on. Then the runtime runs the destructors itself, before
//! the program is closed; so it does, for the thread that removes code, with those of the code.
//!
//! A call cannot be taken back, and a thread may live as long as the process while code comes and
//! goes. So calls and destructors are two things: a call whose destructor has run is *idle*, and once
//! a thread has some idle ones, they serve the destructors that come next. A call that comes runs the
//! newest destructor that its thread has: among themselves, destructors always run in the order that
//! C++ asks for.

use core::ffi::{c_int, c_void};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicUsize, Ordering};

use orc_shared::{ExecutorAddr, ExecutorAddrRange, IDLE_CALLS_KEPT, ThreadCall};

use crate::host::{self, ExitFunction};
use crate::registry::{self, Registry, WordMap};
use crate::sync::ThreadId;
use crate::{addr, thunk};

/// A call that the C library was asked to make. In memory from `malloc`.
#[repr(C)]
struct Call {
    /// What the process sees of it, too.
    start: ThreadCall,
    /// What it is for; null while it is idle.
    destructor: *mut Destructor,
    /// Its neighbours among idle ones.
    previous: *mut Call,
    next: *mut Call,
}

/// A destructor that was not run yet. In memory from `malloc`.
struct Destructor {
    function: ExitFunction,
    object: *mut c_void,
    /// Header of the dylib that registered it.
    dylib: ExecutorAddr,
    /// Its age: larger is newer.
    sequence: u64,
    call: *mut Call,
    list: *mut ThreadList,
    /// Its neighbours among those of its thread.
    older: *mut Destructor,
    newer: *mut Destructor,
}

/// What one thread has pending. In memory from `malloc`.
struct ThreadList {
    thread: ThreadId,
    newest: *mut Destructor,
    idle: *mut Call,
    idle_count: usize,
}

/// The threads that the C library will make calls for. All of it is guarded by the registry's lock.
pub struct Threads(WordMap);

/// Destructors of one dylib by their sequence number, of all threads.
pub struct Destructors(WordMap);

/// A value in memory from `malloc`, or null without memory.
fn allocate<T>(value: T) -> *mut T {
    // SAFETY: `malloc` may be called with any size, aligns for every type, and the memory is ours.
    unsafe {
        let place: *mut T = libc::malloc(size_of::<T>()).cast();
        if !place.is_null() {
            place.write(value);
        }
        place
    }
}

/// Frees what [`allocate`] made.
///
/// # Safety
/// Nobody uses it any more. It has nothing to drop.
unsafe fn free<T>(place: *mut T) {
    // SAFETY: the memory came from `malloc`.
    unsafe { libc::free(place.cast()) };
}

impl Threads {
    /// No thread.
    pub const fn none() -> Self {
        Self(WordMap::new())
    }

    /// The list of a thread; null if it has none.
    fn of(&self, thread: ThreadId) -> *mut ThreadList {
        let list = self.0.get(&thread.number()).map_or(0, |&(list, _)| list);
        addr::to_ptr(ExecutorAddr::new(list))
    }

    /// The calling thread's list; null without memory.
    fn current(&mut self) -> *mut ThreadList {
        let thread = ThreadId::current();
        let key = thread.number();
        let known = self.of(thread);
        if !known.is_null() {
            return known;
        }
        let list = allocate(ThreadList {
            thread,
            newest: null_mut(),
            idle: null_mut(),
            idle_count: 0,
        });
        if !list.is_null() {
            self.0.insert(key, (addr::of(list.cast_const()).value(), 0));
        }
        list
    }

    /// Forgets a thread for which no call is left.
    ///
    /// # Safety
    /// The list is one of these.
    unsafe fn forget_if_empty(&mut self, list: *mut ThreadList) {
        // SAFETY: the caller vouches for the list.
        unsafe {
            if (*list).newest.is_null() && (*list).idle.is_null() {
                self.0.remove(&(*list).thread.number());
                free(list);
            }
        }
    }

    /// In a forked child, other threads do not exist, and new ones may have their numbers.
    pub fn keep_current_alone(&mut self) {
        let current = ThreadId::current().number();
        self.0.retain(|thread, _| *thread == current);
    }

    /// Nothing of the runtime will be called any more: calls that the C library will still make are the
    /// process's. Destructors are gone already.
    pub fn leave_calls(&mut self) {
        for &(list, _) in core::mem::take(&mut self.0).values() {
            let list: *mut ThreadList = addr::to_ptr(ExecutorAddr::new(list));
            // SAFETY: lists and the idle calls in them are not freed while they are in the map, and the lock
            // is held. An idle call is filed (`__cxa_thread_atexit` adds none that is not) and was not made
            // (`run_call` takes it out).
            unsafe {
                while !(*list).idle.is_null() {
                    let call = (*list).idle;
                    (*list).remove_idle(call);
                    thunk::leave(call.cast(), (*list).thread);
                }
                free(list);
            }
        }
    }
}

impl ThreadList {
    /// # Safety
    /// The call is of this thread, has no destructor, and is not idle.
    unsafe fn add_idle(&mut self, call: *mut Call) {
        // SAFETY: the caller vouches for the call, and those in the list exist.
        unsafe {
            (*call).destructor = null_mut();
            (*call).previous = null_mut();
            (*call).next = self.idle;
            if let Some(next) = self.idle.as_mut() {
                next.previous = call;
            }
        }
        self.idle = call;
        self.idle_count += 1;
    }

    /// # Safety
    /// The call is an idle one of this thread.
    unsafe fn remove_idle(&mut self, call: *mut Call) {
        // SAFETY: the caller vouches for the call, and those in the list exist.
        unsafe {
            match (*call).previous.as_mut() {
                Some(previous) => previous.next = (*call).next,
                None => self.idle = (*call).next,
            }
            if let Some(next) = (*call).next.as_mut() {
                next.previous = (*call).previous;
            }
        }
        self.idle_count -= 1;
    }

    /// # Safety
    /// The destructor is new.
    unsafe fn add(&mut self, destructor: *mut Destructor) {
        // SAFETY: the caller vouches for it, and those in the list exist.
        unsafe {
            (*destructor).older = self.newest;
            if let Some(older) = self.newest.as_mut() {
                older.newer = destructor;
            }
        }
        self.newest = destructor;
    }

    /// # Safety
    /// The destructor is one of this thread.
    unsafe fn remove(&mut self, destructor: *mut Destructor) {
        // SAFETY: the caller vouches for it, and those in the list exist.
        unsafe {
            let (older, newer) = ((*destructor).older, (*destructor).newer);
            match newer.as_mut() {
                Some(newer) => newer.older = older,
                None => self.newest = older,
            }
            if let Some(older) = older.as_mut() {
                older.newer = newer;
            }
        }
    }
}

impl Destructors {
    /// None.
    pub const fn none() -> Self {
        Self(WordMap::new())
    }

    /// Takes all back without running them: their code goes away.
    pub fn forget(&mut self) {
        for &(destructor, _) in core::mem::take(&mut self.0).values() {
            let destructor: *mut Destructor = addr::to_ptr(ExecutorAddr::new(destructor));
            // SAFETY: what was in the map is not freed yet; the lock is held.
            unsafe { take_from_thread(destructor) };
        }
    }

    /// How many there are; with ranges, of those that lead into one.
    pub fn count(&self, ranges: Option<&[ExecutorAddrRange]>) -> u64 {
        let all = self.newest_first();
        // SAFETY: what is in the list exists until it is taken out, for which the registry's lock is needed; who has
        // `self` has that lock.
        all.filter(|it| ranges.is_none_or(|ranges| unsafe { (**it).leads_into(ranges) }))
            .count() as u64
    }

    fn newest_first(&self) -> impl Iterator<Item = *mut Destructor> {
        let words = self.0.values().rev();
        words.map(|&(destructor, _)| addr::to_ptr(ExecutorAddr::new(destructor)))
    }
}

impl Destructor {
    /// Whether its function or object lies in one of the ranges.
    fn leads_into(&self, ranges: &[ExecutorAddrRange]) -> bool {
        let function = addr::of(self.function as *const c_void);
        let object = addr::of(self.object.cast_const());
        let holds = |range: &ExecutorAddrRange| range.contains(function) || range.contains(object);
        ranges.iter().any(holds)
    }
}

/// Frees a destructor, and leaves its call idle. Returns what it would have run.
///
/// # Safety
/// It is on its thread's list, and in no dylib's map any more; the registry's lock is held.
unsafe fn take_from_thread(destructor: *mut Destructor) -> (ExitFunction, *mut c_void) {
    // SAFETY: the caller vouches for it; its list and call exist as long as it does.
    unsafe {
        let Destructor {
            function,
            object,
            call,
            list,
            ..
        } = *destructor;
        (*list).remove(destructor);
        (*list).add_idle(call);
        free(destructor);
        (function, object)
    }
}

/// Has `function(object)` called when the calling thread ends.
///
/// # Safety
/// As for the Itanium C++ ABI's function: the call is allowed until then; `dso` is the address of
/// the dylib's `__dso_handle`.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn __cxa_thread_atexit(
    function: ExitFunction,
    object: *mut c_void,
    dso: *mut c_void,
) -> c_int {
    let dylib = addr::of(dso.cast_const());
    let mut registry = registry::lock();
    let list = registry.threads.current();
    if list.is_null() {
        return -1;
    }
    // SAFETY: the list is not null (above), and is freed under the lock alone, which `registry` holds.
    let (call, is_new) = unsafe { a_call(list) };
    let sequence = registry.next_sequence();
    let destructor = if call.is_null() {
        null_mut()
    } else {
        allocate(Destructor {
            function,
            object,
            dylib,
            sequence,
            call,
            list,
            older: null_mut(),
            newer: null_mut(),
        })
    };
    if destructor.is_null() {
        // SAFETY: as above; a new call is nobody's yet, and `free` takes null.
        unsafe {
            match is_new {
                true => free(call),
                false => (*list).add_idle(call),
            }
            registry.threads.forget_if_empty(list);
        }
        return -1;
    }
    // SAFETY: neither is null (above). Each was made here or was idle, so nothing else has it while `registry` holds the
    // lock.
    unsafe {
        (*call).destructor = destructor;
        (*list).add(destructor);
    }
    let key = addr::of(destructor.cast_const()).value();
    let destructors = &mut registry.records(dylib).at_thread_exit;
    destructors.0.insert(sequence, (key, 0));
    drop(registry);
    match is_new {
        true => file(call),
        false => 0,
    }
}

/// A call of the calling thread that has no destructor, and whether the C library is still to be asked
/// for it. Null without memory.
///
/// # Safety
/// The list is the calling thread's, and the registry's lock is held.
unsafe fn a_call(list: *mut ThreadList) -> (*mut Call, bool) {
    let own = Call {
        start: ThreadCall {
            run: AtomicUsize::new((run_call as *const c_void).expose_provenance()),
            made: AtomicUsize::new(0),
        },
        destructor: null_mut(),
        previous: null_mut(),
        next: null_mut(),
    };
    // SAFETY: the caller vouches for the list; the idle calls in it exist.
    unsafe {
        if (*list).idle_count > IDLE_CALLS_KEPT {
            let call = (*list).idle;
            (*list).remove_idle(call);
            return (call, false);
        }
    }
    let left: *mut Call = thunk::left_by_others().cast();
    if left.is_null() {
        return (allocate(own), true);
    }
    // SAFETY: a runtime of this kind has left it, so it has the size of a call, and it is this one's now.
    unsafe { left.write(own) };
    (left, false)
}

/// Asks the C library for a call; takes it back if that refuses.
fn file(call: *mut Call) -> c_int {
    let run = thunk::get().unwrap_or(run_call);
    if host::cxa_thread_atexit(run, call.cast()).is_ok() {
        return 0;
    }
    let mut registry = registry::lock();
    let list = registry.threads.of(ThreadId::current());
    // SAFETY: the C library did not take the call, so it exists; its destructor is in force, or was taken
    // back by another thread meanwhile: then the call is in the list, if the runtime has not ended.
    unsafe {
        if list.is_null() {
            (*call).start.made.store(1, Ordering::Release);
            return -1;
        }
        if let Some(destructor) = (*call).destructor.as_mut() {
            let records = registry.records(destructor.dylib);
            records.at_thread_exit.0.remove(&destructor.sequence);
            take_from_thread(destructor);
        }
        (*list).remove_idle(call);
        free(call);
        registry.threads.forget_if_empty(list);
    }
    -1
}

/// What the C library calls, through the thunk.
///
/// # Safety
/// `argument` is a call that was filed and not yet made, on the thread that ends.
unsafe extern "C" fn run_call(argument: *mut c_void) {
    let call: *mut Call = argument.cast();
    let mut registry = registry::lock();
    let list = registry.threads.of(ThreadId::current());
    // SAFETY: until it is made, the call exists, and with it its thread's list, unless the runtime has ended
    // in this very moment. A list that has a call with a destructor has a newest destructor.
    let due = unsafe {
        if list.is_null() {
            (*call).start.made.store(1, Ordering::Release);
            return;
        }
        let own = (*call).destructor;
        let mut due = None;
        if !own.is_null() {
            let newest = (*list).newest;
            // The call of the newest one is left for this one's.
            let other = (*newest).call;
            (*own).call = other;
            (*other).destructor = own;
            (*newest).call = call;
            (*call).destructor = newest;
            let records = registry.records((*newest).dylib);
            records.at_thread_exit.0.remove(&(*newest).sequence);
            due = Some(take_from_thread(newest));
        }
        (*list).remove_idle(call);
        free(call);
        registry.threads.forget_if_empty(list);
        due
    };
    drop(registry);
    if let Some((function, object)) = due {
        // SAFETY: JIT'd code registered this call, and the dylib is still there.
        unsafe { function(object) };
    }
}

/// Runs what the calling thread would run at its end, newest first: the destructors registered since
/// `since`, and all of `program`. Those that destructors register run too, as at a thread's end.
///
/// # Safety
/// The destructors may be called now.
pub unsafe fn run_for_current_thread(since: u64, program: ExecutorAddr) {
    // SAFETY: the caller vouches for it.
    unsafe {
        run_while_found(|registry| {
            let list = registry.threads.of(ThreadId::current()).as_ref()?;
            let mut destructor = list.newest;
            while let Some(it) = destructor.as_ref() {
                if it.sequence > since || it.dylib == program {
                    break;
                }
                destructor = it.older;
            }
            Some(destructor)
        });
    }
}

/// Runs the destructors of `dylib` that the calling thread would run at its end and that lead into
/// one of the ranges, or all of them: their code is about to go.
///
/// # Safety
/// The destructors may be called now.
pub unsafe fn run_of_dylib(dylib: ExecutorAddr, ranges: Option<&[ExecutorAddrRange]>) {
    let thread = ThreadId::current();
    // SAFETY: the caller vouches for it; what is in the map exists.
    unsafe {
        run_while_found(|registry| {
            let all = &registry.records(dylib).at_thread_exit;
            all.newest_first().find(|it| {
                let it = &**it;
                (*it.list).thread == thread && ranges.is_none_or(|ranges| it.leads_into(ranges))
            })
        });
    }
}

/// Runs one destructor of the calling thread after the other.
///
/// # Safety
/// `find` gives pending ones that may be called now, or null.
unsafe fn run_while_found(mut find: impl FnMut(&mut Registry) -> Option<*mut Destructor>) {
    loop {
        let mut registry = registry::lock();
        let Some(destructor) = find(&mut registry).filter(|it| !it.is_null()) else {
            return;
        };
        // SAFETY: it is pending, and the lock is held.
        let (function, object) = unsafe {
            let records = registry.records((*destructor).dylib);
            records.at_thread_exit.0.remove(&(*destructor).sequence);
            take_from_thread(destructor)
        };
        drop(registry);
        // SAFETY: JIT'd code registered this call, and its code is still there.
        unsafe { function(object) };
    }
}
