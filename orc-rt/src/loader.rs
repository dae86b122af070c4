//! Opens and closes JIT'd dylibs: runs their initializers and finalizers.
//!
//! One thread at a time does so, and may do so again from within an initializer, as with the
//! system's loader. The right to it is an entry in the registry, not a lock: a thread that is
//! waited for in vain only blocks others that open or close.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ffi::{c_char, c_int, c_void};

use orc_shared::{DylibNeeds, ExecutorAddr, ExecutorAddrRange, opening_order};

use crate::addr;
use crate::arch;
use crate::elfnix::__orc_rt_elfnix_push_initializers_tag;
use crate::exit;
use crate::host;
use crate::registry::{self, Arguments, LoaderOwner, Outcome, WordMap};
use crate::sync::ThreadId;
use crate::{call, tls};

/// The right to open and close dylibs; given back on drop.
pub struct Loader(());

impl Loader {
    /// Waits until no other thread has it.
    pub fn acquire() -> Self {
        let current = ThreadId::current();
        let mut registry = registry::lock();
        loop {
            match &mut registry.loader {
                None => {
                    registry.loader = Some(LoaderOwner {
                        thread: current,
                        depth: 1,
                    });
                    return Self(());
                }
                Some(owner) if owner.thread == current => {
                    owner.depth += 1;
                    return Self(());
                }
                Some(_) => registry = registry.wait(),
            }
        }
    }

    /// Opens the dylib called `name`, and with it what it depends on, dependencies first.
    ///
    /// # Errors
    /// When no dylib has the name, or the controller cannot link its initializers.
    pub fn open_by_name(&self, name: &str) -> Outcome<ExecutorAddr> {
        let header = registry::lock().header_of(name)?;
        self.open_linked_by_controller(header)?;
        Ok(header)
    }

    /// Opens a dylib as `dlopen` does with this mode. Nothing if it shall be opened only if it is open.
    ///
    /// # Errors
    /// As [`Self::open_by_name`].
    pub fn open(&self, header: ExecutorAddr, mode: c_int) -> Outcome<Option<()>> {
        let is_open = registry::lock().dylib(header)?.opened_at.is_some();
        if mode & libc::RTLD_NOLOAD != 0 && !is_open {
            return Ok(None);
        }
        self.open_linked_by_controller(header)?;
        if mode & libc::RTLD_NODELETE != 0 {
            registry::lock().dylib(header)?.stays_open = true;
        }
        Ok(Some(()))
    }

    /// Runs initializers of a dylib, and of those that it needs, that were linked since they were opened.
    ///
    /// # Errors
    /// When no dylib has this header.
    pub fn initialize_new(&self, header: ExecutorAddr) -> Outcome<()> {
        let (mut waiting, mut seen) = (Vec::from([header]), WordMap::new());
        let mut new = Vec::new();
        let mut registry = registry::lock();
        while let Some(header) = waiting.pop() {
            if seen.insert(header.value(), (0, 0)).is_some() {
                continue;
            }
            let dylib = registry.dylib(header)?;
            waiting.extend(&dylib.dependencies);
            if dylib.opened_at.is_some() && dylib.init_sections_run < dylib.init_sections.len() {
                new.push(header);
            }
        }
        drop(registry);
        // What was needed was found last.
        new.into_iter().rev().try_for_each(run_initializers)
    }

    /// Opens a dylib whose initializers the controller still has to link.
    fn open_linked_by_controller(&self, header: ExecutorAddr) -> Outcome<()> {
        let mut registry = registry::lock();
        let dylib = registry.dylib(header)?;
        if dylib.open_count > 0 {
            dylib.open_count += 1;
            return Ok(());
        }
        drop(registry);
        self.push_initializers(header)?;
        registry::lock().dylib(header)?.open_count += 1;
        Ok(())
    }

    /// Has the controller link what is new in an open dylib, and runs its new initializers.
    ///
    /// # Errors
    /// When the dylib is not open, or the controller cannot link it.
    pub fn update(&self, header: ExecutorAddr) -> Outcome<()> {
        let mut registry = registry::lock();
        let dylib = registry.dylib(header)?;
        if dylib.opened_at.is_none() {
            return Err(format!("JIT dylib '{}' is not open", dylib.name));
        }
        drop(registry);
        self.push_initializers(header)
    }

    /// Undoes one opening; the last one closes the dylib, and those opened for it alone, in the
    /// reverse of the order they were opened in.
    ///
    /// # Errors
    /// When the dylib is not open.
    pub fn release(&self, header: ExecutorAddr) -> Outcome<()> {
        let mut registry = registry::lock();
        let dylib = registry.dylib(header)?;
        if dylib.open_count == 0 {
            return Err(format!("JIT dylib '{}' is not open", dylib.name));
        }
        dylib.open_count -= 1;
        if dylib.open_count > 0 || dylib.stays_open {
            return Ok(());
        }
        let stands_alone = dylib.dependencies.is_empty() && dylib.holders == 0;
        let unused = match stands_alone {
            true => Vec::from([header]),
            // Dylibs may need each other in a circle, where each has a holder for ever.
            false => registry.unused_dylibs(),
        };
        for &header in &unused {
            registry.let_go_of_dependencies(header);
        }
        drop(registry);
        unused.into_iter().for_each(finalize);
        Ok(())
    }

    /// Asks the controller to link all initializers that `header` needs, which registers their
    /// sections here, then runs them, dependencies first.
    fn push_initializers(&self, header: ExecutorAddr) -> Outcome<()> {
        let tag = &raw const __orc_rt_elfnix_push_initializers_tag;
        let pushed: Vec<DylibNeeds> = call::controller(tag, &(header,))?;
        for (dylib, needs) in opening_order(header, &pushed) {
            hold_dependencies(dylib, needs)?;
            run_initializers(dylib)?;
        }
        Ok(())
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        let mut registry = registry::lock();
        if let Some(owner) = &mut registry.loader {
            owner.depth -= 1;
            if owner.depth == 0 {
                registry.loader = None;
                registry::notify_all();
            }
        }
    }
}

/// Opens a dylib whose initializers are linked and registered, and whose dependencies are open. An
/// open one gets its new initializers run. Whether it was not open.
///
/// # Errors
/// When no dylib has this header.
pub fn open_linked(header: ExecutorAddr) -> Outcome<bool> {
    let is_new = {
        let mut registry = registry::lock();
        let dylib = registry.dylib(header)?;
        dylib.stays_open = true;
        dylib.opened_at.is_none()
    };
    run_initializers(header)?;
    Ok(is_new)
}

/// Closes a dylib whoever still has it open.
///
/// # Errors
/// When no dylib has this header.
pub fn close(header: ExecutorAddr) -> Outcome<()> {
    {
        let mut registry = registry::lock();
        let dylib = registry.dylib(header)?;
        (dylib.open_count, dylib.stays_open) = (0, false);
        registry.let_go_of_dependencies(header);
    }
    finalize(header);
    Ok(())
}

/// Counts an opening of each new dependency.
fn hold_dependencies(header: ExecutorAddr, needs: &[ExecutorAddr]) -> Outcome<()> {
    let mut registry = registry::lock();
    for &dependency in needs {
        let known = &mut registry.dylib(header)?.dependencies;
        if dependency == header || known.contains(&dependency) {
            continue;
        }
        known.push(dependency);
        registry.dylib(dependency)?.holders += 1;
    }
    Ok(())
}

/// Runs the initializers of a dylib that have not run yet, also those that appear meanwhile.
fn run_initializers(header: ExecutorAddr) -> Outcome<()> {
    loop {
        let mut registry = registry::lock();
        let sequence = registry.next_sequence();
        let dylib = registry.dylib(header)?;
        if dylib.opened_at.is_none() {
            dylib.opened_at = Some(sequence);
            // SAFETY: it was not open until now, so nothing of it runs.
            unsafe { dylib.data.reset(dylib.stays_open) };
        }
        let done = core::mem::replace(&mut dylib.init_sections_run, dylib.init_sections.len());
        let new = dylib.init_sections.get(done..).unwrap_or_default().to_vec();
        let due = core::mem::replace(&mut dylib.fini_sections_due, dylib.fini_sections.len());
        let has_finalizers = due < dylib.fini_sections.len();
        if new.is_empty() && !has_finalizers {
            return Ok(());
        }
        registry.initializing.push((ThreadId::current(), header));
        let arguments = registry.arguments;
        let finalized_at_exit = registry.finalized_at_exit;
        drop(registry);
        if has_finalizers && !finalized_at_exit {
            finalize_at_exit()?;
        }
        for section in new {
            // SAFETY: the controller registered this range as an array of initializers.
            unsafe { run_init_section(section, arguments) };
        }
        finish_initializing(header);
    }
}

fn finish_initializing(header: ExecutorAddr) {
    let current = ThreadId::current();
    let mut registry = registry::lock();
    let mine = registry
        .initializing
        .iter()
        .rposition(|&(thread, dylib)| thread == current && dylib == header);
    if let Some(index) = mine {
        registry.initializing.remove(index);
    }
}

/// Calls the functions of one array in order, with what glibc passes: the arguments of `main`.
///
/// # Safety
/// `section` is an array of addresses of functions that may be called now.
unsafe fn run_init_section(section: ExecutorAddrRange, arguments: Option<Arguments>) {
    let mut no_arguments: [*mut c_char; 1] = [core::ptr::null_mut()];
    let arguments = arguments.unwrap_or(Arguments {
        argc: 0,
        argv: no_arguments.as_mut_ptr(),
    });
    // SAFETY: the caller vouches for the range.
    for &function in unsafe { addr::words(section) } {
        if is_callable(function) {
            // SAFETY: the caller vouches for the functions; one that takes fewer arguments does not
            // notice.
            unsafe { call_as_main(ExecutorAddr::new(function), arguments) };
        }
    }
}

/// Calls a function as the process's start-up code calls `main`.
///
/// # Safety
/// At `function` is one that takes `main`'s arguments, or fewer.
pub unsafe fn call_as_main(function: ExecutorAddr, arguments: Arguments) -> c_int {
    let environment = host::environment();
    let Arguments { argc, argv } = arguments;
    // SAFETY: the caller vouches for the function.
    unsafe { arch::call_outermost(addr::to_ptr(function), argc, argv, environment) }
}

/// Old compilers frame such arrays with 0 and −1.
fn is_callable(word: u64) -> bool {
    word != 0 && word != u64::MAX
}

/// Runs the finalizers of an open dylib, in the loader's order: from the last word of the last array
/// to the first of the first.
///
/// Its `__cxa_atexit` handlers run where the compiler's start-up file has an entry of its own, which
/// an empty range stands for. If none does: a program's run before its finalizers, as `exit` runs
/// them before the loader comes to finalizers; a library's run after, as that file comes first.
pub fn finalize(header: ExecutorAddr) {
    let mut registry = registry::lock();
    let is_program = registry.program == Some(header);
    let Ok(dylib) = registry.dylib(header) else {
        return;
    };
    if dylib.opened_at.take().is_none() {
        return;
    }
    // A dylib that is opened again is initialized again.
    dylib.init_sections_run = 0;
    let due = core::mem::take(&mut dylib.fini_sections_due);
    let sections = dylib.fini_sections.get(..due).unwrap_or_default().to_vec();
    drop(registry);
    if is_program {
        // SAFETY: the program was open until now, and memory of a dylib is given back after it was closed.
        unsafe { host::cxa_finalize(header) };
    }
    for section in sections.into_iter().rev() {
        if section.is_empty() {
            // SAFETY: as above.
            unsafe { host::cxa_finalize(header) };
        }
        // SAFETY: the controller registered this range as an array of finalizers.
        unsafe { run_fini_section(section) };
    }
    // Also what finalizers registered.
    // SAFETY: as above.
    unsafe { host::cxa_finalize(header) };
}

/// Part of an open dylib goes away: runs what it has left to be called when the dylib is closed, in the
/// order in which that would be done, and forgets it.
///
/// # Safety
/// Finalizers and exit handlers in the ranges may be called now.
pub unsafe fn finalize_ranges(header: ExecutorAddr, ranges: &[ExecutorAddrRange]) -> Outcome<()> {
    registry::lock().dylib(header)?;
    if registry::lock().program == Some(header) {
        // SAFETY: the caller vouches for it.
        unsafe { exit::finalize_ranges(header, ranges) };
    }
    loop {
        let mut registry = registry::lock();
        let dylib = registry.dylib(header)?;
        let due = dylib.fini_sections.get(..dylib.fini_sections_due);
        let goes = |section: &ExecutorAddrRange| {
            !section.is_empty() && ranges.iter().any(|range| range.contains(section.start))
        };
        let last = due.unwrap_or_default().iter().rposition(goes);
        let Some(index) = last else { break };
        let section = dylib.fini_sections.remove(index);
        dylib.fini_sections_due -= 1;
        dylib.fini_sections_run.push(section);
        drop(registry);
        // SAFETY: the controller registered this range as an array of finalizers, and the caller vouches
        // for them.
        unsafe { run_fini_section(section) };
    }
    // Also what finalizers registered.
    // SAFETY: as above.
    unsafe { exit::finalize_ranges(header, ranges) };
    Ok(())
}

/// Calls the functions of one array, the last one first.
///
/// # Safety
/// `section` is an array of addresses of functions that may be called now.
unsafe fn run_fini_section(section: ExecutorAddrRange) {
    // SAFETY: the caller vouches for the range.
    for &function in unsafe { addr::words(section) }.iter().rev() {
        if is_callable(function) {
            let function = ExecutorAddr::new(function);
            // SAFETY: the caller vouches for the functions.
            unsafe { addr::to_function::<unsafe extern "C" fn()>(function)() };
        }
    }
}

/// Has what is open finalized at exit, after the exit handlers that are registered from now on and
/// before those registered until now: where the system's loader does it for a program.
///
/// # Errors
/// When the C library does not take the handler.
pub fn finalize_at_exit() -> Outcome<()> {
    registry::lock().finalized_at_exit = true;
    exit::register(run_finalizers_at_exit, core::ptr::null_mut(), runtime_key())
        .map_err(String::from)
}

/// The "dylib" under which the runtime files its own handlers: an address inside it.
pub fn runtime_key() -> ExecutorAddr {
    static KEY: u8 = 0;
    addr::of(&raw const KEY)
}

/// # Safety
/// Called by the C library when the process exits, once.
unsafe extern "C" fn run_finalizers_at_exit(_: *mut c_void) {
    let open = registry::lock().open_dylibs();
    for header in open {
        finalize(header);
    }
}

/// Ends the runtime's part in the process: nothing of it will be called any more.
pub fn shut_down() {
    let mut registry = registry::lock();
    for (_, records) in registry.all_records() {
        records.forget();
    }
    registry.threads.leave_calls();
    registry.fork_handlers = false;
    let threads = registry.tls.take_threads();
    registry.free_empty();
    drop(registry);
    // All exit handlers are forgotten: this takes back the handlers of `fork`.
    // SAFETY: the records of all handlers were taken back above, so what is called does nothing but free them.
    unsafe { host::cxa_finalize(runtime_key()) };
    tls::shut_down(threads);
}
