//! What the runtime knows: one record per JIT'd dylib, and what threads and handlers are pending.
//!
//! One lock guards it. It is only held for look-ups and changes, never while other code runs.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ffi::{c_char, c_int};

use orc_shared::{ExecutorAddr, ExecutorAddrRange};

use crate::exit::Records;
use crate::saved_data::SavedData;
use crate::sync::{Guard, Monitor, ThreadId};
use crate::thread_exit::Threads;
use crate::tls::TlsRegistry;

/// The runtime's state. Each loaded copy of the runtime has its own.
static REGISTRY: Monitor<Registry> = Monitor::new(Registry::new());

/// An ordered map from a number to two. All of the runtime's maps are of this one type, because each
/// type of map would add several kilobytes of code that every session links.
pub type WordMap = BTreeMap<u64, (u64, u64)>;

/// Something to tell a human or the controller.
pub type Outcome<T> = Result<T, String>;

/// Takes the state.
pub fn lock() -> Guard<'static, Registry> {
    REGISTRY.lock()
}

/// Wakes threads that wait for the loader (see [`crate::loader`]).
pub fn notify_all() {
    REGISTRY.notify_all();
}

/// The command line, as `main` and initializers get it.
#[derive(Clone, Copy)]
pub struct Arguments {
    /// Number of strings.
    pub argc: c_int,
    /// The strings, followed by null.
    pub argv: *mut *mut c_char,
}

// SAFETY: the strings are never freed; who writes to them is the program's affair, as anywhere.
unsafe impl Send for Arguments {}

/// A JIT'd dylib.
pub struct Dylib {
    /// Its name, by which it is opened.
    pub name: String,
    /// Arrays of initializers, in the order they are to run.
    pub init_sections: Vec<ExecutorAddrRange>,
    /// How many of `init_sections` have run since the dylib was opened.
    pub init_sections_run: usize,
    /// Arrays of finalizers in memory order; see [`crate::ext`] for the meaning of an empty one.
    pub fini_sections: Vec<ExecutorAddrRange>,
    /// How many of `fini_sections` are due when the dylib is closed: those that were there when its
    /// initializers ran last.
    pub fini_sections_due: usize,
    /// Arrays of finalizers that have run, because their code is about to go away.
    pub fini_sections_run: Vec<ExecutorAddrRange>,
    /// How often it was opened by linked code and not yet closed.
    pub open_count: usize,
    /// Whether the controller has opened it, or linked code for ever: only the controller closes it then.
    pub stays_open: bool,
    /// How many open dylibs it was opened for.
    pub holders: usize,
    /// When it was opened, among all openings; `None` while its finalizers have nothing to undo.
    pub opened_at: Option<u64>,
    /// Dylibs opened for it.
    pub dependencies: Vec<ExecutorAddr>,
    /// Its data, if it can be opened anew.
    pub data: SavedData,
    /// Calls that the C library was asked to make for it.
    pub records: Records,
}

/// Who is opening or closing dylibs, and how deep in it.
pub struct LoaderOwner {
    /// The thread.
    pub thread: ThreadId,
    /// Openings and closings that are nested in one another.
    pub depth: usize,
}

/// See the module's documentation.
pub struct Registry {
    /// Ordered by header.
    dylibs: Vec<(ExecutorAddr, Box<Dylib>)>,
    /// Records of whoever is not a registered dylib: the runtime itself.
    other_records: Records,
    /// Header of the runtime's own dylib.
    pub platform: ExecutorAddr,
    /// Header of the program that runs.
    pub program: Option<ExecutorAddr>,
    /// The dylibs whose initializers are running, newest last.
    pub initializing: Vec<(ThreadId, ExecutorAddr)>,
    /// See [`LoaderOwner`].
    pub loader: Option<LoaderOwner>,
    /// What initializers are passed.
    pub arguments: Option<Arguments>,
    /// `.eh_frame` sections that the unwinder was told of.
    pub frames: WordMap,
    /// Thread-local sections and the threads that have copies.
    pub tls: TlsRegistry,
    /// Threads that have destructors of thread-locals to run.
    pub threads: Threads,
    /// The last error of any thread's `dlopen` and the like.
    pub last_error: String,
    /// Whether the handlers around `fork` are in place.
    pub fork_handlers: bool,
    /// Whether open dylibs will be finalized at exit.
    pub finalized_at_exit: bool,
    sequence: u64,
}

// SAFETY: the raw pointers in it lead to memory that the runtime owns and reaches under the lock.
unsafe impl Send for Registry {}

impl Registry {
    const fn new() -> Self {
        Self {
            dylibs: Vec::new(),
            other_records: Records::none(),
            platform: ExecutorAddr::NULL,
            program: None,
            initializing: Vec::new(),
            loader: None,
            arguments: None,
            frames: WordMap::new(),
            tls: TlsRegistry::empty(),
            threads: Threads::none(),
            last_error: String::new(),
            fork_handlers: false,
            finalized_at_exit: false,
            sequence: 0,
        }
    }

    /// Frees the memory of lists that are empty: nobody drops a registry.
    pub fn free_empty(&mut self) {
        if self.dylibs.is_empty() {
            self.dylibs = Vec::new();
        }
        if self.initializing.is_empty() {
            self.initializing = Vec::new();
        }
        self.last_error = String::new();
    }

    /// A number larger than all before.
    pub fn next_sequence(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    /// The number that was given out last.
    pub fn last_sequence(&self) -> u64 {
        self.sequence
    }

    /// Adds a dylib.
    pub fn add_dylib(&mut self, header: ExecutorAddr, name: &str) -> Outcome<()> {
        let index = match self.index_of(header) {
            Err(index) => index,
            Ok(index) => {
                let other = self.dylibs.get(index).map_or("", |(_, dylib)| &dylib.name);
                return Err(format!(
                    "cannot register JIT dylib '{name}': its header {header} is that of '{other}'"
                ));
            }
        };
        let dylib = Dylib {
            name: name.into(),
            init_sections: Vec::new(),
            init_sections_run: 0,
            fini_sections: Vec::new(),
            fini_sections_due: 0,
            fini_sections_run: Vec::new(),
            open_count: 0,
            stays_open: false,
            holders: 0,
            opened_at: None,
            dependencies: Vec::new(),
            data: SavedData::none(),
            records: Records::none(),
        };
        self.dylibs.insert(index, (header, Box::new(dylib)));
        Ok(())
    }

    /// Forgets a dylib.
    pub fn remove_dylib(&mut self, header: ExecutorAddr) -> Outcome<Box<Dylib>> {
        let index = self.index_of(header).map_err(|_| unknown_header(header))?;
        let dylib = self.dylibs.remove(index).1;
        if self.dylibs.is_empty() {
            // Nothing is left in memory when the last one, the runtime's own, goes.
            self.dylibs = Vec::new();
        }
        Ok(dylib)
    }

    /// The dylib with this header.
    pub fn dylib(&mut self, header: ExecutorAddr) -> Outcome<&mut Dylib> {
        let index = self.index_of(header).ok();
        let found = index.and_then(|index| self.dylibs.get_mut(index));
        match found {
            Some((_, dylib)) => Ok(dylib),
            None => Err(unknown_header(header)),
        }
    }

    fn index_of(&self, header: ExecutorAddr) -> Result<usize, usize> {
        self.dylibs
            .binary_search_by_key(&header, |(known, _)| *known)
    }

    /// The header of the dylib with this name.
    pub fn header_of(&self, name: &str) -> Outcome<ExecutorAddr> {
        self.dylibs
            .iter()
            .find(|(_, dylib)| dylib.name == name)
            .map(|(header, _)| *header)
            .ok_or_else(|| format!("no JIT dylib is named '{name}'"))
    }

    /// The header of the library with this name: of a dylib that is neither the program nor the runtime.
    pub fn library_named(&self, name: &[u8]) -> Option<ExecutorAddr> {
        let is_library =
            |header| header != self.platform && self.program.is_none_or(|it| it != header);
        let named = |(header, dylib): &&(ExecutorAddr, Box<Dylib>)| {
            dylib.name.as_bytes() == name && is_library(*header)
        };
        self.dylibs.iter().find(named).map(|(header, _)| *header)
    }

    /// The records of the dylib with this header, or of nobody in particular.
    pub fn records(&mut self, header: ExecutorAddr) -> &mut Records {
        match self
            .index_of(header)
            .ok()
            .and_then(|index| self.dylibs.get_mut(index))
        {
            Some((_, dylib)) => &mut dylib.records,
            None => &mut self.other_records,
        }
    }

    /// The records of all dylibs.
    pub fn all_records(&mut self) -> impl Iterator<Item = (ExecutorAddr, &mut Records)> {
        let of_dylibs = self.dylibs.iter_mut();
        of_dylibs
            .map(|(header, dylib)| (*header, &mut dylib.records))
            .chain([(ExecutorAddr::NULL, &mut self.other_records)])
    }

    /// The open dylibs, the one opened last first, the program before all others: the order in which
    /// a loader finalizes them at exit.
    pub fn open_dylibs(&self) -> Vec<ExecutorAddr> {
        let mut by_age = WordMap::new();
        for (header, dylib) in &self.dylibs {
            if let Some(opened_at) = dylib.opened_at {
                let is_program = self.program == Some(*header);
                let rank = if is_program { u64::MAX } else { opened_at };
                by_age.insert(rank, (header.value(), 0));
            }
        }
        by_age
            .into_values()
            .rev()
            .map(|(header, _)| ExecutorAddr::new(header))
            .collect()
    }

    /// A dylib does not need the others any more that were opened for it.
    pub fn let_go_of_dependencies(&mut self, header: ExecutorAddr) {
        let Ok(dylib) = self.dylib(header) else {
            return;
        };
        for dependency in core::mem::take(&mut dylib.dependencies) {
            if let Ok(dependency) = self.dylib(dependency) {
                dependency.holders = dependency.holders.saturating_sub(1);
            }
        }
    }

    /// Those of the open dylibs that nobody has open any more, neither a user nor, directly or not, a
    /// dylib that a user has open; the one opened last first.
    pub fn unused_dylibs(&self) -> Vec<ExecutorAddr> {
        let mut used = WordMap::new();
        let opened = |dylib: &Dylib| dylib.open_count > 0 || dylib.stays_open;
        let in_use = self.dylibs.iter().filter(|(_, dylib)| opened(dylib));
        let mut waiting: Vec<ExecutorAddr> = in_use.map(|(header, _)| *header).collect();
        while let Some(header) = waiting.pop() {
            let index = self.index_of(header).ok();
            let found = index.and_then(|index| self.dylibs.get(index));
            if let Some((_, dylib)) = found
                && used.insert(header.value(), (0, 0)).is_none()
            {
                waiting.extend(&dylib.dependencies);
            }
        }
        let mut open = self.open_dylibs();
        open.retain(|header| !used.contains_key(&header.value()));
        open
    }
}

fn unknown_header(header: ExecutorAddr) -> String {
    format!("no JIT dylib has its header at {header}")
}

/// Around `fork`, the forking thread holds the lock: the child must not find it taken by a thread
/// that it does not have.
pub extern "C" fn before_fork() {
    REGISTRY.raw_lock();
}

/// See [`before_fork`].
///
/// # Safety
/// `before_fork` was called by this thread.
pub unsafe extern "C" fn after_fork_in_parent() {
    // SAFETY: this thread took the lock in `before_fork`.
    unsafe { REGISTRY.raw_unlock() };
}

/// See [`before_fork`]. What another thread was loading will never be finished in the child.
///
/// # Safety
/// `before_fork` was called by this thread.
pub unsafe extern "C" fn after_fork_in_child() {
    let current = ThreadId::current();
    // SAFETY: this thread took the lock in `before_fork`; the reference ends before it is given back.
    let registry = unsafe { REGISTRY.raw_value() };
    if registry
        .loader
        .as_ref()
        .is_some_and(|owner| owner.thread != current)
    {
        registry.loader = None;
    }
    registry
        .initializing
        .retain(|(thread, _)| *thread == current);
    registry.threads.keep_current_alone();
    // SAFETY: as above.
    unsafe { REGISTRY.raw_unlock() };
}
