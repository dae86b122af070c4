//! Dylibs and trackers as a client sees them.

use std::path::Path;
use std::sync::Arc;

use jit_core::batch::DylibId;
use jit_core::graph::InputBytes;
use jit_core::name::NameUses;
use jit_core::native::NativeLibrary;
use jit_core::object::ObjectFile;
use jit_core::session::{Materializer, Promise, Removal, Symbol};
use orc_inputs::format::LibraryOrigin;
use orc_inputs::input::{InputOpener as _, OwnedBytes};
use orc_inputs::library_search::{FoundContent, FoundInput, LibraryChoice, SearchError};

use crate::assignments;
use crate::error::Error;
use crate::jit::{Jit, WeakJit};
use crate::mapped::MapFiles;
use crate::platform;
use crate::program::Program;

/// A dylib of a [`Jit`]: what is added to it can see each other. A handle, cheap to clone; dropping it
/// closes nothing.
#[derive(Clone)]
pub struct Dylib {
    pub(crate) jit: Jit,
    dylib: jit_core::session::Dylib,
    /// Of what is added through the dylib itself.
    own: Tracker,
}

/// A handle that keeps neither the dylib nor its JIT: for materializers, generators and functions of the host that
/// belong to the dylib themselves, and would keep it for ever.
#[derive(Clone)]
pub struct WeakDylib {
    jit: WeakJit,
    id: DylibId,
}

impl WeakDylib {
    /// The dylib, if its JIT is there.
    #[must_use]
    pub fn upgrade(&self) -> Option<Dylib> {
        let jit = self.jit.upgrade()?;
        let dylib = jit.0.session.dylib(self.id);
        Some(Dylib::new(jit, dylib))
    }
}

/// A part of a dylib that can be removed as one. A handle, cheap to clone; dropping it removes
/// nothing.
#[derive(Clone)]
pub struct Tracker {
    pub(crate) jit: Jit,
    tracker: Which,
}

/// What a handle stands for.
#[derive(Clone)]
enum Which {
    /// What was added through the dylib since that was removed last.
    Own(jit_core::session::Dylib),
    Separate(jit_core::session::Tracker),
}

impl Dylib {
    pub(crate) fn new(jit: Jit, dylib: jit_core::session::Dylib) -> Self {
        let own = Tracker {
            jit: jit.clone(),
            tracker: Which::Own(dylib.clone()),
        };
        Self { jit, dylib, own }
    }

    /// A handle that does not keep the JIT.
    #[must_use]
    pub fn downgrade(&self) -> WeakDylib {
        WeakDylib {
            jit: self.jit.downgrade(),
            id: self.dylib.id(),
        }
    }

    /// A new tracker: what is added through it can be removed as one.
    #[must_use]
    pub fn tracker(&self) -> Tracker {
        Tracker {
            jit: self.jit.clone(),
            tracker: Which::Separate(self.dylib.new_tracker()),
        }
    }

    /// Closes the dylib, as the end of its JIT would: the calling thread's thread-locals of it are
    /// destroyed, its exit handlers and finalizers run, everything that was added to it is removed,
    /// and all that it has taken is given back, at once or when the last user is gone. Nothing can be
    /// added to it or looked up in it any more. Closing it again does nothing.
    ///
    /// # Errors
    /// When the runtime cannot finalize it, or memory cannot be given back; it is closed all the same.
    pub fn close(&self) -> Result<Removal, Error> {
        let closed = self.jit.0.close(&self.dylib);
        Ok(closed.unwrap_or(Ok(Removal::Released))?)
    }

    /// Lets objects of this dylib see another one's definitions, after all that they see now. The
    /// other one's constructors run before this one's, and its destructors after them, as with a
    /// shared library that a shared library needs.
    ///
    /// # Errors
    /// When the other one is another JIT's.
    pub fn link_with(&self, other: &Self) -> Result<(), Error> {
        Ok(self.dylib.add_to_link_order(&other.dylib)?)
    }

    /// The symbol of this name: its address, and a guard that keeps its memory. What it needs is linked,
    /// and initializers run, before this returns.
    ///
    /// # Errors
    /// When the name, or something that its definition needs, is missing.
    pub fn symbol(&self, name: &str) -> Result<Symbol, Error> {
        let symbol = self.dylib.lookup_one(name)?;
        self.jit.0.runtime.initialize(&self.dylib)?;
        Ok(symbol)
    }

    /// Runs the dylib as the program of this process: all its objects are linked, initializers run,
    /// `main` is called on this thread with `args` (the program's name first), then exit handlers and
    /// finalizers run. Returns `main`'s result.
    ///
    /// # Errors
    /// When `main` or anything else is missing; when the process has a program already.
    pub fn run_main<S: Into<String>>(
        &self,
        args: impl IntoIterator<Item = S>,
    ) -> Result<i32, Error> {
        let args = args.into_iter().map(|arg| arg.into().into_bytes());
        let program = Program::of(self.jit.clone(), self.dylib.clone(), args.collect())?;
        program.link()?;
        program.run()
    }

    /// The session's dylib, for what this interface does not offer.
    #[must_use]
    pub fn session_dylib(&self) -> &jit_core::session::Dylib {
        &self.dylib
    }
}

/// What is added to the dylib itself. [`Tracker::remove`] removes all of that; the dylib can be added
/// to as before. Use [`Dylib::tracker`] for parts that are to be removed by themselves, and
/// [`Dylib::close`] for the end of the dylib.
impl std::ops::Deref for Dylib {
    type Target = Tracker;
    fn deref(&self) -> &Tracker {
        &self.own
    }
}

impl Tracker {
    /// Adds an object file. Only its symbol table is read; it is linked when something needs it.
    ///
    /// # Errors
    /// When it cannot be read, or defines what is defined already.
    pub fn add_object_file(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let path = path.as_ref();
        let input = open(path)?;
        self.add_object_input(&path.display().to_string(), input)
    }

    /// Adds an object in memory. `name` is for messages.
    ///
    /// # Errors
    /// As for [`Self::add_object_file`].
    pub fn add_object_bytes(&self, name: &str, bytes: impl Into<Vec<u8>>) -> Result<(), Error> {
        let input = OwnedBytes::from(bytes.into());
        self.add_object_input(name, Arc::new(input))
    }

    fn add_object_input(&self, name: &str, input: Arc<dyn InputBytes>) -> Result<(), Error> {
        let object = self.jit.0.objects.object(name, input)?;
        Ok(self.session_tracker().add_object(object)?)
    }

    /// Adds objects that were read with [`crate::ObjectReader`], or of the client's own making, in link order.
    /// They are linked together when they need each other; [`Dylib::symbols`] links what several names need at
    /// once.
    ///
    /// # Errors
    /// When one defines what is defined already. Those before it are added then: a tracker of their own can be
    /// removed.
    pub fn add_objects(
        &self,
        objects: impl IntoIterator<Item = Arc<dyn ObjectFile>>,
    ) -> Result<(), Error> {
        Ok(self.session_tracker().add_objects(objects)?)
    }

    /// Adds a static archive: its members are linked by need.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn add_archive(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let path = path.as_ref();
        self.add_archive_input(path, open(path)?, false)
    }

    /// Adds a static archive with all its members (`--whole-archive`).
    ///
    /// # Errors
    /// When it or a member cannot be read, or a member defines what is defined already.
    pub fn add_whole_archive(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let path = path.as_ref();
        self.add_archive_input(path, open(path)?, true)
    }

    pub(crate) fn add_archive_input(
        &self,
        path: &Path,
        input: Arc<dyn InputBytes>,
        whole: bool,
    ) -> Result<(), Error> {
        let name = path.display().to_string();
        let archive = self.jit.0.objects.archive(name, path, input)?;
        if whole {
            self.session_tracker().add_objects(archive.members()?)?;
        } else {
            self.session_tracker().add_archive(Arc::new(archive))?;
        }
        Ok(())
    }

    /// Adds a library by name, as `-lNAME` does: shared before static, in the JIT's library
    /// directories and the system's. A shared one is loaded into the process.
    ///
    /// # Errors
    /// When it is found nowhere, listing the directories searched; when it cannot be loaded.
    pub fn add_library(&self, name: &str) -> Result<(), Error> {
        let search = &self.jit.0.search;
        for found in search.find(name, LibraryChoice::SharedFirst)? {
            self.add_found(found)?;
        }
        Ok(())
    }

    /// Adds a shared library and loads it into the process.
    ///
    /// # Errors
    /// When it cannot be read or loaded.
    pub fn add_shared_library(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let path = path.as_ref();
        let library =
            platform::formats().shared_library(path, open(path)?, LibraryOrigin::Named)?;
        self.add_shared(library)
    }

    fn add_found(&self, found: FoundInput) -> Result<(), Error> {
        match found.content {
            FoundContent::Object(input) => {
                self.add_object_input(&found.path.display().to_string(), input)
            }
            FoundContent::Archive(input) => self.add_archive_input(&found.path, input, false),
            FoundContent::Shared(library) => self.add_shared(library),
            FoundContent::Names(names) => {
                // What else scripts say concerns programs.
                let objects = &self.jit.0.objects;
                assignments::add(&self.session_tracker(), names.assignments, objects)
            }
        }
    }

    fn add_shared(&self, library: Arc<dyn NativeLibrary>) -> Result<(), Error> {
        if let Some(loaded) = self.jit.0.loaded.same_file(&*library) {
            let (library, bias) = (loaded.library.clone(), loaded.load_bias);
            return Ok(self.session_tracker().add_library(library, Some(bias))?);
        }
        let executor = self.jit.0.session.executor();
        let name = match (executor.has_own_files(), executor.has_own_paths()) {
            (false, _) => library.path(),
            // A library without a name of its own is called by its path.
            (true, false) => library.loader_name(),
            (true, true) => library.name_elsewhere(),
        };
        executor
            .open_library(name)
            .map_err(jit_core::error::LinkError::from)?;
        Ok(self.session_tracker().add_library(library, None)?)
    }

    /// Defines functions that `materializer` produces when one of them is needed first.
    ///
    /// # Errors
    /// When one is defined already.
    pub fn define(
        &self,
        materializer: Arc<dyn Materializer>,
        functions: &[&str],
    ) -> Result<(), Error> {
        let mut names = NameUses::new(self.jit.0.session.names());
        let promise = |name: &&str| Promise::function(names.intern(name.as_bytes()));
        let promises: Vec<Promise> = functions.iter().map(promise).collect();
        Ok(self
            .session_tracker()
            .add_materializer(materializer, &promises)?)
    }

    /// Removes everything that was added through the tracker. Its memory is given back at once, or
    /// when the last [`crate::Function`] or other code that uses it is gone.
    ///
    /// # Errors
    /// When memory cannot be given back; the names are gone all the same.
    pub fn remove(&self) -> Result<Removal, Error> {
        Ok(self.session_tracker().remove()?)
    }

    /// The session's tracker, for what this interface does not offer. That of a dylib itself is another
    /// one after a removal.
    #[must_use]
    pub fn session_tracker(&self) -> jit_core::session::Tracker {
        match &self.tracker {
            Which::Own(dylib) => dylib.default_tracker(),
            Which::Separate(tracker) => tracker.clone(),
        }
    }
}

fn open(path: &Path) -> Result<Arc<dyn InputBytes>, SearchError> {
    MapFiles.open(path).map_err(|error| SearchError::Io {
        path: path.to_owned(),
        error,
    })
}
